//! `haggle bandit bundle`: from a price list to something that a daemon serves.

use haggle_policy::{Bundle, Model, PolicyKind};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const LIST: &str = "\
category,item,base_minor,low_minor,high_minor,cost_minor
mugs,red mug,900,600,1200,400
mugs,blue mug,900,600,1200,
teas,assam,450,300,600,200
";

/// What the command says: its exit code, and the last line of what it prints (its errors, where it fails).
fn make(folder: &Path, words: &str) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_haggle"));
    command.args(["bandit", "bundle", "--out", "bundles", "--json"]);
    command.args(words.split(' ')).current_dir(folder);
    let output = command.output().unwrap();
    let text = if output.status.success() {
        output.stdout
    } else {
        output.stderr
    };
    let text = String::from_utf8(text).unwrap();
    let last = text.lines().last().unwrap_or_default().to_owned();
    (output.status.code().unwrap(), last)
}

#[test]
fn a_price_list_becomes_a_bundle_of_bandits() {
    let desk = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(desk.path().join(name), text).unwrap();
    write("list.csv", LIST);
    let words =
        "--policy logit-ts --price-list list.csv --rungs 4 --features session.hour_sin --segments loyal,new";
    let (code, told) = make(desk.path(), words);
    assert_eq!(code, 0, "{told}");
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let folder: PathBuf = desk.path().join(told["bundle"].as_str().unwrap());
    let bundle = Bundle::load(&folder).unwrap();
    let PolicyKind::Bandit(bandits) = bundle.policy() else {
        panic!("no bandits");
    };
    let settings: Vec<_> = bandits.items().iter().map(|bandit| bandit.config()).collect();
    assert_eq!(settings[0].prices, [600.0, 800.0, 1000.0, 1200.0]);
    let costs: Vec<f64> = settings.iter().map(|config| config.cost).collect();
    assert_eq!(costs, [400.0, 0.0, 200.0]);
    assert_eq!((settings[2].contexts, settings[2].pooling.segments()), (1, 3));
    assert_ne!(settings[0].seed, settings[1].seed, "items draw differently");

    let words = format!("--policy linucb --like {}", folder.display());
    let (code, told) = make(desk.path(), &words);
    assert_eq!(code, 0, "{told}");
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let like = Bundle::load(&desk.path().join(told["bundle"].as_str().unwrap())).unwrap();
    assert_eq!(like.terms().catalog, bundle.terms().catalog);
    assert!(matches!(&like.manifest().model, Model::Bandit(plan) if plan.features.is_empty()));
}

#[test]
fn what_cannot_be_a_bundle_is_named() {
    let desk = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(desk.path().join(name), text).unwrap();
    write("list.csv", LIST);
    write("turned.csv", &LIST.replace("300,600", "600,300"));
    write("words.csv", &LIST.replace("450", "cheap"));
    write("empty.csv", "category,item,base_minor,low_minor,high_minor\n");
    write("nameless.csv", &LIST.replace("blue mug", ""));
    write("long.csv", &LIST.replace("assam", &"a".repeat(129)));
    write("dear.csv", &LIST.replace("600,200", "600,600"));
    write("twice.csv", &LIST.replace("blue", "red"));
    for (words, code, sentence) in [
        ("--policy lints", 2, "--like BUNDLE or --price-list FILE"),
        (
            "--policy lints --price-list list.csv --separate",
            2,
            "needs --segments",
        ),
        (
            "--policy lints --price-list list.csv --segments a,a",
            2,
            "each name once",
        ),
        (
            "--policy lints --price-list list.csv --features session.star_sign",
            2,
            "session.star_sign",
        ),
        ("--policy lints --price-list list.csv --floor 2", 2, "floor is 2"),
        (
            "--policy lints --price-list list.csv --forgetting 0.5 9",
            2,
            "forgetting.level is 0.5",
        ),
        (
            "--policy lints --price-list turned.csv",
            3,
            "item `assam`: need 0 < low_minor",
        ),
        ("--policy lints --price-list words.csv", 3, "line: 4"),
        ("--policy lints --price-list empty.csv", 3, "no items"),
        (
            "--policy lints --price-list nameless.csv",
            3,
            "its id has 0 bytes",
        ),
        ("--policy lints --price-list long.csv", 3, "its id has 129 bytes"),
        (
            "--policy lints --price-list dear.csv",
            3,
            "item `assam`: cost_minor is not below high_minor",
        ),
        (
            "--policy lints --price-list twice.csv",
            3,
            "item `red mug` stands in the catalogue twice",
        ),
        ("--policy lints --price-list none.csv", 3, "none.csv"),
        ("--policy lints --like none", 3, "cannot read none/manifest.json"),
    ] {
        let (got, said) = make(desk.path(), words);
        assert_eq!(got, code, "{words}: {said}");
        assert!(said.contains(sentence), "{words}: {said}");
        assert!(!desk.path().join("bundles").exists(), "{words}");
    }
}
