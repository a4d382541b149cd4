//! The losses of `gradient.rs` and their slopes, for a block of rows. Rows stand in the lanes: every sum over rungs is
//! then a sum of whole vectors.

use super::math::{exp, ln};
use super::net::BLOCK;
use crate::gradient::VALUE_WEIGHT;

/// One number per row of a block.
pub(crate) type Column = [f32; BLOCK];

/// What gradient steps know of a block's rows, beside what the networks see.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// `rungs` columns: the uniform distribution over the allowed rungs.
    uniform: Vec<Column>,
    rung: Column,
    old_log_prob: Column,
    advantage: Column,
    target: Column,
    old_value: Column,
    /// Scores, then probabilities before the floor, per rung.
    soft: Vec<Column>,
    log_probs: Vec<Column>,
}

/// The settings of the losses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) clip_ratio: f32,
    pub(crate) value_clip: f32,
    pub(crate) huber: f32,
    pub(crate) floor: f32,
    pub(crate) entropy_weight: f32,
    /// Rows of the whole minibatch.
    pub(crate) count: f32,
}

/// Sums over rows, in the order of [`crate::engine::UPDATE_METRICS`].
pub(crate) type Sums = [f32; 5];

impl Facts {
    pub(crate) fn new(rungs: usize) -> Self {
        let zero = [0.0; BLOCK];
        Self {
            uniform: vec![zero; rungs],
            rung: zero,
            old_log_prob: zero,
            advantage: zero,
            target: zero,
            old_value: zero,
            soft: vec![zero; rungs],
            log_probs: vec![zero; rungs],
        }
    }

    /// Takes row `row` of the block from the tail of a table row: `uniform | rung | old log prob | advantage | target |
    /// old value`.
    #[inline(always)]
    pub(crate) fn take(&mut self, row: usize, facts: &[f32]) {
        let (uniform, rest) = facts.split_at(self.uniform.len());
        for (column, share) in self.uniform.iter_mut().zip(uniform) {
            column[row] = *share;
        }
        if let [rung, old_log_prob, advantage, target, old_value] = *rest {
            self.rung[row] = rung;
            self.old_log_prob[row] = old_log_prob;
            self.advantage[row] = advantage;
            self.target[row] = target;
            self.old_value[row] = old_value;
        }
    }

    /// Slopes of `policy loss - entropy_weight x entropy` in the scores (`rows x width`).
    #[inline(always)]
    pub(crate) fn policy(
        &mut self,
        terms: &Terms,
        (rows, width): (usize, usize),
        scores: &[f32],
        slopes: &mut [f32],
        sums: &mut Sums,
    ) {
        self.scores_to_columns((rows, width), scores);
        self.distribution(terms.floor);
        let (log_prob, p) = self.drawn(terms.floor);
        let (low, high) = (1.0 - terms.clip_ratio, 1.0 + terms.clip_ratio);
        let mut drawn = [0.0; BLOCK];
        let (mut surrogate, mut divergence, mut clipped) = ([0.0; BLOCK], [0.0; BLOCK], [0.0; BLOCK]);
        for r in 0..BLOCK {
            let log_ratio = log_prob[r] - self.old_log_prob[r];
            let ratio = exp(log_ratio);
            let free = ratio * self.advantage[r];
            let held = ratio.clamp(low, high) * self.advantage[r];
            drawn[r] = if free <= held {
                -free / (terms.count * p[r])
            } else {
                0.0
            };
            surrogate[r] = -free.min(held);
            divergence[r] = ratio - 1.0 - log_ratio;
            clipped[r] = if (ratio - 1.0).abs() > terms.clip_ratio {
                1.0
            } else {
                0.0
            };
        }
        let entropy = self.slopes(terms, &drawn);
        for (rung, column) in self.soft.iter().enumerate() {
            for (row, slope) in column[..rows].iter().enumerate() {
                slopes[row * width + rung] = *slope;
            }
        }
        let total = |column: &Column| column[..rows].iter().sum::<f32>();
        sums[0] += total(&surrogate);
        sums[2] += total(&entropy);
        sums[3] += total(&divergence);
        sums[4] += total(&clipped);
    }

    #[inline(always)]
    fn scores_to_columns(&mut self, (rows, width): (usize, usize), scores: &[f32]) {
        for (rung, column) in self.soft.iter_mut().enumerate() {
            for (row, score) in column[..rows].iter_mut().enumerate() {
                *score = scores[row * width + rung];
            }
        }
    }

    /// Scores become the softmax over allowed rungs, and the logs of the floored probabilities (0 where not allowed).
    #[inline(always)]
    fn distribution(&mut self, floor: f32) {
        let mut largest = [f32::MIN; BLOCK];
        for (soft, uniform) in self.soft.iter().zip(&self.uniform) {
            for r in 0..BLOCK {
                let score = if uniform[r] > 0.0 { soft[r] } else { f32::MIN };
                largest[r] = largest[r].max(score);
            }
        }
        let mut total = [0.0; BLOCK];
        for (soft, uniform) in self.soft.iter_mut().zip(&self.uniform) {
            for r in 0..BLOCK {
                soft[r] = if uniform[r] > 0.0 {
                    exp(soft[r] - largest[r])
                } else {
                    0.0
                };
                total[r] += soft[r];
            }
        }
        let scale = total.map(|total| 1.0 / total.max(f32::MIN_POSITIVE));
        for ((soft, uniform), log) in self.soft.iter_mut().zip(&self.uniform).zip(&mut self.log_probs) {
            for r in 0..BLOCK {
                soft[r] *= scale[r];
                let p = soft[r] * (1.0 - floor) + uniform[r] * floor;
                log[r] = if p >= f32::MIN_POSITIVE {
                    ln(p.max(f32::MIN_POSITIVE))
                } else {
                    0.0
                };
            }
        }
    }

    /// Log probability and probability of the drawn rung.
    #[inline(always)]
    fn drawn(&self, floor: f32) -> (Column, Column) {
        let (mut log_prob, mut p) = ([0.0; BLOCK], [1.0; BLOCK]);
        for (rung, ((soft, uniform), log)) in self
            .soft
            .iter()
            .zip(&self.uniform)
            .zip(&self.log_probs)
            .enumerate()
        {
            let rung = rung as f32;
            for r in 0..BLOCK {
                let here = self.rung[r] == rung;
                let mixed = (soft[r] * (1.0 - floor) + uniform[r] * floor).max(f32::MIN_POSITIVE);
                log_prob[r] = if here { log[r] } else { log_prob[r] };
                p[r] = if here { mixed } else { p[r] };
            }
        }
        (log_prob, p)
    }

    /// Turns `soft` into the slopes in the scores; returns the entropy. The surrogate moves only the drawn rung, the
    /// entropy all of them; through the softmax a slope `g` in p becomes `s (g - sum s g)`.
    #[inline(always)]
    fn slopes(&mut self, terms: &Terms, drawn: &Column) -> Column {
        let (mut entropy, mut total) = ([0.0; BLOCK], [0.0; BLOCK]);
        let weight = terms.entropy_weight / terms.count;
        let free = 1.0 - terms.floor;
        for (rung, ((soft, uniform), log)) in self
            .soft
            .iter()
            .zip(&self.uniform)
            .zip(&mut self.log_probs)
            .enumerate()
        {
            let rung = rung as f32;
            for r in 0..BLOCK {
                let p = soft[r] * free + uniform[r] * terms.floor;
                entropy[r] -= p * log[r];
                let own = if self.rung[r] == rung { drawn[r] } else { 0.0 };
                log[r] = soft[r] * ((log[r] + 1.0) * weight + own) * free;
                total[r] += log[r];
            }
        }
        for (soft, weighted) in self.soft.iter_mut().zip(&self.log_probs) {
            for r in 0..BLOCK {
                soft[r] = weighted[r] - soft[r] * total[r];
            }
        }
        entropy
    }

    /// Slopes of `VALUE_WEIGHT x value loss` in the values (`rows x width`, first column).
    #[inline(always)]
    pub(crate) fn value(
        &self,
        terms: &Terms,
        (rows, width): (usize, usize),
        values: &[f32],
        slopes: &mut [f32],
        sums: &mut Sums,
    ) {
        let weight = VALUE_WEIGHT as f32 / terms.count;
        let mut loss = 0.0;
        for row in 0..rows {
            let (value, target, old) = (values[row * width], self.target[row], self.old_value[row]);
            let error = value - target;
            let size = error.abs();
            let held = if terms.value_clip > 0.0 {
                ((value - old).clamp(-terms.value_clip, terms.value_clip) + old - target).abs()
            } else {
                size
            };
            let worse = size.max(held);
            let bent = worse.min(terms.huber);
            loss += 0.5 * bent * bent + (worse - bent) * terms.huber;
            let slope = error.clamp(-terms.huber, terms.huber) * weight;
            slopes[row * width] = if size >= held { slope } else { 0.0 };
        }
        sums[1] += loss;
    }
}
