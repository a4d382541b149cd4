use crate::known::{Known, Part};
use crate::record::{DecisionRecord, Record};
use crate::reply::Stage;
use foldhash::fast::RandomState;
use haggle_core::{DecisionId, Digest, Reward};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

/// Every decision by its id, with the rewards that count for it and when its window closes: the index over the journal,
/// rebuilt at start. It reads no clock.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Boxed: a table that grows moves its entries while prices wait.
    decisions: HashMap<Arc<str>, Box<Known>, RandomState>,
    policies: Vec<Digest>,
    /// When windows close, the next one first; a decision that was activated or cancelled since is passed over.
    due: BinaryHeap<Reverse<(i64, Arc<str>)>>,
    early: HashMap<Box<str>, Vec<Early>>,
    /// How many there are of what.
    pub counts: Counts,
}

/// Exact counts; a restart finds the same ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rewards that count; not those that the disk refused.
    pub rewards: u64,
    /// Those of them that came after the window had closed.
    pub late: u64,
    /// Decisions whose rewards are waited for.
    pub open: u64,
    /// Deferred decisions that are not activated yet.
    pub pending: u64,
    /// Decisions whose windows have closed.
    pub closed: u64,
    /// Those of them that closed without a reward.
    pub defaulted: u64,
    /// Deferred decisions that were never activated.
    pub lapsed: u64,
    /// Decisions that were withdrawn.
    pub cancelled: u64,
}

/// A reward that came before its decision, and how long it waits: seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Early {
    reward: Reward,
    until_s: i64,
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
    /// The decision of that id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Known> {
        self.decisions.get(id).map(Box::as_ref)
    }

    /// How many decisions there are.
    #[must_use]
    pub fn decisions(&self) -> usize {
        self.decisions.len()
    }

    /// Rewards whose decision is not known.
    #[must_use]
    pub fn early(&self) -> usize {
        self.early.values().map(Vec::len).sum()
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
        let policy = self.policies.iter().rposition(|digest| *digest == logged.policy);
        let policy = policy.unwrap_or_else(|| {
            self.policies.push(logged.policy);
            self.policies.len() - 1
        });
        let Some(known) = Known::of(record, item, policy as u32, number) else {
            return Vec::new();
        };
        let id: Arc<str> = logged.decision.0.as_str().into();
        self.due.push(Reverse((known.due_s, Arc::clone(&id))));
        *self.counts.of(known.stage) += 1;
        self.decisions.insert(Arc::clone(&id), Box::new(known));
        let waiting = if self.early.is_empty() {
            None
        } else {
            self.early.remove(&*id)
        };
        let (mut joined, mut missed) = (Vec::new(), Vec::new());
        for early in waiting.into_iter().flatten() {
            if early.until_s >= record.decided_s {
                self.count(&early.reward, false);
                joined.push(early.reward);
            } else {
                missed.push(early);
            }
        }
        if !missed.is_empty() {
            self.early.insert((*id).into(), missed);
        }
        joined
    }

    /// Takes in what a record says, for whoever wants to know what decisions earned and nothing of the market.
    pub fn replay(&mut self, record: &Record, number: u64) {
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
            Record::Swap(_) | Record::Mode(_) | Record::Carted(_) | Record::Void => {}
        }
    }

    /// A deferred decision was shown at `now_s`: its window begins.
    pub fn activate(&mut self, decision: &str, now_s: i64) {
        if let Some(known) = self.find(decision) {
            let due_s = now_s.saturating_add(i64::from(known.terms.window_s));
            self.place(decision, Stage::Open, due_s);
        }
    }

    /// A decision was withdrawn.
    pub fn cancel(&mut self, decision: &str) {
        if let Some(due_s) = self.find(decision).map(|known| known.due_s) {
            self.place(decision, Stage::Cancelled, due_s);
        }
    }

    /// Takes a reward in: `(decision, reward_id)` counts once.
    pub fn reward(&mut self, reward: &Reward) -> Entry {
        let Some(known) = self.decisions.get_mut(reward.decision.0.as_str()) else {
            return Entry::UnknownDecision;
        };
        let late = match known.stage {
            Stage::Open => false,
            Stage::Closed => true,
            stage @ (Stage::Pending | Stage::Lapsed | Stage::Cancelled) => return Entry::NotShown(stage),
        };
        let same = |part: &&mut Part| *part.reward_id == *reward.reward_id;
        let Some(part) = known.parts.iter_mut().find(same) else {
            self.count(reward, late);
            return Entry::New { late };
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

    /// Keeps a reward for a decision that may still come, until `until_s`.
    pub fn wait(&mut self, reward: &Reward, until_s: i64) -> Entry {
        let waiting = self.early.entry(reward.decision.0.as_str().into()).or_default();
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

    /// The disk refused a reward that was taken in: it does not count until it is written.
    pub fn refuse(&mut self, reward: &Reward) {
        if let Some(waiting) = self.early.get_mut(reward.decision.0.as_str()) {
            waiting.retain(|early| early.reward.reward_id != reward.reward_id);
        }
        let known = self.decisions.get_mut(reward.decision.0.as_str());
        let parts = known.into_iter().flat_map(|known| &mut known.parts);
        for part in parts.filter(|part| *part.reward_id == *reward.reward_id && !part.refused) {
            part.refused = true;
            self.counts.rewards -= 1;
            self.counts.late -= u64::from(part.late);
        }
    }

    /// Moves a decision to another stage; its window then closes at `due_s`.
    pub fn place(&mut self, decision: &str, stage: Stage, due_s: i64) {
        let Some((id, _)) = self.decisions.get_key_value(decision) else {
            return;
        };
        let id = Arc::clone(id);
        if let Some(known) = self.decisions.get_mut(decision) {
            *self.counts.of(known.stage) -= 1;
            *self.counts.of(stage) += 1;
            (known.stage, known.due_s) = (stage, due_s);
        }
        if matches!(stage, Stage::Open | Stage::Pending) {
            self.due.push(Reverse((due_s, id)));
        }
    }

    /// A decision whose window has closed by `now_s`, the first one first. Whoever takes it closes it.
    pub fn overdue(&mut self, now_s: i64) -> Option<DecisionId> {
        while let Some(Reverse((due_s, _))) = self.due.peek()
            && *due_s <= now_s
            && let Some(Reverse((due_s, id))) = self.due.pop()
        {
            let waits = |known: &&Known| matches!(known.stage, Stage::Open | Stage::Pending);
            if self
                .find(&id)
                .filter(waits)
                .is_some_and(|known| known.due_s == due_s)
            {
                return Some(DecisionId(id.to_string()));
            }
        }
        None
    }

    /// Closes the window of a decision.
    pub fn close(&mut self, decision: &str) {
        let Some(known) = self.find(decision) else {
            return;
        };
        let (stage, due_s) = match known.stage {
            Stage::Open => (Stage::Closed, known.due_s),
            Stage::Pending => (Stage::Lapsed, known.due_s),
            Stage::Closed | Stage::Lapsed | Stage::Cancelled => return,
        };
        let rewarded = known.counting().next().is_some();
        self.counts.defaulted += u64::from(stage == Stage::Closed && !rewarded);
        self.place(decision, stage, due_s);
    }

    /// The disk refused to close the window of a decision: it is open again.
    pub fn reopen(&mut self, decision: &str) {
        let Some(known) = self.find(decision) else {
            return;
        };
        let (stage, due_s) = match known.stage {
            Stage::Closed => (Stage::Open, known.due_s),
            Stage::Lapsed => (Stage::Pending, known.due_s),
            Stage::Open | Stage::Pending | Stage::Cancelled => return,
        };
        let rewarded = known.counting().any(|part| !part.late);
        self.counts.defaulted -= u64::from(stage == Stage::Open && !rewarded);
        self.place(decision, stage, due_s);
        // What came in between is in time after all, as a restart will find.
        let known = self.decisions.get_mut(decision);
        for part in known.into_iter().flat_map(|known| &mut known.parts) {
            self.counts.late -= u64::from(part.late && !part.refused);
            part.late = false;
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

impl Counts {
    fn of(&mut self, stage: Stage) -> &mut u64 {
        match stage {
            Stage::Pending => &mut self.pending,
            Stage::Open => &mut self.open,
            Stage::Closed => &mut self.closed,
            Stage::Lapsed => &mut self.lapsed,
            Stage::Cancelled => &mut self.cancelled,
        }
    }
}
