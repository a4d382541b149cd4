//! The losses of `gradient.rs` and their slopes, for a block of rows. Distributions have their rungs in the lanes of vectors,
//! what is one number per row has the rows there.

use super::aligned::Aligned;
use super::allowed::Allowed;
use super::kernel::LANES_MAX;
use super::math::{clamp, exp, ln};
use super::net::BLOCK;
use crate::gradient::VALUE_WEIGHT;
use pulp::Simd;

/// One number per row of a block.
type Column = [f32; BLOCK];

/// What gradient steps know of a block's rows, beside what the networks see.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// Rungs with their padding.
    width: usize,
    /// 1, or 0 for rows that only fill up the last vector.
    live: Column,
    rung: Column,
    old_log_prob: Column,
    advantage: Column,
    target: Column,
    old_value: Column,
    log_prob: Column,
    entropy: Column,
    /// Slope of the surrogate in the drawn rung's probability.
    drawn: Column,
    value: Column,
    allowed: [Allowed; BLOCK],
    /// `BLOCK x width`: probabilities before the floor, logs after it.
    soft: Aligned,
    logs: Aligned,
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

/// Sums over rows, in the order of [`crate::update::UPDATE_METRICS`].
pub(crate) type Sums = [f32; 5];

impl Facts {
    /// `width`: rungs with their padding.
    pub(crate) fn new(width: usize) -> Self {
        let (column, lines) = ([0.0; BLOCK], || Aligned::zeros(BLOCK * width));
        Self {
            width,
            live: column,
            rung: column,
            old_log_prob: column,
            advantage: column,
            target: column,
            old_value: column,
            log_prob: column,
            entropy: column,
            drawn: column,
            value: column,
            allowed: [Allowed(0); BLOCK],
            soft: lines(),
            logs: lines(),
        }
    }

    /// Takes row `row` of the block from the tail of a table row: `rung | old log prob | advantage | target | old value`.
    #[inline(always)]
    pub(crate) fn take(&mut self, row: usize, mask: u64, facts: &[f32], live: bool) {
        self.allowed[row] = Allowed(mask);
        if let [rung, old_log_prob, advantage, target, old_value] = *facts {
            self.rung[row] = rung;
            self.old_log_prob[row] = old_log_prob;
            self.advantage[row] = advantage;
            self.target[row] = target;
            self.old_value[row] = old_value;
        }
        self.live[row] = if live { 1.0 } else { 0.0 };
    }

    /// Slopes of `policy loss - entropy_weight x entropy` in the scores (`rows x width`, whole vectors of rows).
    #[inline(always)]
    pub(crate) fn policy<S: Simd>(
        &mut self,
        simd: S,
        terms: &Terms,
        rows: usize,
        scores: &[f32],
        slopes: &mut [f32],
        sums: &mut Sums,
    ) {
        for row in 0..rows {
            self.distribution(simd, row, terms.floor, &scores[row * self.width..][..self.width]);
        }
        self.surrogate(simd, terms, rows, sums);
        for row in 0..rows {
            self.slopes(simd, row, terms, &mut slopes[row * self.width..][..self.width]);
        }
    }

    /// A row's softmax over allowed rungs, the logs of its floored probabilities (finite where they are 0), and their entropy.
    #[inline(always)]
    fn distribution<S: Simd>(&mut self, simd: S, row: usize, floor: f32, scores: &[f32]) {
        let line = row * self.width..(row + 1) * self.width;
        let allowed = self.allowed[row];
        let total = allowed.exponentials(simd, scores, &mut self.soft[line.clone()]);
        let scale = simd.splat_f32s(1.0 / total);
        let (free, least) = (simd.splat_f32s(1.0 - floor), simd.splat_f32s(f32::MIN_POSITIVE));
        let mut entropy = simd.splat_f32s(0.0);
        let (soft, _) = S::as_mut_simd_f32s(&mut self.soft[line.clone()]);
        let (logs, _) = S::as_mut_simd_f32s(&mut self.logs[line]);
        for (n, (soft, log)) in soft.iter_mut().zip(logs).enumerate() {
            *soft = simd.mul_f32s(*soft, scale);
            let p = simd.mul_add_e_f32s(*soft, free, allowed.shares(simd, n, floor));
            *log = ln(simd, simd.max_f32s(p, least));
            entropy = simd.negate_mul_add_e_f32s(p, *log, entropy);
        }
        self.entropy[row] = simd.reduce_sum_f32s(entropy);
        self.log_prob[row] = self.logs[row * self.width + self.rung[row] as usize];
    }

    /// The clipped surrogate, row by row, and its slope in the drawn rung's probability.
    #[inline(always)]
    fn surrogate<S: Simd>(&mut self, simd: S, terms: &Terms, rows: usize, sums: &mut Sums) {
        let (zero, one) = (simd.splat_f32s(0.0), simd.splat_f32s(1.0));
        let share = simd.splat_f32s(-1.0 / terms.count);
        let (low, high) = (1.0 - terms.clip_ratio, 1.0 + terms.clip_ratio);
        let [mut surrogate, mut entropy, mut divergence, mut clipped] = [zero; 4];
        let drawn = S::as_mut_simd_f32s(&mut self.drawn[..rows]).0;
        let live = S::as_simd_f32s(&self.live).0;
        let log_prob = S::as_simd_f32s(&self.log_prob).0;
        let old_log_prob = S::as_simd_f32s(&self.old_log_prob).0;
        let advantage = S::as_simd_f32s(&self.advantage).0;
        let entropies = S::as_simd_f32s(&self.entropy).0;
        for (n, drawn) in drawn.iter_mut().enumerate() {
            let log_ratio = simd.sub_f32s(log_prob[n], old_log_prob[n]);
            let ratio = exp(simd, log_ratio);
            let free = simd.mul_f32s(ratio, advantage[n]);
            let held = simd.mul_f32s(clamp(simd, ratio, low, high), advantage[n]);
            let slope = simd.mul_f32s(free, simd.mul_f32s(share, live[n]));
            let slope = simd.div_f32s(slope, exp(simd, log_prob[n]));
            *drawn = simd.select_f32s(simd.less_than_or_equal_f32s(free, held), slope, zero);
            let moved = simd.sub_f32s(ratio, one);
            let outside = simd.less_than_f32s(simd.splat_f32s(terms.clip_ratio), simd.abs_f32s(moved));
            let outside = simd.select_f32s(outside, live[n], zero);
            surrogate = simd.negate_mul_add_e_f32s(simd.min_f32s(free, held), live[n], surrogate);
            entropy = simd.mul_add_e_f32s(entropies[n], live[n], entropy);
            divergence = simd.mul_add_e_f32s(simd.sub_f32s(moved, log_ratio), live[n], divergence);
            clipped = simd.add_f32s(clipped, outside);
        }
        sums[0] += simd.reduce_sum_f32s(surrogate);
        sums[2] += simd.reduce_sum_f32s(entropy);
        sums[3] += simd.reduce_sum_f32s(divergence);
        sums[4] += simd.reduce_sum_f32s(clipped);
    }

    /// A row's slopes in the scores. The surrogate moves only the drawn rung, the entropy all of them; through the softmax
    /// a slope `g` in p becomes `s (g - sum s g)`.
    #[inline(always)]
    fn slopes<S: Simd>(&self, simd: S, row: usize, terms: &Terms, slopes: &mut [f32]) {
        let line = row * self.width..(row + 1) * self.width;
        let (soft, _) = S::as_simd_f32s(&self.soft[line.clone()]);
        let (logs, _) = S::as_simd_f32s(&self.logs[line]);
        let (slopes, _) = S::as_mut_simd_f32s(slopes);
        let free = 1.0 - terms.floor;
        let weight = simd.splat_f32s(free * self.live[row] * terms.entropy_weight / terms.count);
        let drawn = simd.splat_f32s(free * self.drawn[row]);
        let zero = simd.splat_f32s(0.0);
        let mut total = zero;
        let mut rest = self.rung[row];
        let (numbers, _) = S::as_simd_f32s(&NUMBERS);
        for ((slope, soft), log) in slopes.iter_mut().zip(soft).zip(logs) {
            let here = simd.equal_f32s(numbers[0], simd.splat_f32s(rest));
            rest -= S::F32_LANES as f32;
            let moved = simd.mul_add_e_f32s(*log, weight, weight);
            let moved = simd.add_f32s(moved, simd.select_f32s(here, drawn, zero));
            *slope = simd.mul_f32s(*soft, moved);
            total = simd.add_f32s(total, *slope);
        }
        let total = simd.splat_f32s(simd.reduce_sum_f32s(total));
        for (slope, soft) in slopes.iter_mut().zip(soft) {
            *slope = simd.negate_mul_add_e_f32s(*soft, total, *slope);
        }
    }

    /// Slopes of `VALUE_WEIGHT x value loss` in the values (`rows x width`, first column).
    #[inline(always)]
    pub(crate) fn value<S: Simd>(
        &mut self,
        simd: S,
        terms: &Terms,
        (rows, width): (usize, usize),
        values: &[f32],
        slopes: &mut [f32],
        sums: &mut Sums,
    ) {
        for (value, line) in self
            .value
            .iter_mut()
            .zip(values[..rows * width].chunks_exact(width))
        {
            *value = line[0];
        }
        let zero = simd.splat_f32s(0.0);
        let weight = simd.splat_f32s(VALUE_WEIGHT as f32 / terms.count);
        let huber = simd.splat_f32s(terms.huber);
        let mut loss = zero;
        let live = S::as_simd_f32s(&self.live).0;
        let target = S::as_simd_f32s(&self.target).0;
        let old = S::as_simd_f32s(&self.old_value).0;
        for (n, value) in S::as_mut_simd_f32s(&mut self.value[..rows])
            .0
            .iter_mut()
            .enumerate()
        {
            let error = simd.sub_f32s(*value, target[n]);
            let size = simd.abs_f32s(error);
            let held = if terms.value_clip > 0.0 {
                let moved = clamp(
                    simd,
                    simd.sub_f32s(*value, old[n]),
                    -terms.value_clip,
                    terms.value_clip,
                );
                simd.abs_f32s(simd.sub_f32s(simd.add_f32s(moved, old[n]), target[n]))
            } else {
                size
            };
            let worse = simd.max_f32s(size, held);
            let bent = simd.min_f32s(worse, huber);
            let square = simd.mul_f32s(simd.splat_f32s(0.5), simd.mul_f32s(bent, bent));
            let whole = simd.mul_add_e_f32s(simd.sub_f32s(worse, bent), huber, square);
            loss = simd.mul_add_e_f32s(whole, live[n], loss);
            let slope = clamp(simd, error, -terms.huber, terms.huber);
            let slope = simd.mul_f32s(slope, simd.mul_f32s(weight, live[n]));
            *value = simd.select_f32s(simd.less_than_or_equal_f32s(held, size), slope, zero);
        }
        sums[1] += simd.reduce_sum_f32s(loss);
        for (value, line) in self
            .value
            .iter()
            .zip(slopes[..rows * width].chunks_exact_mut(width))
        {
            line[0] = *value;
        }
    }
}

/// The numbers of lanes.
const NUMBERS: [f32; LANES_MAX] = [
    0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0,
];
