//! Every file of `configs/` and `envs/` is what some program reads.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn haggle(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_haggle"))
        .args(args)
        .current_dir(root())
        .output()
        .unwrap()
}

fn files(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    assert!(!paths.is_empty(), "{folder} holds no config");
    paths
}

#[test]
fn every_training_config_loads_with_its_environment() {
    for path in files("configs/train") {
        let shown = haggle(&["config", "show", path.to_str().unwrap()]);
        let (out, err) = (
            String::from_utf8_lossy(&shown.stdout),
            String::from_utf8_lossy(&shown.stderr),
        );
        assert!(shown.status.success(), "{}: {err}", path.display());
        assert!(out.contains("learner.gamma") && out.contains("env."), "{out}");
    }
}

#[test]
fn tune_and_gate_configs_load() {
    for path in files("configs") {
        let text = std::fs::read_to_string(&path).unwrap();
        match path.file_stem().unwrap().to_str().unwrap() {
            "tune" => toml::from_str::<haggle_learn::TuneConfig>(&text)
                .unwrap()
                .validate()
                .unwrap(),
            "gate" => toml::from_str::<haggle_eval::GateConfig>(&text)
                .unwrap()
                .validate()
                .unwrap(),
            other => panic!("configs/{other}.toml: no program reads it"),
        }
    }
}

#[test]
fn probe_environments_load() {
    for path in files("envs/probe") {
        let config: haggle_env::ProbeConfig =
            toml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert!(config.optimum().is_ok(), "{}", path.display());
    }
}

#[test]
fn bad_configs_end_with_code_2_and_one_sentence() {
    let config = "configs/train/replay-mappo.toml";
    let missing = "configs/train/missing.toml";
    for (args, words) in [
        (
            vec!["config", "show", missing],
            "cannot read config configs/train/missing.toml",
        ),
        (
            vec!["train", config, "--set", "learner.gama=1"],
            "did you mean `gamma`?",
        ),
        (
            vec!["train", config, "--set", "learner.gamma=2"],
            "--set learner.gamma=2: learner.gamma = 2: 0 to 1 expected",
        ),
        (
            vec!["train", config, "--set", "env.accept_confounded=false"],
            "accept_confounded",
        ),
        (
            vec!["train", config, "--set", "env.held_out_weeks=20-40"],
            "must lie after",
        ),
        (
            vec!["train", config, "--set", "env.replay.reward=margin"],
            "cost_share",
        ),
        (
            vec!["train", config, "--set", "learner.memory=8"],
            "replayed sessions need learner.share",
        ),
        (
            vec![
                "train",
                "configs/train/a2.toml",
                "--set",
                "learner.memory=8",
                "--set",
                "learner.engine=fused",
            ],
            "the fused engine has no memory",
        ),
        (
            vec!["train", "configs/train/a2.toml", "--set", "env=envs/a1.toml"],
            "this market cannot be stepped",
        ),
        (
            vec!["train", "configs/train/a2.toml", "--set", "env.arrival_rate=-1"],
            "arrival_rate",
        ),
        (
            vec![
                "fit",
                "nowhere",
                "--out",
                "x",
                "--train-weeks",
                "1-30",
                "--test-weeks",
                "20-40",
            ],
            "must lie after",
        ),
    ] {
        let done = haggle(&args);
        let said = String::from_utf8_lossy(&done.stderr);
        let last = said.trim_end().lines().last().unwrap_or_default();
        assert_eq!(done.status.code(), Some(2), "{args:?}: {said}");
        assert!(
            last.starts_with("haggle: ") && last.contains(words),
            "{args:?}: {said}"
        );
    }
}

#[test]
fn every_kind_of_config_is_shown_with_origins() {
    for (path, row) in [
        ("configs/tune.toml", "kl_max file 0.01"),
        ("configs/gate.toml", "power default 0.8"),
        ("envs/replay.toml", "replay.unit file \"offer\""),
        ("envs/a4.toml", "stock file 50"),
        ("envs/probe/one-price.toml", "problem.choke file 10.0"),
    ] {
        let shown = haggle(&["config", "show", path]);
        let out = String::from_utf8_lossy(&shown.stdout);
        let told = out.lines().any(|line| line.split_whitespace().eq(row.split(' ')));
        assert!(shown.status.success() && told, "{path}: {out}");
    }
}

#[test]
fn a_program_reads_where_a_config_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tune.toml");
    std::fs::write(&path, "# a fault\nsteps = 10\nkl_max = -0.5\n").unwrap();
    let done = haggle(&["config", "show", path.to_str().unwrap(), "--json"]);
    assert_eq!(done.status.code(), Some(2));
    let told: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(told["ok"], false);
    assert_eq!(
        (&told["code"], &told["line"], &told["column"]),
        (&2.into(), &3.into(), &10.into())
    );
    assert_eq!(
        (told["file"].as_str(), told["field"].as_str()),
        (path.to_str(), Some("kl_max"))
    );

    let done = haggle(&["train", "--json"]);
    assert_eq!(done.status.code(), Some(2));
    let told: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((&told["ok"], &told["code"]), (&false.into(), &2.into()));
}

#[test]
fn missing_data_ends_with_code_3() {
    for args in [
        vec!["fit", "nowhere", "--out", "x"],
        vec!["import", "complete-journey", "nowhere", "--out", "x"],
        vec!["import", "segments", "nowhere", "--out", "x"],
    ] {
        let done = haggle(&args);
        assert_eq!(
            done.status.code(),
            Some(3),
            "{args:?}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
    }
    // Where only a folder's name can be wrong, the command line is to blame.
    assert_eq!(haggle(&["runs", "nowhere"]).status.code(), Some(2));
}

#[test]
fn weeks_that_the_sessions_do_not_reach_are_refused_before_anything_is_fitted() {
    let store = "envs/sessions/complete-journey";
    let fit = [
        "fit",
        store,
        "--out",
        "x",
        "--train-weeks",
        "1-30",
        "--test-weeks",
        "38-53",
    ];
    let train = [
        "train",
        "configs/train/replay-mappo.toml",
        "--set",
        "env.held_out_weeks=38-53",
    ];
    for (args, name) in [(&fit[..], "--test-weeks"), (&train[..], "env.held_out_weeks")] {
        let done = haggle(args);
        let said = String::from_utf8_lossy(&done.stderr);
        let expected = format!("{name} 38-53: the sessions of {store} are of weeks 1 to 40");
        assert_eq!(done.status.code(), Some(3), "{said}");
        assert!(said.contains(&expected), "{said}");
    }
}
