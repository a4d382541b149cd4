use super::belief::Forecast;
use super::memory::softplus;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// The shift of demand that is looked for, in log odds.
const SHIFT_LOG_ODDS: f64 = 0.7;
/// The same in deviations of an outcome, as it is at even odds.
const SHIFT_DEVIATIONS: f64 = 0.5 * SHIFT_LOG_ODDS;
/// An error counts as at most so many deviations: normal tails are thinner than those of sales.
const ERROR_MAX: f64 = 2.0;
/// Log likelihood ratio from which demand is taken to have shifted: by chance once in some e^10 outcomes.
const ENOUGH: f64 = 10.0;

/// Watches whether forecasts have gone wrong to one side: cumulative sums of the log likelihood ratio between demand shifted
/// up or down and demand as forecast (Page 1954).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Cusum {
    rise: f64,
    fall: f64,
}

impl Cusum {
    /// Whether it could be one: sums never fall below 0.
    pub(super) fn is_sound(&self) -> bool {
        [self.rise, self.fall]
            .iter()
            .all(|sum| sum.is_finite() && *sum >= 0.0)
    }

    /// A purchase or none, beside what was forecast of its log odds.
    pub(super) fn bernoulli(&mut self, seen: Forecast, outcome: f64) {
        // Probit approximation of the mean probability under the belief (MacKay 1992).
        let log_odds = seen.mean / (1.0 + PI / 8.0 * seen.variance).sqrt();
        let expected = softplus(log_odds);
        self.add(SHIFT_LOG_ODDS, |shift| {
            shift * outcome - softplus(log_odds + shift) + expected
        });
    }

    /// An error of the forecast, in deviations.
    pub(super) fn normal(&mut self, error: f64) {
        let error = error.clamp(-ERROR_MAX, ERROR_MAX);
        self.add(SHIFT_DEVIATIONS, |shift| shift * error - 0.5 * shift * shift);
    }

    fn add(&mut self, shift: f64, log_ratio: impl Fn(f64) -> f64) {
        self.rise = (self.rise + log_ratio(shift)).max(0.0);
        self.fall = (self.fall + log_ratio(-shift)).max(0.0);
    }

    /// Whether demand has shifted; if so it begins anew.
    pub(super) fn take_alarm(&mut self) -> bool {
        let alarm = self.rise.max(self.fall) > ENOUGH;
        if alarm {
            *self = Self::default();
        }
        alarm
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Outcomes until an alarm, of `bought` in every ten where half buy by the forecast.
    fn alarm_after(bought: usize) -> Option<usize> {
        let mut cusum = Cusum::default();
        let seen = Forecast {
            mean: 0.0,
            variance: 0.0,
        };
        (1..=1000).find(|at| {
            cusum.bernoulli(seen, f64::from(u8::from(at % 10 < bought)));
            cusum.take_alarm()
        })
    }

    #[test]
    fn forecasts_that_hold_raise_no_alarm_and_shifts_of_both_kinds_do() {
        assert_eq!(alarm_after(5), None);
        assert!(alarm_after(9).is_some_and(|at| at < 60));
        assert!(alarm_after(1).is_some_and(|at| at < 60));
    }

    #[test]
    fn one_huge_error_is_no_shift() {
        let mut cusum = Cusum::default();
        cusum.normal(1e9);
        assert!(!cusum.take_alarm());
        (0..20).for_each(|_| cusum.normal(1e9));
        assert!(cusum.take_alarm());
        assert_eq!(cusum, Cusum::default(), "an alarm begins anew");
    }
}
