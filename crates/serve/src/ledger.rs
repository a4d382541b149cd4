use crate::record::DecisionRecord;
use haggle_core::{Digest, PriceMinor, Reward, Rule};
use std::collections::HashMap;

/// Every decision by its id, with the rewards that count for it: the index over the journal, rebuilt at start.
#[derive(Debug, Default)]
pub struct Ledger {
    decisions: HashMap<Box<str>, Known>,
    policies: Vec<Digest>,
    /// Rewards that count; not those that the disk refused.
    pub rewards: u64,
}

/// What is known of one decision without asking the disk.
#[derive(Debug)]
pub struct Known {
    /// The session that was shown the price.
    pub session: Box<str>,
    /// The user behind it.
    pub user: Option<Box<str>>,
    /// Global number of the item.
    pub item: u32,
    /// The price.
    pub price: PriceMinor,
    /// Its propensity.
    pub propensity: f64,
    /// What it earned.
    pub parts: Vec<Part>,
    policy: u32,
    /// Its rung.
    pub rung: u8,
    /// Whether another rung was more probable.
    pub explored: bool,
    rules: u8,
}

/// One reward of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The client's name for it.
    pub reward_id: Box<str>,
    /// Minor units of money.
    pub value_minor: i64,
    /// Units bought.
    pub units: u32,
    /// Taken in, but the disk refused it: a retry is written again.
    pub refused: bool,
}

/// What becomes of a reward that comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Nobody made that decision.
    UnknownDecision,
    /// It counts from now on.
    New,
    /// It was taken in before, but could not be written: write it now.
    Retry,
    /// It counts already.
    Duplicate,
    /// The same id with another value counts already.
    Conflict,
}

const RULES: [Rule; 4] = [Rule::Support, Rule::Margin, Rule::Floor, Rule::Ceiling];

impl Ledger {
    /// The decision of that id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Known> {
        self.decisions.get(id)
    }

    /// How many decisions there are.
    #[must_use]
    pub fn decisions(&self) -> usize {
        self.decisions.len()
    }

    /// Takes a decision in; `item` is its global number. Records without a draw are no decisions and are passed over.
    pub fn decide(&mut self, record: &DecisionRecord, item: usize) {
        let offer = &record.offer;
        let Some(logged) = &offer.logged else {
            return;
        };
        let policy = self.policies.iter().rposition(|digest| *digest == logged.policy);
        let policy = policy.unwrap_or_else(|| {
            self.policies.push(logged.policy);
            self.policies.len() - 1
        });
        let bit = |rule: &Rule| RULES.iter().position(|other| other == rule).unwrap_or(0);
        let known = Known {
            session: offer.session.as_str().into(),
            user: offer.user.as_deref().map(Into::into),
            item: item as u32,
            price: offer.price_minor,
            propensity: logged.propensity(),
            parts: Vec::new(),
            policy: policy as u32,
            rung: logged.rung,
            explored: record.explored,
            rules: record.rules.iter().fold(0, |bits, rule| bits | 1 << bit(rule)),
        };
        self.decisions.insert(logged.decision.0.as_str().into(), known);
    }

    /// The policy that made a decision.
    #[must_use]
    pub fn policy(&self, known: &Known) -> Digest {
        self.policies[known.policy as usize]
    }

    /// Takes a reward in: `(decision, reward_id)` counts once.
    pub fn reward(&mut self, reward: &Reward) -> Entry {
        let Some(known) = self.decisions.get_mut(reward.decision.0.as_str()) else {
            return Entry::UnknownDecision;
        };
        let same = |part: &&mut Part| *part.reward_id == *reward.reward_id;
        if let Some(part) = known.parts.iter_mut().find(same) {
            let entry = match (part.value_minor, part.units) == (reward.value_minor, reward.units) {
                false => Entry::Conflict,
                true if part.refused => Entry::Retry,
                true => Entry::Duplicate,
            };
            if entry == Entry::Retry {
                part.refused = false;
                self.rewards += 1;
            }
            return entry;
        }
        known.parts.push(Part {
            reward_id: reward.reward_id.as_str().into(),
            value_minor: reward.value_minor,
            units: reward.units,
            refused: false,
        });
        self.rewards += 1;
        Entry::New
    }

    /// The disk refused a reward that was taken in: it does not count until it is written.
    pub fn refuse(&mut self, reward: &Reward) {
        let known = self.decisions.get_mut(reward.decision.0.as_str());
        let parts = known.into_iter().flat_map(|known| &mut known.parts);
        for part in parts.filter(|part| *part.reward_id == *reward.reward_id && !part.refused) {
            part.refused = true;
            self.rewards -= 1;
        }
    }
}

impl Known {
    /// The rewards that count.
    pub fn counting(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(|part| !part.refused)
    }

    /// The sums of the rewards that count: value in minor units, and units. Sums beyond the range stay at its end.
    #[must_use]
    pub fn earned(&self) -> (i64, u32) {
        self.counting().fold((0, 0), |(value, units): (i64, u32), part| {
            (
                value.saturating_add(part.value_minor),
                units.saturating_add(part.units),
            )
        })
    }

    /// The rules that took rungs away.
    #[must_use]
    pub fn rules(&self) -> Vec<Rule> {
        let set = |bit: &usize| self.rules >> bit & 1 == 1;
        (0..RULES.len()).filter(set).map(|bit| RULES[bit]).collect()
    }
}
