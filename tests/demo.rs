//! The main job, with a short training: every station works, and nothing that was acknowledged is lost.

use serde_json::Value;
use std::path::Path;
use std::process::Command;

#[test]
fn the_whole_way_from_sessions_to_a_verdict() {
    let out = tempfile::tempdir().unwrap();
    let out = out.path().join("demo");
    let done = Command::new(env!("CARGO_BIN_EXE_haggle"))
        .args([
            "demo",
            "--json",
            "--set",
            "learner.steps=20000",
            "--out",
            out.to_str().unwrap(),
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    let text = String::from_utf8(done.stdout).unwrap();
    let told: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();

    let rows = told["value"]["rows"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["logged prices", "best fixed", "trained", "tuned"]);
    assert_eq!(
        rows[0]["price_index"]["value"], 1.0,
        "logged prices are their own index"
    );
    assert!(
        told["value"]["heading"]
            .as_str()
            .unwrap()
            .starts_with("simulated under demand model")
    );
    assert!(said.contains("the shoppers are simulated under demand model"));

    let acknowledged = told["season"]["rewards"].as_u64().unwrap();
    assert!(acknowledged > 1_000);
    assert_eq!(told["rewards_in_store"].as_u64(), Some(acknowledged));
    assert_eq!(told["season"]["refused"], 0);
    assert_eq!(
        told["gate_passed"].as_bool().unwrap(),
        told["gate_reasons"].as_array().unwrap().is_empty()
    );
    assert!(
        told["resimulation"]["overall"]["reproduced"].as_bool().unwrap(),
        "logged revenue is reproduced"
    );

    let run = Path::new(env!("CARGO_MANIFEST_DIR")).join(told["training"]["run"].as_str().unwrap());
    for file in ["config.toml", "run.json", "metrics.jsonl", "eval/held-out.json"] {
        assert!(run.join(file).exists(), "{file}");
    }

    // The bundle of its last checkpoint is its own bundle, to the bit.
    let done = Command::new(env!("CARGO_BIN_EXE_haggle"))
        .args([
            Path::new("bundle"),
            &run,
            Path::new("--json"),
            Path::new("--out"),
            &out.join("made"),
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    let made: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(made["digest"], told["training"]["digest"]);

    let page = out.join("run.html");
    let done = Command::new(env!("CARGO_BIN_EXE_haggle"))
        .args([Path::new("report"), &run, Path::new("--out"), &page])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(done.success());
    let page = std::fs::read_to_string(page).unwrap();
    for words in [
        "Revenue, simulated, over logged prices",
        "Learning curves",
        "Held-out weeks",
        "best fixed",
    ] {
        assert!(page.contains(words), "{words}");
    }
    assert!(!page.contains("http"), "nothing is fetched");
}
