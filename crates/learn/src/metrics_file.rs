//! `metrics.jsonl`: one line per step at which something was measured.

use crate::LearnError;
use crate::error::io;
use crate::progress::Metrics;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

const METRICS: &str = "metrics.jsonl";

#[derive(Serialize, Deserialize)]
struct Line {
    step: u64,
    #[serde(flatten)]
    scalars: Metrics,
}

/// The file while lines are appended.
#[derive(Debug)]
pub(crate) struct MetricsFile {
    path: PathBuf,
    file: File,
}

impl MetricsFile {
    /// Opens or makes the file of a run.
    pub(crate) fn open(folder: &Path) -> Result<Self, LearnError> {
        let path = folder.join(METRICS);
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).open(&path);
        Ok(Self {
            file: file.map_err(io("open", &path))?,
            path,
        })
    }

    /// Opens the file of a run that goes on after `steps`: later lines, and one that a kill tore, are cut off.
    pub(crate) fn resume(folder: &Path, steps: u64) -> Result<Self, LearnError> {
        let path = folder.join(METRICS);
        let old = fs::read_to_string(&path).map_err(io("read", &path))?;
        let kept = lines(&old).filter(|(_, line)| line.step <= steps);
        let text: String = kept.flat_map(|(text, _)| [text, "\n"]).collect();
        replace(&path, text.as_bytes())?;
        Self::open(folder)
    }

    pub(crate) fn append(&mut self, step: u64, scalars: &Metrics) -> Result<(), LearnError> {
        let line = Line {
            step,
            scalars: scalars.clone(),
        };
        let written = serde_json::to_vec(&line)
            .map_err(std::io::Error::other)
            .and_then(|mut bytes| {
                bytes.push(b'\n');
                self.file.write_all(&bytes)
            });
        written.map_err(io("write", &self.path))
    }
}

/// The lines that are whole.
fn lines(text: &str) -> impl DoubleEndedIterator<Item = (&str, Line)> {
    text.lines()
        .filter_map(|line| Some((line, serde_json::from_str(line).ok()?)))
}

/// The last value of every tag in a run's `metrics.jsonl`; empty where nothing was recorded yet.
#[must_use]
pub fn last_metrics(folder: &Path) -> Metrics {
    let text = fs::read_to_string(folder.join(METRICS)).unwrap_or_default();
    lines(&text).flat_map(|(_, line)| line.scalars).collect()
}

/// The last step at which something was measured.
pub(crate) fn last_step(folder: &Path) -> u64 {
    let text = fs::read_to_string(folder.join(METRICS)).unwrap_or_default();
    lines(&text).next_back().map_or(0, |(_, line)| line.step)
}

/// Writes a file whole or not at all.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), LearnError> {
    let draft = path.with_extension("draft");
    fs::write(&draft, bytes)
        .and_then(|()| fs::rename(&draft, path))
        .map_err(io("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_a_kill_tore_is_cut_off() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(METRICS);
        fs::write(&path, "{\"step\":64,\"a\":1.0}\n{\"step\":128,\"a\":2").expect("written");
        assert_eq!(last_step(folder.path()), 64);
        let mut file = MetricsFile::resume(folder.path(), 128).expect("resumed");
        file.append(128, &Metrics::from([("a".to_owned(), 2.5)]))
            .expect("a line");
        let text = fs::read_to_string(&path).expect("lines");
        assert_eq!(text, "{\"step\":64,\"a\":1.0}\n{\"step\":128,\"a\":2.5}\n");
    }
}
