use crate::distribution::{entropy, logs, probabilities};
use tch::{Kind, Reduction, Tensor};

/// Clipped surrogate of PPO (Schulman et al. 2017, eq. 7), as a loss per row:
/// `-min(ratio A, clamp(ratio, 1 - clip, 1 + clip) A)`.
pub fn clipped_policy_loss(ratio: &Tensor, advantage: &Tensor, clip: f64) -> Tensor {
    let clipped = ratio.clamp(1.0 - clip, 1.0 + clip);
    -(ratio * advantage).minimum(&(clipped * advantage))
}

/// Huber loss of a value, the larger of the free one and of the one that moved at most `clip` from its old value
/// (`clip` 0: the free one). Per row, in the critic's units.
pub fn clipped_value_loss(value: &Tensor, old: &Tensor, target: &Tensor, clip: f64, huber: f64) -> Tensor {
    let free = value.huber_loss(target, Reduction::None, huber);
    if clip == 0.0 {
        return free;
    }
    let held = old + (value - old).clamp(-clip, clip);
    free.maximum(&held.huber_loss(target, Reduction::None, huber))
}

/// The columns of a minibatch that the policy's loss needs.
pub(crate) struct PolicyRows<'a> {
    pub(crate) logits: &'a Tensor,
    pub(crate) uniform: &'a Tensor,
    /// Rows x 1, int64.
    pub(crate) rung: &'a Tensor,
    pub(crate) old_log_prob: &'a Tensor,
    pub(crate) advantage: &'a Tensor,
}

/// What one minibatch says of the policy: means over its rows.
pub(crate) struct PolicyLoss {
    pub(crate) surrogate: Tensor,
    pub(crate) entropy: Tensor,
    /// Schulman's estimate of the divergence from the old policy, `mean(ratio - 1 - ln ratio)`.
    pub(crate) divergence: Tensor,
    pub(crate) clipped: Tensor,
}

pub(crate) fn policy_loss(rows: &PolicyRows<'_>, clip: f64, floor: f64) -> PolicyLoss {
    let p = probabilities(rows.logits, rows.uniform, floor);
    let logs = logs(&p);
    let log_ratio = logs.gather(1, rows.rung, false).squeeze_dim(1) - rows.old_log_prob;
    let ratio = log_ratio.exp();
    let seen = ratio.detach();
    PolicyLoss {
        surrogate: clipped_policy_loss(&ratio, rows.advantage, clip).mean(Kind::Float),
        entropy: entropy(&p, &logs).mean(Kind::Float),
        divergence: (&seen - 1.0 - log_ratio.detach()).mean(Kind::Float),
        clipped: (&seen - 1.0)
            .abs()
            .gt(clip)
            .to_kind(Kind::Float)
            .mean(Kind::Float),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adam::to_host;

    fn surrogate(ratio: f32, advantage: f32) -> (f32, f32) {
        let ratio = Tensor::from_slice(&[ratio]).set_requires_grad(true);
        let loss = clipped_policy_loss(&ratio, &Tensor::from_slice(&[advantage]), 0.2);
        loss.sum(Kind::Float).backward();
        (to_host(&loss)[0], to_host(&ratio.grad())[0])
    }

    #[test]
    fn outside_the_clip_the_gradient_stops_only_where_the_ratio_went_the_good_way() {
        assert_eq!(surrogate(1.1, 2.0), (-2.2, -2.0)); // inside
        assert_eq!(surrogate(1.5, 2.0), (-2.4, 0.0)); // good and far enough
        assert_eq!(surrogate(0.5, 2.0), (-1.0, -2.0)); // good but became rarer: pull back
        assert_eq!(surrogate(0.5, -2.0), (1.6, 0.0)); // bad and rare enough
        assert_eq!(surrogate(1.5, -2.0), (3.0, 2.0)); // bad but became likelier: push back
    }

    #[test]
    fn a_value_is_judged_by_its_worse_side() {
        let loss = |value: f32, clip: f64, huber: f64| {
            let of = |x: f32| Tensor::from_slice(&[x]);
            to_host(&clipped_value_loss(&of(value), &of(0.0), &of(2.0), clip, huber))[0]
        };
        assert_eq!(loss(1.0, 0.0, 10.0), 0.5); // (1 - 2)^2 / 2
        assert_eq!(loss(1.0, 0.5, 10.0), 1.125); // held at 0.5: (0.5 - 2)^2 / 2
        assert_eq!(loss(-1.0, 0.0, 1.0), 2.5); // beyond the Huber limit: 1 (3 - 1/2)
    }

    #[test]
    fn at_the_old_policy_the_ratio_is_one() {
        let logits = Tensor::from_slice(&[0.0f32, 0.0, 9.0]).view([1, 3]);
        let uniform = Tensor::from_slice(&[0.5f32, 0.5, 0.0]).view([1, 3]);
        let loss = policy_loss(
            &PolicyRows {
                logits: &logits,
                uniform: &uniform,
                rung: &Tensor::from_slice(&[1i64]).view([1, 1]),
                old_log_prob: &Tensor::from_slice(&[0.5f32.ln()]),
                advantage: &Tensor::from_slice(&[3.0f32]),
            },
            0.2,
            0.1,
        );
        let value = |tensor: &Tensor| tensor.double_value(&[]);
        assert!((value(&loss.surrogate) + 3.0).abs() < 1e-6);
        assert!((value(&loss.entropy) - 2f64.ln()).abs() < 1e-6);
        assert!(value(&loss.divergence).abs() < 1e-6 && value(&loss.clipped) == 0.0);
    }
}
