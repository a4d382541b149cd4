use crate::args::history::{Import, ImportFrom, Segments};
use crate::failure::{Failure, Kind, OrFail};
use crate::output::Output;
use haggle_core::Digest;
use haggle_history::{
    History, ImportReport, Selection, import_complete_journey, import_segments, write_segments,
};
use serde::Serialize;
use std::path::Path;

/// What an import tells programs.
#[derive(Serialize)]
struct Told<'a> {
    store: &'a Path,
    digest: Digest,
    sessions: usize,
    lines: usize,
    items: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<&'a ImportReport>,
}

/// `haggle import`.
pub fn run(import: &Import, output: Output) -> Result<(), Failure> {
    match import {
        Import::CompleteJourney(from) => {
            let (history, report) = import_complete_journey(&from.folder).or_fail(Kind::Data)?;
            finish(from, &history, Some(&report), output)
        }
        Import::Segments(from) => {
            let offers = import_segments(&from.folder).or_fail(Kind::Data)?;
            let history = History::from_offers(offers).or_fail(Kind::Data)?;
            finish(from, &history, None, output)
        }
    }
}

fn finish(
    from: &ImportFrom,
    history: &History,
    report: Option<&ImportReport>,
    output: Output,
) -> Result<(), Failure> {
    history.save(&from.out, from.overwrite).or_fail(Kind::Data)?;
    let told = Told {
        store: &from.out,
        digest: history.digest,
        sessions: history.sessions.len(),
        lines: history.lines.len(),
        items: history.items.len(),
        report,
    };
    let people = report.map_or_else(
        || {
            format!(
                "{} sessions, {} lines, {} items",
                told.sessions, told.lines, told.items
            )
        },
        ToString::to_string,
    );
    output.result(
        format_args!(
            "{people}\nstore    {} ({})",
            from.out.display(),
            told.digest.short()
        ),
        &told,
    );
    Ok(())
}

/// `haggle segments`: the purchases of some weeks, to prime a daemon with.
pub fn segments(args: &Segments, output: Output) -> Result<(), Failure> {
    let history = History::load(&args.store).or_fail(Kind::Data)?;
    let selection = Selection::choose(&history, args.weeks.range());
    let offers = write_segments(&history, &selection, &args.weeks.range(), &args.out).or_fail(Kind::Data)?;
    #[derive(Serialize)]
    struct Told<'a> {
        folder: &'a Path,
        offers: usize,
    }
    let told = Told {
        folder: &args.out,
        offers,
    };
    output.result(format_args!("{offers} offers in {}", args.out.display()), &told);
    Ok(())
}
