//! What sellers on a ladder make of each other.

use haggle_env::market::{Conduct, Deviation, Equilibrium};
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
            delta: equilibrium.delta(&conduct.profits),
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
