//! A start from a checkpoint comes to exactly what a start from the whole journal comes to.
#![allow(clippy::unwrap_used)]

mod common;

use common::shop::{Shop, arrival, compare, copy, told};
use common::{engine_config, mlp_bundle, named};
use haggle_core::Frames;
use haggle_serve::{Code, Engine, EngineConfig, forget};
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const CONFIG: &str =
    "[store]\ncheckpoint_records = 50\n[rewards]\nbackward_window_s = 1000\nterms = { window_s = 60 }\n";
const START_S: i64 = 1_600_000_000;

#[test]
fn a_start_from_a_checkpoint_is_a_start_from_the_journal() {
    let dir = TempDir::new().unwrap();
    let config = engine_config(dir.path(), &mlp_bundle(), CONFIG, None);
    let mut shop = Shop::new(3, START_S);
    for round in 0..3u64 {
        let engine = Engine::open(&config).unwrap();
        shop.work(&engine, 60 + 7 * round);
        let running = told(&engine, shop.step);
        if round % 2 == 0 {
            engine.close().unwrap();
        }
        // Else it ends without a checkpoint of what came last.
        drop(engine);
        assert!(config.store.join("checkpoint/state").exists(), "round {round}");
        assert_eq!(
            told(&Engine::open(&config).unwrap(), shop.step),
            running,
            "round {round}"
        );
        compare(&config, shop.step, START_S);
    }
}

/// A store with one checkpoint, of everything, and what it says.
fn checkpointed(dir: &Path) -> (EngineConfig, (String, BTreeMap<String, String>)) {
    let config = engine_config(dir, &mlp_bundle(), &CONFIG.replace("= 50", "= 50000"), None);
    let engine = Engine::open(&config).unwrap();
    Shop::new(4, START_S).work(&engine, STEPS);
    let told = told(&engine, STEPS);
    engine.close().unwrap();
    (config, told)
}

const STEPS: u64 = 150;

#[test]
fn a_checkpoint_that_cannot_be_believed_costs_nothing_but_time() {
    let dir = TempDir::new().unwrap();
    let (config, expected) = checkpointed(dir.path());
    let folder = config.store.join("checkpoint");
    let (state, archive) = (folder.join("state"), archive_of(&config));
    let (sound, sound_archive) = (fs::read(&state).unwrap(), fs::read(&archive).unwrap());
    let reopened = || {
        let engine = Engine::open(&config).unwrap();
        let told = told(&engine, STEPS);
        drop(engine);
        told
    };
    for at in (0..sound.len()).step_by(sound.len() / 6) {
        let mut damaged = sound.clone();
        damaged[at] ^= 4;
        fs::write(&state, damaged).unwrap();
        assert_eq!(reopened(), expected, "byte {at}");
        fs::write(&state, &sound[..at]).unwrap();
        assert_eq!(reopened(), expected, "cut at {at}");
    }
    fs::write(&state, &sound).unwrap();
    fs::write(&archive, &sound_archive[..sound_archive.len() / 2]).unwrap();
    assert_eq!(reopened(), expected, "half an archive");
    // Of another store, with the same shop and other draws.
    let other = TempDir::new().unwrap();
    let mut foreign = engine_config(other.path(), &mlp_bundle(), CONFIG, None);
    foreign.seed = Some(6);
    let engine = Engine::open(&foreign).unwrap();
    Shop::new(4, START_S).work(&engine, STEPS);
    engine.close().unwrap();
    drop(engine);
    fs::remove_dir_all(&folder).unwrap();
    copy(&foreign.store.join("checkpoint"), &folder);
    assert_eq!(reopened(), expected, "a checkpoint of another store");
}

/// The one file of an archive that one checkpoint made.
fn archive_of(config: &EngineConfig) -> PathBuf {
    config.store.join("checkpoint/archive-1")
}

/// Where the frames of a file of an archive lie.
fn frames(archive: &[u8]) -> Vec<Range<usize>> {
    let mut frames = Frames::new(archive);
    let mut from = 0;
    std::iter::from_fn(|| {
        // Behind the frames it says where they lie.
        frames.next()?.ok()?;
        let frame = from..frames.offset();
        from = frame.end;
        Some(frame)
    })
    .collect()
}

#[test]
fn an_archive_that_is_not_that_of_its_checkpoint_costs_nothing_but_time() {
    let dir = TempDir::new().unwrap();
    let (config, _) = checkpointed(dir.path());
    let archive = archive_of(&config);
    let sound = fs::read(&archive).unwrap();
    let frames = frames(&sound);
    // A write that went to another place: each entry is sound.
    let pairs = frames
        .iter()
        .flat_map(|from| frames.iter().map(move |to| (from, to)));
    let fit = |(from, to): &(&Range<usize>, &Range<usize>)| {
        from.len() == to.len() && sound[(*from).clone()] != sound[(*to).clone()]
    };
    let (from, to) = pairs.into_iter().find(fit).unwrap();
    let mut misplaced = sound.clone();
    misplaced.copy_within(from.clone(), to.start);
    let mut zeroed = sound.clone();
    let page = sound.len() / 2..(sound.len() / 2 + 4096).min(sound.len());
    zeroed[page].fill(0);
    let elsewhere = TempDir::new().unwrap();
    let mut foreign = engine_config(
        elsewhere.path(),
        &mlp_bundle(),
        &CONFIG.replace("= 50", "= 50000"),
        None,
    );
    foreign.seed = Some(6);
    let engine = Engine::open(&foreign).unwrap();
    Shop::new(5, START_S).work(&engine, STEPS);
    engine.close().unwrap();
    let mut foreign = fs::read(archive_of(&foreign)).unwrap();
    foreign.resize(sound.len(), 0);
    for (what, bytes) in [
        ("an entry over another", misplaced),
        ("a zeroed page", zeroed),
        ("the archive of another store", foreign),
    ] {
        assert_eq!(bytes.len(), sound.len());
        println!("{what}");
        fs::write(&archive, bytes).unwrap();
        compare(&config, STEPS, START_S);
    }
}

fn flip_bits(archive: &mut [u8]) {
    archive
        .iter_mut()
        .skip(40)
        .step_by(64)
        .for_each(|byte| *byte ^= 1);
}

/// Puts a sound entry of another decision wherever one of d100 lies.
fn misplace(archive: &mut [u8]) {
    let frames = frames(archive);
    // As the codec writes a short text.
    let is_its = |bytes: &[u8]| bytes.windows(5).any(|bytes| bytes == b"\x04d100");
    let (its, others): (Vec<_>, Vec<_>) = frames
        .into_iter()
        .partition(|frame| is_its(&archive[frame.clone()]));
    assert!(!its.is_empty());
    for frame in its {
        let fits = |other: &&Range<usize>| other.len() <= frame.len();
        archive.copy_within(others.iter().find(fits).unwrap().clone(), frame.start);
    }
}

#[test]
fn an_archive_that_is_damaged_while_the_daemon_runs_is_refused_and_read_again_at_the_next_start() {
    for damage in [flip_bits, misplace] {
        let dir = TempDir::new().unwrap();
        let (config, expected) = checkpointed(dir.path());
        let archive = archive_of(&config);
        let engine = Engine::open(&config).unwrap();
        let mut bytes = fs::read(&archive).unwrap();
        damage(&mut bytes);
        fs::write(&archive, bytes).unwrap();
        let refusal = engine.get("d100").unwrap_err();
        assert_eq!(refusal.code, Code::StoreFailed, "{refusal:?}");
        drop(engine);
        assert_eq!(told(&Engine::open(&config).unwrap(), STEPS), expected);
    }
}

#[test]
fn a_forgotten_user_is_in_no_checkpoint() {
    let dir = TempDir::new().unwrap();
    let config = engine_config(dir.path(), &mlp_bundle(), CONFIG, None);
    let engine = Engine::open(&config).unwrap();
    let mut request = named("his", "his session", "milk-0");
    request.user = Some("somebody 4711".to_owned());
    engine.quote(request, arrival(START_S)).unwrap();
    Shop::new(4, START_S).work(&engine, STEPS);
    engine.close().unwrap();
    drop(engine);
    let found = || {
        let files = fs::read_dir(config.store.join("checkpoint"))
            .into_iter()
            .flatten();
        let holds = |bytes: Vec<u8>| bytes.windows(13).any(|bytes| bytes == b"somebody 4711");
        files
            .into_iter()
            .any(|file| holds(fs::read(file.unwrap().path()).unwrap()))
    };
    assert!(found(), "he was in the archive");
    forget(&config.store, "somebody 4711", &[]).unwrap();
    assert!(!found());
    let engine = Engine::open(&config).unwrap();
    assert_eq!(engine.get("his").unwrap_err().code, Code::UnknownDecision);
    engine.close().unwrap();
    drop(engine);
    assert!(!found());
    compare(&config, STEPS, START_S);
}
