//! `haggled bench`: how fast a daemon answers, as ratios to a bare echo over the same kind of socket in the same run.

pub mod acks;
mod drive;
mod house;
pub mod start;

use drive::{Echo, Times, in_turn, many, pipelined};
use haggle_serve::{AdminRequest, Client, Swapped, admin_path};
use house::House;
use serde::Serialize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Connections of the crowded run.
const CROWD: usize = 16;
/// Requests on the way in the pipelined run, for each of two connections.
const DEPTH: usize = 64;
/// Swaps during the run under load.
const SWAPS: usize = 100;

/// What was measured. Times in microseconds, rates per second.
#[derive(Debug, Serialize)]
pub struct Report {
    echo: Times,
    packed: Times,
    packed_to_echo_p50: f64,
    json: Times,
    crowd_echo: Times,
    crowd: Times,
    crowd_to_echo_p99: f64,
    pipelined_per_second: f64,
    swaps: usize,
    swap_failures: usize,
    crowd_under_swaps: Times,
    swapping_p99_ratio: f64,
}

/// Measures everything, `seconds` for each line of the report.
pub fn bench(seconds: f64) -> anyhow::Result<Report> {
    let length = Duration::from_secs_f64(seconds);
    let echo = Echo::start()?;
    let house = House::start()?;
    let (packed_requests, lines) = (house.frames(), house.lines());
    let echo_alone = in_turn(&echo.path, &echo.requests(), length)?;
    let packed = in_turn(&house.socket, &packed_requests, length)?;
    let json = in_turn(&house.socket, &lines, length)?;
    let crowd_echo = many(CROWD, &echo.path, &echo.requests(), length)?;
    let crowd = many(CROWD, &house.socket, &packed_requests, length)?;
    let pipelined_per_second = pipelined(2, DEPTH, &house.socket, &packed_requests, length)?;
    let done = AtomicBool::new(false);
    let (under_swaps, swapped) = std::thread::scope(|scope| {
        let swapper = scope.spawn(|| swap_until(&house, &done));
        let times = many(CROWD, &house.socket, &packed_requests, length);
        done.store(true, Ordering::Relaxed);
        let swapped = swapper
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (times, swapped)
    });
    let (under_swaps, (swaps, swap_failures)) = (under_swaps?, swapped?);
    Ok(Report {
        packed_to_echo_p50: packed.p50_us / echo_alone.p50_us,
        crowd_to_echo_p99: crowd.p99_us / crowd_echo.p99_us,
        swapping_p99_ratio: under_swaps.p99_us / crowd.p99_us,
        echo: echo_alone,
        packed,
        json,
        crowd_echo,
        crowd,
        pipelined_per_second,
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

impl Report {
    /// The report for people.
    pub fn text(&self) -> String {
        let row = |what: &str, times: &Times, ratio: String| {
            format!(
                "{what:<34} {:>9.0}/s   p50 {:>7.1} us   p99 {:>8.1} us   {ratio}\n",
                times.per_second, times.p50_us, times.p99_us
            )
        };
        let mut text = row("bare echo, 1 connection", &self.echo, String::new());
        text += &row(
            "frames, 1 connection",
            &self.packed,
            format!("p50 {:.2} x echo", self.packed_to_echo_p50),
        );
        text += &row("JSON lines, 1 connection", &self.json, String::new());
        text += &row("bare echo, 16 connections", &self.crowd_echo, String::new());
        text += &row(
            "frames, 16 connections",
            &self.crowd,
            format!("p99 {:.2} x echo", self.crowd_to_echo_p99),
        );
        let swapping = format!(
            "p99 {:.2} x without; {} swaps, {} failed",
            self.swapping_p99_ratio, self.swaps, self.swap_failures
        );
        text += &row(
            "the same while bundles are swapped",
            &self.crowd_under_swaps,
            swapping,
        );
        text + &format!(
            "{:<34} {:>9.0}/s   2 connections, {DEPTH} requests on the way each",
            "frames, pipelined", self.pipelined_per_second
        )
    }
}
