use crate::committer::{Health, Ticket};
use crate::decide::{Decision, Mode, Question, Source, decide};
use crate::engine::{Core, Engine};
use crate::known::Known;
use crate::price_request::{LogMode, PriceRequest, ShelfNews};
use crate::record::{DecisionRecord, Record, ShadowRecord};
use crate::refusal::{Code, Refusal};
use crate::reply::{DISCLOSURE, PriceReply};
use crate::view::{Ask, View};
use haggle_core::{
    DecisionId, FEATURE_WIDTH, GuardrailError, Item, Logged, Observation, Offer, Policy, Rule, Ruling,
    ShelfEntry,
};
use haggle_policy::PolicyKind;
use std::time::{Duration, Instant};

/// When a request came.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// By the daemon's clock: seconds since 1970.
    pub now_s: i64,
    /// By a clock that never goes back, for deadlines.
    pub since: Instant,
}

/// A price, and for a request that waits for the disk the ticket that tells when it may be answered.
#[derive(Debug)]
pub struct Quote {
    /// The answer.
    pub reply: PriceReply,
    /// Told when the decision is on disk.
    pub ticket: Option<Ticket>,
}

/// One decision with all that it was made from.
struct Made {
    ask: Ask,
    view: View,
    features: [f32; FEATURE_WIDTH],
    ruling: Ruling,
    decision: Decision,
    binding: Option<Rule>,
    shadow: Option<ShadowRecord>,
}

impl Arrival {
    /// Now, for a clock that says `now_s`.
    #[must_use]
    pub fn at(now_s: i64) -> Self {
        let since = Instant::now();
        Self { now_s, since }
    }
}

impl Engine {
    /// Answers a price request without waiting for the disk. `now_s` is seconds since 1970.
    ///
    /// # Errors
    /// As for [`Engine::quote`].
    pub fn price(&self, request: PriceRequest, now_s: i64) -> Result<PriceReply, Refusal> {
        self.quote(request, Arrival::at(now_s)).map(|quote| quote.reply)
    }

    /// Answers a price request.
    ///
    /// # Errors
    /// When the request is unsound, the item unknown, or the rules allow no price.
    pub fn quote(&self, mut request: PriceRequest, arrival: Arrival) -> Result<Quote, Refusal> {
        request.check()?;
        let mut core = self.lock();
        let segment = core.settings.shield(&mut request)?;
        let mut fingerprint = 0;
        if let Some(id) = request.decision.as_deref() {
            fingerprint = request.fingerprint();
            if let Some(known) = core.ledger.find(id) {
                let reply = core.again(known, id, fingerprint)?;
                let ticket = (request.log == LogMode::Sync).then(|| self.committer.push_with_ticket(None));
                return Ok(Quote { reply, ticket });
            }
        }
        let ask = core.ask(&request, segment, arrival.now_s)?;
        let logged = match self.committer.room() {
            Ok(()) => true,
            Err(Health::Ok) => return Err(Refusal::overloaded()),
            Err(Health::Full | Health::Failed) => false,
        };
        if !logged && request.log == LogMode::Sync {
            self.check_room()?;
        }
        let id = request.decision.take().unwrap_or_else(new_id);
        let uniform = self.draws.uniform_of(id.as_bytes());
        let made = core.decide(ask, &request, arrival, uniform)?;
        core.since_start.fallbacks += u64::from(matches!(
            made.decision.source,
            Source::PolicyError | Source::Deadline
        ));
        let record = core.record(id, &request, fingerprint, &made, arrival.now_s);
        let reply = core.answer(&record, logged);
        let mut ticket = None;
        if logged {
            core.market.keep(&made.ask.session, made.view);
            let number = core.records;
            core.decided(&record, &made.ask, number);
            let record = Record::Decision(Box::new(record));
            if request.log == LogMode::Sync {
                ticket = Some(self.write_with_ticket(&mut core, record));
            } else {
                self.write(&mut core, record);
            }
        } else {
            core.since_start.unlogged += 1;
        }
        Ok(Quote { reply, ticket })
    }
}

impl Core {
    /// The request in the catalogue's numbers. News of items that are not in the catalogue are passed over.
    fn ask(&self, request: &PriceRequest, segment: Option<String>, now_s: i64) -> Result<Ask, Refusal> {
        let catalog = self.market.catalog();
        let item = catalog.find(&request.item).ok_or_else(|| {
            let message = format!("item `{}` is not in the catalogue", request.item);
            Refusal::new(Code::UnknownItem, message)
        })?;
        if self.mode == Mode::Apprentice && request.own_minor.is_none() {
            let message = "in the mode apprentice a price request says `own_minor`, the caller's own price";
            return Err(Refusal::new(Code::BadRequest, message));
        }
        let news = |news: &ShelfNews| Some((catalog.find(&news.item)?, news.entry()));
        Ok(Ask {
            session: request.session.clone(),
            user: request.user.clone(),
            item,
            context: request.context.session(now_s),
            shelf: request.context.shelf.iter().filter_map(news).collect(),
            segment,
            channel: request.channel.clone(),
        })
    }

    fn decide(
        &self,
        ask: Ask,
        request: &PriceRequest,
        arrival: Arrival,
        uniform: f64,
    ) -> Result<Made, Refusal> {
        let view = self.market.look(&ask, arrival.now_s);
        let mut features = [0.0; FEATURE_WIDTH];
        self.market.encode(&view, &mut features);
        let (terms, rules) = (self.bundle.terms(), &self.settings.rules[ask.item]);
        let item = &terms.catalog.items()[ask.item];
        let past = self
            .market
            .past(&ask, rules, self.settings.config.prices.sticky_s, arrival.now_s);
        let mut ruling = Ruling::of(item, &terms.guardrails, rules, &past, &request.bounds)
            .map_err(|error| refuse(&error))?;
        if self.mode == Mode::Frozen {
            ruling.pin(item, Rule::Freeze);
        }
        let deadline_ms = request.deadline_ms.or(self.settings.config.prices.deadline_ms);
        let late = |ms| arrival.since.elapsed() > Duration::from_millis(u64::from(ms));
        let question = Question {
            item,
            width: self.bundle.manifest().rungs,
            observation: Observation {
                item: ask.item,
                features: &features,
            },
            mode: self.mode,
            hurry: deadline_ms.is_some_and(late),
            own: request.own_minor,
            uniform,
        };
        let decision = decide(self.bundle.as_ref(), ruling.mask, ruling.frozen, &question);
        let governed = self.settings.governed && decision.source != Source::Caller;
        Ok(Made {
            binding: governed
                .then(|| ruling.binding(item, usize::from(decision.rung)))
                .flatten(),
            shadow: self.beside(&question, &ruling),
            ask,
            view,
            features,
            ruling,
            decision,
        })
    }

    /// What the other policy would have done, in the mode `shadow`; nothing where it has no answer.
    fn beside(&self, question: &Question<'_>, ruling: &Ruling) -> Option<ShadowRecord> {
        let shadow = self.shadow.as_ref().filter(|_| self.mode == Mode::Shadow)?;
        let pmf = shadow.pmf(question.observation, ruling.mask).ok()?;
        Some(ShadowRecord {
            policy: shadow.digest(),
            rung: pmf.draw(question.uniform).rung as u8, // ladders have at most 64 rungs
            pmf,
        })
    }

    fn record(
        &self,
        id: String,
        request: &PriceRequest,
        fingerprint: u64,
        made: &Made,
        now_s: i64,
    ) -> DecisionRecord {
        let Made {
            ask, view, decision, ..
        } = made;
        let catalog = self.market.catalog();
        let (category, _) = catalog.place(ask.item);
        let item: &Item = &catalog.items()[ask.item];
        let named = |(item, entry): &(usize, ShelfEntry)| (catalog.items()[*item].id.clone(), *entry);
        let policy = self.bundle.digest();
        let lowest = |channel: &String| self.market.lowest(ask.item, channel, now_s);
        DecisionRecord {
            offer: Offer {
                category: catalog.categories()[category].name.clone(),
                item: item.id.clone(),
                time_s: view.context.time_s,
                price_minor: decision.price,
                posted_minor: view.posted(),
                units: 0,
                value_minor: 0,
                censored: false,
                session: ask.session.clone(),
                user: ask.user.clone(),
                logged: Some(Logged {
                    decision: DecisionId(id),
                    policy,
                    mask: decision.mask,
                    pmf: decision.pmf.clone(),
                    rung: decision.rung,
                    features: made.features.to_vec(),
                }),
            },
            context: view.context,
            shelf: view.news().iter().map(named).collect(),
            explored: decision.explored,
            trail: made.ruling.trail.clone(),
            binding: made.binding,
            governed: self.settings.governed,
            source: decision.source,
            decided_s: now_s,
            request: fingerprint,
            channel: ask.channel.clone(),
            segment: ask.segment.clone(),
            lowest_minor: ask.channel.as_ref().and_then(lowest),
            personal: decision.source == Source::Policy && self.personal(ask, view),
            deferred: request.defer,
            terms: self.settings.terms(policy),
            shadow: made.shadow.clone(),
        }
    }

    /// Whether personal data could move the price: the policy looks at its observation, and there is some in it; or a
    /// corridor looks at the session's segment.
    fn personal(&self, ask: &Ask, view: &View) -> bool {
        let looks = !matches!(self.bundle.policy(), PolicyKind::Fixed(_));
        let corridor = ask.segment.is_some() && self.settings.rules[ask.item].corridor.is_some();
        corridor || looks && view.personal()
    }

    /// Takes a decision into memory, now or at a restart.
    pub fn decided(&mut self, record: &DecisionRecord, ask: &Ask, number: u64) {
        if !record.deferred {
            self.market
                .on_shown(ask, record.offer.price_minor, record.repeats(), record.decided_s);
        }
        for reward in self.ledger.decide(record, ask.item, number) {
            self.rewarded(&reward);
        }
    }

    /// The same decision again, if it is the same request.
    fn again(&self, known: &Known, id: &str, fingerprint: u64) -> Result<PriceReply, Refusal> {
        if known.request == fingerprint {
            return Ok(known.reply(id, self.ledger.policy(known)));
        }
        let item = &self.market.catalog().items()[known.item as usize].id;
        let message = format!(
            "decision {id} answers another request, for item `{item}` in session `{}`",
            known.session
        );
        Err(Refusal::new(Code::Conflict, message))
    }

    fn answer(&self, record: &DecisionRecord, logged: bool) -> PriceReply {
        let draw = record.offer.logged.as_ref();
        PriceReply {
            decision: draw.map(|draw| draw.decision.0.clone()).unwrap_or_default(),
            price_minor: record.offer.price_minor,
            rung: draw.map(|draw| draw.rung).unwrap_or_default(),
            propensity: record.propensity(),
            policy: self.bundle.digest(),
            explored: record.explored,
            rules: record.trail.iter().map(|step| step.rule).collect(),
            binding: record.binding,
            trail: if record.governed {
                record.trail.clone()
            } else {
                Vec::new()
            },
            source: record.source,
            deferred: record.deferred,
            lowest_30d_minor: record.lowest_minor,
            personal_data_used: record.personal,
            disclosure: record.personal.then(|| DISCLOSURE.to_owned()),
            logged,
        }
    }
}

fn new_id() -> String {
    uuid::Uuid::now_v7().hyphenated().to_string()
}

fn refuse(error: &GuardrailError) -> Refusal {
    let code = match error {
        GuardrailError::FloorAboveCeiling { .. } => Code::PriceFloorAboveCeiling,
        GuardrailError::NothingAllowed { .. } => Code::NothingAllowed,
    };
    Refusal::new(code, error.to_string())
}
