//! Whether memory, archive and journal stay where they are while a store grows older:
//! `cargo run -p haggle-serve --example retention -- [DECISIONS] [KEEP_DAYS]`. Without KEEP_DAYS everything is kept.
//!
//! A made-up shop prices 20,000 visits a day in the past; each earns, and half of the rewards come late. The daemon's log says
//! what a checkpoint cost (`RUST_LOG=haggle_serve=debug`).

use anyhow::Context;
use haggle_core::{Catalog, Guardrails, Item, ItemTraits, Ladder, MemoryRates, PriceMinor, SavedCategory};
use haggle_policy::{Bundle, Provenance, Terms};
use haggle_serve::{
    Arrival, Code, Engine, EngineConfig, PriceRequest, Refusal, RewardRequest, SettingsFiles,
};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const A_DAY: u64 = 20_000;
const DAY_S: u64 = 86_400;
/// Days of one row.
const ROW_DAYS: u64 = 4;

fn bundle() -> anyhow::Result<Bundle> {
    let item = Item {
        id: "cup".to_owned(),
        base_minor: PriceMinor(75),
        low_minor: PriceMinor(40),
        high_minor: PriceMinor(110),
        cost_minor: None,
        ladder: Ladder::new((40..=110).step_by(5).map(PriceMinor).collect())?,
        traits: ItemTraits {
            share: 1.0,
            sales_rate: 1.0,
            ..ItemTraits::default()
        },
    };
    let shop = SavedCategory {
        name: "cups".to_owned(),
        items: vec![item],
    };
    let terms = Terms {
        catalog: Catalog::new(vec![shop])?.into(),
        floor: 0.0,
        memory: MemoryRates::default(),
        guardrails: Guardrails::default(),
        price_index_limit: None,
        multiplier: 0.0,
        provenance: Provenance::default(),
    };
    Ok(Bundle::fixed(terms, vec![7])?)
}

fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let mut args = std::env::args().skip(1);
    let decisions: u64 = args.next().map_or(Ok(600_000), |text| text.parse())?;
    let keep_days: Option<u32> = args.next().map(|text| text.parse()).transpose()?;
    let folder = std::env::temp_dir().join(format!("haggle-retention-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let done = run(&folder, decisions, keep_days);
    std::fs::remove_dir_all(&folder)?;
    done
}

fn run(folder: &Path, decisions: u64, keep_days: Option<u32>) -> anyhow::Result<()> {
    let config = folder.join("daemon.toml");
    let keep = keep_days.map_or_else(String::new, |days| format!("keep_days = {days}\n"));
    std::fs::write(&config, format!("[store]\n{keep}"))?;
    let store = folder.join("store");
    let started = EngineConfig {
        store: store.clone(),
        bundle: Some(bundle()?.write(&folder.join("bundles"))?.1),
        seed: Some(1),
        files: SettingsFiles {
            config: Some(config),
            guardrails: None,
        },
        ..EngineConfig::default()
    };
    let engine = Engine::open(&started)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let time_s = |n: u64| (now - decisions * DAY_S / A_DAY + n * DAY_S / A_DAY) as i64;
    println!("decisions  resident MiB  journal MiB  archive MiB");
    let begun = Instant::now();
    let mut checkpoint = UNIX_EPOCH;
    for n in 0..decisions {
        visit(&engine, n, &time_s)?;
        if (n + 1).is_multiple_of(A_DAY) {
            // A shop is never in such a hurry: the checkpoint that is due comes about at night.
            checkpoint = wait_for_checkpoint(&store, checkpoint)?;
        }
        if (n + 1).is_multiple_of(ROW_DAYS * A_DAY) {
            println!(
                "{:>9}  {:>12.0}  {:>11.0}  {:>11.1}",
                n + 1,
                resident_mib()?,
                folder_mib(&store.join("log"), "")?,
                folder_mib(&store.join("checkpoint"), "archive")?,
            );
        }
    }
    let status = engine.status();
    println!(
        "{} decisions and {} rewards are counted, {} of them late; {:.0} s",
        status.decisions,
        status.rewards,
        status.late,
        begun.elapsed().as_secs_f64()
    );
    let known = engine.get(&id(0)).is_ok();
    println!(
        "the first decision is {}",
        if known { "known" } else { "not known any more" }
    );
    engine.close()?;
    drop(engine);
    let begun = Instant::now();
    let again = Engine::open(&started)?.status();
    anyhow::ensure!((again.decisions, again.rewards) == (status.decisions, status.rewards));
    println!(
        "start after a clean stop: {:.0} ms",
        1e3 * begun.elapsed().as_secs_f64()
    );
    std::fs::remove_dir_all(store.join("checkpoint"))?;
    let begun = Instant::now();
    let again = Engine::open(&started)?.status();
    anyhow::ensure!((again.decisions, again.rewards) == (status.decisions, status.rewards));
    println!(
        "start without a checkpoint: {:.0} ms",
        1e3 * begun.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Waits for a checkpoint after the one of a time; the time of that.
fn wait_for_checkpoint(store: &Path, last: SystemTime) -> anyhow::Result<SystemTime> {
    let begun = Instant::now();
    loop {
        let made = std::fs::metadata(store.join("checkpoint/state")).and_then(|meta| meta.modified());
        match made {
            Ok(made) if made > last => return Ok(made),
            _ => std::thread::sleep(Duration::from_millis(100)),
        }
        anyhow::ensure!(
            begun.elapsed() < Duration::from_secs(300),
            "no checkpoint comes about"
        );
    }
}

fn id(n: u64) -> String {
    format!("decision-{n:09}")
}

/// A price, its reward, and for every other one a late reward of the visit 600 before.
fn visit(engine: &Engine, n: u64, time_s: &impl Fn(u64) -> i64) -> anyhow::Result<()> {
    let request = PriceRequest {
        session: format!("session-{}", n / 4),
        item: "cup".to_owned(),
        decision: Some(id(n)),
        ..PriceRequest::default()
    };
    let arrival = || Arrival {
        now_s: time_s(n),
        since: Instant::now(),
    };
    patiently(|| engine.quote(request.clone(), arrival()).map(drop))?;
    let late = n.is_multiple_of(2).then(|| n.saturating_sub(600));
    for (of, name) in [(n, "r")].into_iter().chain(late.map(|of| (of, "late"))) {
        let reward = RewardRequest {
            decision: id(of),
            reward_id: name.to_owned(),
            value_minor: 75,
            units: 1,
        };
        patiently(|| engine.reward(reward.clone(), time_s(n)).map(drop))?;
    }
    Ok(())
}

/// The disk may be behind.
fn patiently(mut ask: impl FnMut() -> Result<(), Refusal>) -> anyhow::Result<()> {
    loop {
        match ask() {
            Err(refusal) if refusal.code == Code::Overloaded => std::thread::sleep(Duration::from_millis(1)),
            answer => return answer.map_err(|refusal| anyhow::anyhow!("{}", refusal.message)),
        }
    }
}

fn resident_mib() -> anyhow::Result<f64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let resident = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = resident.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kib.context("/proc/self/status has no VmRSS")?.parse::<f64>()? / 1024.0)
}

fn folder_mib(folder: &Path, prefix: &str) -> std::io::Result<f64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            bytes += entry.metadata().map_or(0, |meta| meta.len());
        }
    }
    Ok(bytes as f64 / f64::from(1 << 20))
}
