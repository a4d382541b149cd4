//! What retention drops, what stays, and what a stop between its steps leaves behind.
#![allow(clippy::unwrap_used)]

#[path = "retention/base.rs"]
mod base;
mod common;

use common::shop::{Shop, arrival, compare, copy, quote_durably, told};
use common::{ask, bandit_bundle, earn, engine_config, mlp_bundle, named};
use haggle_core::read_segment;
use haggle_serve::{Code, Engine, EngineConfig, Index, Journal, RewardStatus, Stage, backup, check, export};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

const KEEP: &str = "[rewards]\nbackward_window_s = 1000\nterms = { window_s = 60 }\n[store]\nkeep_days = 1\n";
const FOREVER: &str = "[rewards]\nbackward_window_s = 1000\nterms = { window_s = 60 }\n";
const STEPS: u64 = 300;
const VOLUME_BYTES: u64 = 16 << 10;

/// Ten days ago.
fn start_s() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs() as i64 - 10 * 86_400
}

fn open(config: &EngineConfig) -> Engine {
    let journal = Journal::open(&config.store, config.seed).unwrap();
    Engine::over(journal.with_volume_bytes(VOLUME_BYTES), config).unwrap()
}

fn volumes(store: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(store.join("log")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|name| name == "log"))
        .collect();
    paths.sort();
    paths
}

/// The same in another place, with another configuration.
fn copied(config: &EngineConfig, dir: &Path, text: &str) -> EngineConfig {
    let mut other = engine_config(dir, &mlp_bundle(), text, None);
    other.bundle.clone_from(&config.bundle);
    copy(&config.store, &other.store);
    other
}

/// A store with much in it, as it was before retention and after; the shop opened at a time.
struct Trimmed {
    _dir: TempDir,
    before: EngineConfig,
    after: EngineConfig,
    start_s: i64,
    /// Settled long before the journal begins, but told of by a record that is kept.
    told_of: String,
}

fn trimmed() -> Trimmed {
    let (dir, start_s) = (TempDir::new().unwrap(), start_s());
    let before = engine_config(&dir.path().join("before"), &mlp_bundle(), FOREVER, None);
    let engine = open(&before);
    Shop::new(3, start_s).work(&engine, STEPS);
    // A window that closed long before most records, and a late reward of its decision in the last volume.
    let last_s = start_s + 5 * STEPS as i64;
    let closed = |id: &String| engine.get(id).unwrap().stage == Stage::Closed;
    let told_of = (1..=STEPS).map(|n| format!("d{n}")).find(closed).unwrap();
    let (status, _) = engine.reward(earn(&told_of, "very late", 1), last_s).unwrap();
    assert_eq!(status, RewardStatus::Late);
    engine.close().unwrap();
    drop(engine);
    let after = copied(&before, &dir.path().join("after"), KEEP);
    let engine = open(&after);
    engine
        .quote(named("last", "s", "tea-1"), arrival(last_s))
        .unwrap();
    engine.close().unwrap();
    // The same journal, all of it.
    for file in volumes(&after.store) {
        fs::copy(&file, before.store.join("log").join(file.file_name().unwrap())).unwrap();
    }
    fs::copy(after.store.join("tail"), before.store.join("tail")).unwrap();
    assert!(volumes(&before.store).len() > 5);
    Trimmed {
        _dir: dir,
        before,
        after,
        start_s,
        told_of,
    }
}

#[test]
fn old_volumes_leave_and_counts_prices_and_what_is_waited_for_stay() {
    let shop = trimmed();
    let (kept, all) = (volumes(&shop.after.store), volumes(&shop.before.store));
    assert!(
        kept.len() < all.len() / 2 && all.ends_with(&[]),
        "{kept:?} of {all:?}"
    );
    let (a, b) = (
        Engine::open(&shop.before).unwrap(),
        Engine::open(&shop.after).unwrap(),
    );
    let ((counts_a, told_a), (counts_b, told_b)) = (told(&a, STEPS), told(&b, STEPS));
    assert_eq!(counts_a, counts_b);
    let (mut gone, mut left) = (0, 0);
    for (id, answer) in &told_b {
        if answer == &told_a[id] {
            left += 1;
        } else {
            assert!(answer.contains("UnknownDecision"), "{id}: {answer}");
            let settled = ["Closed", "Lapsed", "Cancelled"];
            assert!(
                settled.iter().any(|stage| told_a[id].contains(stage)),
                "{id}: {}",
                told_a[id]
            );
            gone += 1;
        }
    }
    assert!(gone > STEPS / 3 && left > 10, "{gone} gone, {left} left");
    let now_s = shop.start_s + 5 * STEPS as i64 + 1;
    assert_eq!(told_a[&shop.told_of], told_b[&shop.told_of]);
    let again = b.reward(earn(&shop.told_of, "very late", 1), now_s);
    assert_eq!(again.unwrap().0, RewardStatus::Duplicate);
    assert_eq!(b.explain(&shop.told_of, now_s).unwrap_err().code, Code::Forgotten);
    for n in 0..60 {
        let session = format!("s{}", STEPS / 3 - n / 3);
        let mut request = named(
            &format!("then-{n}"),
            &session,
            ["milk-0", "milk-1", "tea-2"][n as usize % 3],
        );
        request.channel = Some("web".to_owned());
        let answers = [&a, &b].map(|engine| engine.quote(request.clone(), arrival(now_s)).unwrap().reply);
        assert_eq!(answers[0], answers[1]);
    }
    drop((a, b));
    compare(&shop.after, STEPS, shop.start_s);
}

#[test]
fn a_stop_between_two_steps_of_dropping_leaves_a_store_that_opens() {
    let shop = trimmed();
    let (before, after) = (&shop.before.store, &shop.after.store);
    let (all, kept) = (volumes(before).len(), volumes(after).len());
    let expected = told(&Engine::open(&shop.after).unwrap(), STEPS);
    let elsewhere = TempDir::new().unwrap();
    let mut case = 0;
    // Which of the files of the base are there already, and how many volumes are gone.
    let cuts = [
        (0, 0),
        (1, 0),
        (2, 0),
        (2, 1),
        (2, (all - kept) / 2),
        (2, all - kept),
    ];
    for (bases, gone) in cuts {
        for checkpoint in [Some(before), Some(after), None] {
            case += 1;
            let dir = elsewhere.path().join(case.to_string());
            let config = copied(&shop.before, &dir, KEEP);
            for base in &["base.copy", "base"][..bases] {
                fs::copy(after.join(base), config.store.join(base)).unwrap();
            }
            fs::write(config.store.join(".base"), "half of one").unwrap();
            for volume in &volumes(&config.store)[..gone] {
                fs::remove_file(volume).unwrap();
            }
            fs::remove_dir_all(config.store.join("checkpoint")).unwrap();
            if let Some(store) = checkpoint {
                copy(&store.join("checkpoint"), &config.store.join("checkpoint"));
            }
            let found = check(&config.store, false).unwrap();
            assert!(
                found.sound() && found.damage.is_empty() && found.lost.is_empty(),
                "{case}: {found:?}"
            );
            let engine = open(&config);
            assert_eq!(told(&engine, STEPS).0, expected.0, "case {case}");
            if bases > 0 || checkpoint == Some(after) {
                assert_eq!(told(&engine, STEPS).1, expected.1, "case {case}");
            }
            // The next checkpoint does the rest.
            engine
                .quote(named("more", "s", "tea-1"), arrival(shop.start_s + 9_000))
                .unwrap();
            engine.close().unwrap();
            drop(engine);
            assert!(volumes(&config.store).len() <= kept, "case {case}");
            let found = check(&config.store, false).unwrap();
            assert!(
                found.sound() && found.damage.is_empty() && found.first > 0,
                "{case}: {found:?}"
            );
            compare(&config, STEPS, shop.start_s);
        }
    }
}

fn wait_for(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_running_daemon_drops_what_it_has_ceased_to_know_and_counts_nothing_twice() {
    let (dir, start_s) = (TempDir::new().unwrap(), start_s());
    let text = KEEP.replace("keep_days = 1", "keep_days = 1\ncheckpoint_records = 20");
    let text = text.replace("backward_window_s = 1000", "backward_window_s = 0");
    let config = engine_config(dir.path(), &mlp_bundle(), &text, None);
    let engine = open(&config);
    for n in 0..200 {
        let now_s = start_s + n;
        let id = format!("d{n}");
        quote_durably(&engine, named(&id, &format!("s{n}"), "milk-0"), now_s);
        engine.reward(earn(&id, "r", 7), now_s).unwrap();
    }
    engine.expire(start_s + 1_000);
    let base = config.store.join("base");
    wait_for("nothing is dropped", || {
        // The shop is open still.
        engine.price(ask("open", "tea-0"), start_s + 1_001).unwrap();
        base.exists() && engine.get("d0").is_err()
    });
    let rewards = engine.status().rewards;
    assert_eq!(rewards, 200, "what was earned stays counted");
    let refusal = engine.reward(earn("d0", "r", 7), start_s + 1_002).unwrap_err();
    assert_eq!(refusal.code, Code::UnknownDecision);
    assert_eq!(
        engine.explain("d0", start_s + 1_002).unwrap_err().code,
        Code::UnknownDecision
    );
    assert_eq!(engine.status().rewards, rewards);
    // The id names another decision from now on, with rewards of its own.
    let again = engine
        .quote(named("d0", "s0", "milk-0"), arrival(start_s + 1_003))
        .unwrap();
    assert_eq!(again.reply.decision, "d0");
    let (status, _) = engine.reward(earn("d0", "r", 7), start_s + 1_004).unwrap();
    assert_eq!(status, RewardStatus::Durable);
    let there = engine.get("d0").unwrap();
    assert_eq!((there.value_minor, there.rewards.len()), (7, 1));
    let out = dir.path().join("copy");
    engine.close().unwrap();
    let status = told(&engine, 0).0;
    drop(engine);
    assert!(check(&config.store, false).unwrap().sound());
    let journal = Journal::existing(&config.store).unwrap();
    let copied = backup(&journal.reader(), &out).unwrap();
    assert!(copied.first > 0);
    let exported = export(&journal.reader(), &dir.path().join("out")).unwrap();
    assert!(exported.rewards < 200 && exported.offers > 0, "{exported:?}");
    let index = Index::open(&config.store, &journal).unwrap();
    assert_eq!(index.records("d1").unwrap(), []);
    assert_eq!(
        index.records("d0").unwrap().len(),
        2,
        "the new one and its reward"
    );
    drop((index, journal));
    let mut restored = config.clone();
    restored.store = out;
    assert_eq!(told(&open(&restored), 0).0, status);
}

#[test]
fn a_volume_stays_that_a_decision_in_it_waits_for() {
    let (dir, start_s) = (TempDir::new().unwrap(), start_s());
    // Thirty days, of which ten are over.
    let text = "[rewards]\nterms = { window_s = 2592000 }\n[store]\nkeep_days = 1\n";
    let config = engine_config(dir.path(), &mlp_bundle(), text, None);
    let engine = open(&config);
    for n in 0..200 {
        quote_durably(&engine, named(&format!("d{n}"), "s", "milk-0"), start_s + n);
    }
    engine.close().unwrap();
    drop(engine);
    assert!(volumes(&config.store).len() > 3 && !config.store.join("base").exists());
    let engine = open(&config);
    let (status, _) = engine.reward(earn("d0", "r", 7), start_s + 9 * 86_400).unwrap();
    assert_eq!(status, RewardStatus::Durable);
}

#[test]
fn what_bandits_had_learnt_stays_and_decisions_that_are_kept_replay() {
    let (dir, start_s) = (TempDir::new().unwrap(), start_s());
    let config = engine_config(dir.path(), &bandit_bundle(), KEEP, None);
    let engine = open(&config);
    let shop = |engine: &Engine, from: i64| {
        for n in from..from + 60 {
            let (id, now_s) = (format!("d{n}"), start_s + 100 * n);
            quote_durably(engine, named(&id, &id, "milk-0"), now_s);
            engine.reward(earn(&id, "r", n % 2), now_s).unwrap();
            engine.expire(now_s + 90);
        }
    };
    shop(&engine, 0);
    wait_for("the bandit does not learn", || {
        engine.status().bandits[0].lessons == 60
    });
    let learnt = engine.status().bandits;
    engine.close().unwrap();
    drop(engine);
    let first = check(&config.store, false).unwrap().first;
    assert!(first > 0);
    fs::remove_dir_all(config.store.join("checkpoint")).unwrap();
    let engine = open(&config);
    assert_eq!(engine.status().bandits, learnt, "from the base and what is kept");
    // The bandit has learnt from all, and the last decisions are explained as it was then.
    let (id, now_s) = ("d59", start_s + 100 * 59);
    let card = engine.explain(id, now_s).unwrap();
    assert!(card.replayed, "{card:?}");
    assert_eq!(
        engine.explain("d0", now_s).unwrap_err().code,
        Code::UnknownDecision
    );
    shop(&engine, 60);
    let card = engine.explain(id, now_s).unwrap();
    assert!(card.replayed, "taught again: {card:?}");
}

#[test]
fn exports_before_and_after_are_one_history() {
    let shop = trimmed();
    let out = TempDir::new().unwrap();
    let exported = |config: &EngineConfig, name: &str| {
        let journal = Journal::existing(&config.store).unwrap();
        export(&journal.reader(), &out.path().join(name)).unwrap();
    };
    let offers = |name: &str| {
        let mut segments: Vec<PathBuf> = fs::read_dir(out.path().join(name))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        segments.sort();
        let read = |path: PathBuf| read_segment(&fs::read(path).unwrap()).unwrap();
        segments.into_iter().flat_map(read).collect::<Vec<_>>()
    };
    exported(&shop.before, "once");
    exported(&shop.before, "twice");
    exported(&shop.after, "twice");
    exported(&shop.after, "late");
    assert_eq!(offers("once"), offers("twice"));
    assert!(offers("late").len() < offers("once").len() / 2 && !offers("late").is_empty());
}
