#[cfg(test)]
mod tests;

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

    fn prices(&self) -> Vec<Vec<f64>> {
        vec![self.config.prices.clone(); self.spec.agents]
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
