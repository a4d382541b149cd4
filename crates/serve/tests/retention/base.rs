//! What stands in the place of dropped records: damaged, missing or of another store, it is not believed.

use crate::common::shop::{Shop, arrival, compare, told};
use crate::common::{earn, engine_config, mlp_bundle, named};
use crate::{KEEP, STEPS, open, start_s, trimmed, volumes};
use haggle_serve::{Code, Engine, Journal, check, forget};
use std::fs;
use tempfile::TempDir;

#[test]
fn what_was_dropped_is_told_apart_from_what_is_missing_or_damaged() {
    let shop = trimmed();
    let config = &shop.after;
    let found = check(&config.store, false).unwrap();
    assert!(
        found.sound() && found.first > 0 && found.lost.is_empty(),
        "{found:?}"
    );
    // A volume that is kept, and missing.
    let first = volumes(&config.store)[0].clone();
    let bytes = fs::read(&first).unwrap();
    fs::remove_file(&first).unwrap();
    let lost = check(&config.store, false).unwrap();
    assert_eq!(
        lost.lost.first().map(|(from, _)| *from),
        Some(found.first),
        "{lost:?}"
    );
    assert!(!lost.sound());
    assert!(Journal::open(&config.store, None).is_err());
    // In its place one that does not go on from what was dropped.
    let mut other = bytes.clone();
    other[20] ^= 1;
    let sum = crc32c::crc32c(&other[..60]).to_le_bytes();
    other[60..64].copy_from_slice(&sum);
    fs::write(&first, other).unwrap();
    assert!(!check(&config.store, false).unwrap().breaks.is_empty());
    fs::write(&first, bytes).unwrap();
    // One of the two files is enough, and a repair writes the other again.
    let base = config.store.join("base");
    let sound = fs::read(&base).unwrap();
    let mut damaged = sound.clone();
    damaged[sound.len() / 2] ^= 1;
    fs::write(&base, &damaged).unwrap();
    let found = check(&config.store, false).unwrap();
    assert!(!found.sound() && found.damage.len() == 1, "{found:?}");
    let expected = told(&Engine::open(&shop.after).unwrap(), STEPS);
    assert_eq!(fs::read(&base).unwrap(), sound, "a start has written it again");
    fs::write(&base, &damaged).unwrap();
    assert!(check(&config.store, true).unwrap().sound());
    assert_eq!(fs::read(&base).unwrap(), sound);
    assert_eq!(told(&Engine::open(&shop.after).unwrap(), STEPS), expected);
    fs::write(&base, &damaged).unwrap();
    fs::write(config.store.join("base.copy"), &damaged).unwrap();
    let error = Journal::open(&config.store, None).unwrap_err().to_string();
    assert!(error.contains("restore the store from a backup"), "{error}");
}

#[test]
fn a_forgotten_user_is_in_no_base() {
    let (dir, start_s) = (TempDir::new().unwrap(), start_s());
    let config = engine_config(dir.path(), &mlp_bundle(), KEEP, None);
    let engine = open(&config);
    let his = |id: &str, session: &str, now_s: i64| {
        let mut request = named(id, session, "milk-0");
        request.user = Some("somebody 4711".to_owned());
        engine.quote(request, arrival(now_s)).unwrap();
        engine.reward(earn(id, "r", 5), now_s).unwrap();
    };
    his("his first", "an old session", start_s);
    Shop::new(4, start_s).work(&engine, STEPS);
    his("his last", "a new session", start_s + 5 * STEPS as i64);
    engine.close().unwrap();
    drop(engine);
    let holds = |text: &[u8]| {
        let mut files = volumes(&config.store);
        files.extend(["base", "base.copy"].map(|file| config.store.join(file)));
        let holds = |bytes: Vec<u8>| bytes.windows(text.len()).any(|bytes| bytes == text);
        files.into_iter().any(|file| holds(fs::read(file).unwrap()))
    };
    assert!(holds(b"somebody 4711") && holds(b"an old session"));
    assert!(check(&config.store, false).unwrap().first > 0);
    let chain = check(&config.store, false).unwrap().chain;
    forget(&config.store, "somebody 4711", &[]).unwrap();
    assert!(!holds(b"somebody 4711") && !holds(b"an old session") && !holds(b"a new session"));
    let found = check(&config.store, false).unwrap();
    assert!(found.sound() && found.chain == chain, "{found:?}");
    let engine = open(&config);
    assert_eq!(engine.get("his last").unwrap_err().code, Code::UnknownDecision);
    engine.close().unwrap();
    drop(engine);
    compare(&config, STEPS, start_s);
}

#[test]
fn a_store_whose_base_is_missing_is_not_taken_for_one_whose_first_volume_is() {
    let shop = trimmed();
    let store = &shop.after.store;
    let checkpoint = fs::read(store.join("checkpoint/state")).unwrap();
    for base in ["base", "base.copy"] {
        fs::remove_file(store.join(base)).unwrap();
    }
    for repair in [false, true] {
        let refused = check(store, repair).unwrap_err().to_string();
        assert!(
            refused.contains("damaged or missing") && refused.contains("from a backup"),
            "{refused}"
        );
    }
    let refused = Engine::open(&shop.after).unwrap_err().to_string();
    assert!(refused.contains("damaged or missing"), "{refused}");
    assert_eq!(fs::read(store.join("checkpoint/state")).unwrap(), checkpoint);
}

#[test]
fn a_base_of_another_store_is_not_believed_and_not_copied_over_the_right_one() {
    let (shop, other) = (trimmed(), trimmed());
    let (store, foreign) = (&shop.after.store, &other.after.store);
    let expected = told(&Engine::open(&shop.after).unwrap(), STEPS);
    let right = fs::read(store.join("base")).unwrap();
    let wrong = fs::read(foreign.join("base")).unwrap();
    assert_ne!(right, wrong);
    for (file, other_file) in [("base", "base.copy"), ("base.copy", "base")] {
        for repair in [true, false] {
            fs::write(store.join(file), &wrong).unwrap();
            let found = check(store, repair).unwrap();
            assert!(found.lost.is_empty() && found.damage.len() == 1, "{found:?}");
            assert_eq!(fs::read(store.join(other_file)).unwrap(), right);
            fs::write(store.join(file), &wrong).unwrap();
            assert_eq!(told(&Engine::open(&shop.after).unwrap(), STEPS), expected);
            assert_eq!(fs::read(store.join(file)).unwrap(), right);
        }
    }
    // Twice the wrong one makes nobody remove a volume.
    let kept = volumes(store);
    for base in ["base", "base.copy"] {
        fs::write(store.join(base), &wrong).unwrap();
    }
    assert!(Engine::open(&shop.after).is_err());
    assert!(!check(store, false).is_ok_and(|found| found.sound()));
    assert_eq!(volumes(store), kept);
}
