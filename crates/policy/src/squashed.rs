//! How a price multiplier is drawn: the tanh of a normal draw, stretched over the agent's range (Haarnoja et al. 2018, appendix C).

use std::f32::consts::{LN_2, TAU};

/// Limits of the log of the standard deviation, so that neither density nor gradient overflows.
pub const LOG_STD: [f32; 2] = [-5.0, 2.0];

/// The distribution of `tanh(x)`, where `x`, the latent number, is normal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SquashedNormal {
    /// Mean of the latent number.
    pub mean: f32,
    /// Log of its standard deviation.
    pub log_std: f32,
}

impl SquashedNormal {
    /// From a policy's two scores: mean, and log of the standard deviation before its limits.
    #[must_use]
    pub fn from_scores([mean, log_std]: [f32; 2]) -> Self {
        Self {
            mean,
            log_std: log_std.clamp(LOG_STD[0], LOG_STD[1]),
        }
    }

    /// The latent number of a standard normal draw.
    #[must_use]
    pub fn latent(&self, noise: f32) -> f32 {
        self.mean + self.log_std.exp() * noise
    }

    /// Log of the density of `tanh(latent)` over (-1, 1): the normal one, less the log of the slope of tanh.
    #[must_use]
    pub fn log_density(&self, latent: f32) -> f32 {
        let off = (latent - self.mean) / self.log_std.exp();
        -0.5 * (off * off + TAU.ln()) - self.log_std - log_slope(latent)
    }
}

/// `ln(1 - tanh(x)^2)`, exact where that underflows.
fn log_slope(x: f32) -> f32 {
    let x = x.abs();
    2.0 * (LN_2 - x - (-2.0 * x).exp().ln_1p())
}

/// The multiplier of a latent number.
#[must_use]
pub fn multiplier([low, high]: [f32; 2], latent: f32) -> f32 {
    low + (high - low) * 0.5 * (1.0 + latent.tanh())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_density_integrates_to_one() {
        const CELLS: u32 = 400_000;
        for (mean, log_std) in [(0.0, 0.0), (0.7, -1.0), (-1.5, -3.0), (0.3, 0.5)] {
            let normal = SquashedNormal { mean, log_std };
            let width = 2.0 / f64::from(CELLS);
            let total: f64 = (0..CELLS)
                .map(|cell| {
                    let y = -1.0 + width * (f64::from(cell) + 0.5);
                    f64::from(normal.log_density(y.atanh() as f32)).exp() * width
                })
                .sum();
            assert!(
                (total - 1.0).abs() < 1e-3,
                "mean {mean}, log std {log_std}: {total}"
            );
        }
    }

    #[test]
    fn the_density_has_the_values_that_a_reader_computes() {
        let normal = SquashedNormal::from_scores([0.0, 0.0]);
        // phi(0) = 0.398942, and tanh has slope 1 there.
        assert!((normal.log_density(0.0).exp() - 0.398_942).abs() < 1e-5);
        // phi(1) = 0.241971, tanh(1) = 0.761594, slope 1 - 0.580026 = 0.419974: 0.576156.
        assert!((normal.log_density(1.0).exp() - 0.576_156).abs() < 1e-5);
        // Far out the slope is 4 exp(-2 x): no infinity, though 1 - tanh(30)^2 is 0 in single precision.
        assert!((log_slope(30.0) - (4f32.ln() - 60.0)).abs() < 1e-4);
        assert_eq!(normal.latent(-2.0), -2.0);
    }

    #[test]
    fn a_multiplier_fills_its_range() {
        let at = |latent| multiplier([1.0, 2.0], latent);
        assert_eq!([at(-40.0), at(0.0), at(40.0)], [1.0, 1.5, 2.0]);
    }

    #[test]
    fn the_spread_has_limits() {
        assert_eq!(SquashedNormal::from_scores([1.0, -9.0]).log_std, LOG_STD[0]);
        assert_eq!(SquashedNormal::from_scores([1.0, 9.0]).log_std, LOG_STD[1]);
    }
}
