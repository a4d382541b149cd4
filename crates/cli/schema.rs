//! `haggle config schema`: what a config file may hold, as a JSON schema made from the very types that read it.

use crate::args::config::{ConfigKind, Schema as Arguments};
use crate::env_file::EnvFile;
use crate::failure::{Failure, Kind, OrFail};
use crate::output::Output;
use crate::plan::TrainFile;
use crate::sweep::file::SweepFile;
use clap::ValueEnum;
use haggle_eval::GateConfig;
use haggle_learn::TuneConfig;
use schemars::{Schema, generate::SchemaSettings};
use serde::Serialize;
use std::collections::BTreeMap;

/// `haggle config schema`.
pub fn run(args: &Arguments, output: Output) -> Result<(), Failure> {
    match args.kind {
        Some(kind) => print(output, &of(kind)),
        None => {
            let all: BTreeMap<ConfigKind, Schema> = ConfigKind::value_variants()
                .iter()
                .map(|kind| (*kind, of(*kind)))
                .collect();
            print(output, &all)
        }
    }
}

/// For people on many lines, for programs on one.
fn print(output: Output, schema: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(schema).or_fail(Kind::Usage)?;
    output.result(text, schema);
    Ok(())
}

fn of(kind: ConfigKind) -> Schema {
    let generator = SchemaSettings::draft2020_12().into_generator();
    match kind {
        ConfigKind::Train => generator.into_root_schema_for::<TrainFile>(),
        ConfigKind::Env => generator.into_root_schema_for::<EnvFile>(),
        ConfigKind::Tune => generator.into_root_schema_for::<TuneConfig>(),
        ConfigKind::Sweep => generator.into_root_schema_for::<SweepFile>(),
        ConfigKind::Gate => generator.into_root_schema_for::<GateConfig>(),
    }
}
