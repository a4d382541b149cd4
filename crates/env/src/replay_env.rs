use crate::episode::Episode;
use crate::replay_config::{Credit, Earning, Members, Outcome, ReplayConfig, ReplayError, Unit};
use crate::{Env, EnvSpec, ObserveOut, StepEnd, StepOut, World};
use haggle_core::{
    FEATURE_WIDTH, Item, Mask, PriceMinor, Seeds, ShelfEntry, Visit, decode_record, encode, encode_record,
};
use haggle_demand::Response;
use rand::RngExt;
use std::ops::Range;
use std::sync::Arc;

/// Width of the global state: the mean observation of the category's agents, and four facts about the category.
pub const STATE_WIDTH: usize = FEATURE_WIDTH + 4;

/// Logged sessions in their real order pass the shelf of one category per copy; its items are the agents.
///
/// A step is a visit (unit "offer") or a week (unit "period"). All prices of a visit are set at once, on the state before
/// any of them was shown. The shopper answers by the copy's member of the demand model; what is bought moves the state.
/// The price index costs an agent what the model's basket at posted prices gets dearer; it is violated by what the
/// session's logged basket gets dearer.
/// Money is in major units. Episodes are cut off, not over: the shop goes on. They end only when all stock is sold.
#[derive(Debug)]
pub struct ReplayEnv {
    world: Arc<World>,
    config: ReplayConfig,
    spec: EnvSpec,
    sessions: Range<usize>,
    masks: Vec<Mask>,
    stock: Vec<u32>,
    first_copy: usize,
    episodes: Vec<Episode>,
    scratch: Scratch,
}

/// Room for one visit's numbers, one place per agent.
#[derive(Debug)]
struct Scratch {
    shown: Vec<PriceMinor>,
    prices: Vec<f64>,
    posted: Vec<f64>,
    response: Vec<Response>,
    units: Vec<u32>,
    /// Each agent's own earnings, and what it is told of the team's.
    reward: Vec<f64>,
    team: Vec<f64>,
    cost: Vec<f64>,
    violation: f64,
}

impl ReplayEnv {
    /// A block of copies, by number: a copy behaves the same whatever block it is in. Reset with root seed 0.
    ///
    /// # Errors
    /// When there is no copy, a value is out of range, the weeks hold no sessions, an item has no allowed price, or a
    /// margin is wanted of items whose cost is unknown.
    pub fn new(world: Arc<World>, config: ReplayConfig, copies: Range<usize>) -> Result<Self, ReplayError> {
        config.check()?;
        if copies.is_empty() {
            return Err(ReplayError::Config("copies: must be at least 1".to_owned()));
        }
        let sessions = world.replay().sessions_in(&config.week_range());
        if sessions.len() < 2 {
            return Err(ReplayError::Sessions {
                first: config.weeks[0],
                last: config.weeks[1],
                found: sessions.len(),
            });
        }
        if config.reward == Earning::Margin
            && let Some(item) = world
                .catalog()
                .items()
                .iter()
                .find(|item| item.cost_minor.is_none())
        {
            return Err(ReplayError::Config(format!(
                "reward = \"margin\" needs the cost of item `{}`: state cost_share or use \"revenue\"",
                item.id
            )));
        }
        let masks = world.masks(&config.guardrails)?;
        let stock = stock_units(&world, &config, &sessions);
        let agents = world.catalog().agents_max();
        let constraints = usize::from(config.price_index_limit.is_some());
        let spec = EnvSpec {
            copies: copies.len(),
            agents,
            obs_width: FEATURE_WIDTH,
            state_width: STATE_WIDTH,
            rungs: world.catalog().rungs_max(),
            constraints,
            constraint_names: vec!["price_index".to_owned(); constraints],
        };
        let mut env = Self {
            world,
            config,
            spec,
            sessions,
            masks,
            stock,
            first_copy: copies.start,
            episodes: Vec::new(),
            scratch: Scratch::new(agents),
        };
        env.reset(&Seeds::new(0));
        Ok(env)
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &ReplayConfig {
        &self.config
    }

    fn begin(&self, episode: &mut Episode) {
        let rng = &mut episode.rng;
        let category = rng.random_range(0..self.world.catalog().categories().len());
        let member = match self.config.members {
            Members::Point => 0,
            Members::Ensemble => rng.random_range(0..self.world.demand().members()),
        };
        let last = self.sessions.end - 1;
        let start = match self.config.unit {
            Unit::Offer => {
                let room = self.sessions.len() - 1;
                let span = room - (self.config.episode_visits as usize).min(room - 1);
                self.sessions.start + rng.random_range(0..span)
            }
            Unit::Period => {
                let sessions = &self.world.replay().sessions;
                let any = rng.random_range(self.sessions.start..last);
                let week = sessions[any].week;
                sessions.partition_point(|session| session.week < week)
            }
        };
        episode.begin(&self.world, category, member, start, &self.stock);
    }

    fn write(&self, episode: &Episode, obs: &mut [f32], state: &mut [f32], mask: &mut [u64]) {
        let visit = episode.visit(&self.world);
        let items = self.world.catalog().categories()[episode.category].items.clone();
        let agents = items.len();
        obs[agents * FEATURE_WIDTH..].fill(0.0);
        for (agent, row) in obs.chunks_exact_mut(FEATURE_WIDTH).take(agents).enumerate() {
            encode(&visit, agent, row);
        }
        let (first, others) = state.split_at_mut(STATE_WIDTH);
        write_state(&visit, &obs[..agents * FEATURE_WIDTH], first);
        for (agent, row) in others.chunks_exact_mut(STATE_WIDTH).enumerate() {
            if agent + 1 < agents {
                row.copy_from_slice(first);
            } else {
                row.fill(0.0);
            }
        }
        mask.fill(0);
        for (out, allowed) in mask.iter_mut().zip(&self.masks[items]) {
            *out = allowed.0;
        }
    }

    /// Plays one step of a copy: `scratch.reward` and `scratch.cost` hold the agents' own sums afterwards.
    fn play(&self, episode: &mut Episode, rungs: &[u8], scratch: &mut Scratch) -> StepEnd {
        let world = &*self.world;
        let items = world.catalog().items_of(episode.category);
        scratch.shown.clear();
        scratch.shown.extend(
            items
                .iter()
                .zip(rungs)
                .map(|(item, rung)| item.ladder.price(usize::from(*rung))),
        );
        scratch.reward.fill(0.0);
        scratch.team.fill(0.0);
        scratch.cost.fill(0.0);
        scratch.violation = 0.0;
        let week = |session: usize| world.replay().sessions[session].week;
        let now = week(episode.session);
        loop {
            self.shop(episode, scratch);
            if !episode.stock.is_empty() && episode.stock.iter().all(|left| *left == 0) {
                return StepEnd::Terminated;
            }
            episode.advance(world, self.sessions.end, self.config.resample_sessions);
            let out_of_sessions = episode.session + 1 >= self.sessions.end;
            let full = episode.visits >= self.config.episode_visits;
            let week_over = week(episode.session) != now;
            match self.config.unit {
                _ if out_of_sessions => return StepEnd::Truncated,
                Unit::Offer if full => return StepEnd::Truncated,
                Unit::Period if full && week_over => return StepEnd::Truncated,
                Unit::Offer => return StepEnd::Go,
                Unit::Period if week_over => return StepEnd::Go,
                Unit::Period => {}
            }
        }
    }

    /// One visit at `scratch.shown`: adds to the agents' rewards and costs, and moves the state.
    fn shop(&self, episode: &mut Episode, scratch: &mut Scratch) {
        let world = &*self.world;
        let items = world.catalog().items_of(episode.category);
        let agents = items.len();
        scratch.set_prices(world.shelf(episode.session, episode.category));
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
        if let Some(limit) = self.config.price_index_limit {
            self.charge(&visit, *member, (*session, limit), scratch);
        }
        if self.config.outcome == Outcome::Expected {
            self.expect(&visit, *member, stock, scratch);
        }
        let mut uniform = || rng.random::<f64>();
        scratch.units.clear();
        scratch.units.resize(agents, 0);
        world
            .demand()
            .shop(&visit, &scratch.prices, *member, &mut uniform, &mut scratch.units);
        let mut user = loyalties.get_mut(*place);
        for agent in 0..agents {
            let left = stock.get(agent).copied().unwrap_or(u32::MAX);
            let sold = scratch.units[agent].min(left);
            if self.config.outcome == Outcome::Sampled {
                let earned = f64::from(sold) * self.earns(&items[agent], scratch.prices[agent]);
                scratch.reward[agent] += earned;
                scratch.team[..agents].iter_mut().for_each(|team| *team += earned);
            }
            state.on_shown(agent, scratch.shown[agent], world.rates());
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
    fn charge(
        &self,
        visit: &Visit<'_>,
        member: usize,
        (session, limit): (usize, f64),
        scratch: &mut Scratch,
    ) {
        let agents = scratch.prices.len();
        let at_posted = &mut scratch.response[..agents];
        self.world
            .demand()
            .respond(visit, &scratch.posted, member, at_posted);
        let dearer = |agent: usize| (scratch.prices[agent] - limit * scratch.posted[agent]) / 100.0;
        for (agent, response) in at_posted.iter().enumerate() {
            scratch.cost[agent] += response.purchases * response.units * dearer(agent);
        }
        for line in self.world.replay().bought(session, visit.category) {
            scratch.violation += f64::from(line.units) * dearer(usize::from(line.agent));
        }
    }

    /// Adds what the visit is expected to bring each agent, and what the agent is told of the team's part.
    fn expect(&self, visit: &Visit<'_>, member: usize, stock: &[u32], scratch: &mut Scratch) {
        let demand = self.world.demand();
        let items = self.world.catalog().items_of(visit.category);
        let agents = items.len();
        let response = &mut scratch.response[..agents];
        let earned = |agent: usize, response: &Response, price: f64| {
            let left = stock.get(agent).copied().unwrap_or(u32::MAX);
            let sold = (response.purchases * response.units).min(f64::from(left));
            sold * self.earns(&items[agent], price)
        };
        demand.respond(visit, &scratch.prices, member, response);
        let mut team = 0.0;
        for (agent, response) in response.iter().enumerate() {
            let own = earned(agent, response, scratch.prices[agent]);
            scratch.reward[agent] += own;
            team += own;
        }
        for agent in 0..agents {
            let without = if self.config.credit == Credit::Difference {
                let price = std::mem::replace(&mut scratch.prices[agent], scratch.posted[agent]);
                demand.respond(visit, &scratch.prices, member, response);
                let all = response.iter().zip(&scratch.prices).enumerate();
                let sum = all
                    .map(|(agent, (response, price))| earned(agent, response, *price))
                    .sum();
                scratch.prices[agent] = price;
                sum
            } else {
                0.0
            };
            scratch.team[agent] += team - without;
        }
    }

    /// What one unit brings at a price, in major units.
    fn earns(&self, item: &Item, price: f64) -> f64 {
        let cost = match (self.config.reward, item.cost_minor) {
            (Earning::Margin, Some(cost)) => cost.as_f64(),
            _ => 0.0,
        };
        (price - cost) / 100.0
    }

    /// What each agent is told: its own amount, and `common_share` of the team's in its place.
    fn tell(&self, own: &[f64], team: impl Fn(usize) -> f64, out: &mut [f32]) {
        let common = self.config.common_share;
        for (agent, (out, own)) in out.iter_mut().zip(own).enumerate() {
            *out = ((1.0 - common) * own + common * team(agent)) as f32;
        }
    }
}

impl Scratch {
    fn new(agents: usize) -> Self {
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
}

impl Env for ReplayEnv {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, seeds: &Seeds) {
        let mut episodes = Vec::with_capacity(self.spec.copies);
        for copy in 0..self.spec.copies {
            let mut episode = Episode::new(&seeds.indexed((self.first_copy + copy) as u64));
            self.begin(&mut episode);
            episodes.push(episode);
        }
        self.episodes = episodes;
    }

    fn observe(&self, out: &mut ObserveOut<'_>) {
        let agents = self.spec.agents;
        let obs = out.obs.chunks_exact_mut(agents * FEATURE_WIDTH);
        let state = out.state.chunks_exact_mut(agents * STATE_WIDTH);
        let mask = out.mask.chunks_exact_mut(agents);
        for (((episode, obs), state), mask) in self.episodes.iter().zip(obs).zip(state).zip(mask) {
            self.write(episode, obs, state, mask);
        }
    }

    fn step(&mut self, rungs: &[u8], out: &mut StepOut<'_>) {
        let agents = self.spec.agents;
        let mut episodes = std::mem::take(&mut self.episodes);
        let mut scratch = std::mem::replace(&mut self.scratch, Scratch::new(0));
        for (copy, episode) in episodes.iter_mut().enumerate() {
            let rows = copy * agents..(copy + 1) * agents;
            let end = self.play(episode, &rungs[rows.clone()], &mut scratch);
            let team = |agent: usize| scratch.team[agent];
            self.tell(&scratch.reward, team, &mut out.reward[rows.clone()]);
            if self.spec.constraints > 0 {
                let total: f64 = scratch.cost.iter().sum();
                let team = |agent: usize| match self.config.credit {
                    Credit::Shared => total,
                    Credit::Difference => scratch.cost[agent],
                };
                self.tell(&scratch.cost, team, &mut out.cost[rows.clone()]);
                out.violation[copy] = scratch.violation as f32;
            }
            out.end[copy] = end;
            if end == StepEnd::Truncated {
                self.write(
                    episode,
                    &mut out.last.obs[rows.start * FEATURE_WIDTH..rows.end * FEATURE_WIDTH],
                    &mut out.last.state[rows.start * STATE_WIDTH..rows.end * STATE_WIDTH],
                    &mut out.last.mask[rows],
                );
            }
            if end != StepEnd::Go {
                self.begin(episode);
            }
        }
        self.episodes = episodes;
        self.scratch = scratch;
    }

    fn save(&self) -> Vec<u8> {
        encode_record(&self.episodes)
    }

    fn load(&mut self, state: &[u8]) -> Result<(), String> {
        let episodes: Vec<Episode> = decode_record(state)
            .map_err(|error| format!("the saved replay environment is unreadable: {error}"))?;
        let members = self.world.demand().members();
        let fits =
            |episode: &Episode| episode.fits(&self.world, &self.sessions, members, !self.stock.is_empty());
        if episodes.len() != self.spec.copies || !episodes.iter().all(fits) {
            return Err("the saved state belongs to another replay environment".to_owned());
        }
        self.episodes = episodes;
        Ok(())
    }
}

/// Units of each item at the beginning of an episode; empty where stock is not modelled.
fn stock_units(world: &World, config: &ReplayConfig, sessions: &Range<usize>) -> Vec<u32> {
    let Some(weeks) = config.stock_weeks else {
        return Vec::new();
    };
    let per_week = sessions.len() as f64 / f64::from(config.weeks[1] - config.weeks[0] + 1);
    let of = |item: &Item| {
        (f64::from(item.traits.sales_rate) * per_week * weeks)
            .round()
            .max(1.0) as u32
    };
    world.catalog().items().iter().map(of).collect()
}

/// The mean observation, the number of agents / 8, and the logs of the category's sales rate, of its revenue rate, and of
/// its last prices relative to base prices at usual sales.
fn write_state(visit: &Visit<'_>, obs: &[f32], out: &mut [f32]) {
    let items = visit.catalog.items_of(visit.category);
    out.fill(0.0);
    for row in obs.chunks_exact(FEATURE_WIDTH) {
        for (mean, value) in out.iter_mut().zip(row) {
            *mean += value / items.len() as f32;
        }
    }
    let (mut sales, mut revenue, mut last, mut base) = (0.0, 0.0, 0.0, 0.0);
    for (item, state) in items.iter().zip(&visit.state.items) {
        sales += state.sales_rate;
        revenue += state.sales_rate * state.last_minor;
        last += item.traits.sales_rate * state.last_minor;
        base += item.traits.sales_rate * item.base_minor.0 as f32;
    }
    out[FEATURE_WIDTH..].copy_from_slice(&[
        items.len() as f32 / 8.0,
        (100.0 * sales).ln_1p(),
        revenue.ln_1p(),
        (last.max(f32::MIN_POSITIVE) / base.max(f32::MIN_POSITIVE)).ln(),
    ]);
}
