//! Config files: TOML, unknown keys refused with the nearest known name, `--set a.b=c` on top.

use crate::failure::{Failure, Kind, OrFail};
use anyhow::{Context, anyhow};
use serde::{Serialize, de::DeserializeOwned};
use std::path::Path;
use toml_edit::DocumentMut;

/// A config file with its overrides applied.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The checked value.
    pub value: T,
    file: toml::Table,
    sets: Vec<String>,
}

/// Reads a config file and applies `--set` overrides (`a.b=c`; the value is TOML, or else a plain string).
pub fn load<T: DeserializeOwned>(path: &Path, sets: &[String]) -> Result<Loaded<T>, Failure> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read config {}", path.display()))
        .or_fail(Kind::Usage)?;
    parse(&text, &path.display().to_string(), sets).or_fail(Kind::Usage)
}

fn parse<T: DeserializeOwned>(text: &str, name: &str, sets: &[String]) -> anyhow::Result<Loaded<T>> {
    let mut document: DocumentMut = text
        .parse()
        .map_err(|error: toml_edit::TomlError| located(name, text, error.span(), error.message()))?;
    for set in sets {
        apply(&mut document, set)?;
    }
    let merged = document.to_string();
    let value =
        toml::from_str(&merged).map_err(|error| located(name, &merged, error.span(), error.message()))?;
    let file = text.parse().context("a document that was just read")?;
    let sets = sets
        .iter()
        .map(|set| set.split('=').next().unwrap_or(set).trim().to_owned())
        .collect();
    Ok(Loaded { value, file, sets })
}

/// One sentence: file, line, field, what is wrong and what would be right.
fn located(name: &str, text: &str, span: Option<std::ops::Range<usize>>, message: &str) -> anyhow::Error {
    let message = message.trim().replace('\n', ", ");
    let Some(span) = span.or_else(|| field_span(text, &message)) else {
        return anyhow!("{name}: {message}");
    };
    let line = text[..span.start.min(text.len())].matches('\n').count() + 1;
    let field = text
        .get(span)
        .unwrap_or_default()
        .lines()
        .next()
        .unwrap_or_default()
        .trim();
    let place = if field.is_empty() {
        String::new()
    } else {
        format!("`{field}`: ")
    };
    match nearest(&message) {
        Some(known) => anyhow!("{name}:{line}: {message}; did you mean `{known}`?"),
        None => anyhow!("{name}:{line}: {place}{message}"),
    }
}

/// Where a field stands that an error names but does not place (serde forgets places where a tag chooses the type).
fn field_span(text: &str, message: &str) -> Option<std::ops::Range<usize>> {
    let named = message.split('`').nth(1)?;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let key = line.split(['=', '.']).next().unwrap_or_default().trim();
        if key == named {
            return Some(at..at + line.trim_end().len());
        }
        at += line.len();
    }
    None
}

/// The known name nearest to the unknown one in serde's "unknown field `x`, expected one of `y`, `z`".
fn nearest(message: &str) -> Option<String> {
    let mut names = message.split('`').skip(1).step_by(2);
    if !message.starts_with("unknown ") {
        return None;
    }
    let unknown = names.next()?;
    let distance = |known: &&str| strsim::damerau_levenshtein(unknown, known);
    let known = names.min_by_key(distance)?;
    (distance(&known) <= 1 + unknown.len() / 3).then(|| known.to_owned())
}

fn apply(document: &mut DocumentMut, set: &str) -> anyhow::Result<()> {
    let (path, value) = set
        .split_once('=')
        .ok_or_else(|| anyhow!("--set {set}: expected a.b=value"))?;
    let value: toml_edit::Value = value
        .trim()
        .parse()
        .unwrap_or_else(|_| toml_edit::Value::from(value.trim()));
    let mut keys: Vec<&str> = path.trim().split('.').collect();
    let last = keys
        .pop()
        .filter(|last| !last.is_empty())
        .ok_or_else(|| anyhow!("--set {set}: no field is named"))?;
    let mut table: &mut dyn toml_edit::TableLike = document.as_table_mut();
    for key in keys {
        table = table
            .entry(key)
            .or_insert_with(toml_edit::table)
            .as_table_like_mut()
            .ok_or_else(|| anyhow!("--set {set}: `{key}` is a value, not a table"))?;
    }
    table.insert(last, toml_edit::value(value));
    Ok(())
}

impl<T: Serialize> Loaded<T> {
    /// Each value with where it came from: `--set`, the file or the default.
    pub fn origins(&self) -> anyhow::Result<Vec<(String, String, &'static str)>> {
        let origin = |path: &str| {
            let sets = |set: &String| {
                path.strip_prefix(set.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            if self.sets.iter().any(sets) {
                "--set"
            } else if stands_in(&self.file, path) {
                "file"
            } else {
                "default"
            }
        };
        Ok(rows(&self.value)?
            .into_iter()
            .map(|(path, value)| (path.clone(), value.to_string(), origin(&path)))
            .collect())
    }
}

/// Every value with its dotted name.
pub fn rows(value: &impl Serialize) -> anyhow::Result<Vec<(String, toml::Value)>> {
    let mut rows = Vec::new();
    flatten("", &toml::Value::try_from(value)?, &mut |path, value| {
        rows.push((path.to_owned(), value.clone()));
    });
    Ok(rows)
}

fn flatten(path: &str, value: &toml::Value, visit: &mut impl FnMut(&str, &toml::Value)) {
    match value {
        toml::Value::Table(table) => {
            for (key, inner) in table {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                flatten(&path, inner, visit);
            }
        }
        leaf => visit(path, leaf),
    }
}

fn stands_in(table: &toml::Table, path: &str) -> bool {
    let mut keys = path.split('.');
    let Some(mut value) = keys.next().and_then(|key| table.get(key)) else {
        return false;
    };
    for key in keys {
        match value.get(key) {
            Some(inner) => value = inner,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        seed: u64,
        #[serde(default)]
        learner: Learner,
    }

    #[derive(Debug, Default, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Learner {
        gamma: f64,
        name: String,
    }

    fn sentence(text: &str, sets: &[&str]) -> String {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        parse::<Outer>(text, "a.toml", &sets)
            .expect_err("refused")
            .to_string()
    }

    #[test]
    fn a_misspelt_field_is_refused_with_its_line_and_the_nearest_name() {
        assert_eq!(
            sentence("seed = 1\n[learner]\ngama = 0.9\n", &[]),
            "a.toml:3: unknown field `gama`, expected `gamma` or `name`; did you mean `gamma`?"
        );
        assert!(sentence("seed = -1\n", &[]).starts_with("a.toml:1: `-1`: invalid value"));
        assert!(sentence("seed = \n", &[]).starts_with("a.toml:1: "));
        assert!(sentence("", &[]).contains("missing field `seed`"));
    }

    #[test]
    fn sets_override_and_origins_are_told() {
        let sets = ["learner.gamma=0.5".to_owned(), "learner.name=fast one".to_owned()];
        let loaded = parse::<Outer>("seed = 1\n", "a.toml", &sets).expect("loads");
        assert_eq!(
            (loaded.value.learner.gamma, loaded.value.learner.name.as_str()),
            (0.5, "fast one")
        );
        let origins = loaded.origins().expect("flattens");
        assert_eq!(origins[0], ("learner.gamma".into(), "0.5".into(), "--set"));
        assert_eq!(origins[2], ("seed".into(), "1".into(), "file"));
    }

    #[test]
    fn a_set_that_names_nothing_is_refused() {
        assert_eq!(
            sentence("seed = 1\n", &["gamma"]),
            "--set gamma: expected a.b=value"
        );
        assert_eq!(
            sentence("seed = 1\n", &["seed.x=1"]),
            "--set seed.x=1: `seed` is a value, not a table"
        );
        assert!(sentence("seed = 1\n", &["learner.gama=1"]).contains("did you mean `gamma`?"));
    }
}
