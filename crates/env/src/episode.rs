use crate::World;
use crate::loyalties::Loyalties;
use haggle_core::{CategoryState, Seeds, Visit};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// One copy of the replay environment: a category's shelf, and the sessions that pass it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Episode {
    pub(crate) rng: ChaCha8Rng,
    pub(crate) category: usize,
    pub(crate) member: usize,
    /// The session in front of the shelf.
    pub(crate) session: usize,
    /// How often it will come again.
    repeats: u32,
    /// Where the episode began.
    start: usize,
    /// Visits so far.
    pub(crate) visits: u32,
    pub(crate) state: CategoryState,
    /// Units left per agent; empty where stock is not modelled.
    pub(crate) stock: Vec<u32>,
    /// Units at the beginning.
    pub(crate) stocked: Vec<u32>,
    pub(crate) loyalties: Loyalties,
    /// The place of the session's user among them.
    pub(crate) place: usize,
}

impl Episode {
    pub(crate) fn new(seeds: &Seeds) -> Self {
        Self {
            rng: seeds.rng(),
            category: 0,
            member: 0,
            session: 0,
            repeats: 0,
            start: 0,
            visits: 0,
            state: CategoryState { items: Vec::new() },
            stock: Vec::new(),
            stocked: Vec::new(),
            loyalties: Loyalties::default(),
            place: 0,
        }
    }

    /// A new episode at `start`, warmed from the log; `units` per item is the stock, none: unlimited.
    pub(crate) fn begin(
        &mut self,
        world: &World,
        category: usize,
        member: usize,
        start: usize,
        units: &[u32],
    ) {
        self.category = category;
        self.member = member;
        self.start = start;
        self.session = start;
        self.repeats = 0;
        self.visits = 0;
        world.logged_state(category, start, &mut self.state);
        self.stock.clear();
        if !units.is_empty() {
            self.stock
                .extend_from_slice(&units[world.catalog().categories()[category].items.clone()]);
        }
        self.stocked.clone_from(&self.stock);
        self.loyalties.clear();
        self.meet(world);
    }

    /// On to the next visit; sessions come a Poisson(1) number of times when resampled. The session before `end` is
    /// never passed.
    pub(crate) fn advance(&mut self, world: &World, end: usize, resample: bool) {
        self.visits += 1;
        if self.repeats > 0 {
            self.repeats -= 1;
        } else {
            while self.session + 1 < end {
                self.session += 1;
                let times = if resample { poisson_one(&mut self.rng) } else { 1 };
                if times > 0 {
                    self.repeats = times - 1;
                    break;
                }
            }
        }
        self.meet(world);
    }

    pub(crate) fn visit<'a>(&'a self, world: &'a World) -> Visit<'a> {
        world.visit(
            self.session,
            self.category,
            &self.state,
            self.loyalties.get(self.place),
        )
    }

    /// Whether a saved episode belongs to this world.
    pub(crate) fn fits(&self, world: &World, sessions: &Range<usize>, members: usize, stocked: bool) -> bool {
        let agents = self.state.items.len();
        let stock = if stocked { agents } else { 0 };
        world.replay().agents.get(self.category) == Some(&agents)
            && self.member < members
            && sessions.contains(&self.session)
            && sessions.contains(&self.start)
            && self.stock.len() == stock
            && self.stocked.len() == stock
            && self.loyalties.fits(world.replay().users, agents)
    }

    fn meet(&mut self, world: &World) {
        let user = world.replay().sessions[self.session].user;
        self.place = self.loyalties.meet(world, self.category, user, self.start);
    }
}

/// A draw from the Poisson distribution with mean 1 (Knuth).
fn poisson_one(rng: &mut ChaCha8Rng) -> u32 {
    let limit = (-1.0f64).exp();
    let mut product = rng.random::<f64>();
    let mut count = 0;
    while product > limit {
        product *= rng.random::<f64>();
        count += 1;
    }
    count
}
