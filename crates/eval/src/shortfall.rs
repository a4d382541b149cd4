//! Where the estimates fall short of what the gate asks.

use crate::gate_config::GateConfig;
use crate::off_policy::OffPolicyReport;
use statrs::distribution::{ContinuousCDF, Normal};

impl GateConfig {
    /// Why the estimates do not suffice, in plain words; empty when they do.
    #[must_use]
    pub fn shortfalls(&self, report: &OffPolicyReport, price_index_max: Option<f64>) -> Vec<String> {
        let mut reasons = self.doubts(report);
        reasons.extend(price_index_max.and_then(|limit| self.over_index(report, limit)));
        let bound = self.gain_lower_bound(report);
        if bound <= 0.0 {
            let gain = &report.difference.doubly_robust;
            let needed = self.occasions_needed(report);
            let advice = needed.map_or_else(
                || "the candidate does not look better at all".to_owned(),
                |needed| format!("at this difference and spread {needed} occasions would be needed"),
            );
            reasons.push(format!(
                "the gain per occasion is {:.4}, between {:.4} and {:.4}; its lower bound at {:.2} % confidence, {bound:.4}, \
                 must be above 0; {advice}",
                gain.value,
                gain.low,
                gain.high,
                100.0 * self.confidence_per_look(),
            ));
        }
        reasons
    }

    /// Why the estimates themselves cannot be trusted.
    fn doubts(&self, report: &OffPolicyReport) -> Vec<String> {
        let n = report.occasions;
        let overlap = &report.candidate.overlap;
        let p = report.calibration.p_value();
        let refuse = |wrong: bool, reason: &dyn Fn() -> String| wrong.then(reason);
        let all = [
            refuse(n < self.occasions_min, &|| {
                format!("{n} occasions in the log, {} were planned", self.occasions_min)
            }),
            refuse(report.offers_not_reproduced > 0, &|| {
                format!(
                    "{} of {} offers priced by the incumbent logged other probabilities than it computes (were prices \
                     frozen?); all must agree",
                    report.offers_not_reproduced, report.offers_of_incumbent
                )
            }),
            refuse(p < self.calibration_p_min, &|| {
                format!(
                    "prices were not drawn with the logged probabilities: p = {p:.2e}, at least {} is expected",
                    self.calibration_p_min
                )
            }),
            refuse(overlap.mass_unsupported > 0.0, &|| {
                format!(
                    "{:.3} % of the candidate's prices could not occur in the log; all must have had a probability above 0",
                    100.0 * overlap.mass_unsupported
                )
            }),
            refuse(overlap.effective_share < self.effective_share_min, &|| {
                format!(
                    "the effective size is {:.0} of {n} occasions ({:.1} %), at least {:.1} % is needed: the candidate is too \
                     far from what was logged",
                    overlap.effective_size,
                    100.0 * overlap.effective_share,
                    100.0 * self.effective_share_min
                )
            }),
            refuse(overlap.weight_share_max > self.weight_share_max, &|| {
                format!(
                    "one occasion holds {:.1} % of the weight, at most {:.1} % may be",
                    100.0 * overlap.weight_share_max,
                    100.0 * self.weight_share_max
                )
            }),
            refuse(
                (overlap.weight_mean.value - 1.0).abs() > self.weight_mean_apart_max,
                &|| {
                    format!(
                        "the mean weight is {:.3}, expected within {} of 1",
                        overlap.weight_mean.value, self.weight_mean_apart_max
                    )
                },
            ),
        ];
        all.into_iter().flatten().collect()
    }

    fn over_index(&self, report: &OffPolicyReport, limit: f64) -> Option<String> {
        let Some(index) = report.candidate.price_index else {
            return Some("nothing was bought in the log: the price index is unknown".to_owned());
        };
        (index.value > limit + self.price_index_tolerance).then(|| {
            format!(
                "the price index is {:.4}, between {:.4} and {:.4}; at most {limit} is allowed, tolerance {}",
                index.value, index.low, index.high, self.price_index_tolerance
            )
        })
    }

    /// What the gain per occasion exceeds with the confidence of one look, major units of money.
    #[must_use]
    pub fn gain_lower_bound(&self, report: &OffPolicyReport) -> f64 {
        report
            .difference
            .doubly_robust
            .lower_bound(self.confidence_per_look())
    }

    /// Occasions after which the bound passes with probability `power`, if the seen difference and spread are the true
    /// ones: `n ((z_confidence + z_power) se / gain)^2`. None when the gain is not positive.
    #[must_use]
    pub fn occasions_needed(&self, report: &OffPolicyReport) -> Option<u64> {
        let gain = &report.difference.doubly_robust;
        let normal = Normal::standard();
        let z = normal.inverse_cdf(self.confidence_per_look()) + normal.inverse_cdf(self.power);
        let needed = report.occasions as f64 * (z * gain.std_error / gain.value).powi(2);
        (gain.value > 0.0).then_some(needed.ceil() as u64)
    }
}
