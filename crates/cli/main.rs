//! `haggle`: the researcher's program.

mod aligned;
mod args;
mod bandit;
mod bandit_bundle;
mod bench_bandits;
mod bench_quality;
mod bench_serve;
mod bench_train;
mod bundle;
mod compare;
mod console;
mod curves;
mod daemon;
mod demo;
mod doctor;
mod env_file;
mod evaluate;
mod failure;
mod fit;
mod gate;
mod going_on;
mod group;
mod import;
mod jobs;
mod market_run;
mod market_worth;
mod oracle;
mod output;
mod peers;
mod plan;
mod price_list;
mod price_plot;
mod q_learning;
mod replay_run;
mod report;
mod run_policy;
mod runs;
mod scene;
mod schema;
mod seat;
mod seed_list;
mod seeds;
mod shoppers;
mod show;
mod stream;
mod sweep;
mod train;
mod training;
mod tune;
mod value;
mod weeks;

use args::bench::BenchCommand;
use args::config::ConfigCommand;
use args::{Cli, Command};
use clap::{CommandFactory, Parser};
use failure::{Failure, Kind};
use output::Output;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything asks libtorch about CUDA: a question too early fixes the answer at "none".
    haggle_learn::load_cuda();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse_command_line(&error),
    };
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            Output::new(cli.json).failure(&failure);
            failure.exit_code()
        }
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let output = Output::new(cli.json);
    match &cli.command {
        Command::Import(import) => import::run(import, output),
        Command::Fit(args) => fit::run(args, output),
        Command::Train(args) => match &args.seeds {
            Some(list) => seeds::run(args, list, output),
            None => train::run(args, output),
        },
        Command::Bundle(args) => bundle::run(args, output),
        Command::Sweep(args) => sweep::run(args, output),
        Command::Evaluate(args) => evaluate::run(args, output),
        Command::Compare(args) => compare::run(args, output),
        Command::Report(args) => report::run(args, output),
        Command::Oracle(args) => oracle::run(args, output),
        Command::QLearning(args) => q_learning::run(args, output),
        Command::Tune(args) => tune::run(args, output),
        Command::Gate(args) => gate::run(args, output),
        Command::Segments(args) => import::segments(args, output),
        Command::Runs(args) => runs::run(args, output),
        Command::Bandit(command) => bandit::run(command, output),
        Command::Bench(BenchCommand::Train(args)) => bench_train::run(args, output),
        Command::Bench(BenchCommand::Quality(args)) => bench_quality::run(args, output),
        Command::Bench(BenchCommand::Bandits(args)) => bench_bandits::run(args, output),
        Command::Bench(BenchCommand::Serve(args)) => bench_serve::run(args, output),
        Command::Config(ConfigCommand::Show(args)) => show::run(args, output),
        Command::Config(ConfigCommand::Schema(args)) => schema::run(args, output),
        Command::Doctor(args) => doctor::run(args, output),
        Command::Demo(args) => demo::run(args, output),
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut Cli::command(), "haggle", &mut std::io::stdout());
            Ok(())
        }
    }
}

/// Help and version go to standard output; a wrong command line is a failure like any other where `--json` stands in it.
fn refuse_command_line(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && std::env::args().any(|word| word == "--json") {
        let failure = Failure::say(Kind::Usage, one_sentence(&error.to_string()));
        Output::new(true).failure(&failure);
        return failure.exit_code();
    }
    error.exit()
}

/// The first paragraph of clap's message on one line: which arguments are missing stands below "were not provided:".
fn one_sentence(message: &str) -> String {
    let lines = message.lines().map(str::trim).take_while(|line| !line.is_empty());
    let sentence = lines.collect::<Vec<_>>().join(" ");
    sentence.trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_argument_is_named_on_the_one_line() {
        let error = Cli::try_parse_from(["haggle", "train", "--json"]).expect_err("no config");
        assert_eq!(
            one_sentence(&error.to_string()),
            "the following required arguments were not provided: <CONFIG>"
        );
    }
}
