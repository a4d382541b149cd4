use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Updates (a state, an action and an outcome each) that are made at most to solve a market: about a minute.
pub const WORK_MAX: u64 = 20_000_000_000;
/// States of a table at most.
pub(crate) const STATES_MAX: f64 = 2e6;

/// What is known exactly of a market. Money in the market's own units.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Oracle {
    /// Expected earnings of the best policy from the start (per period or visit where the market never ends).
    pub v_star: f64,
    /// Expected earnings of the best single price.
    pub v_fixed: f64,
    /// That price; the first product's where several are priced.
    pub fixed_price: f64,
    /// Every product's price where several are priced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed_prices: Option<Vec<f64>>,
    /// What the best policy does first; absent where nothing is decided in time (C, C2, E) or only a bound is known (B2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_action: Option<f64>,
    /// The same for every product where several are priced; nothing for one that is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_actions: Option<Vec<Option<f64>>>,
    /// Expected earnings of reference policies, and bounds, by name.
    pub references: BTreeMap<&'static str, f64>,
    /// Only for oligopolies.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub equilibrium: Option<Equilibrium>,
}

impl Oracle {
    /// Refuses numbers that are none, or that 32-bit rewards cannot hold.
    pub(super) fn countable(&self) -> Result<(), OracleError> {
        let of_sellers = self.equilibrium.iter().flat_map(|equilibrium| {
            [
                ("nash_price", &equilibrium.nash_price),
                ("nash_profit", &equilibrium.nash_profit),
                ("monopoly_price", &equilibrium.monopoly_price),
                ("monopoly_profit", &equilibrium.monopoly_profit),
            ]
        });
        let mut numbers = [
            ("v_star", self.v_star),
            ("v_fixed", self.v_fixed),
            ("fixed_price", self.fixed_price),
        ]
        .into_iter()
        .chain(self.first_action.map(|action| ("first_action", action)))
        .chain(self.references.iter().map(|(name, value)| (*name, *value)))
        .chain(of_sellers.flat_map(|(name, each)| each.numbers().iter().map(move |value| (name, *value))));
        match numbers.find(|(_, value)| !value.is_finite() || value.abs() > f64::from(f32::MAX)) {
            Some((name, value)) => Err(OracleError::Overflow { name, value }),
            None => Ok(()),
        }
    }
}

/// Prices and profits of an oligopoly, one per seller, or one for all where they are equal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Equilibrium {
    /// Prices of the one-shot Nash equilibrium.
    pub nash_price: PerSeller,
    /// Each seller's profit there.
    pub nash_profit: PerSeller,
    /// Prices that maximise the joint profit.
    pub monopoly_price: PerSeller,
    /// Each seller's profit there.
    pub monopoly_profit: PerSeller,
    /// Where a ladder is given: every Nash point on it in pure strategies. Empty (and not written) where any price may be asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nash_points: Vec<NashPoint>,
}

impl Equilibrium {
    /// Calvano's profit gain of the first sellers: `(profit - nash) / (monopoly - nash)`. Of averages, not the average of each
    /// seller's own gain: a seller may earn less in the cartel than in equilibrium, where others are more efficient.
    #[must_use]
    pub fn delta(&self, profits: &[f64]) -> f64 {
        let joint = |of: &PerSeller| -> f64 { (0..profits.len()).map(|agent| of.seller(agent)).sum() };
        let nash = joint(&self.nash_profit);
        (profits.iter().sum::<f64>() - nash) / (joint(&self.monopoly_profit) - nash)
    }
}

/// Prices of which each is a best reply to the others.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NashPoint {
    /// What each seller asks.
    pub price: PerSeller,
    /// What each seller earns.
    pub profit: PerSeller,
}

/// One number where all sellers agree, else one each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "a number for all sellers, or a list with one number per seller, expected"
)]
pub enum PerSeller {
    /// The same for all.
    All(f64),
    /// In the order of the sellers.
    Each(Vec<f64>),
}

/// Relative difference below which two sellers have the same number: what a fixed point leaves of equal ones.
const SAME: f64 = 1e-9;

impl PerSeller {
    pub(crate) fn of(numbers: Vec<f64>) -> Self {
        let same = numbers.iter().all(|x| (x - numbers[0]).abs() <= SAME * x.abs());
        if same {
            Self::All(numbers[0])
        } else {
            Self::Each(numbers)
        }
    }

    /// One number per seller.
    pub(crate) fn spread(&self, sellers: usize) -> Vec<f64> {
        match self {
            Self::All(number) => vec![*number; sellers],
            Self::Each(numbers) => numbers.clone(),
        }
    }

    fn numbers(&self) -> &[f64] {
        match self {
            Self::All(number) => std::slice::from_ref(number),
            Self::Each(numbers) => numbers,
        }
    }

    /// The number of one seller.
    #[must_use]
    pub fn seller(&self, seller: usize) -> f64 {
        match self {
            Self::All(number) => *number,
            Self::Each(numbers) => numbers[seller],
        }
    }
}

impl fmt::Display for PerSeller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(number) => write!(f, "{number:?}"),
            Self::Each(numbers) => write!(f, "{numbers:?}"),
        }
    }
}

/// Why a market has no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OracleError {
    /// A parameter that makes no market.
    #[error("{field} = {value}: {expected} expected")]
    Field {
        /// The field.
        field: &'static str,
        /// What it says.
        value: String,
        /// What it may be.
        expected: String,
    },
    /// It can be solved, but not stepped.
    #[error("this market cannot be stepped: {0}")]
    NotStepped(&'static str),
    /// A policy under evaluation that answers no distribution over the allowed rungs.
    #[error(
        "the policy's answer is no distribution: it sums to {sum}, or gives weight outside the mask {mask:#b}"
    )]
    Policy {
        /// Sum of the row.
        sum: f64,
        /// Rungs that were allowed.
        mask: u64,
    },
    /// A programme or a game without an answer.
    #[error("not solved: {0}")]
    Unsolved(String),
    /// Numbers that steps, which pay in 32-bit numbers, could not count.
    #[error(
        "{name} comes out as {value:e}, and numbers up to 3.4e38 can be counted: smaller parameters are needed"
    )]
    Overflow {
        /// Of what.
        name: &'static str,
        /// What it came to.
        value: f64,
    },
    /// Finite, but out of reach.
    #[error(
        "solving the market takes {states:.2e} states x {actions:.0} actions x {outcomes:.0} outcomes; up to {:e} of them \
         (about a minute) are solved exactly: fewer periods, less stock or fewer prices are needed",
        WORK_MAX as f64
    )]
    TooLarge {
        /// States over all periods.
        states: f64,
        /// Choices looked at in a state, over all that is solved.
        actions: f64,
        /// Outcomes of a choice.
        outcomes: f64,
    },
    /// Finite, but its tables are out of reach.
    #[error(
        "the market has {states:.2e} states; up to {STATES_MAX:.0e} are kept in memory: less stock, fewer sellers or fewer prices are needed"
    )]
    TooManyStates {
        /// States that a table needs an entry for.
        states: f64,
    },
}

impl OracleError {
    /// The field at fault; empty where it is no single one.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::Field { field, .. } => field,
            Self::NotStepped(_)
            | Self::Unsolved(_)
            | Self::Policy { .. }
            | Self::Overflow { .. }
            | Self::TooManyStates { .. }
            | Self::TooLarge { .. } => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equilibrium(nash: [f64; 2], monopoly: [f64; 2]) -> Equilibrium {
        Equilibrium {
            nash_price: PerSeller::All(1.0),
            nash_profit: PerSeller::Each(nash.to_vec()),
            monopoly_price: PerSeller::All(2.0),
            monopoly_profit: PerSeller::Each(monopoly.to_vec()),
            nash_points: Vec::new(),
        }
    }

    #[test]
    fn delta_is_of_joint_profits_also_where_the_cartel_costs_a_seller() {
        let equal = equilibrium([2.0, 2.0], [4.0, 4.0]);
        assert_eq!(equal.delta(&[3.0, 2.5]), 0.375); // as the mean of 0.5 and 0.25
        // The second seller loses by the cartel; together they win 4 - 1 = 3.
        let unequal = equilibrium([2.0, 2.0], [6.0, 1.0]);
        assert_eq!(unequal.delta(&[2.0, 2.0]), 0.0);
        assert_eq!(unequal.delta(&[6.0, 1.0]), 1.0);
        assert_eq!(unequal.delta(&[3.5, 2.0]), 0.5);
    }
}
