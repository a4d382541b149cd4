//! What the agents do: rungs or multipliers, drawn from what the team says.

use super::{MULTIPLIER_SCORES, Rollout};
use crate::distribution::Draws;
use crate::team::Team;
use haggle_policy::{SquashedNormal, multiplier};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

impl Rollout {
    pub(super) fn act(&mut self, from: usize, team: &mut Team, rng: &mut impl Rng) {
        let rows = self.len() - from;
        let (mut scores, mut remembered) = (std::mem::take(&mut self.scores), std::mem::take(&mut self.next));
        scores.resize(rows * self.spec.rungs, 0.0);
        remembered.resize(rows * self.kept_width, 0.0);
        let (mut rung, mut log_prob) = (std::mem::take(&mut self.rung), std::mem::take(&mut self.log_prob));
        rung.resize(from + rows, 0);
        log_prob.resize(from + rows, 0.0);
        self.uniform.clear();
        self.uniform.extend((0..rows).map(|_| rng.random::<f32>()));
        let mut draws = Draws {
            mask: &self.mask[from..],
            uniform: &self.uniform,
            rung: &mut rung[from..],
            log_prob: &mut log_prob[from..],
        };
        team.act(
            &self.rows(from),
            self.floor,
            &mut draws,
            &mut scores,
            &mut remembered,
        );
        let mut drawn = rung[from..].iter();
        let mut kept = remembered.chunks_exact(self.kept_width.max(1));
        for row in 0..self.spec.rows() {
            self.step.rungs[row] = 0;
            if self.step.mask[row] == 0 {
                continue;
            }
            self.step.rungs[row] = drawn.next().copied().unwrap_or(0);
            if let Some(kept) = kept.next() {
                self.memory[row * self.kept_width..][..self.kept_width].copy_from_slice(kept);
            }
        }
        (self.scores, self.next) = (scores, remembered);
        (self.rung, self.log_prob) = (rung, log_prob);
    }

    /// As [`Rollout::act`], where agents set multipliers.
    pub(super) fn multiply(&mut self, from: usize, team: &mut Team, rng: &mut impl Rng) {
        let mut scores = std::mem::take(&mut self.scores);
        scores.resize((self.len() - from) * MULTIPLIER_SCORES, 0.0);
        team.logits(&self.rows(from), MULTIPLIER_SCORES, &mut scores, &mut []);
        let mut each = scores.chunks_exact(MULTIPLIER_SCORES);
        for row in 0..self.spec.rows() {
            if self.step.mask[row] == 0 {
                continue;
            }
            let Some(&[mean, log_std]) = each.next() else {
                break;
            };
            let normal = SquashedNormal::from_scores([mean, log_std]);
            let latent = normal.latent(rng.sample(StandardNormal));
            self.log_prob.push(normal.log_density(latent));
            self.latent.push(latent);
            self.step.multipliers[row] = multiplier(self.multipliers[row % self.spec.agents], latent);
        }
        self.scores = scores;
    }
}
