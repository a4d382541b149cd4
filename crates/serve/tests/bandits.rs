//! Bandits inside the daemon: they learn from the journal, in its order, and the journal makes them again to the same bits.
#![allow(clippy::unwrap_used)]

mod common;

use common::{ask, bandit_bundle, earn, engine_with, fixed_bundle, mlp_bundle, named};
use haggle_core::{Digest, Policy, PriceMinor, Seeds};
use haggle_serve::{Arrival, Code, Engine, Mode, PriceReply, PriceRequest, Progress};
use std::path::Path;
use std::time::{Duration, Instant};

const NOW: i64 = 1_600_000_000;
const WINDOW: i64 = 10;
const CONFIG: &str = "[rewards]\nterms = { window_s = 10 }\n[prices]\nsticky_s = 0\n";

fn open(dir: &Path, bundle: &haggle_policy::Bundle) -> Engine {
    engine_with(dir, bundle, CONFIG, None)
}

/// How far the bandits of a bundle have come, once they have learnt so many lessons.
fn learnt(engine: &Engine, policy: Digest, lessons: u64) -> Progress {
    let begun = Instant::now();
    loop {
        let status = engine.status();
        let progress = status.bandits.iter().find(|progress| progress.policy == policy);
        if let Some(progress) = progress.filter(|progress| progress.lessons >= lessons) {
            assert_eq!((progress.lessons, progress.waiting), (lessons, 0));
            return *progress;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{lessons}: {status:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until no bandit learns any more: the journal tells the learner a moment after it has told the caller.
fn none_learns(engine: &Engine) {
    let begun = Instant::now();
    while !engine.status().bandits.is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", engine.status());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Prices `visits` visits from `from` on, each an hour after the one before; one in three buys. Closes all their windows.
fn shop(engine: &Engine, from: usize, visits: usize) -> Vec<PriceReply> {
    let buys = Seeds::new(3);
    let item = |n: usize| ["milk-0", "milk-1", "tea-2"][n % 3];
    let mut replies = Vec::new();
    for n in from..from + visits {
        let now_s = NOW + 3600 * n as i64;
        let mut request = named(&format!("d{n}"), &format!("s{n}"), item(n));
        request.context.visits_56d = Some((n % 7) as f32);
        let reply = engine.price(request, now_s).unwrap();
        if buys.uniform_of(&n.to_le_bytes()) < 0.3 {
            let reward = earn(&reply.decision, "r", i64::from(reply.price_minor.0));
            settle(engine.reward(reward, now_s));
        }
        replies.push(reply);
    }
    engine.expire(NOW + 3600 * (from + visits) as i64);
    replies
}

fn settle<T>(taken: Result<(T, haggle_serve::Ticket), haggle_serve::Refusal>) -> T {
    let (what, ticket) = taken.unwrap();
    ticket.blocking_recv().unwrap().unwrap();
    what
}

fn bits(engine: &Engine, n: usize) -> Vec<u64> {
    let id = format!("probe{n}");
    let request = named(&id, &id, ["milk-0", "milk-1", "tea-2", "tea-0"][n % 4]);
    engine.price(request, NOW).unwrap();
    let ladder = engine.explain(&id, NOW).unwrap();
    assert!(ladder.replayed, "{id}");
    let probabilities = ladder.ladder.iter().map(|price| price.probability.to_bits());
    probabilities.chain([ladder.mean_minor.to_bits()]).collect()
}

#[test]
fn a_restart_rebuilds_what_was_learnt_to_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = bandit_bundle();
    let engine = open(dir.path(), &bundle);
    let fresh = learnt(&engine, bundle.digest(), 0);
    shop(&engine, 0, 700);
    let before = learnt(&engine, bundle.digest(), 700);
    assert_ne!(before.state, fresh.state);
    engine.close().unwrap();
    drop(engine);
    // A copy of the store has learnt the same.
    let copy = tempfile::tempdir().unwrap();
    let copied = std::process::Command::new("cp")
        .arg("-r")
        .arg(dir.path().join("store"))
        .arg(copy.path())
        .status();
    assert!(copied.unwrap().success());
    let (engine, other) = (open(dir.path(), &bundle), open(copy.path(), &bundle));
    assert_eq!(learnt(&engine, bundle.digest(), 700), before);
    for n in 0..8 {
        assert_eq!(bits(&engine, n), bits(&other, n), "{n}");
    }
    engine.expire(NOW + WINDOW);
    shop(&engine, 700, 300);
    let after = learnt(&engine, bundle.digest(), 1008);
    engine.close().unwrap();
    drop(engine);
    let engine = open(dir.path(), &bundle);
    assert_eq!(learnt(&engine, bundle.digest(), 1008), after);
}

#[test]
fn an_old_decision_is_made_again_by_the_bandit_of_then() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = bandit_bundle();
    let engine = open(dir.path(), &bundle);
    let mut replies = shop(&engine, 0, 60);
    learnt(&engine, bundle.digest(), 60);
    replies.extend(shop(&engine, 60, 60));
    learnt(&engine, bundle.digest(), 120);
    for reply in [&replies[0], &replies[59], &replies[60], &replies[119]] {
        let card = engine.explain(&reply.decision, NOW).unwrap();
        assert!(card.replayed, "{card:?}");
        assert_eq!(card.price_minor, reply.price_minor);
        let parts: f64 = card.contributions.iter().map(|part| part.minor).sum();
        let moved = card.price_minor.as_f64() - card.base_minor.as_f64();
        assert!((parts - moved).abs() < 1e-9, "{card:?}");
        assert!(
            card.contributions.iter().any(|part| part.of == "draw"),
            "{card:?}"
        );
    }
}

#[test]
fn bandits_learn_while_they_are_served_one_rollback_away_or_in_the_shadow() {
    let dir = tempfile::tempdir().unwrap();
    let (network, bandit) = (mlp_bundle(), bandit_bundle());
    let (_, network_at) = network.write(&dir.path().join("candidates")).unwrap();
    let (_, bandit_at) = bandit.write(&dir.path().join("candidates")).unwrap();
    let engine = open(dir.path(), &network);
    shop(&engine, 0, 30);
    assert!(engine.status().bandits.is_empty(), "no bandit, no lessons");
    assert_eq!(
        engine.swap(&bandit_at, false).unwrap_err().code,
        Code::GateRefused
    );
    engine.set_mode(Mode::Shadow, Some(&bandit_at)).unwrap();
    shop(&engine, 30, 30);
    learnt(&engine, bandit.digest(), 30); // from the network's prices
    engine.set_mode(Mode::Live, None).unwrap();
    shop(&engine, 60, 30);
    engine.swap(&bandit_at, true).unwrap();
    learnt(&engine, bandit.digest(), 30); // not from what it was not there for
    let reply = shop(&engine, 90, 30).remove(0);
    assert_eq!(reply.policy, bandit.digest());
    engine.rollback().unwrap();
    assert_eq!(shop(&engine, 120, 30)[0].policy, network.digest());
    learnt(&engine, bandit.digest(), 90); // one rollback away
    engine.swap(&bandit_at, true).unwrap();
    engine.freeze(true).unwrap();
    shop(&engine, 150, 30);
    engine.freeze(false).unwrap();
    let before = learnt(&engine, bandit.digest(), 120); // frozen prices sell, too
    engine.close().unwrap();
    drop(engine);
    let engine = open(dir.path(), &network);
    assert_eq!(learnt(&engine, bandit.digest(), 120), before);
    engine.swap(&network_at, true).unwrap();
    let other = fixed_bundle(6, 0.0)
        .write(&dir.path().join("candidates"))
        .unwrap()
        .1;
    engine.swap(&other, true).unwrap();
    shop(&engine, 180, 30);
    none_learns(&engine); // two swaps away
    engine.swap(&bandit_at, true).unwrap();
    assert_eq!(
        learnt(&engine, bandit.digest(), 120),
        before,
        "it goes on where it was"
    );
}

#[test]
fn a_canary_learns_from_both_arms_and_is_made_again_from_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let (network, bandit) = (mlp_bundle(), bandit_bundle());
    let (_, bandit_at) = bandit.write(&dir.path().join("candidates")).unwrap();
    let engine = open(dir.path(), &network);
    shop(&engine, 0, 30); // before it began
    engine.begin_canary(&bandit_at, 0.5, true).unwrap();
    shop(&engine, 30, 60);
    learnt(&engine, bandit.digest(), 60);
    let replies = shop(&engine, 90, 60);
    let before = learnt(&engine, bandit.digest(), 120);
    let own: Vec<&PriceReply> = replies
        .iter()
        .filter(|reply| reply.policy == bandit.digest())
        .collect();
    assert!(own.len() > 10 && own.len() < 50, "{}", own.len());
    for reply in [own[0], own[own.len() - 1]] {
        let card = engine.explain(&reply.decision, NOW).unwrap();
        assert!(card.replayed && card.policy == bandit.digest(), "{card:?}");
    }
    engine.close().unwrap();
    drop(engine);
    let engine = open(dir.path(), &network);
    assert_eq!(learnt(&engine, bandit.digest(), 120), before);
    engine.stop_canary().unwrap();
    none_learns(&engine);
}

#[test]
fn what_teaches_and_what_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = bandit_bundle();
    let config = CONFIG.replace("sticky_s = 0", "sticky_s = 9");
    let engine = engine_with(dir.path(), &bundle, &config, None);
    let mut now_s = NOW;
    let mut closed = |engine: &Engine, lessons| {
        now_s += WINDOW;
        engine.expire(now_s);
        learnt(engine, bundle.digest(), lessons)
    };
    let price = |request: PriceRequest| engine.price(request, NOW).unwrap();

    let first = price(named("first", "s", "milk-0"));
    let again = price(named("again", "s", "milk-0"));
    assert_eq!(first.price_minor, again.price_minor);
    closed(&engine, 1); // a second look of the same visitor is no second visitor
    price(named("look", "t", "milk-0"));
    price(named("buy", "t", "milk-0"));
    settle(engine.reward(earn("buy", "r", 100), NOW));
    closed(&engine, 3); // but what it sold, it sold

    price(named("cancelled", "u", "milk-0"));
    settle(engine.cancel("cancelled", NOW));
    let deferred = |id: &str| PriceRequest {
        defer: true,
        ..named(id, id, "milk-0")
    };
    price(deferred("lapsed"));
    price(deferred("shown"));
    settle(engine.activate("shown", NOW));
    closed(&engine, 4); // only what was shown teaches
    settle(engine.reward(earn("shown", "late", 100), NOW + 99)); // unteaches nothing

    engine.set_mode(Mode::Apprentice, None).unwrap();
    for (id, own) in [("on", 105), ("off", 103)] {
        let mut request = named(id, id, "milk-0");
        request.own_minor = Some(PriceMinor(own));
        price(request);
    }
    let last = closed(&engine, 5); // 103 is on no rung
    engine.close().unwrap();
    drop(engine);
    let again = engine_with(dir.path(), &bundle, &config, None);
    assert_eq!(learnt(&again, bundle.digest(), 5), last);
}

#[test]
fn a_sale_is_a_reward_with_units_or_with_value() {
    let bundle = bandit_bundle();
    let config = CONFIG.replace("window_s = 10", "window_s = 10, default_minor = 50");
    let state = |rewards: &[(i64, u32)]| {
        let dir = tempfile::tempdir().unwrap();
        let engine = engine_with(dir.path(), &bundle, &config, None);
        engine.price(named("d", "s", "milk-0"), NOW).unwrap();
        for (n, (value_minor, units)) in rewards.iter().enumerate() {
            let mut reward = earn("d", &n.to_string(), *value_minor);
            reward.units = *units;
            settle(engine.reward(reward, NOW));
        }
        engine.expire(NOW + WINDOW);
        learnt(&engine, bundle.digest(), 1).state
    };
    let (sold, not) = (state(&[(100, 1)]), state(&[]));
    assert_ne!(sold, not, "a default reward is no sale");
    assert_eq!(state(&[(100, 0)]), sold, "worth something: one unit");
    assert_eq!(state(&[(100, 0), (-100, 0)]), not, "taken back");
}

#[test]
fn served_draws_come_as_often_as_their_propensities_say() {
    const DRAWS: usize = 100_000;
    let dir = tempfile::tempdir().unwrap();
    let bundle = bandit_bundle();
    let engine = open(dir.path(), &bundle);
    shop(&engine, 0, 100);
    learnt(&engine, bundle.digest(), 100);
    // By bins of the probability: how often a rung with such a probability was drawn, was expected, and its variance.
    let mut bins = [(0.0, 0.0, 0.0); 20];
    for n in 0..DRAWS {
        let mut request = ask(&format!("v{n}"), ["milk-0", "milk-1", "tea-2", "tea-0"][n % 4]);
        request.decision = Some(format!("v{n}"));
        engine.price(request, NOW).unwrap();
    }
    // Everything is written, and no checkpoint is made of it.
    drop(engine);
    let journal = haggle_serve::Journal::existing(&dir.path().join("store")).unwrap();
    for record in journal.reader().scan(0) {
        let haggle_serve::Record::Decision(record) = record.unwrap().1 else {
            continue;
        };
        let draw = record.offer.logged.unwrap();
        let total: f64 = draw.pmf.probabilities().iter().sum();
        assert!((total - 1.0).abs() < 1e-12);
        let least = 0.03 / draw.mask.count() as f64;
        for (rung, p) in draw.pmf.probabilities().iter().enumerate() {
            assert!(*p >= least * (1.0 - 1e-12) || !draw.mask.allows(rung) && *p == 0.0);
            let bin = &mut bins[((p * 20.0) as usize).min(19)];
            bin.0 += f64::from(u8::from(rung == usize::from(draw.rung)));
            bin.1 += p;
            bin.2 += p * (1.0 - p);
        }
    }
    let used: Vec<_> = bins
        .into_iter()
        .filter(|(_, _, variance)| *variance > 25.0)
        .collect();
    let chi_square: f64 = used
        .iter()
        .map(|(got, expected, variance)| (got - expected).powi(2) / variance)
        .sum();
    // 99.9 % quantile of chi-square with 20 degrees of freedom; fewer have a smaller one.
    assert!(
        used.len() >= 3 && chi_square < 45.3,
        "{chi_square} in {} bins",
        used.len()
    );
}

/// Where a copy of a store lies, with or without its checkpoint.
fn copied(store: &Path, checkpoint: bool) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    let done = std::process::Command::new("cp")
        .arg("-r")
        .arg(store)
        .arg(copy.path())
        .status();
    assert!(done.unwrap().success());
    if !checkpoint {
        std::fs::remove_dir_all(copy.path().join("store/checkpoint")).unwrap();
    }
    copy
}

#[test]
fn a_checkpoint_and_the_records_after_it_teach_what_the_whole_journal_does() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = bandit_bundle();
    let config = format!("{CONFIG}[store]\ncheckpoint_records = 50\n");
    let open = |dir: &Path| engine_with(dir, &bundle, &config, None);
    let engine = open(dir.path());
    shop(&engine, 0, 300);
    learnt(&engine, bundle.digest(), 300);
    engine.close().unwrap();
    drop(engine);
    assert!(dir.path().join("store/checkpoint/state").exists());
    // A second life, which ends without a checkpoint of its own and with windows that are open.
    let engine = open(dir.path());
    shop(&engine, 300, 40);
    for n in 0..5 {
        let id = format!("open{n}");
        let mut request = named(&id, &id, "milk-0");
        request.log = haggle_serve::LogMode::Sync;
        let at = Arrival::at(NOW + 3600 * 400);
        let ticket = engine.quote(request, at).unwrap().ticket.unwrap();
        ticket.blocking_recv().unwrap().unwrap();
    }
    let before = learnt(&engine, bundle.digest(), 340);
    let (with, without) = (
        copied(&dir.path().join("store"), true),
        copied(&dir.path().join("store"), false),
    );
    let (short, whole) = (open(with.path()), open(without.path()));
    for engine in [&short, &whole] {
        assert_eq!(learnt(engine, bundle.digest(), 340), before);
        engine.expire(NOW + 3600 * 401);
    }
    let after = learnt(&short, bundle.digest(), 345);
    assert_eq!(after, learnt(&whole, bundle.digest(), 345));
    for n in 0..8 {
        assert_eq!(bits(&short, n), bits(&whole, n), "{n}");
    }
}
