//! The gradient of the PPO losses in closed form: about a third of the operations of automatic differentiation, which
//! remains the reference in the test below.

use crate::TrainConfig;
use crate::distribution::{floored, logs, softmax};
use crate::network::ActorCritic;
use crate::squashed;
use tch::{Kind, Tensor};

/// Weight of the value loss beside the policy's; the networks share no weights, so it only divides the gradient norm.
pub(crate) const VALUE_WEIGHT: f64 = 0.5;

/// The columns of a [`crate::table::Table`] for a block of its rows.
pub(crate) struct Columns {
    pub(crate) seen: Tensor,
    pub(crate) log_uniform: Tensor,
    pub(crate) rung: Tensor,
    /// The same column where it holds a multiplier's latent number.
    pub(crate) latent: Tensor,
    pub(crate) old_log_prob: Tensor,
    pub(crate) advantage: Tensor,
    pub(crate) target: Tensor,
    pub(crate) old_value: Tensor,
}

impl Columns {
    /// Views of the table's columns; `width` is that of `obs | state`.
    pub(crate) fn of(block: &Tensor, width: i64, rungs: i64) -> Self {
        let one = |column: i64| block.select(1, width + rungs + column);
        Self {
            seen: block.narrow(1, 0, width),
            log_uniform: block.narrow(1, width, rungs),
            rung: block.narrow(1, width + rungs, 1).to_kind(Kind::Int64),
            latent: one(0),
            old_log_prob: one(1),
            advantage: one(2),
            target: one(3),
            old_value: one(4),
        }
    }
}

/// What some rows of a minibatch add to its flat gradient and to the means over its rows.
pub(crate) struct Step {
    pub(crate) gradient: Tensor,
    pub(crate) surrogate: Tensor,
    pub(crate) value_loss: Tensor,
    pub(crate) entropy: Tensor,
    /// Schulman's estimate of the divergence from the old policy, `mean(ratio - 1 - ln ratio)`.
    pub(crate) divergence: Tensor,
    pub(crate) clipped: Tensor,
}

/// Numbers behind the gradient in [`Step::packed`].
pub(crate) const MEANS: i64 = 5;

impl Step {
    /// The gradient, and behind it the means in the order of [`crate::engine::UPDATE_METRICS`].
    pub(crate) fn packed(self) -> Tensor {
        let entropy = -self.entropy;
        let means = [
            &self.surrogate,
            &self.value_loss,
            &entropy,
            &self.divergence,
            &self.clipped,
        ];
        Tensor::cat(&[&self.gradient, &Tensor::stack(&means, 0)], 0)
    }
}

/// Gradient of `policy loss - entropy_weight x entropy + VALUE_WEIGHT x value loss`, all means over a minibatch of `count`
/// rows, of which `rows` are some or all. Call it without recording gradients.
pub(crate) fn step(
    net: &ActorCritic,
    rows: &Columns,
    (obs_width, count): (i64, f64),
    config: &TrainConfig,
    entropy_weight: f64,
) -> Step {
    let policy = net.policy_pass(&rows.seen.narrow(1, 0, obs_width));
    let critic = net.critic_pass(&rows.seen);
    let actor = if net.shape().multiplier {
        squashed::actor(&policy.out, rows, config, (entropy_weight, count))
    } else {
        actor(&policy.out, rows, config, (entropy_weight, count))
    };
    let (value_loss, value_slope) = value(&critic.out.squeeze_dim(-1), rows, config, count);
    let mut parts = net.policy_backward(&policy, &actor.slope);
    parts.extend(net.critic_backward(&critic, &value_slope.unsqueeze(-1)));
    Step {
        gradient: Tensor::cat(&parts, 0),
        surrogate: actor.surrogate,
        value_loss,
        entropy: actor.entropy,
        divergence: actor.divergence,
        clipped: actor.clipped,
    }
}

/// The policy's half of the loss.
pub(crate) struct Actor {
    /// Slope of the loss in the scores.
    pub(crate) slope: Tensor,
    pub(crate) surrogate: Tensor,
    pub(crate) entropy: Tensor,
    pub(crate) divergence: Tensor,
    pub(crate) clipped: Tensor,
}

fn actor(
    logits: &Tensor,
    rows: &Columns,
    config: &TrainConfig,
    (entropy_weight, count): (f64, f64),
) -> Actor {
    let (floor, clip) = (config.exploration, config.clip_ratio);
    let soft = softmax(logits, &rows.log_uniform);
    let p = floored(&soft, &rows.log_uniform, floor);
    let mut logs = logs(&p);
    let entropy = -(&p * &logs);
    let log_prob = logs.gather(1, &rows.rung, false);
    let log_ratio = log_prob.squeeze_dim(1) - &rows.old_log_prob;
    let ratio = log_ratio.exp();
    let free = &ratio * &rows.advantage;
    let held = ratio.clamp(1.0 - clip, 1.0 + clip) * &rows.advantage;
    // Slope in p: the surrogate moves only the drawn rung (d ln p / dp = 1 / p), the entropy all of them.
    let drawn = &free * free.le_tensor(&held) * ((floor - 1.0) / count);
    let drawn = drawn.unsqueeze(1) / log_prob.exp();
    let _ = logs
        .g_add_scalar_(1.0)
        .g_mul_scalar_(entropy_weight * (1.0 - floor) / count);
    let mut slope = logs.scatter_add_(1, &rows.rung, &drawn);
    // Through the softmax: s (g - sum s g).
    let weighted = slope.g_mul_(&soft);
    let total = weighted.sum_dim_intlist(-1i64, true, Kind::Float);
    let mean = |rows: &Tensor| rows.sum(Kind::Float) / count;
    Actor {
        slope: weighted - &soft * total,
        surrogate: mean(&-free.minimum(&held)),
        entropy: mean(&entropy),
        clipped: mean(&(&ratio - 1.0).abs().gt(clip)),
        divergence: mean(&(ratio - 1.0 - log_ratio)),
    }
}

/// Value loss and its slope in the values. Where the held value is the worse one, it does not move: no slope.
fn value(values: &Tensor, rows: &Columns, config: &TrainConfig, count: f64) -> (Tensor, Tensor) {
    let error = values - &rows.target;
    let size = error.abs();
    let held = if config.value_clip > 0.0 {
        let moved = (values - &rows.old_value).clamp(-config.value_clip, config.value_clip);
        (moved + &rows.old_value - &rows.target).abs()
    } else {
        size.shallow_clone()
    };
    let worse = size.maximum(&held);
    let bent = worse.clamp_max(config.huber);
    let loss = (bent.square() * 0.5 + (&worse - &bent) * config.huber).sum(Kind::Float) / count;
    let slope = error.clamp(-config.huber, config.huber) * size.ge_tensor(&held) * (VALUE_WEIGHT / count);
    (loss, slope)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::to_host;
    use crate::distribution::{entropy, probabilities, push_log_uniform};
    use crate::network::Shape;
    use crate::{clipped_policy_loss, clipped_value_loss};
    use haggle_core::{Mask, Seeds};
    use rand::RngExt;
    use tch::{Device, no_grad};

    const ROWS: i64 = 200;
    const RUNGS: usize = 5;

    fn net() -> ActorCritic {
        let shape = Shape {
            multiplier: false,
            obs: 3,
            critic: 4,
            memory: 0,
            hidden: vec![8, 6],
            rungs: RUNGS,
        };
        let mut parameters = shape.initial(&Seeds::new(5));
        parameters.iter_mut().for_each(|x| *x *= 2.0);
        ActorCritic::new(shape, &parameters, Device::Cpu)
    }

    /// Rows whose ratios, advantages and values lie on all sides of every clip.
    fn rows() -> Columns {
        let mut rng = Seeds::new(6).rng();
        let mut table = Vec::new();
        for row in 0..ROWS as usize {
            let mut number = || 4.0 * rng.random::<f32>() - 2.0;
            table.extend([number(), number(), number(), number()]);
            push_log_uniform(Mask(0b10110 | (row as u64 % 2)), RUNGS, &mut table);
            table.extend([
                [1.0, 2.0, 4.0][row % 3],
                number() * 0.4 - 1.2,
                number(),
                number(),
                number(),
            ]);
        }
        Columns::of(&Tensor::from_slice(&table).view([ROWS, -1]), 4, RUNGS as i64)
    }

    fn by_autograd(net: &ActorCritic, rows: &Columns, config: &TrainConfig, entropy_weight: f64) -> Vec<f32> {
        let p = probabilities(
            &net.logits(&rows.seen.narrow(1, 0, 3)),
            &rows.log_uniform,
            config.exploration,
        );
        let logs = logs(&p);
        let ratio = (logs.gather(1, &rows.rung, false).squeeze_dim(1) - &rows.old_log_prob).exp();
        let policy = clipped_policy_loss(&ratio, &rows.advantage, config.clip_ratio).mean(Kind::Float);
        let values = net.values(&rows.seen);
        let value = clipped_value_loss(
            &values,
            &rows.old_value,
            &rows.target,
            config.value_clip,
            config.huber,
        );
        let entropy = entropy(&p, &logs).mean(Kind::Float);
        to_host(&net.gradient(&(policy - entropy * entropy_weight + value.mean(Kind::Float) * VALUE_WEIGHT)))
    }

    #[test]
    fn the_closed_form_is_what_autograd_says() {
        for (exploration, value_clip, huber) in [(0.0, 0.2, 10.0), (0.2, 0.0, 0.5), (0.05, 0.5, 1.0)] {
            let config = TrainConfig {
                exploration,
                value_clip,
                huber,
                ..TrainConfig::default()
            };
            let (net, rows) = (net(), rows());
            let here = to_host(&no_grad(|| step(&net, &rows, (3, ROWS as f64), &config, 0.05)).gradient);
            for (n, (a, b)) in here
                .iter()
                .zip(by_autograd(&net, &rows, &config, 0.05))
                .enumerate()
            {
                assert!((a - b).abs() < 1e-5, "parameter {n}: {a} and {b}");
            }
        }
    }

    #[test]
    fn parts_of_a_minibatch_add_up_to_it() {
        let (net, rows) = (net(), rows());
        let config = TrainConfig::default();
        let part = |from: i64, to: i64| {
            let of = |tensor: &Tensor| tensor.narrow(0, from, to - from);
            let rows = Columns {
                seen: of(&rows.seen),
                log_uniform: of(&rows.log_uniform),
                rung: of(&rows.rung),
                latent: of(&rows.latent),
                old_log_prob: of(&rows.old_log_prob),
                advantage: of(&rows.advantage),
                target: of(&rows.target),
                old_value: of(&rows.old_value),
            };
            no_grad(|| step(&net, &rows, (3, ROWS as f64), &config, 0.05)).packed()
        };
        let (whole, parts) = (to_host(&part(0, ROWS)), to_host(&(part(0, 70) + part(70, ROWS))));
        for (n, (a, b)) in whole.iter().zip(&parts).enumerate() {
            assert!((a - b).abs() < 1e-6, "number {n}: {a} and {b}");
        }
    }

    #[test]
    fn at_the_old_policy_the_ratio_is_one() {
        let (net, rows) = (net(), rows());
        let config = TrainConfig::default();
        let old = no_grad(|| {
            let p = probabilities(
                &net.logits(&rows.seen.narrow(1, 0, 3)),
                &rows.log_uniform,
                config.exploration,
            );
            logs(&p).gather(1, &rows.rung, false).squeeze_dim(1)
        });
        let rows = Columns {
            old_log_prob: old,
            ..rows
        };
        let step = no_grad(|| step(&net, &rows, (3, ROWS as f64), &config, 0.0));
        let value = |tensor: &Tensor| tensor.double_value(&[]);
        assert!((value(&step.surrogate) + value(&rows.advantage.mean(Kind::Float))).abs() < 1e-6);
        assert!(value(&step.divergence).abs() < 1e-6 && value(&step.clipped) == 0.0);
    }
}
