use haggle_env::market::{Equilibrium, LogitOligopoly, OracleError, PerSeller};

/// The stage game on the ladder. A joint choice has the number `sum_i rung_i x rungs^i`; the last one is the state.
pub(super) struct Game {
    pub(super) sellers: usize,
    pub(super) rungs: usize,
    /// `joint x sellers`.
    pub(super) profit: Vec<f64>,
    nash: Vec<f64>,
    monopoly: Vec<f64>,
}

impl Game {
    pub(super) fn new(market: &LogitOligopoly) -> Result<Self, OracleError> {
        let equilibrium = market.oracle()?.equilibrium;
        let prices = market.ladder()?;
        let (sellers, rungs) = (market.sellers, prices.len());
        let joint = |n: usize| -> Vec<f64> {
            let rung = |seller: usize| n / rungs.pow(seller as u32) % rungs;
            (0..sellers).map(|seller| prices[rung(seller)]).collect()
        };
        let each = |of: &dyn Fn(&Equilibrium) -> &PerSeller| {
            let profits = equilibrium.as_ref().map(of);
            (0..sellers)
                .map(|seller| profits.map_or(f64::NAN, |profits| profits.seller(seller)))
                .collect::<Vec<f64>>()
        };
        Ok(Self {
            sellers,
            rungs,
            profit: (0..rungs.pow(sellers as u32))
                .flat_map(|n| market.profits(&joint(n)))
                .collect(),
            nash: each(&|equilibrium| &equilibrium.nash_profit),
            monopoly: each(&|equilibrium| &equilibrium.monopoly_profit),
        })
    }

    pub(super) fn states(&self) -> usize {
        self.profit.len() / self.sellers
    }

    pub(super) fn delta(&self, profits: &[f64]) -> f64 {
        let each = profits
            .iter()
            .zip(&self.nash)
            .zip(&self.monopoly)
            .map(|((profit, nash), monopoly)| (profit - nash) / (monopoly - nash));
        each.sum::<f64>() / self.sellers as f64
    }
}
