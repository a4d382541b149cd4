use crate::arms::Lot;
use crate::decide::{Decision, Mode, Question, Source, decide};
use crate::engine::Core;
use crate::price_request::{PriceRequest, ShelfNews};
use crate::quote::Arrival;
use crate::record::{DecisionRecord, ShadowRecord, StockRecord};
use crate::refusal::{Code, Refusal};
use crate::view::{Ask, View};
use haggle_core::{
    DecisionId, Digest, FEATURE_WIDTH, GuardrailError, Item, ItemRules, Logged, Observation, Offer, Policy,
    Rule, Ruling, ShelfEntry,
};
use haggle_policy::bandit::ItemBandit;
use haggle_policy::{Bundle, PolicyKind};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// One decision with all that it was made from.
pub(crate) struct Made {
    bundle: Arc<Bundle>,
    pub ask: Ask,
    pub view: View,
    features: [f32; FEATURE_WIDTH],
    ruling: Ruling,
    pub decision: Decision,
    binding: Option<Rule>,
    shadow: Option<ShadowRecord>,
    state: Option<Digest>,
    stock: Option<StockRecord>,
}

impl Core {
    /// The request in the catalogue's numbers. News of items that are not in the catalogue are passed over.
    pub fn ask(&self, request: &PriceRequest, segment: Option<String>, now_s: i64) -> Result<Ask, Refusal> {
        let catalog = self.market.catalog();
        let item = catalog.find(&request.item).ok_or_else(|| {
            let message = format!("item `{}` is not in the catalogue", request.item);
            Refusal::new(Code::UnknownItem, message)
        })?;
        if self.mode == Mode::Apprentice && request.own_minor.is_none() {
            let message = "in the mode apprentice a price request says `own_minor`, the caller's own price";
            return Err(Refusal::new(Code::BadRequest, message));
        }
        if request.stock.is_some_and(|stock| stock.units_left == 0) {
            let message = format!(
                "item `{}` is sold out (`stock.units_left` is 0): there is nothing to price; leave `stock` out to show a price all the same",
                request.item
            );
            return Err(Refusal::new(Code::SoldOut, message));
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
            stock: request.stock,
        })
    }

    /// Decides what was asked; changes nothing.
    pub fn make(
        &self,
        Lot { bundle, held_out }: Lot,
        ask: Ask,
        request: &PriceRequest,
        arrival: Arrival,
        uniform: f64,
    ) -> Result<Made, Refusal> {
        let view = self.market.look(&ask, arrival.now_s);
        let mut features = [0.0; FEATURE_WIDTH];
        self.market.encode(&view, &mut features);
        let terms = bundle.terms();
        let item = &terms.catalog.items()[ask.item];
        let rules = self.rules(ask.item);
        let mut past = self
            .market
            .past(&ask, &rules, self.settings.config.prices.sticky_s, arrival.now_s);
        // A caller's own price is a repeat where it is one: nothing keeps him to what the session was told.
        if let (Mode::Apprentice, Some(own)) = (self.mode, request.own_minor) {
            past.told = past.told.filter(|told| *told == own);
        }
        let ruling = Ruling::of(item, &terms.guardrails, &rules, &past, &request.bounds)
            .map_err(|error| refuse(&error))?;
        let deadline_ms = request.deadline_ms.or(self.settings.config.prices.deadline_ms);
        let late = |ms| arrival.since.elapsed() > Duration::from_millis(u64::from(ms));
        let question = Question {
            item,
            width: bundle.manifest().rungs,
            observation: Observation {
                item: ask.item,
                features: &features,
            },
            mode: self.mode,
            held_out,
            hurry: deadline_ms.is_some_and(late),
            own: request.own_minor,
            uniform,
        };
        let bandit = self.bandit(&bundle, &ask);
        let policy: &dyn Policy = bandit.as_ref().map_or(bundle.as_ref(), |bandit| bandit);
        let decision = decide(policy, ruling.mask, ruling.frozen, &question);
        let governed = self.settings.governed && decision.source != Source::Caller;
        // A price that is only repeated was made with an earlier stock in mind, or with none.
        let repeats = ruling.trail.iter().any(|step| step.rule == Rule::Sticky);
        let minds_stock = decision.source == Source::Policy
            && !repeats
            && bandit.as_ref().is_some_and(ItemBandit::minds_stock);
        Ok(Made {
            binding: governed
                .then(|| ruling.binding(item, usize::from(decision.rung)))
                .flatten(),
            shadow: self.beside(&question, &ruling, &ask),
            stock: ask.stock.map(|told| StockRecord {
                told,
                minded: minds_stock,
            }),
            state: bandit
                .filter(|_| matches!(decision.source, Source::Policy | Source::Caller))
                .map(|bandit| bandit.state()),
            bundle,
            ask,
            view,
            features,
            ruling,
            decision,
        })
    }

    /// The rules of an item as they hold now: the mode `frozen` freezes every item.
    fn rules(&self, item: usize) -> Cow<'_, ItemRules> {
        let rules = &self.settings.rules[item];
        match self.mode {
            Mode::Frozen => Cow::Owned(ItemRules {
                freeze: Some(true),
                ..rules.clone()
            }),
            Mode::Live | Mode::Apprentice | Mode::Shadow => Cow::Borrowed(rules),
        }
    }

    /// The bandit that a question is for, as it stands, where the bundle has bandits.
    fn bandit(&self, bundle: &Bundle, ask: &Ask) -> Option<ItemBandit> {
        match bundle.policy() {
            PolicyKind::Bandit(_) => {
                let lessons = self.desk.lock();
                let bandit = lessons.bandit(bundle.digest(), ask.item, ask.segment.as_deref());
                bandit.map(|bandit| bandit.facing(ask.stock))
            }
            PolicyKind::Mlp(_) | PolicyKind::Fixed(_) => None,
        }
    }

    /// What the other policy would have done, in the mode `shadow`; nothing where it has no answer.
    fn beside(&self, question: &Question<'_>, ruling: &Ruling, ask: &Ask) -> Option<ShadowRecord> {
        let shadow = self.shadow.as_ref().filter(|_| self.mode == Mode::Shadow)?;
        let bandit = self.bandit(shadow, ask);
        let policy: &dyn Policy = bandit.as_ref().map_or(shadow.as_ref(), |bandit| bandit);
        let pmf = policy.pmf(question.observation, ruling.mask).ok()?;
        Some(ShadowRecord {
            policy: shadow.digest(),
            rung: pmf.draw(question.uniform).rung as u8, // ladders have at most 64 rungs
            pmf,
        })
    }

    /// The decision as the journal has it, and what it was made from as far as the market still needs it.
    pub fn record(
        &self,
        id: String,
        request: &PriceRequest,
        fingerprint: u64,
        made: Made,
        now_s: i64,
    ) -> (DecisionRecord, Ask, View) {
        let personal = self.personal(&made);
        let Made {
            bundle,
            ask,
            view,
            features,
            ruling,
            decision,
            binding,
            shadow,
            state,
            stock,
        } = made;
        let catalog = self.market.catalog();
        let (category, _) = catalog.place(ask.item);
        let item: &Item = &catalog.items()[ask.item];
        let named = |(item, entry): &(usize, ShelfEntry)| (catalog.items()[*item].id.clone(), *entry);
        let policy = bundle.digest();
        let lowest = |channel: &String| self.market.lowest(ask.item, channel, now_s);
        let record = DecisionRecord {
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
                    pmf: decision.pmf,
                    rung: decision.rung,
                    features: features.to_vec(),
                }),
            },
            context: view.context,
            shelf: view.news().iter().map(named).collect(),
            explored: decision.explored,
            trail: ruling.trail,
            binding,
            governed: self.settings.governed,
            source: decision.source,
            decided_s: now_s,
            request: fingerprint,
            channel: ask.channel.clone(),
            segment: ask.segment.clone(),
            lowest_minor: ask.channel.as_ref().and_then(lowest),
            personal,
            deferred: request.defer,
            terms: self.settings.terms(policy),
            shadow,
            state,
            stock,
        };
        (record, ask, view)
    }

    /// Whether personal data could move the price: the policy looks at its observation, and there is some in it; or a
    /// corridor or a bandit looks at the session's segment. A price that nobody drew is moved by a corridor that took
    /// rungs, and by what moved the price that it repeats.
    fn personal(&self, made: &Made) -> bool {
        let Made {
            bundle, ask, view, ..
        } = made;
        let took = |rule| made.ruling.trail.iter().any(|step| step.rule == rule);
        match made.decision.source {
            Source::Caller => return false,
            Source::Policy => {}
            _ if took(Rule::Corridor) => return true,
            _ if took(Rule::Sticky) => {}
            _ => return false,
        }
        let segment = ask.segment.as_deref();
        let corridor = segment.is_some() && self.settings.rules[ask.item].corridor.is_some();
        let (looks, told_apart) = match bundle.policy() {
            PolicyKind::Mlp(_) => (true, false),
            PolicyKind::Fixed(_) => (false, false),
            PolicyKind::Bandit(bandits) => (
                bandits.are_personal(),
                segment.is_some_and(|segment| bandits.knows(segment)),
            ),
        };
        corridor || told_apart || looks && view.personal()
    }
}

fn refuse(error: &GuardrailError) -> Refusal {
    let code = match error {
        GuardrailError::FloorAboveCeiling { .. } => Code::PriceFloorAboveCeiling,
        GuardrailError::NothingAllowed { .. } => Code::NothingAllowed,
    };
    Refusal::new(code, error.to_string())
}
