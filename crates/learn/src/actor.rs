//! The policy's half of the PPO loss where agents choose among rungs: its gradient in closed form.

use crate::TrainConfig;
use crate::distribution::{floored, logs, softmax};
use crate::looks::{Facts, Looks};
use tch::{Kind, Tensor};

/// The policy's half of the loss.
pub(crate) struct Actor {
    /// Slope of the loss in the scores.
    pub(crate) slope: Tensor,
    pub(crate) surrogate: Tensor,
    pub(crate) entropy: Tensor,
    pub(crate) divergence: Tensor,
    pub(crate) clipped: Tensor,
}

/// Of draws from a ladder: loss and slope in the scores, `sights x rungs`, over a minibatch of `count` rows.
pub(crate) fn of_rungs(
    logits: &Tensor,
    looks: &Looks,
    facts: &Facts,
    config: &TrainConfig,
    (entropy_weight, count): (f64, f64),
) -> Actor {
    let (floor, clip) = (config.exploration, config.clip_ratio);
    let soft = softmax(logits, &looks.log_uniform);
    let p = floored(&soft, &looks.log_uniform, floor);
    let logs = logs(&p);
    let entropy = -(&p * &logs).sum_dim_intlist(-1i64, false, Kind::Float);
    let drawn = &looks.places * logits.size()[1] + &facts.rung; // its number in a table of sights and rungs
    let log_prob = logs.take(&drawn);
    let log_ratio = &log_prob - &facts.old_log_prob;
    let ratio = log_ratio.exp();
    let free = &ratio * &facts.advantage;
    let held = ratio.clamp(1.0 - clip, 1.0 + clip) * &facts.advantage;
    // Slope in p: the surrogate moves only the drawn rung (d ln p / dp = 1 / p), the entropy all of them.
    let moved = &free * free.le_tensor(&held) * ((floor - 1.0) / count) / log_prob.exp();
    let worth = (&looks.counts * (entropy_weight * (1.0 - floor) / count)).unsqueeze(1);
    let mut slope = (logs + 1.0) * worth;
    let _ = slope.view(-1).index_add_(0, &drawn, &moved);
    // Through the softmax: s (g - sum s g).
    let weighted = slope.g_mul_(&soft);
    let total = weighted.sum_dim_intlist(-1i64, true, Kind::Float);
    let mean = |rows: &Tensor| rows.sum(Kind::Float) / count;
    Actor {
        slope: weighted - &soft * total,
        surrogate: mean(&-free.minimum(&held)),
        entropy: mean(&(entropy * &looks.counts)),
        clipped: mean(&(&ratio - 1.0).abs().gt(clip)),
        divergence: mean(&(ratio - 1.0 - log_ratio)),
    }
}
