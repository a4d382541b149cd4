//! What a roll-out says.

use super::Mappo;
use crate::progress::Metrics;

impl Mappo {
    pub(super) fn rollout_metrics(&mut self, returns: &[f32], values: &[f32]) -> Metrics {
        let mut scalars = self.episodes.take(&self.rollout);
        scalars.insert("rollout/reward_mean".into(), mean(&self.rollout.reward));
        scalars.insert(
            "train/explained_variance".into(),
            explained_variance(values, returns),
        );
        if self.rollout.multipliers.is_empty() {
            let rungs: Vec<f32> = self.rollout.rung.iter().map(|rung| f32::from(*rung)).collect();
            scalars.insert("pricing/rung_mean".into(), mean(&rungs));
        } else {
            let set = self.rollout.set_multipliers();
            scalars.insert("pricing/price_multiplier_mean".into(), mean(&set));
        }
        scalars.extend(self.prices());
        scalars.extend(self.agents_rewards());
        scalars
    }

    /// Mean price that was asked, where the environment tells prices in money: of all agents, and of each where there are several.
    fn prices(&self) -> Metrics {
        let ladders = self.env.prices();
        let free = self.rollout.set_multipliers();
        let mut sums = vec![(0.0, 0.0); ladders.len()];
        for (row, agent) in self.rollout.agent.iter().enumerate() {
            let (agent, rung) = (usize::from(*agent), self.rollout.rung.get(row));
            let price = ladders.get(agent).map(|ladder| match rung {
                Some(rung) => ladder[usize::from(*rung)],
                None => ladder[0] * f64::from(free[row]),
            });
            if let Some(price) = price.filter(|price| price.is_finite()) {
                sums[agent].0 += price;
                sums[agent].1 += 1.0;
            }
        }
        let all = sums
            .iter()
            .fold((0.0, 0.0), |all, own| (all.0 + own.0, all.1 + own.1));
        let each = sums.iter().enumerate().filter(|_| sums.len() > 1);
        let each = each.map(|(agent, sum)| (format!("agents/{agent}/price"), *sum));
        let told = [("pricing/price".to_owned(), all)].into_iter().chain(each);
        told.filter(|(_, (_, offers))| *offers > 0.0)
            .map(|(tag, (sum, offers))| (tag, sum / offers))
            .collect()
    }

    /// Mean reward of each agent's steps, where there are several; nothing of one that was never there.
    fn agents_rewards(&self) -> Metrics {
        let agents = self.spec.agents;
        let mut sums = vec![(0.0, 0.0); if agents > 1 { agents } else { 0 }];
        for (agent, reward) in self.rollout.agent.iter().zip(&self.rollout.reward) {
            if let Some((sum, steps)) = sums.get_mut(usize::from(*agent)) {
                *sum += f64::from(*reward);
                *steps += 1.0;
            }
        }
        let told = sums.iter().enumerate().filter(|(_, (_, steps))| *steps > 0.0);
        told.map(|(agent, (sum, steps))| (format!("agents/{agent}/reward"), sum / steps))
            .collect()
    }

    /// Nothing where agents set multipliers.
    pub(super) fn agents_counts(&self) -> Vec<Vec<f64>> {
        if !self.rollout.multipliers.is_empty() {
            return Vec::new();
        }
        self.rollout
            .rung_counts()
            .chunks_exact(self.spec.rungs)
            .map(<[f64]>::to_vec)
            .collect()
    }
}

pub(super) fn mean(numbers: &[f32]) -> f64 {
    numbers.iter().map(|x| f64::from(*x)).sum::<f64>() / numbers.len().max(1) as f64
}

/// `1 - var(return - value) / var(return)`; 0 where returns do not vary.
fn explained_variance(values: &[f32], returns: &[f32]) -> f64 {
    let variance = |numbers: &[f32]| {
        let middle = mean(numbers);
        numbers
            .iter()
            .map(|x| (f64::from(*x) - middle).powi(2))
            .sum::<f64>()
            / numbers.len().max(1) as f64
    };
    let errors: Vec<f32> = returns.iter().zip(values).map(|(a, b)| a - b).collect();
    let spread = variance(returns);
    if spread > 1e-12 {
        1.0 - variance(&errors) / spread
    } else {
        0.0
    }
}
