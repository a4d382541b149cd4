//! The text of a config file with its `--set` overrides, and where each value of it stands.

use crate::fault::{Fault, Place};
use serde::de::DeserializeOwned;
use std::ops::Range;
use std::sync::Arc;
use toml_edit::{Document, DocumentMut, TableLike};

/// The key that names the variant of a tagged type in every file of this house.
const TAG: &str = "kind";

/// A config file and what the command line changes in it.
#[derive(Clone, Debug)]
pub struct Source {
    file: String,
    text: Arc<str>,
    document: Document<String>,
    sets: Vec<Set>,
}

/// One override.
#[derive(Clone, Debug)]
struct Set {
    path: Vec<String>,
    value: toml_edit::Value,
    said: String,
}

impl Set {
    /// `a.b=c`: the value is TOML, or else a plain string.
    fn parse(said: &str) -> Result<Self, Fault> {
        let refuse = |message: &str| Fault {
            field: None,
            message: message.to_owned(),
            place: Place::Set(said.to_owned()),
        };
        let (path, value) = said.split_once('=').ok_or_else(|| refuse("expected a.b=value"))?;
        let path: Vec<String> = path.trim().split('.').map(|key| key.trim().to_owned()).collect();
        if path.iter().any(String::is_empty) {
            return Err(refuse("no field is named"));
        }
        let value = value.trim();
        let value = value.parse().unwrap_or_else(|_| toml_edit::Value::from(value));
        Ok(Self {
            path,
            value,
            said: said.to_owned(),
        })
    }

    fn apply(&self, document: &mut DocumentMut) -> Result<(), Fault> {
        let mut table: &mut dyn TableLike = document.as_table_mut();
        let Some((last, tables)) = self.path.split_last() else {
            return Ok(());
        };
        for key in tables {
            table = table
                .entry(key)
                .or_insert_with(toml_edit::table)
                .as_table_like_mut()
                .ok_or_else(|| Fault {
                    field: Some(self.path.join(".")),
                    message: format!("`{key}` is a value, not a table"),
                    place: Place::Set(self.said.clone()),
                })?;
        }
        table.insert(last, toml_edit::value(self.value.clone()));
        Ok(())
    }

    /// Whether it says something about a field: the field itself, or a table that holds it.
    fn covers(&self, path: &[&str]) -> bool {
        self.path.len() <= path.len() && self.path.iter().zip(path).all(|(own, key)| own == key)
    }
}

impl Source {
    /// Reads TOML and overrides.
    pub fn parse(file: &str, text: &str, sets: &[String]) -> Result<Self, Fault> {
        let shared: Arc<str> = text.into();
        let document = Document::parse(text.to_owned()).map_err(|error| Fault {
            field: None,
            message: one_line(error.message()),
            place: Place::Span {
                file: file.to_owned(),
                text: Arc::clone(&shared),
                span: error.span().unwrap_or(0..0),
            },
        })?;
        let sets = sets.iter().map(|set| Set::parse(set)).collect::<Result<_, _>>()?;
        Ok(Self {
            file: file.to_owned(),
            text: shared,
            document,
            sets,
        })
    }

    /// The checked value of the file with its overrides.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        let mut merged = self.document.clone().into_mut();
        for set in &self.sets {
            set.apply(&mut merged)?;
        }
        let text = merged.to_string();
        toml::from_str(&text).map_err(|error| {
            let message = error.message();
            let mut path = error.span().map_or_else(Vec::new, |span| path_at(&text, &span));
            if let Some(missing) = quoted_after(message, "missing field ") {
                path.push(missing.to_owned());
            } else if !is_leaf(&merged, &path)
                && let Some(culprit) = culprit::<T>(&merged, &path, message)
            {
                path = culprit;
            }
            let keys: Vec<&str> = path.iter().map(String::as_str).collect();
            let field = path.join(".");
            Fault {
                place: self.place(&keys, message.starts_with("unknown field")),
                ..self.fault_at(&keys, explained(&field, message))
            }
        })
    }

    /// A fault of one field, by its dotted name. `message` is the rest of the sentence.
    pub fn fault(&self, field: &str, message: impl Into<String>) -> Fault {
        self.fault_at(&field.split('.').collect::<Vec<_>>(), message)
    }

    /// A fault of one field, by its keys: for keys that have dots in them.
    pub fn fault_at(&self, keys: &[&str], message: impl Into<String>) -> Fault {
        let field = keys.join(".");
        Fault {
            field: (!field.is_empty()).then_some(field),
            message: message.into(),
            place: self.place(keys, false),
        }
    }

    /// Where the value of a field stands, or its key; for one that is missing, the table that should hold it.
    fn place(&self, path: &[&str], key_itself: bool) -> Place {
        if let Some(set) = self.sets.iter().rev().find(|set| set.covers(path)) {
            return Place::Set(set.said.clone());
        }
        let mut table: &dyn TableLike = self.document.as_table();
        let mut found = None;
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
            match item.as_table_like() {
                Some(inner) => table = inner,
                None => break,
            }
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
    pub fn keys(&self) -> Vec<&str> {
        self.document.as_table().iter().map(|(key, _)| key).collect()
    }
}

/// The dotted name of what stands at a span: the innermost key or value that holds it.
fn path_at(text: &str, span: &Range<usize>) -> Vec<String> {
    let Ok(document) = Document::parse(text) else {
        return Vec::new();
    };
    let holds = |outer: Option<Range<usize>>| {
        outer.is_some_and(|outer| outer.start <= span.start && span.end <= outer.end)
    };
    let mut path = Vec::new();
    let mut stack = vec![(Vec::new(), document.as_table() as &dyn TableLike)];
    while let Some((above, table)) = stack.pop() {
        for (key, _) in table.iter() {
            let Some((key, item)) = table.get_key_value(key) else {
                continue;
            };
            let mut here = above.clone();
            here.push(key.get().to_owned());
            if (holds(key.span()) || holds(item.span())) && here.len() > path.len() {
                path.clone_from(&here);
            }
            if let Some(inner) = item.as_table_like() {
                stack.push((here, inner));
            }
        }
    }
    path
}

fn is_leaf(document: &DocumentMut, path: &[String]) -> bool {
    let mut item = document.as_item();
    for key in path {
        match item.as_table_like().and_then(|table| table.get(key)) {
            Some(inner) => item = inner,
            None => return false,
        }
    }
    !item.is_table_like()
}

/// The field that an error is about where serde has forgotten it: below a tag that chooses the type, values are read
/// twice and lose their places. It is the field without which the error is another one.
fn culprit<T: DeserializeOwned>(
    document: &DocumentMut,
    within: &[String],
    message: &str,
) -> Option<Vec<String>> {
    let mut leaves = Vec::new();
    collect_leaves(document.as_table(), &mut Vec::new(), &mut leaves);
    leaves.retain(|leaf| leaf.starts_with(within));
    leaves.sort_by_key(|leaf| leaf.last().is_some_and(|key| key == TAG)); // without the tag any error is another
    leaves.into_iter().find(|leaf| {
        let mut without = document.clone();
        remove(without.as_table_mut(), leaf);
        toml::from_str::<T>(&without.to_string()).map_or_else(|error| error.message() != message, |_| true)
    })
}

fn collect_leaves(table: &dyn TableLike, above: &mut Vec<String>, leaves: &mut Vec<Vec<String>>) {
    for (key, item) in table.iter() {
        above.push(key.to_owned());
        match item.as_table_like() {
            Some(inner) => collect_leaves(inner, above, leaves),
            None => leaves.push(above.clone()),
        }
        above.pop();
    }
}

fn remove(table: &mut dyn TableLike, path: &[String]) {
    match path {
        [] => {}
        [last] => {
            table.remove(last);
        }
        [first, rest @ ..] => {
            if let Some(inner) = table.get_mut(first).and_then(toml_edit::Item::as_table_like_mut) {
                remove(inner, rest);
            }
        }
    }
}

/// The rest of the sentence about a field: what serde says in plainer words, and the nearest known name.
fn explained(field: &str, message: &str) -> String {
    let message = plain(&one_line(message));
    let place = if field.is_empty() {
        String::new()
    } else {
        format!("{field}: ")
    };
    match nearest(&message) {
        Some(known) => format!("{place}{message}; did you mean `{known}`?"),
        None => format!("{place}{message}"),
    }
}

fn one_line(message: &str) -> String {
    message.trim().replace('\n', ", ")
}

/// Rust's names of types in words.
fn plain(message: &str) -> String {
    let Some((found, expected)) = message.rsplit_once(", expected ") else {
        return message.to_owned();
    };
    let words = match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, not negative",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        other => other,
    };
    format!("{found}, expected {words}")
}

/// The known name nearest to the unknown one in serde's "unknown field `x`, expected one of `y`, `z`".
fn nearest(message: &str) -> Option<String> {
    if !message.starts_with("unknown ") {
        return None;
    }
    let mut names = message.split('`').skip(1).step_by(2);
    let unknown = names.next()?;
    let distance = |known: &&str| strsim::damerau_levenshtein(unknown, known);
    let known = names.min_by_key(distance)?;
    (distance(&known) <= 1 + unknown.len() / 3).then(|| known.to_owned())
}

fn quoted_after<'a>(message: &'a str, words: &str) -> Option<&'a str> {
    message.strip_prefix(words)?.split('`').nth(1)
}
