//! `haggled bench acks`: how many rewards a second are acknowledged as durable, beside a bare log of the same bytes on the same
//! disk: one file full of zeros, one thread that writes whatever waits and calls `fdatasync`.

use super::house::{House, request};
use haggle_core::{DecisionId, Reward, encode_record};
use haggle_serve::{Engine, EngineConfig, Record, RewardRequest};
use serde::Serialize;
use std::fs::File;
use std::io::Write;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// Who sends rewards, each the next one when the last is acknowledged.
const PRODUCERS: usize = 16;
/// Decisions of each producer that earn in turn.
const DECISIONS: usize = 1_000;
/// What a frame of the journal has before its record: length, checksum, number, place, kind, salt.
const FRAME_BYTES: usize = 35;
const LOG_BYTES: usize = 256 << 20;

/// What was measured; acknowledgements per second.
#[derive(Debug, Serialize)]
pub struct Report {
    bytes_each: usize,
    bare_log: f64,
    daemon: f64,
    daemon_to_bare_log: f64,
}

/// Measures both, one after the other, twice; the better one of each counts.
pub fn bench(seconds: f64) -> anyhow::Result<Report> {
    let length = Duration::from_secs_f64(seconds);
    let (mut bare_log, mut daemon) = (0.0f64, 0.0f64);
    let house = House::prepare()?;
    let engine = Engine::open(&EngineConfig {
        store: house.store(),
        bundle: Some(house.bundles[0].clone()),
        seed: Some(1),
        ..EngineConfig::default()
    })?;
    let bytes = frame(0);
    for round in 0..2 {
        bare_log = bare_log.max(log(&house.store().join("../bare"), &bytes, length)?);
        daemon = daemon.max(rewards(&engine, round, length)?);
    }
    engine.close()?;
    Ok(Report {
        bytes_each: bytes.len(),
        bare_log,
        daemon,
        daemon_to_bare_log: daemon / bare_log,
    })
}

fn reward(decision: String, n: usize) -> RewardRequest {
    RewardRequest {
        decision,
        reward_id: format!("r{n:06}"),
        value_minor: 200,
        units: 1,
    }
}

/// As many bytes as the journal has for a reward.
fn frame(n: usize) -> Vec<u8> {
    let request = reward("0".repeat(36), n);
    let record = encode_record(&Record::Reward(Reward {
        decision: DecisionId(request.decision),
        reward_id: request.reward_id,
        value_minor: request.value_minor,
        units: request.units,
        time_s: 1_600_000_000,
    }));
    vec![7; FRAME_BYTES + record.len()]
}

fn rewards(engine: &Engine, round: usize, length: Duration) -> anyhow::Result<f64> {
    let producer = |producer: usize| -> anyhow::Result<usize> {
        let refused = |refusal: haggle_serve::Refusal| anyhow::anyhow!("{}", refusal.message);
        let now_s = 1_600_000_000;
        let decisions = (0..DECISIONS)
            .map(|n| Ok(engine.price(request(producer * DECISIONS + n), now_s)?.decision))
            .collect::<Result<Vec<String>, _>>()
            .map_err(refused)?;
        let begun = Instant::now();
        for n in 0.. {
            let request = reward(decisions[n % DECISIONS].clone(), n);
            let (_, ticket) = engine.reward(request, now_s + round as i64).map_err(refused)?;
            ticket.blocking_recv()?.map_err(refused)?;
            if begun.elapsed() >= length {
                return Ok(n + 1);
            }
        }
        Ok(0)
    };
    per_second(length, producer)
}

fn log(path: &std::path::Path, bytes: &[u8], length: Duration) -> anyhow::Result<f64> {
    let mut file = File::create(path)?;
    file.write_all(&vec![0; LOG_BYTES])?;
    file.sync_all()?;
    let (sender, receiver) = channel();
    let writer = std::thread::spawn(move || write_log(&file, &receiver));
    let producer = |_| -> anyhow::Result<usize> {
        let (done, acknowledged) = channel();
        let (sender, begun) = (sender.clone(), Instant::now());
        for n in 0.. {
            sender.send((bytes.to_vec(), done.clone()))?;
            acknowledged.recv()?;
            if begun.elapsed() >= length {
                return Ok(n + 1);
            }
        }
        Ok(0)
    };
    let rate = per_second(length, producer)?;
    drop(sender);
    writer
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    std::fs::remove_file(path)?;
    Ok(rate)
}

/// Group commit: whatever waits is written, made durable and acknowledged.
fn write_log(file: &File, receiver: &Receiver<(Vec<u8>, Sender<()>)>) -> std::io::Result<()> {
    use std::os::unix::fs::FileExt;
    let mut offset = 0;
    while let Ok(first) = receiver.recv() {
        let batch: Vec<_> = std::iter::once(first).chain(receiver.try_iter()).collect();
        let bytes: Vec<u8> = batch.iter().flat_map(|(bytes, _)| bytes).copied().collect();
        if offset + bytes.len() as u64 > LOG_BYTES as u64 {
            offset = 0;
        }
        file.write_all_at(&bytes, offset)?;
        file.sync_data()?;
        offset += bytes.len() as u64;
        for (_, done) in batch {
            // A producer whose time is up has gone.
            let _ = done.send(());
        }
    }
    Ok(())
}

fn per_second(
    length: Duration,
    producer: impl Fn(usize) -> anyhow::Result<usize> + Sync,
) -> anyhow::Result<f64> {
    let producer = &producer;
    let counts: anyhow::Result<Vec<usize>> = std::thread::scope(|scope| {
        let producers: Vec<_> = (0..PRODUCERS).map(|n| scope.spawn(move || producer(n))).collect();
        producers
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    });
    Ok(counts?.iter().sum::<usize>() as f64 / length.as_secs_f64())
}

impl Report {
    /// The report for people.
    pub fn text(&self) -> String {
        format!(
            "{PRODUCERS} producers, {} bytes each, acknowledged when durable\n\
             bare log with fdatasync   {:>9.0}/s\n\
             rewards                   {:>9.0}/s   {:.2} x the bare log",
            self.bytes_each, self.bare_log, self.daemon, self.daemon_to_bare_log
        )
    }
}
