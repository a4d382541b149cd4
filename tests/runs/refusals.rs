//! What bad input leaves behind: nothing.

use super::Desk;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

#[test]
fn sizes_that_no_machine_holds_are_refused() {
    let desk = Desk::new();
    for set in ["learner.copies=1000000000", "learner.horizon=9223372036854775807"] {
        let refused = desk.refused(2, &format!("train @train.toml --set {set}"));
        assert!(refused.contains("copies"), "{refused}");
    }
}

#[test]
fn bad_input_is_one_sentence_and_leaves_nothing_behind() {
    let desk = Desk::new();
    for (words, sentence) in [
        ("train @train.toml --set learner.gama=1", "did you mean `gamma`?"),
        ("train @train.toml --set learner.gamma=high", "expected a number"),
        (
            "train @train.toml --set learner.clip_ratio=3",
            "above 0 and below 1 expected",
        ),
        (
            "train @train.toml --set env=envs/a4.toml --set env.base_rate=-1",
            "base_rate",
        ),
        (
            "train @train.toml --set env=envs/a4.toml --set env.prices=[]",
            "prices",
        ),
        ("train @train.toml --set env.prices=[]", "prices"),
        (
            "train @train.toml --set env=envs/nowhere.toml",
            "cannot read config",
        ),
        ("train @nowhere.toml", "cannot read config"),
        (
            "train @train.toml --set learner.horizon=9223372036854775807",
            "haggle: --set learner.horizon=9223372036854775807: learner.copies = 16 and horizon",
        ),
        (
            "train configs/train/replay-mappo.toml --set learner.memory=8",
            "haggle: --set learner.memory=8: replayed sessions need",
        ),
        (
            "q-learning envs/c.toml --set discount=1.5",
            "haggle: --set discount=1.5: discount = 1.5: ",
        ),
        ("train @train.toml --resume @nowhere", "nowhere"),
        (
            "oracle envs/a4.toml --set base_rate=-1",
            "a finite number above 0 expected",
        ),
        ("sweep @train.toml", "unknown field"),
    ] {
        let said = desk.refused(2, words);
        assert!(
            said.starts_with("haggle: ") && said.contains(sentence),
            "{words}: {said}"
        );
    }
    let twice = String::from_utf8(desk.haggle("train @train.toml --seeds 1,2,2").stderr).unwrap();
    assert!(twice.contains("seed 2 stands there twice"), "{twice}");
    assert!(!desk.path("runs").exists(), "nothing was begun");

    // A file where the folder for runs should be: not even root can write there.
    fs::write(desk.path("runs"), "x").unwrap();
    let unwritable = desk.refused(3, "train @train.toml");
    assert!(unwritable.contains("runs"), "{unwritable}");
}

#[test]
fn damaged_runs_are_listed_as_such_and_runs_in_a_probe_are_not_compared() {
    let desk = Desk::new();
    let run = PathBuf::from(desk.told("train @train.toml")["run"].as_str().unwrap());
    let name = run.file_name().unwrap().to_str().unwrap();
    let said = desk.refused(2, "report @runs");
    assert!(
        said.contains(name) && said.contains("learnt in a probe"),
        "{said}"
    );
    fs::write(run.join("run.json"), "{").unwrap();
    let listed = desk.told("runs @runs");
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["status"], "damaged");
    assert!(listed[0]["folder"].as_str().unwrap().ends_with(name));
    let said = desk.refused(3, "report @runs");
    assert!(said.contains(name) && said.contains("a damaged run"), "{said}");
}

#[test]
fn completions_know_the_subcommands() {
    let desk = Desk::new();
    for shell in ["bash", "zsh", "fish"] {
        let done = desk.haggle(&format!("completions {shell}"));
        let script = String::from_utf8(done.stdout).unwrap();
        for word in ["train", "sweep", "doctor", "--seeds", "schema"] {
            let bare = word.trim_start_matches("--");
            assert!(script.contains(bare), "{shell}: {word}");
        }
    }
    let script = desk.haggle("completions bash").stdout;
    fs::write(desk.path("haggle.bash"), script).unwrap();
    let sound = Command::new("bash")
        .arg("-n")
        .arg(desk.path("haggle.bash"))
        .status()
        .unwrap();
    assert!(sound.success(), "bash reads it");
}
