//! What is done with a shop's history: import, fit, segments.

use crate::weeks::Weeks;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What can be imported.
#[derive(Debug, Subcommand)]
pub enum Import {
    /// The Complete Journey: sessions, lines, catalog and promotions as CSV, plain or gzipped.
    CompleteJourney(ImportFrom),
    /// Segments that a daemon exported.
    Segments(ImportFrom),
}

/// From where to where.
#[derive(Debug, Args)]
pub struct ImportFrom {
    /// The folder with the files.
    pub folder: PathBuf,
    /// The session store to create: a folder.
    #[arg(long)]
    pub out: PathBuf,
    /// Replace a session store that stands there already.
    #[arg(long)]
    pub overwrite: bool,
}

/// Arguments of `haggle fit`.
#[derive(Debug, Args)]
pub struct Fit {
    /// The session store.
    pub store: PathBuf,
    /// The demand model to write: a file.
    #[arg(long)]
    pub out: PathBuf,
    /// Weeks to fit on.
    #[arg(long, default_value = "1-30")]
    pub train_weeks: Weeks,
    /// Weeks to judge on; later than the weeks to fit on.
    #[arg(long, default_value = "31-40")]
    pub test_weeks: Weeks,
    /// Members of the ensemble besides the point estimate, 8 or more.
    #[arg(long, default_value_t = 8)]
    pub members: usize,
    /// Root of every random number.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Arguments of `haggle segments`.
#[derive(Debug, Args)]
pub struct Segments {
    /// The session store.
    pub store: PathBuf,
    /// The weeks whose purchases to write.
    #[arg(long, default_value = "1-30")]
    pub weeks: Weeks,
    /// The folder to create.
    #[arg(long)]
    pub out: PathBuf,
}
