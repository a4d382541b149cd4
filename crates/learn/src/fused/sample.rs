//! Choosing rungs for many rows: distribution and draw, and for the fused networks the forward pass before them.

use super::allowed::Allowed;
use super::kernel::LANES_MAX;
use super::layout::{Net, Weights};
use super::math::ln;
use super::net::{Activations, BLOCK};
use crate::distribution::Draws;
use haggle_core::LADDER_RUNGS_MAX;
use pulp::{Simd, WithSimd};

/// Draws of rows from the floored distribution of a policy.
pub(crate) struct Sample<'a> {
    pub(crate) net: &'a Net,
    pub(crate) weights: Weights<'a>,
    /// Rows whose first numbers are what the policy sees, `width` apart.
    pub(crate) seen: &'a [f32],
    pub(crate) width: usize,
    pub(crate) scratch: &'a mut Activations,
    pub(crate) floor: f32,
    pub(crate) draws: Draws<'a>,
}

impl WithSimd for Sample<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
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
                draw(simd, scores, self.floor, from + row, line, &mut self.draws);
            }
        }
        take_logs(simd, self.draws.log_prob);
    }
}

/// Draws of rows whose scores somebody else computed, `rungs` of them a row.
pub(crate) struct FromScores<'a, 'b> {
    pub(crate) scores: &'a [f32],
    pub(crate) rungs: usize,
    pub(crate) floor: f32,
    pub(crate) draws: &'a mut Draws<'b>,
}

impl WithSimd for FromScores<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = self.rungs.next_multiple_of(LANES_MAX);
        let (mut padded, mut line) = ([0.0; LADDER_RUNGS_MAX], [0.0; LADDER_RUNGS_MAX]);
        for (row, scores) in self.scores.chunks_exact(self.rungs).enumerate() {
            padded[..self.rungs].copy_from_slice(scores);
            draw(
                simd,
                &padded[..width],
                self.floor,
                row,
                &mut line[..width],
                self.draws,
            );
        }
        take_logs(simd, self.draws.log_prob);
    }
}

/// Draws a rung from `(1 - floor) softmax(scores) + floor / allowed` by inverting its distribution function. In place of the log of
/// its probability the probability is written: see [`take_logs`].
#[inline(always)]
fn draw<S: Simd>(simd: S, scores: &[f32], floor: f32, row: usize, line: &mut [f32], draws: &mut Draws<'_>) {
    let allowed = Allowed(draws.mask[row]);
    let total = allowed.exponentials(simd, scores, line);
    let scale = simd.splat_f32s((1.0 - floor) / total);
    for (n, p) in S::as_mut_simd_f32s(line).0.iter_mut().enumerate() {
        *p = simd.mul_add_e_f32s(*p, scale, allowed.shares(simd, n, floor));
    }
    (draws.rung[row], draws.log_prob[row]) = invert(line, draws.uniform[row]);
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

/// Probabilities become their logs.
#[inline(always)]
fn take_logs<S: Simd>(simd: S, probabilities: &mut [f32]) {
    let mut columns = probabilities.chunks_exact_mut(LANES_MAX);
    for column in columns.by_ref() {
        for p in S::as_mut_simd_f32s(column).0 {
            *p = ln(simd, simd.max_f32s(*p, simd.splat_f32s(f32::MIN_POSITIVE)));
        }
    }
    for p in columns.into_remainder() {
        *p = p.ln();
    }
}
