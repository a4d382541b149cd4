//! Gradient steps on the estimated reward.

use super::TuneConfig;
use super::columns::Columns;
use super::tuner::Tuner;
use crate::LearnError;
use crate::adam::{Adam, clip_norm};
use crate::config::MultiplierConfig;
use crate::device::to_host;
use crate::distribution::{logs, probabilities};
use rand::RngExt;
use tch::{Kind, Tensor, no_grad_guard};

/// Means over rows of what the objective is made of.
struct Terms {
    value: Tensor,
    cost: Tensor,
    kl: Tensor,
}

impl Tuner {
    /// Gradient steps on value - multiplier x cost - beta x divergence; beta finds the price at which the divergence
    /// meets its limit, the multiplier the one at which the budget does.
    pub(super) fn climb(&mut self, config: &TuneConfig) -> Result<(), LearnError> {
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
        let p = probabilities(&self.net.logits(&rows.obs), &rows.log_uniform, self.floor);
        let sum = |tensor: Tensor| tensor.sum_dim_intlist(-1i64, false, Kind::Float);
        let weight = (p.gather(1, &rows.rung, false) / &rows.propensity).clamp_max(weight_max);
        let corrected = (weight * &rows.residual).squeeze_dim(1);
        Terms {
            value: (sum(&p * &rows.expected) + corrected).mean(Kind::Float),
            cost: sum(&p * &rows.cost).mean(Kind::Float),
            kl: sum(&p * (logs(&p) - &rows.incumbent_log)).mean(Kind::Float),
        }
    }
}
