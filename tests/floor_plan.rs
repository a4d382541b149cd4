//! Heavy libraries stay behind their doors: who may never appear below whom.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// (crate, what must never appear below it)
const NEVER_BELOW: &[(&str, &[&str])] = &[
    (
        "haggle-core",
        &[
            "haggle-policy",
            "haggle-history",
            "tokio",
            "sled",
            "tch",
            "torch-sys",
            "rayon",
        ],
    ),
    (
        "haggle-config",
        &["haggle-core", "tokio", "sled", "tch", "torch-sys"],
    ),
    (
        "haggle-policy",
        &[
            "haggle-history",
            "haggle-demand",
            "haggle-env",
            "tokio",
            "sled",
            "tch",
            "torch-sys",
        ],
    ),
    (
        "haggle-history",
        &[
            "haggle-policy",
            "haggle-demand",
            "tokio",
            "sled",
            "tch",
            "torch-sys",
        ],
    ),
    (
        "haggle-demand",
        &["haggle-policy", "haggle-env", "tokio", "sled", "tch", "torch-sys"],
    ),
    (
        "haggle-env",
        &["haggle-eval", "haggle-learn", "tokio", "sled", "tch", "torch-sys"],
    ),
    (
        "haggle-eval",
        &[
            "haggle-learn",
            "haggle-serve",
            "tokio",
            "sled",
            "tch",
            "torch-sys",
        ],
    ),
    ("haggle-learn", &["haggle-serve", "tokio", "sled"]),
    (
        "haggle-serve",
        &[
            "haggle-history",
            "haggle-demand",
            "haggle-env",
            "haggle-eval",
            "haggle-learn",
            "tch",
            "torch-sys",
        ],
    ),
];

/// Every package with the names of its normal (not dev, not build) dependencies.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    // Of this platform only: packages of others need not be on the disk.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--offline",
            "--locked",
            "--filter-platform",
            &platform,
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let name_of: BTreeMap<&str, &str> = metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .filter_map(|package| Some((package["id"].as_str()?, package["name"].as_str()?)))
        .collect();
    let mut below: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in metadata["resolve"]["nodes"].as_array().expect("a resolved graph") {
        let name = name_of[node["id"].as_str().expect("an id")];
        let entry = below.entry(name.to_owned()).or_default();
        for dependency in node["deps"].as_array().expect("deps") {
            let kinds = dependency["dep_kinds"].as_array().expect("kinds");
            if kinds.iter().any(|kind| kind["kind"].is_null()) {
                entry.insert(name_of[dependency["pkg"].as_str().expect("a package")].to_owned());
            }
        }
    }
    below
}

#[test]
fn arrows_point_only_downwards() {
    let direct = dependencies();
    for (name, forbidden) in NEVER_BELOW {
        assert!(direct.contains_key(*name), "{name} is a crate of the workspace");
        let mut below = BTreeSet::new();
        let mut open = vec![(*name).to_owned()];
        while let Some(package) = open.pop() {
            for dependency in &direct[&package] {
                if below.insert(dependency.clone()) {
                    open.push(dependency.clone());
                }
            }
        }
        for bad in *forbidden {
            assert!(!below.contains(*bad), "{bad} must not be below {name}");
        }
    }
}
