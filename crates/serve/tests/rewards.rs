//! When rewards count: windows, late and early ones, conflicts, deferred and cancelled decisions. The clock is an argument.
#![allow(clippy::unwrap_used)]

mod common;

use common::{earn, engine_config, engine_with, fixed_bundle, named};
use haggle_core::{Aggregation, DecisionId, PriceMinor, Reward};
use haggle_serve::{Code, EarlyRecord, Engine, Journal, Record, RewardRequest, RewardStatus, Stage, check};

const NOW: i64 = 1_600_000_000;

const CONFIG: &str = r#"
[rewards]
backward_window_s = 60
terms = { window_s = 100, default_minor = -3, aggregation = "last" }
"#;

fn reward(engine: &Engine, request: RewardRequest, now_s: i64) -> Result<RewardStatus, Code> {
    let (status, ticket) = engine.reward(request, now_s).map_err(|refusal| refusal.code)?;
    ticket.blocking_recv().unwrap().unwrap();
    Ok(status)
}

#[test]
fn a_reward_is_in_time_until_its_window_closes_and_a_correction_after() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = fixed_bundle(6, 0.0);
    let engine = engine_with(dir.path(), &bundle, CONFIG, None);
    for id in ["a", "b", "c"] {
        engine.price(named(id, id, "milk-0"), NOW).unwrap();
    }
    assert_eq!(
        reward(&engine, earn("a", "r1", 10), NOW + 99),
        Ok(RewardStatus::Durable)
    );
    assert_eq!(
        reward(&engine, earn("a", "r2", 20), NOW + 100),
        Ok(RewardStatus::Late)
    );
    assert_eq!(
        reward(&engine, earn("a", "r2", 20), NOW + 500),
        Ok(RewardStatus::Duplicate)
    );
    assert_eq!(
        reward(&engine, earn("a", "r2", 21), NOW + 500),
        Err(Code::Conflict)
    );
    let a = engine.get("a").unwrap();
    assert_eq!(
        (a.value_minor, a.units, a.stage, a.late),
        (20, 1, Stage::Closed, 1)
    );
    let b = engine.get("b").unwrap();
    assert_eq!(
        (b.value_minor, b.units, b.stage),
        (-3, 0, Stage::Closed),
        "the default reward"
    );
    let status = engine.status();
    assert_eq!(
        (status.rewards, status.late, status.duplicates, status.conflicts),
        (2, 1, 1, 1)
    );
    assert_eq!((status.open, status.closed, status.defaulted), (0, 3, 2));
    engine.close().unwrap();
    drop(engine);
    let again = engine_with(dir.path(), &bundle, "", None);
    let after = again.status();
    assert_eq!(
        (after.rewards, after.late, after.closed, after.defaulted),
        (2, 1, 3, 2),
        "expiry is a durable record"
    );
    assert_eq!(
        again.get("a").unwrap(),
        a,
        "a decision keeps the terms that it was made under"
    );
    again.expire(NOW + 10_000);
    assert_eq!(again.status().closed, 3, "nothing closes twice");
}

#[test]
fn a_decision_takes_1024_rewards_and_knows_each_of_them_again() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = fixed_bundle(6, 0.0);
    let engine = engine_with(dir.path(), &bundle, CONFIG, None);
    engine.price(named("a", "a", "milk-0"), NOW).unwrap();
    let mut last = None;
    for id in ["a", "comes later"] {
        for n in 0..1024 {
            last = Some(engine.reward(earn(id, &format!("r{n}"), n), NOW).unwrap().1);
        }
    }
    last.unwrap().blocking_recv().unwrap().unwrap();
    let again = |engine: &Engine, id: &str| {
        let full = Err(Code::TooManyRewards);
        assert_eq!(reward(engine, earn(id, "one more", 1), NOW), full);
        assert_eq!(
            reward(engine, earn(id, "r7", 7), NOW),
            Ok(RewardStatus::Duplicate)
        );
        assert_eq!(reward(engine, earn(id, "r7", 8), NOW), Err(Code::Conflict));
    };
    again(&engine, "a");
    again(&engine, "comes later");
    engine.close().unwrap();
    drop(engine);
    // A build that knew no limit took more, and all of them were acknowledged.
    let more = (1024..1100).map(|n| {
        let reward = Reward {
            decision: DecisionId("comes later".to_owned()),
            reward_id: format!("r{n}"),
            value_minor: n,
            units: 1,
            time_s: NOW,
        };
        let until_s = NOW + 60;
        Record::Early(EarlyRecord { reward, until_s })
    });
    let mut journal = Journal::open(&dir.path().join("store"), None).unwrap();
    journal.append(&more.collect::<Vec<_>>()).unwrap();
    drop(journal);
    let engine = engine_with(dir.path(), &bundle, CONFIG, None);
    again(&engine, "a");
    again(&engine, "comes later");
    engine
        .price(named("comes later", "s", "milk-0"), NOW + 1)
        .unwrap();
    again(&engine, "comes later");
    assert_eq!(engine.status().rewards, 1024 + 1100);
}

#[test]
fn a_reward_before_its_decision_waits_for_it_and_no_longer() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = fixed_bundle(6, 0.0);
    let engine = engine_with(dir.path(), &bundle, CONFIG, None);
    assert_eq!(
        reward(&engine, earn("soon", "r", 7), NOW),
        Ok(RewardStatus::Early)
    );
    assert_eq!(
        reward(&engine, earn("soon", "r", 7), NOW),
        Ok(RewardStatus::Duplicate)
    );
    assert_eq!(reward(&engine, earn("soon", "r", 8), NOW), Err(Code::Conflict));
    assert_eq!(
        reward(&engine, earn("never", "r", 9), NOW),
        Ok(RewardStatus::Early)
    );
    assert_eq!((engine.status().early, engine.status().rewards), (2, 0));
    engine.close().unwrap();
    drop(engine);
    let engine = engine_with(dir.path(), &bundle, CONFIG, None);
    engine.price(named("soon", "s", "milk-0"), NOW + 60).unwrap();
    engine.price(named("never", "s", "milk-1"), NOW + 61).unwrap();
    assert_eq!(engine.get("soon").unwrap().value_minor, 7);
    assert_eq!(
        engine.get("never").unwrap().rewards,
        Vec::<String>::new(),
        "it came too late for it"
    );
    assert_eq!(
        (engine.status().early, engine.status().rewards),
        (1, 1),
        "kept, and counted apart"
    );
    assert_eq!(
        reward(&engine, earn("soon", "r", 7), NOW + 62),
        Ok(RewardStatus::Duplicate)
    );
    engine.close().unwrap();
    drop(engine);
    let again = engine_with(dir.path(), &bundle, CONFIG, None);
    assert_eq!((again.status().early, again.status().rewards), (1, 1));
    drop(again);
    let config = engine_config(dir.path(), &bundle, CONFIG, None);
    let found = check(&config.store, false).unwrap();
    assert_eq!((found.decisions, found.rewards), (2, 1), "as the status says");
    let plain = engine_with(&dir.path().join("plain"), &bundle, "", None);
    assert_eq!(
        reward(&plain, earn("soon", "r", 7), NOW),
        Err(Code::UnknownDecision)
    );
    assert_eq!(plain.status().unknown, 1);
}

#[test]
fn a_thousand_repeats_count_once() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine_with(dir.path(), &fixed_bundle(6, 0.0), "", None);
    engine.price(named("d", "s", "milk-0"), NOW).unwrap();
    let mut durable = 0;
    for _ in 0..1000 {
        let (status, _) = engine.reward(earn("d", "r", 5), NOW).unwrap();
        durable += usize::from(status == RewardStatus::Durable);
    }
    assert_eq!((durable, engine.get("d").unwrap().value_minor), (1, 5));
    assert_eq!((engine.status().rewards, engine.status().duplicates), (1, 999));
}

#[test]
fn a_deferred_price_counts_when_it_is_activated() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = fixed_bundle(9, 0.0);
    let engine = engine_with(dir.path(), &bundle, CONFIG, None);
    let deferred = |id: &str| {
        let mut request = named(id, id, "milk-0");
        request.defer = true;
        request.channel = Some("web".to_owned());
        assert!(engine.price(request, NOW).unwrap().deferred);
    };
    for id in ["shown", "lapsed", "cancelled"] {
        deferred(id);
    }
    let lowest = |now_s| {
        let mut request = named(&format!("ask at {now_s}"), "other", "milk-0");
        request.channel = Some("web".to_owned());
        request.defer = true;
        engine.price(request, now_s).unwrap().lowest_30d_minor
    };
    assert_eq!(lowest(NOW), None, "nothing was shown");
    assert_eq!(reward(&engine, earn("shown", "r", 1), NOW), Err(Code::NotActive));
    let stage = |answer: Result<_, haggle_serve::Refusal>| {
        answer
            .map(|(reply, _): (haggle_serve::StageReply, _)| reply.stage)
            .map_err(|refusal| refusal.code)
    };
    assert_eq!(stage(engine.activate("shown", NOW + 50)), Ok(Stage::Open));
    assert_eq!(
        stage(engine.activate("shown", NOW + 51)),
        Ok(Stage::Open),
        "twice is once"
    );
    assert_eq!(lowest(NOW + 50), Some(PriceMinor(115)));
    assert_eq!(stage(engine.cancel("cancelled", NOW)), Ok(Stage::Cancelled));
    assert_eq!(
        reward(&engine, earn("shown", "r", 1), NOW + 149),
        Ok(RewardStatus::Durable),
        "from then on"
    );
    assert_eq!(
        stage(engine.cancel("shown", NOW + 149)),
        Err(Code::Conflict),
        "it has earned something"
    );
    assert_eq!(
        reward(&engine, earn("lapsed", "r", 1), NOW + 149),
        Err(Code::NotActive)
    );
    assert_eq!(stage(engine.activate("lapsed", NOW + 149)), Err(Code::NotActive));
    assert_eq!(
        reward(&engine, earn("cancelled", "r", 1), NOW),
        Err(Code::Cancelled)
    );
    assert_eq!(stage(engine.activate("none", NOW)), Err(Code::UnknownDecision));
    let counts = |engine: &Engine| {
        let status = engine.status();
        (
            status.open,
            status.closed,
            status.lapsed,
            status.cancelled,
            status.rewards,
        )
    };
    engine.expire(NOW + 150);
    let before = counts(&engine);
    assert_eq!(
        before,
        (0, 1, 3, 1, 1),
        "the two questions about the lowest price lapsed too"
    );
    engine.close().unwrap();
    drop(engine);
    let journal = Journal::existing(&dir.path().join("store")).unwrap();
    let exported = haggle_serve::export(&journal.reader(), &dir.path().join("out")).unwrap();
    assert_eq!(
        (exported.offers, exported.rewards),
        (1, 1),
        "only what was shown is an offer"
    );
    drop(journal);
    assert_eq!(counts(&engine_with(dir.path(), &bundle, CONFIG, None)), before);
}

#[test]
fn each_policy_may_have_terms_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = fixed_bundle(6, 0.0);
    let short = haggle_core::Policy::digest(&bundle).short();
    let config = format!("[policy.{short}]\nwindow_s = 30\naggregation = \"max\"\n");
    let engine = engine_with(dir.path(), &bundle, &config, None);
    engine.price(named("d", "s", "milk-0"), NOW).unwrap();
    for (id, value) in [("a", 1), ("b", 9), ("c", 4)] {
        assert_eq!(
            reward(&engine, earn("d", id, value), NOW),
            Ok(RewardStatus::Durable)
        );
    }
    assert_eq!(engine.get("d").unwrap().value_minor, 9, "{:?}", Aggregation::Max);
    assert_eq!(
        reward(&engine, earn("d", "e", 5), NOW + 30),
        Ok(RewardStatus::Late)
    );
}
