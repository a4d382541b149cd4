//! A fault in a config file: where it stands, what was found and what would be right.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::Serialize;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A config that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The dotted name of the field; none where the file is no TOML at all.
    pub field: Option<String>,
    /// What was found and what would be right: the rest of the sentence.
    pub message: String,
    /// Where it stands.
    pub place: Place,
}

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a file.
    Span {
        /// The file.
        file: String,
        /// All of it.
        text: Arc<str>,
        /// Bytes of it.
        span: Range<usize>,
    },
    /// Nowhere in a file, because it is missing there.
    Absent {
        /// The file.
        file: String,
    },
    /// In an override on the command line, as it was written there.
    Set(String),
}

/// What a program reads of a fault; what is not known is left out.
#[derive(Debug, Serialize)]
pub struct Told<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    set: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

impl Place {
    /// Line and column, both from 1.
    fn position(&self) -> Option<(usize, usize)> {
        let Self::Span { text, span, .. } = self else {
            return None;
        };
        let before = text.get(..span.start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.matches('\n').count() + 1;
        Some((line, before[line_start..].chars().count() + 1))
    }

    fn file(&self) -> Option<&str> {
        match self {
            Self::Span { file, .. } | Self::Absent { file } => Some(file),
            Self::Set(_) => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.position()) {
            (Self::Span { file, .. }, Some((line, column))) => write!(f, "{file}:{line}:{column}"),
            (Self::Span { file, .. } | Self::Absent { file }, _) => f.write_str(file),
            (Self::Set(said), _) => write!(f, "--set {said}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl std::error::Error for Fault {}

impl Fault {
    /// The lines of the file around the fault, for a terminal; none where it stands in no file.
    #[must_use]
    pub fn snippet(&self) -> Option<String> {
        let Place::Span { file, text, span } = &self.place else {
            return None;
        };
        let marked = AnnotationKind::Primary.span(span.clone());
        let source = Snippet::source(text.as_ref())
            .path(file.as_str())
            .annotation(marked);
        let group = Level::ERROR.primary_title(self.message.as_str()).element(source);
        Some(Renderer::styled().render(&[group]))
    }

    /// Its place for programs.
    #[must_use]
    pub fn told(&self) -> Told<'_> {
        let position = self.place.position();
        Told {
            file: self.place.file(),
            line: position.map(|(line, _)| line),
            column: position.map(|(_, column)| column),
            set: match &self.place {
                Place::Set(said) => Some(said),
                _ => None,
            },
            field: self.field.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_and_in_characters() {
        let text: Arc<str> = "a = 1\nb = \"ä\" # x\n".into();
        let at = |start: usize| Place::Span {
            file: "f.toml".into(),
            text: Arc::clone(&text),
            span: start..start + 1,
        };
        assert_eq!(at(0).to_string(), "f.toml:1:1");
        assert_eq!(at(6).to_string(), "f.toml:2:1");
        assert_eq!(at(15).to_string(), "f.toml:2:9"); // the letter ä has two bytes
    }

    #[test]
    fn a_terminal_sees_the_line_and_a_mark_below_the_value() {
        let fault = Fault {
            field: Some("seed".into()),
            message: "seed = -1: at least 0 expected".into(),
            place: Place::Span {
                file: "f.toml".into(),
                text: "# a run\nseed = -1\n".into(),
                span: 15..17,
            },
        };
        let shown = fault.snippet().expect("it stands in a file");
        assert!(
            shown.contains("seed = -1") && shown.contains("^^") && shown.contains("f.toml:2:8"),
            "{shown}"
        );
    }
}
