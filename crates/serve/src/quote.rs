use crate::committer::Ticket;
use crate::decide::Source;
use crate::engine::{Core, Engine};
use crate::health::Health;
use crate::known::Known;
use crate::price_request::{LogMode, PriceRequest};
use crate::record::{DecisionRecord, Record};
use crate::refusal::{Code, Refusal};
use crate::reply::{DISCLOSURE, PriceReply};
use crate::view::Ask;
use haggle_core::Policy;
use std::time::Instant;

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

/// A sound request with its decision's id, and the number that draws its price.
struct Numbered {
    request: PriceRequest,
    id: String,
    uniform: f64,
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
    pub fn quote(&self, request: PriceRequest, arrival: Arrival) -> Result<Quote, Refusal> {
        let numbered = self.number(request)?;
        self.answer(&mut self.lock(), numbered, arrival)
    }

    /// Answers price requests that came together, one after another: the lock is taken once for all of them.
    pub fn quotes(
        &self,
        requests: impl Iterator<Item = PriceRequest>,
        arrival: Arrival,
    ) -> Vec<Result<Quote, Refusal>> {
        let numbered: Vec<_> = requests.map(|request| self.number(request)).collect();
        let mut core = self.lock();
        let mut answer = |numbered| self.answer(&mut core, numbered, arrival);
        numbered
            .into_iter()
            .map(|numbered| numbered.and_then(&mut answer))
            .collect()
    }

    /// Everything that needs no lock.
    fn number(&self, request: PriceRequest) -> Result<Numbered, Refusal> {
        request.check()?;
        let id = request.decision.clone().unwrap_or_else(new_id);
        let uniform = self.draws.uniform_of(id.as_bytes());
        Ok(Numbered { request, id, uniform })
    }

    fn answer(&self, core: &mut Core, numbered: Numbered, arrival: Arrival) -> Result<Quote, Refusal> {
        let Numbered {
            mut request,
            id,
            uniform,
        } = numbered;
        let segment = core.settings.shield(&mut request)?;
        let mut fingerprint = 0;
        if request.decision.is_some() {
            fingerprint = request.fingerprint();
            self.recall(core, &id)?;
            if let Some(known) = core.ledger.find(&id) {
                let reply = core.again(known, &id, fingerprint)?;
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
        let lot = self.arms.draw(core, &ask);
        let made = core.make(lot, ask, &request, arrival, uniform)?;
        core.since_start.fallbacks += u64::from(matches!(
            made.decision.source,
            Source::PolicyError | Source::Deadline
        ));
        let (record, ask, view) = core.record(id, &request, fingerprint, made, arrival.now_s);
        let reply = core.reply(&record, logged);
        let mut ticket = None;
        if logged {
            core.market.keep(&ask.session, view);
            let number = core.ledger.next;
            core.decided(&record, &ask, number);
            let record = Record::Decision(Box::new(record));
            if request.log == LogMode::Sync {
                ticket = Some(self.write_with_ticket(core, record));
            } else {
                self.write(core, record);
            }
        } else {
            core.since_start.unlogged += 1;
        }
        Ok(Quote { reply, ticket })
    }
}

impl Core {
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
            "decision {id} answers another request, for item `{item}` in session `{}`; where these are the same, something else differs: user, context, bounds, stock or another field",
            known.session
        );
        Err(Refusal::new(Code::Conflict, message))
    }

    fn reply(&self, record: &DecisionRecord, logged: bool) -> PriceReply {
        let draw = record.offer.logged.as_ref();
        PriceReply {
            decision: draw.map(|draw| draw.decision.0.clone()).unwrap_or_default(),
            price_minor: record.offer.price_minor,
            rung: draw.map(|draw| draw.rung).unwrap_or_default(),
            propensity: record.propensity(),
            policy: draw.map_or_else(|| self.bundle.digest(), |draw| draw.policy),
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
            stock_minded: record.stock.map(|stock| stock.minded),
            personal_data_used: record.personal,
            disclosure: record.personal.then(|| DISCLOSURE.to_owned()),
            logged,
        }
    }
}

fn new_id() -> String {
    uuid::Uuid::now_v7().hyphenated().to_string()
}
