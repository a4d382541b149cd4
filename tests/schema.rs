//! The schemas of `configs/schema/` are those of the program, and every shipped config is what its schema says.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

const KINDS: [&str; 5] = ["train", "env", "tune", "gate", "sweep"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn committed(kind: &str) -> Value {
    let text = std::fs::read_to_string(root().join(format!("configs/schema/{kind}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn files(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths
}

fn toml(text: &str) -> Value {
    serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap()
}

#[test]
fn committed_schemas_are_those_of_the_program() {
    for kind in KINDS {
        let made = Command::new(env!("CARGO_BIN_EXE_haggle"))
            .args(["config", "schema", kind])
            .output()
            .unwrap();
        assert!(made.status.success());
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        assert_eq!(
            made,
            committed(kind),
            "refresh it: haggle config schema {kind} > configs/schema/{kind}.json"
        );
    }
}

#[test]
fn every_shipped_config_is_what_its_schema_says() {
    let mut shipped = vec![
        ("tune", root().join("configs/tune.toml")),
        ("gate", root().join("configs/gate.toml")),
    ];
    shipped.extend(files("configs/train").into_iter().map(|path| ("train", path)));
    shipped.extend(files("configs/sweep").into_iter().map(|path| ("sweep", path)));
    shipped.extend(files("envs").into_iter().map(|path| ("env", path)));
    shipped.extend(files("envs/probe").into_iter().map(|path| ("env", path)));
    assert!(shipped.len() > 15);
    for kind in KINDS {
        let schema = jsonschema::validator_for(&committed(kind)).unwrap();
        for (_, path) in shipped.iter().filter(|(of, _)| *of == kind) {
            let config = toml(&std::fs::read_to_string(path).unwrap());
            let faults: Vec<String> = schema
                .iter_errors(&config)
                .map(|fault| fault.to_string())
                .collect();
            assert!(faults.is_empty(), "{}: {faults:?}", path.display());
        }
    }
}

#[test]
fn schemas_refuse_what_the_program_refuses() {
    for (kind, config) in [
        (
            "train",
            json!({ "env": "envs/a4.toml", "learner": { "gama": 0.9 } }),
        ),
        (
            "train",
            json!({ "env": "envs/a4.toml", "learner": { "gamma": "high" } }),
        ),
        ("train", json!({})),
        ("env", json!({ "kind": "sell-down" })),
        ("env", json!({ "kind": "unheard-of", "periods": 3 })),
        ("tune", json!({ "kl": 0.1 })),
        ("gate", json!({ "looks_planned": -1 })),
    ] {
        let schema = jsonschema::validator_for(&committed(kind)).unwrap();
        assert!(!schema.is_valid(&config), "{kind}: {config}");
    }
}
