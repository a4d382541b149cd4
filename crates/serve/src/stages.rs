use crate::committer::Ticket;
use crate::engine::{Core, Engine};
use crate::known::Known;
use crate::record::{Event, Record};
use crate::refusal::{Code, Refusal};
use crate::reply::{GetReply, Stage, StageReply};
use crate::rewarding::not_shown;
use crate::view::Ask;
use haggle_core::{DecisionId, Reward};

impl Engine {
    /// A deferred decision was shown: from now on its price counts and its rewards are waited for. A second call changes
    /// nothing.
    ///
    /// # Errors
    /// When no decision has that id, it was cancelled, or its window has closed.
    pub fn activate(&self, decision: &str, now_s: i64) -> Result<(StageReply, Ticket), Refusal> {
        self.event(decision, now_s, Record::Activated, |known| match known.stage {
            Stage::Open | Stage::Closed => Ok(None),
            Stage::Pending => Ok(Some(Stage::Open)),
            stage @ (Stage::Lapsed | Stage::Cancelled) => Err(not_shown(decision, stage)),
        })
    }

    /// A price was not shown after all. A second call changes nothing.
    ///
    /// # Errors
    /// When no decision has that id, it has earned something, or its window has closed.
    pub fn cancel(&self, decision: &str, now_s: i64) -> Result<(StageReply, Ticket), Refusal> {
        self.event(decision, now_s, Record::Cancelled, |known| match known.stage {
            Stage::Cancelled => Ok(None),
            Stage::Open | Stage::Pending if known.counting().next().is_some() => {
                let message = format!("decision {decision} has earned something; it was shown");
                Err(Refusal::new(Code::Conflict, message))
            }
            Stage::Open | Stage::Pending => Ok(Some(Stage::Cancelled)),
            Stage::Closed | Stage::Lapsed => {
                let message = format!("the window of decision {decision} has closed");
                Err(Refusal::new(Code::Conflict, message))
            }
        })
    }

    /// The session put the item into its cart at the decision's price: it never gets dearer for it.
    ///
    /// # Errors
    /// When no decision has that id, or it was not shown.
    pub fn cart(&self, decision: &str, now_s: i64) -> Result<(StageReply, Ticket), Refusal> {
        self.event(decision, now_s, Record::Carted, |known| match known.stage {
            stage @ (Stage::Open | Stage::Closed) => Ok(Some(stage)),
            stage @ (Stage::Pending | Stage::Lapsed | Stage::Cancelled) => Err(not_shown(decision, stage)),
        })
    }

    /// Reads a decision back, with what it earned.
    ///
    /// # Errors
    /// When no decision has that id.
    pub fn get(&self, decision: &str) -> Result<GetReply, Refusal> {
        let mut core = self.lock();
        self.recall(&mut core, decision)?;
        let known = core.known(decision)?;
        let (value_minor, units) = known.earned();
        Ok(GetReply {
            price: known.reply(decision, core.ledger.policy(known)),
            session: known.session.to_string(),
            item: core.market.catalog().items()[known.item as usize].id.clone(),
            value_minor,
            units,
            rewards: known.counting().map(|part| part.reward_id.to_string()).collect(),
            stage: known.stage,
            late: known.counting().filter(|part| part.late).count(),
        })
    }

    /// Journals an event that `next` allows, and carries it out. Without a next stage there is nothing to journal.
    fn event(
        &self,
        decision: &str,
        now_s: i64,
        record: fn(Event) -> Record,
        next: impl FnOnce(&Known) -> Result<Option<Stage>, Refusal>,
    ) -> Result<(StageReply, Ticket), Refusal> {
        self.check_room()?;
        self.expire(now_s);
        let mut core = self.lock();
        self.recall(&mut core, decision)?;
        let known = core.known(decision)?;
        let before = known.stage;
        let Some(stage) = next(known)? else {
            return Ok((
                StageReply { stage: before },
                self.committer.push_with_ticket(None),
            ));
        };
        let event = Event {
            decision: DecisionId(decision.to_owned()),
            time_s: now_s,
        };
        let record = record(event);
        core.happened(&record);
        Ok((StageReply { stage }, self.write_with_ticket(&mut core, record)))
    }
}

impl Core {
    fn known(&self, decision: &str) -> Result<&Known, Refusal> {
        let known = self.ledger.find(decision);
        known.ok_or_else(|| Refusal::unknown_decision(decision))
    }

    /// Carries out an event, now or at a restart. Other records are not its business.
    pub fn happened(&mut self, record: &Record) {
        match record {
            Record::Activated(event) => self.activated(event),
            Record::Cancelled(event) => self.ledger.cancel(&event.decision.0),
            Record::Carted(event) => {
                if let Some(known) = self.ledger.find(&event.decision.0) {
                    self.market
                        .on_cart(&known.session, known.item as usize, known.price);
                }
                self.ledger.touch(&event.decision.0);
            }
            _ => {}
        }
    }

    fn activated(&mut self, event: &Event) {
        let Some(known) = self.ledger.find(&event.decision.0) else {
            return;
        };
        let (segment, channel) = known.deferred.as_deref().cloned().unwrap_or_default();
        let ask = Ask {
            session: known.session.to_string(),
            item: known.item as usize,
            segment,
            channel,
            ..Ask::default()
        };
        self.market.on_shown(&ask, known.price, false, event.time_s);
        self.ledger.activate(&event.decision.0, event.time_s);
    }

    /// The disk refused a record: what it said has not happened. (The market's memory of a purchase or a price that was
    /// shown stays: it was made, whoever could write it down.)
    pub fn refused(&mut self, record: &Record) {
        match record {
            Record::Reward(reward) | Record::Late(reward) => self.ledger.refuse(reward),
            Record::Early(early) => self.ledger.refuse(&early.reward),
            Record::Activated(event) => self.back_to(&event.decision, Stage::Pending),
            Record::Cancelled(event) => {
                let deferred = self
                    .ledger
                    .find(&event.decision.0)
                    .is_some_and(|known| known.deferred.is_some());
                self.back_to(
                    &event.decision,
                    if deferred { Stage::Pending } else { Stage::Open },
                );
            }
            Record::Expired(event) => self.ledger.reopen(&event.decision.0),
            _ => {}
        }
    }

    fn back_to(&mut self, decision: &DecisionId, stage: Stage) {
        let due_s = self.ledger.find(&decision.0).map_or(0, |known| known.due_s);
        self.ledger.place(&decision.0, stage, due_s);
    }

    /// A reward of the journal, again: it counts, unless it was counted.
    pub fn rewarded_again(&mut self, reward: &Reward) {
        if let crate::ledger::Entry::New { .. } = self.ledger.reward(reward) {
            self.rewarded(reward);
        }
    }
}
