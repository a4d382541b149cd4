//! `haggle`: the researcher's program.

mod args;
mod config;
mod console;
mod daemon;
mod demo;
mod evaluate;
mod failure;
mod fit;
mod gate;
mod import;
mod oracle;
mod output;
mod plan;
mod runs;
mod scene;
mod shoppers;
mod train;
mod tune;
mod value;
mod weeks;

use args::{Cli, Command, ConfigCommand};
use clap::{CommandFactory, Parser};
use failure::Failure;
use output::Output;
use plan::Plan;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything asks libtorch about CUDA: a question too early fixes the answer at "none".
    haggle_learn::load_cuda();
    let cli = Cli::parse();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            Output::new(cli.json).progress(format_args!("haggle: {failure}"));
            failure.exit_code()
        }
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let output = Output::new(cli.json);
    match &cli.command {
        Command::Import(import) => import::run(import, output),
        Command::Fit(args) => fit::run(args, output),
        Command::Train(args) => train::run(args, output),
        Command::Evaluate(args) => evaluate::run(args, output),
        Command::Oracle(args) => oracle::run(args, output),
        Command::Tune(args) => tune::run(args, output),
        Command::Gate(args) => gate::run(args, output),
        Command::Segments(args) => import::segments(args, output),
        Command::Runs(args) => runs::run(args, output),
        Command::Config(ConfigCommand::Show { config, sets }) => show(config, sets, output),
        Command::Demo(args) => demo::run(args, output),
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut Cli::command(), "haggle", &mut std::io::stdout());
            Ok(())
        }
    }
}

/// `haggle config show`: each value and where it came from.
fn show(config: &std::path::Path, sets: &[String], output: Output) -> Result<(), Failure> {
    let (_, origins) = Plan::read(config, sets)?;
    let width = origins.iter().map(|(name, _, _)| name.len()).max().unwrap_or(0);
    let rows: Vec<String> = origins
        .iter()
        .map(|(name, value, origin)| format!("{name:<width$}  {origin:<7}  {value}"))
        .collect();
    output.result(rows.join("\n"), &origins);
    Ok(())
}
