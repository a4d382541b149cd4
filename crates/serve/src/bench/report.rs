use crate::bench::drive::Times;
use crate::bench::{CROWD, DEPTH, PIPES};
use serde::Serialize;
use std::collections::BTreeMap;

/// What was measured. Times in microseconds, rates per second; everything with frames but for `json`.
#[derive(Debug, Serialize)]
pub struct Report {
    pub echo: Times,
    pub packed: Times,
    pub packed_to_echo_p50: f64,
    /// As `packed`, with bandits in place of the network.
    pub bandit: Times,
    pub bandit_to_packed_p50: f64,
    pub json: Times,
    pub json_to_echo_rate: f64,
    pub crowd_echo: Times,
    /// Where `redis-server` is on the PATH.
    pub crowd_redis: Option<Times>,
    pub crowd: Times,
    pub crowd_to_echo_p99: f64,
    pub crowd_to_redis_p99: Option<f64>,
    pub echo_pipelined_per_second: f64,
    pub pipelined_per_second: f64,
    pub pipelined_to_echo_rate: f64,
    /// Processor time of one pipelined decision, by the daemon's threads.
    pub pipelined_each_us: BTreeMap<String, f64>,
    pub swaps: usize,
    pub swap_failures: usize,
    pub crowd_under_swaps: Times,
    pub swapping_p99_ratio: f64,
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
        let flow = |what: &str, per_second: f64, ratio: String| {
            format!("{what:<34} {per_second:>9.0}/s   {PIPES} connections, {DEPTH} on the way each{ratio}\n")
        };
        let mut text = row("bare echo, 1 connection", &self.echo, String::new());
        let ratio = format!("p50 {:.2} x echo", self.packed_to_echo_p50);
        text += &row("frames, 1 connection", &self.packed, ratio);
        let ratio = format!("p50 {:.2} x the network's", self.bandit_to_packed_p50);
        text += &row("the same with a logit-ts bandit", &self.bandit, ratio);
        let ratio = format!("rate {:.2} x echo", self.json_to_echo_rate);
        text += &row("JSON lines, 1 connection", &self.json, ratio);
        text += &row(
            &format!("bare echo, {CROWD} connections"),
            &self.crowd_echo,
            String::new(),
        );
        let mut ratio = format!("p99 {:.2} x echo", self.crowd_to_echo_p99);
        if let (Some(redis), Some(to_redis)) = (&self.crowd_redis, self.crowd_to_redis_p99) {
            text += &row(&format!("redis GET, {CROWD} connections"), redis, String::new());
            ratio += &format!(", {to_redis:.2} x redis");
        }
        text += &row(&format!("frames, {CROWD} connections"), &self.crowd, ratio);
        let swapping = format!(
            "p99 {:.2} x without; {} swaps, {} failed",
            self.swapping_p99_ratio, self.swaps, self.swap_failures
        );
        text += &row(
            "the same while bundles are swapped",
            &self.crowd_under_swaps,
            swapping,
        );
        text += &flow(
            "bare echo, pipelined",
            self.echo_pipelined_per_second,
            String::new(),
        );
        let ratio = format!("; {:.3} x echo", self.pipelined_to_echo_rate);
        text += &flow("frames, pipelined", self.pipelined_per_second, ratio);
        let used = self.pipelined_each_us.iter().filter(|(_, us)| **us >= 0.005);
        let used = used.map(|(name, us)| format!("{name} {us:.2} us"));
        text + &format!(
            "processor time of one of these: {}",
            used.collect::<Vec<_>>().join(", ")
        )
    }
}
