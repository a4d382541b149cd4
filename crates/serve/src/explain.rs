use crate::asked::{Asked, taught_again};
use crate::decide::{Mode, Question, Source, decide};
use crate::engine::Engine;
use crate::record::{DecisionRecord, Record};
use crate::refusal::{Code, Refusal};
use crate::shapley::{Contribution, contributions};
use crate::swap::settled;
use haggle_core::{Digest, Item, Mask, Observation, Policy, PriceMinor, Rule, Step};
use haggle_policy::Bundle;
use haggle_policy::bandit::{ItemBandit, Stock};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Ladder prices that a card shows on either side of the price.
const NEIGHBOURS: usize = 2;

/// Why a price is what it is, for the one who answers for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// The decision.
    pub decision: String,
    /// Its item.
    pub item: String,
    /// The price.
    pub price_minor: PriceMinor,
    /// The item's base price: contributions add up to the difference from it.
    pub base_minor: PriceMinor,
    /// What the shop would have posted without haggle, as far as it was told.
    pub posted_minor: PriceMinor,
    /// One sentence.
    pub why: String,
    /// The price and its nearest neighbours on the ladder, lowest first.
    pub ladder: Vec<LadderPrice>,
    /// The rules that took prices away, and how many each left.
    pub trail: Vec<Step>,
    /// The rule that the price stands at; only where the shop has a rulebook.
    pub binding: Option<Rule>,
    /// Who set the price.
    pub source: Source,
    /// Whether another price was more probable.
    pub explored: bool,
    /// The probability with which it was chosen.
    pub propensity: f64,
    /// The mean price of the distribution that it was drawn from, in minor units.
    pub mean_minor: f64,
    /// What moved the price away from the base price, in minor units, largest first.
    pub contributions: Vec<Contribution>,
    /// The policy.
    pub policy: Digest,
    /// The run that made the policy.
    pub run: String,
    /// How long the policy had been served when the decision was made, in seconds.
    pub policy_age_s: i64,
    /// What the policy has learnt from, by name.
    pub data: Vec<String>,
    /// How long ago the decision was made, in seconds.
    pub age_s: i64,
    /// Whether the decision was made again from its record and came out the same, to the last bit.
    pub replayed: bool,
}

/// One price of a ladder, as its policy saw it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LadderPrice {
    /// The rung.
    pub rung: usize,
    /// The price.
    pub price_minor: PriceMinor,
    /// Whether the rules allowed it.
    pub allowed: bool,
    /// The probability that it had. What it would have earned no bundle says, so nothing is told of it.
    pub probability: f64,
}

impl Engine {
    /// Explains a decision, and makes it again from its record. Blocks until the record is on disk.
    ///
    /// # Errors
    /// When no decision has that id, or its record or its policy cannot be read.
    pub fn explain(&self, decision: &str, now_s: i64) -> Result<Card, Refusal> {
        let number = {
            let mut core = self.lock();
            self.recall(&mut core, decision)?;
            let known = core.ledger.find(decision);
            known.ok_or_else(|| Refusal::unknown_decision(decision))?.record
        };
        settled(self.committer.push_with_ticket(None).blocking_recv())?;
        let record = self.reader.get(number);
        let record = record.map_err(|error| Refusal::of(Code::StoreFailed, &error))?;
        let named = |record: &DecisionRecord| {
            record
                .offer
                .logged
                .as_ref()
                .is_some_and(|draw| draw.decision.0 == decision)
        };
        let Some(Record::Decision(record)) =
            record.filter(|record| matches!(record, Record::Decision(record) if named(record)))
        else {
            let message = format!(
                "the record of decision {decision} is no longer in the journal: it was erased, or is older than the store keeps records"
            );
            return Err(Refusal::new(Code::Forgotten, message));
        };
        self.card(&record, now_s)
    }

    fn card(&self, record: &DecisionRecord, now_s: i64) -> Result<Card, Refusal> {
        let offer = &record.offer;
        let forgotten = |what: String| Refusal::new(Code::Forgotten, what);
        let draw = offer.logged.as_ref();
        let draw = draw.ok_or_else(|| forgotten("the record has no draw".to_owned()))?;
        let bundle = self.bundle(draw.policy)?;
        let catalog = &bundle.terms().catalog;
        let number = catalog.find(&offer.item);
        let number = number.ok_or_else(|| forgotten(format!("its policy has no item `{}`", offer.item)))?;
        let bandit = self.bandit_then(&bundle, number, record)?;
        let asked = Asked {
            bundle: &bundle,
            number,
            bandit: bandit.as_ref(),
        };
        let item = asked.item();
        let provenance = &bundle.terms().provenance;
        let uniform = self.draws.uniform_of(draw.decision.0.as_bytes());
        let mean_minor = draw.pmf.mean(|rung| item.ladder.price(rung).as_f64());
        Ok(Card {
            decision: draw.decision.0.clone(),
            item: offer.item.clone(),
            price_minor: offer.price_minor,
            base_minor: item.base_minor,
            posted_minor: offer.posted_minor,
            why: why(record, item, draw.mask),
            ladder: neighbours(item, usize::from(draw.rung), draw.mask, draw.pmf.probabilities()),
            trail: record.trail.clone(),
            binding: record.binding,
            source: record.source,
            explored: record.explored,
            propensity: record.propensity(),
            mean_minor,
            contributions: contributions(asked, record, draw),
            policy: draw.policy,
            run: provenance.run.clone(),
            policy_age_s: record.decided_s - self.served_since(draw.policy, record.decided_s),
            data: provenance.data.iter().map(|source| source.name.clone()).collect(),
            age_s: now_s - record.decided_s,
            replayed: replays(asked, record, uniform),
        })
    }

    /// The bandit of a decision's item, as it was then; none where no bandit was asked, or it cannot be had any more.
    fn bandit_then(
        &self,
        bundle: &Bundle,
        number: usize,
        record: &DecisionRecord,
    ) -> Result<Option<ItemBandit>, Refusal> {
        let Some(state) = record.state else {
            return Ok(None);
        };
        let desk = Arc::clone(&self.lock().desk);
        let now = desk
            .lock()
            .bandit(bundle.digest(), number, record.segment.as_deref());
        let then = if now.as_ref().is_some_and(|bandit| bandit.state() == state) {
            now
        } else {
            taught_again(&self.reader, &self.bundles, bundle, number, record, state)
                .map_err(|error| Refusal::of(Code::StoreFailed, &error))?
        };
        let told = record.stock.map(|stock| stock.told);
        Ok(then.map(|bandit| bandit.facing(told)))
    }

    /// Since when a policy had been served at a time.
    fn served_since(&self, policy: Digest, at_s: i64) -> i64 {
        let core = self.lock();
        let mut spans = core.served.iter().rev();
        let span = spans.find(|(digest, since_s)| *digest == policy && *since_s <= at_s);
        span.map_or(at_s, |(_, since_s)| *since_s)
    }

    /// The bundle of that digest: the served one, or one that was served before.
    fn bundle(&self, digest: Digest) -> Result<Arc<Bundle>, Refusal> {
        let served = self.lock().bundle.clone();
        if served.digest() == digest {
            return Ok(served);
        }
        let kept = self.bundles.load(digest);
        kept.map(Arc::new)
            .map_err(|error| Refusal::of(Code::Forgotten, &error))
    }
}

/// Whether the decision comes out the same when it is made again.
fn replays(asked: Asked<'_>, record: &DecisionRecord, uniform: f64) -> bool {
    let Some(draw) = &record.offer.logged else {
        return false;
    };
    let question = Question {
        item: asked.item(),
        width: asked.bundle.manifest().rungs,
        observation: Observation {
            item: asked.number,
            features: &draw.features,
        },
        mode: match record.source {
            Source::Caller => Mode::Apprentice,
            Source::Static => Mode::Frozen,
            Source::Policy | Source::PolicyError | Source::Deadline | Source::Holdout => Mode::Live,
        },
        held_out: record.source == Source::Holdout,
        hurry: record.source == Source::Deadline,
        own: Some(record.offer.price_minor),
        uniform,
    };
    let again = decide(asked.policy(), draw.mask, false, &question);
    let bits = |pmf: &[f64]| -> Vec<u64> { pmf.iter().map(|p| p.to_bits()).collect() };
    (again.price, again.rung) == (record.offer.price_minor, draw.rung)
        && bits(again.pmf.probabilities()) == bits(draw.pmf.probabilities())
}

fn neighbours(item: &Item, rung: usize, mask: Mask, pmf: &[f64]) -> Vec<LadderPrice> {
    let last = item.ladder.rungs() - 1;
    let shown = rung.saturating_sub(NEIGHBOURS)..=(rung + NEIGHBOURS).min(last);
    let of = |rung| LadderPrice {
        rung,
        price_minor: item.ladder.price(rung),
        allowed: mask.allows(rung),
        probability: pmf.get(rung).copied().unwrap_or(0.0),
    };
    shown.map(of).collect()
}

fn why(record: &DecisionRecord, item: &Item, mask: Mask) -> String {
    let (price, base) = (record.offer.price_minor, item.base_minor);
    let percent = 100.0 * record.propensity();
    let allowed = mask.count();
    let said = match record.source {
        Source::Policy if allowed == 1 => format!("{price} is the only allowed price"),
        Source::Policy if record.explored => {
            format!(
                "{price} is a trial: the policy gave it {percent:.1} % among {allowed} allowed prices, and another one more"
            )
        }
        Source::Policy => {
            format!("the policy finds {price} best among {allowed} allowed prices, with {percent:.1} %")
        }
        Source::Static => {
            format!("{price} is the allowed price nearest to the base price {base}: the policy is not asked")
        }
        Source::PolicyError => {
            format!("{price} is the fallback, nearest to the base price {base}: the policy had no answer")
        }
        Source::Deadline => {
            format!("{price} is the fallback, nearest to the base price {base}: the deadline had passed")
        }
        Source::Caller => format!("{price} is the caller's own price; the policy only watched"),
        Source::Holdout if record.repeats() => {
            format!("{price} is what the session was told before; by now the user is held out")
        }
        Source::Holdout => {
            format!("{price} is the allowed price nearest to the base price {base}: the user is held out")
        }
    };
    let stock = record.stock.filter(|stock| stock.minded).map(|stock| stock.told);
    let stock = stock.map(|told| {
        let Stock {
            units_left,
            visits_left,
        } = told;
        format!("; {units_left} units are left for {visits_left} visits")
    });
    let rule = record.binding;
    let rule = rule.map(|rule| format!("; the rule `{rule}` holds it there"));
    said + &stock.unwrap_or_default() + &rule.unwrap_or_default()
}
