use super::TabularConfig;
use super::game::Game;
use rand::{Rng, RngExt};

/// The sellers' tables.
pub(super) struct Learners {
    /// `seller x state x rung`.
    worth: Vec<f64>,
    /// The best rung at `seller x state`; the lowest of several.
    best: Vec<usize>,
}

impl Learners {
    /// A price is first worth what it earns for ever against rivals that price at random.
    pub(super) fn new(game: &Game, config: &TabularConfig) -> Self {
        let (states, rungs) = (game.states(), game.rungs);
        let mut worth = Vec::with_capacity(game.sellers * states * rungs);
        let mut best = Vec::with_capacity(game.sellers * states);
        for seller in 0..game.sellers {
            let place = rungs.pow(seller as u32);
            let start = |rung: usize| {
                let own = (0..states).filter(|joint| joint / place % rungs == rung);
                let sum: f64 = own.map(|joint| game.profit[joint * game.sellers + seller]).sum();
                sum / (states / rungs) as f64 / (1.0 - config.discount)
            };
            let start: Vec<f64> = (0..rungs).map(start).collect();
            let first = first_best(&start);
            for _ in 0..states {
                worth.extend_from_slice(&start);
                best.push(first);
            }
        }
        Self { worth, best }
    }

    /// Delta of the cycle that the sellers settle in, and the periods until then; nothing if they do not.
    pub(super) fn play(
        mut self,
        game: &Game,
        config: &TabularConfig,
        rng: &mut impl Rng,
    ) -> Option<(f64, u64)> {
        let (states, rungs) = (game.states(), game.rungs);
        let mut state = rng.random_range(0..states);
        let mut explore = 1.0;
        let decay = (-config.beta).exp();
        let mut stable = 0;
        for period in 1..=config.periods_max {
            let (mut joint, mut place) = (0, 1);
            for seller in 0..game.sellers {
                let random = rng.random::<f64>() < explore;
                let rung = if random {
                    rng.random_range(0..rungs)
                } else {
                    self.best[seller * states + state]
                };
                joint += rung * place;
                place *= rungs;
            }
            explore *= decay;
            let mut moved = false;
            for seller in 0..game.sellers {
                moved |= self.learn(game, config, seller, state, joint);
            }
            state = joint;
            stable = if moved { 0 } else { stable + 1 };
            if stable >= config.stable_periods {
                return Some((self.cycle(game, state), period));
            }
        }
        None
    }

    /// One seller's update after the sellers chose `joint` in `state`; whether its best rung there is another one now.
    fn learn(
        &mut self,
        game: &Game,
        config: &TabularConfig,
        seller: usize,
        state: usize,
        joint: usize,
    ) -> bool {
        let (states, rungs) = (game.states(), game.rungs);
        let rung = joint / rungs.pow(seller as u32) % rungs;
        let next = seller * states + joint;
        let later = self.worth[next * rungs + self.best[next]];
        let here = seller * states + state;
        let target = game.profit[joint * game.sellers + seller] + config.discount * later;
        let row = &mut self.worth[here * rungs..][..rungs];
        row[rung] += config.alpha * (target - row[rung]);
        let best = first_best(row);
        std::mem::replace(&mut self.best[here], best) != best
    }

    /// Mean profits, as Delta, over the cycle that the best prices lead into.
    fn cycle(&self, game: &Game, start: usize) -> f64 {
        let (states, rungs) = (game.states(), game.rungs);
        let next = |state: usize| {
            (0..game.sellers)
                .map(|seller| self.best[seller * states + state] * rungs.pow(seller as u32))
                .sum::<usize>()
        };
        let mut seen = vec![usize::MAX; states];
        let (mut path, mut state) = (Vec::new(), start);
        while seen[state] == usize::MAX {
            seen[state] = path.len();
            path.push(state);
            state = next(state);
        }
        let cycle = &path[seen[state]..];
        let mean = |seller: usize| {
            let profits = cycle
                .iter()
                .map(|joint| game.profit[joint * game.sellers + seller]);
            profits.sum::<f64>() / cycle.len() as f64
        };
        game.delta(&(0..game.sellers).map(mean).collect::<Vec<_>>())
    }
}

fn first_best(row: &[f64]) -> usize {
    let mut best = 0;
    for (rung, worth) in row.iter().enumerate() {
        if *worth > row[best] {
            best = rung;
        }
    }
    best
}
