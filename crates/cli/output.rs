use crate::failure::{Failure, Kind};
use crate::fault::Fault;
use serde::Serialize;
use std::io::{IsTerminal, Write};

/// Where words go: progress to standard error; the result to standard output, for people or as one JSON object.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    json: bool,
}

impl Output {
    /// An output for people, or for programs when `json` is set.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// A line of progress.
    pub fn progress(self, line: impl std::fmt::Display) {
        // A reader that went away is no reason to stop the work.
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    /// Why there is no result: one sentence, with the lines of the config file around the fault on a terminal.
    pub fn failure(self, failure: &Failure) {
        let snippet = failure.fault().and_then(Fault::snippet);
        match snippet.filter(|_| std::io::stderr().is_terminal() && !self.json) {
            Some(snippet) => self.progress(snippet),
            None => self.progress(format_args!("haggle: {failure}")),
        }
        // A refusal is a result, and has been printed as one.
        if self.json && failure.kind() != Kind::Refused {
            self.result("", &failure.report());
        }
    }

    /// The result: `people` as it stands, or `program` as one line of JSON.
    pub fn result(self, people: impl std::fmt::Display, program: &impl Serialize) {
        let text = if self.json {
            serde_json::to_string(program).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
        } else {
            people.to_string()
        };
        let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
    }
}
