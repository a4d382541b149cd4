//! What is minimised, as definitions; `gradient.rs` holds the same in closed form and is tested against these.

use tch::{Reduction, Tensor};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::to_host;
    use tch::Kind;

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
}
