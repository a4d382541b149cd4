//! `haggled bench start`: how soon a daemon answers that has much behind it, and whether its memory stays where it is.

use super::drive::pipelined;
use super::house::{House, request};
use anyhow::Context;
use haggle_serve::{Code, Engine, EngineConfig, Refusal, RewardRequest};
use serde::Serialize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Records of a decision that earns: itself, its reward, the end of its window.
const RECORDS_EACH: u64 = 3;
/// Decisions in a second of the made-up shop, whose windows are ten minutes long and whose clock ends now.
const DECISIONS_A_SECOND: u64 = 100;
/// How long a daemon is under load before it is killed.
const LOAD: Duration = Duration::from_secs(2);

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    records: u64,
    journal_mib: f64,
    /// Memory of the process that filled the store, after each fifth of the records.
    resident_mib: Vec<f64>,
    /// From the start of the process to its first price.
    after_stop_ms: f64,
    decisions_before_kill: u64,
    after_kill_ms: f64,
    /// With the checkpoint removed: the whole journal is read.
    without_checkpoint_ms: f64,
}

/// Fills a store with that many records, and starts daemons on it.
pub fn bench(records: u64) -> anyhow::Result<Report> {
    let mut house = House::prepare()?;
    let resident_mib = fill(&house, records)?;
    let after_stop_ms = house.restart()?;
    let load = pipelined(2, super::DEPTH, &house.socket, &house.frames(), LOAD)?;
    house.kill();
    let after_kill_ms = house.restart()?;
    house.kill();
    std::fs::remove_dir_all(house.store().join("checkpoint"))?;
    let without_checkpoint_ms = house.restart()?;
    Ok(Report {
        records,
        journal_mib: mib(folder_bytes(&house.store().join("log"))?),
        resident_mib,
        after_stop_ms,
        decisions_before_kill: load.answers as u64,
        after_kill_ms,
        without_checkpoint_ms,
    })
}

/// A shop whose every decision earns, and whose windows close, in this process.
fn fill(house: &House, records: u64) -> anyhow::Result<Vec<f64>> {
    let engine = Engine::open(&EngineConfig {
        store: house.store(),
        bundle: Some(house.bundles[0].clone()),
        seed: Some(1),
        ..EngineConfig::default()
    })?;
    let decisions = records / RECORDS_EACH;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let begun_s = now.saturating_sub(decisions / DECISIONS_A_SECOND) as i64;
    let mut resident_mib = Vec::new();
    for n in 0..decisions {
        let now_s = begun_s + (n / DECISIONS_A_SECOND) as i64;
        let reply = patiently(|| engine.price(request(n as usize), now_s))?;
        let reward = RewardRequest {
            decision: reply.decision,
            reward_id: "r".to_owned(),
            value_minor: 200,
            units: 1,
        };
        patiently(|| engine.reward(reward.clone(), now_s).map(drop))?;
        if (n + 1) % (decisions / 5).max(1) == 0 {
            resident_mib.push(mib(resident_bytes()?));
        }
    }
    engine.close()?;
    Ok(resident_mib)
}

/// The disk may be behind.
fn patiently<T>(mut ask: impl FnMut() -> Result<T, Refusal>) -> anyhow::Result<T> {
    loop {
        match ask() {
            Err(refusal) if refusal.code == Code::Overloaded => std::thread::sleep(Duration::from_millis(1)),
            answer => return answer.map_err(|refusal| anyhow::anyhow!("{}", refusal.message)),
        }
    }
}

fn resident_bytes() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let resident = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = resident.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kib.context("/proc/self/status has no VmRSS")?.parse::<u64>()? * 1024)
}

fn folder_bytes(folder: &std::path::Path) -> std::io::Result<u64> {
    std::fs::read_dir(folder)?
        .map(|entry| Ok(entry?.metadata()?.len()))
        .sum()
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

impl Report {
    /// The report for people.
    pub fn text(&self) -> String {
        let resident: Vec<String> = self.resident_mib.iter().map(|mib| format!("{mib:.0}")).collect();
        format!(
            "{} records, journal {:.0} MiB; resident MiB after each fifth: {}\n\
             first price after a clean stop           {:>8.0} ms\n\
             first price after kill -9 under load     {:>8.0} ms   {} decisions after the clean stop\n\
             first price without a checkpoint         {:>8.0} ms",
            self.records,
            self.journal_mib,
            resident.join(", "),
            self.after_stop_ms,
            self.after_kill_ms,
            self.decisions_before_kill,
            self.without_checkpoint_ms,
        )
    }
}
