//! One override of the command line: `--set a.b=c`.

use crate::fault::{Fault, Place};
use toml_edit::{DocumentMut, TableLike};

/// What it changes and how the user said it.
#[derive(Clone, Debug)]
pub struct Set {
    path: Vec<String>,
    value: toml_edit::Value,
    said: String,
}

/// Whether it is a number that TOML has no room for.
fn is_huge(text: &str) -> bool {
    let digits = text
        .trim_start_matches(['+', '-'])
        .starts_with(|c: char| c.is_ascii_digit());
    digits && text.parse().is_ok_and(|number: f64| number.abs() > 9e18)
}

impl Set {
    /// `a.b=c`: the value is TOML, or else a plain string. `above` is what stands in front of the names of the file that it is
    /// for, `env.` for an environment file that a training file names.
    pub fn parse(said: &str, above: &str) -> Result<Self, Fault> {
        let refuse = |message: &str| Fault {
            field: None,
            message: message.to_owned(),
            place: Place::Set(said.to_owned()),
        };
        let (path, value) = said.split_once('=').ok_or_else(|| refuse("expected a.b=value"))?;
        let name = path.trim();
        let path = name.strip_prefix(above).unwrap_or(name);
        let path: Vec<String> = path.split('.').map(|key| key.trim().to_owned()).collect();
        if path.iter().any(String::is_empty) {
            return Err(refuse("no field is named"));
        }
        let value = value.trim();
        let value = match value.parse() {
            Ok(value) => value,
            Err(_) if is_huge(value) => {
                return Err(Fault {
                    field: Some(name.to_owned()),
                    ..refuse(&format!("{name}: a number nearer to 0 is expected"))
                });
            }
            Err(_) => toml_edit::Value::from(value),
        };
        Ok(Self {
            path,
            value,
            said: said.to_owned(),
        })
    }

    /// Makes the change.
    pub fn apply(&self, document: &mut DocumentMut) -> Result<(), Fault> {
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

    /// As the user wrote it.
    pub fn said(&self) -> &str {
        &self.said
    }

    /// Whether it says something about a field: the field itself, or a table that holds it.
    pub fn covers(&self, path: &[&str]) -> bool {
        self.path.len() <= path.len() && self.path.iter().zip(path).all(|(own, key)| own == key)
    }

    /// Whether it makes a table, or what stands below it.
    pub fn makes(&self, table: &[&str]) -> bool {
        self.path.len() >= table.len() && self.path.iter().zip(table).all(|(own, key)| own == key)
    }
}
