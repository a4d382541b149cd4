//! Distributions over rungs, one for each sight of a block, with the rungs in the lanes of vectors.

use super::aligned::Aligned;
use super::allowed::Allowed;
use super::math::ln;
use super::net::BLOCK;
use super::terms::Terms;
use pulp::Simd;

/// A softmax per sight, and its floored form.
#[derive(Clone, Debug)]
pub(crate) struct Soft {
    /// Rungs with their padding.
    width: usize,
    allowed: [Allowed; BLOCK],
    /// Rows that see each sight.
    count: [f32; BLOCK],
    /// `BLOCK x width`: probabilities before the floor, logs after it.
    soft: Aligned,
    logs: Aligned,
}

impl Soft {
    /// `width`: rungs with their padding.
    pub(crate) fn new(width: usize) -> Self {
        let lines = || Aligned::zeros(BLOCK * width);
        Self {
            width,
            allowed: [Allowed(0); BLOCK],
            count: [0.0; BLOCK],
            soft: lines(),
            logs: lines(),
        }
    }

    /// What sight `n` of the block allows, and how many rows see it.
    #[inline(always)]
    pub(crate) fn take(&mut self, n: usize, mask: u64, count: f32) {
        self.allowed[n] = Allowed(mask);
        self.count[n] = count;
    }

    /// The log of a rung's floored probability, finite where that is 0.
    #[inline(always)]
    pub(crate) fn log_prob(&self, n: usize, rung: usize) -> f32 {
        self.logs[n * self.width + rung]
    }

    /// Distributions of so many sights from their scores (`sights x width`); returns the entropy's sum over all their rows.
    #[inline(always)]
    pub(crate) fn read<S: Simd>(&mut self, simd: S, sights: usize, floor: f32, scores: &[f32]) -> f32 {
        let mut entropies = 0.0;
        for n in 0..sights {
            let entropy = self.line(simd, n, floor, &scores[n * self.width..][..self.width]);
            entropies += self.count[n] * entropy;
        }
        entropies
    }

    #[inline(always)]
    fn line<S: Simd>(&mut self, simd: S, n: usize, floor: f32, scores: &[f32]) -> f32 {
        let line = n * self.width..(n + 1) * self.width;
        let allowed = self.allowed[n];
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
        simd.reduce_sum_f32s(entropy)
    }

    /// Turns slopes in probabilities that rows' draws added up to (`sights x width`) into slopes in the scores, the entropy's among
    /// them: through the softmax a slope `g` in p becomes `s (g - sum s g)`.
    #[inline(always)]
    pub(crate) fn slopes<S: Simd>(&self, simd: S, sights: usize, terms: &Terms, slopes: &mut [f32]) {
        let free = 1.0 - terms.floor;
        for (n, slopes) in slopes.chunks_exact_mut(self.width).take(sights).enumerate() {
            let line = n * self.width..(n + 1) * self.width;
            let (soft, _) = S::as_simd_f32s(&self.soft[line.clone()]);
            let (logs, _) = S::as_simd_f32s(&self.logs[line]);
            let (slopes, _) = S::as_mut_simd_f32s(slopes);
            let weight = simd.splat_f32s(free * self.count[n] * terms.entropy_weight / terms.count);
            let free = simd.splat_f32s(free);
            let mut total = simd.splat_f32s(0.0);
            for ((slope, soft), log) in slopes.iter_mut().zip(soft).zip(logs) {
                let moved = simd.mul_add_e_f32s(*log, weight, weight);
                *slope = simd.mul_f32s(*soft, simd.mul_add_e_f32s(*slope, free, moved));
                total = simd.add_f32s(total, *slope);
            }
            let total = simd.splat_f32s(simd.reduce_sum_f32s(total));
            for (slope, soft) in slopes.iter_mut().zip(soft) {
                *slope = simd.negate_mul_add_e_f32s(*soft, total, *slope);
            }
        }
    }
}
