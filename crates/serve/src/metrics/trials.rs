//! What the arms of a canary and of the holdout have earned, as the status tells of it.

use super::now::{OfPolicy, count};
use crate::reply::Status;
use crate::trial::ArmStatus;
use haggle_core::Difference;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;

type Number = Gauge<f64, AtomicU64>;

/// Both trials; nothing is there of one that there is not.
#[derive(Debug, Default)]
pub struct Trials {
    canary: Family<OfPolicy, Number>,
    holdout: Number,
    users: Family<OfArm, Gauge>,
    decisions: Family<OfArm, Gauge>,
    value: Family<OfArm, Number>,
    difference: Family<Bound, Number>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfArm {
    trial: String,
    arm: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Bound {
    trial: String,
    bound: String,
}

impl Trials {
    /// All of it, in a registry.
    pub fn registered(registry: &mut Registry) -> Self {
        let trials = Self::default();
        registry.register(
            "canary_share_ratio",
            "The share of the users who are served a canary",
            trials.canary.clone(),
        );
        registry.register(
            "holdout_share_ratio",
            "The share of the users who always get the static price",
            trials.holdout.clone(),
        );
        registry.register(
            "trial_users",
            "Users of each arm with a decision that counts",
            trials.users.clone(),
        );
        registry.register(
            "trial_decisions",
            "Decisions of each arm that count: their windows have closed",
            trials.decisions.clone(),
        );
        registry.register(
            "trial_value_minor",
            "What the decisions of each arm have earned, in minor units",
            trials.value.clone(),
        );
        registry.register(
            "trial_difference_minor",
            "How much more a decision of the new arm earns, in minor units, with bounds that hold at all times",
            trials.difference.clone(),
        );
        trials
    }

    /// Takes over what a status says.
    pub fn read(&self, status: &Status) {
        self.canary.clear();
        self.users.clear();
        self.decisions.clear();
        self.value.clear();
        self.difference.clear();
        if let Some(canary) = &status.canary {
            let policy = canary.policy.short();
            self.canary.get_or_create(&OfPolicy { policy }).set(canary.share);
            let arms = [("new", &canary.new), ("old", &canary.old)];
            self.earned("canary", arms, canary.difference_minor);
        }
        self.holdout
            .set(status.holdout.map_or(0.0, |holdout| holdout.share));
        if let Some(holdout) = &status.holdout {
            let arms = [("priced", &holdout.priced), ("held_out", &holdout.held_out)];
            self.earned("holdout", arms, holdout.difference_minor);
        }
    }

    fn earned(&self, trial: &str, arms: [(&str, &ArmStatus); 2], difference: Option<Difference>) {
        for (arm, earned) in arms {
            let of = OfArm {
                trial: trial.to_owned(),
                arm: arm.to_owned(),
            };
            count(&self.users.get_or_create(&of), earned.users);
            count(&self.decisions.get_or_create(&of), earned.decisions);
            self.value.get_or_create(&of).set(earned.value_minor);
        }
        let Some(Difference { mean, low, high }) = difference else {
            return;
        };
        for (bound, minor) in [("mean", mean), ("low", low), ("high", high)] {
            let of = Bound {
                trial: trial.to_owned(),
                bound: bound.to_owned(),
            };
            self.difference.get_or_create(&of).set(minor);
        }
    }
}
