use super::belief::Belief;
use super::config::DemandModel;
use super::design::Design;
use super::prior::Prior;
use nalgebra::{Cholesky, DMatrix, DVector};
use serde::{Deserialize, Serialize};

/// Outcomes that are kept to be fitted again; later ones only update the posterior.
pub(super) const MEMORY_OUTCOMES: usize = 1024;
const FIRST_FIT: usize = 4;
const PRIOR_STEPS: usize = 3;
const NEWTON_STEPS: usize = 8;
const NEWTON_ENOUGH: f64 = 1e-6;
/// Outcomes that a guessed noise variance of 1/4 counts as.
const NOISE_WEIGHT: f64 = 2.0;

/// The first outcomes, kept to be fitted again whenever their number has doubled: contexts are then standardised anew, the
/// prior's variances learnt, and the posterior expanded at its exact mode.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Memory {
    segments: Vec<usize>,
    contexts: Vec<f64>,
    rungs: Vec<usize>,
    outcomes: Vec<f64>,
}

/// What a fit finds.
pub(super) struct Fit {
    pub(super) belief: Belief,
    /// Demand of 1 in the model, in outcomes.
    pub(super) unit: f64,
    /// Variance of an outcome around the model, in units.
    pub(super) noise: f64,
}

impl Memory {
    pub(super) fn push(&mut self, segment: usize, context: &[f64], rung: usize, outcome: f64) {
        self.segments.push(segment);
        self.contexts.extend_from_slice(context);
        self.rungs.push(rung);
        self.outcomes.push(outcome);
    }

    /// Whether it is time to fit again.
    pub(super) fn is_due(&self) -> bool {
        self.outcomes.len() >= FIRST_FIT && self.outcomes.len().is_power_of_two()
    }

    pub(super) fn fits(&self, design: &Design) -> bool {
        let count = self.outcomes.len();
        self.segments.len() == count
            && self.segments.iter().all(|segment| *segment < design.segments())
            && self.rungs.len() == count
            && self.rungs.iter().all(|rung| *rung < design.rungs())
            && self.contexts.len() == count * design.contexts()
    }

    pub(super) fn len(&self) -> usize {
        self.outcomes.len()
    }

    /// Fits everything that is remembered; an outcome of age `a` counts `fade^a`.
    pub(super) fn fit(
        &self,
        design: &mut Design,
        prior: &mut Prior,
        demand: DemandModel,
        fade: f64,
    ) -> Option<Fit> {
        design.standardise(&self.contexts);
        let unit = match demand {
            DemandModel::Logit => 1.0,
            DemandModel::Linear => self.typical(),
        };
        let rows = self.features(design);
        let count = self.outcomes.len();
        let shares = DVector::from_fn(count, |at, _| fade.powi((count - 1 - at) as i32));
        let outcomes = DVector::from_iterator(count, self.outcomes.iter().map(|outcome| outcome / unit));
        let mut noise = 0.25;
        let mut mean = DVector::from_column_slice(&prior.mean);
        let mut factor = None;
        for step in 0..=PRIOR_STEPS {
            let problem = Problem {
                rows: &rows,
                outcomes: &outcomes,
                shares: &shares,
                demand,
                noise,
            };
            factor = problem.mode(&mut mean, prior);
            if step < PRIOR_STEPS {
                let covariance = factor.as_ref()?.inverse();
                prior.relearn(mean.as_slice(), covariance.diagonal().as_slice());
                noise = problem.noise(&mean, &covariance);
            }
        }
        Some(Fit {
            belief: Belief::new(mean, factor?),
            unit,
            noise,
        })
    }

    /// Root mean square of the outcomes; 1 when they are all 0.
    fn typical(&self) -> f64 {
        let count = self.outcomes.len() as f64;
        let square: f64 = self
            .outcomes
            .iter()
            .map(|outcome| (outcome / count.sqrt()).powi(2))
            .sum();
        if square > 0.0 && square.is_finite() {
            square.sqrt()
        } else {
            1.0
        }
    }

    fn features(&self, design: &Design) -> DMatrix<f64> {
        let width = self.contexts.len() / self.outcomes.len().max(1);
        let mut rows = DMatrix::zeros(self.outcomes.len(), design.coefficients());
        let (mut x, mut row) = (Vec::new(), DVector::zeros(design.coefficients()));
        for at in 0..self.outcomes.len() {
            design.standard(&self.contexts[at * width..(at + 1) * width], &mut x);
            design.features(self.segments[at], &x, self.rungs[at], &mut row);
            rows.row_mut(at).copy_from(&row.transpose());
        }
        rows
    }
}

/// One posterior to find: the likelihood of the rows under a prior and a noise variance.
struct Problem<'a> {
    rows: &'a DMatrix<f64>,
    outcomes: &'a DVector<f64>,
    shares: &'a DVector<f64>,
    demand: DemandModel,
    noise: f64,
}

impl Problem<'_> {
    /// Newton's method from `mean`, which becomes the mode; the factor of the precision there.
    fn mode(&self, mean: &mut DVector<f64>, prior: &Prior) -> Option<Cholesky<f64, nalgebra::Dyn>> {
        let prior_mean = DVector::from_column_slice(&prior.mean);
        let prior_precision = DVector::from_column_slice(&prior.precision);
        let mut factor = None;
        let mut before = self.objective(mean, &prior_mean, &prior_precision);
        for _ in 0..NEWTON_STEPS {
            let predictor = self.rows * &*mean;
            let mut scores = DVector::zeros(predictor.len());
            let mut weighted = self.rows.clone_owned();
            for at in 0..predictor.len() {
                let (score, weight) = match self.demand {
                    DemandModel::Logit => {
                        let p = logistic(predictor[at]);
                        (self.outcomes[at] - p, p * (1.0 - p))
                    }
                    DemandModel::Linear => {
                        ((self.outcomes[at] - predictor[at]) / self.noise, 1.0 / self.noise)
                    }
                };
                scores[at] = score * self.shares[at];
                weighted.row_mut(at).scale_mut(weight * self.shares[at]);
            }
            let mut precision = self.rows.tr_mul(&weighted);
            let pull = (&prior_mean - &*mean).component_mul(&prior_precision);
            for (at, prior) in prior_precision.iter().enumerate() {
                precision[(at, at)] += prior;
            }
            let here = Cholesky::new(precision)?;
            let mut step = here.solve(&(self.rows.tr_mul(&scores) + pull));
            factor = Some(here);
            // The log posterior is concave: a step that overshoots is halved until it gains.
            let mut after = self.objective(&(&*mean + &step), &prior_mean, &prior_precision);
            for _ in 0..20 {
                if after >= before {
                    break;
                }
                step *= 0.5;
                after = self.objective(&(&*mean + &step), &prior_mean, &prior_precision);
            }
            *mean += &step;
            if after - before < NEWTON_ENOUGH {
                break;
            }
            before = after;
        }
        factor
    }

    fn objective(
        &self,
        mean: &DVector<f64>,
        prior_mean: &DVector<f64>,
        prior_precision: &DVector<f64>,
    ) -> f64 {
        let predictor = self.rows * mean;
        let each = predictor.iter().zip(self.outcomes.iter()).zip(self.shares.iter());
        let likelihood: f64 = each
            .map(|((predictor, outcome), share)| {
                share
                    * match self.demand {
                        DemandModel::Logit => outcome * predictor - softplus(*predictor),
                        DemandModel::Linear => -0.5 * (outcome - predictor).powi(2) / self.noise,
                    }
            })
            .sum();
        let away = mean - prior_mean;
        likelihood - 0.5 * away.component_mul(&away).dot(prior_precision)
    }

    /// The expected squared distance of the outcomes from the model.
    fn noise(&self, mean: &DVector<f64>, covariance: &DMatrix<f64>) -> f64 {
        if self.demand == DemandModel::Logit {
            return self.noise;
        }
        let residual = self.outcomes - self.rows * mean;
        let unsure = (self.rows * covariance).component_mul(self.rows);
        let mut square = NOISE_WEIGHT * 0.25;
        let mut count = NOISE_WEIGHT;
        for at in 0..residual.len() {
            square += self.shares[at] * (residual[at].powi(2) + unsure.row(at).sum());
            count += self.shares[at];
        }
        square / count
    }
}

pub(super) fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

pub(super) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}
