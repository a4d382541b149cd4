use crate::decide::Source;
use crate::protocol::REWARDS_MAX;
use crate::record::DecisionRecord;
use crate::reply::{DISCLOSURE, PriceReply, Stage};
use haggle_core::{Digest, PriceMinor, RewardTerms, Rule, Step};
use serde::{Deserialize, Serialize};

/// What is known of one decision without asking the disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// The session that was shown the price.
    pub session: Box<str>,
    /// The user behind it.
    pub user: Option<Box<str>>,
    /// Global number of the item.
    pub item: u32,
    /// The price.
    pub price: PriceMinor,
    /// What it earned.
    pub parts: Vec<Part>,
    /// Where it stands.
    pub stage: Stage,
    /// When its window closes: seconds since 1970, by the daemon's clock.
    pub due_s: i64,
    /// How long rewards are waited for, and what they come to.
    pub terms: RewardTerms,
    /// Fingerprint of the request; 0 where the daemon named the decision.
    pub request: u64,
    /// Number of its record in the journal.
    pub record: u64,
    /// Place of the policy's digest in the ledger.
    pub policy: u32,
    /// Number of the record that changed it last, while it is in memory; 0 for one that was only looked up.
    #[serde(skip)]
    pub touched: u64,
    /// For a deferred decision: the segment and the channel that it will be shown to.
    pub deferred: Option<Box<(Option<String>, Option<String>)>>,
    propensity: f64,
    rung: u8,
    explored: bool,
    governed: bool,
    personal: bool,
    source: Source,
    binding: Option<Rule>,
    lowest_minor: Option<PriceMinor>,
    stock_minded: Option<bool>,
    trail: Box<[Step]>,
}

/// One reward of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The client's name for it.
    pub reward_id: Box<str>,
    /// Minor units of money.
    pub value_minor: i64,
    /// Units bought.
    pub units: u32,
    /// It came after the window had closed.
    pub late: bool,
    /// Taken in, but the disk refused it: a retry is written again.
    pub refused: bool,
}

impl Known {
    /// Whether it takes no reward of another id than those that it has.
    #[must_use]
    pub fn is_full_for(&self, reward_id: &str) -> bool {
        self.parts.len() >= REWARDS_MAX && !self.parts.iter().any(|part| *part.reward_id == *reward_id)
    }

    /// What a record says; `item` is its global number, `policy` the place of its digest, `number` that of the record.
    /// Nothing for a record without a draw, which is no decision.
    #[must_use]
    pub fn of(record: &DecisionRecord, item: usize, policy: u32, number: u64) -> Option<Self> {
        let offer = &record.offer;
        let logged = offer.logged.as_ref()?;
        let stage = if record.deferred {
            Stage::Pending
        } else {
            Stage::Open
        };
        Some(Self {
            session: offer.session.as_str().into(),
            user: offer.user.as_deref().map(Into::into),
            item: item as u32,
            price: offer.price_minor,
            parts: Vec::new(),
            stage,
            due_s: record.decided_s.saturating_add(i64::from(record.terms.window_s)),
            terms: record.terms,
            request: record.request,
            record: number,
            policy,
            touched: number,
            deferred: record
                .deferred
                .then(|| Box::new((record.segment.clone(), record.channel.clone()))),
            propensity: record.propensity(),
            rung: logged.rung,
            explored: record.explored,
            governed: record.governed,
            personal: record.personal,
            source: record.source,
            binding: record.binding,
            lowest_minor: record.lowest_minor,
            stock_minded: record.stock.map(|stock| stock.minded),
            trail: record.trail.as_slice().into(),
        })
    }

    /// Whether nothing more is waited for; only a late reward can still change it.
    #[must_use]
    pub fn settled(&self) -> bool {
        !matches!(self.stage, Stage::Pending | Stage::Open)
    }

    /// The rewards that count.
    pub fn counting(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(|part| !part.refused)
    }

    /// What the rewards that count come to: value in minor units, and units. A decision without one has earned nothing as
    /// long as it is waited for, then its default reward.
    #[must_use]
    pub fn earned(&self) -> (i64, u32) {
        let mut parts = self
            .counting()
            .map(|part| (part.value_minor, part.units))
            .peekable();
        match self.stage {
            Stage::Pending | Stage::Open if parts.peek().is_none() => (0, 0),
            Stage::Lapsed | Stage::Cancelled => (0, 0),
            Stage::Pending | Stage::Open | Stage::Closed => self.terms.join(parts),
        }
    }

    /// Whether its policy answers for its price: drawn from it, or the fallback because it had no answer in time.
    #[must_use]
    pub fn is_by_policy(&self) -> bool {
        matches!(
            self.source,
            Source::Policy | Source::PolicyError | Source::Deadline
        )
    }

    /// Whether its user was held out.
    #[must_use]
    pub fn is_held_out(&self) -> bool {
        self.source == Source::Holdout
    }

    /// What it had earned by the time its window had closed, in minor units. Nothing for a decision that was never shown.
    #[must_use]
    pub fn value_in_time(&self) -> Option<i64> {
        Some(self.terms.join(self.parts_in_time()?).0)
    }

    /// The units that it sold by the time its window had closed: where rewards name none but are worth something, one.
    /// Nothing for a decision that was never shown.
    #[must_use]
    pub fn units_in_time(&self) -> Option<u32> {
        let parts = self.parts_in_time()?;
        // A default reward is no sale.
        if parts.is_empty() {
            return Some(0);
        }
        match self.terms.join(parts) {
            (1.., 0) => Some(1),
            (_, units) => Some(units),
        }
    }

    /// Value and units of each reward that came in time; nothing for a decision that was never shown.
    fn parts_in_time(&self) -> Option<Vec<(i64, u32)>> {
        let shown = matches!(self.stage, Stage::Open | Stage::Closed);
        let in_time = self.counting().filter(|part| !part.late);
        let parts = in_time.map(|part| (part.value_minor, part.units));
        shown.then(|| parts.collect())
    }

    /// The answer that the decision was given, and is given again.
    #[must_use]
    pub fn reply(&self, id: &str, policy: Digest) -> PriceReply {
        PriceReply {
            decision: id.to_owned(),
            price_minor: self.price,
            rung: self.rung,
            propensity: self.propensity,
            policy,
            explored: self.explored,
            rules: self.trail.iter().map(|step| step.rule).collect(),
            binding: self.binding,
            trail: if self.governed {
                self.trail.to_vec()
            } else {
                Vec::new()
            },
            source: self.source,
            deferred: self.deferred.is_some(),
            lowest_30d_minor: self.lowest_minor,
            stock_minded: self.stock_minded,
            personal_data_used: self.personal,
            disclosure: self.personal.then(|| DISCLOSURE.to_owned()),
            logged: true,
        }
    }
}
