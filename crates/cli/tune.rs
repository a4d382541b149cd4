use crate::args::Tune;
use crate::failure::{Failure, Kind, OrFail, must_exist};
use crate::output::Output;
use haggle_config::Loaded;
use haggle_core::{Digest, Offer, Policy, SEGMENT_EXTENSION};
use haggle_history::import_segments;
use haggle_learn::{ConfigError, TuneConfig, TuneReport, tune};
use haggle_policy::{Bundle, DataSource};
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Serialize)]
struct Told<'a> {
    candidate: &'a Path,
    digest: Digest,
    parent: Digest,
    #[serde(flatten)]
    report: &'a TuneReport,
}

/// `haggle tune`.
pub fn run(args: &Tune, output: Output) -> Result<(), Failure> {
    let config = read_config(&args.config, &args.sets)?.value;
    must_exist(&args.bundle)?;
    let incumbent = Bundle::load(&args.bundle).or_fail(Kind::Data)?;
    let (candidate, report, path) = improve(&incumbent, &config, &args.segments, &args.out)?;
    let told = Told {
        candidate: &path,
        digest: candidate.digest(),
        parent: incumbent.digest(),
        report: &report,
    };
    output.result(people(&path, &report), &told);
    Ok(())
}

/// Tunes a bundle on the offers of a log that are not kept for judging; writes the candidate into a folder.
pub fn improve(
    incumbent: &Bundle,
    config: &TuneConfig,
    log: &Path,
    out: &Path,
) -> Result<(Bundle, TuneReport, PathBuf), Failure> {
    let (mut offers, sources) = read_log(log)?;
    offers.retain(|offer| !offer.judges());
    let (candidate, report) = tune(incumbent, &offers, sources, config)?;
    let (_, path) = candidate.write(out).or_fail(Kind::Data)?;
    Ok((candidate, report, path))
}

/// Reads and checks a file like `configs/tune.toml`.
pub fn read_config(path: &Path, sets: &[String]) -> Result<Loaded<TuneConfig>, Failure> {
    let loaded: Loaded<TuneConfig> = haggle_config::load(path, sets)?;
    let fault = |error: ConfigError| loaded.source.fault(error.field(), error.to_string());
    loaded.value.validate().map_err(fault)?;
    Ok(loaded)
}

/// What a person reads.
pub fn people(path: &Path, report: &TuneReport) -> String {
    format!(
        "candidate {}\nlearnt on {} offers in {} occasions, one half of the users; divergence from the incumbent {:.4} nats\n\
         gain {:+.5} per offer on the very log it was tuned on (optimistic: ask the gate)\n\
         price index {:.4}, the incumbent's {:.4}",
        path.display(),
        report.offers,
        report.occasions,
        report.kl,
        report.gain_in_sample,
        report.price_index_candidate,
        report.price_index_incumbent
    )
}

/// All offers of a folder of segments, and the segments by name and digest.
pub fn read_log(folder: &Path) -> Result<(Vec<Offer>, Vec<DataSource>), Failure> {
    must_exist(folder)?;
    let offers = import_segments(folder).or_fail(Kind::Data)?;
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .or_fail_at(Kind::Data, folder)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == SEGMENT_EXTENSION)
        })
        .collect();
    paths.sort();
    let source = |path: &PathBuf| -> Result<DataSource, Failure> {
        let bytes = std::fs::read(path).or_fail_at(Kind::Data, path)?;
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Ok(DataSource {
            name,
            digest: Digest::of(&bytes),
        })
    };
    let sources = paths.iter().map(source).collect::<Result<_, Failure>>()?;
    Ok((offers, sources))
}
