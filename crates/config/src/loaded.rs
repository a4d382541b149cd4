use crate::fault::Fault;
use crate::source::Source;
use serde::{Serialize, de::DeserializeOwned};
use std::path::{Path, PathBuf};

/// A config file with its overrides applied.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    /// The checked value.
    pub value: T,
    /// Where each part of it stands.
    pub source: Source,
}

/// A value with its name and where it came from: `--set`, the file or the default.
pub type Origin = (String, String, &'static str);

/// Why a config file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read config {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Something in it is wrong.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Reads a config file and applies `--set` overrides (`a.b=c`; the value is TOML, or else a plain string).
///
/// # Errors
/// When it cannot be read, is no TOML, or not what `T` reads.
pub fn load<T: DeserializeOwned>(path: &Path, sets: &[String]) -> Result<Loaded<T>, ConfigError> {
    let source = open(path, sets)?;
    let value = source.read()?;
    Ok(Loaded { value, source })
}

/// Reads a config file as TOML, whatever it is about.
///
/// # Errors
/// When it cannot be read or is no TOML, or an override names nothing.
pub fn open(path: &Path, sets: &[String]) -> Result<Source, ConfigError> {
    open_below(path, sets, "")
}

/// As [`open`], where the names of overrides have `above` in front.
///
/// # Errors
/// As for [`open`].
pub fn open_below(path: &Path, sets: &[String], above: &'static str) -> Result<Source, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    Ok(Source::parse(&path.display().to_string(), &text, sets, above)?)
}

impl<T: Serialize> Loaded<T> {
    /// Each value with where it came from.
    ///
    /// # Errors
    /// When TOML has no words for a value.
    pub fn origins(&self) -> Result<Vec<Origin>, toml::ser::Error> {
        Ok(rows(&self.value)?
            .into_iter()
            .map(|(name, value)| {
                let origin = self.source.origin(&name);
                (name, value.to_string(), origin)
            })
            .collect())
    }
}

/// Values and where they came from, one a line, for people.
#[must_use]
pub fn table(origins: &[Origin]) -> String {
    let width = origins.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
    let row = |(name, value, origin): &Origin| format!("{name:<width$}  {origin:<7}  {value}");
    origins.iter().map(row).collect::<Vec<_>>().join("\n")
}

/// Every value with its dotted name.
///
/// # Errors
/// When TOML has no words for a value.
pub fn rows(value: &impl Serialize) -> Result<Vec<(String, toml::Value)>, toml::ser::Error> {
    let mut rows = Vec::new();
    flatten("", &toml::Value::try_from(value)?, &mut |path, value| {
        rows.push((path.to_owned(), value.clone()));
    });
    Ok(rows)
}

fn flatten(path: &str, value: &toml::Value, visit: &mut impl FnMut(&str, &toml::Value)) {
    let toml::Value::Table(table) = value else {
        return visit(path, value);
    };
    for (key, inner) in table {
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        flatten(&path, inner, visit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;
    use serde::Deserialize;

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        seed: u64,
        #[serde(default)]
        learner: Learner,
        market: Option<Market>,
    }

    #[derive(Debug, Default, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Learner {
        gamma: f64,
        name: String,
    }

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(tag = "kind", rename_all = "kebab-case")]
    enum Market {
        SellDown(SellDown),
    }

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct SellDown {
        stock: u32,
        rate: f64,
    }

    fn parse(text: &str, sets: &[&str]) -> Result<Loaded<Outer>, Fault> {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        let source = Source::parse("a.toml", text, &sets, "")?;
        let value = source.read()?;
        Ok(Loaded { value, source })
    }

    fn sentence(text: &str, sets: &[&str]) -> String {
        parse(text, sets).expect_err("refused").to_string()
    }

    #[test]
    fn a_fault_has_file_line_column_field_value_and_the_nearest_name() {
        assert_eq!(
            sentence("seed = 1\n[learner]\ngama = 0.9\n", &[]),
            "a.toml:3:1: learner.gama: unknown field `gama`, expected `gamma` or `name`; did you mean `gamma`?"
        );
        assert_eq!(
            sentence("seed = -1\n", &[]),
            "a.toml:1:8: seed: found -1, expected a whole number, 0 or more"
        );
        assert_eq!(
            sentence("seed = 1\nlearner.gamma = \"x\"\n", &[]),
            "a.toml:2:17: learner.gamma: found the text \"x\", expected a number"
        );
        assert!(sentence("seed = \n", &[]).starts_with("a.toml:1:"));
        assert_eq!(sentence("", &[]), "a.toml: seed: missing field `seed`");
        assert_eq!(
            sentence(
                "market = { kind = \"sell-down\", stock = 1, rate = 1.0 }\n[learner]\ngamma = 1.0\n",
                &[]
            ),
            "a.toml: seed: missing field `seed`"
        );
        assert_eq!(
            sentence("seed = 1\nseed = 2\n", &[]),
            "a.toml:2:1: duplicate key `seed`"
        );
    }

    #[test]
    fn a_number_that_is_too_large_has_its_name_and_place() {
        assert_eq!(
            sentence("seed = 1\n[learner]\nname = \"ä\"\ngamma = 1e999 # x\n", &[]),
            "a.toml:4:9: learner.gamma: found 1e999, expected a number of at most 1.8e308"
        );
        let fault = parse("seed = 99_999_999_999_999_999_999\n", &[]).expect_err("refused");
        assert_eq!(fault.field.as_deref(), Some("seed"));
        assert_eq!(
            fault.to_string(),
            "a.toml:1:8: seed: found 99_999_999_999_999_999_999, expected a whole number within 64 bits"
        );
    }

    #[test]
    fn a_list_is_no_table() {
        for (text, place) in [
            ("seed = 1\n[[learner]]\ngamma = 0.5\n", "2:1"),
            ("seed = 1\nlearner = [0.5, \"a\"]\n", "2:11"),
        ] {
            let expected = format!("a.toml:{place}: learner: found a list, expected a table");
            assert_eq!(sentence(text, &[]), expected);
        }
        assert_eq!(
            sentence("seed = 1\n", &["learner=[0.5, \"a\"]"]),
            "--set learner=[0.5, \"a\"]: learner: found a list, expected a table"
        );
    }

    #[test]
    fn a_tag_that_chooses_the_type_hides_no_place() {
        let market = |rest: &str| format!("seed = 1\n[market]\nkind = \"sell-down\"\n{rest}");
        assert_eq!(
            sentence(&market("rate = 1.0\nstock = -3\n"), &[]),
            "a.toml:5:9: market.stock: found -3, expected a whole number from 0 to 4,294,967,295"
        );
        assert!(
            sentence(&market("rate = 1.0\nstok = 3\nstock = 3\n"), &[])
                .starts_with("a.toml:5:1: market.stok: unknown field `stok`")
        );
        assert_eq!(
            sentence(&market("rate = 1.0\n"), &[]),
            "a.toml:2:2: market.stock: missing field `stock`"
        );
        assert!(
            sentence("seed = 1\n[market]\nkind = \"sel-down\"\n", &[]).ends_with(
                "market.kind: unknown variant `sel-down`, expected `sell-down`; did you mean `sell-down`?"
            )
        );
    }

    #[test]
    fn an_override_is_to_blame_by_its_own_words_and_moves_no_line() {
        assert_eq!(
            sentence("seed = 1\n", &["learner.gama=1"]),
            "--set learner.gama=1: learner.gama: unknown field `gama`, expected `gamma` or `name`; did you mean `gamma`?"
        );
        assert!(
            sentence(
                "# first\nseed = 1\n[learner]\ngamma = []\n",
                &["learner.name=\"a\""]
            )
            .starts_with("a.toml:4:9: learner.gamma: ")
        );
        let loaded = parse("seed = 1\n[learner]\ngamma = 2.0\n", &[]).expect("loads");
        assert_eq!(
            loaded
                .source
                .fault("learner.gamma", "learner.gamma = 2: 0 to 1 expected")
                .to_string(),
            "a.toml:3:9: learner.gamma = 2: 0 to 1 expected"
        );
    }

    #[test]
    fn sets_override_and_origins_are_told() {
        let loaded = parse("seed = 1\n", &["learner.gamma=0.5", "learner.name=fast one"]).expect("loads");
        assert_eq!(
            (loaded.value.learner.gamma, loaded.value.learner.name.as_str()),
            (0.5, "fast one")
        );
        let origins = loaded.origins().expect("flattens");
        assert_eq!(origins[0], ("learner.gamma".into(), "0.5".into(), "--set"));
        assert_eq!(origins[2], ("seed".into(), "1".into(), "file"));
    }

    #[test]
    fn a_number_that_toml_has_no_room_for_is_told_as_one() {
        for number in ["99999999999999999999", "-9223372036854775809", "1e999"] {
            let set = format!("learner.gamma={number}");
            let told = format!("--set {set}: learner.gamma: a number nearer to 0 is expected");
            assert_eq!(sentence("seed = 1\n", &[&set]), told);
        }
        // A name may begin with a digit.
        assert!(parse("seed = 1\n", &["learner.name=9e"]).is_ok());
    }

    #[test]
    fn a_set_that_names_nothing_is_refused() {
        assert_eq!(
            sentence("seed = 1\n", &["gamma"]),
            "--set gamma: expected a.b=value"
        );
        assert_eq!(sentence("seed = 1\n", &["=1"]), "--set =1: no field is named");
        assert_eq!(
            sentence("seed = 1\n", &["seed.x=1"]),
            "--set seed.x=1: `seed` is a value, not a table"
        );
    }
}
