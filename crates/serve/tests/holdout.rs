//! Users who always get the static price: who they are, where it is written, and what is counted beside them.
#![allow(clippy::unwrap_used)]

mod common;

use common::{House, bandit_bundle, earn, engine_config, engine_with, fixed_bundle, get_http, named};
use haggle_core::{Logged, Policy, PriceMinor, Rule, read_segment};
use haggle_policy::Bundle;
use haggle_serve::{
    Arrival, Code, Engine, HoldoutStatus, LogMode, Mode, PriceReply, PriceRequest, Source, export, http_path,
};
use std::path::{Path, PathBuf};

const NOW: i64 = 1_600_000_000;
const STATIC: PriceMinor = PriceMinor(100);
const PRICED: PriceMinor = PriceMinor(115);

fn config(share: f64) -> String {
    format!("[rewards]\nterms = {{ window_s = 10 }}\n[prices]\nsticky_s = 0\nholdout_share = {share}\n")
}

/// Shows 115 for `milk-0`, whose base price is 100.
fn bundle() -> Bundle {
    fixed_bundle(9, 0.0)
}

fn write(dir: &Path, bundle: &Bundle) -> PathBuf {
    bundle.write(&dir.join("candidates")).unwrap().1
}

fn request(id: &str, user: usize) -> PriceRequest {
    PriceRequest {
        user: Some(format!("u{user}")),
        ..named(id, id, "milk-0")
    }
}

fn reopened(engine: Engine, dir: &Path, share: f64) -> Engine {
    engine.close().unwrap();
    drop(engine);
    engine_with(dir, &bundle(), &config(share), None)
}

/// Which of 1,000 users are held out, by what they are answered.
fn held_out(engine: &Engine, visit: &str) -> Vec<bool> {
    let of = |user| {
        let reply = engine
            .price(request(&format!("{visit}{user}"), user), NOW)
            .unwrap();
        let is_held_out = reply.source == Source::Holdout;
        assert!(!is_held_out || (reply.price_minor, reply.propensity) == (STATIC, 1.0));
        assert!(is_held_out || reply.price_minor != STATIC, "{reply:?}");
        is_held_out
    };
    (0..1_000).map(of).collect()
}

#[test]
fn users_are_held_out_for_ever_whatever_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine_with(dir.path(), &bundle(), &config(0.1), None);
    let first = held_out(&engine, "first");
    let share = first.iter().filter(|is_held_out| **is_held_out).count();
    assert!((70..=130).contains(&share), "{share} of 1,000");
    let user = first.iter().position(|is_held_out| *is_held_out).unwrap();
    let card = engine.explain(&format!("first{user}"), NOW).unwrap();
    assert!(card.replayed && card.why.contains("held out"), "{card:?}");
    let parts: f64 = card.contributions.iter().map(|part| part.minor).sum();
    assert!(parts.abs() < 1e-9, "{card:?}");

    let other = write(dir.path(), &fixed_bundle(8, 0.0));
    engine.swap(&other, true).unwrap();
    assert_eq!(held_out(&engine, "swapped"), first);
    let canary = write(dir.path(), &fixed_bundle(7, 0.0));
    engine.begin_canary(&canary, 1.0, true).unwrap();
    assert_eq!(held_out(&engine, "canary"), first, "nor are they served a canary");
    let engine = reopened(engine, dir.path(), 0.1);
    assert_eq!(held_out(&engine, "reopened"), first);
    let again = engine.price(request(&format!("first{user}"), user), NOW).unwrap();
    assert_eq!(
        (again.source, again.price_minor),
        (Source::Holdout, STATIC),
        "the first answer again"
    );

    let engine = reopened(engine, dir.path(), 0.3);
    let more = held_out(&engine, "more");
    assert!(
        first.iter().zip(&more).all(|(before, now)| !before || *now),
        "nobody comes back"
    );
    let engine = reopened(engine, dir.path(), 0.0);
    assert!(held_out(&engine, "none").iter().all(|is_held_out| !is_held_out));
    assert_eq!(engine.status().holdout, None);
}

/// A session of somebody who is held out, of nobody in particular.
fn lot(engine: &Engine, held_out: bool) -> String {
    let asks = |session: &String| {
        let mut request = named(&format!("lot {session}"), session, "tea-0");
        request.user = None;
        let source = engine.price(request, NOW - 9_000).unwrap().source;
        (source == Source::Holdout) == held_out
    };
    (0..).map(|n| format!("s{n}")).find(asks).unwrap()
}

#[test]
fn rules_hold_for_everybody() {
    let dir = tempfile::tempdir().unwrap();
    let book = "[all]\nfloor_minor = 1\nceiling_minor = 900\n[item.milk-0]\nfloor_minor = 104\n";
    let sticky = "[prices]\nholdout_share = 0.5\n";
    let engine = engine_with(dir.path(), &bundle(), sticky, Some(book));
    let (out, priced) = (lot(&engine, true), lot(&engine, false));
    let of = |id: &str, session: &str| -> PriceReply {
        let mut request = named(id, session, "milk-0");
        request.user = None;
        engine.price(request, NOW).unwrap()
    };
    let reply = of("out", &out);
    assert_eq!(reply.source, Source::Holdout);
    assert_eq!(
        reply.price_minor,
        PriceMinor(105),
        "the allowed price nearest to the static one"
    );
    assert!(reply.rules.contains(&Rule::Floor) && !reply.personal_data_used);
    assert_eq!(of("priced", &priced).price_minor, PRICED);
    // In the mode apprentice everybody gets the shop's own price; frozen, everybody the static one.
    engine.set_mode(Mode::Apprentice, None).unwrap();
    for session in [&out, &priced] {
        let mut request = named(&format!("own {session}"), session, "milk-0");
        request.own_minor = Some(PriceMinor(97));
        let reply = engine.price(request, NOW).unwrap();
        assert_eq!(
            (reply.source, reply.price_minor),
            (Source::Caller, PriceMinor(97))
        );
    }
    engine.set_mode(Mode::Frozen, None).unwrap();
    assert_eq!(of("frozen", &out).source, Source::Static);
}

fn settle(engine: &Engine) {
    for _ in 0..2 {
        let mut request = named("settled", "settled", "tea-0");
        request.log = LogMode::Sync;
        let quote = engine.quote(request, Arrival::at(NOW)).unwrap();
        quote.ticket.unwrap().blocking_recv().unwrap().unwrap();
    }
}

/// One visit of each user from `from` on: everybody buys, and all windows close.
fn season(engine: &Engine, from: usize, users: usize) {
    for user in from..from + users {
        let now_s = NOW + user as i64;
        let reply = engine.price(request(&format!("d{user}"), user), now_s).unwrap();
        let reward = earn(&reply.decision, "r", i64::from(reply.price_minor.0));
        engine.reward(reward, now_s).unwrap();
    }
    engine.expire(NOW + (from + users) as i64 + 10);
    settle(engine);
}

fn holdout(engine: &Engine) -> HoldoutStatus {
    engine.status().holdout.unwrap()
}

#[test]
fn what_policies_bring_is_counted_from_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine_with(dir.path(), &bundle(), &config(0.0), None);
    season(&engine, 0, 100); // before anybody was held out
    let engine = reopened(engine, dir.path(), 0.5);
    season(&engine, 100, 500);
    let other = write(dir.path(), &fixed_bundle(3, 0.0));
    engine.swap(&other, true).unwrap();
    season(&engine, 600, 300);
    let counted = holdout(&engine);
    assert_eq!(
        counted.priced.decisions + counted.held_out.decisions,
        800,
        "over swaps"
    );
    assert_eq!(counted.held_out.mean_minor, Some(100.0));
    let mean = counted.priced.mean_minor.unwrap();
    assert!(mean > 85.0 && mean < 115.0, "of both bundles: {mean}");
    let difference = counted.difference_minor.unwrap();
    assert!((difference.mean - (mean - 100.0)).abs() < 1e-9 && difference.low < difference.mean);
    // What nobody or the caller prices speaks for no arm.
    engine.set_mode(Mode::Frozen, None).unwrap();
    season(&engine, 900, 50);
    assert_eq!(holdout(&engine), counted);
    let engine = reopened(engine, dir.path(), 0.5);
    assert_eq!(holdout(&engine), counted, "from a checkpoint");
    engine.close().unwrap();
    drop(engine);
    std::fs::remove_dir_all(dir.path().join("store/checkpoint")).unwrap();
    let engine = engine_with(dir.path(), &bundle(), &config(0.5), None);
    assert_eq!(holdout(&engine), counted, "made again from the journal");
    // Another share counts anew.
    std::fs::write(dir.path().join("daemon.toml"), config(0.25)).unwrap();
    engine.reload().unwrap();
    let anew = holdout(&engine);
    assert_eq!(
        (anew.share, anew.priced.decisions, anew.held_out.decisions),
        (0.25, 0, 0)
    );
    let engine = reopened(engine, dir.path(), 0.25);
    assert_eq!(holdout(&engine), anew);
}

#[test]
fn a_log_tells_them_apart_and_bandits_learn_from_them() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine_with(dir.path(), &bandit_bundle(), &config(0.5), None);
    season(&engine, 0, 60);
    while engine.status().bandits[0].waiting > 0 {
        std::thread::yield_now();
    }
    assert_eq!(
        engine.status().bandits[0].lessons,
        60,
        "demand at a price is the same whoever set it"
    );
    let out = dir.path().join("segments");
    engine.close().unwrap();
    drop(engine);
    let journal = haggle_serve::Journal::existing(&dir.path().join("store")).unwrap();
    let exported = export(&journal.reader(), &out).unwrap();
    let offers = read_segment(&std::fs::read(&exported.segments[0]).unwrap()).unwrap();
    let milk = || offers.iter().filter(|offer| offer.item == "milk-0");
    let (held_out, rest): (Vec<_>, Vec<_>) = milk().partition(|offer| offer.held_out());
    assert!(
        held_out.len() > 15 && rest.len() > 15,
        "{} {}",
        held_out.len(),
        rest.len()
    );
    for offer in held_out {
        let logged = offer.logged.as_ref().unwrap();
        assert_eq!((offer.price_minor, logged.propensity()), (STATIC, 1.0));
        assert_eq!(logged.policy, Logged::held_out());
    }
    assert_eq!(Logged::held_out().short(), "c79682bd72b7", "as the docs say");
    let served = bandit_bundle().digest();
    assert!(
        rest.iter()
            .all(|offer| offer.logged.as_ref().unwrap().policy == served)
    );
}

#[test]
fn a_share_out_of_range_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let config = engine_config(dir.path(), &bundle(), &config(0.1), None);
    let engine = Engine::open(&config).unwrap();
    for share in ["1.0", "-0.1", "nan", "inf", "\"x\""] {
        let file = dir.path().join("daemon.toml");
        std::fs::write(&file, format!("[prices]\nholdout_share = {share}\n")).unwrap();
        let refusal = engine.reload().unwrap_err();
        assert_eq!(refusal.code, Code::ConfigRefused);
        assert!(
            refusal.message.contains("daemon.toml:2:17: prices.holdout_share"),
            "{refusal:?}"
        );
    }
    assert_eq!(holdout(&engine).share, 0.1);
}

#[test]
fn a_killed_daemon_goes_on_with_its_holdout() {
    let house = House::new(&bundle());
    house.configure("[prices]\nholdout_share = 0.5\nsticky_s = 0\n[rewards]\nterms = { window_s = 5 }\n");
    let daemon = house.start();
    let sources = |daemon: &common::Daemon, visit: &str| -> Vec<Source> {
        let mut client = daemon.client();
        let mut of = |user| {
            client
                .price(&request(&format!("{visit}{user}"), user))
                .unwrap()
                .source
        };
        (0..200).map(&mut of).collect()
    };
    let before = sources(&daemon, "before");
    assert!(before.contains(&Source::Holdout) && before.contains(&Source::Policy));
    let since = daemon.client().status().unwrap().holdout.unwrap();
    let mut durable = request("durable", 0);
    durable.log = LogMode::Sync;
    daemon.client().price(&durable).unwrap();
    daemon.kill();
    let daemon = house.start();
    assert_eq!(sources(&daemon, "after"), before);
    assert_eq!(
        daemon.client().status().unwrap().holdout.unwrap().since_s,
        since.since_s
    );
    let metrics = || get_http(&http_path(&house.socket()), "/metrics");
    let value = |name: &str| -> Option<f64> {
        let text = metrics();
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
        lines.next()?.trim().parse().ok()
    };
    assert_eq!(value("haggle_holdout_share_ratio "), Some(0.5));
    let counted = |arm: &str| {
        value(&format!(
            "haggle_trial_decisions{{trial=\"holdout\",arm=\"{arm}\"}}"
        ))
    };
    let begun = std::time::Instant::now();
    while counted("held_out") < Some(100.0) || counted("priced") < Some(100.0) {
        assert!(begun.elapsed().as_secs() < 30, "{}", metrics());
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let text = metrics();
    assert!(text.contains("source=\"holdout\"}"), "{text}");
}
