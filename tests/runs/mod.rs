//! Run folders, several seeds, sweeps, and what bad input leaves behind: nothing.

mod going_on;
mod refusals;
mod several;
mod trouble;

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A tiny run in an environment of one question: a tenth of a second.
const TRAIN: &str = "\
env = \"envs/probe/one-price.toml\"
runs = \"RUNS\"
[learner]
steps = 2048
copies = 16
horizon = 16
hidden = [8]
minibatch_rows = 64
device = \"cpu\"
";

struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let desk = Self { folder };
        let runs = desk.path("runs");
        fs::write(
            desk.path("train.toml"),
            TRAIN.replace("RUNS", runs.to_str().unwrap()),
        )
        .unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_haggle"));
        // `@name` is a path on this desk.
        command.args(words.split_whitespace().map(|word| match word.strip_prefix('@') {
            Some(name) => self.path(name).into_os_string(),
            None => word.into(),
        }));
        command.current_dir(env!("CARGO_MANIFEST_DIR"));
        command
    }

    fn haggle(&self, words: &str) -> Output {
        self.command(words).output().unwrap()
    }

    /// What a command that must succeed tells programs.
    fn told(&self, words: &str) -> Value {
        let done = self.haggle(&format!("{words} --json"));
        assert!(
            done.status.success(),
            "{words}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        last_json(&done)
    }

    /// The one sentence of a command that must fail with this code.
    fn refused(&self, code: i32, words: &str) -> String {
        let done = self.haggle(words);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(code), "{words}: {said}");
        assert!(!said.contains("panicked"), "{said}");
        said.trim_end().lines().last().unwrap_or_default().to_owned()
    }
}

fn last_json(done: &Output) -> Value {
    let text = String::from_utf8_lossy(&done.stdout);
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

fn only_checkpoint(run: &Path) -> PathBuf {
    fs::read_dir(run.join("checkpoints"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path()
}

fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}
