#![allow(missing_docs, clippy::unwrap_used)]

mod shop;

use haggle_core::{FEATURE_WIDTH, Loyalty, Seeds};
use haggle_env::{
    Actions, Batch, Env, ObserveOut, ReplayConfig, ReplayEnv, STATE_WIDTH, StepEnd, StepOut, World,
};
use rand::RngExt;
use shop::Shoppers;
use std::sync::Arc;

const CONFIG: &str = r#"
weeks = [2, 5]
ladder = [0.8, 0.9, 1.0, 1.1, 1.2]
unit = "offer"
reward = "revenue"
outcome = "expected"
common_share = 0.0
price_index_limit = 1.0
episode_visits = 40
members = "ensemble"
resample_sessions = true
"#;

fn config(changes: &[(&str, &str)]) -> ReplayConfig {
    let mut table: toml::Table = toml::from_str(CONFIG).unwrap();
    for (key, value) in changes {
        let new: toml::Table = toml::from_str(&format!("v = {value}")).unwrap();
        table.insert((*key).to_owned(), new["v"].clone());
    }
    table.try_into().unwrap()
}

fn world() -> Arc<World> {
    let posted = |week, item| [1.0, 0.9, 1.1][(week as usize + item) % 3];
    Arc::new(shop::world(Shoppers::new(1.2), posted, 6, 60, 1))
}

/// Everything that one step of an environment shows.
#[derive(Clone, Debug, PartialEq)]
struct Shown {
    obs: Vec<f32>,
    state: Vec<f32>,
    mask: Vec<u64>,
    reward: Vec<f32>,
    cost: Vec<f32>,
    violation: Vec<f32>,
    end: Vec<StepEnd>,
    last_obs: Vec<f32>,
}

fn play(env: &mut impl Env, steps: usize, mut choose: impl FnMut(usize) -> u8) -> Vec<Shown> {
    let spec = env.spec().clone();
    let rows = spec.rows();
    (0..steps)
        .map(|_| {
            let mut shown = Shown {
                obs: vec![f32::NAN; rows * spec.obs_width],
                state: vec![f32::NAN; rows * spec.state_width],
                mask: vec![0; rows],
                reward: vec![f32::NAN; rows],
                cost: vec![f32::NAN; rows * spec.constraints],
                violation: vec![f32::NAN; spec.copies * spec.constraints],
                end: vec![StepEnd::Go; spec.copies],
                last_obs: vec![7.0; rows * spec.obs_width],
            };
            let mut spare = (vec![0.0; rows * spec.state_width], vec![0; rows]);
            env.observe(&mut ObserveOut {
                obs: &mut shown.obs,
                state: &mut shown.state,
                mask: &mut shown.mask,
            });
            let rungs: Vec<u8> = (0..rows).map(&mut choose).collect();
            env.step(
                Actions::Rungs(&rungs),
                &mut StepOut {
                    reward: &mut shown.reward,
                    cost: &mut shown.cost,
                    violation: &mut shown.violation,
                    end: &mut shown.end,
                    last: ObserveOut {
                        obs: &mut shown.last_obs,
                        state: &mut spare.0,
                        mask: &mut spare.1,
                    },
                },
            );
            shown
        })
        .collect()
}

fn random(seed: u64) -> impl FnMut(usize) -> u8 {
    let mut rng = Seeds::new(seed).rng();
    move |_| rng.random_range(0..5)
}

fn env(copies: usize, changes: &[(&str, &str)]) -> ReplayEnv {
    ReplayEnv::new(world(), config(changes), 0..copies).unwrap()
}

#[test]
fn blocks_and_threads_do_not_change_a_number() {
    let whole = play(&mut env(6, &[]), 100, random(3));
    let world = world();
    for threads in [1, 3] {
        let block = |range| ReplayEnv::new(world.clone(), config(&[]), range).unwrap();
        let mut batch = Batch::new(vec![block(0..1), block(1..4), block(4..6)]).unwrap();
        batch.reset(&Seeds::new(0));
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        assert!(pool.install(|| play(&mut batch, 100, random(3))) == whole);
    }
}

#[test]
fn rows_are_finite_and_absent_agents_are_empty() {
    let shown = play(&mut env(6, &[]), 100, random(4));
    let mut seen = [false; 4];
    for step in &shown {
        assert!(
            step.obs
                .iter()
                .chain(&step.state)
                .chain(&step.reward)
                .chain(&step.cost)
                .all(|x| x.is_finite())
        );
        for copy in step.mask.chunks(3) {
            let agents = copy.iter().filter(|mask| **mask != 0).count();
            assert!(agents == 3 || (agents == 2 && copy[2] == 0), "{copy:?}");
            seen[agents] = true;
        }
        for (row, mask) in step.mask.iter().enumerate() {
            let empty = step.obs[row * FEATURE_WIDTH..][..FEATURE_WIDTH]
                .iter()
                .all(|x| *x == 0.0);
            let silent = step.state[row * STATE_WIDTH..][..STATE_WIDTH]
                .iter()
                .all(|x| *x == 0.0);
            assert_eq!(*mask == 0, empty && silent);
            assert!(*mask != 0 || step.reward[row] == 0.0);
        }
    }
    assert!(seen[2] && seen[3]);
}

#[test]
fn a_saved_environment_goes_on_bit_for_bit() {
    let mut first = env(6, &[("stock_weeks", "1.5")]);
    play(&mut first, 37, random(5));
    let saved = first.save();
    let rest = play(&mut first, 60, random(6));
    let mut second = env(6, &[("stock_weeks", "1.5")]);
    second.load(&saved).unwrap();
    assert!(play(&mut second, 60, random(6)) == rest);
    assert!(env(6, &[]).load(&saved).is_err(), "another environment: no stock");
    assert!(second.load(&saved[..saved.len() / 2]).is_err());
}

#[test]
fn episodes_are_cut_off_and_show_where_they_stopped() {
    let shown = play(&mut env(1, &[]), 41, random(7));
    assert!(shown[..39].iter().all(|step| step.end[0] == StepEnd::Go));
    assert!(
        shown[..39]
            .iter()
            .all(|step| step.last_obs.iter().all(|x| *x == 7.0))
    );
    assert_eq!(shown[39].end[0], StepEnd::Truncated);
    assert!(shown[39].last_obs.iter().all(|x| *x != 7.0));
    assert_ne!(shown[39].last_obs, shown[40].obs, "a new episode began");
    assert_eq!(shown[40].end[0], StepEnd::Go);
}

#[test]
fn posted_prices_cost_nothing_and_higher_ones_do() {
    let flat = Arc::new(shop::world(Shoppers::new(1.2), |_, _| 1.0, 6, 60, 1));
    let totals = |rung: u8| -> (f32, f32) {
        let mut env = ReplayEnv::new(flat.clone(), config(&[]), 0..6).unwrap();
        let steps = play(&mut env, 50, |_| rung);
        let sum = |of: fn(&Shown) -> &[f32]| steps.iter().flat_map(of).sum();
        (sum(|step| &step.cost), sum(|step| &step.violation))
    };
    assert_eq!(totals(2), (0.0, 0.0));
    let (dearer, cheaper) = (totals(3), totals(1));
    assert!(dearer.0 > 0.0 && cheaper.0 < 0.0, "what the model's basket costs");
    assert!(dearer.1 > 0.0 && cheaper.1 < 0.0, "what the logged baskets cost");
    assert!(env(6, &[("price_index_limit", "2.0")]).spec().constraint_names == ["price_index"]);
}

#[test]
fn expected_and_sampled_rewards_agree_on_average() {
    let mean = |outcome: &str| {
        let changes = [("outcome", outcome), ("members", "\"point\"")];
        let steps = play(&mut env(64, &changes), 400, |_| 2);
        let total: f64 = steps
            .iter()
            .flat_map(|step| &step.reward)
            .map(|x| f64::from(*x))
            .sum();
        total / (400.0 * 64.0)
    };
    let (expected, sampled) = (mean("\"expected\""), mean("\"sampled\""));
    assert!(
        (sampled / expected - 1.0).abs() < 0.03,
        "{sampled} for {expected}"
    );
}

#[test]
fn a_team_earns_the_sum_of_what_its_members_earn() {
    let selfish = play(&mut env(6, &[]), 20, random(8));
    let team = play(&mut env(6, &[("common_share", "1.0")]), 20, random(8));
    for (own, all) in selfish.iter().zip(&team) {
        for (own, all) in own.reward.chunks(3).zip(all.reward.chunks(3)) {
            assert!((own.iter().sum::<f32>() - all[0]).abs() < 1e-5);
            assert_eq!(all[0], all[1]);
        }
    }
}

#[test]
fn a_difference_reward_moves_with_the_own_price_as_the_team_s_does() {
    let first = |credit: &str, rungs: [u8; 3]| {
        let changes = [("common_share", "1.0"), ("credit", credit)];
        play(&mut env(1, &changes), 1, |row| rungs[row]).swap_remove(0)
    };
    for own in 0..5 {
        let team = |credit: &str| f64::from(first(credit, [own, 1, 3]).reward[0]);
        let start = |credit: &str| f64::from(first(credit, [2, 1, 3]).reward[0]);
        let moved = |credit: &str| team(credit) - start(credit);
        let (shared, difference) = (moved("\"shared\""), moved("\"difference\""));
        assert!((shared - difference).abs() < 1e-6, "{shared} and {difference}");
    }
    let costs = first("\"difference\"", [0, 2, 4]).cost;
    let alone = first("\"difference\"", [0, 3, 1]).cost;
    assert_eq!(costs[0], alone[0], "the index is charged to who moves it");
}

#[test]
fn stock_runs_out_and_ends_the_episode() {
    let changes = [
        ("stock_weeks", "0.25"),
        ("episode_visits", "230"),
        ("outcome", "\"sampled\""),
    ];
    let shown = play(&mut env(2, &changes), 230, |_| 0);
    let left = |step: &Shown| step.obs[FEATURE_WIDTH - 1];
    assert_eq!(left(&shown[0]), 1.0);
    let ended = shown
        .iter()
        .position(|step| step.end[0] == StepEnd::Terminated)
        .unwrap();
    let sold: f32 = shown[..=ended].iter().map(|step| step.reward[0]).sum();
    let price = sold / 3.0; // .25 weeks of 60 visits with .2 sales each: 3 units
    assert!(
        [1.6, 2.4, 0.8].iter().any(|known| (price - known).abs() < 1e-4),
        "{price}"
    );
    assert!(
        shown[..=ended]
            .windows(2)
            .all(|pair| left(&pair[1]) <= left(&pair[0]))
    );
}

#[test]
fn a_price_of_the_period_holds_for_the_week() {
    let changes = [
        ("unit", "\"period\""),
        ("episode_visits", "100"),
        ("resample_sessions", "false"),
    ];
    let week = play(&mut env(1, &changes), 2, |_| 2);
    let visit = play(&mut env(1, &[]), 2, |_| 2);
    let total = |step: &Shown| step.reward.iter().sum::<f32>();
    assert!(total(&week[0]) > 30.0 * total(&visit[0]), "60 visits in one step");
    assert_eq!(week[1].end[0], StepEnd::Truncated, "two weeks are 120 visits");
}

#[test]
fn nobody_is_known_before_his_first_purchase_and_loyalty_is_the_log_s() {
    let world = world();
    for session in [0, 100, 250] {
        let before = world.replay().loyalty_before(session, 1, world.rates());
        for (user, logged) in before.iter().enumerate() {
            let mut loyalty = Loyalty::default();
            world.logged_loyalty(1, user as u32, session, &mut loyalty);
            assert_eq!(loyalty, *logged);
        }
    }
}

#[test]
fn values_out_of_range_are_named() {
    for (key, value, word) in [
        ("weeks", "[5, 2]", "weeks"),
        ("ladder", "[1.0, 0.9]", "ladder"),
        ("common_share", "1.5", "common_share"),
        ("price_index_limit", "0.0", "price_index_limit"),
        ("weeks", "[50, 60]", "weeks 50 to 60 hold 0 sessions"),
    ] {
        let error = ReplayEnv::new(world(), config(&[(key, value)]), 0..1)
            .unwrap_err()
            .to_string();
        assert!(error.contains(word), "{error}");
    }
    let unseen = config(&[("outcome", "\"sampled\""), ("credit", "\"difference\"")]);
    let error = ReplayEnv::new(world(), unseen, 0..1).unwrap_err().to_string();
    assert!(error.contains("credit"), "{error}");
    assert!(ReplayEnv::new(world(), config(&[]), 3..3).is_err(), "no copy");
    assert!(toml::from_str::<ReplayConfig>(&format!("{CONFIG}\ncopys = 3")).is_err());
}
