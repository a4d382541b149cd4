use super::belief::{Belief, Forecast, Lesson};
use super::config::{BanditConfig, DemandModel, Forgetting, Pooling, Rule};
use super::curve::Curve;
use super::cusum::Cusum;
use super::design::{Design, Term};
use super::memory::{MEMORY_OUTCOMES, Memory, logistic};
use super::prior::Prior;
use haggle_core::Seeds;
use nalgebra::DVector;
use serde::{Deserialize, Serialize};

/// Outcomes between two steps of forgetting.
const FADE_EVERY: u64 = 8;
/// A squared error counts as at most so many expected ones when the noise is learnt: a jump of demand is no noise.
const SURPRISE_MAX: f64 = 4.0;
/// Least variance of an outcome, in units: demand that never varies would else become infinitely certain.
const NOISE_MIN: f64 = 1e-9;
/// Sales after which something is known of demand.
const FEW_SALES: f64 = 15.0;
/// The noise follows no faster than over so many outcomes.
const NOISE_ROUNDS_MIN: f64 = 16.0;
/// Where the mean outcome is a smaller share of the typical one, sales are too rare for errors to be nearly normal.
const MEAN_WATCHED_MIN: f64 = 0.3;
/// What is kept of the level of demand when it is seen to have shifted.
const LEVEL_KEPT: f64 = 0.02;

/// A Bayesian model of demand given context and rung, learnt outcome by outcome.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Model {
    demand: DemandModel,
    design: Design,
    prior: Prior,
    belief: Belief,
    /// Absent once it is full.
    memory: Option<Memory>,
    /// Demand of 1 in the model, in outcomes.
    unit: f64,
    /// Variance of an outcome, in units.
    noise: f64,
    outcomes: u64,
    /// Sum of all outcomes.
    sold: f64,
    /// Whether demand is still as forecast, where nothing is forgotten.
    cusum: Cusum,
    /// Coefficients drawn from the belief as it stands, row after row; empty unless the rule needs them.
    draws: Vec<f64>,
}

impl Model {
    pub(super) fn new(config: &BanditConfig, seeds: &Seeds) -> Self {
        let layers = match config.pooling {
            Pooling::Partial(segments) => segments + 1,
            Pooling::Pooled | Pooling::Separate(_) => 1,
        };
        let shape = match config.demand {
            DemandModel::Logit => Curve::Hats,
            DemandModel::Linear => Curve::Waves,
        };
        let design = Design::new(&config.prices, config.contexts, (shape, config.knots), layers);
        let prior = Prior::new(&design, config);
        let mut model = Self {
            demand: config.demand,
            belief: prior.belief(),
            design,
            prior,
            memory: Some(Memory::default()),
            unit: 1.0,
            noise: 0.25,
            outcomes: 0,
            sold: 0.0,
            cusum: Cusum::default(),
            draws: Vec::new(),
        };
        model.redraw(config.rule, seeds);
        model
    }

    /// Whether all parts have the shapes of a model that was made for the same settings, and finite numbers.
    pub(super) fn fits(&self, fresh: &Self) -> bool {
        let numbers = [self.unit, self.noise, self.sold];
        self.demand == fresh.demand
            && self.design.fits(&fresh.design)
            && self.prior.fits(&fresh.prior)
            && self.belief.fits(&fresh.belief)
            && self
                .memory
                .as_ref()
                .is_none_or(|memory| memory.fits(&self.design))
            && self.cusum.is_sound()
            && self.draws.len() == fresh.draws.len()
            && numbers.iter().chain(&self.draws).all(|number| number.is_finite())
    }

    pub(super) fn outcomes(&self) -> u64 {
        self.outcomes
    }

    pub(super) fn usual(&self) -> &[f64] {
        self.design.usual()
    }

    pub(super) fn sold(&self) -> f64 {
        self.sold
    }

    /// Share of draws that should be uniform because little has sold yet. As long as nothing sells, every model says that
    /// demand is low everywhere, and so that the dearest price is best: a ladder that begins far below what people pay and
    /// ends far above would be seen at its dear end only. Over all rounds it costs a third of [`FEW_SALES`].
    pub(super) fn ignorance(&self) -> f64 {
        let sales = self.sold.max(0.0) / self.unit;
        (1.0 - sales / FEW_SALES).max(0.0).powi(2)
    }

    /// Takes in what was sold. `segment` counts layers of this model.
    pub(super) fn learn(
        &mut self,
        segment: usize,
        context: &[f64],
        rung: usize,
        outcome: f64,
        config: &BanditConfig,
    ) {
        self.outcomes += 1;
        self.sold += outcome;
        let fading = config.forgetting;
        if let Some(mut memory) = self.memory.take() {
            memory.push(segment, context, rung, outcome);
            let fade = fading.map_or(1.0, |fading| keep(fading.slope, 1));
            let fit = if memory.is_due() {
                memory.fit(&mut self.design, &mut self.prior, self.demand, fade)
            } else {
                None
            };
            // What fades is not fitted again for long: demand has changed since.
            let most = fading.map_or(MEMORY_OUTCOMES, |fading| {
                MEMORY_OUTCOMES.min(fading.slope as usize)
            });
            self.memory = (memory.len() < most).then_some(memory);
            if let Some(fit) = fit {
                (self.belief, self.unit, self.noise) = (fit.belief, fit.unit, fit.noise);
                return;
            }
        }
        self.step(segment, context, rung, outcome, fading);
        match fading {
            Some(fading) if self.outcomes.is_multiple_of(FADE_EVERY) => {
                self.fade(keep(fading.level, FADE_EVERY), keep(fading.slope, FADE_EVERY));
            }
            None if self.cusum.take_alarm() => {
                self.fade(LEVEL_KEPT, 1.0);
            }
            _ => {}
        }
    }

    fn step(
        &mut self,
        segment: usize,
        context: &[f64],
        rung: usize,
        outcome: f64,
        fading: Option<Forgetting>,
    ) {
        let mut x = Vec::with_capacity(context.len());
        self.design.standard(context, &mut x);
        let mut features = DVector::zeros(self.design.coefficients());
        self.design.features(segment, &x, rung, &mut features);
        // As long as everything is fitted again, a forecast that fails tells of the model, not of demand.
        let settled = self.memory.is_none();
        let (noise, outcome) = (self.noise, outcome / self.unit);
        match self.demand {
            DemandModel::Logit => {
                let seen = self.belief.learn(&features, |seen| bernoulli(seen, outcome));
                if settled {
                    self.cusum.bernoulli(seen, outcome);
                }
            }
            DemandModel::Linear => {
                let seen = self.belief.learn(&features, |seen| Lesson {
                    weight: 1.0 / noise,
                    score: (outcome - seen.mean) / (noise + seen.variance),
                });
                let variance = noise + seen.variance;
                if settled && self.sold >= MEAN_WATCHED_MIN * self.unit * self.outcomes as f64 {
                    self.cusum.normal((outcome - seen.mean) / variance.sqrt());
                }
                let surprise = (outcome - seen.mean).powi(2) / variance;
                let rounds = (self.outcomes as f64).min(fading.map_or(f64::INFINITY, |fading| fading.slope));
                let change = 1.0 + (surprise.min(SURPRISE_MAX) - 1.0) / rounds.max(NOISE_ROUNDS_MIN);
                self.noise = (noise * change).max(NOISE_MIN);
            }
        }
    }

    /// Keeps so much of what is known of the level of demand, and of everything else.
    fn fade(&mut self, level: f64, slope: f64) {
        let share = |(term, own): (Term, bool)| if term == Term::Level && !own { level } else { slope };
        let shares: Vec<f64> = self.design.terms().map(share).collect();
        self.belief.fade(&shares, &self.prior.mean, &self.prior.precision);
    }

    /// Draws anew for the belief as it stands, if the rule needs draws.
    pub(super) fn redraw(&mut self, rule: Rule, seeds: &Seeds) {
        if let Rule::Thompson { draws, width } = rule {
            let mut rng = seeds.indexed(self.outcomes).rng();
            self.belief.draw(draws / 2, width, &mut rng, &mut self.draws);
        }
    }

    /// Calls `look` with the expected demand at every rung under each draw.
    pub(super) fn for_each_draw(&self, segment: usize, context: &[f64], mut look: impl FnMut(&[f64])) {
        let mut x = Vec::with_capacity(context.len());
        self.design.standard(context, &mut x);
        let mut demand = vec![0.0; self.design.rungs()];
        for draw in self.draws.chunks_exact(self.design.coefficients()) {
            self.design.along(segment, &x, draw, &mut demand);
            self.link(&mut demand);
            look(&demand);
        }
    }

    /// Expected demand at every rung, `width` posterior deviations above the mean.
    pub(super) fn demand(&self, segment: usize, context: &[f64], width: f64) -> Vec<f64> {
        let mut x = Vec::with_capacity(context.len());
        self.design.standard(context, &mut x);
        let mut demand = vec![0.0; self.design.rungs()];
        self.design.along(segment, &x, self.belief.mean(), &mut demand);
        if width > 0.0 {
            let mut features = DVector::zeros(self.design.coefficients());
            for (rung, demand) in demand.iter_mut().enumerate() {
                self.design.features(segment, &x, rung, &mut features);
                *demand += width * self.belief.forecast(&features).variance.sqrt();
            }
        }
        self.link(&mut demand);
        demand
    }

    fn link(&self, predictor: &mut [f64]) {
        for value in predictor {
            *value = match self.demand {
                DemandModel::Logit => logistic(*value),
                DemandModel::Linear => (self.unit * *value).max(0.0),
            };
        }
    }
}

/// What stays of a belief after `outcomes`, when 1/e stays after `memory`.
fn keep(memory: f64, outcomes: u64) -> f64 {
    (-(outcomes as f64) / memory).exp()
}

/// The mode of a Gaussian belief about log odds after one purchase or none: `mode = mean + variance (outcome - sigma(mode))`,
/// by Newton's method inside the bracket in which the mode must lie.
fn bernoulli(seen: Forecast, outcome: f64) -> Lesson {
    let far = seen.mean + seen.variance * (outcome - logistic(seen.mean));
    let (mut low, mut high) = (seen.mean.min(far), seen.mean.max(far));
    let mut mode = seen.mean;
    for _ in 0..30 {
        let p = logistic(mode);
        let excess = mode - seen.mean - seen.variance * (outcome - p);
        if excess > 0.0 {
            high = mode;
        } else {
            low = mode;
        }
        let newton = mode - excess / (1.0 + seen.variance * p * (1.0 - p));
        let next = if newton > low && newton < high {
            newton
        } else {
            0.5 * (low + high)
        };
        let moved = (next - mode).abs();
        mode = next;
        if moved < 1e-9 {
            break;
        }
    }
    let p = logistic(mode);
    Lesson {
        weight: p * (1.0 - p),
        score: outcome - p,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_of_one_outcome_solves_its_equation() {
        for (mean, variance, outcome) in [
            (0.0, 4.0, 1.0),
            (-9.0, 100.0, 1.0),
            (30.0, 900.0, 0.0),
            (2.0, 1e-6, 0.0),
        ] {
            let lesson = bernoulli(Forecast { mean, variance }, outcome);
            let mode = mean + variance * lesson.score;
            assert!(
                (logistic(mode) - (outcome - lesson.score)).abs() < 1e-6,
                "{mean} {variance} {outcome}"
            );
        }
    }
}
