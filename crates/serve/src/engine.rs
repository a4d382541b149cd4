use crate::committer::{Committer, Health, Ticket};
use crate::decide::{DecideError, Decision, Mode, decide};
use crate::journal::JournalReader;
use crate::ledger::{Entry, Known, Ledger};
use crate::market::{Ask, Market, View};
use crate::protocol::{
    Code, GetReply, PriceReply, PriceRequest, Refusal, RewardRequest, RewardStatus, ShelfNews,
};
use crate::record::{DecisionRecord, Record};
use haggle_core::{
    DecisionId, Digest, FEATURE_WIDTH, GuardrailError, Logged, Observation, Offer, Policy, Reward, Seeds,
    ShelfEntry,
};
use haggle_policy::Bundle;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The daemon without its sockets: prices out, rewards in, everything journalled.
///
/// One lock guards what a decision reads and changes, and records are queued under it: the order of the journal is the
/// order in which things happened, so that a restart rebuilds exactly this state.
#[derive(Debug)]
pub struct Engine {
    pub(crate) core: Arc<Mutex<Core>>,
    pub(crate) committer: Committer,
    pub(crate) reader: JournalReader,
    pub(crate) bundles: PathBuf,
    pub(crate) draws: Seeds,
}

/// What changes while the daemon runs.
#[derive(Debug)]
pub(crate) struct Core {
    pub bundle: Arc<Bundle>,
    pub previous: Option<Arc<Bundle>>,
    pub market: Market,
    pub ledger: Ledger,
    pub mode: Mode,
    pub duplicates: u64,
    pub unlogged: u64,
}

/// The answer to `status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The bundle that is served.
    pub policy: Digest,
    /// The bundle that a rollback goes back to.
    pub previous: Option<Digest>,
    /// Whether prices are drawn.
    pub mode: Mode,
    /// `ok`, `full` or `failed`.
    pub store: String,
    /// Records that wait for the disk.
    pub queued: usize,
    /// Decisions that are remembered, those that wait for the disk included.
    pub decisions: usize,
    /// Decisions answered that the store could not take in, since the start.
    pub unlogged: u64,
    /// Rewards that count, those that wait for the disk included and those that it refused not.
    pub rewards: u64,
    /// Rewards that came again, since the start.
    pub duplicates: u64,
    /// Open sessions that are remembered.
    pub sessions: usize,
}

impl Engine {
    /// Answers a price request; never waits for the disk. `now_s` is seconds since 1970.
    ///
    /// # Errors
    /// When the request is unsound, the item unknown, or no price is allowed.
    pub fn price(&self, request: PriceRequest, now_s: i64) -> Result<PriceReply, Refusal> {
        request.check()?;
        let mut core = self.lock();
        if let Some(known) = request.decision.as_deref().and_then(|id| core.ledger.find(id)) {
            return core.again(known, &request);
        }
        let ask = core.ask(&request, now_s)?;
        let logged = match self.committer.room() {
            Ok(()) => true,
            Err(Health::Ok) => return Err(overloaded()),
            Err(Health::Full | Health::Failed) => false,
        };
        let id = request
            .decision
            .unwrap_or_else(|| uuid::Uuid::now_v7().hyphenated().to_string());
        let mut features = [0.0; FEATURE_WIDTH];
        let view = core.market.look(&ask, now_s);
        core.market.encode(&view, &mut features);
        let terms = core.bundle.terms();
        let decision = decide(
            core.bundle.as_ref(),
            &terms.guardrails,
            &terms.catalog.items()[ask.item],
            Observation {
                item: ask.item,
                features: &features,
            },
            &request.bounds,
            core.mode,
            self.draws.uniform_of(id.as_bytes()),
        )
        .map_err(|error| refuse_price(&error))?;
        let reply = PriceReply {
            decision: id,
            price_minor: decision.price,
            rung: decision.rung,
            propensity: decision.propensity,
            policy: core.bundle.digest(),
            explored: decision.explored,
            rules: decision.rules.clone(),
            logged,
        };
        if logged {
            let record = core.record(&reply, ask, view, decision, features.to_vec());
            self.committer.push(Record::Decision(Box::new(record)));
        } else {
            core.unlogged += 1;
        }
        Ok(reply)
    }

    /// Takes a reward in. The ticket tells when it is on disk: only then it may be acknowledged with the status.
    ///
    /// # Errors
    /// When the request is unsound, the decision unknown, the id taken for another value, or the store takes nothing in.
    pub fn reward(&self, request: RewardRequest, now_s: i64) -> Result<(RewardStatus, Ticket), Refusal> {
        request.check()?;
        let mut core = self.lock();
        match self.committer.room() {
            Ok(()) => {}
            Err(Health::Ok) => return Err(overloaded()),
            Err(Health::Full) => return Err(Refusal::new(Code::StoreFull, "the store's disk is full")),
            Err(Health::Failed) => {
                let message = "an earlier write to the store failed; restart to go on";
                return Err(Refusal::new(Code::StoreFailed, message));
            }
        }
        let reward = Reward {
            decision: DecisionId(request.decision),
            reward_id: request.reward_id,
            value_minor: request.value_minor,
            units: request.units,
            time_s: now_s,
        };
        match core.ledger.reward(&reward) {
            Entry::UnknownDecision => Err(unknown_decision(&reward.decision.0)),
            Entry::Conflict => Err(Refusal::new(
                Code::Conflict,
                format!(
                    "reward `{}` of decision {} counts already, with another value",
                    reward.reward_id, reward.decision.0
                ),
            )),
            Entry::Duplicate => {
                core.duplicates += 1;
                Ok((RewardStatus::Duplicate, self.committer.push_with_ticket(None)))
            }
            Entry::Retry => {
                let ticket = self.committer.push_with_ticket(Some(Record::Reward(reward)));
                Ok((RewardStatus::Durable, ticket))
            }
            Entry::New => {
                core.rewarded(&reward);
                let ticket = self.committer.push_with_ticket(Some(Record::Reward(reward)));
                Ok((RewardStatus::Durable, ticket))
            }
        }
    }

    /// Reads a decision back, with what it earned.
    ///
    /// # Errors
    /// When no decision has that id.
    pub fn get(&self, decision: &str) -> Result<GetReply, Refusal> {
        let core = self.lock();
        let known = core.ledger.find(decision);
        let known = known.ok_or_else(|| unknown_decision(decision))?;
        let (value_minor, units) = known.earned();
        Ok(GetReply {
            price: core.reply(known, decision),
            session: known.session.to_string(),
            item: core.bundle.terms().catalog.items()[known.item as usize]
                .id
                .clone(),
            value_minor,
            units,
            rewards: known.counting().map(|part| part.reward_id.to_string()).collect(),
        })
    }

    /// How the daemon is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        let core = self.lock();
        let (health, queued) = self.committer.health();
        Status {
            policy: core.bundle.digest(),
            previous: core.previous.as_ref().map(|bundle| bundle.digest()),
            mode: core.mode,
            store: match health {
                Health::Ok => "ok",
                Health::Full => "full",
                Health::Failed => "failed",
            }
            .to_owned(),
            queued,
            decisions: core.ledger.decisions(),
            unlogged: core.unlogged,
            rewards: core.ledger.rewards,
            duplicates: core.duplicates,
            sessions: core.market.sessions(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    /// The request in the catalogue's numbers. News of items that are not in the catalogue are passed over.
    fn ask(&self, request: &PriceRequest, now_s: i64) -> Result<Ask, Refusal> {
        let catalog = self.market.catalog();
        let item = catalog.find(&request.item).ok_or_else(|| {
            Refusal::new(
                Code::UnknownItem,
                format!("item `{}` is not in the catalogue", request.item),
            )
        })?;
        let news = |news: &ShelfNews| Some((catalog.find(&news.item)?, news.entry()));
        Ok(Ask {
            session: request.session.clone(),
            user: request.user.clone(),
            item,
            context: request.context.session(now_s),
            shelf: request.context.shelf.iter().filter_map(news).collect(),
        })
    }

    /// Remembers a decision with the view that it was made on, and makes the record of both.
    fn record(
        &mut self,
        reply: &PriceReply,
        ask: Ask,
        view: View,
        decision: Decision,
        features: Vec<f32>,
    ) -> DecisionRecord {
        let catalog = self.market.catalog();
        let (category, _) = catalog.place(ask.item);
        let named = |(item, entry): &(usize, ShelfEntry)| (catalog.items()[*item].id.clone(), *entry);
        let context = view.context();
        let record = DecisionRecord {
            offer: Offer {
                category: catalog.categories()[category].name.clone(),
                item: catalog.items()[ask.item].id.clone(),
                time_s: context.time_s,
                price_minor: decision.price,
                posted_minor: view.posted(),
                units: 0,
                value_minor: 0,
                censored: false,
                session: ask.session,
                user: ask.user,
                logged: Some(Logged {
                    decision: DecisionId(reply.decision.clone()),
                    policy: reply.policy,
                    mask: decision.mask,
                    pmf: decision.pmf,
                    rung: decision.rung,
                    features,
                }),
            },
            context,
            shelf: view.news().iter().map(named).collect(),
            explored: decision.explored,
            rules: decision.rules,
        };
        self.market.keep(view);
        self.decided(&record, ask.item);
        record
    }

    /// Takes a decision into memory, now or at a restart.
    pub fn decided(&mut self, record: &DecisionRecord, item: usize) {
        self.market.on_decision(item, record.offer.price_minor);
        self.ledger.decide(record, item);
    }

    /// Takes a reward that counts into the market's memory.
    pub fn rewarded(&mut self, reward: &Reward) {
        if let Some(known) = self.ledger.find(&reward.decision.0) {
            let user = known.user.as_deref();
            self.market
                .on_reward(&known.session, user, known.item as usize, reward.units);
        }
    }

    /// The same decision again, if it is the same request.
    fn again(&self, known: &Known, request: &PriceRequest) -> Result<PriceReply, Refusal> {
        let item = &self.bundle.terms().catalog.items()[known.item as usize].id;
        let id = request.decision.as_deref().unwrap_or_default();
        let same_user = known.user.as_deref() == request.user.as_deref();
        if *known.session == *request.session && *item == request.item && same_user {
            return Ok(self.reply(known, id));
        }
        let message = format!(
            "decision {id} was made for item `{item}` in session `{}`",
            known.session
        );
        Err(Refusal::new(Code::Conflict, message))
    }

    fn reply(&self, known: &Known, id: &str) -> PriceReply {
        PriceReply {
            decision: id.to_owned(),
            price_minor: known.price,
            rung: known.rung,
            propensity: known.propensity,
            policy: self.ledger.policy(known),
            explored: known.explored,
            rules: known.rules(),
            logged: true,
        }
    }
}

fn unknown_decision(id: &str) -> Refusal {
    Refusal::new(Code::UnknownDecision, format!("there is no decision {id}"))
}

fn overloaded() -> Refusal {
    Refusal::new(Code::Overloaded, "too many records wait for the disk; try again")
}

fn refuse_price(error: &DecideError) -> Refusal {
    let code = match error {
        DecideError::Guardrail(GuardrailError::FloorAboveCeiling { .. }) => Code::PriceFloorAboveCeiling,
        DecideError::Guardrail(GuardrailError::NothingAllowed { .. }) => Code::NothingAllowed,
        DecideError::Policy { .. } => Code::PolicyFailed,
    };
    Refusal::new(code, error.to_string())
}
