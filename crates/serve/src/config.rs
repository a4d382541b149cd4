//! `haggled config`: what the daemon's files say, checked, and what they may say.

use crate::args::{ConfigCommand, ConfigKind};
use crate::{print, say};
use clap::ValueEnum;
use haggle_config::{Origin, open, table};
use haggle_core::Rulebook;
use haggle_serve::{DaemonConfig, load_rulebook};
use schemars::{Schema, generate::SchemaSettings};
use std::collections::BTreeMap;
use std::path::Path;

/// The tables of a rulebook, none of which the configuration has.
const OF_RULEBOOKS: [&str; 4] = ["segment_by", "all", "category", "item"];

/// `haggled config`.
pub fn run(command: ConfigCommand) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Show { file, kind, json } => {
            let origins = origins(&file, kind)?;
            print(&origins, json, || table(&origins))
        }
        ConfigCommand::Schema { kind: Some(kind) } => say(serde_json::to_string_pretty(&of(kind))?),
        ConfigCommand::Schema { kind: None } => {
            let kinds = ConfigKind::value_variants().iter();
            let all: BTreeMap<ConfigKind, Schema> = kinds.map(|kind| (*kind, of(*kind))).collect();
            say(serde_json::to_string_pretty(&all)?)
        }
    }
}

/// Names of items and categories are compared with a catalogue when a daemon starts: no bundle is at hand here.
fn origins(file: &Path, kind: Option<ConfigKind>) -> anyhow::Result<Vec<Origin>> {
    let kind = match kind {
        Some(kind) => kind,
        None if open(file, &[])?
            .keys()
            .iter()
            .any(|key| OF_RULEBOOKS.contains(key)) =>
        {
            ConfigKind::Guardrails
        }
        None => ConfigKind::Daemon,
    };
    Ok(match kind {
        ConfigKind::Daemon => DaemonConfig::load(file)?.origins()?,
        ConfigKind::Guardrails => load_rulebook(file)?.origins()?,
    })
}

fn of(kind: ConfigKind) -> Schema {
    let generator = SchemaSettings::draft2020_12().into_generator();
    match kind {
        ConfigKind::Daemon => generator.into_root_schema_for::<DaemonConfig>(),
        ConfigKind::Guardrails => generator.into_root_schema_for::<Rulebook>(),
    }
}
