//! The text of a config file with its `--set` overrides, and where each value of it stands.

use crate::culprit;
use crate::fault::{Fault, Place};
use crate::set::Set;
use crate::wording::{explained, one_line, overflowed};
use serde::de::DeserializeOwned;
use std::ops::Range;
use std::sync::Arc;
use toml_edit::{Document, TableLike};

/// A config file and what the command line changes in it.
#[derive(Clone, Debug)]
pub struct Source {
    file: String,
    text: Arc<str>,
    document: Document<String>,
    sets: Vec<Set>,
    above: &'static str,
}

impl Source {
    /// Reads TOML and overrides, whose names may have `above` in front.
    ///
    /// # Errors
    /// When the text is no TOML, or an override names nothing.
    pub fn parse(file: &str, text: &str, sets: &[String], above: &'static str) -> Result<Self, Fault> {
        let shared: Arc<str> = text.into();
        let document = Document::parse(text.to_owned()).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            let (field, message) = no_toml(text, &span, error.message());
            let place = Place::Span {
                file: file.to_owned(),
                text: Arc::clone(&shared),
                span,
            };
            Fault {
                field,
                message,
                place,
            }
        })?;
        let sets = sets
            .iter()
            .map(|set| Set::parse(set, above))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            file: file.to_owned(),
            text: shared,
            document,
            sets,
            above,
        })
    }

    /// The checked value of the file with its overrides.
    ///
    /// # Errors
    /// When it is not what `T` reads.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        let mut merged = self.document.clone().into_mut();
        for set in &self.sets {
            set.apply(&mut merged)?;
        }
        if let Some(path) = culprit::list_for_table::<T>(&merged) {
            let keys: Vec<&str> = path.iter().map(String::as_str).collect();
            let message = format!("{}: found a list, expected a table", path.join("."));
            return Err(self.fault_at(&keys, message));
        }
        let text = merged.to_string();
        toml::from_str(&text).map_err(|error| {
            let path = culprit::of::<T>(&merged, &text, &error);
            let keys: Vec<&str> = path.iter().map(String::as_str).collect();
            let message = explained(&path.join("."), error.message());
            self.told(&keys, message, error.message().starts_with("unknown field"))
        })
    }

    /// A fault of one field, by its dotted name. `message` is the rest of the sentence.
    #[must_use]
    pub fn fault(&self, field: &str, message: impl Into<String>) -> Fault {
        self.fault_at(&field.split('.').collect::<Vec<_>>(), message)
    }

    /// A fault of one field, by its keys: for keys that have dots in them.
    #[must_use]
    pub fn fault_at(&self, keys: &[&str], message: impl Into<String>) -> Fault {
        self.told(keys, message.into(), false)
    }

    fn told(&self, keys: &[&str], mut message: String, key_itself: bool) -> Fault {
        let mut field = keys.join(".");
        let place = self.place(keys, key_itself);
        if matches!(place, Place::Set(_)) {
            // The names as the user wrote them.
            if !field.is_empty() && message.starts_with(&field) {
                message.insert_str(0, self.above);
            }
            field.insert_str(0, self.above);
        }
        Fault {
            field: (!field.is_empty()).then_some(field),
            message,
            place,
        }
    }

    /// Where the value of a field stands, or its key; for one that is missing, the table that should hold it.
    fn place(&self, path: &[&str], key_itself: bool) -> Place {
        let said = |set: &Set| Place::Set(set.said().to_owned());
        if let Some(set) = self.sets.iter().rev().find(|set| set.covers(path)) {
            return said(set);
        }
        let mut table: &dyn TableLike = self.document.as_table();
        let mut found = None;
        let mut depth = 0;
        for key in path {
            let Some((key, item)) = table.get_key_value(key) else {
                break;
            };
            let value = if item.is_table() || key_itself {
                None
            } else {
                item.span()
            };
            found = value.or_else(|| key.span()).or(found);
            depth += 1;
            match item.as_table_like() {
                Some(inner) => table = inner,
                None => break,
            }
        }
        // What the file does not hold was made by an override of something below it.
        let made = path.get(..=depth).unwrap_or_default();
        if let Some(set) = self
            .sets
            .iter()
            .rev()
            .find(|set| !made.is_empty() && set.makes(made))
        {
            return said(set);
        }
        match found {
            Some(span) => Place::Span {
                file: self.file.clone(),
                text: Arc::clone(&self.text),
                span,
            },
            None => Place::Absent {
                file: self.file.clone(),
            },
        }
    }

    /// Where the value of a field comes from: `--set`, the file or the default.
    #[must_use]
    pub fn origin(&self, field: &str) -> &'static str {
        let path: Vec<&str> = field.split('.').collect();
        if self.sets.iter().any(|set| set.covers(&path)) {
            return "--set";
        }
        let mut table: Option<&dyn TableLike> = Some(self.document.as_table());
        for key in path {
            let Some(item) = table.and_then(|table| table.get(key)) else {
                return "default";
            };
            table = item.as_table_like();
        }
        "file"
    }

    /// The names at the top of the file.
    #[must_use]
    pub fn keys(&self) -> Vec<&str> {
        self.document.as_table().iter().map(|(key, _)| key).collect()
    }
}

/// What TOML says of a text that it cannot read, and of which field, where a number is to blame.
fn no_toml(text: &str, span: &Range<usize>, message: &str) -> (Option<String>, String) {
    let number = text.get(span.clone()).unwrap_or_default();
    let Some(sentence) = overflowed(number, message) else {
        let sentence = one_line(message);
        let twice = sentence == "duplicate key" && !number.is_empty();
        return (
            None,
            if twice {
                format!("{sentence} `{number}`")
            } else {
                sentence
            },
        );
    };
    let field = culprit::of_number(text, span).join(".");
    match field.is_empty() {
        true => (None, sentence),
        false => (Some(field.clone()), format!("{field}: {sentence}")),
    }
}
