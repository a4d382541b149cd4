//! `haggle config show`: each value of a config file, checked, and where it came from.

use crate::args::config::{ConfigKind, Show};
use crate::env_file::EnvFile;
use crate::failure::{Failure, Kind, OrFail};
use crate::output::Output;
use crate::plan::Plan;
use crate::{gate, sweep, tune};
use haggle_config::{Origin, Source};
use haggle_eval::GateConfig;
use haggle_learn::TuneConfig;
use serde::Serialize;

/// `haggle config show`.
pub fn run(args: &Show, output: Output) -> Result<(), Failure> {
    let origins = origins(args)?;
    output.result(haggle_config::table(&origins), &origins);
    Ok(())
}

fn origins(args: &Show) -> Result<Vec<Origin>, Failure> {
    let (path, sets) = (&args.config, &args.sets);
    let kind = match args.kind {
        Some(kind) => kind,
        None => kind_of(&haggle_config::open(path, &[])?)?,
    };
    match kind {
        ConfigKind::Train => Ok(Plan::read(path, sets)?.1),
        ConfigKind::Env => EnvFile::load(path, sets)?.origins().or_fail(Kind::Usage),
        ConfigKind::Tune => tune::read_config(path, sets)?.origins().or_fail(Kind::Usage),
        ConfigKind::Sweep => sweep::read(path, sets)?.origins().or_fail(Kind::Usage),
        ConfigKind::Gate => gate::read_config(path, sets)?.origins().or_fail(Kind::Usage),
    }
}

/// What a file is about, by the names at its top.
fn kind_of(source: &Source) -> Result<ConfigKind, Failure> {
    let keys = source.keys();
    let known = |fields: &[String]| {
        keys.iter()
            .filter(|key| fields.iter().any(|field| field == *key))
            .count()
    };
    let tune = known(&fields(&TuneConfig::default())?);
    let gate = known(&fields(&GateConfig::default())?);
    if keys.contains(&"env") {
        Ok(ConfigKind::Train)
    } else if keys.contains(&"kind") || keys.contains(&"problem") {
        Ok(ConfigKind::Env)
    } else if keys.contains(&"space") {
        Ok(ConfigKind::Sweep)
    } else if tune > gate {
        Ok(ConfigKind::Tune)
    } else if gate > tune {
        Ok(ConfigKind::Gate)
    } else {
        Err(source
            .fault(
                "",
                "which kind of config this is cannot be seen; say --as train, env, tune, gate or sweep",
            )
            .into())
    }
}

fn fields(config: &impl Serialize) -> Result<Vec<String>, Failure> {
    let rows = haggle_config::rows(config).or_fail(Kind::Usage)?;
    Ok(rows.into_iter().map(|(name, _)| name).collect())
}
