//! What policies are worth in markets whose every number is known: constant prices, a coin, a favourite out of bounds.
#![allow(missing_docs, clippy::unwrap_used)]

use haggle_core::Seeds;
use haggle_env::market::{Market, MarketEnv};
use haggle_env::{Env, EnvSpec};
use haggle_eval::{How, MarketValue, MarketValueError, roll_out};
use haggle_policy::{Actors, Layer, Network};

fn market(file: &str, change: impl FnOnce(&mut toml::Table)) -> Market {
    let path = format!("{}/../../envs/{file}.toml", env!("CARGO_MANIFEST_DIR"));
    let mut table: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
    change(&mut table);
    table.try_into().unwrap()
}

fn spec(market: &Market) -> EnvSpec {
    MarketEnv::new(market, 1).unwrap().spec().clone()
}

/// Agents that see nothing: each has these scores, whatever happens.
fn blind(spec: &EnvSpec, scores: &[f32]) -> Actors {
    let inputs = spec.obs_width;
    let layer = Layer {
        inputs,
        outputs: spec.rungs,
        weight: vec![0.0; inputs * spec.rungs],
        bias: scores.to_vec(),
    };
    let network = Network::new(vec![0.0; inputs], vec![1.0; inputs], &[layer]).unwrap();
    Actors::new(vec![network], vec![0; spec.agents], false, 0.0).unwrap()
}

/// Scores that choose one rung for certain.
fn always(spec: &EnvSpec, rung: usize) -> Vec<f32> {
    (0..spec.rungs)
        .map(|other| if other == rung { 0.0 } else { -1e9 })
        .collect()
}

fn worth(market: &Market, actors: &Actors) -> Result<MarketValue, MarketValueError> {
    MarketValue::of(market, &market.oracle().unwrap(), actors, (1, &Seeds::new(1)))
}

fn value(market: &Market, scores: &dyn Fn(&EnvSpec) -> Vec<f32>) -> MarketValue {
    let spec = spec(market);
    worth(market, &blind(&spec, &scores(&spec))).unwrap()
}

fn near(number: f64, expected: f64, tolerance: f64) {
    assert!(
        (number - expected).abs() <= tolerance * expected.abs(),
        "{number} instead of {expected}"
    );
}

#[test]
fn the_best_fixed_price_has_a_gap_score_of_0_and_a_coin_its_known_share() {
    // Gallego and van Ryzin with ten units: rung 7 of 20, 30, ... is 90, the best fixed price
    let market = market("a2", |file| {
        file.insert("stock".into(), 10.into());
    });
    let fixed = value(&market, &|spec| always(spec, 7));
    assert_eq!(
        (fixed.how, fixed.interval, fixed.fixed_price),
        (How::Exact, None, 90.0)
    );
    near(fixed.value, 789.718_383, 1e-6);
    near(fixed.ratio, 789.718_383 / 824.632_211, 1e-6);
    assert!(fixed.gap_score.unwrap().abs() < 1e-9);
    assert_eq!(fixed.guardrail_hits, 0.0);
    let coin = value(&market, &|spec| vec![0.0; spec.rungs]);
    near(coin.ratio, 0.6893, 1e-4);
}

#[test]
fn where_nothing_can_be_gained_there_is_no_gap_score() {
    // sixty units for sixty shoppers: the stock never binds
    let market = market("a2", |file| {
        file.insert("stock".into(), 60.into());
    });
    let fixed = value(&market, &|spec| always(spec, 3));
    near(fixed.ratio, 1.0, 1e-6);
    assert_eq!(fixed.gap_score, None);
}

#[test]
fn episodes_agree_with_the_exact_value() {
    let market = market("a2", |file| {
        file.insert("stock".into(), 10.into());
    });
    let spec = spec(&market);
    let coin = blind(&spec, &vec![0.0; spec.rungs]);
    let exact = worth(&market, &coin).unwrap();
    let mut env = MarketEnv::new(&market, 64).unwrap();
    let played = roll_out(&mut env, &coin, 16, &Seeds::new(2)).unwrap();
    assert_eq!(played.returns.len(), 64 * 16);
    let rolled = played.value();
    let error = (rolled.high - rolled.low) / (2.0 * 1.96);
    assert!(
        (rolled.value - exact.value).abs() < 3.5 * error && error < 0.01 * exact.value,
        "{rolled:.3} against {:.3}",
        exact.value
    );
    assert_eq!(played, roll_out(&mut env, &coin, 16, &Seeds::new(2)).unwrap());
}

#[test]
fn a_favourite_outside_the_corridor_is_a_hit_at_every_visit() {
    let ladder: Vec<toml::Value> = (8..=22).map(|step| f64::from(5 * step).into()).collect(); // 40 to 110
    let free = market("e1", |file| {
        file.insert("prices".into(), ladder.clone().into());
    });
    let top = spec(&free).rungs - 1;
    let leaning = move |spec: &EnvSpec| {
        (0..spec.rungs)
            .map(|rung| if rung == top { 1.0 } else { 0.0 })
            .collect()
    };
    assert_eq!(value(&free, &leaning).guardrail_hits, 0.0);
    let narrow = market("e1", |file| {
        file.insert("prices".into(), ladder.clone().into());
        file.insert("corridor".into(), 0.1.into());
    });
    assert_eq!(value(&narrow, &leaning).guardrail_hits, 1.0);
}

#[test]
fn two_sellers_at_one_price() {
    // Calvano's sellers, both always at 1.4: the best reply is 1.442993 and earns .192993
    let market = market("c", |file| {
        let prices: Vec<toml::Value> = [1.4, 1.442_993, 1.5].map(toml::Value::from).to_vec();
        file.insert("prices".into(), prices.into());
    });
    let Market::LogitOligopoly(game) = &market else {
        panic!("C")
    };
    let profit = game.profits(&[1.4, 1.4])[0];
    let held = value(&market, &|spec| always(spec, 0));
    let rivalry = held.rivalry.unwrap();
    // starts differ in their last prices only, which blind sellers do not see
    near(rivalry.profits[0], profit, 1e-9);
    near(rivalry.profits[1], profit, 1e-9);
    // On this ladder nobody leaves 1.442993 nor 1.5; the first of the two is the more competitive, the second the cartel.
    let [nash, cartel] = [1.442_993, 1.5].map(|price| game.profits(&[price; 2])[0]);
    near(rivalry.delta, (profit - nash) / (cartel - nash), 1e-9);
    near(rivalry.reply_gain[0], 0.192_993 / profit - 1.0, 1e-4);
    near(rivalry.prices[1], 1.4, 1e-9);
    let once = 0.05 / (1.0 - 0.95f64.powi(20)); // the period of the deviation among twenty, discounted
    near(rivalry.deviation[0].gain, once * rivalry.reply_gain[0], 1e-4);
}

#[test]
fn one_seller_beside_a_fixed_rival_is_told_as_several_are() {
    let market = market("c-fixed-rival", |file| {
        let prices: Vec<toml::Value> = [1.4, 1.5, 1.6].map(toml::Value::from).to_vec();
        file.insert("prices".into(), prices.into());
    });
    let Market::LogitOligopoly(game) = &market else {
        panic!("C")
    };
    let [low, middle] = [1.4, 1.5].map(|price| game.profits(&[price, 1.6])[0]);
    let rivalry = value(&market, &|spec| always(spec, 0)).rivalry.unwrap();
    near(rivalry.prices[0], 1.4, 1e-9);
    near(rivalry.profits[0], low, 1e-9);
    near(rivalry.reply_gain[0], middle / low - 1.0, 1e-4);
    let [nash, cartel] = [rivalry.nash_profit[0], rivalry.monopoly_profit[0]];
    near(rivalry.delta, (low - nash) / (cartel - nash), 1e-9);
    assert_eq!(rivalry.deviation.len(), 1);
    assert_eq!(rivalry.deviation[0].own.len(), 20);
    assert!(rivalry.deviation[0].others.is_empty());
}

#[test]
fn a_policy_for_another_ladder_is_refused() {
    let ten = market("a2", |_| {});
    let spec = spec(&ten);
    let other = market("a2", |file| {
        let prices: Vec<toml::Value> = [20.0, 30.0].map(toml::Value::from).to_vec();
        file.insert("prices".into(), prices.into());
    });
    let error = worth(&other, &blind(&spec, &vec![0.0; spec.rungs]));
    let error = error.unwrap_err();
    assert!(matches!(error, MarketValueError::Misfit { .. }));
    assert_eq!(
        error.to_string(),
        "the policy was made for 3 observed numbers, 19 prices and 1 agent(s); this market has 3, 2 and 1"
    );
}
