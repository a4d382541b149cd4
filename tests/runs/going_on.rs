//! Runs that exist already, are finished, or were stopped.

use super::{Desk, damage, only_checkpoint};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

#[test]
fn an_existing_run_is_touched_only_as_asked() {
    let desk = Desk::new();
    desk.told("train @train.toml --out @one");
    for words in ["@two --from best", "@one --restart restart --from best"] {
        let nowhere = desk.refused(2, &format!("train @train.toml --out {words}"));
        assert!(
            nowhere.contains("with --resume RUN or --out RUN --restart resume"),
            "{nowhere}"
        );
    }
    assert!(!desk.path("two").exists() && !desk.path("one.1").exists());
    let taken = desk.refused(2, "train @train.toml --out @one");
    assert!(
        taken.contains("exists already") && taken.contains("--restart"),
        "{taken}"
    );
    let other = desk.refused(
        2,
        "train @train.toml --out @one --restart resume --set learner.gamma=0.5",
    );
    assert!(
        other.contains("has learner.gamma = 0.99, now 0.5 is asked for"),
        "{other}"
    );
    assert!(desk.path("one/run.json").exists());

    let told = desk.told("train @train.toml --out @one --restart resume --set learner.steps=4096");
    assert_eq!(told["steps"], 4096);
    let whole = desk.told("train @train.toml --out @whole --set learner.steps=4096");
    assert_eq!(whole["steps"], 4096);

    desk.told("train @train.toml --out @one --restart restart");
    assert!(desk.path("one.1/run.json").exists());
    desk.told("train @train.toml --out @one --restart overwrite");
    assert!(!desk.path("one.2").exists());

    damage(&only_checkpoint(&desk.path("one")));
    let damaged = desk.refused(
        3,
        "train @train.toml --out @one --restart resume --set learner.steps=4096",
    );
    assert!(damaged.contains("damaged"), "{damaged}");
    fs::create_dir(desk.path("thesis")).unwrap();
    fs::write(desk.path("thesis/chapter.tex"), "x").unwrap();
    desk.refused(2, "train @train.toml --out @thesis --restart overwrite");
    assert!(desk.path("thesis/chapter.tex").exists());
}

#[test]
fn a_finished_run_that_is_resumed_says_so_and_keeps_its_one_bundle() {
    let desk = Desk::new();
    let whole = desk.told("train @train.toml --out @one");
    let again = desk.told("train @train.toml --resume @one");
    assert_eq!(again["finished"], true);
    assert_eq!(
        (&again["bundle"], &again["steps"]),
        (&whole["bundle"], &whole["steps"])
    );
    assert_eq!(fs::read_dir(desk.path("one/bundles")).unwrap().count(), 1);
}

#[test]
fn the_last_bundle_is_the_one_that_the_run_recorded() {
    let desk = Desk::new();
    let short = desk.told("train @train.toml --out @one");
    let long = desk.told("train @train.toml --resume @one --set learner.steps=4096");
    assert_ne!(short["bundle"], long["bundle"]);
    // The older one gets the newer time, as a copy of the run may have it.
    fs::write(
        PathBuf::from(short["bundle"].as_str().unwrap()).join("touched"),
        "x",
    )
    .unwrap();
    let again = "train @train.toml --resume @one --set learner.steps=4096";
    assert_eq!(desk.told(again)["bundle"], long["bundle"]);

    let facts = desk.path("one/run.json");
    let mut told: Value = serde_json::from_slice(&fs::read(&facts).unwrap()).unwrap();
    assert_eq!(told["bundle"], long["digest"]);
    told.as_object_mut().unwrap().remove("bundle");
    fs::write(&facts, told.to_string()).unwrap();
    let refused = desk.refused(3, again);
    assert!(refused.contains("2 bundles are here"), "{refused}");
    fs::remove_dir_all(short["bundle"].as_str().unwrap()).unwrap();
    assert_eq!(desk.told(again)["bundle"], long["bundle"]);
}

#[test]
fn sigterm_ends_a_run_with_a_checkpoint_as_ctrl_c_does() {
    let desk = Desk::new();
    for (folder, signal) in [("term", "-TERM"), ("int", "-INT")] {
        let mut child = desk
            .command(&format!(
                "train @train.toml --out @{folder} --set learner.steps=100000000000"
            ))
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let metrics = desk.path(folder).join("metrics.jsonl");
        let learns = || fs::metadata(&metrics).is_ok_and(|file| file.len() > 0);
        while !learns() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        // Two processes in one folder would cut each other's metrics.
        let busy = desk.refused(
            2,
            &format!("train @train.toml --out @{folder} --restart overwrite"),
        );
        assert!(
            busy.contains("another process is training in this folder"),
            "{busy}"
        );
        let sent = Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(130), "{signal}");
        only_checkpoint(&desk.path(folder));
        let facts: Value =
            serde_json::from_slice(&fs::read(desk.path(folder).join("run.json")).unwrap()).unwrap();
        assert_eq!(facts["status"], "interrupted");
    }
}

#[test]
fn the_config_of_a_run_is_where_the_next_one_begins() {
    let desk = Desk::new();
    let first = desk.told("train @train.toml --out @one");
    let again = desk.told("train @one/config.toml --out @two");
    assert_eq!(
        again["digest"], first["digest"],
        "two runs that learn the same make the same bundle"
    );
    let config = |run: &str| fs::read_to_string(desk.path(run).join("config.toml")).unwrap();
    assert_eq!(config("two"), config("one"));

    let shown = desk.told("config show @one/config.toml --set env.copies=2");
    let row = |name: &str| {
        let mut rows = shown.as_array().unwrap().iter();
        rows.find(|row| row[0] == name).unwrap().clone()
    };
    assert_eq!(row("learner.steps")[1], "2048");
    assert_eq!(row("env.copies")[2], "--set");
    let said = desk.refused(2, "train @one/config.toml --set env.copies=0");
    assert!(
        said.starts_with("haggle: --set env.copies=0: env.copies"),
        "{said}"
    );
    let said = desk.refused(2, "train @one/config.toml --set env.copys=1");
    assert!(
        said.contains("env.copys: unknown field") && said.contains("did you mean `copies`?"),
        "{said}"
    );

    // A new folder is named by the environment as before; an old run goes on.
    let runs = desk.path("runs");
    let named = desk.told(&format!("train @one/config.toml --set runs={}", runs.display()));
    let name = PathBuf::from(named["run"].as_str().unwrap());
    let name = name.strip_prefix(&runs).unwrap().to_str().unwrap();
    assert!(name.starts_with("one-price__mappo__s1__"), "{name}");
    let longer = desk.told("train @one/config.toml --resume @one --set learner.steps=4096");
    assert_eq!(longer["steps"], 4096);
}
