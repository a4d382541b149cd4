//! The policy's half of the PPO loss where agents set price multipliers: its gradient in closed form. The distribution is
//! [`haggle_policy::SquashedNormal`].

use crate::TrainConfig;
use crate::actor::Actor;
use crate::looks::Facts;
use haggle_policy::LOG_STD;
use std::f64::consts::{LN_2, TAU};
use tch::{Kind, Tensor};

/// Loss and slope in the scores, `rows x 2`, both over a minibatch of `count` rows. The entropy's slope is that of its estimate from the draws themselves, which move
/// with mean and spread: `ln std + ln(1 - tanh(mean + std noise)^2)` and a constant.
pub(crate) fn actor(
    scores: &Tensor,
    rows: &Facts,
    config: &TrainConfig,
    (entropy_weight, count): (f64, f64),
) -> Actor {
    let clip = config.clip_ratio;
    let (mean, spread) = (scores.select(1, 0), scores.select(1, 1));
    let log_std = spread.clamp(f64::from(LOG_STD[0]), f64::from(LOG_STD[1]));
    let std = log_std.exp();
    let noise = (&rows.latent - &mean) / &std;
    let log_prob = noise.square() * -0.5 - &log_std - 0.5 * TAU.ln() - log_slope(&rows.latent);
    let log_ratio = &log_prob - &rows.old_log_prob;
    let ratio = log_ratio.exp();
    let free = &ratio * &rows.advantage;
    let held = ratio.clamp(1.0 - clip, 1.0 + clip) * &rows.advantage;
    let drawn = &free * free.le_tensor(&held) * (-1.0 / count);
    let tanh = rows.latent.tanh();
    let worth = entropy_weight / count;
    let by_mean = &drawn * &noise / &std + &tanh * (2.0 * worth);
    let by_log_std = &drawn * (noise.square() - 1.0) - (1.0 - &tanh * &noise * &std * 2.0) * worth;
    let inside = spread.eq_tensor(&log_std); // a spread at its limit does not move
    let mean = |rows: &Tensor| rows.sum(Kind::Float) / count;
    Actor {
        slope: Tensor::stack(&[by_mean, by_log_std * inside], 1),
        surrogate: mean(&-free.minimum(&held)),
        entropy: mean(&-log_prob),
        clipped: mean(&(&ratio - 1.0).abs().gt(clip)),
        divergence: mean(&(ratio - 1.0 - log_ratio)),
    }
}

/// `ln(1 - tanh(x)^2)`, without underflow.
fn log_slope(x: &Tensor) -> Tensor {
    let size = x.abs();
    (LN_2 - &size - (&size * -2.0).exp().log1p()) * 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clipped_policy_loss;
    use crate::device::to_host;
    use haggle_core::Seeds;
    use haggle_policy::SquashedNormal;
    use rand::RngExt;

    const ROWS: usize = 200;

    /// Draws whose ratios and advantages lie on all sides of the clip, and the scores under which they are looked at: the last
    /// one's spread is at its limit.
    fn rows() -> (Tensor, Facts) {
        let mut rng = Seeds::new(6).rng();
        let (mut table, mut scores) = (Vec::new(), Vec::new());
        for row in 0..ROWS {
            let mut number = || 2.0 * rng.random::<f32>() - 1.0;
            let old = SquashedNormal::from_scores([number(), number()]);
            let latent = old.latent(2.0 * number());
            table.extend([latent, old.log_density(latent), number(), 0.0, 0.0]);
            let spread = if row + 1 == ROWS {
                -6.0
            } else {
                old.log_std + 0.2 * number()
            };
            scores.extend([old.mean + 0.3 * number(), spread]);
        }
        let table = Tensor::from_slice(&table).view([ROWS as i64, -1]);
        (
            Tensor::from_slice(&scores).view([ROWS as i64, 2]),
            Facts::of(&table),
        )
    }

    fn slope(x: &Tensor) -> Tensor {
        -(x.tanh().square() - 1.0)
    }

    fn by_autograd(scores: &Tensor, rows: &Facts, config: &TrainConfig, entropy_weight: f64) -> Vec<f32> {
        let scores = scores.copy().set_requires_grad(true);
        let mean = scores.select(1, 0);
        let log_std = scores
            .select(1, 1)
            .clamp(f64::from(LOG_STD[0]), f64::from(LOG_STD[1]));
        let noise = (&rows.latent - &mean) / log_std.exp();
        let log_prob = noise.square() * -0.5 - &log_std - 0.5 * TAU.ln() - slope(&rows.latent).log();
        let ratio = (log_prob - &rows.old_log_prob).exp();
        let policy = clipped_policy_loss(&ratio, &rows.advantage, config.clip_ratio).mean(Kind::Float);
        let drawn = &mean + log_std.exp() * noise.detach();
        let entropy = (&log_std + slope(&drawn).log()).mean(Kind::Float);
        (policy - entropy * entropy_weight).backward();
        to_host(&scores.grad())
    }

    #[test]
    fn the_closed_form_is_what_autograd_says() {
        let (scores, rows) = rows();
        let config = TrainConfig::default();
        for entropy_weight in [0.0, 0.5] {
            let here = actor(&scores, &rows, &config, (entropy_weight, ROWS as f64));
            let there = by_autograd(&scores, &rows, &config, entropy_weight);
            for (n, (a, b)) in to_host(&here.slope).iter().zip(&there).enumerate() {
                assert!((a - b).abs() < 1e-5, "score {n}: {a} and {b}");
            }
            let clipped = here.clipped.double_value(&[]);
            assert!(
                clipped > 0.1 && clipped < 0.9,
                "both sides of the clip: {clipped}"
            );
            assert_eq!(there[2 * ROWS - 1], 0.0);
        }
    }

    #[test]
    fn at_the_old_policy_the_ratio_is_one() {
        let (_, rows) = rows();
        let scores: Vec<f32> = (0..ROWS)
            .flat_map(|row| [row as f32 / 100.0 - 1.0, -0.5])
            .collect();
        let scores = Tensor::from_slice(&scores).view([ROWS as i64, 2]);
        let (means, latents) = (to_host(&scores.select(1, 0)), to_host(&rows.latent));
        let old = means.iter().zip(latents);
        let old = old.map(|(mean, latent)| {
            SquashedNormal {
                mean: *mean,
                log_std: -0.5,
            }
            .log_density(latent) // as roll-outs log it
        });
        let rows = Facts {
            old_log_prob: Tensor::from_slice(&old.collect::<Vec<f32>>()),
            ..rows
        };
        let here = actor(&scores, &rows, &TrainConfig::default(), (0.0, ROWS as f64));
        assert!(here.divergence.double_value(&[]).abs() < 1e-6 && here.clipped.double_value(&[]) == 0.0);
    }
}
