//! The daemon without sockets: what sessions see, and what is remembered.
#![allow(clippy::unwrap_used)]

mod common;

use common::{ask, earn, fixed_bundle, mlp_bundle, terms};
use haggle_core::{DecisionId, FEATURE_NAMES, FEATURE_WIDTH, PriceMinor, Reward, ShelfEntry};
use haggle_serve::{
    Ask, Code, Engine, EngineConfig, Journal, Market, PriceRequest, Record, RewardRequest, RewardStatus,
    ShelfNews, TIME_S_MAX, UNITS_MAX, VALUE_MINOR_MAX, WireContext, export,
};
use std::path::Path;

const NOW: i64 = 1_600_000_000;

fn engine(dir: &Path, bundle: &haggle_policy::Bundle) -> Engine {
    let (_, folder) = bundle.write(&dir.join("bundles")).unwrap();
    Engine::open(&EngineConfig {
        store: dir.join("store"),
        bundle: Some(folder),
        seed: Some(5),
        ..EngineConfig::default()
    })
    .unwrap()
}

fn named(id: &str, session: &str, item: &str) -> PriceRequest {
    PriceRequest {
        decision: Some(id.to_owned()),
        ..ask(session, item)
    }
}

fn feature(features: &[f32], name: &str) -> f32 {
    features[FEATURE_NAMES.iter().position(|other| *other == name).unwrap()]
}

#[test]
fn all_items_of_a_session_are_priced_on_what_its_first_request_saw() {
    let mut market = Market::new(&terms(0.0));
    let see = |market: &mut Market, session: &str, item: usize| {
        let ask = Ask {
            session: session.to_owned(),
            user: Some("u".to_owned()),
            item,
            ..Ask::default()
        };
        let mut features = [0.0; FEATURE_WIDTH];
        market.observe(&ask, NOW, &mut features);
        features
    };
    let first = see(&mut market, "a", 0);
    assert_eq!(feature(&first, "state.last_price_log"), 0.0);
    market.on_decision(0, PriceMinor(120));
    market.on_reward("a", Some("u"), 0, 2);
    market.on_reward("a", Some("u"), 0, 1);
    let later = see(&mut market, "a", 0);
    assert_eq!(later, first, "the session still sees what it saw first");
    let other = see(&mut market, "b", 0);
    assert_eq!(feature(&other, "state.last_price_log"), 1.2f32.ln());
    assert_eq!(feature(&other, "loyalty.last_choice"), 1.0);
    assert_eq!(
        feature(&other, "loyalty.choices_log"),
        2f32.ln(),
        "two rewards of one session are one choice"
    );
    let tea = see(&mut market, "a", 3);
    assert_eq!(
        feature(&tea, "loyalty.choices_log"),
        0.0,
        "another category is another memory"
    );
}

#[test]
fn shelf_news_are_remembered_across_sessions_but_not_into_open_ones() {
    let mut market = Market::new(&terms(0.0));
    let mut mailer = |session: &str, news: Option<f32>| {
        let entry = |mailer| ShelfEntry {
            posted_minor: PriceMinor(90),
            mailer,
            display: 0.0,
        };
        let ask = Ask {
            session: session.to_owned(),
            item: 1,
            shelf: news.map(|mailer| (1, entry(mailer))).into_iter().collect(),
            ..Ask::default()
        };
        let mut features = [0.0; FEATURE_WIDTH];
        market.observe(&ask, NOW, &mut features);
        feature(&features, "shelf.mailer")
    };
    assert_eq!(mailer("early", None), 0.0);
    assert_eq!(mailer("a", Some(0.2)), 0.2);
    assert_eq!(mailer("b", None), 0.2);
    assert_eq!(mailer("early", None), 0.0);
    assert_eq!(
        mailer("early", Some(0.7)),
        0.7,
        "but a session hears its own news"
    );
}

#[test]
fn a_restart_rebuilds_the_market_and_the_rewards() {
    let (whole, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let items = ["milk-0", "milk-1", "milk-2", "tea-0", "tea-2"];
    let steps = 400;
    let drive = |engine: &Engine, steps: std::ops::Range<usize>| -> Vec<(u32, f64)> {
        let step = |n: usize| {
            let session = format!("s{}", n / 3);
            let mut request = named(&format!("d{n}"), &session, items[n % 5]);
            request.user = Some(format!("u{}", n % 7));
            let reply = engine.price(request, NOW).unwrap();
            if n.is_multiple_of(3) {
                let (_, ticket) = engine.reward(earn(&reply.decision, "r", n as i64), NOW).unwrap();
                ticket.blocking_recv().unwrap().unwrap();
            }
            (reply.price_minor.0, reply.propensity)
        };
        steps.map(step).collect()
    };
    let bundle = mlp_bundle();
    let expected = drive(&engine(whole.path(), &bundle), 0..steps);
    let mut got = Vec::new();
    for part in [0..100, 100..101, 101..333, 333..steps] {
        let engine = engine(broken.path(), &bundle);
        got.extend(drive(&engine, part));
        engine.close().unwrap();
    }
    assert_eq!(
        got, expected,
        "prices and propensities do not tell that the daemon was restarted"
    );
    let engine = engine(broken.path(), &bundle);
    assert_eq!((engine.status().decisions, engine.status().rewards), (400, 134));
    let (status, _) = engine.reward(earn("d3", "r", 3), NOW).unwrap();
    assert_eq!(status, RewardStatus::Duplicate);
    assert_eq!(
        engine.reward(earn("d3", "r", 4), NOW).unwrap_err().code,
        Code::Conflict
    );
}

/// The features of the decision `d`, and when its session began, as they are exported.
fn seen(dir: &Path) -> (Vec<f32>, i64) {
    let journal = Journal::open(&dir.join("store"), None).unwrap();
    let exported = export(&journal.reader(), &dir.join("out")).unwrap();
    let offers = haggle_core::read_segment(&std::fs::read(&exported.segments[0]).unwrap()).unwrap();
    let offer = offers.into_iter().find(|offer| offer.session == "s").unwrap();
    (offer.logged.unwrap().features, offer.time_s)
}

#[test]
fn a_refused_request_leaves_nothing_behind_that_a_restart_would_forget() {
    let bundle = mlp_bundle();
    let news = |posted_minor| ShelfNews {
        item: "milk-1".to_owned(),
        posted_minor: PriceMinor(posted_minor),
        mailer: 1.0,
        display: 0.5,
    };
    let refused = |engine: &Engine, code: Code, floor: u32, ceiling: u32| {
        let mut request = ask("s", "milk-0");
        request.context.time_s = Some(1_400_000_000);
        request.context.shelf = vec![news(60)];
        request.bounds.floor_minor = Some(PriceMinor(floor));
        request.bounds.ceiling_minor = Some(PriceMinor(ceiling));
        assert_eq!(engine.price(request, NOW).unwrap_err().code, code);
        assert_eq!(engine.status().sessions, 1, "the session is not remembered");
    };
    let observe = |restart: bool| {
        let dir = tempfile::tempdir().unwrap();
        let mut engine = engine(dir.path(), &bundle);
        let mut other = named("first", "other", "milk-2");
        other.context.shelf = vec![news(140)];
        engine.price(other, NOW).unwrap();
        refused(&engine, Code::NothingAllowed, 900, 901);
        refused(&engine, Code::PriceFloorAboveCeiling, 120, 100);
        if restart {
            engine.close().unwrap();
            drop(engine);
            engine = self::engine(dir.path(), &bundle);
        }
        let mut request = ask("s", "milk-1");
        request.context = WireContext::default();
        engine.price(request, NOW).unwrap();
        engine.close().unwrap();
        drop(engine);
        seen(dir.path())
    };
    let (features, time_s) = observe(false);
    assert_eq!((&features, time_s), (&observe(true).0, NOW));
    assert_eq!(feature(&features, "shelf.posted_log"), (140f32 / 150.0).ln());
}

#[test]
fn a_request_that_says_nothing_is_who_its_session_said_last_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path(), &mlp_bundle());
    let price = |item: &str, time_s: Option<i64>| {
        let mut request = ask("s", item);
        request.context = WireContext {
            time_s,
            ..WireContext::default()
        };
        engine.price(request, NOW).unwrap();
    };
    price("milk-0", Some(100));
    price("tea-0", Some(200));
    price("milk-1", None);
    price("tea-1", None);
    engine.close().unwrap();
    drop(engine);
    let journal = Journal::open(&dir.path().join("store"), None).unwrap();
    let said: Vec<i64> = journal
        .reader()
        .scan(0)
        .filter_map(|record| match record.unwrap().1 {
            Record::Decision(record) => Some(record.context.time_s),
            _ => None,
        })
        .collect();
    assert_eq!(said, [100, 200, 200, 200]);
}

#[test]
fn numbers_at_their_ends_are_summed_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = mlp_bundle();
    let open = engine(dir.path(), &bundle);
    for time_s in [i64::MIN, -1, TIME_S_MAX + 1, i64::MAX] {
        let mut request = named("none", "s", "milk-0");
        request.context.time_s = Some(time_s);
        assert_eq!(
            open.price(request, NOW).unwrap_err().code,
            Code::BadRequest,
            "{time_s}"
        );
    }
    for time_s in [0, TIME_S_MAX] {
        let mut request = named(&format!("d{time_s}"), "s", "milk-0");
        request.context = WireContext {
            time_s: Some(time_s),
            basket_lines_mean: Some(f32::MAX),
            spend_mean_minor: Some(f32::MAX),
            recency_days: Some(f32::MIN_POSITIVE),
            visits_56d: Some(f32::MAX),
            shelf: [0, u32::MAX]
                .map(|posted| ShelfNews {
                    item: "milk-1".to_owned(),
                    posted_minor: PriceMinor(posted),
                    mailer: 1.0,
                    display: 1.0,
                })
                .to_vec(),
        };
        request.bounds.floor_minor = Some(PriceMinor(0));
        request.bounds.ceiling_minor = Some(PriceMinor(u32::MAX));
        open.price(request, NOW).unwrap();
    }
    for (mailer, display) in [(1.1, 0.0), (0.0, -0.1), (f32::NAN, 0.0), (0.0, f32::MAX)] {
        let mut request = named("none", "s", "milk-0");
        request.context.shelf = vec![ShelfNews {
            item: "milk-1".to_owned(),
            posted_minor: PriceMinor(1),
            mailer,
            display,
        }];
        assert_eq!(open.price(request, NOW).unwrap_err().code, Code::BadRequest);
    }
    for (value_minor, units) in [
        (i64::MIN, 0),
        (i64::MAX, 0),
        (VALUE_MINOR_MAX + 1, 0),
        (0, UNITS_MAX + 1),
    ] {
        let request = RewardRequest {
            units,
            ..earn("d0", "none", value_minor)
        };
        assert_eq!(open.reward(request, NOW).unwrap_err().code, Code::BadRequest);
    }
    let mut last = None;
    for n in 0..1024 {
        let request = RewardRequest {
            units: UNITS_MAX,
            ..earn("d0", &format!("r{n}"), -VALUE_MINOR_MAX)
        };
        last = Some(open.reward(request, NOW).unwrap().1);
    }
    last.unwrap().blocking_recv().unwrap().unwrap();
    let earned = |engine: &Engine| {
        let decision = engine.get("d0").unwrap();
        (decision.value_minor, decision.units)
    };
    assert_eq!(
        earned(&open),
        (-1024 * VALUE_MINOR_MAX, 1024 * UNITS_MAX),
        "as many of the largest as a decision takes"
    );
    open.close().unwrap();
    drop(open);
    // A build that knew no limit took more, and all of them were acknowledged.
    let more = (1024..4300).map(|n| {
        Record::Reward(Reward {
            decision: DecisionId("d0".to_owned()),
            reward_id: format!("r{n}"),
            value_minor: -VALUE_MINOR_MAX,
            units: UNITS_MAX,
            time_s: NOW,
        })
    });
    let mut journal = Journal::open(&dir.path().join("store"), None).unwrap();
    journal.append(&more.collect::<Vec<_>>()).unwrap();
    drop(journal);
    assert_eq!(
        earned(&engine(dir.path(), &bundle)),
        (-4300 * VALUE_MINOR_MAX, u32::MAX),
        "units stay at the end of their range"
    );
}

#[test]
fn the_same_decision_id_is_the_same_decision_or_a_conflict() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path(), &mlp_bundle());
    let first = engine.price(named("d", "s", "milk-0"), NOW).unwrap();
    for n in 0..50 {
        engine.price(ask(&format!("t{n}"), "milk-0"), NOW).unwrap();
    }
    assert_eq!(engine.price(named("d", "s", "milk-0"), NOW).unwrap(), first);
    assert_eq!(
        engine.price(named("d", "s", "milk-1"), NOW).unwrap_err().code,
        Code::Conflict
    );
    assert_eq!(engine.status().decisions, 51);
}

#[test]
fn history_warms_the_market() {
    let dir = tempfile::tempdir().unwrap();
    let past = engine(dir.path(), &fixed_bundle(9, 0.0));
    for n in 0..20 {
        let mut request = named(&format!("d{n}"), &format!("s{n}"), "milk-1");
        request.user = Some("regular".to_owned());
        request.context.shelf = vec![ShelfNews {
            item: "milk-1".to_owned(),
            posted_minor: PriceMinor(180),
            mailer: 0.0,
            display: 0.0,
        }];
        past.price(request, NOW).unwrap();
        let (_, ticket) = past.reward(earn(&format!("d{n}"), "r", 172), NOW).unwrap();
        ticket.blocking_recv().unwrap().unwrap();
    }
    let out = dir.path().join("out");
    past.close().unwrap();
    drop(past);
    let journal = Journal::open(&dir.path().join("store"), None).unwrap();
    let exported = export(&journal.reader(), &out).unwrap();
    let offers = haggle_core::read_segment(&std::fs::read(&exported.segments[0]).unwrap()).unwrap();
    let mut market = Market::new(&terms(0.0));
    let primed = market.prime(&offers);
    assert_eq!((primed.used, primed.skipped), (20, 0));
    let ask = Ask {
        session: "new".to_owned(),
        user: Some("regular".to_owned()),
        item: 1,
        ..Ask::default()
    };
    let mut features = [0.0; FEATURE_WIDTH];
    market.observe(&ask, NOW, &mut features);
    assert_eq!(feature(&features, "loyalty.last_choice"), 1.0);
    assert_eq!(
        feature(&features, "state.last_price_log"),
        (180.0f32 / 150.0).ln(),
        "the past is remembered at the shop's posted prices"
    );
}
