//! What moved a price away from the item's base price: exact Shapley values by groups of features.

use crate::asked::Asked;
use crate::decide::Source;
use crate::record::DecisionRecord;
use haggle_core::{FEATURE_NAMES, Logged, Mask, Observation, Policy};
use haggle_policy::bandit::ItemBandit;
use serde::{Deserialize, Serialize};

/// Groups of features, by the first part of their names. The rules are one more player of the game, and the stock is another
/// one where the policy minds it.
const GROUPS: [&str; 5] = ["session", "item", "shelf", "loyalty", "state"];
const RULES: usize = GROUPS.len();
const STOCK: usize = RULES + 1;

/// A part of the difference between a price and the base price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    /// `habit`: what the policy does on an average observation without rules. A group of features, `rules` or `stock`: its Shapley
    /// value for the mean price. `draw`: the drawn price less the mean price. Else who set the price instead of the policy; or
    /// `policy`, where a bandit cannot be asked any more as it was then.
    pub of: String,
    /// In minor units.
    pub minor: f64,
}

/// What moved the price of a decision away from the base price; the parts add up to the difference.
///
/// The value of a coalition is the mean price of the policy's distribution, where features of absent groups are replaced by
/// the mean observation of the policy's training (what is usual for a bandit), absent rules by those of the log's support, and an absent stock by plenty. The Shapley value of a
/// player is its marginal value, averaged over all orders of arrival (Shapley 1953).
#[must_use]
pub fn contributions(asked: Asked<'_>, record: &DecisionRecord, draw: &Logged) -> Vec<Contribution> {
    let item = asked.item();
    let (price, base) = (record.offer.price_minor.as_f64(), item.base_minor.as_f64());
    let instead = match record.source {
        Source::Policy => None,
        Source::Static | Source::Holdout => Some("static"),
        Source::PolicyError | Source::Deadline => Some("fallback"),
        Source::Caller => Some("caller"),
    };
    let part = |of: &str, minor| Contribution {
        of: of.to_owned(),
        minor,
    };
    let average = asked.average();
    let mean = |coalition| mean_price(asked, &average, draw, coalition);
    let minded = asked.bandit.is_some_and(ItemBandit::minds_stock);
    let mut players: Vec<&str> = GROUPS.into_iter().chain(["rules"]).collect();
    players.extend(minded.then_some("stock"));
    let values: Option<Vec<f64>> = (0..1 << players.len()).map(mean).collect();
    let (Some(values), None) = (values, instead) else {
        return vec![part(instead.unwrap_or("policy"), price - base)];
    };
    let mut parts = vec![part("habit", values[0] - base)];
    for (player, name) in players.into_iter().enumerate() {
        parts.push(part(name, shapley(&values, player)));
    }
    parts.push(part("draw", price - values[values.len() - 1]));
    parts.sort_by(|a, b| b.minor.abs().total_cmp(&a.minor.abs()));
    parts
}

/// The mean price when only a coalition (one bit per player) is there; nothing where the policy has no answer.
fn mean_price(asked: Asked<'_>, average: &[f32], draw: &Logged, coalition: usize) -> Option<f64> {
    let item = asked.item();
    let there = |feature: usize| {
        let group = FEATURE_NAMES[feature].split('.').next();
        let player = GROUPS.iter().position(|name| Some(*name) == group);
        player.is_none_or(|player| coalition >> player & 1 == 1)
    };
    let value = |feature: usize| {
        if there(feature) {
            draw.features[feature]
        } else {
            average[feature]
        }
    };
    let features: Vec<f32> = (0..draw.features.len().min(average.len())).map(value).collect();
    let mask: Mask = if coalition >> RULES & 1 == 1 {
        draw.mask
    } else {
        item.supported()
    };
    let observation = Observation {
        item: asked.number,
        features: &features,
    };
    let of_plenty = asked.bandit.filter(|_| coalition >> STOCK & 1 == 0);
    let of_plenty = of_plenty.map(|bandit| bandit.clone().facing(None));
    let policy: &dyn Policy = match &of_plenty {
        Some(bandit) => bandit,
        None => asked.policy(),
    };
    let pmf = policy.pmf(observation, mask).ok()?;
    Some(pmf.mean(|rung| item.ladder.price(rung).as_f64()))
}

/// The Shapley value of a player, from the values of all coalitions.
fn shapley(values: &[f64], player: usize) -> f64 {
    let factorial = |n: usize| (1..=n).product::<usize>() as f64;
    let players = values.len().ilog2() as usize;
    let without = (0..values.len()).filter(|coalition| coalition >> player & 1 == 0);
    without
        .map(|coalition| {
            let size = coalition.count_ones() as usize;
            let weight = factorial(size) * factorial(players - 1 - size) / factorial(players);
            weight * (values[coalition | 1 << player] - values[coalition])
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn players_of_an_additive_game_get_what_they_bring_and_partners_share() {
        let alone = [3.0, -1.0, 0.0, 0.5, 2.0, 0.0];
        let value = |coalition: usize| -> f64 {
            let there = |player: usize| coalition >> player & 1 == 1;
            let sum: f64 = (0..alone.len())
                .filter(|player| there(*player))
                .map(|player| alone[player])
                .sum();
            sum + if there(0) && there(5) { 4.0 } else { 0.0 }
        };
        let values: Vec<f64> = (0..1 << alone.len()).map(value).collect();
        for (player, expected) in [5.0, -1.0, 0.0, 0.5, 2.0, 2.0].into_iter().enumerate() {
            assert!(
                (shapley(&values, player) - expected).abs() < 1e-12,
                "player {player}"
            );
        }
    }

    #[test]
    fn every_feature_belongs_to_a_group() {
        for name in FEATURE_NAMES {
            assert!(
                GROUPS.iter().any(|group| name.split('.').next() == Some(*group)),
                "{name}"
            );
        }
    }
}
