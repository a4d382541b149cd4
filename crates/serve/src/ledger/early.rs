use super::Entry;
use crate::protocol::REWARDS_MAX;
use crate::record::DecisionRecord;
use haggle_core::Reward;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};

/// Rewards that came before their decisions, and wait for them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct EarlyRewards {
    by_decision: HashMap<Box<str>, Vec<Early>>,
    /// How long each decision is waited for, in the order in which that was said.
    until: VecDeque<(i64, Box<str>)>,
}

/// One of them, and how long it waits: seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Early {
    reward: Reward,
    until_s: i64,
}

impl EarlyRewards {
    /// How many there are. One that has waited in vain is let go of when another one comes.
    #[must_use]
    pub fn count(&self) -> usize {
        self.by_decision.values().map(Vec::len).sum()
    }

    /// Whether as many wait for the decision as it may have, and this one is none of them.
    #[must_use]
    pub fn is_full_for(&self, reward: &Reward) -> bool {
        let waiting = self.by_decision.get(reward.decision.0.as_str());
        let waiting = waiting.into_iter().flatten();
        let mut waiting = waiting.filter(|early| early.until_s >= reward.time_s);
        waiting.clone().count() >= REWARDS_MAX
            && !waiting.any(|early| early.reward.reward_id == reward.reward_id)
    }

    /// Keeps a reward for a decision that may still come, until `until_s`.
    pub fn wait(&mut self, reward: &Reward, until_s: i64) -> Entry {
        self.let_go(reward.time_s);
        let decision: Box<str> = reward.decision.0.as_str().into();
        self.until.push_back((until_s, decision.clone()));
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

    /// Lets go of what has waited in vain by `now_s`.
    fn let_go(&mut self, now_s: i64) {
        while self.until.front().is_some_and(|(until_s, _)| *until_s < now_s)
            && let Some((_, decision)) = self.until.pop_front()
        {
            if let Some(waiting) = self.by_decision.get_mut(&decision) {
                waiting.retain(|early| early.until_s >= now_s);
                if waiting.is_empty() {
                    self.by_decision.remove(&decision);
                }
            }
        }
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

    /// Forgets what waits for a decision.
    pub fn forget(&mut self, decision: &str) {
        self.by_decision.remove(decision);
    }

    /// The disk refused a reward that was to wait.
    pub fn refuse(&mut self, reward: &Reward) {
        if let Some(waiting) = self.by_decision.get_mut(reward.decision.0.as_str()) {
            waiting.retain(|early| early.reward.reward_id != reward.reward_id);
        }
    }
}
