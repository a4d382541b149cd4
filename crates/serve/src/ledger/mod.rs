mod archiving;
mod early;
mod windows;

pub use early::EarlyRewards;

use crate::archive::Archive;
use crate::counts::Counts;
use crate::known::{Known, Part};
use crate::record::{DecisionRecord, Record};
use crate::reply::Stage;
use foldhash::fast::RandomState;
use haggle_core::{Digest, Reward};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

/// Every decision by its id, with the rewards that count for it and when its window closes: a function of the journal. In
/// memory are those that something is waited for and those that changed since the last checkpoint; the others lie in the
/// archive. It reads no clock.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// Boxed: a table that grows moves its entries while prices wait.
    decisions: HashMap<Arc<str>, Box<Known>, RandomState>,
    policies: Vec<Digest>,
    /// Rewards that wait for their decisions.
    pub early: EarlyRewards,
    /// How many there are of what.
    pub counts: Counts,
    /// Number of the record that is taken in now, or of the next one.
    pub next: u64,
    /// When windows close, the next one first; a decision that was activated or cancelled since is passed over.
    #[serde(skip)]
    due: BinaryHeap<Reverse<(i64, Arc<str>)>>,
    /// Decisions that nothing is waited for any more, and the number of the record that changed them.
    #[serde(skip)]
    settled: VecDeque<(u64, Arc<str>)>,
    #[serde(skip)]
    recalled: VecDeque<Arc<str>>,
    #[serde(skip)]
    archive: Option<Archive>,
}

/// What becomes of a reward that comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Nobody made that decision.
    UnknownDecision,
    /// The decision takes no rewards: it was withdrawn, never shown, or is not shown yet.
    NotShown(Stage),
    /// It counts from now on.
    New {
        /// The window had closed: it is a correction.
        late: bool,
    },
    /// It was taken in before, but could not be written: write it now.
    Retry {
        /// The window had closed: it is a correction.
        late: bool,
    },
    /// It counts already.
    Duplicate,
    /// The same id with another value counts already.
    Conflict,
}

impl Ledger {
    /// The decision of that id, if it is in memory; see [`Ledger::recall`].
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Known> {
        self.decisions.get(id).map(Box::as_ref)
    }

    /// The policy that made a decision.
    #[must_use]
    pub fn policy(&self, known: &Known) -> Digest {
        self.policies[known.policy as usize]
    }

    /// Takes a decision in; `item` is its global number, `number` that of its record. Returns the rewards that waited for it:
    /// they count from now on.
    pub fn decide(&mut self, record: &DecisionRecord, item: usize, number: u64) -> Vec<Reward> {
        let Some(logged) = &record.offer.logged else {
            return Vec::new();
        };
        let policy = self.place_of(logged.policy);
        let Some(known) = Known::of(record, item, policy, number) else {
            return Vec::new();
        };
        let id: Arc<str> = logged.decision.0.as_str().into();
        self.due.push(Reverse((known.due_s, Arc::clone(&id))));
        *self.counts.of(known.stage) += 1;
        self.decisions.insert(Arc::clone(&id), Box::new(known));
        let joined = self.early.join(record);
        for reward in &joined {
            self.count(reward, false);
        }
        joined
    }

    /// Takes in what a record says, for whoever wants to know what decisions earned and nothing of the market.
    pub fn replay(&mut self, record: &Record, number: u64) {
        self.next = number;
        match record {
            Record::Decision(record) => {
                self.decide(record, 0, number);
            }
            Record::Reward(reward) | Record::Late(reward) => {
                self.reward(reward);
            }
            Record::Refused(reward) => {
                self.reward(reward);
                self.refuse(reward);
            }
            Record::Early(early) => {
                self.wait(&early.reward, early.until_s);
            }
            Record::Activated(event) => self.activate(&event.decision.0, event.time_s),
            Record::Cancelled(event) => self.cancel(&event.decision.0),
            Record::Expired(event) => self.close(&event.decision.0),
            Record::Swap(_)
            | Record::Mode(_)
            | Record::Canary(_)
            | Record::Holdout(_)
            | Record::Carted(_)
            | Record::Void => {}
        }
    }

    /// Takes a reward in: `(decision, reward_id)` counts once.
    pub fn reward(&mut self, reward: &Reward) -> Entry {
        let entry = self.enter(reward);
        if let Entry::New { late: true } | Entry::Retry { late: true } = entry {
            self.touch(&reward.decision.0);
        }
        entry
    }

    fn enter(&mut self, reward: &Reward) -> Entry {
        let Some(known) = self.decisions.get_mut(reward.decision.0.as_str()) else {
            return Entry::UnknownDecision;
        };
        let late = match known.stage {
            Stage::Open => Ok(false),
            Stage::Closed => Ok(true),
            stage @ (Stage::Pending | Stage::Lapsed | Stage::Cancelled) => Err(Entry::NotShown(stage)),
        };
        let same = |part: &&mut Part| *part.reward_id == *reward.reward_id;
        // One that came early counts before its price is shown; told again it is no news, whatever became of the price.
        let (part, late) = match (known.parts.iter_mut().find(same), late) {
            (Some(part), late) if !part.refused => (part, late.unwrap_or_default()),
            (Some(part), Ok(late)) => (part, late),
            (_, Err(not_shown)) => return not_shown,
            (None, Ok(late)) => {
                self.count(reward, late);
                return Entry::New { late };
            }
        };
        match (part.value_minor, part.units) == (reward.value_minor, reward.units) {
            false => Entry::Conflict,
            true if part.refused => {
                part.refused = false;
                part.late = late;
                self.counts.rewards += 1;
                self.counts.late += u64::from(late);
                Entry::Retry { late }
            }
            true => Entry::Duplicate,
        }
    }

    /// The sessions of a user's decisions, of those in memory.
    #[must_use]
    pub fn sessions_of(&self, user: &str) -> Vec<String> {
        let his = self
            .decisions
            .values()
            .filter(|known| known.user.as_deref() == Some(user));
        his.map(|known| known.session.to_string()).collect()
    }

    /// Forgets those decisions in memory that `his` says, as if they had never been made. Returns their ids.
    pub fn forget(&mut self, his: impl Fn(&Known) -> bool) -> Vec<Arc<str>> {
        let named = self.decisions.iter().filter(|(_, known)| his(known));
        let ids: Vec<Arc<str>> = named.map(|(id, _)| Arc::clone(id)).collect();
        for id in &ids {
            let Some(known) = self.decisions.remove(id) else {
                continue;
            };
            *self.counts.of(known.stage) -= 1;
            self.counts.rewards -= known.counting().count() as u64;
            self.counts.late -= known.counting().filter(|part| part.late).count() as u64;
            let defaulted = known.stage == Stage::Closed && !known.counting().any(|part| !part.late);
            self.counts.defaulted -= u64::from(defaulted);
        }
        ids
    }

    /// Keeps a reward for a decision that may still come, until `until_s`.
    pub fn wait(&mut self, reward: &Reward, until_s: i64) -> Entry {
        self.early.wait(reward, until_s)
    }

    /// The disk refused a reward that was taken in: it does not count until it is written.
    pub fn refuse(&mut self, reward: &Reward) {
        self.early.refuse(reward);
        let known = self.decisions.get_mut(reward.decision.0.as_str());
        let parts = known.into_iter().flat_map(|known| &mut known.parts);
        for part in parts.filter(|part| *part.reward_id == *reward.reward_id && !part.refused) {
            part.refused = true;
            self.counts.rewards -= 1;
            self.counts.late -= u64::from(part.late);
        }
        self.touch(&reward.decision.0);
    }

    /// A record of now tells of a decision.
    pub fn touch(&mut self, decision: &str) {
        let Some((id, _)) = self.decisions.get_key_value(decision) else {
            return;
        };
        let id = Arc::clone(id);
        if let Some(known) = self.decisions.get_mut(decision) {
            known.touched = self.next;
            if known.settled() {
                self.settled.push_back((self.next, id));
            }
        }
    }

    fn count(&mut self, reward: &Reward, late: bool) {
        if let Some(known) = self.decisions.get_mut(reward.decision.0.as_str()) {
            known.parts.push(Part {
                reward_id: reward.reward_id.as_str().into(),
                value_minor: reward.value_minor,
                units: reward.units,
                late,
                refused: false,
            });
            self.counts.rewards += 1;
            self.counts.late += u64::from(late);
        }
    }
}
