//! `haggle config`.

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use std::path::PathBuf;

/// What can be done with configs.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print each value of a config file and where it came from.
    Show(Show),
    /// Print the JSON schema of a kind of config file, for editors and checkers.
    Schema(Schema),
}

/// Arguments of `haggle config show`.
#[derive(Debug, Args)]
pub struct Show {
    /// The config file.
    pub config: PathBuf,
    /// Override one value. Repeatable.
    #[arg(long = "set", value_name = "A.B=VALUE")]
    pub sets: Vec<String>,
    /// What the file is about, where its names do not say.
    #[arg(long = "as", value_name = "KIND")]
    pub kind: Option<ConfigKind>,
}

/// The kinds of config files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ConfigKind {
    /// How a policy is learnt, with the environment that it names.
    Train,
    /// An environment: a market, a probe, or replayed sessions.
    Env,
    /// How a policy is improved on its log.
    Tune,
    /// What a candidate must show.
    Gate,
    /// Which settings are tried.
    Sweep,
}

/// Arguments of `haggle config schema`.
#[derive(Debug, Args)]
pub struct Schema {
    /// The kind of config file; without it all of them, by name.
    pub kind: Option<ConfigKind>,
}
