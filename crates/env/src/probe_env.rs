use crate::probe::{ProbeConfig, ProbeError, Problem, sale_chance};
use crate::{Actions, Env, EnvSpec, ObserveOut, StepEnd, StepOut};
use haggle_core::{Mask, Seeds, decode_record, encode_record};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

const OBS_WIDTH: usize = 3;
const LATE_STEPS: u8 = 4;

/// A block of copies of one probe environment. Observations: a constant 1, a signal, and the share of the episode past.
#[derive(Debug)]
pub struct ProbeEnv {
    config: ProbeConfig,
    spec: EnvSpec,
    copies: Vec<Copy>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Copy {
    rng: ChaCha8Rng,
    /// The segment of the shopper in front (two-buyers).
    segment: u8,
    /// Steps since the episode began (late-sale).
    step: u8,
    /// The rung whose sale is under way (late-sale), or that was played last (hidden-shopper).
    pending: u8,
    /// Whether it sold (hidden-shopper).
    sold: bool,
}

impl Copy {
    fn new(seeds: &Seeds) -> Self {
        let mut copy = Self {
            rng: seeds.rng(),
            segment: 0,
            step: 0,
            pending: 0,
            sold: false,
        };
        copy.begin();
        copy
    }

    fn begin(&mut self) {
        self.segment = u8::from(self.rng.random::<bool>());
        self.step = 0;
        self.pending = 0;
        self.sold = false;
    }

    fn sale(&mut self, price: f64, choke: f64, cost: f64) -> f32 {
        self.sold = self.rng.random::<f64>() < sale_chance(price, choke);
        if self.sold { (price - cost) as f32 } else { 0.0 }
    }
}

impl ProbeEnv {
    /// The environment of a configuration, reset with root seed 0.
    ///
    /// # Errors
    /// When the configuration makes no sense or its answer is not among the prices.
    pub fn new(config: ProbeConfig) -> Result<Self, ProbeError> {
        config.optimum()?;
        let constrained = matches!(
            config.problem,
            Problem::OnePrice {
                price_mean_max: Some(_),
                ..
            }
        );
        let spec = EnvSpec {
            copies: config.copies,
            agents: if matches!(config.problem, Problem::TwoSellers { .. }) {
                2
            } else {
                1
            },
            obs_width: OBS_WIDTH,
            state_width: 0,
            rungs: config.prices.len(),
            constraints: usize::from(constrained),
            constraint_names: if constrained {
                vec!["price_mean".to_owned()]
            } else {
                Vec::new()
            },
        };
        let mut env = Self {
            config,
            spec,
            copies: Vec::new(),
        };
        env.reset(&Seeds::new(0));
        Ok(env)
    }

    /// Steps of an episode that has several; where it has one, the share past is always 0.
    fn steps(&self) -> u8 {
        match self.config.problem {
            Problem::HiddenShopper { visits, .. } => visits,
            _ => LATE_STEPS,
        }
    }

    fn write(&self, copy: &Copy, obs: &mut [f32], mask: &mut [u64]) {
        let signal = match self.config.problem {
            Problem::TwoBuyers { .. } => f32::from(copy.segment) * 2.0 - 1.0,
            Problem::LateSale { .. } if copy.step > 0 => f32::from(copy.pending + 1) / self.spec.rungs as f32,
            Problem::HiddenShopper { .. } if copy.step > 0 => {
                let place = f32::from(copy.pending + 1) / self.spec.rungs as f32;
                if copy.sold { place } else { -place }
            }
            _ => 0.0,
        };
        for row in obs.chunks_exact_mut(OBS_WIDTH) {
            row.copy_from_slice(&[1.0, signal, f32::from(copy.step) / f32::from(self.steps())]);
        }
        let waits = copy.step > 0 && matches!(self.config.problem, Problem::LateSale { .. });
        mask.fill(if waits { 1 } else { Mask::all(self.spec.rungs).0 });
    }
}

impl Env for ProbeEnv {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, seeds: &Seeds) {
        self.copies = (0..self.spec.copies)
            .map(|copy| Copy::new(&seeds.indexed(copy as u64)))
            .collect();
    }

    fn observe(&self, out: &mut ObserveOut<'_>) {
        let agents = self.spec.agents;
        let rows = out.obs.chunks_exact_mut(agents * OBS_WIDTH);
        for ((copy, obs), mask) in self
            .copies
            .iter()
            .zip(rows)
            .zip(out.mask.chunks_exact_mut(agents))
        {
            self.write(copy, obs, mask);
        }
    }

    /// The two sellers of a probe are alike.
    fn agent_groups(&self) -> Option<Vec<usize>> {
        (self.spec.agents > 1).then(|| vec![0; self.spec.agents])
    }

    fn step(&mut self, actions: Actions<'_>, out: &mut StepOut<'_>) {
        let rungs = actions.rungs();
        let price = |rung: u8| self.config.prices[usize::from(rung)];
        let agents = self.spec.agents;
        for (number, copy) in self.copies.iter_mut().enumerate() {
            let rung = &rungs[number * agents..][..agents];
            let reward = &mut out.reward[number * agents..][..agents];
            out.end[number] = StepEnd::Terminated;
            match self.config.problem {
                Problem::OnePrice {
                    choke,
                    cost,
                    price_mean_max,
                } => {
                    reward[0] = copy.sale(price(rung[0]), choke, cost);
                    if let Some(limit) = price_mean_max {
                        out.cost[number] = (price(rung[0]) - limit) as f32;
                        out.violation[number] = out.cost[number];
                    }
                }
                Problem::TwoBuyers { chokes, cost } => {
                    reward[0] = copy.sale(price(rung[0]), chokes[usize::from(copy.segment)], cost);
                }
                Problem::HiddenShopper { chokes, cost, visits } => {
                    copy.pending = rung[0];
                    reward[0] = copy.sale(price(rung[0]), chokes[usize::from(copy.segment)], cost);
                    copy.step += 1;
                    if copy.step < visits {
                        out.end[number] = StepEnd::Go;
                        continue;
                    }
                }
                Problem::LateSale { choke, cost } => {
                    if copy.step == 0 {
                        copy.pending = rung[0];
                    }
                    copy.step += 1;
                    if copy.step < LATE_STEPS {
                        reward[0] = 0.0;
                        out.end[number] = StepEnd::Go;
                        continue;
                    }
                    reward[0] = copy.sale(price(copy.pending), choke, cost);
                }
                Problem::TwoSellers {
                    demand,
                    own_slope,
                    rival_slope,
                    cost,
                    common_share,
                } => {
                    let prices = [price(rung[0]), price(rung[1])];
                    let profit = |own: usize| {
                        let units = demand - own_slope * prices[own] + rival_slope * prices[1 - own];
                        (prices[own] - cost) * units.max(0.0)
                    };
                    reward[0] = (profit(0) + common_share * profit(1)) as f32;
                    reward[1] = (profit(1) + common_share * profit(0)) as f32;
                }
            }
            copy.begin();
        }
    }

    fn save(&self) -> Vec<u8> {
        encode_record(&self.copies)
    }

    fn load(&mut self, state: &[u8]) -> Result<(), String> {
        let copies: Vec<Copy> = decode_record(state)
            .map_err(|error| format!("the saved probe environment is unreadable: {error}"))?;
        let sound = |copy: &Copy| copy.segment < 2 && copy.step < self.steps();
        let known = |copy: &Copy| usize::from(copy.pending) < self.spec.rungs;
        if copies.len() != self.spec.copies || !copies.iter().all(|copy| sound(copy) && known(copy)) {
            return Err(format!(
                "the saved state is not one of this probe environment with {} copies",
                self.spec.copies
            ));
        }
        self.copies = copies;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> ProbeConfig {
        toml::from_str(text).expect("a probe config")
    }

    fn shipped() -> [ProbeConfig; 4] {
        [
            config(include_str!("../../../envs/probe/one-price.toml")),
            config(include_str!("../../../envs/probe/two-buyers.toml")),
            config(include_str!("../../../envs/probe/late-sale.toml")),
            config(include_str!("../../../envs/probe/two-sellers.toml")),
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
        let mut probe = config(include_str!("../../../envs/probe/hidden-shopper.toml"));
        let Problem::HiddenShopper { visits, .. } = &mut probe.problem else {
            panic!("another problem")
        };
        *visits = 1;
        // One visit: 4 earns 4 (1/3 + 2/3) / 2 = 2; 5 earns 5 (1/6 + 7/12) / 2 = 1.875; 3 earns 3 (1/2 + 3/4) / 2 = 1.875.
        let once = probe.optimum().expect("an answer");
        assert!((once.value - 2.0).abs() < 1e-12 && probe.prices[once.rungs[0]] == 4.0);
        // More visits are worth more than as many first ones, less than if the kind were seen (2.25 each).
        let known = config(include_str!("../../../envs/probe/hidden-shopper.toml"));
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
}
