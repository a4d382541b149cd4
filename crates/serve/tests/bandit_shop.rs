//! A shop with two kinds of customers over the socket, whose demand is known here and not to the daemon.
#![allow(clippy::unwrap_used)]

mod common;

use common::{House, digest, get_http, segment_bundle};
use haggle_core::Seeds;
use haggle_serve::{Client, PriceRequest, Progress, RewardRequest, http_path};
use std::time::{Duration, Instant};

const PRICES: std::ops::RangeInclusive<u32> = 40..=110;
const PIPELINED: usize = 50;

/// Log odds of a purchase: `intercept - slope x price`. The best of the ladder's prices are 45 and 80.
const SEGMENTS: [(&str, f64, f64); 2] = [("new", 4.0, 0.07), ("loyal", 5.0, 0.05)];

fn expected(segment: usize, price: u32) -> f64 {
    let (_, intercept, slope) = SEGMENTS[segment];
    f64::from(price) / (1.0 + (slope * f64::from(price) - intercept).exp())
}

fn optimum(segment: usize) -> f64 {
    let prices = PRICES.step_by(5);
    prices.map(|price| expected(segment, price)).fold(0.0, f64::max)
}

/// Serves visits `from..to`; expected revenue at the prices shown, as a share of the optimum's.
fn sell(client: &mut Client, from: usize, to: usize) -> f64 {
    let seeds = Seeds::new(17);
    let segment = |n: usize| usize::from(seeds.named("segment").uniform_of(&n.to_le_bytes()) < 0.4);
    let (mut earned, mut best) = (0.0, 0.0);
    for start in (from..to).step_by(PIPELINED) {
        let visits = start..(start + PIPELINED).min(to);
        let ask = |n: usize| {
            let attribute = ("kind".to_owned(), SEGMENTS[segment(n)].0.to_owned());
            PriceRequest {
                session: format!("s{n}"),
                item: "cup".to_owned(),
                decision: Some(format!("d{n}")),
                attributes: [attribute].into(),
                ..PriceRequest::default()
            }
        };
        let asks: Vec<PriceRequest> = visits.clone().map(ask).collect();
        let mut bought = Vec::new();
        for (n, answer) in visits.zip(client.prices(&asks).unwrap()) {
            let price = answer.unwrap().price_minor.0;
            let revenue = expected(segment(n), price);
            earned += revenue;
            best += optimum(segment(n));
            if seeds.named("buys").uniform_of(&n.to_le_bytes()) < revenue / f64::from(price) {
                bought.push(RewardRequest {
                    decision: format!("d{n}"),
                    reward_id: "purchase".to_owned(),
                    value_minor: i64::from(price),
                    units: 1,
                });
            }
        }
        for answer in client.rewards(&bought).unwrap() {
            answer.unwrap();
        }
    }
    earned / best
}

/// What was learnt, once it is so much.
fn learnt(client: &mut Client, lessons: u64) -> Progress {
    let begun = Instant::now();
    loop {
        let progress = client.status().unwrap().bandits[0];
        if progress.lessons >= lessons && progress.waiting == 0 {
            return progress;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{progress:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_served_bandit_finds_each_segments_price_and_a_kill_costs_it_nothing() {
    let bundle = segment_bundle();
    let house = House::new(&bundle);
    house.configure("[rewards]\nterms = { window_s = 5 }\n");
    let rules = house.dir.path().join("guardrails.toml");
    let book = "segment_by = \"kind\"\n[all]\nfloor_minor = 40\nceiling_minor = 110\n";
    std::fs::write(&rules, book).unwrap();
    let start = || {
        let mut command = house.command();
        command.arg("--guardrails").arg(&rules);
        common::Daemon::start(&mut command, &house.socket())
    };

    let daemon = start();
    let mut client = daemon.client();
    sell(&mut client, 0, 300);
    learnt(&mut client, 300);
    sell(&mut client, 300, 1_500);
    let before = learnt(&mut client, 1_500);
    assert_eq!(before.policy.to_string(), digest(&bundle));
    let metrics = get_http(&http_path(&house.socket()), "/metrics");
    let of = format!("{{policy=\"{}\"}}", before.policy.short());
    for (name, value) in [("learnt", 1_500), ("waiting", 0)] {
        let line = format!("\nhaggle_bandit_lessons_{name}{of} {value}\n");
        assert!(metrics.contains(&line), "{line} {metrics}");
    }
    daemon.kill();

    let daemon = start();
    let mut client = daemon.client();
    assert_eq!(learnt(&mut client, 1_500), before, "rebuilt to the same bits");
    let share = sell(&mut client, 1_500, 4_500);
    assert!(share >= 0.95, "{share} of the optimum");
    let card = client.explain("d100").unwrap();
    assert!(card.replayed, "{card:?}");
    let reply = client.get("d100").unwrap().price;
    assert!(reply.personal_data_used, "a segment moved the price");
}
