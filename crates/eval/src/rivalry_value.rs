//! What sellers on a ladder make of each other.

use haggle_env::market::{Conduct, Deviation, Equilibrium, PerSeller};
use serde::Serialize;
use std::fmt;

/// What sellers make of each other in the long run, exactly. One entry per agent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RivalryValue {
    /// Mean prices.
    pub prices: Vec<f64>,
    /// Mean profits per period.
    pub profits: Vec<f64>,
    /// `(profit - nash) / (monopoly - nash)` of the sellers' average profits: 0 at the one-shot equilibrium, 1 at the cartel
    /// (Calvano et al. 2020).
    pub delta: f64,
    /// What the best reply to the others' policies would win, as a share of the discounted profit.
    pub reply_gain: Vec<f64>,
    /// The largest of these.
    pub reply_gain_max: f64,
    /// What becomes of a seller who leaves the path once.
    pub deviation: Vec<Deviation>,
    /// Profit in the one-shot equilibrium.
    pub nash_profit: Vec<f64>,
    /// Profit in the cartel.
    pub monopoly_profit: Vec<f64>,
}

impl RivalryValue {
    pub(crate) fn new(conduct: Conduct, equilibrium: &Equilibrium, reply_gain: Vec<f64>) -> Self {
        let agents = conduct.profits.len();
        let each = |of: &dyn Fn(usize) -> f64| -> Vec<f64> { (0..agents).map(of).collect() };
        let nash_profit = each(&|agent| equilibrium.nash_profit.seller(agent));
        let monopoly_profit = each(&|agent| equilibrium.monopoly_profit.seller(agent));
        Self {
            delta: delta(&conduct.profits, equilibrium),
            prices: conduct.prices,
            profits: conduct.profits,
            reply_gain_max: reply_gain.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            reply_gain,
            deviation: conduct.deviations,
            nash_profit,
            monopoly_profit,
        }
    }
}

/// Calvano's profit gain. Of averages, not the average of each seller's own gain: a seller may earn less in the cartel than in
/// equilibrium, where others are more efficient.
pub(crate) fn delta(profits: &[f64], equilibrium: &Equilibrium) -> f64 {
    let joint = |of: &PerSeller| -> f64 { (0..profits.len()).map(|agent| of.seller(agent)).sum() };
    let nash = joint(&equilibrium.nash_profit);
    (profits.iter().sum::<f64>() - nash) / (joint(&equilibrium.monopoly_profit) - nash)
}

impl fmt::Display for RivalryValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = |numbers: &mut dyn Iterator<Item = f64>, digits: usize| {
            numbers
                .map(|number| format!("{number:<12.digits$}"))
                .collect::<String>()
        };
        let list = |numbers: &[f64]| each(&mut numbers.iter().copied(), 6);
        let percent =
            |numbers: &mut dyn Iterator<Item = f64>| each(&mut numbers.map(|share| 100.0 * share), 4);
        let gains = percent(&mut self.deviation.iter().map(|deviation| deviation.gain));
        writeln!(f, "{:<32}{:.4}", "Delta", self.delta)?;
        writeln!(f, "{:<32}{}", "prices", list(&self.prices).trim_end())?;
        writeln!(f, "{:<32}{}", "profits", list(&self.profits).trim_end())?;
        writeln!(
            f,
            "{:<32}{}",
            "  in equilibrium",
            list(&self.nash_profit).trim_end()
        )?;
        writeln!(
            f,
            "{:<32}{}",
            "  in the cartel",
            list(&self.monopoly_profit).trim_end()
        )?;
        let replies = percent(&mut self.reply_gain.iter().copied());
        writeln!(f, "{:<32}{} % of profit", "best reply gains", replies.trim_end())?;
        let periods = self.deviation.first().map_or(0, |deviation| deviation.own.len());
        write!(
            f,
            "{:<32}{} % of {periods} periods' profit",
            "one deviation gains",
            gains.trim_end()
        )
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
        assert_eq!(delta(&[3.0, 2.5], &equal), 0.375); // as the mean of 0.5 and 0.25
        // The second seller loses by the cartel; together they win 4 - 1 = 3.
        let unequal = equilibrium([2.0, 2.0], [6.0, 1.0]);
        assert_eq!(delta(&[2.0, 2.0], &unequal), 0.0);
        assert_eq!(delta(&[6.0, 1.0], &unequal), 1.0);
        assert_eq!(delta(&[3.5, 2.0], &unequal), 0.5);
    }
}
