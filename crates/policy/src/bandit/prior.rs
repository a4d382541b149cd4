use super::belief::Belief;
use super::config::{BanditConfig, DemandModel};
use super::design::{Design, Term};
use serde::{Deserialize, Serialize};

/// Outcomes that the guess of a group's deviation counts as, when the group's deviation is learnt.
const GUESS_WEIGHT: f64 = 3.0;

/// What is believed of the coefficients before anything is seen: independent Gaussians. Coefficients of one kind form a
/// group, and how far a group strays from its mean is learnt from the data (empirical Bayes), starting at a guess.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Prior {
    pub(super) mean: Vec<f64>,
    pub(super) precision: Vec<f64>,
    /// The group of each coefficient.
    group: Vec<usize>,
    /// The guessed variance of each group.
    guess: Vec<f64>,
}

impl Prior {
    pub(super) fn new(design: &Design, config: &BanditConfig) -> Self {
        // All in log odds, or in units of typical demand; prices span [-1, 1], contexts have deviation 1.
        let spread = 1.0 / (config.contexts.max(1) as f64).sqrt();
        // Over the whole ladder an elasticity of 1.5 where little sells: a weaker slope would make the dearest price the best
        // one on any ladder that is long enough.
        let slope = match config.demand {
            DemandModel::Logit => -(0.75 * reach(&config.prices)).max(1.0),
            DemandModel::Linear => -0.3,
        };
        let deviation = |term: Term, own: bool| match (term, own) {
            (Term::Level, false) => 3.0,
            (Term::Context, false) => spread,
            (Term::Product, false) => 0.2 * spread,
            (Term::Price, false) => slope.abs().max(1.0),
            (Term::PriceContext, false) => 0.5 * spread,
            (Term::Curve, false) => 0.3,
            (Term::Level, true) => 0.7,
            (Term::Context, true) => 0.5 * spread,
            (Term::Product, true) => 0.1 * spread,
            (Term::Price, true) => 0.5,
            (Term::PriceContext, true) => 0.25 * spread,
            (Term::Curve, true) => 0.1,
        };
        let mut kinds: Vec<(Term, bool)> = design.terms().collect();
        let group_of = kinds.clone();
        kinds.sort_unstable();
        kinds.dedup();
        let group: Vec<usize> = group_of
            .iter()
            .map(|kind| kinds.binary_search(kind).unwrap_or(0))
            .collect();
        let guess: Vec<f64> = kinds
            .iter()
            .map(|(term, own)| deviation(*term, *own).powi(2))
            .collect();
        Self {
            mean: group_of
                .iter()
                .map(|kind| if *kind == (Term::Price, false) { slope } else { 0.0 })
                .collect(),
            precision: group.iter().map(|group| 1.0 / guess[*group]).collect(),
            group,
            guess,
        }
    }

    pub(super) fn fits(&self, other: &Self) -> bool {
        self.mean == other.mean
            && self.group == other.group
            && self.guess == other.guess
            && self.precision.len() == other.precision.len()
            && self
                .precision
                .iter()
                .all(|precision| precision.is_finite() && *precision > 0.0)
    }

    pub(super) fn belief(&self) -> Belief {
        Belief::prior(&self.mean, &self.precision)
    }

    /// One step of expectation maximisation: the variance of each group from the posterior's mean and variances.
    pub(super) fn relearn(&mut self, mean: &[f64], variance: &[f64]) {
        let mut square: Vec<f64> = self.guess.iter().map(|guess| GUESS_WEIGHT * guess).collect();
        let mut count = vec![GUESS_WEIGHT; self.guess.len()];
        for (at, group) in self.group.iter().enumerate() {
            square[*group] += (mean[at] - self.mean[at]).powi(2) + variance[at];
            count[*group] += 1.0;
        }
        for (precision, group) in self.precision.iter_mut().zip(&self.group) {
            *precision = count[*group] / square[*group];
        }
    }
}

/// The logarithm of the dearest price over the cheapest one above 0.
fn reach(prices: &[f64]) -> f64 {
    let logs = || {
        prices
            .iter()
            .filter(|price| **price > 0.0)
            .map(|price| price.ln())
    };
    let (low, high) = (
        logs().fold(f64::INFINITY, f64::min),
        logs().fold(f64::NEG_INFINITY, f64::max),
    );
    (high - low).max(0.0)
}
