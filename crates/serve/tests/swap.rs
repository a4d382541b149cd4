//! Bundles change under load, on evidence only, and back.
#![allow(clippy::unwrap_used)]

mod common;

use common::{House, ask, digest, earn, engine_config, fixed_bundle, mlp_bundle, named, terms};
use haggle_core::{Catalog, Policy, PriceMinor, SavedCategory, read_segment};
use haggle_policy::{Bundle, Terms};
use haggle_serve::{
    AdminRequest, ClientError, Code, Engine, Exported, Health, Mode, RewardStatus, Source, Status, Swapped,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn verdict(folder: &Path, candidate: &str, incumbent: &str, passed: bool) {
    let gate = serde_json::json!({
        "format": 1, "passed": passed, "candidate": candidate, "incumbent": incumbent, "gain_minor": 12.5,
    });
    fs::write(folder.join(haggle_policy::GATE_FILE), gate.to_string()).unwrap();
}

fn swap(bundle: &Path, force: bool) -> AdminRequest {
    AdminRequest::Swap {
        bundle: bundle.to_owned(),
        force,
    }
}

fn code(answer: Result<Swapped, ClientError>) -> Code {
    answer.unwrap_err().refusal().unwrap().code
}

#[test]
fn only_a_passing_verdict_about_these_two_bundles_lets_a_swap_through() {
    let (old, new) = (fixed_bundle(3, 0.0), fixed_bundle(9, 0.0));
    let house = House::new(&old);
    let folder = house.add(&new);
    let daemon = house.start();
    let mut operator = daemon.operator();
    let (a, b) = (digest(&old), digest(&new));
    assert_eq!(
        code(operator.admin(&swap(&folder, false))),
        Code::GateRefused,
        "no verdict"
    );
    for (candidate, incumbent, passed) in [(&b, &a, false), (&a, &a, true), (&b, &b, true)] {
        verdict(&folder, candidate, incumbent, passed);
        assert_eq!(code(operator.admin(&swap(&folder, false))), Code::GateRefused);
    }
    let socket = house.socket();
    let ctl = [
        "ctl",
        "--socket",
        socket.to_str().unwrap(),
        "swap",
        "--bundle",
        folder.to_str().unwrap(),
    ];
    let refused = house.haggled(&ctl);
    let told: serde_json::Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(
        (&told["ok"], &told["code"]),
        (&false.into(), &"gate_refused".into())
    );
    let (code_6, sentence) = common::outcome(refused);
    assert_eq!(code_6, 6);
    assert!(sentence.ends_with("(gate_refused)"), "{sentence}");
    verdict(&folder, &b, &a, true);
    let done: Swapped = operator.admin(&swap(&folder, false)).unwrap();
    assert_eq!((done.policy, done.previous), (new.digest(), old.digest()));
    assert_eq!(
        daemon.client().price(&ask("s", "milk-0")).unwrap().policy,
        new.digest()
    );
    let back: Swapped = operator.admin(&AdminRequest::Rollback).unwrap();
    assert_eq!(back.policy, old.digest());
    let forced: Swapped = operator.admin(&swap(&folder, true)).unwrap();
    assert_eq!(forced.policy, new.digest());
    daemon.kill();
    fs::remove_dir_all(house.dir.path().join("bundles").join(new.digest().short())).unwrap();
    let daemon = house.start();
    let status = daemon.client().status().unwrap();
    assert_eq!(
        (status.policy, status.previous),
        (new.digest(), Some(old.digest())),
        "a restart goes on with it"
    );
}

#[test]
fn an_unsound_bundle_is_refused_and_the_old_one_serves_on() {
    let old = fixed_bundle(3, 0.0);
    let house = House::new(&old);
    let daemon = house.start();
    let mut operator = daemon.operator();
    let broken = house.add(&fixed_bundle(9, 0.0));
    let manifest = broken.join("manifest.json");
    let bytes = fs::read(&manifest).unwrap();
    fs::write(&manifest, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(code(operator.admin(&swap(&broken, true))), Code::BundleRefused);
    assert_eq!(
        code(operator.admin(&swap(&house.dir.path().join("none"), true))),
        Code::BundleRefused
    );
    let mut groups = Vec::<SavedCategory>::from((*terms(0.0).catalog).clone());
    groups[0].items.pop();
    let smaller = Terms {
        catalog: Catalog::new(groups).unwrap().into(),
        ..terms(0.0)
    };
    let smaller = house.add(&Bundle::fixed(smaller, vec![3; 5]).unwrap());
    assert_eq!(
        code(operator.admin(&swap(&smaller, true))),
        Code::BundleRefused,
        "other items"
    );
    assert_eq!(code(operator.admin(&AdminRequest::Rollback)), Code::NoPrevious);
    assert_eq!(daemon.client().status().unwrap().policy, old.digest());
}

#[test]
fn swaps_under_load_fail_no_request_and_each_price_is_its_policys() {
    let bundles: Vec<Bundle> = (0..5).map(|n| fixed_bundle(2 + n, 0.0)).collect();
    let house = House::new(&bundles[0]);
    let folders: Vec<PathBuf> = bundles.iter().map(|bundle| house.add(bundle)).collect();
    let prices: Arc<Vec<_>> = Arc::new(
        bundles
            .iter()
            .enumerate()
            .map(|(n, bundle)| (bundle.digest(), terms(0.0).catalog.items()[0].ladder.price(2 + n)))
            .collect(),
    );
    let daemon = house.start();
    let done = Arc::new(AtomicBool::new(false));
    let shops: Vec<_> = (0..4)
        .map(|shop| {
            let (mut client, prices, done) = (daemon.client(), Arc::clone(&prices), Arc::clone(&done));
            std::thread::spawn(move || {
                let (mut answered, mut seen) = (0, [0; 5]);
                while !done.load(Ordering::Relaxed) {
                    let asks: Vec<_> = (0..16)
                        .map(|n| ask(&format!("{shop}-{}", answered + n), "milk-0"))
                        .collect();
                    for reply in client.prices(&asks).unwrap() {
                        let reply = reply.expect("no request fails");
                        let policy = prices
                            .iter()
                            .position(|(digest, _)| *digest == reply.policy)
                            .unwrap();
                        assert_eq!(reply.price_minor, prices[policy].1);
                        seen[policy] += 1;
                        answered += 1;
                    }
                }
                (answered, seen)
            })
        })
        .collect();
    let mut operator = daemon.operator();
    for n in 1..=40 {
        let _: Swapped = operator.admin(&swap(&folders[n % 5], true)).unwrap();
    }
    done.store(true, Ordering::Relaxed);
    let answered: Vec<_> = shops.into_iter().map(|shop| shop.join().unwrap()).collect();
    assert!(
        answered.iter().map(|(count, _)| count).sum::<usize>() > 200,
        "{answered:?}"
    );
    let status: Status = operator.admin(&AdminRequest::Status).unwrap();
    assert_eq!(status.unlogged, 0);
}

#[test]
fn segments_hold_each_decision_with_the_sum_of_its_rewards() {
    let house = House::new(&mlp_bundle());
    let daemon = house.start();
    let mut client = daemon.client();
    let asks: Vec<_> = (0..100).map(|n| ask(&format!("s{n}"), "tea-1")).collect();
    let replies: Vec<_> = client
        .prices(&asks)
        .unwrap()
        .into_iter()
        .map(Result::unwrap)
        .collect();
    for (n, reply) in replies.iter().enumerate().filter(|(n, _)| n % 4 == 0) {
        client
            .reward(&earn(&reply.decision, "sale", 100 + n as i64))
            .unwrap();
        client
            .reward(&earn(&reply.decision, "sale", 100 + n as i64))
            .unwrap();
        client.reward(&earn(&reply.decision, "part", -30)).unwrap();
    }
    let out = house.dir.path().join("segments");
    let live: Exported = daemon
        .operator()
        .admin(&AdminRequest::Export { out: out.clone() })
        .unwrap();
    assert_eq!((live.offers, live.rewards, live.segments.len()), (100, 50, 1));
    let bytes = fs::read(&live.segments[0]).unwrap();
    let offers = read_segment(&bytes).unwrap();
    for (n, (offer, reply)) in offers.iter().zip(&replies).enumerate() {
        let logged = offer.logged.as_ref().unwrap();
        let earned = if n % 4 == 0 { (70 + n as i64, 2) } else { (0, 0) };
        assert_eq!((offer.value_minor, offer.units), earned);
        assert_eq!(
            (&logged.decision.0, logged.policy),
            (&reply.decision, reply.policy)
        );
        assert_eq!(
            (offer.price_minor, logged.propensity()),
            (reply.price_minor, reply.propensity)
        );
        assert_eq!((offer.category.as_str(), offer.posted_minor.0), ("tea", 150));
    }
    let (code, _) = daemon.terminate();
    assert_eq!(code, Some(0));
    let (store, out) = (house.store(), house.dir.path().join("again"));
    let args = [
        "export",
        "--json",
        "--store",
        store.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
    ];
    let offline: Exported = serde_json::from_slice(&house.haggled(&args).stdout).unwrap();
    assert_eq!(fs::read(&offline.segments[0]).unwrap(), bytes, "the same offline");
}

#[test]
fn drain_stops_the_daemon() {
    let house = House::new(&fixed_bundle(3, 0.0));
    let mut daemon = house.start();
    let socket = house.socket();
    let reply = house.haggled(&["ctl", "--socket", socket.to_str().unwrap(), "drain"]);
    assert!(reply.status.success());
    let status: Status = serde_json::from_slice(&reply.stdout).unwrap();
    assert_eq!(status.store, Health::Ok);
    assert_eq!(daemon.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_damaged_bundle_of_the_store_is_healed_or_frozen_over() {
    let dir = tempfile::tempdir().unwrap();
    let [first, second] = [fixed_bundle(3, 0.0), fixed_bundle(9, 0.0)];
    let mut config = engine_config(dir.path(), &first, "", None);
    let other = second.write(&dir.path().join("bundles")).unwrap().1;
    let engine = Engine::open(&config).unwrap();
    let before = engine.price(named("d1", "s", "milk-0"), 1).unwrap();
    engine.swap(&other, true).unwrap();
    engine.reward(earn("d1", "r", 7), 2).unwrap();
    let told = engine.price(named("d2", "t", "milk-0"), 2).unwrap();
    assert_ne!(before.price_minor, told.price_minor);
    engine.close().unwrap();
    drop(engine);
    let copy = config.store.join("bundles").join(second.digest().short());
    let damage = || {
        for file in fs::read_dir(&copy).unwrap() {
            fs::write(file.unwrap().path(), "damaged").unwrap();
        }
    };
    for checkpoint in [true, false] {
        if !checkpoint {
            fs::remove_dir_all(config.store.join("checkpoint")).unwrap();
        }
        damage();
        let engine = Engine::open(&config).unwrap();
        let status = engine.status();
        assert_eq!((status.mode, status.policy), (Mode::Frozen, first.digest()));
        let reply = engine
            .price(named(&format!("frozen {checkpoint}"), "u", "milk-0"), 3)
            .unwrap();
        assert_eq!(
            (reply.source, reply.price_minor),
            (Source::Static, PriceMinor(100))
        );
        assert_eq!(engine.price(named("d2", "t", "milk-0"), 3).unwrap(), told);
        let (status, _) = engine
            .reward(earn("d2", &format!("r{checkpoint}"), 7), 3)
            .unwrap();
        assert_eq!(status, RewardStatus::Durable);
        let refusal = engine.freeze(false).unwrap_err();
        assert_eq!(refusal.code, Code::BundleRefused, "{refusal:?}");
        engine.close().unwrap();
    }
    assert!(
        !config.store.join("checkpoint/state").exists(),
        "none is made of guesses"
    );
    config.bundle = Some(other.clone());
    let engine = Engine::open(&config).unwrap();
    let status = engine.status();
    assert_eq!(
        (status.mode, status.policy, status.rewards),
        (Mode::Live, second.digest(), 3)
    );
    engine.close().unwrap();
    drop(engine);
    config.bundle = None;
    drop(Engine::open(&config).unwrap());
    damage();
    let engine = Engine::open(&config).unwrap();
    assert_eq!(engine.status().mode, Mode::Frozen);
    let third = fixed_bundle(5, 0.0).write(&dir.path().join("bundles")).unwrap().1;
    engine.swap(&third, true).unwrap();
    assert_eq!(engine.status().mode, Mode::Live);
    engine.close().unwrap();
    drop(engine);
    assert_eq!(Engine::open(&config).unwrap().status().mode, Mode::Live);
}
