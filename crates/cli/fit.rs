use crate::args::history::Fit;
use crate::failure::{Failure, Kind, OrFail};
use crate::output::Output;
use crate::scene::{check_weeks, read_sessions};
use haggle_demand::{FitConfig, FitReport, fit};
use haggle_history::{Replay, Selection};
use serde::Serialize;
use std::path::Path;

#[derive(Serialize)]
struct Told<'a> {
    out: &'a Path,
    #[serde(flatten)]
    report: &'a FitReport,
}

/// `haggle fit`: a demand model, and how honest it is on later weeks.
pub fn run(args: &Fit, output: Output) -> Result<(), Failure> {
    let (train_weeks, test_weeks) = (args.train_weeks.range(), args.test_weeks.range());
    if test_weeks.start < train_weeks.end {
        let sentence = format!(
            "--test-weeks {} must lie after --train-weeks {}: a model is judged on the future",
            args.test_weeks, args.train_weeks
        );
        return Err(Failure::say(Kind::Usage, sentence));
    }
    if args.members < 8 {
        return Err(Failure::say(
            Kind::Usage,
            format!("--members {}: an ensemble needs at least 8", args.members),
        ));
    }
    let history = read_sessions(&args.store, output)?;
    for (name, weeks) in [("--train-weeks", &train_weeks), ("--test-weeks", &test_weeks)] {
        check_weeks(&history, &args.store, name, weeks)?;
    }
    let selection = Selection::choose(&history, train_weeks.clone());
    let replay = Replay::new(&history, &selection);
    output.progress(format_args!(
        "fitting    {} categories, {} sessions, weeks {}",
        selection.categories.len(),
        history.sessions_in(&train_weeks).len(),
        args.train_weeks
    ));
    let config = FitConfig {
        train_weeks,
        members: args.members + 1,
        seed: args.seed,
        ..FitConfig::default()
    };
    let model = fit(&history, &selection, &replay, &config).or_fail(Kind::Data)?;
    output.progress(format_args!("judging    on weeks {}", args.test_weeks));
    let report =
        FitReport::measure(&model, &history, &selection, &replay, &test_weeks).or_fail(Kind::Data)?;
    model.save(&args.out).or_fail(Kind::Data)?;
    output.result(
        format_args!("{report}\nmodel    {}", args.out.display()),
        &Told {
            out: &args.out,
            report: &report,
        },
    );
    Ok(())
}
