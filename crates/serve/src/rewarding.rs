use crate::committer::Ticket;
use crate::engine::{Core, Engine};
use crate::known::Known;
use crate::ledger::Entry;
use crate::protocol::REWARDS_MAX;
use crate::record::{EarlyRecord, Event, Record};
use crate::refusal::{Code, Refusal};
use crate::reply::{RewardStatus, Stage};
use crate::request::RewardRequest;
use haggle_core::{DecisionId, Reward};

/// Windows that are closed while others wait.
const CLOSED_AT_ONCE: usize = 256;

impl Engine {
    /// Takes a reward in. The ticket tells when it is on disk: only then it may be acknowledged with the status.
    ///
    /// # Errors
    /// When the request is unsound, the decision unknown or not shown, the id taken for another value, or the store takes
    /// nothing in.
    pub fn reward(&self, request: RewardRequest, now_s: i64) -> Result<(RewardStatus, Ticket), Refusal> {
        request.check()?;
        let mut core = self.lock();
        self.check_room()?;
        self.close_own_window(&mut core, &request.decision, now_s);
        self.close_windows(&mut core, now_s);
        let reward = Reward {
            decision: DecisionId(request.decision),
            reward_id: request.reward_id,
            value_minor: request.value_minor,
            units: request.units,
            time_s: now_s,
        };
        self.recall(&mut core, &reward.decision.0)?;
        let known = core.ledger.find(&reward.decision.0);
        if known.is_some_and(|known| known.is_full_for(&reward.reward_id)) {
            return Err(full(&reward.decision.0));
        }
        let entry = core.ledger.reward(&reward);
        match entry {
            Entry::UnknownDecision => self.wait_for_decision(&mut core, reward),
            Entry::NotShown(stage) => Err(not_shown(&reward.decision.0, stage)),
            Entry::Conflict => Err(core.conflict(&reward)),
            Entry::Duplicate => Ok(self.duplicate(&mut core)),
            Entry::New { late } | Entry::Retry { late } => {
                if entry == (Entry::New { late }) {
                    core.rewarded(&reward);
                }
                let (status, record) = match late {
                    true => (RewardStatus::Late, Record::Late(reward)),
                    false => (RewardStatus::Durable, Record::Reward(reward)),
                };
                Ok((status, self.write_with_ticket(&mut core, record)))
            }
        }
    }

    /// Closes the windows that have ended by `now_s`, as far as the store takes records in. Others are served in between.
    pub fn expire(&self, now_s: i64) {
        while self.close_windows(&mut self.lock(), now_s) {
            std::thread::yield_now();
        }
        self.judge_canary(&mut self.lock());
    }

    /// Closes some of them; whether there may be more.
    pub(crate) fn close_windows(&self, core: &mut Core, now_s: i64) -> bool {
        for _ in 0..CLOSED_AT_ONCE {
            if self.committer.room().is_err() {
                return false;
            }
            let Some(decision) = core.ledger.overdue(now_s) else {
                return false;
            };
            self.close_window(core, decision, now_s);
        }
        true
    }

    /// Closes the window of one decision, if it has ended: whatever is asked about it is asked of what it is by now.
    pub(crate) fn close_own_window(&self, core: &mut Core, decision: &str, now_s: i64) {
        let ended = |known: &Known| !known.settled() && known.due_s <= now_s;
        if core.ledger.find(decision).is_some_and(ended) {
            self.close_window(core, DecisionId(decision.to_owned()), now_s);
        }
    }

    fn close_window(&self, core: &mut Core, decision: DecisionId, now_s: i64) {
        core.ledger.close(&decision.0);
        let time_s = now_s;
        self.write(core, Record::Expired(Event { decision, time_s }));
    }

    /// A reward whose decision nobody knows may wait for it.
    fn wait_for_decision(&self, core: &mut Core, reward: Reward) -> Result<(RewardStatus, Ticket), Refusal> {
        let backward_s = core.settings.config.rewards.backward_window_s;
        if backward_s == 0 {
            core.since_start.unknown += 1;
            return Err(Refusal::unknown_decision(&reward.decision.0));
        }
        let until_s = reward.time_s.saturating_add(i64::from(backward_s));
        if core.ledger.early.is_full_for(&reward) {
            return Err(full(&reward.decision.0));
        }
        match core.ledger.wait(&reward, until_s) {
            Entry::Conflict => Err(core.conflict(&reward)),
            Entry::Duplicate => Ok(self.duplicate(core)),
            _ => {
                let record = Record::Early(EarlyRecord { reward, until_s });
                Ok((RewardStatus::Early, self.write_with_ticket(core, record)))
            }
        }
    }

    fn duplicate(&self, core: &mut Core) -> (RewardStatus, Ticket) {
        core.since_start.duplicates += 1;
        (RewardStatus::Duplicate, self.committer.push_with_ticket(None))
    }
}

impl Core {
    /// Takes a reward that counts into the market's memory.
    pub fn rewarded(&mut self, reward: &Reward) {
        if let Some(known) = self.ledger.find(&reward.decision.0) {
            let user = known.user.as_deref();
            self.market
                .on_reward(&known.session, user, known.item as usize, reward.units);
        }
    }

    fn conflict(&mut self, reward: &Reward) -> Refusal {
        self.since_start.conflicts += 1;
        let message = format!(
            "reward `{}` of decision {} counts already, with another value",
            reward.reward_id, reward.decision.0
        );
        Refusal::new(Code::Conflict, message)
    }
}

fn full(decision: &str) -> Refusal {
    let message = format!("decision {decision} has {REWARDS_MAX} rewards, as many as it may have");
    Refusal::new(Code::TooManyRewards, message)
}

/// Why a decision takes no rewards, or no other event.
pub(crate) fn not_shown(decision: &str, stage: Stage) -> Refusal {
    let (code, what) = match stage {
        Stage::Cancelled => (Code::Cancelled, "was cancelled"),
        Stage::Lapsed => (Code::NotActive, "was never activated, and its window has closed"),
        Stage::Pending | Stage::Open | Stage::Closed => (Code::NotActive, "is not activated yet"),
    };
    Refusal::new(code, format!("decision {decision} {what}"))
}
