use super::Market;
use super::game::Game;
use super::last_price::LastPrice;
use super::oracle::OracleError;
use super::place::Place;
use super::policy::{Answer, Ask, Probabilities};
use super::rivalry::Rivalry;
use super::season::Season;
use super::visits::Visits;

/// A policy's prices over the states of a market, beside the best ones. Price `y * xs.len() + x` belongs to `xs[x]` and
/// `ys[y]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// What runs along `xs`.
    pub x_name: &'static str,
    /// What runs along `ys`; none where a state is one number.
    pub y_name: Option<&'static str>,
    /// Rising.
    pub xs: Vec<f64>,
    /// Rising; a single 0 where a state is one number.
    pub ys: Vec<f64>,
    /// The mean of the policy's distribution, over rungs with a finite price; NaN where it offers nothing.
    pub price: Vec<f64>,
    /// The best price; among sellers, the first one's best reply to the others' policies. NaN where nothing is offered.
    pub best: Vec<f64>,
}

impl Market {
    /// The prices of a policy, state by state. Where a guardrail binds to the last price, that is taken to be the best one
    /// of a season that begins in the state. Nothing where states are not finite or more than two numbers.
    ///
    /// # Errors
    /// When the market makes no sense or is too large, or the policy answers no distribution.
    pub fn chart(&self, policy: &mut Probabilities<'_>) -> Result<Option<Chart>, OracleError> {
        let game = match self.game() {
            Err(OracleError::NotStepped(_)) => return Ok(None),
            game => game?,
        };
        let prices = self.prices()?;
        let (agents, obs_width, rungs) = game.shape();
        let mut ask = Ask {
            agents,
            obs_width,
            rungs,
            policy,
        };
        match &game {
            Game::Season(game) => game.chart(&mut ask, &prices).map(Some),
            Game::Visits(game) => game.chart(&mut ask, &prices).map(Some),
            Game::LastPrice(game) => game.chart(&mut ask, &prices).map(Some),
            Game::Rivalry(game) if game.movers <= 2 => game.chart(&mut ask, &prices).map(Some),
            _ => Ok(None),
        }
    }
}

/// Mean price of an answer's row, over what is offered.
fn mean(answer: &Answer, row: usize, prices: &[f64]) -> f64 {
    let offered = answer
        .row(row)
        .iter()
        .zip(prices)
        .filter(|(_, price)| price.is_finite());
    let (sum, mass) = offered.fold((0.0, 0.0), |(sum, mass), (p, price)| (sum + p * price, mass + p));
    if mass > 0.0 { sum / mass } else { f64::NAN }
}

fn finite(price: f64) -> f64 {
    if price.is_finite() { price } else { f64::NAN }
}

fn counts(last: usize) -> Vec<f64> {
    (1..=last).map(|n| n as f64).collect()
}

impl Season {
    fn chart(&self, ask: &mut Ask<'_>, prices: &[f64]) -> Result<Chart, OracleError> {
        let mut best = vec![f64::NAN; self.periods * self.stock];
        let mut price = best.clone();
        let mut next = self.end();
        let free = self.lasts() - 1;
        for left in 1..=self.periods {
            let mut rungs = vec![0; self.lasts() * (self.stock + 1)];
            next = self.before(left, &next, |last, stock, worth| {
                let (rung, value) = self.best(last, worth);
                rungs[last * (self.stock + 1) + stock] = rung;
                value
            });
            let rung = |last: usize, stock: usize| rungs[last * (self.stock + 1) + stock];
            // a season that begins here, where the last price counts
            let last = |stock: usize| if free == 0 { 0 } else { rung(free, stock) };
            let places: Vec<Place> = (1..=self.stock)
                .map(|stock| Place::new(left, stock, last(stock)))
                .collect();
            let answer = ask.answer(&places, |place, _, obs, mask| self.observe(place, obs, mask))?;
            for stock in 1..=self.stock {
                let at = (stock - 1) * self.periods + left - 1;
                best[at] = finite(prices[rung(last(stock), stock)]);
                price[at] = mean(&answer, stock - 1, prices);
            }
        }
        Ok(Chart {
            x_name: "periods left",
            y_name: Some("units left"),
            xs: counts(self.periods),
            ys: counts(self.stock),
            price,
            best,
        })
    }
}

impl Visits {
    fn chart(&self, ask: &mut Ask<'_>, prices: &[f64]) -> Result<Chart, OracleError> {
        let segments = self.obs_width();
        let places: Vec<Place> = (0..segments).map(|segment| Place::new(1, segment, 0)).collect();
        let answer = ask.answer(&places, |place, _, obs, mask| self.observe(place, obs, mask))?;
        Ok(Chart {
            x_name: "segment",
            y_name: None,
            xs: counts(segments),
            ys: vec![0.0],
            price: (0..segments)
                .map(|segment| mean(&answer, segment, prices))
                .collect(),
            best: (0..segments).map(|segment| prices[self.best(segment)]).collect(),
        })
    }
}

impl LastPrice {
    fn chart(&self, ask: &mut Ask<'_>, prices: &[f64]) -> Result<Chart, OracleError> {
        let mut states: Vec<usize> = (0..self.positions.len()).collect();
        states.sort_by(|a, b| self.positions[*a].total_cmp(&self.positions[*b]));
        let places: Vec<Place> = states
            .iter()
            .map(|state| Place::new(self.steps, *state, 0))
            .collect();
        let answer = ask.answer(&places, |place, _, obs, mask| self.observe(place, obs, mask))?;
        let best = self.best();
        let (low, high) = (prices[0], prices[prices.len() - 1]);
        Ok(Chart {
            x_name: "last price",
            y_name: None,
            xs: states
                .iter()
                .map(|state| low + f64::from(self.positions[*state]) * (high - low))
                .collect(),
            ys: vec![0.0],
            price: (0..states.len()).map(|row| mean(&answer, row, prices)).collect(),
            best: states.iter().map(|state| prices[best[*state]]).collect(),
        })
    }
}

impl Rivalry {
    fn chart(&self, ask: &mut Ask<'_>, prices: &[f64]) -> Result<Chart, OracleError> {
        let answer = self.ask(ask)?;
        let best = self.best_reply(&answer, 0);
        let all = 0..self.states();
        Ok(Chart {
            x_name: "own last price",
            y_name: (self.movers == 2).then_some("rival's last price"),
            xs: prices.to_vec(),
            ys: if self.movers == 2 {
                prices.to_vec()
            } else {
                vec![0.0]
            },
            price: all
                .map(|state| mean(&answer, state * self.agents, prices))
                .collect(),
            best: best.into_iter().map(|rung| prices[rung]).collect(),
        })
    }
}
