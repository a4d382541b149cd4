use serde::Serialize;
use std::io::Write;

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
