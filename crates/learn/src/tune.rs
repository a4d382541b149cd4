use crate::adam::{Adam, clip_norm, to_host};
use crate::config::{DeviceChoice, MultiplierConfig};
use crate::device::set_threads;
use crate::distribution::{logs, probabilities};
use crate::export::policy_parameters;
use crate::multiplier::Multipliers;
use crate::network::{ActorCritic, Shape};
use crate::normaliser::Frozen;
use crate::offer_table::OfferTable;
use crate::reward_model::expected_rewards;
use crate::{ConfigError, LearnError, choose_device, network_of};
use haggle_core::{Offer, Policy, Seeds};
use haggle_policy::{Bundle, DataSource, Network, PolicyKind};
use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor, no_grad_guard};

/// Rows valued at once.
const BLOCK: i64 = 16_384;
/// Halvings of a step that went too far, and as many to find the largest that does not.
const BISECTIONS: usize = 12;

/// How a policy is improved on its own log. A field left out takes the value of [`TuneConfig::default`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TuneConfig {
    /// Root of every random number.
    pub seed: u64,
    /// Weight of the occasion's whole value beside the item's own, as in training, in [0, 1].
    pub common_share: f64,
    /// Gradient steps, at least 1.
    pub steps: usize,
    /// Offers of one gradient step, at least 1.
    pub minibatch_rows: usize,
    /// Adam's learning rate, above 0.
    pub learning_rate: f64,
    /// Largest mean divergence from the incumbent, in nats, above 0. Never exceeded.
    pub kl_max: f64,
    /// Largest importance weight of a logged offer, at least 1.
    pub weight_max: f64,
    /// Learning rate of the price index's multiplier, not negative.
    pub multiplier_rate: f64,
    /// Where it runs.
    pub device: DeviceChoice,
    /// Threads of libtorch; 0: one per processor. A second thread gains little on small networks, and where it has to
    /// share its processor with other programs, both stall.
    pub threads: usize,
}

/// What tuning did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TuneReport {
    /// Offers with a logged distribution.
    pub offers: usize,
    /// Occasions (a session in front of a category) among them.
    pub occasions: usize,
    /// Mean divergence of the candidate from the incumbent on the log, in nats.
    pub kl: f64,
    /// How much of the proposed step was taken, in [0, 1]; less than 1 where a limit was met.
    pub step: f64,
    /// Price index of the incumbent on the logged baskets.
    pub price_index_incumbent: f64,
    /// Price index of the candidate on the logged baskets.
    pub price_index_candidate: f64,
    /// Multiplier of the price index at the end.
    pub multiplier: f64,
    /// Doubly robust estimate of candidate - incumbent in money per offer, on the very log that was tuned on: optimistic.
    pub gain_in_sample: f64,
}

impl Default for TuneConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            common_share: 0.5,
            steps: 400,
            minibatch_rows: 4096,
            learning_rate: 1e-3,
            kl_max: 0.03,
            weight_max: 10.0,
            multiplier_rate: 0.01,
            device: DeviceChoice::Auto,
            threads: 1,
        }
    }
}

impl TuneConfig {
    /// Checks every range.
    ///
    /// # Errors
    /// The first value out of its range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let check = |field, value: f64, sound: bool, allowed| {
            let value = value.to_string();
            if sound {
                Ok(())
            } else {
                Err(ConfigError::Range {
                    field,
                    value,
                    allowed,
                })
            }
        };
        let share = self.common_share;
        check("common_share", share, (0.0..=1.0).contains(&share), "0 to 1")?;
        check("steps", self.steps as f64, self.steps >= 1, "at least 1")?;
        check(
            "minibatch_rows",
            self.minibatch_rows as f64,
            self.minibatch_rows >= 1,
            "at least 1",
        )?;
        let positive = |value: f64| value > 0.0 && value.is_finite();
        check(
            "learning_rate",
            self.learning_rate,
            positive(self.learning_rate),
            "above 0",
        )?;
        check("kl_max", self.kl_max, positive(self.kl_max), "above 0")?;
        check(
            "weight_max",
            self.weight_max,
            self.weight_max >= 1.0 && self.weight_max.is_finite(),
            "at least 1",
        )?;
        let rate = self.multiplier_rate;
        check(
            "multiplier_rate",
            rate,
            rate >= 0.0 && rate.is_finite(),
            "not negative",
        )
    }
}

/// Improves a policy on offers that were logged with their distributions: the candidate maximises a doubly robust estimate
/// of the reward (Dudik et al. 2011) less the priced budget of the shoppers, inside a ball of divergence around the
/// incumbent. Prices outside the logged masks get nothing. The candidate names the incumbent as its parent.
///
/// # Errors
/// When the incumbent is no network, the log does not fit it, or a number stops being one.
pub fn tune(
    incumbent: &Bundle,
    offers: &[Offer],
    data: Vec<DataSource>,
    config: &TuneConfig,
) -> Result<(Bundle, TuneReport), LearnError> {
    config.validate()?;
    let PolicyKind::Mlp(policy) = incumbent.policy() else {
        return Err(LearnError::Log(
            "the incumbent is no network (it has fixed prices, or bandits that learn in the daemon); only a network can be tuned".to_owned(),
        ));
    };
    let network = policy.network();
    let mut tuner = Tuner::new(incumbent, network, offers, config)?;
    tuner.climb(config)?;
    tuner.keep_budget();
    let (step, kl) = tuner.step_back(config);
    let report = tuner.report(step, kl);
    let mut terms = incumbent.terms().clone();
    terms.multiplier = report.multiplier;
    terms.provenance.parent = Some(incumbent.digest());
    terms.provenance.data = data;
    terms.provenance.seed = config.seed;
    terms.provenance.program = concat!("haggle ", env!("CARGO_PKG_VERSION")).to_owned();
    let candidate = network_of(tuner.net.shape(), &to_host(&tuner.net.flat), &eyes_of(network))?;
    Ok((Bundle::mlp(terms, &candidate)?, report))
}

struct Tuner {
    table: OfferTable,
    columns: Columns,
    net: ActorCritic,
    start: Vec<f32>,
    floor: f64,
    /// The largest price index that the candidate may have: the incumbent's on the same baskets. Baskets that were
    /// bought at drawn prices hold more of what was cheap, so an index on them tells two policies apart but says little
    /// about the limit itself.
    index_max: f64,
    /// What the incumbent's prices cost the shoppers' budget per offer.
    cost_incumbent: f64,
    incumbent: Vec<f32>,
    prices: Multipliers,
    device: Device,
    /// Mean reward of an offer: the unit of the objective.
    unit: f64,
    seeds: Seeds,
}

/// Everything of the log that a gradient step reads, on the device; rows x something.
struct Columns {
    obs: Tensor,
    uniform: Tensor,
    rung: Tensor,
    propensity: Tensor,
    expected: Tensor,
    residual: Tensor,
    cost: Tensor,
    incumbent_log: Tensor,
}

impl Columns {
    fn rows(&self, index: &Tensor) -> Self {
        let of = |tensor: &Tensor| tensor.index_select(0, index);
        Self {
            obs: of(&self.obs),
            uniform: of(&self.uniform),
            rung: of(&self.rung),
            propensity: of(&self.propensity),
            expected: of(&self.expected),
            residual: of(&self.residual),
            cost: of(&self.cost),
            incumbent_log: of(&self.incumbent_log),
        }
    }
}

/// Means over rows of what the objective is made of.
struct Terms {
    value: Tensor,
    cost: Tensor,
    kl: Tensor,
}

impl Tuner {
    fn new(
        incumbent: &Bundle,
        network: &Network,
        offers: &[Offer],
        config: &TuneConfig,
    ) -> Result<Self, LearnError> {
        let device = choose_device(config.device)?;
        set_threads(config.threads);
        let table = OfferTable::new(incumbent, offers, config.common_share)?.normalised(&eyes_of(network))?;
        let shape = Shape {
            multiplier: false,
            obs: network.inputs(),
            critic: 0,
            memory: 0,
            hidden: network.hidden(),
            rungs: network.outputs(),
        };
        let start = policy_parameters(network);
        let net = ActorCritic::new(shape, &start, device);
        let constrained = incumbent.terms().price_index_limit;
        let floor = incumbent.terms().floor;
        let columns = columns(&table, &net, floor, device);
        let mut tuner = Self {
            unit: table.reward.iter().sum::<f64>().abs() / table.rows as f64 + 1e-9,
            prices: Multipliers::new(usize::from(constrained.is_some()), incumbent.terms().multiplier),
            incumbent: Vec::new(),
            index_max: f64::INFINITY,
            cost_incumbent: 0.0,
            seeds: Seeds::new(config.seed).named("tune"),
            table,
            columns,
            net,
            start,
            floor,
            device,
        };
        tuner.incumbent = tuner.all_probabilities();
        if constrained.is_some() {
            tuner.index_max = tuner.table.price_index(&tuner.incumbent);
            let costs = tuner.incumbent.iter().zip(&tuner.table.cost);
            let total: f64 = costs.map(|(p, cost)| f64::from(*p) * f64::from(*cost)).sum();
            tuner.cost_incumbent = total / tuner.table.rows as f64;
        }
        Ok(tuner)
    }

    /// Gradient steps on value - multiplier x cost - beta x divergence; beta finds the price at which the divergence
    /// meets its limit, the multiplier the one at which the budget does.
    fn climb(&mut self, config: &TuneConfig) -> Result<(), LearnError> {
        const BETA_START: f64 = 1.0;
        const BETA_PACE: f64 = 0.1;
        let mut rng = self.seeds.rng();
        let mut adam = Adam::new(self.start.len(), self.device);
        let mut beta = BETA_START;
        let pace = MultiplierConfig {
            start: 0.0,
            learning_rate: config.multiplier_rate,
            max: 100.0,
        };
        for step in 0..config.steps {
            let index: Vec<i64> = (0..config.minibatch_rows)
                .map(|_| rng.random_range(0..self.table.rows as i64))
                .collect();
            let rows = self
                .columns
                .rows(&Tensor::from_slice(&index).to_device(self.device));
            let terms = self.terms(&rows, config.weight_max);
            let price = self.prices.values.first().copied().unwrap_or(0.0);
            let loss = (&terms.cost * price - &terms.value) / self.unit + &terms.kl * beta;
            let mut gradient = self.net.gradient(&loss);
            let _guard = no_grad_guard();
            let norm = clip_norm(&mut gradient, 1.0);
            let left = 1.0 - step as f64 / config.steps as f64;
            adam.step(&mut self.net.flat, &gradient, config.learning_rate * left);
            let seen = to_host(&Tensor::stack(
                &[terms.kl, terms.cost, norm].map(|term| term.detach()),
                0,
            ));
            if seen.iter().any(|number| !number.is_finite()) {
                return Err(LearnError::Diverged {
                    update: step as u64 + 1,
                    steps: 0,
                    what: "the gradient of tuning".to_owned(),
                    kept: String::new(),
                });
            }
            beta *= (BETA_PACE * (f64::from(seen[0]) / config.kl_max - 1.0))
                .clamp(-0.2, 0.2)
                .exp();
            beta = beta.max(1e-3);
            let cost = f64::from(seen[1]) - self.cost_incumbent;
            self.prices.update(&vec![cost; self.prices.values.len()], &pace);
        }
        Ok(())
    }

    fn terms(&self, rows: &Columns, weight_max: f64) -> Terms {
        let p = probabilities(&self.net.logits(&rows.obs), &rows.uniform, self.floor);
        let sum = |tensor: Tensor| tensor.sum_dim_intlist(-1i64, false, Kind::Float);
        let weight = (p.gather(1, &rows.rung, false) / &rows.propensity).clamp_max(weight_max);
        let corrected = (weight * &rows.residual).squeeze_dim(1);
        Terms {
            value: (sum(&p * &rows.expected) + corrected).mean(Kind::Float),
            cost: sum(&p * &rows.cost).mean(Kind::Float),
            kl: sum(&p * (logs(&p) - &rows.incumbent_log)).mean(Kind::Float),
        }
    }

    /// Tilts all prices down by as little as brings the price index back to where it may be: the scores of the rungs fall
    /// with the rung, through the last layer's biases.
    fn keep_budget(&mut self) {
        const TILT_MAX: f64 = 8.0;
        let end = to_host(&self.net.flat);
        let rungs = self.table.rungs;
        let fits = |tuner: &mut Self, tilt: f64| {
            let mut parameters = end.clone();
            let first = tuner.start.len() - rungs;
            for (rung, bias) in parameters[first..first + rungs].iter_mut().enumerate() {
                *bias -= (tilt * rung as f64 / rungs as f64) as f32;
            }
            tch::no_grad(|| tuner.net.set(&parameters));
            let p = tuner.all_probabilities();
            tuner.table.price_index(&p) <= tuner.index_max
        };
        if fits(self, 0.0) {
            return;
        }
        let (mut low, mut high) = (0.0, TILT_MAX);
        for _ in 0..BISECTIONS {
            let middle = f64::midpoint(low, high);
            if fits(self, middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        fits(self, high);
    }

    /// The largest part of the step that respects divergence and price index; 0 if none does.
    fn step_back(&mut self, config: &TuneConfig) -> (f64, f64) {
        let end = to_host(&self.net.flat);
        let fits = |tuner: &mut Self, step: f64| {
            let between = |(from, to): (&f32, &f32)| from + (to - from) * step as f32;
            let parameters: Vec<f32> = tuner.start.iter().zip(&end).map(between).collect();
            tch::no_grad(|| tuner.net.set(&parameters));
            let p = tuner.all_probabilities();
            let kl = tuner.divergence(&p);
            (
                kl <= config.kl_max && tuner.table.price_index(&p) <= tuner.index_max,
                kl,
            )
        };
        if let (true, kl) = fits(self, 1.0) {
            return (1.0, kl);
        }
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..BISECTIONS {
            let middle = (low + high) / 2.0;
            if fits(self, middle).0 {
                low = middle;
            } else {
                high = middle;
            }
        }
        let (_, kl) = fits(self, low);
        (low, kl)
    }

    fn divergence(&self, p: &[f32]) -> f64 {
        let of = |(p, q): (&f32, &f32)| {
            if *p > 0.0 {
                f64::from(*p) * (f64::from(*p) / f64::from(*q)).ln()
            } else {
                0.0
            }
        };
        p.iter().zip(&self.incumbent).map(of).sum::<f64>() / self.table.rows as f64
    }

    fn all_probabilities(&self) -> Vec<f32> {
        let _guard = no_grad_guard();
        blocks(self.table.rows as i64)
            .flat_map(|(from, count)| {
                let logits = self.net.logits(&self.columns.obs.narrow(0, from, count));
                to_host(&probabilities(
                    &logits,
                    &self.columns.uniform.narrow(0, from, count),
                    self.floor,
                ))
            })
            .collect()
    }

    fn report(&self, step: f64, kl: f64) -> TuneReport {
        let p = self.all_probabilities();
        TuneReport {
            offers: self.table.rows,
            occasions: self.table.occasions,
            kl,
            step,
            price_index_incumbent: self.table.price_index(&self.incumbent),
            price_index_candidate: self.table.price_index(&p),
            multiplier: self.prices.values.first().copied().unwrap_or(0.0),
            gain_in_sample: self.estimate(&p) - self.estimate(&self.incumbent),
        }
    }

    /// Doubly robust estimate of a policy's reward per offer, weights unclipped.
    fn estimate(&self, p: &[f32]) -> f64 {
        let rungs = self.table.rungs;
        let expected = to_host(&self.columns.expected);
        let residual = to_host(&self.columns.residual);
        let of = |row: usize| {
            let own = &p[row * rungs..][..rungs];
            let direct: f64 = own
                .iter()
                .zip(&expected[row * rungs..])
                .map(|(p, q)| f64::from(*p) * f64::from(*q))
                .sum();
            let weight = own[usize::from(self.table.rung[row])] / self.table.propensity[row];
            direct + f64::from(weight) * f64::from(residual[row])
        };
        (0..self.table.rows).map(of).sum::<f64>() / self.table.rows as f64
    }
}

fn columns(table: &OfferTable, net: &ActorCritic, floor: f64, device: Device) -> Columns {
    let _guard = no_grad_guard();
    let expected = expected_rewards(table);
    let of =
        |row: usize| table.reward[row] as f32 - expected[row * table.rungs + usize::from(table.rung[row])];
    let residual: Vec<f32> = (0..table.rows).map(of).collect();
    let rung: Vec<f32> = table.rung.iter().map(|rung| f32::from(*rung)).collect();
    let put = |numbers: &[f32]| table.tensor(numbers).to_device(device);
    let (obs, uniform) = (put(&table.obs), put(&table.uniform));
    let logs: Vec<Tensor> = blocks(table.rows as i64)
        .map(|(from, count)| {
            let logits = net.logits(&obs.narrow(0, from, count));
            logs(&probabilities(&logits, &uniform.narrow(0, from, count), floor))
        })
        .collect();
    Columns {
        obs,
        uniform,
        rung: put(&rung).to_kind(Kind::Int64),
        propensity: put(&table.propensity),
        expected: put(&expected),
        residual: put(&residual),
        cost: put(&table.cost),
        incumbent_log: Tensor::cat(&logs, 0),
    }
}

/// `(from, count)` of consecutive blocks of rows.
fn blocks(rows: i64) -> impl Iterator<Item = (i64, i64)> {
    (0..rows)
        .step_by(BLOCK as usize)
        .map(move |from| (from, BLOCK.min(rows - from)))
}

fn eyes_of(network: &Network) -> Frozen {
    let (mean, std) = network.normaliser();
    Frozen {
        mean: mean.to_vec(),
        std: std.to_vec(),
    }
}
