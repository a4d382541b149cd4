//! What may change while a run goes on.

use super::TrainConfig;

/// Whether a run that goes on may have another value of a setting than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freedom {
    /// Any time: length, bookkeeping, and where and how the same gradient steps are computed.
    Free,
    /// Where somebody asks for it: how gradient steps are made, so that a run that diverged can go on with smaller ones.
    Optimiser,
    /// Never: the problem, the networks, and what their numbers mean.
    Fixed,
}

const FREE: [&str; 8] = [
    "steps",
    "device",
    "engine",
    "threads",
    "checkpoint_every",
    "checkpoints_keep",
    "checkpoint_milestones",
    "eval_every",
];

const OPTIMISER: [&str; 9] = [
    "epochs",
    "minibatch_rows",
    "clip_ratio",
    "value_clip",
    "entropy",
    "learning_rate",
    "grad_norm_max",
    "huber",
    "target_kl",
];

impl Freedom {
    /// Of a setting of [`TrainConfig`], by its name; for one in a table, that of the table.
    #[must_use]
    pub fn of(field: &str) -> Self {
        if FREE.contains(&field) {
            Self::Free
        } else if OPTIMISER.contains(&field) {
            Self::Optimiser
        } else {
            Self::Fixed
        }
    }
}

impl TrainConfig {
    /// The first setting in which a run that began as `self` must not differ and `other` does: its name, the old and the new
    /// value as JSON.
    #[must_use]
    pub(crate) fn fixed_difference(&self, other: &Self) -> Option<(String, String, String)> {
        let fields = |config: &Self| match serde_json::to_value(config) {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => serde_json::Map::new(),
        };
        let old = fields(self);
        let differs = |(field, value): &(String, serde_json::Value)| {
            Freedom::of(field) == Freedom::Fixed && old.get(field) != Some(value)
        };
        let (field, value) = fields(other).into_iter().find(differs)?;
        let before = old.get(&field).map(ToString::to_string).unwrap_or_default();
        Some((field, before, value.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_change_is_a_setting() {
        let fields = serde_json::to_value(TrainConfig::default()).expect("settings");
        for name in FREE.iter().chain(&OPTIMISER) {
            assert!(fields.get(name).is_some(), "{name}");
        }
    }

    #[test]
    fn the_problem_stays_and_the_steps_may_shrink() {
        let began = TrainConfig::default();
        let mut asked = TrainConfig {
            steps: 7,
            threads: 2,
            ..began.clone()
        };
        asked.learning_rate.start /= 10.0;
        assert_eq!(began.fixed_difference(&asked), None);
        asked.multiplier.max = 2.0;
        let (field, old, new) = began.fixed_difference(&asked).expect("another problem");
        assert_eq!(field, "multiplier");
        assert!(old.contains("10.0") && new.contains("2.0"), "{old} {new}");
    }
}
