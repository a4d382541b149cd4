//! A start from a checkpoint comes to exactly what a start from the whole journal comes to.
#![allow(clippy::unwrap_used)]

mod common;

use common::{earn, engine_config, mlp_bundle, named};
use haggle_core::{Frames, Seeds};
use haggle_serve::{Arrival, Code, Engine, EngineConfig, export, forget};
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::time::Instant;
use tempfile::TempDir;

const CONFIG: &str =
    "[store]\ncheckpoint_records = 50\n[rewards]\nbackward_window_s = 1000\nterms = { window_s = 60 }\n";
const START_S: i64 = 1_600_000_000;

/// A shop that does everything that can be done with decisions, by the numbers of a seed.
struct Shop {
    seeds: Seeds,
    step: u64,
}

impl Shop {
    fn new(seed: u64) -> Self {
        Self {
            seeds: Seeds::new(seed),
            step: 0,
        }
    }

    fn pick(&self, name: &str, count: u64) -> u64 {
        let uniform = self.seeds.named(name).uniform_of(&self.step.to_le_bytes());
        (uniform * count as f64) as u64
    }

    /// Does some things, five seconds apart.
    fn work(&mut self, engine: &Engine, steps: u64) {
        for _ in 0..steps {
            self.step += 1;
            let (n, now_s) = (self.step, START_S + 5 * self.step as i64);
            let other = format!("d{}", n.saturating_sub(self.pick("back", 120)));
            let mut request = named(
                &format!("d{n}"),
                &format!("s{}", n / 3),
                ["milk-0", "milk-1", "tea-2"][n as usize % 3],
            );
            request.defer = self.pick("defer", 5) == 0;
            request.channel = Some("web".to_owned());
            engine.quote(request, arrival(now_s)).unwrap();
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

fn arrival(now_s: i64) -> Arrival {
    Arrival {
        now_s,
        since: Instant::now(),
    }
}

/// Everything that can be asked of an engine.
fn told(engine: &Engine, steps: u64) -> (String, BTreeMap<String, String>) {
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
fn foretold(config: &EngineConfig, steps: u64) -> Vec<String> {
    let engine = Engine::open(config).unwrap();
    let now_s = START_S + 5 * steps as i64 + 1;
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
    let journal = haggle_serve::Journal::existing(&config.store).unwrap();
    let exported = export(&journal.reader(), &out).unwrap();
    for segment in exported.segments {
        let offers = haggle_core::read_segment(&fs::read(segment).unwrap()).unwrap();
        told.extend(offers.iter().map(|offer| format!("{offer:?}")));
    }
    told
}

fn copy(from: &Path, to: &Path) {
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
fn compare(config: &EngineConfig, steps: u64) {
    let beside = TempDir::new().unwrap();
    let plain = EngineConfig {
        store: beside.path().join("store"),
        ..config.clone()
    };
    copy(&config.store, &plain.store);
    let _ = fs::remove_dir_all(plain.store.join("checkpoint"));
    let with = TempDir::new().unwrap();
    let with = EngineConfig {
        store: with.path().join("store"),
        ..config.clone()
    };
    copy(&config.store, &with.store);
    let (a, b) = (Engine::open(&plain).unwrap(), Engine::open(&with).unwrap());
    assert_eq!(told(&a, steps), told(&b, steps));
    drop((a, b));
    assert_eq!(foretold(&plain, steps), foretold(&with, steps));
}

#[test]
fn a_start_from_a_checkpoint_is_a_start_from_the_journal() {
    let dir = TempDir::new().unwrap();
    let config = engine_config(dir.path(), &mlp_bundle(), CONFIG, None);
    let mut shop = Shop::new(3);
    for round in 0..3u64 {
        let engine = Engine::open(&config).unwrap();
        shop.work(&engine, 60 + 7 * round);
        let running = told(&engine, shop.step);
        if round % 2 == 0 {
            engine.close().unwrap();
        }
        // Else it ends without a checkpoint of what came last.
        drop(engine);
        assert!(config.store.join("checkpoint/state").exists(), "round {round}");
        assert_eq!(
            told(&Engine::open(&config).unwrap(), shop.step),
            running,
            "round {round}"
        );
        compare(&config, shop.step);
    }
}

/// A store with a checkpoint of everything, and what it says.
fn checkpointed(dir: &Path) -> (EngineConfig, (String, BTreeMap<String, String>)) {
    let config = engine_config(dir, &mlp_bundle(), CONFIG, None);
    let engine = Engine::open(&config).unwrap();
    Shop::new(4).work(&engine, STEPS);
    let told = told(&engine, STEPS);
    engine.close().unwrap();
    (config, told)
}

const STEPS: u64 = 150;

#[test]
fn a_checkpoint_that_cannot_be_believed_costs_nothing_but_time() {
    let dir = TempDir::new().unwrap();
    let (config, expected) = checkpointed(dir.path());
    let folder = config.store.join("checkpoint");
    let (state, archive) = (folder.join("state"), folder.join("archive"));
    let (sound, sound_archive) = (fs::read(&state).unwrap(), fs::read(&archive).unwrap());
    let reopened = || {
        let engine = Engine::open(&config).unwrap();
        let told = told(&engine, STEPS);
        drop(engine);
        told
    };
    for at in (0..sound.len()).step_by(sound.len() / 6) {
        let mut damaged = sound.clone();
        damaged[at] ^= 4;
        fs::write(&state, damaged).unwrap();
        assert_eq!(reopened(), expected, "byte {at}");
        fs::write(&state, &sound[..at]).unwrap();
        assert_eq!(reopened(), expected, "cut at {at}");
    }
    fs::write(&state, &sound).unwrap();
    fs::write(&archive, &sound_archive[..sound_archive.len() / 2]).unwrap();
    assert_eq!(reopened(), expected, "half an archive");
    // Of another store, with the same shop and other draws.
    let other = TempDir::new().unwrap();
    let mut foreign = engine_config(other.path(), &mlp_bundle(), CONFIG, None);
    foreign.seed = Some(6);
    let engine = Engine::open(&foreign).unwrap();
    Shop::new(4).work(&engine, STEPS);
    engine.close().unwrap();
    drop(engine);
    fs::remove_dir_all(&folder).unwrap();
    copy(&foreign.store.join("checkpoint"), &folder);
    assert_eq!(reopened(), expected, "a checkpoint of another store");
}

/// Where the frames of an archive lie.
fn frames(archive: &[u8]) -> Vec<Range<usize>> {
    let mut frames = Frames::new(archive);
    let mut from = 0;
    std::iter::from_fn(|| {
        frames.next()?.unwrap();
        let frame = from..frames.offset();
        from = frame.end;
        Some(frame)
    })
    .collect()
}

#[test]
fn an_archive_that_is_not_that_of_its_checkpoint_costs_nothing_but_time() {
    let dir = TempDir::new().unwrap();
    let (config, _) = checkpointed(dir.path());
    let archive = config.store.join("checkpoint/archive");
    let sound = fs::read(&archive).unwrap();
    let frames = frames(&sound);
    // A write that went to another place: each entry is sound.
    let first = &frames[0];
    let fits =
        |frame: &&Range<usize>| frame.len() == first.len() && sound[(*frame).clone()] != sound[first.clone()];
    let other = frames.iter().find(fits).unwrap();
    let mut misplaced = sound.clone();
    misplaced.copy_within(other.clone(), first.start);
    let mut zeroed = sound.clone();
    let page = sound.len() / 2..(sound.len() / 2 + 4096).min(sound.len());
    zeroed[page].fill(0);
    let elsewhere = TempDir::new().unwrap();
    let mut foreign = engine_config(elsewhere.path(), &mlp_bundle(), CONFIG, None);
    foreign.seed = Some(6);
    let engine = Engine::open(&foreign).unwrap();
    Shop::new(5).work(&engine, STEPS);
    engine.close().unwrap();
    let mut foreign = fs::read(foreign.store.join("checkpoint/archive")).unwrap();
    foreign.resize(sound.len(), 0);
    for (what, bytes) in [
        ("an entry over another", misplaced),
        ("a zeroed page", zeroed),
        ("the archive of another store", foreign),
    ] {
        assert_eq!(bytes.len(), sound.len());
        println!("{what}");
        fs::write(&archive, bytes).unwrap();
        compare(&config, STEPS);
    }
}

fn flip_bits(archive: &mut [u8]) {
    archive
        .iter_mut()
        .skip(40)
        .step_by(64)
        .for_each(|byte| *byte ^= 1);
}

/// Puts a sound entry of another decision wherever one of d1 lies.
fn misplace(archive: &mut [u8]) {
    let frames = frames(archive);
    // As the codec writes a short text.
    let is_d1 = |bytes: &[u8]| bytes.windows(3).any(|bytes| bytes == b"\x02d1");
    let (of_d1, others): (Vec<_>, Vec<_>) = frames
        .into_iter()
        .partition(|frame| is_d1(&archive[frame.clone()]));
    assert!(!of_d1.is_empty());
    for frame in of_d1 {
        let fits = |other: &&Range<usize>| other.len() <= frame.len();
        archive.copy_within(others.iter().find(fits).unwrap().clone(), frame.start);
    }
}

#[test]
fn an_archive_that_is_damaged_while_the_daemon_runs_is_refused_and_read_again_at_the_next_start() {
    for damage in [flip_bits, misplace] {
        let dir = TempDir::new().unwrap();
        let (config, expected) = checkpointed(dir.path());
        let archive = config.store.join("checkpoint/archive");
        let engine = Engine::open(&config).unwrap();
        let mut bytes = fs::read(&archive).unwrap();
        damage(&mut bytes);
        fs::write(&archive, bytes).unwrap();
        let refusal = engine.get("d1").unwrap_err();
        assert_eq!(refusal.code, Code::StoreFailed, "{refusal:?}");
        drop(engine);
        assert_eq!(told(&Engine::open(&config).unwrap(), STEPS), expected);
    }
}

#[test]
fn a_forgotten_user_is_in_no_checkpoint() {
    let dir = TempDir::new().unwrap();
    let config = engine_config(dir.path(), &mlp_bundle(), CONFIG, None);
    let engine = Engine::open(&config).unwrap();
    let mut request = named("his", "his session", "milk-0");
    request.user = Some("somebody 4711".to_owned());
    engine.quote(request, arrival(START_S)).unwrap();
    Shop::new(4).work(&engine, STEPS);
    engine.close().unwrap();
    drop(engine);
    let found = || {
        let files = ["state", "archive"].map(|file| config.store.join("checkpoint").join(file));
        let holds = |bytes: Vec<u8>| bytes.windows(13).any(|bytes| bytes == b"somebody 4711");
        files.into_iter().any(|file| fs::read(file).is_ok_and(holds))
    };
    assert!(found(), "he was in the archive");
    forget(&config.store, "somebody 4711", &[]).unwrap();
    assert!(!found());
    let engine = Engine::open(&config).unwrap();
    assert_eq!(engine.get("his").unwrap_err().code, Code::UnknownDecision);
    engine.close().unwrap();
    drop(engine);
    assert!(!found());
    compare(&config, STEPS);
}
