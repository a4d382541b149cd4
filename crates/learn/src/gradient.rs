//! The gradient of the PPO losses in closed form: about a third of the operations of automatic differentiation, which
//! remains the reference in the test below.

use crate::TrainConfig;
use crate::actor::{self, Actor};
use crate::looks::{Facts, Looks};
use crate::network::ActorCritic;
use crate::squashed;
use tch::{Kind, Tensor};

/// Weight of the value loss beside the policy's; the networks share no weights, so it only divides the gradient norm.
pub(crate) const VALUE_WEIGHT: f64 = 0.5;

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
/// rows, of which these are some or all. Call it without recording gradients.
pub(crate) fn step(
    net: &ActorCritic,
    looks: &Looks,
    facts: &Facts,
    count: f64,
    (config, entropy_weight): (&TrainConfig, f64),
) -> Step {
    let policy = net.policy_pass(&looks.seen.narrow(1, 0, net.shape().obs as i64));
    let critic = net.critic_pass(&looks.seen);
    let weights = (entropy_weight, count);
    let actor = if net.shape().multiplier {
        let scores = policy.out.index_select(0, &looks.places);
        let actor = squashed::actor(&scores, facts, config, weights);
        let slope = policy.out.zeros_like().index_add_(0, &looks.places, &actor.slope);
        Actor { slope, ..actor }
    } else {
        actor::of_rungs(&policy.out, looks, facts, config, weights)
    };
    let values = critic.out.squeeze_dim(-1);
    let (value_loss, value_slope) = value(&values.index_select(0, &looks.places), facts, config, count);
    let value_slope = values.zeros_like().index_add_(0, &looks.places, &value_slope);
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

/// Value loss and its slope in the values. Where the held value is the worse one, it does not move: no slope.
fn value(values: &Tensor, rows: &Facts, config: &TrainConfig, count: f64) -> (Tensor, Tensor) {
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
    use crate::distribution::{entropy, logs, probabilities, push_log_uniform};
    use crate::network::Shape;
    use crate::{clipped_policy_loss, clipped_value_loss};
    use haggle_core::{Mask, Seeds};
    use rand::RngExt;
    use tch::{Device, no_grad};

    const ROWS: usize = 200;
    const SIGHTS: usize = 70;
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

    /// Rows whose ratios, advantages and values lie on all sides of every clip, three to a sight or two.
    fn rows() -> (Looks, Facts) {
        let mut rng = Seeds::new(6).rng();
        let mut number = || 4.0 * rng.random::<f32>() - 2.0;
        let seen: Vec<f32> = (0..SIGHTS * 4).map(|_| number()).collect();
        let mut log_uniform = Vec::new();
        for sight in 0..SIGHTS as u64 {
            push_log_uniform(Mask(0b10110 | (sight % 2)), RUNGS, &mut log_uniform);
        }
        let mut facts = Vec::new();
        for row in 0..ROWS {
            let rung = [1.0, 2.0, 4.0][row % 3];
            facts.extend([rung, number() * 0.4 - 1.2, number(), number(), number()]);
        }
        let places: Vec<i64> = (0..ROWS as i64).map(|row| row % SIGHTS as i64).collect();
        let places = Tensor::from_slice(&places);
        let looks = Looks {
            seen: Tensor::from_slice(&seen).view([SIGHTS as i64, 4]),
            log_uniform: Tensor::from_slice(&log_uniform).view([SIGHTS as i64, RUNGS as i64]),
            counts: places
                .bincount::<Tensor>(None, SIGHTS as i64)
                .to_kind(Kind::Float),
            places,
        };
        (
            looks,
            Facts::of(&Tensor::from_slice(&facts).view([ROWS as i64, 5])),
        )
    }

    fn by_autograd(
        net: &ActorCritic,
        (looks, facts): &(Looks, Facts),
        config: &TrainConfig,
        entropy_weight: f64,
    ) -> Vec<f32> {
        let seen = looks.seen.index_select(0, &looks.places);
        let log_uniform = looks.log_uniform.index_select(0, &looks.places);
        let p = probabilities(
            &net.logits(&seen.narrow(1, 0, 3)),
            &log_uniform,
            config.exploration,
        );
        let logs = logs(&p);
        let drawn = logs.gather(1, &facts.rung.unsqueeze(1), false).squeeze_dim(1);
        let ratio = (drawn - &facts.old_log_prob).exp();
        let policy = clipped_policy_loss(&ratio, &facts.advantage, config.clip_ratio).mean(Kind::Float);
        let value = clipped_value_loss(
            &net.values(&seen),
            &facts.old_value,
            &facts.target,
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
            let here = no_grad(|| step(&net, &rows.0, &rows.1, ROWS as f64, (&config, 0.05)));
            let here = to_host(&here.gradient);
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
        let (net, (looks, facts)) = (net(), rows());
        let config = TrainConfig::default();
        let part = |from: i64, to: i64| {
            let of = |tensor: &Tensor| tensor.narrow(0, from, to - from);
            let own = looks
                .places
                .ge(from)
                .logical_and(&looks.places.lt(to))
                .nonzero()
                .squeeze_dim(1);
            let rows = |tensor: &Tensor| tensor.index_select(0, &own);
            let looks = Looks {
                seen: of(&looks.seen),
                log_uniform: of(&looks.log_uniform),
                counts: of(&looks.counts),
                places: rows(&looks.places) - from,
            };
            let facts = Facts {
                rung: rows(&facts.rung),
                latent: rows(&facts.latent),
                old_log_prob: rows(&facts.old_log_prob),
                advantage: rows(&facts.advantage),
                target: rows(&facts.target),
                old_value: rows(&facts.old_value),
            };
            no_grad(|| step(&net, &looks, &facts, ROWS as f64, (&config, 0.05))).packed()
        };
        let all = SIGHTS as i64;
        let (whole, parts) = (to_host(&part(0, all)), to_host(&(part(0, 30) + part(30, all))));
        for (n, (a, b)) in whole.iter().zip(&parts).enumerate() {
            assert!((a - b).abs() < 1e-6, "number {n}: {a} and {b}");
        }
    }

    #[test]
    fn at_the_old_policy_the_ratio_is_one() {
        let (net, (looks, facts)) = (net(), rows());
        let config = TrainConfig::default();
        let old = no_grad(|| {
            let p = probabilities(
                &net.logits(&looks.seen.narrow(1, 0, 3)),
                &looks.log_uniform,
                config.exploration,
            );
            logs(&p).take(&(&looks.places * RUNGS as i64 + &facts.rung))
        });
        let facts = Facts {
            old_log_prob: old,
            ..facts
        };
        let step = no_grad(|| step(&net, &looks, &facts, ROWS as f64, (&config, 0.0)));
        let value = |tensor: &Tensor| tensor.double_value(&[]);
        assert!((value(&step.surrogate) + value(&facts.advantage.mean(Kind::Float))).abs() < 1e-6);
        assert!(value(&step.divergence).abs() < 1e-6 && value(&step.clipped) == 0.0);
    }
}
