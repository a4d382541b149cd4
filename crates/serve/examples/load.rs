//! Load for a running daemon: `cargo run -p haggle-serve --example load -- SOCKET ITEM SECONDS`.
//! Prints prices per second and their latency, one at a time and many on the way, and acknowledged rewards per second.

use haggle_serve::{Client, ClientError, PriceRequest, RewardRequest, WireContext};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const PRODUCERS: usize = 16;
/// Requests on the way in the pipelined run: one window of the client.
const DEPTH: usize = 64;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [socket, item, seconds] = args.as_slice() else {
        return Err("usage: load SOCKET ITEM SECONDS".into());
    };
    let (socket, seconds) = (PathBuf::from(socket), Duration::from_secs(seconds.parse()?));
    one_at_a_time(&socket, item, seconds)?;
    pipelined(&socket, item, seconds)?;
    rewards(&socket, item, seconds)?;
    Ok(())
}

fn ask(item: &str, n: usize) -> PriceRequest {
    PriceRequest {
        session: format!("load-{}-{}", std::process::id(), n / 8),
        user: Some(format!("user-{}", n % 1000)),
        item: item.to_owned(),
        context: WireContext {
            time_s: Some(1_500_000_000),
            visits_56d: Some(4.0),
            ..WireContext::default()
        },
        ..PriceRequest::default()
    }
}

fn one_at_a_time(socket: &Path, item: &str, seconds: Duration) -> Result<(), ClientError> {
    let mut client = Client::connect(socket)?;
    let (begun, mut times) = (Instant::now(), Vec::new());
    while begun.elapsed() < seconds {
        let sent = Instant::now();
        client.price(&ask(item, times.len()))?;
        times.push(sent.elapsed());
    }
    times.sort();
    let at = |share: usize| times[times.len() * share / 100].as_secs_f64() * 1e6;
    let rate = times.len() as f64 / begun.elapsed().as_secs_f64();
    println!(
        "prices, 1 connection, depth 1: {rate:.0}/s, p50 {:.1} us, p99 {:.1} us",
        at(50),
        at(99)
    );
    Ok(())
}

fn pipelined(socket: &Path, item: &str, seconds: Duration) -> Result<(), ClientError> {
    let mut client = Client::connect(socket)?;
    let (begun, mut count) = (Instant::now(), 0);
    while begun.elapsed() < seconds {
        let asks: Vec<_> = (count..count + DEPTH).map(|n| ask(item, n)).collect();
        count += client.prices(&asks)?.len();
    }
    let rate = count as f64 / begun.elapsed().as_secs_f64();
    println!("prices, 1 connection, depth {DEPTH}: {rate:.0}/s");
    Ok(())
}

fn rewards(socket: &Path, item: &str, seconds: Duration) -> Result<(), ClientError> {
    let decision = Client::connect(socket)?.price(&ask(item, 0))?.decision;
    let produce = |producer: usize| -> Result<Vec<Duration>, ClientError> {
        let mut client = Client::connect(socket)?;
        let decisions = client.prices(&(0..500).map(|n| ask(item, n)).collect::<Vec<_>>())?;
        let decisions: Vec<_> = decisions
            .into_iter()
            .flatten()
            .map(|reply| reply.decision)
            .collect();
        let (begun, mut times) = (Instant::now(), Vec::new());
        while begun.elapsed() < seconds {
            let n = times.len();
            let request = RewardRequest {
                decision: decisions.get(n % 500).unwrap_or(&decision).clone(),
                reward_id: format!("{producer}-{n}"),
                value_minor: 100,
                units: 1,
            };
            let sent = Instant::now();
            client.reward(&request)?;
            times.push(sent.elapsed());
        }
        Ok(times)
    };
    let mut times = std::thread::scope(|scope| -> Result<Vec<Duration>, ClientError> {
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|n| {
                scope.spawn({
                    let produce = &produce;
                    move || produce(n)
                })
            })
            .collect();
        let mut all = Vec::new();
        for producer in producers {
            all.extend(
                producer
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?,
            );
        }
        Ok(all)
    })?;
    times.sort();
    let at = |share: usize| times[times.len() * share / 100].as_secs_f64() * 1e6;
    let rate = times.len() as f64 / seconds.as_secs_f64();
    println!(
        "rewards, {PRODUCERS} producers, depth 1: {rate:.0} acknowledged/s, p50 {:.0} us, p99 {:.0} us",
        at(50),
        at(99)
    );
    Ok(())
}
