//! Market C2: logit competition of two sellers with capacities.

use super::action::Action;
use super::checks::positive;
use super::last_price::episode_periods;
use super::oligopoly::{LogitOligopoly, ladder_discount, ladder_rungs, ladder_xi};
use super::oracle::{Equilibrium, Oracle, OracleError, PerSeller};
use super::rivalry::Rivalry;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// C2: two equal sellers who can serve `capacity` of `shoppers` per period each; who is not served does not go elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CapacityDuopoly {
    /// Units per seller and period.
    pub capacity: f64,
    /// Shoppers per period.
    pub shoppers: f64,
    /// Cost of a unit.
    pub costs: f64,
    /// Quality of each product.
    pub quality: f64,
    /// How little shoppers care for differences, 1e-6 or more.
    pub mu: f64,
    /// Quality of buying nothing.
    pub outside_quality: f64,
    /// The ladder, rising; absent: any price, and the market cannot be stepped.
    pub prices: Option<Vec<f64>>,
    /// Worth of the next period beside this one's, in [0, 1) (stepping only).
    #[serde(default = "ladder_discount")]
    pub discount: f64,
    /// Periods after which an episode is cut off (stepping only).
    #[serde(default = "episode_periods")]
    pub episode_periods: usize,
    /// How much of the mean profit, instead of its own, a seller is paid (stepping only), in [0, 1].
    #[serde(default)]
    pub common_share: f64,
}

impl CapacityDuopoly {
    pub(super) fn check(&self) -> Result<(), OracleError> {
        self.free().map(|_| ())
    }

    /// Both sellers without their capacities.
    fn free(&self) -> Result<LogitOligopoly, OracleError> {
        positive("capacity", self.capacity)?;
        positive("shoppers", self.shoppers)?;
        let free = LogitOligopoly {
            sellers: 2,
            costs: PerSeller::All(self.costs),
            quality: PerSeller::All(self.quality),
            mu: self.mu,
            outside_quality: self.outside_quality,
            rungs: ladder_rungs(),
            xi: ladder_xi(),
            prices: self.prices.clone(),
            discount: self.discount,
            episode_periods: self.episode_periods,
            common_share: self.common_share,
            action: Action::Rung,
            rivals: Vec::new(),
        };
        free.check()?;
        Ok(free)
    }

    /// The game on the ladder.
    pub(crate) fn rivalry(&self) -> Result<Rivalry, OracleError> {
        let free = self.free()?;
        if self.prices.is_none() {
            return Err(OracleError::NotStepped(
                "it has no `prices`, and any price may be asked",
            ));
        }
        free.game(|prices| {
            let shares = free.shares(prices);
            let each = prices.iter().zip(shares);
            each.map(|(price, share)| (price - self.costs) * (share * self.shoppers).min(self.capacity))
                .collect()
        })
    }

    /// Nobody prices below what clears his capacity: equilibrium and cartel are the larger of the unconstrained price and
    /// `p_clear = quality - outside_quality + mu ln((1 - 2 q) / q)`, `q = capacity / shoppers`. With `prices` they are the
    /// ladder's own, among all joint choices.
    ///
    /// # Errors
    /// When a parameter makes no market.
    pub fn oracle(&self) -> Result<Oracle, OracleError> {
        let free = self.free()?;
        if self.prices.is_some() {
            return self.rivalry()?.one_shot();
        }
        let q = self.capacity / self.shoppers;
        let clear = if q < 0.5 {
            self.quality - self.outside_quality + self.mu * ((1.0 - 2.0 * q) / q).ln()
        } else {
            f64::NEG_INFINITY // both together can serve everybody
        };
        let (nash, monopoly) = (free.nash()?[0].max(clear), free.monopoly()[0].max(clear));
        let profit = |price: f64| {
            let served = (free.shares(&[price, price])[0] * self.shoppers).min(self.capacity);
            (price - self.costs) * served
        };
        Ok(Oracle {
            v_star: 2.0 * profit(monopoly),
            v_fixed: 2.0 * profit(monopoly),
            fixed_price: monopoly,
            first_action: None,
            first_actions: None,
            references: BTreeMap::from([("joint_nash", 2.0 * profit(nash))]),
            fixed_prices: None,
            equilibrium: Some(Equilibrium {
                nash_profit: PerSeller::All(profit(nash)),
                nash_price: PerSeller::All(nash),
                monopoly_profit: PerSeller::All(profit(monopoly)),
                monopoly_price: PerSeller::All(monopoly),
                nash_points: Vec::new(),
            }),
        })
    }
}
