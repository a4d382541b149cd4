use crate::MultiplierConfig;
use serde::{Deserialize, Serialize};

/// Lagrange multipliers: one price per constraint, shared by all agents, rising while the constraint is violated.
/// Each has its own Adam, so that the step does not depend on the units of the cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Multipliers {
    pub(crate) values: Vec<f64>,
    mean: Vec<f64>,
    square: Vec<f64>,
    steps: u32,
}

impl Multipliers {
    pub(crate) fn new(constraints: usize, start: f64) -> Self {
        Self {
            values: vec![start; constraints],
            mean: vec![0.0; constraints],
            square: vec![0.0; constraints],
            steps: 0,
        }
    }

    /// One step up the mean violations: above 0 means violated.
    pub(crate) fn update(&mut self, violations: &[f64], config: &MultiplierConfig) {
        const BETA_1: f64 = 0.9;
        const BETA_2: f64 = 0.99;
        self.steps = self.steps.saturating_add(1);
        for (n, violation) in violations.iter().enumerate() {
            self.mean[n] += (1.0 - BETA_1) * (violation - self.mean[n]);
            self.square[n] += (1.0 - BETA_2) * (violation * violation - self.square[n]);
            let mean = self.mean[n] / (1.0 - BETA_1.powf(f64::from(self.steps)));
            let square = self.square[n] / (1.0 - BETA_2.powf(f64::from(self.steps)));
            let step = config.learning_rate * mean / (square.sqrt() + 1e-12);
            self.values[n] = (self.values[n] + step).clamp(0.0, config.max);
        }
    }

    /// What a step is worth once its costs are priced.
    pub(crate) fn effective(&self, reward: f32, costs: &[f32]) -> f32 {
        let priced: f64 = self
            .values
            .iter()
            .zip(costs)
            .map(|(price, cost)| price * f64::from(*cost))
            .sum();
        (f64::from(reward) - priced) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_while_violated_falls_while_slack_and_stays_in_its_limits() {
        let config = MultiplierConfig {
            start: 0.0,
            learning_rate: 0.1,
            max: 0.25,
        };
        let mut price = Multipliers::new(1, 0.0);
        price.update(&[-3.0], &config);
        assert_eq!(price.values, [0.0]);
        let mut price = Multipliers::new(1, 0.0);
        price.update(&[0.001], &config);
        assert!((price.values[0] - 0.1).abs() < 1e-6);
        (0..9).for_each(|_| price.update(&[5.0], &config));
        assert_eq!(price.values, [0.25]);
        (0..60).for_each(|_| price.update(&[-5.0], &config));
        assert_eq!(price.values, [0.0]);
    }

    #[test]
    fn each_cost_is_paid_at_its_price() {
        let mut price = Multipliers::new(2, 0.0);
        price.values = vec![0.5, 2.0];
        assert_eq!(price.effective(10.0, &[4.0, -1.0]), 10.0 - 2.0 + 2.0);
    }
}
