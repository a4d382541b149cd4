//! `haggled config`: the daemon's files are shown with their origins, have schemas, and are refused with file, line and column.

#![allow(clippy::unwrap_used)]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const KINDS: [&str; 2] = ["daemon", "guardrails"];

fn configs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs")
}

fn haggled(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_haggled"));
    command.arg("config").args(args).output().unwrap()
}

fn committed(kind: &str) -> Value {
    let text = std::fs::read_to_string(configs().join(format!("schema/{kind}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn committed_schemas_are_those_of_the_program() {
    for kind in KINDS {
        let made: Value = serde_json::from_slice(&haggled(&["schema", kind]).stdout).unwrap();
        assert_eq!(
            made,
            committed(kind),
            "refresh it: haggled config schema {kind} > configs/schema/{kind}.json"
        );
    }
}

#[test]
fn the_shipped_files_are_what_their_schemas_say() {
    for kind in KINDS {
        let schema = jsonschema::validator_for(&committed(kind)).unwrap();
        let text = std::fs::read_to_string(configs().join(format!("daemon/{kind}.toml"))).unwrap();
        let mut config = serde_json::to_value(toml::from_str::<toml::Table>(&text).unwrap()).unwrap();
        assert!(schema.is_valid(&config), "{kind}");
        config["unheard_of"] = Value::from(1);
        assert!(!schema.is_valid(&config), "{kind}");
    }
}

#[test]
fn every_value_is_shown_with_its_origin() {
    let file = configs().join("daemon/daemon.toml");
    let shown = haggled(&["show", "--json", file.to_str().unwrap()]);
    let rows: Vec<[String; 3]> = serde_json::from_slice(&shown.stdout).unwrap();
    let row = |name: &str| {
        let row = rows.iter().find(|[own, ..]| own == name);
        row.map(|[_, value, origin]| (value.as_str(), origin.as_str()))
    };
    assert_eq!(row("prices.deadline_ms"), Some(("50", "file")));
    assert_eq!(row("rewards.terms.window_s"), Some(("86400", "file")));
    assert_eq!(row("store.checkpoint_records"), Some(("65536", "default")));
    let book = configs().join("daemon/guardrails.toml");
    let shown = String::from_utf8(haggled(&["show", book.to_str().unwrap()]).stdout).unwrap();
    assert!(
        shown.contains("all.change.period       file     \"day\""),
        "{shown}"
    );
}

#[test]
fn a_fault_has_file_line_column_and_the_nearest_name_and_code_2() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("d.toml");
    std::fs::write(&file, "[prices]\ndeadline_ms = 5\nstiky_s = 3\n").unwrap();
    let refused = haggled(&["show", file.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8(refused.stderr).unwrap();
    let expected = "d.toml:3:1: prices.stiky_s: unknown field `stiky_s`, expected one of `sticky_s`, `deadline_ms`, `holdout_share`; did you mean `sticky_s`?";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn a_daemon_with_a_bad_file_touches_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("rules.toml"), "[al]\nfreeze = true\n").unwrap();
    let mut serve = Command::new(env!("CARGO_BIN_EXE_haggled"));
    serve
        .arg("serve")
        .arg("--socket")
        .arg(at("s"))
        .arg("--store")
        .arg(at("store"));
    let refused = serve.arg("--guardrails").arg(at("rules.toml")).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("rules.toml:1:2: al: unknown field `al`"), "{said}");
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn a_rulebook_that_no_daemon_takes_is_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("book.toml");
    let shown = |book: &str| {
        std::fs::write(&file, book).unwrap();
        let output = haggled(&["show", file.to_str().unwrap(), "--as", "guardrails"]);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for (book, sentence) in [
        (
            "[all]\nfloor_minor = 9\nceiling_minor = 8",
            "book.toml:2:15: all.floor_minor: 9 is above",
        ),
        ("[all]\nmargin_min = nan", "all.margin_min: NaN: 0 or more"),
        ("[item.a]\nmargin_min = 1.0", "item.a.margin_min: 1: 0 or more"),
        (
            "[all]\nchange = { share_max = -0.1, period = \"day\" }",
            "all.change.share_max: -0.1: 0 to 1",
        ),
        ("segment_by = \"\"", "`segment_by` has 0 bytes"),
        (
            "[all]\ncorridor = { share_max = 0.1, memory_s = 9 }",
            "segment_by: it is missing",
        ),
        (
            "[all]\nceiling_minor = 8\n[item.a]\nfloor_minor = 9",
            "book.toml:4:15: item.a.floor_minor: 9 is above",
        ),
        (
            "[all]\nceiling_minor = 8\n[category.c]\nceiling_minor = 9\n[item.a]\nfloor_minor = 10",
            "item.a.floor_minor: 10 is above",
        ),
    ] {
        let (code, said) = shown(book);
        assert_eq!(code, Some(2), "{book}");
        assert!(said.contains(sentence), "{said}");
    }
    // Whether the item is in the category only a catalogue says.
    let may_be = "[all]\nceiling_minor = 8\n[category.c]\nceiling_minor = 10\n[item.a]\nfloor_minor = 10";
    assert_eq!(shown(may_be).0, Some(0));
}

#[test]
fn days_to_keep_are_at_least_one() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("d.toml");
    for days in ["0", "-5"] {
        std::fs::write(&file, format!("[store]\nkeep_days = {days}\n")).unwrap();
        let said = String::from_utf8(haggled(&["show", file.to_str().unwrap()]).stderr).unwrap();
        let expected = format!("store.keep_days: found {days}, expected a whole number, 1 or more");
        assert!(said.contains(&expected), "{said}");
    }
}

#[test]
fn lists_in_the_place_of_tables_and_numbers_too_large_are_told_with_field_and_place() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("d.toml");
    let no_table = "found a list, expected a table";
    for (kind, text, expected) in [
        ("daemon", "[[store]]\nkeep_days = 3\n", format!("d.toml:1:1: store: {no_table}")),
        ("daemon", "store = [1]\n", format!("d.toml:1:9: store: {no_table}")),
        ("daemon", "[rewards]\nterms = [{ window_s = 5 }]\n", format!("d.toml:2:9: rewards.terms: {no_table}")),
        ("guardrails", "[[all]]\nfloor_minor = 3\n", format!("d.toml:1:1: all: {no_table}")),
        (
            "daemon",
            "[store]\nkeep_days = 99999999999999999999\n",
            "d.toml:2:13: store.keep_days: found 99999999999999999999, expected a whole number within 64 bits".to_owned(),
        ),
    ] {
        std::fs::write(&file, text).unwrap();
        let refused = haggled(&["show", file.to_str().unwrap(), "--as", kind]);
        assert_eq!(refused.status.code(), Some(2));
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(said.contains(&expected), "{said}");
    }
}

#[test]
fn nobody_has_to_read_to_the_end() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_haggled"));
    command.args(["config", "schema"]);
    command.stdout(std::process::Stdio::piped());
    command.stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}
