//! Products over shared resources, stepped and solved: one agent per product (B3).

use super::network::Network;
use super::oracle::OracleError;
use super::place::Place;
use super::policy::Ask;
use crate::StepEnd;

/// A network as tables. The state is the units left of each resource, `sum_r units_r x place_r`.
#[derive(Clone, Debug)]
pub(crate) struct Itineraries {
    periods: usize,
    stock: Vec<usize>,
    uses: Vec<Vec<usize>>,
    arrival_rate: Vec<f64>,
    /// Menu of each product; the last rung of the ladder is "closed".
    prices: Vec<Vec<f64>>,
    chances: Vec<Vec<f64>>,
    pub(crate) rungs: usize,
    common_share: f64,
    /// What a unit of each resource adds to the number of a state.
    places: Vec<usize>,
    /// The state after a sale, at `state x products + product`; [`CLOSED`] where a unit is missing.
    sold: Vec<u32>,
}

/// No state.
const CLOSED: u32 = u32::MAX;

impl Itineraries {
    pub(crate) fn new(network: &Network, rungs: usize) -> Self {
        let mut places = Vec::with_capacity(network.stock.len());
        let mut place = 1;
        for units in &network.stock {
            places.push(place);
            place *= units + 1;
        }
        let mut game = Self {
            periods: network.periods,
            stock: network.stock.clone(),
            uses: network.uses.clone(),
            arrival_rate: network.arrival_rate.clone(),
            prices: network.prices.clone(),
            chances: network.probabilities.clone(),
            rungs,
            common_share: network.common_share,
            places,
            sold: Vec::new(),
        };
        game.sold = (0..game.states()).flat_map(|state| game.sales(state)).collect();
        game
    }

    /// The price of each rung of each product; infinite where it is closed or the menu has no such rung.
    pub(crate) fn menus(&self) -> Vec<Vec<f64>> {
        let mut menus = self.prices.clone();
        menus
            .iter_mut()
            .for_each(|menu| menu.resize(self.rungs, f64::INFINITY));
        menus
    }

    /// The states after a sale of each product.
    fn sales(&self, state: usize) -> Vec<u32> {
        let after = |uses: &Vec<usize>| {
            let mut needs = uses.iter().enumerate();
            if !needs.all(|(resource, units)| self.units(state, resource) >= *units) {
                return CLOSED;
            }
            let taken: usize = uses
                .iter()
                .zip(&self.places)
                .map(|(units, place)| units * place)
                .sum();
            (state - taken) as u32
        };
        self.uses.iter().map(after).collect()
    }

    pub(crate) fn agents(&self) -> usize {
        self.uses.len()
    }

    pub(crate) fn states(&self) -> usize {
        self.stock.iter().map(|units| units + 1).product()
    }

    fn units(&self, state: usize, resource: usize) -> usize {
        state / self.places[resource] % (self.stock[resource] + 1)
    }

    /// The state after a sale, if the resources of the product are there.
    fn sold(&self, state: usize, product: usize) -> Option<usize> {
        let next = self.sold[state * self.agents() + product];
        (next != CLOSED).then_some(next as usize)
    }

    /// Value at the start, where a shopper for a product brings `gain(product, worth of the units she takes)`.
    pub(crate) fn value(&self, gain: impl Fn(usize, f64) -> f64) -> f64 {
        let mut value = vec![0.0; self.states()];
        for _ in 0..self.periods {
            value = self.before(&value, |_, product, worth| gain(product, worth));
        }
        value[value.len() - 1]
    }

    fn before(&self, next: &[f64], gain: impl Fn(usize, usize, f64) -> f64) -> Vec<f64> {
        let value = |state: usize| {
            let gains = (0..self.agents()).filter_map(|product| {
                let worth = next[state] - next[self.sold(state, product)?];
                Some(self.arrival_rate[product] * gain(state, product, worth))
            });
            next[state] + gains.sum::<f64>()
        };
        (0..next.len()).map(value).collect()
    }

    /// Revenue of a policy with one agent per product.
    pub(crate) fn evaluate(&self, ask: &mut Ask<'_>) -> Result<f64, OracleError> {
        let mut value = vec![0.0; self.states()];
        for left in 1..=self.periods {
            let places: Vec<Place> = (0..value.len()).map(|state| Place::new(left, state, 0)).collect();
            let answer = ask.answer(&places, |place, agent, obs, mask| {
                self.observe(place, agent, obs, mask);
            })?;
            value = self.before(&value, |state, product, worth| {
                let pmf = answer.row(state * self.agents() + product);
                let menu = self.prices[product].iter().zip(&self.chances[product]);
                pmf.iter()
                    .zip(menu)
                    .map(|(p, (price, chance))| p * chance * (price - worth))
                    .sum()
            });
        }
        Ok(value[value.len() - 1])
    }

    /// Share of time left, share of each resource left, and which product it is.
    pub(crate) fn obs_width(&self) -> usize {
        1 + self.stock.len() + self.agents()
    }

    pub(crate) fn start(&self) -> Place {
        Place::new(self.periods, self.states() - 1, 0)
    }

    pub(crate) fn observe(&self, place: Place, agent: usize, obs: &mut [f32], mask: &mut u64) {
        let state = place.state as usize;
        obs.fill(0.0);
        obs[0] = place.left as f32 / self.periods as f32;
        for (resource, stock) in self.stock.iter().enumerate() {
            obs[1 + resource] = self.units(state, resource) as f32 / *stock as f32;
        }
        obs[1 + self.stock.len() + agent] = 1.0;
        let menu = if self.sold(state, agent).is_some() {
            (1 << self.prices[agent].len()) - 1
        } else {
            0
        };
        *mask = menu | 1 << (self.rungs - 1);
    }

    /// One number says who comes and whether she buys.
    pub(crate) fn step(&self, place: Place, rungs: &[u8], draw: u32, reward: &mut [f32]) -> (Place, StepEnd) {
        let mut next = Place {
            left: place.left - 1,
            ..place
        };
        let mut above = f64::from(draw) / 2f64.powi(32);
        reward.fill(0.0);
        for (product, rate) in self.arrival_rate.iter().enumerate() {
            let rung = usize::from(rungs[product]);
            let chance = self.chances[product].get(rung).copied().unwrap_or(0.0);
            let sold = self.sold(place.state as usize, product);
            if let Some(sold) = sold.filter(|_| above < rate * chance) {
                next.state = sold as u32;
                let price = self.prices[product][rung];
                reward.fill((self.common_share * price / self.agents() as f64) as f32);
                reward[product] += ((1.0 - self.common_share) * price) as f32;
                break;
            }
            above -= rate;
            if above < 0.0 {
                break;
            }
        }
        let over = next.left == 0
            || (0..self.agents()).all(|product| self.sold(next.state as usize, product).is_none());
        (next, if over { StepEnd::Terminated } else { StepEnd::Go })
    }

    pub(crate) fn sound(&self, place: Place) -> bool {
        (1..=self.periods).contains(&(place.left as usize)) && (place.state as usize) < self.states()
    }
}
