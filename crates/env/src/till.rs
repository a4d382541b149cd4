//! What one visit does at the shelf of a category: who pays what, and whose doing it was.

use crate::World;
use crate::episode::Episode;
use crate::replay_config::{Credit, Earning, Outcome, ReplayConfig};
use haggle_core::{Item, PriceMinor, ShelfEntry, Visit};
use haggle_demand::Response;
use rand::RngExt;

/// A step's sums and one visit's numbers, one place per agent.
#[derive(Debug)]
pub(crate) struct Till {
    shown: Vec<PriceMinor>,
    prices: Vec<f64>,
    posted: Vec<f64>,
    response: Vec<Response>,
    units: Vec<u32>,
    /// Each agent's own earnings, and what it is told of the team's.
    reward: Vec<f64>,
    team: Vec<f64>,
    /// What each agent's price adds to the shoppers' basket.
    cost: Vec<f64>,
    /// How much dearer the logged baskets got than they may.
    pub(crate) violation: f64,
}

impl Till {
    pub(crate) fn new(agents: usize) -> Self {
        Self {
            shown: Vec::with_capacity(agents),
            prices: Vec::with_capacity(agents),
            posted: Vec::with_capacity(agents),
            response: vec![Response::default(); agents],
            units: Vec::with_capacity(agents),
            reward: vec![0.0; agents],
            team: vec![0.0; agents],
            cost: vec![0.0; agents],
            violation: 0.0,
        }
    }

    /// Shown and posted prices of a visit, as numbers.
    fn set_prices(&mut self, shelf: &[ShelfEntry]) {
        self.prices.clear();
        self.prices.extend(self.shown.iter().map(|price| price.as_f64()));
        self.posted.clear();
        self.posted
            .extend(shelf.iter().map(|entry| entry.posted_minor.as_f64()));
    }

    /// A new step: nothing earned yet, these rungs on the shelf.
    pub(crate) fn open(&mut self, items: &[Item], rungs: &[u8]) {
        self.shown.clear();
        let prices = items.iter().zip(rungs);
        self.shown
            .extend(prices.map(|(item, rung)| item.ladder.price(usize::from(*rung))));
        self.reward.fill(0.0);
        self.team.fill(0.0);
        self.cost.fill(0.0);
        self.violation = 0.0;
    }

    /// What each agent is told of a step's earnings: its own, and `common_share` of the team's in their place.
    pub(crate) fn tell_rewards(&self, common_share: f64, out: &mut [f32]) {
        mix(&self.reward, common_share, |agent| self.team[agent], out);
    }

    /// As [`Till::tell_rewards`] of what the price index costs. Whose price moved it is known: with difference rewards
    /// each agent is told its own part.
    pub(crate) fn tell_costs(&self, common_share: f64, credit: Credit, out: &mut [f32]) {
        let total: f64 = self.cost.iter().sum();
        let team = |agent: usize| match credit {
            Credit::Shared => total,
            Credit::Difference => self.cost[agent],
        };
        mix(&self.cost, common_share, team, out);
    }

    /// One visit at the prices on the shelf: adds to the agents' rewards and costs, and moves the state.
    pub(crate) fn shop(&mut self, world: &World, config: &ReplayConfig, episode: &mut Episode) {
        let items = world.catalog().items_of(episode.category);
        let agents = items.len();
        self.set_prices(world.shelf(episode.session, episode.category));
        let Episode {
            rng,
            category,
            member,
            session,
            state,
            stock,
            stocked,
            loyalties,
            place,
            ..
        } = episode;
        let visit = world.visit(*session, *category, state, loyalties.get(*place));
        if let Some(limit) = config.price_index_limit {
            self.charge(world, &visit, *member, (*session, limit));
        }
        if config.outcome == Outcome::Expected {
            self.expect(world, config, (&visit, *member), stock);
        }
        let mut uniform = || rng.random::<f64>();
        self.units.clear();
        self.units.resize(agents, 0);
        world
            .demand()
            .shop(&visit, &self.prices, *member, &mut uniform, &mut self.units);
        let mut user = loyalties.get_mut(*place);
        for agent in 0..agents {
            let left = stock.get(agent).copied().unwrap_or(u32::MAX);
            let sold = self.units[agent].min(left);
            if config.outcome == Outcome::Sampled {
                let earned = f64::from(sold) * earns(config.reward, &items[agent], self.prices[agent]);
                self.reward[agent] += earned;
                self.team[..agents].iter_mut().for_each(|team| *team += earned);
            }
            state.on_shown(agent, self.shown[agent], world.rates());
            if sold > 0 {
                state.on_bought(agent, sold, world.rates());
                if let Some(user) = user.as_deref_mut() {
                    user.on_chosen(agent, agents, world.rates());
                }
            }
            if let Some(left) = stock.get_mut(agent) {
                *left -= sold;
                state.items[agent].stock_left = *left as f32 / stocked[agent] as f32;
            }
        }
    }

    /// What the price index costs each agent, and how far the logged basket is on the wrong side of it.
    fn charge(&mut self, world: &World, visit: &Visit<'_>, member: usize, (session, limit): (usize, f64)) {
        let agents = self.prices.len();
        let at_posted = &mut self.response[..agents];
        world.demand().respond(visit, &self.posted, member, at_posted);
        let dearer = |agent: usize| (self.prices[agent] - limit * self.posted[agent]) / 100.0;
        for (agent, response) in at_posted.iter().enumerate() {
            self.cost[agent] += response.purchases * response.units * dearer(agent);
        }
        for line in world.replay().bought(session, visit.category) {
            self.violation += f64::from(line.units) * dearer(usize::from(line.agent));
        }
    }

    /// Adds what the visit is expected to bring each agent, and what the agent is told of the team's part.
    fn expect(
        &mut self,
        world: &World,
        config: &ReplayConfig,
        (visit, member): (&Visit<'_>, usize),
        stock: &[u32],
    ) {
        let demand = world.demand();
        let items = world.catalog().items_of(visit.category);
        let agents = items.len();
        let response = &mut self.response[..agents];
        let earned = |agent: usize, response: &Response, price: f64| {
            let left = stock.get(agent).copied().unwrap_or(u32::MAX);
            let sold = (response.purchases * response.units).min(f64::from(left));
            sold * earns(config.reward, &items[agent], price)
        };
        demand.respond(visit, &self.prices, member, response);
        let mut team = 0.0;
        for (agent, response) in response.iter().enumerate() {
            let own = earned(agent, response, self.prices[agent]);
            self.reward[agent] += own;
            team += own;
        }
        for agent in 0..agents {
            let without = if config.credit == Credit::Difference {
                let price = std::mem::replace(&mut self.prices[agent], self.posted[agent]);
                demand.respond(visit, &self.prices, member, response);
                let all = response.iter().zip(&self.prices).enumerate();
                let sum = all
                    .map(|(agent, (response, price))| earned(agent, response, *price))
                    .sum();
                self.prices[agent] = price;
                sum
            } else {
                0.0
            };
            self.team[agent] += team - without;
        }
    }
}

/// What one unit brings at a price, in major units.
fn earns(reward: Earning, item: &Item, price: f64) -> f64 {
    let cost = match (reward, item.cost_minor) {
        (Earning::Margin, Some(cost)) => cost.as_f64(),
        _ => 0.0,
    };
    (price - cost) / 100.0
}

/// Each agent's own amount, and `common` of the team's in its place.
fn mix(own: &[f64], common: f64, team: impl Fn(usize) -> f64, out: &mut [f32]) {
    for (agent, (out, own)) in out.iter_mut().zip(own).enumerate() {
        *out = ((1.0 - common) * own + common * team(agent)) as f32;
    }
}
