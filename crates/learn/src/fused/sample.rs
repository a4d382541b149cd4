//! Choosing rungs for many rows: a distribution for each sight, a draw for each row that sees it.

use super::allowed::Allowed;
use super::kernel::LANES_MAX;
use super::math::ln;
use super::{share, side_by_side};
use crate::distribution::Draws;
use crate::sights::Sights;
use haggle_core::LADDER_RUNGS_MAX;
use pulp::{Arch, Simd, WithSimd};

/// The distributions of what was seen since the policy last changed, so that it looks at each sight once.
#[derive(Clone, Debug)]
pub(crate) struct Choices {
    rungs: usize,
    /// Numbers of a distribution: rungs with their padding.
    width: usize,
    sights: Sights,
    /// `sights x width`.
    lines: Vec<f32>,
}

/// Fewer draws than this are not worth another thread.
const DRAWS_MIN: usize = 1024;

impl Choices {
    /// Of rows that see `obs` numbers each.
    pub(crate) fn new(obs: usize, rungs: usize) -> Self {
        Self {
            rungs,
            width: rungs.next_multiple_of(LANES_MAX),
            sights: Sights::new(obs, 0),
            lines: Vec::new(),
        }
    }

    /// The policy is another one now.
    pub(crate) fn forget(&mut self) {
        self.sights.clear();
        self.lines.clear();
    }

    /// Takes in rows that stand `stride` numbers apart; returns the sights that nobody saw before, `obs` numbers each.
    pub(crate) fn see(&mut self, rows: &[f32], stride: usize, masks: &[u64]) -> &[f32] {
        self.sights.of_row.clear();
        let known = self.sights.len();
        self.sights.take(rows, stride, masks.iter().copied());
        self.sights.from(known)
    }

    /// Makes distributions of the scores of the sights that [`Choices::see`] returned, `rungs` numbers each.
    pub(crate) fn judge(&mut self, scores: &[f32], floor: f32, threads: usize) {
        let (known, width, rungs) = (self.lines.len() / self.width, self.width, self.rungs);
        self.lines.resize(self.sights.len() * width, 0.0);
        let masks = &self.sights.masks[known..];
        let sights = share(masks.len(), threads);
        let lines = self.lines[known * width..].chunks_mut(sights * width);
        let parts = lines.zip(scores.chunks(sights * rungs)).zip(masks.chunks(sights));
        let parts = parts.map(|((lines, scores), masks)| Lines {
            lines,
            width,
            scores,
            rungs,
            masks,
            floor,
        });
        side_by_side(Arch::new(), parts.collect());
    }

    /// Draws a rung for each of the rows that were taken in last.
    pub(crate) fn draw(&self, threads: usize, draws: &mut Draws<'_>) {
        let rows = share(draws.mask.len(), threads).max(DRAWS_MIN);
        let parts = draws.chunks(rows).zip(self.sights.of_row.chunks(rows));
        let parts = parts.map(|(draws, of_row)| Rows {
            lines: &self.lines,
            width: self.width,
            of_row,
            draws,
        });
        side_by_side(Arch::new(), parts.collect());
    }
}

/// Draws from scores of every row, as many as there are rungs.
pub(crate) fn draw_by_rows(scores: &[f32], floor: f32, draws: &mut Draws<'_>) {
    let masks = draws.mask;
    let mut choices = Choices::new(0, scores.len() / masks.len().max(1));
    choices.sights = Sights::each(masks);
    choices.judge(scores, floor, 1);
    choices.draw(1, draws);
}

/// The distributions of some sights, `width` numbers each: `(1 - floor) softmax(scores) + floor / allowed`.
struct Lines<'a> {
    lines: &'a mut [f32],
    width: usize,
    scores: &'a [f32],
    rungs: usize,
    masks: &'a [u64],
    floor: f32,
}

impl WithSimd for Lines<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let mut padded = [0.0; LADDER_RUNGS_MAX];
        let sights = self.lines.chunks_exact_mut(self.width).zip(self.masks);
        for ((line, mask), scores) in sights.zip(self.scores.chunks_exact(self.rungs)) {
            padded[..self.rungs].copy_from_slice(scores);
            let allowed = Allowed(*mask);
            let total = allowed.exponentials(simd, &padded[..self.width], line);
            let scale = simd.splat_f32s((1.0 - self.floor) / total);
            for (n, p) in S::as_mut_simd_f32s(line).0.iter_mut().enumerate() {
                *p = simd.mul_add_e_f32s(*p, scale, allowed.shares(simd, n, self.floor));
            }
        }
    }
}

/// Draws of some rows from the distributions of what they see.
struct Rows<'a> {
    lines: &'a [f32],
    width: usize,
    of_row: &'a [u32],
    draws: Draws<'a>,
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        for (row, sight) in self.of_row.iter().enumerate() {
            let line = &self.lines[*sight as usize * self.width..][..self.width];
            let draws = &mut self.draws;
            (draws.rung[row], draws.log_prob[row]) = invert(line, draws.uniform[row]);
        }
        take_logs(simd, self.draws.log_prob);
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
