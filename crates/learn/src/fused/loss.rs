//! The losses of `gradient.rs` and their slopes. What is one number per row has the rows in the lanes of vectors.

use super::math::{clamp, exp};
use super::net::BLOCK;
use super::soft::Soft;
use super::terms::{Sums, Terms};
use crate::gradient::VALUE_WEIGHT;
use crate::table::FACTS;
use pulp::Simd;

/// One number per row of a block.
type Column = [f32; BLOCK];

/// Some rows that see the sights of one block.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// Rows, the rest of the columns is of no effect.
    len: usize,
    /// Sights of the block that the rows see.
    place: [usize; BLOCK],
    rung: [usize; BLOCK],
    /// 1, or 0 for what only fills up the last vector.
    live: Column,
    old_log_prob: Column,
    advantage: Column,
    target: Column,
    old_value: Column,
    log_prob: Column,
    value: Column,
    slope: Column,
}

impl Facts {
    pub(crate) fn new() -> Self {
        let column = [0.0; BLOCK];
        Self {
            len: 0,
            place: [0; BLOCK],
            rung: [0; BLOCK],
            live: column,
            old_log_prob: column,
            advantage: column,
            target: column,
            old_value: column,
            log_prob: column,
            value: column,
            slope: column,
        }
    }

    /// Takes in at most [`BLOCK`] rows, as their sight's place in the block and a row of facts each.
    #[inline(always)]
    pub(crate) fn take<'a>(&mut self, rows: impl Iterator<Item = (usize, &'a [f32; FACTS])>) {
        self.len = 0;
        self.live = [0.0; BLOCK];
        for (n, (place, [rung, old_log_prob, advantage, target, old_value])) in rows.enumerate() {
            self.place[n] = place;
            self.rung[n] = *rung as usize;
            self.live[n] = 1.0;
            self.old_log_prob[n] = *old_log_prob;
            self.advantage[n] = *advantage;
            self.target[n] = *target;
            self.old_value[n] = *old_value;
            self.len = n + 1;
        }
    }

    /// Adds the clipped surrogate's slope in each drawn rung's probability to its place (`sights x width`).
    #[inline(always)]
    pub(crate) fn policy<S: Simd>(
        &mut self,
        simd: S,
        terms: &Terms,
        soft: &Soft,
        (width, slopes): (usize, &mut [f32]),
        sums: &mut Sums,
    ) {
        for n in 0..self.len {
            self.log_prob[n] = soft.log_prob(self.place[n], self.rung[n]);
        }
        self.surrogate(simd, terms, sums);
        for n in 0..self.len {
            slopes[self.place[n] * width + self.rung[n]] += self.slope[n];
        }
    }

    #[inline(always)]
    fn surrogate<S: Simd>(&mut self, simd: S, terms: &Terms, sums: &mut Sums) {
        let (zero, one) = (simd.splat_f32s(0.0), simd.splat_f32s(1.0));
        let share = simd.splat_f32s(-1.0 / terms.count);
        let (low, high) = (1.0 - terms.clip_ratio, 1.0 + terms.clip_ratio);
        let [mut surrogate, mut divergence, mut clipped] = [zero; 3];
        let live = S::as_simd_f32s(&self.live).0;
        let log_prob = S::as_simd_f32s(&self.log_prob).0;
        let old_log_prob = S::as_simd_f32s(&self.old_log_prob).0;
        let advantage = S::as_simd_f32s(&self.advantage).0;
        let slopes = S::as_mut_simd_f32s(&mut self.slope).0;
        let vectors = self.len.div_ceil(S::F32_LANES);
        for (n, slope) in slopes[..vectors].iter_mut().enumerate() {
            let log_ratio = simd.sub_f32s(log_prob[n], old_log_prob[n]);
            let ratio = exp(simd, log_ratio);
            let free = simd.mul_f32s(ratio, advantage[n]);
            let held = simd.mul_f32s(clamp(simd, ratio, low, high), advantage[n]);
            let drawn = simd.mul_f32s(free, simd.mul_f32s(share, live[n]));
            let drawn = simd.div_f32s(drawn, exp(simd, log_prob[n]));
            *slope = simd.select_f32s(simd.less_than_or_equal_f32s(free, held), drawn, zero);
            let moved = simd.sub_f32s(ratio, one);
            let outside = simd.less_than_f32s(simd.splat_f32s(terms.clip_ratio), simd.abs_f32s(moved));
            let outside = simd.select_f32s(outside, live[n], zero);
            surrogate = simd.negate_mul_add_e_f32s(simd.min_f32s(free, held), live[n], surrogate);
            divergence = simd.mul_add_e_f32s(simd.sub_f32s(moved, log_ratio), live[n], divergence);
            clipped = simd.add_f32s(clipped, outside);
        }
        sums[0] += simd.reduce_sum_f32s(surrogate);
        sums[3] += simd.reduce_sum_f32s(divergence);
        sums[4] += simd.reduce_sum_f32s(clipped);
    }

    /// Adds the slope of `VALUE_WEIGHT x value loss` in each row's value to its place (`sights x width`, first column).
    #[inline(always)]
    pub(crate) fn value<S: Simd>(
        &mut self,
        simd: S,
        terms: &Terms,
        values: &[f32],
        (width, slopes): (usize, &mut [f32]),
        sums: &mut Sums,
    ) {
        for n in 0..self.len {
            self.value[n] = values[self.place[n] * width];
        }
        self.value_loss(simd, terms, sums);
        for n in 0..self.len {
            slopes[self.place[n] * width] += self.slope[n];
        }
    }

    #[inline(always)]
    fn value_loss<S: Simd>(&mut self, simd: S, terms: &Terms, sums: &mut Sums) {
        let zero = simd.splat_f32s(0.0);
        let weight = simd.splat_f32s(VALUE_WEIGHT as f32 / terms.count);
        let huber = simd.splat_f32s(terms.huber);
        let mut loss = zero;
        let live = S::as_simd_f32s(&self.live).0;
        let value = S::as_simd_f32s(&self.value).0;
        let target = S::as_simd_f32s(&self.target).0;
        let old = S::as_simd_f32s(&self.old_value).0;
        let slopes = S::as_mut_simd_f32s(&mut self.slope).0;
        let vectors = self.len.div_ceil(S::F32_LANES);
        for (n, slope) in slopes[..vectors].iter_mut().enumerate() {
            let error = simd.sub_f32s(value[n], target[n]);
            let size = simd.abs_f32s(error);
            let held = if terms.value_clip > 0.0 {
                let moved = simd.sub_f32s(value[n], old[n]);
                let moved = clamp(simd, moved, -terms.value_clip, terms.value_clip);
                simd.abs_f32s(simd.sub_f32s(simd.add_f32s(moved, old[n]), target[n]))
            } else {
                size
            };
            let worse = simd.max_f32s(size, held);
            let bent = simd.min_f32s(worse, huber);
            let square = simd.mul_f32s(simd.splat_f32s(0.5), simd.mul_f32s(bent, bent));
            let whole = simd.mul_add_e_f32s(simd.sub_f32s(worse, bent), huber, square);
            loss = simd.mul_add_e_f32s(whole, live[n], loss);
            let bend = clamp(simd, error, -terms.huber, terms.huber);
            let bend = simd.mul_f32s(bend, simd.mul_f32s(weight, live[n]));
            *slope = simd.select_f32s(simd.less_than_or_equal_f32s(held, size), bend, zero);
        }
        sums[1] += simd.reduce_sum_f32s(loss);
    }
}
