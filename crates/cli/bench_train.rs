//! `haggle bench train`: how fast training is, by engine, beside other people's programs on the same machine.

use crate::args::bench::BenchTrain;
use crate::env_file::EnvFile;
use crate::failure::{Failure, Kind, OrFail};
use crate::output::Output;
use crate::peers::Peers;
use haggle_config::Loaded;
use haggle_env::market::{Market, MarketEnv};
use haggle_learn::{DeviceChoice, EngineChoice, Mappo, Phases, Schedule, TrainConfig};
use serde::Serialize;
use std::fmt::Write;
use std::time::Instant;

/// One program at one size of minibatch, over all rounds.
#[derive(Debug, Serialize)]
struct Contender {
    name: String,
    minibatch_rows: usize,
    /// Of each round.
    steps_per_second: Vec<f64>,
    median: f64,
    /// This program's speed over that of the fastest peer at this minibatch, round by round; median. None without peers.
    to_best_peer: Option<f64>,
    /// Microseconds of wall time per environment step, of the round with the median speed; ours only.
    split_us: Option<Split>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Split {
    environment: f64,
    inference: f64,
    training: f64,
    rest: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    copies: usize,
    horizon: usize,
    steps: u64,
    epochs: usize,
    threads: usize,
    device: DeviceChoice,
    rounds: u16,
    contenders: Vec<Contender>,
}

/// What is measured: ourselves with an engine, or a peer.
#[derive(Clone, Debug)]
enum Program {
    Haggle(EngineChoice),
    Peer(String),
}

struct Measured {
    steps_per_second: f64,
    split_us: Option<Split>,
}

/// Runs every program in turn, round after round, so that all of them meet the machine in the same minutes.
pub fn run(args: &BenchTrain, output: Output) -> Result<(), Failure> {
    let market: Loaded<Market> = EnvFile::load_market(&args.market, &args.sets)?;
    let peers = Peers::find(args.peers.as_deref(), &args.python)?;
    if peers.names().is_empty() {
        output.progress("no peers are measured: name their folder with --peers");
    }
    let bench = Bench {
        args,
        market: &market.value,
        peers: &peers,
    };
    let mut contenders = Vec::new();
    for minibatch_rows in &args.minibatch {
        contenders.extend(bench.rounds(*minibatch_rows, output)?);
    }
    let report = Report {
        copies: args.copies,
        horizon: args.horizon,
        steps: bench.config(EngineChoice::Auto, 1).steps,
        epochs: bench.config(EngineChoice::Auto, 1).epochs,
        threads: args.threads,
        device: args.device,
        rounds: args.rounds,
        contenders,
    };
    output.result(report.table(), &report);
    Ok(())
}

struct Bench<'a> {
    args: &'a BenchTrain,
    market: &'a Market,
    peers: &'a Peers,
}

impl Bench<'_> {
    fn programs(&self) -> Vec<Program> {
        let engines = self.args.engine.iter().copied().map(Program::Haggle);
        engines
            .chain(self.peers.names().iter().cloned().map(Program::Peer))
            .collect()
    }

    fn rounds(&self, minibatch_rows: usize, output: Output) -> Result<Vec<Contender>, Failure> {
        let programs = self.programs();
        let mut measured: Vec<Vec<Measured>> = programs.iter().map(|_| Vec::new()).collect();
        for round in 1..=self.args.rounds {
            for (program, measured) in programs.iter().zip(&mut measured) {
                let one = self.measure(program, minibatch_rows)?;
                output.progress(format_args!(
                    "round {round}, minibatch {minibatch_rows}: {:<14} {:>9.0} steps/s",
                    program.name(),
                    one.steps_per_second
                ));
                measured.push(one);
            }
        }
        let best = programs
            .iter()
            .zip(&measured)
            .filter(|(program, _)| program.is_peer());
        let best = best
            .map(|(_, measured)| speeds(measured))
            .max_by(|a, b| median(a).total_cmp(&median(b)));
        let contender = |(program, measured): (&Program, &Vec<Measured>)| {
            let steps_per_second = speeds(measured);
            let ratio = |best: &Vec<f64>| {
                let rounds = steps_per_second.iter().zip(best);
                median(&rounds.map(|(own, best)| own / best).collect::<Vec<_>>())
            };
            let middle = median(&steps_per_second);
            let typical = measured.iter().find(|one| one.steps_per_second == middle);
            Contender {
                name: program.name(),
                minibatch_rows,
                median: middle,
                to_best_peer: best.as_ref().map(ratio),
                split_us: typical.and_then(|one| one.split_us),
                steps_per_second,
            }
        };
        Ok(programs.iter().zip(&measured).map(contender).collect())
    }

    fn measure(&self, program: &Program, minibatch_rows: usize) -> Result<Measured, Failure> {
        match program {
            Program::Haggle(engine) => self.train(&self.config(*engine, minibatch_rows)),
            Program::Peer(name) => Ok(Measured {
                steps_per_second: self
                    .peers
                    .steps_per_second(name, &self.config(EngineChoice::Auto, minibatch_rows))?,
                split_us: None,
            }),
        }
    }

    /// The settings that all programs share; what only haggle has is off.
    fn config(&self, engine: EngineChoice, minibatch_rows: usize) -> TrainConfig {
        TrainConfig {
            steps: self.args.steps,
            copies: self.args.copies,
            horizon: self.args.horizon,
            epochs: 4,
            minibatch_rows,
            gamma: 1.0,
            lambda: 0.95,
            clip_ratio: 0.2,
            value_clip: 0.0,
            entropy: Schedule::constant(0.01),
            learning_rate: Schedule::constant(1e-3),
            hidden: vec![64, 64],
            target_kl: 0.0,
            exploration: 0.0,
            device: self.args.device,
            engine,
            threads: self.args.threads,
            ..TrainConfig::default()
        }
    }

    fn train(&self, config: &TrainConfig) -> Result<Measured, Failure> {
        let env = MarketEnv::new(self.market, config.copies).or_fail(Kind::Usage)?;
        let mut learner = Mappo::new(config.clone(), Box::new(env))?;
        let started = Instant::now();
        let mut spent = Phases::default();
        while !learner.finished() {
            let phases = learner.iterate()?.phases;
            spent.environment_s += phases.environment_s;
            spent.inference_s += phases.inference_s;
            spent.training_s += phases.training_s;
        }
        let (seconds, steps) = (started.elapsed().as_secs_f64(), learner.steps() as f64);
        let us = |seconds: f64| seconds / steps * 1e6;
        Ok(Measured {
            steps_per_second: steps / seconds,
            split_us: Some(Split {
                environment: us(spent.environment_s),
                inference: us(spent.inference_s),
                training: us(spent.training_s),
                rest: us(seconds - spent.environment_s - spent.inference_s - spent.training_s),
            }),
        })
    }
}

impl Program {
    fn name(&self) -> String {
        match self {
            Self::Haggle(engine) => format!("haggle {engine:?}").to_lowercase(),
            Self::Peer(name) => name.clone(),
        }
    }

    fn is_peer(&self) -> bool {
        matches!(self, Self::Peer(_))
    }
}

fn speeds(measured: &[Measured]) -> Vec<f64> {
    measured.iter().map(|one| one.steps_per_second).collect()
}

/// The middle one; of an even number the lower of the two in the middle.
fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
        .get(sorted.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or(f64::NAN)
}

impl Report {
    fn table(&self) -> String {
        let mut text = format!(
            "{} copies x {} steps, {} epochs, {} threads, {:?}, {} steps a run, {} rounds; medians\n\n",
            self.copies, self.horizon, self.epochs, self.threads, self.device, self.steps, self.rounds
        );
        let _ = writeln!(
            text,
            "minibatch  program         steps/s  of best peer   us a step: environment  inference  training  rest"
        );
        for one in &self.contenders {
            let ratio = one
                .to_best_peer
                .map_or_else(String::new, |ratio| format!("{ratio:.2}x"));
            let _ = write!(
                text,
                "{:>9}  {:<14} {:>8.0}  {ratio:>12}",
                one.minibatch_rows, one.name, one.median
            );
            if let Some(split) = &one.split_us {
                let _ = write!(
                    text,
                    "   {:>22.3} {:>10.3} {:>9.3} {:>5.3}",
                    split.environment, split.inference, split.training, split.rest
                );
            }
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_one_of_the_numbers() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.0);
        assert!(median(&[]).is_nan());
    }
}
