//! `haggle bench quality`: how long whole training runs take, process start included, how soon the first update is done, and how
//! near they come to the optimum.

use crate::args::bench::BenchQuality;
use crate::failure::{Failure, Kind, OrFail};
use crate::output::Output;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

/// What `haggle train --json` says of a run in a market.
#[derive(Debug, Deserialize)]
struct Told {
    score: Option<Score>,
}

#[derive(Debug, Deserialize)]
struct Score {
    /// Of the last policy to the optimum.
    ratio: f64,
}

#[derive(Debug, Serialize)]
struct Trained {
    seed: u64,
    /// From the start of the process to the end of its first roll-out and update.
    first_update_s: f64,
    /// From the start of the process to its end.
    wall_s: f64,
    /// Exact value of the last policy over the optimum.
    optimum_share: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    runs: Vec<Trained>,
    first_update_s_max: f64,
    wall_s_max: f64,
    optimum_share_min: f64,
}

/// Trains each seed in a process of its own.
pub fn run(args: &BenchQuality, output: Output) -> Result<(), Failure> {
    let mut runs = Vec::new();
    for seed in 1..=args.seeds {
        let run = train(args, seed)?;
        output.progress(format_args!(
            "seed {seed}: {:.4} of the optimum after {:.2} s, the first update after {:.2} s",
            run.optimum_share, run.wall_s, run.first_update_s
        ));
        runs.push(run);
    }
    let report = Report {
        first_update_s_max: runs.iter().map(|run| run.first_update_s).fold(0.0, f64::max),
        wall_s_max: runs.iter().map(|run| run.wall_s).fold(0.0, f64::max),
        optimum_share_min: runs
            .iter()
            .map(|run| run.optimum_share)
            .fold(f64::INFINITY, f64::min),
        runs,
    };
    output.result(report.table(), &report);
    Ok(())
}

fn train(args: &BenchQuality, seed: u64) -> Result<Trained, Failure> {
    let program = std::env::current_exe()
        .context("cannot find this program's own file")
        .or_fail(Kind::Usage)?;
    let runs = tempfile::tempdir()
        .context("cannot make a folder for runs")
        .or_fail(Kind::Data)?;
    let mut command = Command::new(program);
    command.args(["--json", "train"]).arg(&args.config);
    let own = [
        format!("learner.seed={seed}"),
        format!("runs={}", runs.path().display()),
    ];
    for set in args.sets.iter().chain(&own) {
        command.args(["--set", set]);
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = Instant::now();
    let mut child = command
        .spawn()
        .context("cannot start a training run")
        .or_fail(Kind::Usage)?;
    let (mut first_update_s, mut last) = (f64::NAN, "the training run failed".to_owned());
    for line in child
        .stderr
        .take()
        .into_iter()
        .flat_map(|told| BufReader::new(told).lines())
    {
        last = line.context("cannot hear a training run").or_fail(Kind::Data)?;
        // The head of the table of progress comes with its first row.
        if first_update_s.is_nan() && last.trim_start().starts_with("steps ") {
            first_update_s = started.elapsed().as_secs_f64();
        }
    }
    let ended = child
        .wait_with_output()
        .context("cannot wait for a training run")
        .or_fail(Kind::Data)?;
    let wall_s = started.elapsed().as_secs_f64();
    if !ended.status.success() {
        return Err(Failure::say(Kind::Data, last.trim_start_matches("haggle: ")));
    }
    let text = String::from_utf8_lossy(&ended.stdout);
    let told: Told = serde_json::from_str(text.lines().last().unwrap_or_default())
        .context("a training run said something else than expected")
        .or_fail(Kind::Data)?;
    let score = told.score.ok_or_else(|| {
        let sentence = format!(
            "{}: no exact optimum is known to measure against",
            args.config.display()
        );
        Failure::say(Kind::Usage, sentence)
    })?;
    Ok(Trained {
        seed,
        first_update_s,
        wall_s,
        optimum_share: score.ratio,
    })
}

impl Report {
    fn table(&self) -> String {
        let mut text = String::from("seed  of optimum  first update s  wall s\n");
        for run in &self.runs {
            let _ = writeln!(
                text,
                "{:>4}  {:>10.4}  {:>14.2}  {:>6.2}",
                run.seed, run.optimum_share, run.first_update_s, run.wall_s
            );
        }
        let _ = writeln!(
            text,
            "worst {:>10.4}  {:>14.2}  {:>6.2}",
            self.optimum_share_min, self.first_update_s_max, self.wall_s_max
        );
        text
    }
}
