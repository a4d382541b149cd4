//! A shop with a stock over the socket: market B1 of Ferreira, Simchi-Levi and Wang (2018), whose linear programme is known.
#![allow(clippy::unwrap_used)]

mod common;

use common::{House, stocked_bundle};
use haggle_core::{PriceMinor, Seeds};
use haggle_policy::bandit::{BanditConfig, Stock};
use haggle_serve::{AdminRequest, Client, Code, Mode, PriceRequest, RewardRequest, Status};
use std::time::{Duration, Instant};

/// Each price in cents, and how often a visit buys at it.
const DEMAND: [(u32, f64); 4] = [(2990, 0.8), (3490, 0.6), (3990, 0.3), (4490, 0.1)];
const VISITS: usize = 4_000;
const UNITS: usize = 1_000;
/// A quarter of a unit per visit: three quarters of the time at 39.90, one at 44.90, 10.10 per visit.
const LP: f64 = 1_010.0 * VISITS as f64;
const PIPELINED: usize = 20;

/// Every price 300 times, bought exactly as often as is to be expected.
fn teach(client: &mut Client) {
    for round in 0..300 {
        let at = |rung: usize| PriceRequest {
            own_minor: Some(PriceMinor(DEMAND[rung].0)),
            ..request(&format!("lesson{round}/{rung}"), None)
        };
        let asks: Vec<PriceRequest> = (0..DEMAND.len()).map(at).collect();
        for answer in client.prices(&asks).unwrap() {
            answer.unwrap();
        }
        let sold = |rung: &usize| {
            let after = |rounds: f64| (DEMAND[*rung].1 * rounds + 0.5).floor();
            after(f64::from(round) + 1.0) > after(f64::from(round))
        };
        for rung in (0..DEMAND.len()).filter(sold) {
            let bought = purchase(&format!("lesson{round}/{rung}"), DEMAND[rung].0);
            client.reward(&bought).unwrap();
        }
    }
}

/// Sells the stock, as far as it goes, to the season's visits; the revenue. The daemon is told what is left, or is not.
fn season(client: &mut Client, name: &str, told: bool) -> u64 {
    let buys = Seeds::new(23);
    let (mut units, mut revenue) = (UNITS, 0);
    for start in (0..VISITS).step_by(PIPELINED) {
        let left = told.then_some(Stock {
            units_left: units as u32,
            visits_left: (VISITS - start) as u32,
        });
        let ask = |visit: usize| request(&format!("{name}{visit}"), left);
        let asks: Vec<PriceRequest> = (start..start + PIPELINED).map(ask).collect();
        let mut bought = Vec::new();
        for (visit, answer) in (start..).zip(client.prices(&asks).unwrap()) {
            if left.is_some_and(|left| left.units_left == 0) {
                assert_eq!(answer.unwrap_err().code, Code::SoldOut);
                continue;
            }
            let answer = answer.unwrap();
            assert_eq!(answer.stock_minded, told.then_some(true));
            let (price, chance) = DEMAND[usize::from(answer.rung)];
            if units > 0 && buys.uniform_of(&visit.to_le_bytes()) < chance {
                bought.push(purchase(&answer.decision, price));
                revenue += u64::from(price);
                units -= 1;
            }
        }
        for answer in client.rewards(&bought).unwrap() {
            answer.unwrap();
        }
    }
    revenue
}

fn request(visit: &str, stock: Option<Stock>) -> PriceRequest {
    PriceRequest {
        session: visit.to_owned(),
        item: "lamp".to_owned(),
        decision: Some(visit.to_owned()),
        stock,
        ..PriceRequest::default()
    }
}

fn purchase(decision: &str, price: u32) -> RewardRequest {
    RewardRequest {
        decision: decision.to_owned(),
        reward_id: "purchase".to_owned(),
        value_minor: i64::from(price),
        units: 1,
    }
}

fn set_mode(client: &mut Client, mode: Mode) {
    let bundle = None;
    let _: Status = client.admin(&AdminRequest::Mode { mode, bundle }).unwrap();
}

#[test]
fn a_bandit_that_is_told_the_stock_earns_what_the_linear_programme_says() {
    let house = House::new(&stocked_bundle(BanditConfig::logit_thompson));
    house.configure("[rewards]\nterms = { window_s = 5 }\n");
    let daemon = house.start();
    let mut client = daemon.client();
    set_mode(&mut daemon.operator(), Mode::Apprentice);
    teach(&mut client);
    set_mode(&mut daemon.operator(), Mode::Live);
    let begun = Instant::now();
    while client.status().unwrap().bandits[0].lessons < 1_200 {
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(20));
    }
    let minding = season(&mut client, "minding", true) as f64 / LP;
    let not_minding = season(&mut client, "not minding", false) as f64 / LP;
    // Without the stock in mind, 29.90 earns most per visit, and all is sold before a third of the season is over.
    assert!(minding >= 0.97, "{minding} of the linear programme");
    assert!(not_minding <= 0.80, "{not_minding} of the linear programme");

    let card = client.explain("minding100").unwrap();
    assert!(
        card.replayed && card.why.contains("units are left for"),
        "{card:?}"
    );
    let stock = card.contributions.iter().find(|part| part.of == "stock");
    assert!(
        stock.unwrap().minor > 500.0,
        "the stock makes it dearer: {card:?}"
    );
}
