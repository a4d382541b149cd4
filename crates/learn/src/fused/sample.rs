//! Choosing rungs for many rows: forward pass, distribution and draw in one walk.

use super::kernel::LANES;
use super::math::{exp, ln};
use super::net::{Activations, BLOCK, Net, Weights};
use crate::distribution::Draws;
use pulp::{Simd, WithSimd};

/// Draws of rows from the floored distribution of a policy, as [`crate::distribution::draw`] makes them.
pub(crate) struct Sample<'a, 'b> {
    pub(crate) net: &'a Net,
    pub(crate) weights: Weights<'a>,
    /// Rows whose first numbers are what the policy sees, `width` apart.
    pub(crate) seen: &'a [f32],
    pub(crate) width: usize,
    pub(crate) scratch: &'a mut Activations,
    pub(crate) floor: f32,
    pub(crate) draws: &'a mut Draws<'b>,
}

impl WithSimd for Sample<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let out_width = self.net.out_width();
        let count = self.draws.mask.len();
        for from in (0..count).step_by(BLOCK) {
            let rows = BLOCK.min(count - from);
            let seen = &self.seen[from * self.width..];
            self.net
                .forward(simd, self.weights, (rows, self.width), seen, self.scratch);
            let (scores, line) = self.scratch.out_slopes();
            for row in 0..rows {
                let scores = &scores[row * out_width..][..out_width];
                let line = &mut line[..out_width];
                distribution(simd, scores, self.draws.mask[from + row], self.floor, line);
                let (rung, p) = invert(line, self.draws.uniform[from + row]);
                self.draws.rung[from + row] = rung;
                self.draws.log_prob[from + row] = p;
            }
        }
        let mut columns = self.draws.log_prob.chunks_exact_mut(LANES);
        for column in columns.by_ref() {
            for p in S::as_mut_simd_f32s(column).0 {
                *p = ln(simd, simd.max_f32s(*p, simd.splat_f32s(f32::MIN_POSITIVE)));
            }
        }
        for p in columns.into_remainder() {
            *p = p.ln();
        }
    }
}

/// Probabilities `(1 - floor) softmax(scores) + floor / allowed`, exactly 0 where `mask` has no bit.
#[inline(always)]
fn distribution<S: Simd>(simd: S, scores: &[f32], mask: u64, floor: f32, line: &mut [f32]) {
    let (scores, _) = S::as_simd_f32s(scores);
    let (line, _) = S::as_mut_simd_f32s(line);
    let (bits, _) = S::as_simd_u32s(&BITS);
    let (none, zero) = (simd.splat_u32s(0), simd.splat_f32s(0.0));
    let denied = |n: usize| {
        let word = (mask >> (n * S::F32_LANES)) as u32;
        simd.equal_u32s(simd.and_u32s(simd.splat_u32s(word), bits[0]), none)
    };
    let mut largest = simd.splat_f32s(f32::MIN);
    for (n, score) in scores.iter().enumerate() {
        let score = simd.select_f32s(denied(n), largest, *score);
        largest = simd.max_f32s(largest, score);
    }
    let largest = simd.splat_f32s(simd.reduce_max_f32s(largest));
    let mut total = zero;
    for (n, (p, score)) in line.iter_mut().zip(scores).enumerate() {
        *p = simd.select_f32s(denied(n), zero, exp(simd, simd.sub_f32s(*score, largest)));
        total = simd.add_f32s(total, *p);
    }
    let scale = simd.splat_f32s((1.0 - floor) / simd.reduce_sum_f32s(total));
    let share = simd.splat_f32s(floor / mask.count_ones() as f32);
    for (n, p) in line.iter_mut().enumerate() {
        let share = simd.select_f32s(denied(n), zero, share);
        *p = simd.mul_add_e_f32s(*p, scale, share);
    }
}

/// The rung at which the distribution function passes `uniform`, and its probability.
#[inline(always)]
fn invert(line: &[f32], uniform: f32) -> (u8, f32) {
    let mut left = uniform;
    let mut drawn = (0, f32::NAN);
    for (rung, p) in line.iter().enumerate() {
        if *p > 0.0 {
            drawn = (rung as u8, *p);
        }
        if left < *p {
            break;
        }
        left -= p;
    }
    drawn
}

/// The bit of each lane.
const BITS: [u32; LANES] = {
    let mut bits = [1; LANES];
    let mut lane = 1;
    while lane < LANES {
        bits[lane] = 1 << lane;
        lane += 1;
    }
    bits
};
