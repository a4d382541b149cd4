//! Bandits keep their promises whatever they are shown.

mod draws;
mod log;
mod stock;

use haggle_policy::bandit::{BanditConfig, Forgetting, Pooling};

const PRICES: [f64; 5] = [1.0, 2.0, 3.0, 4.0, 6.0];

type Preset = fn(Vec<f64>, usize, u64) -> BanditConfig;

const PRESETS: [Preset; 5] = [
    BanditConfig::logit_thompson,
    BanditConfig::logit_epsilon_greedy,
    BanditConfig::square_cb,
    BanditConfig::linear_upper_bound,
    BanditConfig::linear_thompson,
];

fn configs(contexts: usize) -> Vec<BanditConfig> {
    let mut configs: Vec<BanditConfig> = PRESETS
        .iter()
        .map(|preset| preset(PRICES.to_vec(), contexts, 5))
        .collect();
    for pooling in [Pooling::Separate(2), Pooling::Partial(2)] {
        let forgetting = Some(Forgetting {
            level: 50.0,
            slope: 200.0,
        });
        let preset = BanditConfig::logit_thompson(PRICES.to_vec(), contexts, 5);
        configs.push(BanditConfig {
            pooling,
            forgetting,
            ..preset
        });
    }
    configs
}
