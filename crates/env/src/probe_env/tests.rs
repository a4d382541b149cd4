use super::*;

fn config(text: &str) -> ProbeConfig {
    toml::from_str(text).expect("a probe config")
}

fn shipped() -> [ProbeConfig; 4] {
    [
        config(include_str!("../../../../envs/probe/one-price.toml")),
        config(include_str!("../../../../envs/probe/two-buyers.toml")),
        config(include_str!("../../../../envs/probe/late-sale.toml")),
        config(include_str!("../../../../envs/probe/two-sellers.toml")),
    ]
}

/// Mean reward of an agent per episode when every agent of segment `s` plays `rungs[s]`.
fn mean_reward(config: &ProbeConfig, rungs: &[usize], steps: usize) -> f64 {
    let mut env = ProbeEnv::new(config.clone()).expect("an environment");
    let rows = env.spec().rows();
    let (mut obs, mut mask) = (vec![0.0; rows * OBS_WIDTH], vec![0; rows]);
    let (mut reward, mut cost) = (vec![0.0; rows], vec![0.0; rows]);
    let mut violation = vec![0.0; rows];
    let mut end = vec![StepEnd::Go; config.copies];
    let (mut total, mut episodes) = (0.0, 0);
    for _ in 0..steps {
        env.observe(&mut ObserveOut {
            obs: &mut obs,
            state: &mut [],
            mask: &mut mask,
        });
        let play = |row: usize| {
            let segment = usize::from(rungs.len() > 1 && obs[row * OBS_WIDTH + 1] > 0.0);
            if mask[row] == 1 { 0 } else { rungs[segment] as u8 }
        };
        let actions: Vec<u8> = (0..rows).map(play).collect();
        let last = ObserveOut {
            obs: &mut [],
            state: &mut [],
            mask: &mut [],
        };
        env.step(
            Actions::Rungs(&actions),
            &mut StepOut {
                reward: &mut reward,
                cost: &mut cost,
                violation: &mut violation,
                end: &mut end,
                last,
            },
        );
        total += reward.iter().map(|reward| f64::from(*reward)).sum::<f64>();
        episodes += end.iter().filter(|end| **end == StepEnd::Terminated).count() * env.spec().agents;
    }
    total / episodes as f64
}

#[test]
fn the_answers_are_the_closed_forms() {
    let answers = shipped().map(|config| {
        let best = config.optimum().expect("an answer");
        let prices: Vec<f64> = best.rungs.iter().map(|rung| config.prices[*rung]).collect();
        (prices, (best.value * 1e6).round() / 1e6)
    });
    assert_eq!(answers[0], (vec![6.0], 1.6)); // (10 + 2) / 2; (6 - 2) (1 - .6)
    assert_eq!(answers[1], (vec![3.0, 6.0], 2.25)); // the mean of 3 x .5 and 6 x .5
    assert_eq!(answers[2], (vec![6.0], 1.6));
    assert_eq!(answers[3], (vec![5.0, 5.0], 32.0)); // (10 + 2 x 1) / (4 - 1.6), then 4 x 8
}

#[test]
fn playing_the_answer_earns_its_value_and_other_prices_earn_less() {
    for config in shipped() {
        let best = config.optimum().expect("an answer");
        let steps = 400_000 / config.copies;
        let earned = mean_reward(&config, &best.rungs, steps);
        assert!(
            (earned / best.value - 1.0).abs() < 0.02,
            "{:?}: {earned} for {}",
            config.problem,
            best.value
        );
        if !matches!(config.problem, Problem::TwoSellers { .. }) {
            assert!(mean_reward(&config, &[0, 0], steps) < 0.9 * best.value);
        }
    }
}

#[test]
fn a_limit_on_the_mean_price_is_the_answer_where_it_binds() {
    let mut config = shipped()[0].clone();
    config.problem = Problem::OnePrice {
        choke: 10.0,
        cost: 2.0,
        price_mean_max: Some(4.0),
    };
    let best = config.optimum().expect("an answer");
    assert_eq!(config.prices[best.rungs[0]], 4.0);
    assert!((best.value - 1.2).abs() < 1e-12);
    assert_eq!(
        ProbeEnv::new(config).expect("an environment").spec().constraints,
        1
    );
}

#[test]
fn configs_that_make_no_sense_are_refused() {
    let mut config = shipped()[3].clone();
    config.prices = vec![4.0, 6.0];
    assert_eq!(config.optimum(), Err(ProbeError::Answer(5.0)));
    config.prices = vec![6.0, 4.0];
    assert_eq!(config.optimum(), Err(ProbeError::Prices));
    assert!(toml::from_str::<ProbeConfig>("prises = [1.0]").is_err());
}

#[test]
fn the_best_seller_of_a_hidden_shopper_sounds_him_out() {
    let mut probe = config(include_str!("../../../../envs/probe/hidden-shopper.toml"));
    let Problem::HiddenShopper { visits, .. } = &mut probe.problem else {
        panic!("another problem")
    };
    *visits = 1;
    // One visit: 4 earns 4 (1/3 + 2/3) / 2 = 2; 5 earns 5 (1/6 + 7/12) / 2 = 1.875; 3 earns 3 (1/2 + 3/4) / 2 = 1.875.
    let once = probe.optimum().expect("an answer");
    assert!((once.value - 2.0).abs() < 1e-12 && probe.prices[once.rungs[0]] == 4.0);
    // More visits are worth more than as many first ones, less than if the kind were seen (2.25 each).
    let known = config(include_str!("../../../../envs/probe/hidden-shopper.toml"));
    let value = known.optimum().expect("an answer").value;
    assert!(5.0 * 2.0 < value && value < 5.0 * 2.25, "{value}");
}

#[test]
fn a_saved_environment_goes_on_bit_for_bit() {
    let mut env = ProbeEnv::new(shipped()[1].clone()).expect("an environment");
    let saved = env.save();
    let run = |env: &mut ProbeEnv| {
        let copies = env.spec().copies;
        let (mut reward, mut end) = (vec![0.0; copies], vec![StepEnd::Go; copies]);
        let mut seen = Vec::new();
        for _ in 0..5 {
            let last = ObserveOut {
                obs: &mut [],
                state: &mut [],
                mask: &mut [],
            };
            env.step(
                Actions::Rungs(&vec![1; copies]),
                &mut StepOut {
                    reward: &mut reward,
                    cost: &mut [],
                    violation: &mut [],
                    end: &mut end,
                    last,
                },
            );
            seen.extend_from_slice(&reward);
        }
        seen
    };
    let first = run(&mut env);
    env.load(&saved).expect("the saved state");
    assert_eq!(run(&mut env), first);
    assert!(env.load(&saved[1..]).is_err());
}
