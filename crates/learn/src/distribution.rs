//! The distribution over rungs that is trained is the one that is served: [`haggle_core::Pmf::from_logits`], once as a
//! scalar draw for roll-outs and once as tensors for gradients.

use haggle_core::{LADDER_RUNGS_MAX, Mask};
use tch::{Kind, Tensor};

/// Rungs to be drawn for many rows, with the logs of their probabilities.
#[derive(Debug)]
pub(crate) struct Draws<'a> {
    /// Allowed rungs; something must be.
    pub(crate) mask: &'a [u64],
    /// One number in [0, 1) per row.
    pub(crate) uniform: &'a [f32],
    pub(crate) rung: &'a mut [u8],
    pub(crate) log_prob: &'a mut [f32],
}

impl Draws<'_> {
    /// Draws from scores, as many per row as there are rungs.
    pub(crate) fn take_scores(&mut self, scores: &[f32], floor: f32) {
        let mut scratch = [0.0; LADDER_RUNGS_MAX];
        let rungs = scores.len() / self.mask.len().max(1);
        for (row, scores) in scores.chunks_exact(rungs.max(1)).enumerate() {
            let drawn = draw(
                scores,
                Mask(self.mask[row]),
                floor,
                self.uniform[row],
                &mut scratch,
            );
            self.rung[row] = drawn.rung;
            self.log_prob[row] = drawn.log_prob;
        }
    }
}

/// A draw with the log of its probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Drawn {
    pub(crate) rung: u8,
    pub(crate) log_prob: f32,
}

/// Draws a rung from `(1 - floor) softmax(logits) + floor / allowed` by inverting its distribution function at `uniform`.
/// `scratch` has one place per logit. The mask must allow something.
pub(crate) fn draw(logits: &[f32], allowed: Mask, floor: f32, uniform: f32, scratch: &mut [f32]) -> Drawn {
    let mut largest = f32::NEG_INFINITY;
    for rung in rungs(allowed) {
        largest = largest.max(logits[rung]);
    }
    let mut total = 0.0;
    for rung in rungs(allowed) {
        scratch[rung] = (logits[rung] - largest).exp();
        total += scratch[rung];
    }
    let (scale, share) = ((1.0 - floor) / total, floor / allowed.count() as f32);
    let mut left = uniform;
    let mut drawn = (0, f32::NAN);
    for rung in rungs(allowed) {
        let p = scratch[rung] * scale + share;
        if p > 0.0 {
            drawn = (rung, p);
        }
        if left < p {
            break;
        }
        left -= p;
    }
    Drawn {
        rung: drawn.0 as u8, // ladders have at most 64 rungs
        log_prob: drawn.1.ln(),
    }
}

/// The allowed rungs by bit tricks: this runs for every agent of every step.
fn rungs(allowed: Mask) -> impl Iterator<Item = usize> {
    let mut bits = allowed.0;
    std::iter::from_fn(move || {
        let rung = bits.trailing_zeros() as usize;
        bits &= bits.wrapping_sub(1);
        (rung < 64).then_some(rung)
    })
}

/// Appends the uniform distribution over the allowed rungs: the form in which masks reach tensors.
pub(crate) fn push_uniform(allowed: Mask, width: usize, out: &mut Vec<f32>) {
    let start = out.len();
    out.resize(start + width, 0.0);
    let share = 1.0 / allowed.count().max(1) as f32;
    for rung in rungs(allowed) {
        out[start + rung] = share;
    }
}

/// The probabilities of a batch: `logits` and `uniform` are rows x rungs, `uniform` as [`push_uniform`] wrote it.
/// Exactly 0 where `uniform` is 0. (The log of a uniform distribution is one constant on the allowed rungs, which a
/// softmax does not feel, and minus infinity elsewhere.)
pub(crate) fn probabilities(logits: &Tensor, uniform: &Tensor, floor: f64) -> Tensor {
    let soft = (logits + uniform.log()).softmax(-1, Kind::Float);
    soft * (1.0 - floor) + uniform * floor
}

/// The log of probabilities, 0 where they are exactly 0 so that `p ln p` is 0 there and no gradient flows.
pub(crate) fn logs(probabilities: &Tensor) -> Tensor {
    probabilities.masked_fill(&probabilities.eq(0.0), 1.0).log()
}

/// Entropy of each row.
pub(crate) fn entropy(probabilities: &Tensor, logs: &Tensor) -> Tensor {
    -(probabilities * logs).sum_dim_intlist(-1i64, false, Kind::Float)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adam::to_host;
    use haggle_core::Pmf;
    use proptest::prelude::*;

    fn tensor_pmf(logits: &[f32], mask: Mask, floor: f64) -> Vec<f32> {
        let mut uniform = Vec::new();
        push_uniform(mask, logits.len(), &mut uniform);
        to_host(&probabilities(
            &Tensor::from_slice(logits),
            &Tensor::from_slice(&uniform),
            floor,
        ))
    }

    #[test]
    fn a_masked_rung_has_probability_exactly_zero_and_no_gradient() {
        let logits = Tensor::from_slice(&[0.0f32, 50.0, 0.0]).set_requires_grad(true);
        let p = probabilities(&logits, &Tensor::from_slice(&[0.5f32, 0.0, 0.5]), 0.1);
        assert_eq!(to_host(&p), [0.5, 0.0, 0.5]);
        let entropy = entropy(&p, &logs(&p));
        assert!((entropy.double_value(&[]) - 2f64.ln()).abs() < 1e-6);
        entropy.backward();
        let gradient = to_host(&logits.grad());
        assert!(
            gradient[1] == 0.0 && gradient.iter().all(|g| g.is_finite()),
            "{gradient:?}"
        );
    }

    proptest! {
        #[test]
        fn tensors_and_draws_agree_with_the_pmf_that_is_served(
            logits in prop::collection::vec(-8f32..8.0, 1..20), bits in 1u64..1 << 20, floor in 0f64..0.5, u in 0f32..1.0,
        ) {
            let mask = Mask(bits).and(Mask::all(logits.len()));
            prop_assume!(!mask.is_empty());
            let served = Pmf::from_logits(&logits, mask, floor).expect("a pmf");
            for (p, q) in served.probabilities().iter().zip(tensor_pmf(&logits, mask, floor)) {
                prop_assert!((p - f64::from(q)).abs() < 1e-5);
                prop_assert_eq!(*p == 0.0, q == 0.0);
            }
            let drawn = draw(&logits, mask, floor as f32, u, &mut vec![0.0; logits.len()]);
            let p = served.probabilities()[usize::from(drawn.rung)];
            prop_assert!((p.ln() - f64::from(drawn.log_prob)).abs() < 1e-4);
            let below: f64 = served.probabilities()[..usize::from(drawn.rung)].iter().sum();
            prop_assert!(below <= f64::from(u) + 1e-5 && f64::from(u) <= below + p + 1e-5);
        }
    }
}
