//! The market files, with some keys replaced.

use haggle_env::market::{Market, Oracle};
use std::path::Path;

/// The market of `envs/<name>.toml` with some keys replaced.
pub fn market(name: &str, sets: &[(&str, &str)]) -> Market {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../envs/{name}.toml"));
    let text = std::fs::read_to_string(path).expect("a market file");
    let mut table: toml::Table = text.parse().expect("TOML");
    for (key, value) in sets {
        let parsed: toml::Table = format!("x = {value}").parse().expect("a value");
        table.insert((*key).to_owned(), parsed["x"].clone());
    }
    toml::Value::Table(table).try_into().expect("a market")
}

/// What is known exactly of it.
pub fn oracle(name: &str, sets: &[(&str, &str)]) -> Oracle {
    market(name, sets).oracle().expect("an answer")
}
