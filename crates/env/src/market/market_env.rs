use super::Market;
use super::checks::count;
use super::game::Game;
use super::oracle::OracleError;
use super::place::Place;
use crate::{Actions, Env, EnvSpec, ObserveOut, StepEnd, StepOut};
use haggle_core::{Seeds, decode_record, encode_record};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// A block of copies of one market, as a structure of arrays. Rewards are money in the market's own units.
///
/// What is observed is documented at each game's `observe`; rung `r` of the spec is `Market::prices()[r]`.
#[derive(Debug)]
pub struct MarketEnv {
    spec: EnvSpec,
    game: Game,
    groups: Option<Vec<usize>>,
    prices: Vec<Vec<f64>>,
    copies: Copies,
}

/// One entry per copy.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Copies {
    left: Vec<u32>,
    state: Vec<u32>,
    last: Vec<u8>,
    /// What a market remembers of its past, or of its shopper: so many numbers per copy.
    memory: Vec<f32>,
    draws: Vec<ChaCha8Rng>,
}

impl Copies {
    /// A copy's part of the memory.
    fn memory(&mut self, copy: usize) -> &mut [f32] {
        let width = self.memory.len() / self.left.len();
        &mut self.memory[copy * width..][..width]
    }

    #[inline]
    fn place(&self, copy: usize) -> Place {
        Place {
            left: self.left[copy],
            state: self.state[copy],
            last: self.last[copy],
        }
    }

    #[inline]
    fn put(&mut self, copy: usize, place: Place) {
        self.left[copy] = place.left;
        self.state[copy] = place.state;
        self.last[copy] = place.last;
    }
}

impl MarketEnv {
    /// `copies` copies of a market, reset with root seed 0.
    ///
    /// # Errors
    /// When the market makes no sense or cannot be stepped.
    pub fn new(market: &Market, copies: usize) -> Result<Self, OracleError> {
        count("copies", copies)?;
        let game = market.game()?;
        let (agents, obs_width, rungs) = game.shape();
        let constraint_names = game.constraint_names();
        let spec = EnvSpec {
            copies,
            agents,
            obs_width,
            state_width: game.state_width(),
            rungs,
            constraints: constraint_names.len(),
            constraint_names,
        };
        let prices = market.agents_prices(&game);
        let mut env = Self {
            spec,
            game,
            groups: market.groups(),
            prices,
            copies: Copies::default(),
        };
        env.reset(&Seeds::new(0));
        Ok(env)
    }
}

impl Game {
    /// Writes what the agents of a copy see.
    fn show(&self, copy: usize, place: Place, memory: &[f32], spec: &EnvSpec, out: &mut ObserveOut<'_>) {
        for row in copy * spec.agents..(copy + 1) * spec.agents {
            let obs = &mut out.obs[row * spec.obs_width..][..spec.obs_width];
            self.observe(place, memory, row - copy * spec.agents, obs, &mut out.mask[row]);
            if spec.state_width > 0 {
                self.state(
                    place,
                    &mut out.state[row * spec.state_width..][..spec.state_width],
                );
            }
        }
    }
}

/// Shows every copy to its only agent.
#[inline]
fn show_all(copies: &Copies, out: &mut ObserveOut<'_>, observe: impl Fn(Place, &mut [f32], &mut u64)) {
    let width = out.obs.len() / out.mask.len();
    let rows = out.obs.chunks_exact_mut(width).zip(out.mask.iter_mut());
    for (copy, (obs, mask)) in rows.enumerate() {
        observe(copies.place(copy), obs, mask);
    }
}

/// Moves every copy by a step, and begins the next episode where one ends.
#[inline]
fn advance<A>(
    (spec, game, copies): (&EnvSpec, &Game, &mut Copies),
    actions: &[A],
    out: &mut StepOut<'_>,
    step: impl Fn(Place, &[A], &mut ChaCha8Rng, &mut [f32], &mut [f32]) -> (Place, StepEnd),
) {
    let agents = spec.agents;
    let width = game.memory_width();
    let rows = actions
        .chunks_exact(agents)
        .zip(out.reward.chunks_exact_mut(agents));
    for (copy, (actions, reward)) in rows.enumerate() {
        let place = copies.place(copy);
        let rng = &mut copies.draws[copy];
        let memory = &mut copies.memory[copy * width..][..width];
        let (mut next, end) = step(place, actions, rng, reward, memory);
        out.end[copy] = end;
        if spec.constraints > 0 {
            out.cost[copy] = game.cost(place, next, end);
            out.violation[copy] = out.cost[copy];
        }
        if end != StepEnd::Go {
            if end == StepEnd::Truncated {
                game.show(copy, next, memory, spec, &mut out.last);
            }
            next = game.start(rng, memory);
        }
        copies.put(copy, next);
    }
}

impl Env for MarketEnv {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, seeds: &Seeds) {
        let count = self.spec.copies;
        let streams = (0..count).map(|copy| seeds.indexed(copy as u64).rng());
        self.copies = Copies {
            left: vec![0; count],
            state: vec![0; count],
            last: vec![0; count],
            memory: vec![0.0; count * self.game.memory_width()],
            draws: streams.collect(),
        };
        for copy in 0..count {
            let mut rng = self.copies.draws[copy].clone();
            let place = self.game.start(&mut rng, self.copies.memory(copy));
            self.copies.draws[copy] = rng;
            self.copies.put(copy, place);
        }
    }

    fn agent_groups(&self) -> Option<Vec<usize>> {
        self.groups.clone()
    }

    fn prices(&self) -> Vec<Vec<f64>> {
        self.prices.clone()
    }

    fn observe(&self, out: &mut ObserveOut<'_>) {
        match &self.game {
            Game::Season(game) => show_all(&self.copies, out, |place, obs, mask| {
                game.observe(place, obs, mask);
            }),
            Game::Rivalry(game) => game.observe_all(&self.copies.state, out),
            game => {
                let width = game.memory_width();
                for copy in 0..self.spec.copies {
                    let memory = &self.copies.memory[copy * width..][..width];
                    game.show(copy, self.copies.place(copy), memory, &self.spec, out);
                }
            }
        }
    }

    fn multipliers(&self) -> Vec<[f32; 2]> {
        match &self.game {
            Game::OpenPrices(game) => game.multipliers.clone(),
            Game::OpenSale(game) => game.multipliers.clone(),
            _ => Vec::new(),
        }
    }

    fn step(&mut self, actions: Actions<'_>, out: &mut StepOut<'_>) {
        let all = (&self.spec, &self.game, &mut self.copies);
        let rungs = actions.rungs();
        // One loop per kind of market, so that nothing is decided inside it.
        match &self.game {
            Game::Season(game) => advance(all, rungs, out, |place, rungs, rng, reward, _| {
                game.step(place, rungs, rng.next_u32(), reward)
            }),
            Game::Visits(game) => advance(all, rungs, out, |place, rungs, rng, reward, _| {
                game.step(place, rungs, rng.next_u32(), reward)
            }),
            Game::Itineraries(game) => advance(all, rungs, out, |place, rungs, rng, reward, _| {
                game.step(place, rungs, rng.next_u32(), reward)
            }),
            Game::Sessions(game) => advance(all, rungs, out, |place, rungs, rng, reward, _| {
                game.step(place, rungs, rng.next_u32(), reward)
            }),
            Game::LastPrice(game) => advance(all, rungs, out, |place, rungs, _, reward, _| {
                game.step(place, rungs, reward)
            }),
            Game::Rivalry(game) => advance(all, rungs, out, |place, rungs, _, reward, _| {
                game.step(place, rungs, reward)
            }),
            Game::Lines(game) => advance(all, rungs, out, |place, rungs, rng, reward, memory| {
                game.step(place, rungs, rng, reward, memory)
            }),
            Game::Shoppers(game) => advance(all, rungs, out, |place, rungs, rng, reward, memory| {
                game.step(place, rungs, rng.next_u32(), reward, memory)
            }),
            Game::OpenSale(game) => {
                if let Actions::Multipliers(multipliers) = actions {
                    advance(all, multipliers, out, |place, multipliers, rng, reward, _| {
                        game.step(place, multipliers, rng.next_u32(), reward)
                    });
                }
            }
            Game::OpenPrices(game) => {
                if let Actions::Multipliers(multipliers) = actions {
                    advance(all, multipliers, out, |place, multipliers, _, reward, memory| {
                        game.step(place, multipliers, reward, memory)
                    });
                }
            }
        }
    }

    fn save(&self) -> Vec<u8> {
        encode_record(&self.copies)
    }

    fn load(&mut self, state: &[u8]) -> Result<(), String> {
        let copies: Copies =
            decode_record(state).map_err(|error| format!("the saved market is unreadable: {error}"))?;
        let count = self.spec.copies;
        let whole = copies.left.len() == count
            && copies.state.len() == count
            && copies.last.len() == count
            && copies.memory.len() == count * self.game.memory_width()
            && copies.memory.iter().all(|number| number.is_finite())
            && copies.draws.len() == count;
        if !whole || !(0..count).all(|copy| self.game.sound(copies.place(copy))) {
            return Err(format!(
                "the saved state is not one of this market with {count} copies"
            ));
        }
        self.copies = copies;
        Ok(())
    }
}
