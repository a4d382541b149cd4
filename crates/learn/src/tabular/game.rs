use super::TabularError;
use haggle_env::market::{Equilibrium, LogitOligopoly, OracleError};

/// Delta of profits of 0, in absolute value, at most: beyond it the cartel's gain is what rounding leaves of none.
const OF_NOTHING_MAX: f64 = 1e9;

/// Numbers in the sellers' tables of one run at most: 400 MB.
const ENTRIES_MAX: f64 = 5e7;

/// The stage game on the ladder. A joint choice has the number `sum_i rung_i x rungs^i`; the last one is the state.
pub(super) struct Game {
    pub(super) sellers: usize,
    pub(super) rungs: usize,
    /// `joint x sellers`.
    pub(super) profit: Vec<f64>,
    equilibrium: Equilibrium,
}

impl Game {
    pub(super) fn new(market: &LogitOligopoly) -> Result<Self, TabularError> {
        if !market.rivals.is_empty() {
            return Err(TabularError::Rivals(market.rivals.len()));
        }
        let prices = market.ladder()?;
        let (sellers, rungs) = (market.sellers, prices.len());
        let states = (rungs as f64).powi(sellers as i32);
        if states * rungs as f64 * sellers as f64 > ENTRIES_MAX {
            return Err(TabularError::TooLarge {
                states,
                rungs,
                sellers,
            });
        }
        let unsolved = |what: &str| OracleError::Unsolved(what.to_owned());
        let equilibrium = market.oracle()?.equilibrium;
        let equilibrium = equilibrium.ok_or_else(|| unsolved("the equilibrium"))?;
        let joint = |n: usize| -> Vec<f64> {
            let rung = |seller: usize| n / rungs.pow(seller as u32) % rungs;
            (0..sellers).map(|seller| prices[rung(seller)]).collect()
        };
        let of_nothing = equilibrium.delta(&vec![0.0; sellers]).abs();
        if of_nothing.is_nan() || of_nothing > OF_NOTHING_MAX {
            return Err(unsolved("Delta: the cartel earns no more than the equilibrium does").into());
        }
        Ok(Self {
            sellers,
            rungs,
            profit: (0..rungs.pow(sellers as u32))
                .flat_map(|n| market.profits(&joint(n)))
                .collect(),
            equilibrium,
        })
    }

    pub(super) fn states(&self) -> usize {
        self.profit.len() / self.sellers
    }

    pub(super) fn delta(&self, profits: &[f64]) -> f64 {
        self.equilibrium.delta(profits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use haggle_env::market::Market;

    #[test]
    fn delta_is_of_joint_profits_also_where_costs_differ() {
        let mut file: toml::Table = include_str!("../../../../envs/c.toml").parse().expect("TOML");
        let list = |numbers: &[f64]| toml::Value::from(numbers.to_vec());
        file.insert("costs".into(), list(&[1.0, 0.6]));
        file.insert("prices".into(), list(&[1.2, 1.4, 1.5, 1.6, 1.9]));
        let Market::LogitOligopoly(market) = file.try_into().expect("a market") else {
            panic!("C")
        };
        let game = Game::new(&market).expect("a game");
        let joint = 3 + 2 * game.rungs; // at 1.6 and 1.5
        let profits = &game.profit[joint * game.sellers..][..game.sellers];
        assert!(
            (game.delta(profits) - 0.6139).abs() < 5e-5,
            "{}",
            game.delta(profits)
        );
    }
}
