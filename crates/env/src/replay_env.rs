use crate::episode::Episode;
use crate::replay_config::{Earning, Members, ReplayConfig, ReplayError, Unit};
use crate::till::Till;
use crate::{Actions, Env, EnvSpec, ObserveOut, StepEnd, StepOut, World};
use haggle_core::{FEATURE_WIDTH, Item, Mask, Seeds, Visit, decode_record, encode, encode_record};
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
    till: Till,
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
            till: Till::new(agents),
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

    /// Plays one step of a copy; the till holds its sums afterwards.
    fn play(&self, episode: &mut Episode, rungs: &[u8], till: &mut Till) -> StepEnd {
        let world = &*self.world;
        till.open(world.catalog().items_of(episode.category), rungs);
        let week = |session: usize| world.replay().sessions[session].week;
        let now = week(episode.session);
        loop {
            till.shop(world, &self.config, episode);
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

    fn step(&mut self, actions: Actions<'_>, out: &mut StepOut<'_>) {
        let rungs = actions.rungs();
        let agents = self.spec.agents;
        let mut episodes = std::mem::take(&mut self.episodes);
        let mut till = std::mem::replace(&mut self.till, Till::new(0));
        let (common, credit) = (self.config.common_share, self.config.credit);
        for (copy, episode) in episodes.iter_mut().enumerate() {
            let rows = copy * agents..(copy + 1) * agents;
            let end = self.play(episode, &rungs[rows.clone()], &mut till);
            till.tell_rewards(common, &mut out.reward[rows.clone()]);
            if self.spec.constraints > 0 {
                till.tell_costs(common, credit, &mut out.cost[rows.clone()]);
                out.violation[copy] = till.violation as f32;
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
        self.till = till;
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
