use super::{earn, named};
use haggle_core::Seeds;
use haggle_serve::{Arrival, Engine, EngineConfig, Journal, LogMode, PriceRequest, export};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;
use tempfile::TempDir;

/// A shop that does everything that can be done with decisions, by the numbers of a seed.
pub struct Shop {
    seeds: Seeds,
    /// When it opened: seconds since 1970.
    start_s: i64,
    pub step: u64,
}

impl Shop {
    pub fn new(seed: u64, start_s: i64) -> Self {
        Self {
            seeds: Seeds::new(seed),
            start_s,
            step: 0,
        }
    }

    fn pick(&self, name: &str, count: u64) -> u64 {
        let uniform = self.seeds.named(name).uniform_of(&self.step.to_le_bytes());
        (uniform * count as f64) as u64
    }

    /// Does some things, five seconds apart.
    pub fn work(&mut self, engine: &Engine, steps: u64) {
        for _ in 0..steps {
            self.step += 1;
            let (n, now_s) = (self.step, self.start_s + 5 * self.step as i64);
            let other = format!("d{}", n.saturating_sub(self.pick("back", 120)));
            let mut request = named(
                &format!("d{n}"),
                &format!("s{}", n / 3),
                ["milk-0", "milk-1", "tea-2"][n as usize % 3],
            );
            request.defer = self.pick("defer", 5) == 0;
            request.channel = Some("web".to_owned());
            quote_durably(engine, request, now_s);
            let value = self.pick("value", 3) as i64;
            // Some are refused, some come twice, late, early or with another value: that is for the daemon to say.
            let _ = match self.pick("what", 8) {
                0 => engine.activate(&other, now_s).err(),
                1 => engine.cancel(&other, now_s).err(),
                2 => engine.cart(&other, now_s).err(),
                3 => engine
                    .reward(earn(&format!("d{}", n + 7), "early", value), now_s)
                    .err(),
                _ => engine
                    .reward(earn(&other, &format!("r{value}"), value), now_s)
                    .err(),
            };
        }
    }
}

/// Waits for the disk, so that there are many commits.
pub fn quote_durably(engine: &Engine, mut request: PriceRequest, now_s: i64) {
    request.log = LogMode::Sync;
    let quote = engine.quote(request, arrival(now_s)).unwrap();
    quote.ticket.unwrap().blocking_recv().unwrap().unwrap();
}

pub fn arrival(now_s: i64) -> Arrival {
    Arrival {
        now_s,
        since: Instant::now(),
    }
}

/// Everything that can be asked of an engine.
pub fn told(engine: &Engine, steps: u64) -> (String, BTreeMap<String, String>) {
    let mut status = engine.status();
    (status.queued, status.duplicates, status.conflicts, status.unknown) = (0, 0, 0, 0);
    let mut told = BTreeMap::new();
    for n in 1..=steps {
        let id = format!("d{n}");
        told.insert(id.clone(), format!("{:?}", engine.get(&id)));
    }
    (format!("{status:?}"), told)
}

/// What the next decisions look like: prices, and the observations behind them.
pub fn foretold(config: &EngineConfig, steps: u64, start_s: i64) -> Vec<String> {
    let engine = Engine::open(config).unwrap();
    let now_s = start_s + 5 * steps as i64 + 1;
    let mut told = Vec::new();
    for n in 0..40 {
        let item = ["milk-0", "milk-1", "milk-2", "tea-0", "tea-1", "tea-2"][n % 6];
        let session = format!("s{}", (steps as usize + n).saturating_sub(20) / 3);
        let mut request = named(&format!("next-{n}"), &session, item);
        request.channel = Some("web".to_owned());
        told.push(format!(
            "{:?}",
            engine.quote(request, arrival(now_s)).unwrap().reply
        ));
    }
    for (decision, reward_id) in [("d3", "r0"), ("d3", "r1"), ("d50", "r2"), ("d90", "new")] {
        let answer = engine.reward(earn(decision, reward_id, 1), now_s);
        told.push(format!("{:?}", answer.map(|(status, _)| status)));
    }
    let repeat = engine.quote(named("d5", "s1", "tea-2"), arrival(now_s));
    told.push(format!("{:?}", repeat.map(|quote| quote.reply)));
    engine.close().unwrap();
    drop(engine);
    let out = config.store.join("../out");
    let journal = Journal::existing(&config.store).unwrap();
    let exported = export(&journal.reader(), &out).unwrap();
    for segment in exported.segments {
        let offers = haggle_core::read_segment(&fs::read(segment).unwrap()).unwrap();
        told.extend(offers.iter().map(|offer| format!("{offer:?}")));
    }
    told
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A store as it is, and the same without its checkpoint: both must come to the same.
pub fn compare(config: &EngineConfig, steps: u64, start_s: i64) {
    let beside = TempDir::new().unwrap();
    let copied = |name: &str| {
        let store = beside.path().join(name).join("store");
        copy(&config.store, &store);
        EngineConfig {
            store,
            ..config.clone()
        }
    };
    let (plain, with) = (copied("plain"), copied("with"));
    let _ = fs::remove_dir_all(plain.store.join("checkpoint"));
    let (a, b) = (Engine::open(&plain).unwrap(), Engine::open(&with).unwrap());
    assert_eq!(told(&a, steps), told(&b, steps));
    drop((a, b));
    assert_eq!(foretold(&plain, steps, start_s), foretold(&with, steps, start_s));
}
