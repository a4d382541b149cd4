//! `haggled bench`: how fast a daemon answers, as ratios to a bare echo (and to redis, where it is installed) over the same kind
//! of socket in the same run.

pub mod acks;
mod drive;
mod effort;
mod house;
mod report;
mod rivals;
pub mod start;

use drive::{in_turn, many, pipelined};
use haggle_serve::{AdminRequest, Client, Swapped, admin_path};
use house::House;
use report::Report;
use rivals::{Echo, Redis};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Connections of the crowded run.
const CROWD: usize = 16;
/// Requests on the way in the pipelined run, for each of its connections.
const DEPTH: usize = 64;
/// Connections of the pipelined run.
const PIPES: usize = 2;
/// Swaps during the run under load.
const SWAPS: usize = 100;

/// Measures everything, `seconds` for each line of the report.
pub fn bench(seconds: f64) -> anyhow::Result<Report> {
    let length = Duration::from_secs_f64(seconds);
    let (echo, redis, house) = (Echo::start()?, Redis::start()?, House::start()?);
    let (frames, lines) = (house.frames(), house.lines());
    let crowd_at = |path, requests: &[Vec<u8>]| many(CROWD, path, requests, length);
    let echo_alone = in_turn(&echo.path, &echo.requests(), length)?;
    let packed = in_turn(&house.socket, &frames, length)?;
    house.swap(&house.bandits)?;
    let bandit = in_turn(&house.socket, &frames, length)?;
    // Two swaps away it learns from nothing that follows.
    for bundle in house.bundles.iter().rev() {
        house.swap(bundle)?;
    }
    let json = in_turn(&house.socket, &lines, length)?;
    let crowd_echo = crowd_at(&echo.path, &echo.requests())?;
    let crowd_redis = redis
        .as_ref()
        .map(|redis| crowd_at(&redis.path, &redis.requests()))
        .transpose()?;
    let crowd = crowd_at(&house.socket, &frames)?;
    let echo_flow = pipelined(
        PIPES,
        DEPTH,
        &echo.path,
        &vec![echo.requests().concat(); DEPTH],
        length,
    )?;
    let before = house.effort()?;
    let flow = pipelined(PIPES, DEPTH, &house.socket, &frames, length)?;
    let pipelined_each_us = house.effort()?.each_us(&before, flow.answers);
    let done = AtomicBool::new(false);
    let (under_swaps, swapped) = std::thread::scope(|scope| {
        let swapper = scope.spawn(|| swap_until(&house, &done));
        let times = crowd_at(&house.socket, &frames);
        done.store(true, Ordering::Relaxed);
        let swapped = swapper
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (times, swapped)
    });
    let (under_swaps, (swaps, swap_failures)) = (under_swaps?, swapped?);
    Ok(Report {
        packed_to_echo_p50: packed.p50_us / echo_alone.p50_us,
        bandit_to_packed_p50: bandit.p50_us / packed.p50_us,
        json_to_echo_rate: json.per_second / echo_alone.per_second,
        crowd_to_echo_p99: crowd.p99_us / crowd_echo.p99_us,
        crowd_to_redis_p99: crowd_redis.as_ref().map(|redis| crowd.p99_us / redis.p99_us),
        swapping_p99_ratio: under_swaps.p99_us / crowd.p99_us,
        echo: echo_alone,
        packed,
        bandit,
        json,
        crowd_echo,
        crowd_redis,
        crowd,
        echo_pipelined_per_second: echo_flow.per_second,
        pipelined_per_second: flow.per_second,
        pipelined_to_echo_rate: flow.per_second / echo_flow.per_second,
        pipelined_each_us,
        swaps,
        swap_failures,
        crowd_under_swaps: under_swaps,
    })
}

/// Swaps to and fro until it is told to stop; how often, and how often that was refused.
fn swap_until(house: &House, done: &AtomicBool) -> anyhow::Result<(usize, usize)> {
    let mut operator = Client::connect(&admin_path(&house.socket))?;
    let (mut swaps, mut failures) = (0, 0);
    while !done.load(Ordering::Relaxed) && swaps < SWAPS {
        let bundle = house.bundles[(swaps + 1) % 2].clone();
        let swapped: Result<Swapped, _> = operator.admin(&AdminRequest::Swap { bundle, force: true });
        failures += usize::from(swapped.is_err());
        swaps += 1;
    }
    Ok((swaps, failures))
}
