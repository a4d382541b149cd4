use crate::failure::Failure;
use haggle_config::Fault;
use serde::Serialize;
use std::fmt;
use std::io::{IsTerminal, Write};

/// Where words go: progress to standard error; the result to standard output, for people or as one JSON object.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    json: bool,
    label: Option<Label>,
}

/// Which of several runs beside each other speaks.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    /// The trial of a sweep.
    pub trial: Option<usize>,
    /// The run's seed.
    pub seed: u64,
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.trial {
            Some(trial) => write!(f, "trial {trial} seed {}", self.seed),
            None => write!(f, "seed {}", self.seed),
        }
    }
}

impl Output {
    /// An output for people, or for programs when `json` is set.
    pub fn new(json: bool) -> Self {
        Self { json, label: None }
    }

    /// The same for one of several runs.
    pub fn labelled(self, label: Label) -> Self {
        Self {
            label: Some(label),
            ..self
        }
    }

    /// Whether a program reads the result.
    pub fn is_json(self) -> bool {
        self.json
    }

    /// Whether other runs speak beside this one: progress bars would overwrite each other.
    pub fn is_shared(self) -> bool {
        self.label.is_some()
    }

    /// A line of progress.
    pub fn progress(self, line: impl fmt::Display) {
        // A reader that went away is no reason to stop the work.
        let _ = match self.label {
            None => writeln!(std::io::stderr(), "{line}"),
            Some(label) => writeln!(std::io::stderr(), "{label}: {line}"),
        };
    }

    /// Why there is no result: one sentence, with the lines of the config file around the fault on a terminal.
    pub fn failure(self, failure: &Failure) {
        let snippet = failure.fault().and_then(Fault::snippet);
        match snippet.filter(|_| std::io::stderr().is_terminal() && !self.json) {
            Some(snippet) => self.progress(snippet),
            None => self.progress(format_args!("haggle: {failure}")),
        }
        if self.json && !failure.is_told() {
            self.result("", &failure.report());
        }
    }

    /// The result: `people` as it stands, or `program` as one line of JSON.
    pub fn result(self, people: impl fmt::Display, program: &impl Serialize) {
        let text = if self.json {
            serde_json::to_string(program).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
        } else {
            people.to_string()
        };
        let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
    }
}
