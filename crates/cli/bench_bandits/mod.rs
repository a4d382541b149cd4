//! `haggle bench bandits`: bandits on markets whose optimum is known, and on made-up streams.

mod goals;
mod made;
mod market;
mod shop;
mod streams;

use crate::args::bench::BenchBandits;
use crate::failure::{Failure, Kind, OrFail};
use crate::output::Output;

/// `haggle bench bandits`.
pub fn run(args: &BenchBandits, output: Output) -> Result<(), Failure> {
    if let Some(visits) = args.streams {
        let rows = streams::rows(visits as usize, args.seeds).or_fail(Kind::Data)?;
        output.result(streams::table(&rows), &rows);
        return Ok(());
    }
    let mut rows = Vec::new();
    for measure in goals::ALL {
        rows.extend(measure(args.seeds)?);
        output.progress(goals::table(&rows[rows.len() - 1..]).trim_end());
    }
    output.result(goals::table(&rows), &rows);
    let short = rows.iter().filter(|row| !row.passes).count();
    if short > 0 {
        return Err(Failure::say(
            Kind::Refused,
            format!("{short} of {} targets are missed", rows.len()),
        ));
    }
    Ok(())
}
