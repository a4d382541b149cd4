//! Market C where a seller may ask any price from its cost to the top of the ladder, as a multiplier of its cost: stepped, not
//! tabled.

use super::checks::field;
use super::oligopoly::LogitOligopoly;
use super::oracle::OracleError;
use super::place::Place;
use crate::StepEnd;
use rand::{Rng, RngExt};

/// Sellers who see the last prices of all.
#[derive(Clone, Debug)]
pub(crate) struct OpenPrices {
    market: LogitOligopoly,
    pub(crate) agents: usize,
    /// Lowest and highest multiplier of each agent.
    pub(crate) multipliers: Vec<[f32; 2]>,
    pub(crate) discount: f64,
    /// Steps until an episode is cut off.
    steps: usize,
}

impl LogitOligopoly {
    /// The game of the sellers that learn, without a ladder.
    pub(crate) fn open_prices(&self) -> Result<OpenPrices, OracleError> {
        let top = self.ladder()?.last().copied().unwrap_or_default();
        let agents = self.sellers;
        let costs = self.costs.spread(agents);
        field(
            "costs",
            format_args!("{}", self.costs),
            costs.iter().all(|cost| *cost > 0.0 && *cost < top),
            "costs above 0 and below the highest price, where action = \"multiplier\"",
        )?;
        field(
            "rivals",
            format_args!("{}", self.rivals_text()),
            self.rivals.is_empty(),
            "no rivals, where action = \"multiplier\": they are on the ladder",
        )?;
        Ok(OpenPrices {
            agents,
            multipliers: costs.iter().map(|cost| [1.0, (top / cost) as f32]).collect(),
            discount: self.discount,
            steps: self.episode_periods,
            market: self.clone(),
        })
    }

    /// The sellers' prices where they ask these multiples of their costs.
    #[must_use]
    pub fn posted_multiples(&self, multipliers: &[f32]) -> Vec<f64> {
        let each = multipliers.iter().enumerate();
        each.map(|(seller, times)| f64::from(*times) * self.costs.seller(seller))
            .collect()
    }
}

impl OpenPrices {
    /// What each agent's multiplier multiplies: its cost.
    pub(crate) fn bases(&self) -> Vec<Vec<f64>> {
        (0..self.agents)
            .map(|seller| vec![self.market.costs.seller(seller)])
            .collect()
    }

    /// The last prices of the agents as multiples of their costs: its own first, then the next ones' in a circle; then, with
    /// several agents, which one it is.
    pub(crate) fn obs_width(&self) -> usize {
        self.agents + if self.agents > 1 { self.agents } else { 0 }
    }

    /// Even starts: every price is equally likely.
    pub(crate) fn start(&self, rng: &mut impl Rng, memory: &mut [f32]) -> Place {
        for (last, [low, high]) in memory.iter_mut().zip(&self.multipliers) {
            *last = low + (high - low) * rng.random::<f32>();
        }
        Place::new(self.steps, 0, 0)
    }

    pub(crate) fn observe(&self, memory: &[f32], agent: usize, obs: &mut [f32], mask: &mut u64) {
        obs.fill(0.0);
        let seats = memory[agent..].iter().chain(&memory[..agent]);
        obs.iter_mut().zip(seats).for_each(|(obs, last)| *obs = *last);
        if self.agents > 1 {
            obs[self.agents + agent] = 1.0;
        }
        *mask = 1;
    }

    pub(crate) fn step(
        &self,
        place: Place,
        multipliers: &[f32],
        reward: &mut [f32],
        memory: &mut [f32],
    ) -> (Place, StepEnd) {
        memory.copy_from_slice(multipliers);
        let profits = self.market.profits(&self.market.posted_multiples(multipliers));
        let mean = profits.iter().sum::<f64>() / self.agents as f64;
        for (reward, own) in reward.iter_mut().zip(profits) {
            *reward = (own + self.market.common_share * (mean - own)) as f32;
        }
        place.endless(0)
    }

    pub(crate) fn sound(&self, place: Place) -> bool {
        (1..=self.steps).contains(&(place.left as usize)) && place.state == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Market, MarketEnv};
    use crate::{Actions, Env, ObserveOut, StepOut};
    use haggle_core::Seeds;

    fn market(change: &str) -> LogitOligopoly {
        let file = include_str!("../../../../envs/c-continuous.toml").replace("costs = 1.0", change);
        match toml::from_str(&file).expect("a market") {
            Market::LogitOligopoly(market) => market,
            _ => panic!("another market"),
        }
    }

    #[test]
    fn any_price_pays_its_closed_form_and_is_seen_next() {
        let market = market("costs = [1.0, 1.25]");
        let mut env = MarketEnv::new(&Market::LogitOligopoly(market.clone()), 1).expect("an environment");
        env.reset(&Seeds::new(3));
        let top = market.ladder().expect("a ladder")[14] as f32;
        assert_eq!(env.multipliers(), [[1.0, top], [1.0, top / 1.25]]);
        let (mut reward, mut end) = ([0.0; 2], [StepEnd::Go]);
        env.step(
            Actions::Multipliers(&[1.5, 1.2]),
            &mut StepOut {
                reward: &mut reward,
                cost: &mut [],
                violation: &mut [],
                end: &mut end,
                last: ObserveOut {
                    obs: &mut [0.0; 8],
                    state: &mut [],
                    mask: &mut [0; 2],
                },
            },
        );
        // Both ask 1.5 (1.2 in single precision): margins 0.5 and 0.25, shares e^2 / (2 e^2 + 1) = 0.468311 each.
        assert!((reward[0] - 0.234_155).abs() < 1e-5, "{reward:?}");
        assert!((reward[1] - 0.117_078).abs() < 1e-5, "{reward:?}");
        let (mut obs, mut mask) = ([0.0; 8], [0; 2]);
        env.observe(&mut ObserveOut {
            obs: &mut obs,
            state: &mut [],
            mask: &mut mask,
        });
        assert_eq!(obs, [1.5, 1.2, 1.0, 0.0, 1.2, 1.5, 0.0, 1.0]);
        assert_eq!((mask, end), ([1, 1], [StepEnd::Go]));
    }

    #[test]
    fn a_team_is_paid_its_mean() {
        let team = market("costs = [1.0, 1.25]\ncommon_share = 1.0");
        let game = team.open_prices().expect("a game");
        let (mut paid, mut memory) = ([0.0; 2], [0.0; 2]);
        game.step(Place::new(5, 0, 0), &[1.5, 1.2], &mut paid, &mut memory);
        assert!(
            (paid[0] - 0.175_617).abs() < 1e-5 && paid[0] == paid[1],
            "{paid:?}"
        );
    }

    #[test]
    fn what_has_no_multiple_or_no_ladder_is_refused() {
        let free = market("costs = [0.0, 1.0]")
            .open_prices()
            .expect_err("no multiple of nothing");
        assert!(free.to_string().contains("costs above 0"), "{free}");
        let reacting = market("costs = 1.0\nrivals = [\"matcher\"]").open_prices();
        assert!(
            reacting
                .expect_err("a reaction")
                .to_string()
                .contains("on the ladder")
        );
    }
}
