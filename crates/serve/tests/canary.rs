//! A bundle that a share of the users is served: who they are, what is counted, and when it stops by itself.
#![allow(clippy::unwrap_used)]

mod common;

use common::{House, earn, engine_with, fixed_bundle, get_http, mlp_bundle, named};
use haggle_core::{Policy, PriceMinor, Seeds};
use haggle_policy::Bundle;
use haggle_serve::{AdminRequest, CanaryStatus, Code, Engine, Mode, PriceReply, Status, http_path};
use std::path::{Path, PathBuf};

const NOW: i64 = 1_600_000_000;
const CONFIG: &str = "[rewards]\nterms = { window_s = 10 }\n[prices]\nsticky_s = 0\n";
const OLD: PriceMinor = PriceMinor(100);
const NEW: PriceMinor = PriceMinor(115);

/// The served bundle shows 100 for `milk-0`, the canary 115.
fn bundles() -> (Bundle, Bundle) {
    (fixed_bundle(6, 0.0), fixed_bundle(9, 0.0))
}

fn write(dir: &Path, bundle: &Bundle) -> PathBuf {
    bundle.write(&dir.join("candidates")).unwrap().1
}

fn price(engine: &Engine, id: &str, user: usize, now_s: i64) -> PriceReply {
    let mut request = named(id, id, "milk-0");
    request.user = Some(format!("u{user}"));
    engine.price(request, now_s).unwrap()
}

fn canary(engine: &Engine) -> CanaryStatus {
    engine.status().canary.unwrap()
}

/// Waits until everything is on disk, and counts: a batch is counted after those who wait for it are answered, and before
/// the next batch.
fn settle(engine: &Engine) {
    for _ in 0..2 {
        let mut request = named("settled", "settled", "tea-0");
        request.log = haggle_serve::LogMode::Sync;
        let quote = engine.quote(request, haggle_serve::Arrival::at(NOW)).unwrap();
        quote.ticket.unwrap().blocking_recv().unwrap().unwrap();
    }
}

#[test]
fn users_keep_their_arm_and_the_log_says_who_priced() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = bundles();
    let engine = engine_with(dir.path(), &old, CONFIG, None);
    engine.begin_canary(&write(dir.path(), &new), 0.3, true).unwrap();
    let arms = |engine: &Engine, visit: &str| -> Vec<bool> {
        let of = |user| {
            let reply = price(engine, &format!("{visit}{user}"), user, NOW);
            let policy = if reply.price_minor == NEW { &new } else { &old };
            assert_eq!(reply.policy, policy.digest(), "{reply:?}");
            reply.price_minor == NEW
        };
        (0..1_000).map(of).collect()
    };
    let first = arms(&engine, "first");
    let share = first.iter().filter(|is_new| **is_new).count();
    assert!((250..=350).contains(&share), "{share} of 1,000");
    assert_eq!(arms(&engine, "second"), first);
    engine.share_canary(0.6).unwrap();
    let more = arms(&engine, "third");
    assert!(
        first.iter().zip(&more).all(|(before, now)| !before || *now),
        "nobody goes back"
    );
    let user = first.iter().position(|is_new| *is_new).unwrap();
    assert!(engine.explain(&format!("first{user}"), NOW).unwrap().replayed);
    engine.close().unwrap();
    drop(engine);
    let engine = engine_with(dir.path(), &old, CONFIG, None);
    assert_eq!(canary(&engine).share, 0.6);
    assert_eq!(arms(&engine, "fourth"), more);
    // The same request again gets the first answer again, whoever would be served what by now.
    engine.stop_canary().unwrap();
    let again = price(&engine, &format!("first{user}"), user, NOW);
    assert_eq!((again.price_minor, again.policy), (NEW, new.digest()));
    assert!(arms(&engine, "fifth").iter().all(|is_new| !is_new));
}

#[test]
fn a_price_that_a_session_was_told_stays_when_its_user_changes_arms() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = bundles();
    let engine = engine_with(dir.path(), &old, "", None);
    let of = |id: &str, session: &str| engine.price(named(id, session, "milk-0"), NOW).unwrap();
    assert_eq!(of("a", "s").price_minor, OLD);
    engine.begin_canary(&write(dir.path(), &new), 1.0, true).unwrap();
    let told = of("b", "s");
    assert_eq!((told.price_minor, told.policy), (OLD, new.digest()));
    assert_eq!(of("c", "t").price_minor, NEW);
}

/// One visit of each user from `from` on; a user buys with a chance that the price decides, and all windows close.
fn season(engine: &Engine, from: usize, users: usize, chance: impl Fn(PriceMinor) -> f64) {
    let buys = Seeds::new(3);
    for user in from..from + users {
        let now_s = NOW + user as i64;
        let reply = price(engine, &format!("d{user}"), user, now_s);
        if buys.uniform_of(&user.to_le_bytes()) < chance(reply.price_minor) {
            let reward = earn(&reply.decision, "r", i64::from(reply.price_minor.0));
            engine.reward(reward, now_s).unwrap();
        }
    }
    engine.expire(NOW + (from + users) as i64 + 10);
    settle(engine);
}

#[test]
fn what_both_arms_earned_is_counted_from_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = bundles();
    let engine = engine_with(dir.path(), &old, CONFIG, None);
    season(&engine, 0, 100, |_| 1.0); // before it began
    engine.begin_canary(&write(dir.path(), &new), 0.5, true).unwrap();
    season(&engine, 100, 800, |_| 1.0);
    let counted = canary(&engine);
    assert_eq!(counted.new.decisions + counted.old.decisions, 800);
    assert_eq!(
        (counted.new.mean_minor, counted.old.mean_minor),
        (Some(115.0), Some(100.0))
    );
    let difference = counted.difference_minor.unwrap();
    assert!((difference.mean - 15.0).abs() < 1e-9 && difference.low <= 15.0 && difference.high >= 15.0);
    engine.close().unwrap();
    drop(engine);
    std::fs::remove_dir_all(dir.path().join("store/checkpoint")).unwrap();
    let engine = engine_with(dir.path(), &old, CONFIG, None);
    assert_eq!(canary(&engine), counted, "made again from the journal");
    engine.close().unwrap();
    drop(engine);
    let engine = engine_with(dir.path(), &old, CONFIG, None);
    assert_eq!(canary(&engine), counted, "and from a checkpoint");
    let promoted = engine.promote_canary().unwrap();
    assert_eq!((promoted.policy, promoted.previous), (new.digest(), old.digest()));
    assert_eq!(price(&engine, "all", 7, NOW).price_minor, NEW);
    assert_eq!(engine.status().canary, None);
    assert_eq!(engine.rollback().unwrap().policy, old.digest());
}

#[test]
fn a_canary_that_earns_less_is_stopped_and_one_that_earns_the_same_is_not() {
    let (old, new) = bundles();
    for worse in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let engine = engine_with(dir.path(), &old, CONFIG, None);
        engine.begin_canary(&write(dir.path(), &new), 0.25, true).unwrap();
        let chance = |price: PriceMinor| match (worse, price == NEW) {
            (_, false) => 0.4,
            (true, true) => 0.1,
            (false, true) => 0.4 * 100.0 / 115.0,
        };
        for from in (0..6_000).step_by(250) {
            season(&engine, from, 250, chance);
        }
        engine.expire(NOW + 7_000); // the clock's next tick
        let before = engine.status();
        assert_eq!(
            (before.canary.is_none(), before.canary_stopped.is_some()),
            (worse, worse)
        );
        engine.close().unwrap();
        drop(engine);
        let engine = engine_with(dir.path(), &old, CONFIG, None);
        assert_eq!(engine.status().canary.is_none(), worse);
        assert_eq!(
            engine.status().canary_stopped,
            before.canary_stopped,
            "from a checkpoint"
        );
        engine.close().unwrap();
        drop(engine);
        std::fs::remove_dir_all(dir.path().join("store/checkpoint")).unwrap();
        let engine = engine_with(dir.path(), &old, CONFIG, None);
        assert_eq!(
            engine.status().canary_stopped,
            before.canary_stopped,
            "from the journal"
        );
        if let Some(stopped) = before.canary_stopped {
            let evidence = stopped.evidence.unwrap();
            let difference = evidence.difference_minor.unwrap();
            assert_eq!((stopped.policy, evidence.policy), (new.digest(), new.digest()));
            assert!(difference.high < 0.0 && evidence.new.users >= 200, "{evidence:?}");
            assert!(
                stopped
                    .why
                    .contains(&format!("{:.2}, is below 0", difference.high)),
                "{}",
                stopped.why
            );
            engine.begin_canary(&write(dir.path(), &new), 0.1, true).unwrap();
            assert_eq!(engine.status().canary_stopped, None, "until the next one begins");
        }
        assert_eq!(engine.status().policy, old.digest());
    }
}

#[test]
fn what_cannot_be_a_canary_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = bundles();
    let (old_at, new_at) = (write(dir.path(), &old), write(dir.path(), &new));
    let engine = engine_with(dir.path(), &old, CONFIG, None);
    let begin = |at: &Path, share, force| engine.begin_canary(at, share, force).unwrap_err().code;
    for share in [0.0, -0.1, 1.1, f64::NAN] {
        assert_eq!(begin(&new_at, share, true), Code::BadRequest);
    }
    assert_eq!(begin(&new_at, 0.1, false), Code::GateRefused);
    assert_eq!(begin(&old_at, 0.1, true), Code::BundleRefused);
    let mut terms = common::terms(0.0);
    terms.memory.sales /= 2.0;
    let other = write(dir.path(), &Bundle::fixed(terms, vec![6; 6]).unwrap());
    assert_eq!(begin(&other, 0.1, true), Code::BundleRefused);
    assert_eq!(engine.share_canary(0.5).unwrap_err().code, Code::NoCanary);
    assert_eq!(engine.stop_canary().unwrap_err().code, Code::NoCanary);
    assert_eq!(engine.promote_canary().unwrap_err().code, Code::NoCanary);
    engine.begin_canary(&new_at, 0.1, true).unwrap();
    let third = write(dir.path(), &mlp_bundle());
    assert_eq!(begin(&third, 0.1, true), Code::Conflict);
    assert_eq!(engine.swap(&third, true).unwrap_err().code, Code::Conflict);
    assert_eq!(engine.rollback().unwrap_err().code, Code::Conflict);
    engine.set_mode(Mode::Frozen, None).unwrap();
    assert_eq!(
        price(&engine, "f", 1, NOW).price_minor,
        OLD,
        "the static price for everybody"
    );
    assert_eq!(engine.promote_canary().unwrap_err().code, Code::Frozen);
    engine.stop_canary().unwrap();
}

#[test]
fn a_canary_that_counts_nothing_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = bundles();
    let engine = engine_with(dir.path(), &old, CONFIG, None);
    engine.set_mode(Mode::Apprentice, None).unwrap();
    assert_eq!(engine.status().note, None);
    engine.begin_canary(&write(dir.path(), &new), 0.5, true).unwrap();
    let note = engine.status().note.unwrap();
    assert!(
        note.contains("apprentice") && note.contains("the canary"),
        "{note}"
    );
    let mut own = named("own", "own", "milk-0");
    own.own_minor = Some(OLD);
    let reply = engine.price(own, NOW).unwrap();
    engine.reward(earn(&reply.decision, "r", 100), NOW).unwrap();
    engine.expire(NOW + 20);
    engine.set_mode(Mode::Live, None).unwrap();
    settle(&engine);
    let status = engine.status();
    let counted = status.canary.unwrap();
    assert_eq!((counted.new.decisions, counted.old.decisions), (0, 0));
    assert_eq!(status.note, None);
}

#[test]
fn a_killed_daemon_goes_on_with_its_canary() {
    let (old, new) = bundles();
    let house = House::new(&old);
    let bundle = house.add(&new).display().to_string();
    let socket = house.socket().display().to_string();
    let ctl = |args: &[&str]| {
        let ctl = [&["ctl", "--socket", &socket, "canary"], args].concat();
        let output = house.haggled(&ctl);
        assert!(output.status.success(), "{output:?}");
    };
    let daemon = house.start();
    ctl(&["start", "--bundle", &bundle, "--share", "0.05", "--force"]);
    ctl(&["share", "0.5"]);
    let prices = |daemon: &common::Daemon, visit: &str| -> Vec<PriceMinor> {
        let mut client = daemon.client();
        let mut of = |user: usize| {
            let id = format!("{visit}{user}");
            let mut request = named(&id, &id, "milk-0");
            request.user = Some(format!("u{user}"));
            client.price(&request).unwrap().price_minor
        };
        (0..200).map(&mut of).collect()
    };
    let before = prices(&daemon, "before");
    assert!(before.contains(&OLD) && before.contains(&NEW));
    daemon.kill();
    let daemon = house.start();
    assert_eq!(prices(&daemon, "after"), before);
    let status: Status = daemon.operator().admin(&AdminRequest::Status).unwrap();
    assert_eq!(status.canary.unwrap().policy, new.digest());
    let metrics = get_http(&http_path(&house.socket()), "/metrics");
    let line = format!(
        "\nhaggle_canary_share_ratio{{policy=\"{}\"}} 0.5\n",
        new.digest().short()
    );
    assert!(metrics.contains(&line), "{metrics}");
    ctl(&["stop"]);
    daemon.kill();
    let daemon = house.start();
    assert!(prices(&daemon, "stopped").iter().all(|price| *price == OLD));
}
