//! What the rules leave of a ladder, and which rule took what.

#[cfg(test)]
mod tests;

use crate::{Bounds, GuardrailError, Guardrails, Item, ItemRules, LADDER_RUNGS_MAX, Mask, PriceMinor, Rule};
use serde::{Deserialize, Serialize};

/// What has been shown before, as far as rules look at it. Whatever is unknown binds nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// The price that stood when the period of the change limit began.
    pub stood: Option<PriceMinor>,
    /// The lowest and the highest of the other segments' last prices.
    pub others: Option<(PriceMinor, PriceMinor)>,
    /// The price that this session has put into its cart.
    pub carted: Option<PriceMinor>,
    /// The price that this session was shown, while it is to stay the same.
    pub told: Option<PriceMinor>,
}

/// A rule that took something away, or `sticky` where nothing but the price to keep was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The rule.
    pub rule: Rule,
    /// How many rungs it left.
    pub left: u8,
}

/// What the rules leave.
#[derive(Clone, Debug, PartialEq)]
pub struct Ruling {
    /// The allowed rungs.
    pub mask: Mask,
    /// The rules that took something away, in the order in which they were applied.
    pub trail: Vec<Step>,
    /// Whether a rule keeps the item at its base price: no policy is to be asked.
    pub frozen: bool,
    /// For each rung the rule that took it.
    taken_by: [Option<Rule>; LADDER_RUNGS_MAX],
}

/// Prices and limits are compared in minor units; a millionth of one is rounding.
const SLACK_MINOR: f64 = 1e-6;

impl Ruling {
    /// Applies all rules to the ladder of an item: first the hard ones (support, margin, floor, ceiling), then the others in
    /// their order, as [`Rule`] says it. Where one of those would leave nothing, it leaves the rung nearest to what it asks for;
    /// endings, which ask for no place, are passed over.
    ///
    /// # Errors
    /// When a floor is above a ceiling, or the hard rules leave nothing.
    pub fn of(
        item: &Item,
        standing: &Guardrails,
        rules: &ItemRules,
        past: &Past,
        request: &Bounds,
    ) -> Result<Self, GuardrailError> {
        let bounds = rules.bounds(request);
        if let (Some(floor), Some(ceiling)) = (bounds.floor_minor, bounds.ceiling_minor)
            && floor > ceiling
        {
            let item = item.id.clone();
            return Err(GuardrailError::FloorAboveCeiling { item, floor, ceiling });
        }
        let mut court = Self {
            mask: Mask::all(item.ladder.rungs()),
            trail: Vec::new(),
            frozen: false,
            taken_by: [None; LADDER_RUNGS_MAX],
        };
        court.hard_rules(
            item,
            standing.margin_min.max(rules.margin_min.unwrap_or(0.0)),
            &bounds,
        )?;
        if let Some(carted) = past.carted {
            court.keep_within(item, Rule::Cart, 0.0, carted.as_f64());
        }
        court.static_rules(item, rules, &bounds);
        court.rules_of_the_past(item, rules, past);
        if let Some(endings) = rules.endings.as_deref().filter(|endings| !endings.is_empty()) {
            let fits = |price| endings.iter().any(|ending| ending.fits(price));
            let allowed = item.ladder.mask_where(fits);
            if !court.mask.and(allowed).is_empty() {
                court.keep(Rule::Ending, allowed);
            }
        }
        Ok(court)
    }

    /// Leaves the rung nearest to the item's base price.
    fn pin(&mut self, item: &Item, rule: Rule) {
        self.frozen = true;
        let base = f64::from(item.base_minor.0);
        self.keep_within(item, rule, base, base);
    }

    /// The rule that a price stands at: the one that took the next higher rung of another price, else the next lower one.
    #[must_use]
    pub fn binding(&self, item: &Item, rung: usize) -> Option<Rule> {
        let price = item.ladder.price(rung);
        let mut above = (rung + 1..item.ladder.rungs()).filter(|other| item.ladder.price(*other) > price);
        let mut below = (0..rung).rev().filter(|other| item.ladder.price(*other) < price);
        let taker = |rung: usize| self.taken_by[rung];
        above
            .next()
            .and_then(taker)
            .or_else(|| below.next().and_then(taker))
    }

    fn hard_rules(&mut self, item: &Item, margin_min: f64, bounds: &Bounds) -> Result<(), GuardrailError> {
        let ladder = &item.ladder;
        self.hard(item, Rule::Support, item.supported())?;
        if let Some(cost) = item.cost_minor {
            let least = cost.as_f64() / (1.0 - margin_min);
            let allowed = ladder.mask_where(|price| price.as_f64() >= least - SLACK_MINOR);
            self.hard(item, Rule::Margin, allowed)?;
        }
        if let Some(floor) = bounds.floor_minor {
            self.hard(item, Rule::Floor, ladder.mask_where(|price| price >= floor))?;
        }
        if let Some(ceiling) = bounds.ceiling_minor {
            self.hard(item, Rule::Ceiling, ladder.mask_where(|price| price <= ceiling))?;
        }
        Ok(())
    }

    fn static_rules(&mut self, item: &Item, rules: &ItemRules, bounds: &Bounds) {
        if rules.mandatory && (bounds.floor_minor.is_none() || bounds.ceiling_minor.is_none()) {
            self.pin(item, Rule::NoBounds);
        }
        if rules.freeze == Some(true) {
            self.pin(item, Rule::Freeze);
        }
    }

    fn rules_of_the_past(&mut self, item: &Item, rules: &ItemRules, past: &Past) {
        if let (Some(corridor), Some((lowest, highest))) = (rules.corridor, past.others) {
            let width = 1.0 + corridor.share_max;
            self.keep_within(
                item,
                Rule::Corridor,
                highest.as_f64() / width,
                lowest.as_f64() * width,
            );
        }
        if let (Some(change), Some(stood)) = (rules.change, past.stood) {
            let step = stood.as_f64() * change.share_max;
            self.keep_within(item, Rule::Change, stood.as_f64() - step, stood.as_f64() + step);
        }
        if let Some(told) = past.told {
            self.keep_within(item, Rule::Sticky, told.as_f64(), told.as_f64());
            self.name_repeat(item, told);
        }
    }

    /// Where nothing but the session's price was left, `sticky` took nothing; the trail names it all the same, since it is by
    /// the trail that a repeated price is told from a new one.
    fn name_repeat(&mut self, item: &Item, told: PriceMinor) {
        let repeats = self.mask.count() == 1 && self.mask.iter().any(|rung| item.ladder.price(rung) == told);
        if repeats && self.trail.last().is_none_or(|step| step.rule != Rule::Sticky) {
            self.trail.push(Step {
                rule: Rule::Sticky,
                left: 1,
            });
        }
    }

    fn hard(&mut self, item: &Item, rule: Rule, allowed: Mask) -> Result<(), GuardrailError> {
        if self.mask.and(allowed).is_empty() {
            let ladder = &item.ladder;
            return Err(GuardrailError::NothingAllowed {
                item: item.id.clone(),
                lowest: ladder.price(0),
                highest: ladder.price(ladder.rungs() - 1),
                rule,
            });
        }
        self.keep(rule, allowed);
        Ok(())
    }

    /// Leaves the rungs from `low` to `high`, else the nearest one.
    fn keep_within(&mut self, item: &Item, rule: Rule, low: f64, high: f64) {
        let (low, high) = (low - SLACK_MINOR, high + SLACK_MINOR);
        let inside = |price: PriceMinor| (low..=high).contains(&price.as_f64());
        let mut allowed = item.ladder.mask_where(inside);
        if self.mask.and(allowed).is_empty() {
            let distance = |rung: &usize| {
                let price = item.ladder.price(*rung).as_f64();
                (low - price).max(price - high)
            };
            let nearest = self
                .mask
                .iter()
                .min_by(|a, b| distance(a).total_cmp(&distance(b)));
            allowed = nearest.map_or(self.mask, |rung| Mask::NONE.with(rung));
        }
        self.keep(rule, allowed);
    }

    fn keep(&mut self, rule: Rule, allowed: Mask) {
        let left = self.mask.and(allowed);
        if left == self.mask {
            return;
        }
        for rung in self.mask.iter().filter(|rung| !left.allows(*rung)) {
            self.taken_by[rung] = Some(rule);
        }
        self.mask = left;
        let left = left.count() as u8; // at most 64
        self.trail.push(Step { rule, left });
    }
}
