use super::kernel::LANES_MAX;
use super::math::exp;
use pulp::Simd;

/// The rungs that a row may choose, as bits. Vectors of them are numbered from 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowed(pub(crate) u64);

impl Allowed {
    #[inline(always)]
    fn denied<S: Simd>(self, simd: S, vector: usize) -> S::m32s {
        let word = (self.0 >> (vector * S::F32_LANES)) as u32;
        let bits = S::as_simd_u32s(&BITS).0[0];
        simd.equal_u32s(simd.and_u32s(simd.splat_u32s(word), bits), simd.splat_u32s(0))
    }

    /// Exponentials of the scores less the largest of them, 0 where denied; returns their sum.
    #[inline(always)]
    pub(crate) fn exponentials<S: Simd>(self, simd: S, scores: &[f32], line: &mut [f32]) -> f32 {
        let (scores, _) = S::as_simd_f32s(scores);
        let mut largest = simd.splat_f32s(f32::MIN);
        for (n, score) in scores.iter().enumerate() {
            let score = simd.select_f32s(self.denied(simd, n), largest, *score);
            largest = simd.max_f32s(largest, score);
        }
        let largest = simd.splat_f32s(simd.reduce_max_f32s(largest));
        let zero = simd.splat_f32s(0.0);
        let mut total = zero;
        for (n, (p, score)) in S::as_mut_simd_f32s(line).0.iter_mut().zip(scores).enumerate() {
            let exponential = exp(simd, simd.sub_f32s(*score, largest));
            *p = simd.select_f32s(self.denied(simd, n), zero, exponential);
            total = simd.add_f32s(total, *p);
        }
        simd.reduce_sum_f32s(total)
    }

    /// What each allowed rung has of `floor`.
    #[inline(always)]
    pub(crate) fn shares<S: Simd>(self, simd: S, vector: usize, floor: f32) -> S::f32s {
        let share = simd.splat_f32s(floor / self.0.count_ones() as f32);
        simd.select_f32s(self.denied(simd, vector), simd.splat_f32s(0.0), share)
    }
}

/// The bit of each lane.
const BITS: [u32; LANES_MAX] = {
    let mut bits = [1; LANES_MAX];
    let mut lane = 1;
    while lane < LANES_MAX {
        bits[lane] = 1 << lane;
        lane += 1;
    }
    bits
};
