use crate::args::Runs;
use crate::failure::{Failure, Kind, OrFail};
use crate::output::Output;
use haggle_learn::list_runs;

/// `haggle runs`: the runs of a folder, oldest first.
pub fn run(args: &Runs, output: Output) -> Result<(), Failure> {
    let runs = list_runs(&args.folder).or_fail(Kind::Data)?;
    let mut table = format!("{:<58} {:<12} {:>12}  started", "run", "status", "steps");
    for run in &runs {
        let status = format!("{:?}", run.status).to_lowercase();
        table += &format!(
            "\n{:<58} {:<12} {:>12}  {}",
            run.name, status, run.steps, run.started
        );
    }
    output.result(table, &runs);
    Ok(())
}
