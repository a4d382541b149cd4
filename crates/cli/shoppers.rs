//! Simulated shoppers: the sessions of real weeks walk into the daemon's shop, ask for prices, buy by a demand model, and
//! the till sends the rewards. Nothing here is a real purchase.

use crate::failure::{Failure, Kind, OrFail};
use haggle_core::{CategoryState, Loyalty, PriceMinor, Seeds, Visit};
use haggle_env::World;
use haggle_serve::{Client, PriceReply, PriceRequest, RewardRequest, ShelfNews, WireContext};
use rand::RngExt;
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

/// They answer by the point estimate of their demand model.
const MEMBER: usize = 0;

/// What a season in the daemon's shop brought.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Season {
    /// Sessions that came.
    pub sessions: usize,
    /// Prices that the daemon answered.
    pub decisions: usize,
    /// Prices that it refused.
    pub refused: usize,
    /// Rewards that it acknowledged as durable.
    pub rewards: usize,
    /// Their sum in minor units.
    pub value_minor: i64,
    /// Units bought.
    pub units: u64,
    /// Round trips of single price requests in microseconds, sorted.
    #[serde(skip)]
    pub waits_us: Vec<f64>,
    /// Decisions a second, shoppers' own thinking included.
    pub decisions_per_second: f64,
}

/// The shoppers of a world, and what they remember.
pub struct Shoppers<'a> {
    world: &'a World,
    users: &'a [String],
    seeds: Seeds,
    states: Vec<CategoryState>,
    loyalties: BTreeMap<(u32, usize), Loyalty>,
    first: usize,
}

impl<'a> Shoppers<'a> {
    /// Shoppers whose memories are those of the log when the session numbered `first` began; `users` are their names.
    pub fn new(world: &'a World, users: &'a [String], first: usize, seed: u64) -> Self {
        let state = |category| {
            let mut state = CategoryState { items: Vec::new() };
            world.logged_state(category, first, &mut state);
            state
        };
        let states = (0..world.catalog().categories().len()).map(state).collect();
        Self {
            world,
            users,
            seeds: Seeds::new(seed).named("shoppers"),
            states,
            loyalties: BTreeMap::new(),
            first,
        }
    }

    /// Sends the sessions of a range, in order, through the shop.
    pub fn visit(&mut self, client: &mut Client, sessions: Range<usize>) -> Result<Season, Failure> {
        let started = Instant::now();
        let mut season = Season::default();
        let mut requests = Vec::new();
        let mut rewards = Vec::new();
        for session in sessions {
            requests.clear();
            rewards.clear();
            for category in 0..self.states.len() {
                self.ask(session, category, &mut requests);
            }
            let (single, rest) = requests.split_at(1);
            let asked = Instant::now();
            let mut replies = client.prices(single).or_fail(Kind::Data)?;
            season.waits_us.push(asked.elapsed().as_secs_f64() * 1e6);
            replies.extend(client.prices(rest).or_fail(Kind::Data)?);
            let mut replies = replies.into_iter();
            for category in 0..self.states.len() {
                let agents = self.world.catalog().items_of(category).len();
                let answered: Vec<_> = replies.by_ref().take(agents).collect();
                let prices: Vec<PriceReply> = answered.into_iter().filter_map(Result::ok).collect();
                season.decisions += prices.len();
                season.refused += agents - prices.len();
                if prices.len() == agents {
                    self.shop(session, category, &prices, &mut rewards);
                }
            }
            for (reward, status) in rewards.iter().zip(client.rewards(&rewards).or_fail(Kind::Data)?) {
                if status.is_ok() {
                    season.rewards += 1;
                    season.value_minor += reward.value_minor;
                    season.units += u64::from(reward.units);
                }
            }
            season.sessions += 1;
        }
        season.waits_us.sort_by(f64::total_cmp);
        season.decisions_per_second = season.decisions as f64 / started.elapsed().as_secs_f64();
        Ok(season)
    }

    /// One request per item of the category; the first one brings the news of the whole shelf.
    fn ask(&self, session: usize, category: usize, requests: &mut Vec<PriceRequest>) {
        let replay = self.world.replay();
        let known = &replay.sessions[session];
        let items = self.world.catalog().items_of(category);
        let shelf = self.world.shelf(session, category);
        for (agent, item) in items.iter().enumerate() {
            let mut context = WireContext::of(&known.context);
            if agent == 0 {
                context.shelf = items
                    .iter()
                    .zip(shelf)
                    .map(|(item, entry)| ShelfNews::of(&item.id, entry))
                    .collect();
            }
            requests.push(PriceRequest {
                session: known.id.clone(),
                user: known.user.map(|user| self.users[user as usize].clone()),
                item: item.id.clone(),
                context,
                ..PriceRequest::default()
            });
        }
    }

    /// One simulated visit at the prices shown: rewards for what is bought, and memories for the next visit.
    fn shop(
        &mut self,
        session: usize,
        category: usize,
        prices: &[PriceReply],
        rewards: &mut Vec<RewardRequest>,
    ) {
        let world = self.world;
        let agents = prices.len();
        let known = &world.replay().sessions[session];
        let mut stranger = Loyalty::default();
        let loyalty = match known.user {
            Some(user) => self.loyalties.entry((user, category)).or_insert_with(|| {
                let mut loyalty = Loyalty::default();
                world.logged_loyalty(category, user, self.first, &mut loyalty);
                loyalty
            }),
            None => &mut stranger,
        };
        let state = &mut self.states[category];
        let visit = Visit {
            catalog: world.catalog(),
            category,
            session: &known.context,
            shelf: world.shelf(session, category),
            state,
            loyalty,
        };
        let shown: Vec<f64> = prices.iter().map(|price| price.price_minor.as_f64()).collect();
        let mut units = vec![0; agents];
        let mut rng = self.seeds.indexed(session as u64).indexed(category as u64).rng();
        world
            .demand()
            .shop(&visit, &shown, MEMBER, &mut || rng.random(), &mut units);
        for (agent, (price, units)) in prices.iter().zip(units).enumerate() {
            state.on_shown(agent, price.price_minor, world.rates());
            if units == 0 {
                continue;
            }
            state.on_bought(agent, units, world.rates());
            loyalty.on_chosen(agent, agents, world.rates());
            let PriceMinor(minor) = price.price_minor;
            rewards.push(RewardRequest {
                decision: price.decision.clone(),
                reward_id: "sale".to_owned(),
                value_minor: i64::from(minor) * i64::from(units),
                units,
            });
        }
    }
}

impl Season {
    /// The wait that a share of single requests did not exceed, in microseconds.
    pub fn wait_us(&self, share: f64) -> f64 {
        let last = self.waits_us.len().saturating_sub(1);
        self.waits_us
            .get((share * last as f64).round() as usize)
            .copied()
            .unwrap_or(f64::NAN)
    }
}
