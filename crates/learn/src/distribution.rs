//! The distribution over rungs that is trained is the one that is served: [`haggle_core::Pmf::from_logits`], once as
//! draws for roll-outs and once as tensors for gradients.

use haggle_core::Mask;
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
    /// The same in parts of at most `rows` rows.
    pub(crate) fn chunks(&mut self, rows: usize) -> impl Iterator<Item = Draws<'_>> {
        let told = self.mask.chunks(rows).zip(self.uniform.chunks(rows));
        let drawn = self.rung.chunks_mut(rows).zip(self.log_prob.chunks_mut(rows));
        told.zip(drawn).map(|((mask, uniform), (rung, log_prob))| Draws {
            mask,
            uniform,
            rung,
            log_prob,
        })
    }
}

/// The allowed rungs by bit tricks: this runs for every row of every update.
fn rungs(allowed: Mask) -> impl Iterator<Item = usize> {
    let mut bits = allowed.0;
    std::iter::from_fn(move || {
        let rung = bits.trailing_zeros() as usize;
        bits &= bits.wrapping_sub(1);
        (rung < 64).then_some(rung)
    })
}

/// Appends the log of the uniform distribution over the allowed rungs: the form in which masks reach tensors.
pub(crate) fn push_log_uniform(allowed: Mask, width: usize, out: &mut Vec<f32>) {
    let start = out.len();
    out.resize(start + width, f32::NEG_INFINITY);
    let share = -(allowed.count().max(1) as f32).ln();
    for rung in rungs(allowed) {
        out[start + rung] = share;
    }
}

/// The probabilities of a batch: `logits` and `log_uniform` are rows x rungs, the latter as [`push_log_uniform`] wrote it. Exactly
/// 0 where it is minus infinity.
pub(crate) fn probabilities(logits: &Tensor, log_uniform: &Tensor, floor: f64) -> Tensor {
    floored(&softmax(logits, log_uniform), log_uniform, floor)
}

/// The probabilities before the floor. (The log of a uniform distribution is one constant on the allowed rungs, which a softmax
/// does not feel.)
pub(crate) fn softmax(logits: &Tensor, log_uniform: &Tensor) -> Tensor {
    (logits + log_uniform).softmax(-1, Kind::Float)
}

pub(crate) fn floored(soft: &Tensor, log_uniform: &Tensor, floor: f64) -> Tensor {
    if floor == 0.0 {
        return soft.shallow_clone();
    }
    soft * (1.0 - floor) + log_uniform.exp() * floor
}

/// The log of probabilities; a finite one where they are 0, so that `p ln p` is 0 there and no gradient flows.
pub(crate) fn logs(probabilities: &Tensor) -> Tensor {
    probabilities.clamp_min(f64::from(f32::MIN_POSITIVE)).log()
}

/// Entropy of each row.
pub(crate) fn entropy(probabilities: &Tensor, logs: &Tensor) -> Tensor {
    -(probabilities * logs).sum_dim_intlist(-1i64, false, Kind::Float)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::to_host;
    use crate::fused::draw_by_rows;
    use haggle_core::Pmf;
    use proptest::prelude::*;

    fn tensor_pmf(logits: &[f32], mask: Mask, floor: f64) -> Vec<f32> {
        let mut uniform = Vec::new();
        push_log_uniform(mask, logits.len(), &mut uniform);
        to_host(&probabilities(
            &Tensor::from_slice(logits),
            &Tensor::from_slice(&uniform),
            floor,
        ))
    }

    #[test]
    fn a_masked_rung_has_probability_exactly_zero_and_no_gradient() {
        let logits = Tensor::from_slice(&[0.0f32, 50.0, 0.0]).set_requires_grad(true);
        let p = probabilities(&logits, &Tensor::from_slice(&[0.5f32, 0.0, 0.5]).log(), 0.1);
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
            let (mut rung, mut log_prob) = ([0], [0.0]);
            let mut draws = Draws { mask: &[mask.0], uniform: &[u], rung: &mut rung, log_prob: &mut log_prob };
            draw_by_rows(&logits, floor as f32, &mut draws);
            let rung = usize::from(rung[0]);
            let p = served.probabilities()[rung];
            prop_assert!((p.ln() - f64::from(log_prob[0])).abs() < 1e-4);
            let below: f64 = served.probabilities()[..rung].iter().sum();
            prop_assert!(below <= f64::from(u) + 1e-5 && f64::from(u) <= below + p + 1e-5);
        }
    }
}
