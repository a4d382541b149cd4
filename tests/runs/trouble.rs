//! Runs that diverge, and checkpoints that are damaged.

use super::{Desk, damage, only_checkpoint};
use serde_json::Value;
use std::fs;

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
        let said = desk.refused(3, &format!("bundle @{name} --out @made"));
        let way = format!(
            "2 other checkpoints of the run can be read: take the newest of them with --checkpoint {}",
            older.display()
        );
        assert!(said.contains("is damaged") && said.ends_with(&way), "{said}");
        let run = if cut {
            format!("--out @{name} --restart resume")
        } else {
            format!("--resume @{name}")
        };
        let told = desk.told(&format!("{keep} {run} --from {}", older.display()));
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
