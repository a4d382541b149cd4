use crate::args::bench::BenchServe;
use crate::daemon::haggled;
use crate::failure::{Failure, Kind};
use crate::output::Output;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// `haggle bench serve`: this process becomes `haggled bench`, so that output, signals and exit code are the daemon's own.
pub fn run(args: &BenchServe, output: Output) -> Result<(), Failure> {
    let program = haggled()?;
    let json = output.is_json().then_some("--json");
    let error = Command::new(&program)
        .arg("bench")
        .args(&args.args)
        .args(json)
        .exec();
    let sentence = format!("cannot start {}: {error}", program.display());
    Err(Failure::say(Kind::Data, sentence))
}
