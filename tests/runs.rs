//! Run folders, several seeds, sweeps, and what bad input leaves behind: nothing.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// A tiny run in an environment of one question: a tenth of a second.
const TRAIN: &str = "\
env = \"envs/probe/one-price.toml\"
runs = \"RUNS\"
[learner]
steps = 2048
copies = 16
horizon = 16
hidden = [8]
minibatch_rows = 64
device = \"cpu\"
";

struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let desk = Self { folder };
        let runs = desk.path("runs");
        fs::write(
            desk.path("train.toml"),
            TRAIN.replace("RUNS", runs.to_str().unwrap()),
        )
        .unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_haggle"));
        // `@name` is a path on this desk.
        command.args(words.split_whitespace().map(|word| match word.strip_prefix('@') {
            Some(name) => self.path(name).into_os_string(),
            None => word.into(),
        }));
        command.current_dir(env!("CARGO_MANIFEST_DIR"));
        command
    }

    fn haggle(&self, words: &str) -> Output {
        self.command(words).output().unwrap()
    }

    /// What a command that must succeed tells programs.
    fn told(&self, words: &str) -> Value {
        let done = self.haggle(&format!("{words} --json"));
        assert!(
            done.status.success(),
            "{words}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        last_json(&done)
    }

    /// The one sentence of a command that must fail with this code.
    fn refused(&self, code: i32, words: &str) -> String {
        let done = self.haggle(words);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(code), "{words}: {said}");
        assert!(!said.contains("panicked"), "{said}");
        said.trim_end().lines().last().unwrap_or_default().to_owned()
    }
}

fn last_json(done: &Output) -> Value {
    let text = String::from_utf8_lossy(&done.stdout);
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

fn only_checkpoint(run: &Path) -> PathBuf {
    fs::read_dir(run.join("checkpoints"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path()
}

fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

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
fn an_existing_run_is_touched_only_as_asked() {
    let desk = Desk::new();
    desk.told("train @train.toml --out @one");
    let nowhere = desk.refused(2, "train @train.toml --out @two --from best");
    assert!(nowhere.contains("with --resume RUN"), "{nowhere}");
    assert!(!desk.path("two").exists());
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
fn sizes_that_no_machine_holds_are_refused() {
    let desk = Desk::new();
    for set in ["learner.copies=1000000000", "learner.horizon=9223372036854775807"] {
        let refused = desk.refused(2, &format!("train @train.toml --set {set}"));
        assert!(refused.contains("copies"), "{refused}");
    }
}

#[test]
fn a_run_that_diverges_ends_with_code_5_and_goes_on_with_smaller_steps() {
    let desk = Desk::new();
    let rate = "learner.learning_rate={start=1e-3,end=1e38}";
    let said = desk.refused(5, &format!("train @train.toml --out @one --set {rate}"));
    let kept = only_checkpoint(&desk.path("one"));
    let sentence = format!(
        " is not finite; the state before it is kept as {}; go on from it with --resume {} and smaller steps, ",
        kept.display(),
        desk.path("one").display()
    );
    assert!(
        said.starts_with(
            "haggle: one-price: learning diverged in update 2, after 256 environment steps: train/"
        ) && said.contains(&sentence),
        "{said}"
    );
    let facts =
        || -> Value { serde_json::from_slice(&fs::read(desk.path("one/run.json")).unwrap()).unwrap() };
    assert_eq!(facts()["status"], "failed");
    assert_eq!(
        facts()["diverged"][0]["checkpoint"],
        kept.file_name().unwrap().to_str().unwrap()
    );
    assert_eq!(facts()["device"], "cpu, fused");
    assert_eq!(
        facts()["libtorch"].as_str().map(|version| &version[..6]),
        Some("2.11.0")
    );
    // The kept one is sound: the run goes on from it, and meets the same end.
    desk.refused(5, &format!("train @train.toml --resume @one --set {rate}"));
    // A file that says otherwise is refused, with both values; --set is an answer.
    let other = desk.refused(2, "train @train.toml --resume @one");
    let huge = format!("1{}.0", "0".repeat(38));
    assert!(
        other.contains(&format!(
            "has learner.learning_rate.end = {huge}, now 0.0 is asked for"
        )) && other.contains("--set learner.learning_rate.end=0.0"),
        "{other}"
    );
    let told = desk.told(
        "train @train.toml --resume @one --set learner.learning_rate={start=1e-3,end=0.0} --set learner.steps=4096",
    );
    assert_eq!(told["steps"], 4096);
    let facts = facts();
    let resumed = &facts["resumed"][1];
    assert_eq!(
        (&facts["status"], &resumed["steps"]),
        (&Value::from("finished"), &Value::from(256))
    );
    let changes: Vec<(&str, &str, &str)> = resumed["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| {
            let word = |name: &str| change[name].as_str().unwrap();
            (word("field"), word("old"), word("new"))
        })
        .collect();
    assert_eq!(
        changes,
        [
            ("learner.learning_rate.end", huge.as_str(), "0.0"),
            ("learner.steps", "2048", "4096")
        ]
    );
    let config = fs::read_to_string(desk.path("one/config.toml")).unwrap();
    assert!(
        config.contains("steps = 4096") && config.contains("end = 0.0") && !config.contains(&huge),
        "{config}"
    );
}

#[test]
fn a_damaged_checkpoint_is_refused_with_the_way_on_and_loses_nothing() {
    let desk = Desk::new();
    let keep = "train @train.toml --set learner.checkpoint_every=512";
    let whole = desk.told(&format!("{keep} --out @whole"));
    for (name, cut) in [("flipped", false), ("truncated", true)] {
        desk.told(&format!("{keep} --out @{name}"));
        let newest = desk.path(&format!("{name}/checkpoints/step-000000002048.checkpoint"));
        if cut {
            let bytes = fs::read(&newest).unwrap();
            fs::write(&newest, &bytes[..bytes.len() / 2]).unwrap();
        } else {
            damage(&newest);
        }
        let more = "--set learner.steps=4096";
        let said = desk.refused(3, &format!("{keep} {more} --resume @{name}"));
        let older = desk.path(&format!("{name}/checkpoints/step-000000001536.checkpoint"));
        let way = format!(
            "2 other checkpoints of the run can be read: go on from the newest of them with --resume {} --from {}",
            desk.path(name).display(),
            older.display()
        );
        assert!(said.contains("is damaged") && said.ends_with(&way), "{said}");
        assert!(newest.exists(), "a refusal changes nothing");
        let told = desk.told(&format!("{keep} --resume @{name} --from {}", older.display()));
        assert_eq!(told["steps"], 2048);
        let metrics = |run: &str| {
            let text = fs::read_to_string(desk.path(run).join("metrics.jsonl")).unwrap();
            let untimed = text.lines().map(|line| {
                let mut line: Value = serde_json::from_str(line).unwrap();
                line.as_object_mut()
                    .unwrap()
                    .retain(|tag, _| !tag.starts_with("time/"));
                line
            });
            untimed.collect::<Vec<_>>()
        };
        assert_eq!(metrics(name), metrics("whole"), "the same run, bit for bit");
        let aside = fs::read_dir(desk.path(&format!("{name}/checkpoints"))).unwrap();
        let aside = aside.flatten().find(|entry| entry.path().is_dir()).unwrap();
        assert!(aside.path().join("step-000000002048.checkpoint").exists());
        desk.told(&format!("{keep} {more} --resume @{name}"));
    }
    for from in ["7", "@train.toml"] {
        let said = desk.refused(2, &format!("{keep} --resume @whole --from {from}"));
        assert!(
            said.contains("no checkpoint `") && said.contains("there are 1024, 1536, 2048"),
            "{said}"
        );
    }
    assert!(whole["bundle"].is_string());
    for entry in fs::read_dir(desk.path("whole/checkpoints")).unwrap().flatten() {
        damage(&entry.path());
    }
    let said = desk.refused(3, &format!("{keep} --resume @whole --set learner.steps=4096"));
    assert!(
        said.ends_with("no other checkpoint of the run can be read: it has to begin again"),
        "{said}"
    );
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
