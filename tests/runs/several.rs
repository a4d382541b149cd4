//! Several seeds, sweeps, and `latest`.

use super::{Desk, damage, last_json, only_checkpoint};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

#[test]
fn several_seeds_share_a_summary_and_a_failed_one_loses_no_other() {
    let desk = Desk::new();
    let told = desk.told("train @train.toml --seeds 1-3 --jobs 2 --out @group");
    let rewards: Vec<f64> = told["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["metrics"]["rollout/ep_rew_mean"].as_f64().unwrap())
        .collect();
    assert_eq!(rewards.len(), 3);
    // A quarter of three runs, rounded down, is none: the interquartile mean is the mean.
    let iqm = told["over_seeds"]["rollout/ep_rew_mean"]["iqm"]["value"]
        .as_f64()
        .unwrap();
    assert!((iqm - rewards.iter().sum::<f64>() / 3.0).abs() < 1e-12);
    assert!(desk.path("group/summary.json").exists());

    desk.told("train @train.toml --set learner.seed=2 --out @alone");
    let listed = desk.told("runs @");
    let metrics = |ending: &str| {
        let runs = listed.as_array().unwrap();
        let run = runs
            .iter()
            .find(|run| run["folder"].as_str().unwrap().ends_with(ending));
        run.unwrap()["metrics"].clone()
    };
    assert_eq!(listed.as_array().unwrap().len(), 4);
    for tag in ["rollout/ep_rew_mean", "train/value_loss", "train/approx_kl"] {
        assert_eq!(
            metrics("alone")[tag],
            metrics("group/s2")[tag],
            "{tag}: a seed learns the same alone"
        );
    }

    // Second seed: its bundle is lost and its checkpoint damaged.
    fs::remove_dir_all(desk.path("group/s2/bundles")).unwrap();
    damage(&only_checkpoint(&desk.path("group/s2")));
    let done = desk.haggle("train @train.toml --seeds 1-3 --out @group --restart resume --json");
    assert_eq!(done.status.code(), Some(3));
    let told = last_json(&done);
    assert_eq!(
        (&told["ok"], &told["code"]),
        (&Value::Bool(false), &Value::from(3))
    );
    assert!(
        told["message"]
            .as_str()
            .unwrap()
            .starts_with("1 of 3 seeds failed")
    );
    assert!(told["runs"][1]["error"].as_str().unwrap().contains("damaged"));
    assert!(told["runs"][0]["error"].is_null() && told["runs"][2]["error"].is_null());
}

#[test]
fn latest_is_what_was_begun_last_wherever_it_stands() {
    let desk = Desk::new();
    let latest = |folder: &str| {
        let link = fs::canonicalize(desk.path("runs/latest")).unwrap();
        assert_eq!(link, fs::canonicalize(desk.path(folder)).unwrap());
    };
    desk.told("train @train.toml --out @elsewhere/one");
    latest("elsewhere/one");
    desk.told("train @train.toml --out @runs/two");
    latest("runs/two");
    assert_eq!(fs::read_link(desk.path("runs/latest")).unwrap(), Path::new("two"));
    desk.told("train @train.toml --seeds 1-2 --out @group");
    latest("group");
    let text = SWEEP.replace("TRAIN", desk.path("train.toml").to_str().unwrap());
    fs::write(desk.path("sweep.toml"), text).unwrap();
    desk.told("sweep @sweep.toml --set search.trials=2 --set search.steps_min=2048 --out @swept");
    latest("swept");
}

const SWEEP: &str = "\
train = \"TRAIN\"
seeds = \"1-2\"
metric = \"rollout/ep_rew_mean\"
search = { kind = \"halving\", trials = 4, steps_min = 1024, reduction = 2 }
[space]
\"learner.learning_rate.start\" = { log-uniform = [1e-4, 1e-2] }
\"learner.learning_rate.end\" = { choice = [0.0] }
\"learner.gamma\" = { choice = [0.0, 0.9] }
";

#[test]
fn a_sweep_that_was_killed_ends_like_one_that_was_not() {
    let desk = Desk::new();
    let text = SWEEP.replace("TRAIN", desk.path("train.toml").to_str().unwrap());
    fs::write(desk.path("sweep.toml"), text).unwrap();
    let whole = desk.told("sweep @sweep.toml --out @whole");
    let rounds: Vec<usize> = whole["rounds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|round| round.as_array().unwrap().len())
        .collect();
    assert_eq!(rounds, [4, 2]);

    let mut child = desk
        .command("sweep @sweep.toml --out @cut --jobs 1")
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while !desk.path("cut/r0-t001-s1/run.json").exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    let _ = child.kill(); // it may just have ended
    child.wait().unwrap();
    let first = fs::metadata(desk.path("cut/r0-t000-s1/config.toml"))
        .unwrap()
        .modified()
        .unwrap();
    let cut = desk.told("sweep @sweep.toml --out @cut --jobs 2");
    let again = fs::metadata(desk.path("cut/r0-t000-s1/config.toml"))
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(first, again, "a finished run is not repeated");
    assert_eq!((&cut["best"], &cut["rounds"]), (&whole["best"], &whole["rounds"]));

    let other = desk.refused(2, "sweep @sweep.toml --out @cut --set seed=2");
    assert!(other.contains("begun with another sweep file"), "{other}");
}
