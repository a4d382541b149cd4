use super::Entry;
use crate::record::DecisionRecord;
use haggle_core::Reward;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Rewards that came before their decisions, and wait for them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct EarlyRewards {
    by_decision: HashMap<Box<str>, Vec<Early>>,
}

/// One of them, and how long it waits: seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Early {
    reward: Reward,
    until_s: i64,
}

impl EarlyRewards {
    /// How many there are; one that its decision came too late for stays among them.
    #[must_use]
    pub fn count(&self) -> usize {
        self.by_decision.values().map(Vec::len).sum()
    }

    /// Keeps a reward for a decision that may still come, until `until_s`.
    pub fn wait(&mut self, reward: &Reward, until_s: i64) -> Entry {
        let decision = reward.decision.0.as_str().into();
        let waiting = self.by_decision.entry(decision).or_default();
        let same = waiting
            .iter()
            .find(|early| early.reward.reward_id == reward.reward_id);
        if let Some(Early { reward: known, .. }) = same {
            return match (known.value_minor, known.units) == (reward.value_minor, reward.units) {
                true => Entry::Duplicate,
                false => Entry::Conflict,
            };
        }
        let reward = reward.clone();
        waiting.push(Early { reward, until_s });
        Entry::New { late: false }
    }

    /// Takes out the rewards that waited for a decision and that it came in time for: they count from now on.
    pub fn join(&mut self, decision: &DecisionRecord) -> Vec<Reward> {
        let logged = decision.offer.logged.as_ref();
        let Some(logged) = logged.filter(|_| !self.by_decision.is_empty()) else {
            return Vec::new();
        };
        let id = logged.decision.0.as_str();
        let waiting = self.by_decision.remove(id).unwrap_or_default();
        let in_time = |early: &Early| early.until_s >= decision.decided_s;
        let (joined, missed): (Vec<_>, Vec<_>) = waiting.into_iter().partition(in_time);
        if !missed.is_empty() {
            self.by_decision.insert(id.into(), missed);
        }
        joined.into_iter().map(|early| early.reward).collect()
    }

    /// The disk refused a reward that was to wait.
    pub fn refuse(&mut self, reward: &Reward) {
        if let Some(waiting) = self.by_decision.get_mut(reward.decision.0.as_str()) {
            waiting.retain(|early| early.reward.reward_id != reward.reward_id);
        }
    }
}
