//! Sellers of market C on a ladder: who learns, who does not, and what each earns at every joint choice.

use super::checks::storable;
use super::oligopoly::{LogitOligopoly, Pricing};
use super::oracle::{Oracle, OracleError};
use super::rivalry::{Reaction, Rivalry};
use super::search::best_index;
use std::collections::BTreeMap;

impl LogitOligopoly {
    /// The prices that a seller chooses among.
    ///
    /// # Errors
    /// When a parameter makes no market.
    pub fn ladder(&self) -> Result<Vec<f64>, OracleError> {
        self.check()?;
        if let Some(prices) = &self.prices {
            return Ok(prices.clone());
        }
        let low = self.nash()?.into_iter().fold(f64::INFINITY, f64::min);
        let high = self.monopoly().into_iter().fold(0.0, f64::max);
        let beyond = self.xi * (high - low);
        let step = (high - low + 2.0 * beyond) / (self.rungs - 1) as f64;
        Ok((0..self.rungs)
            .map(|rung| low - beyond + step * rung as f64)
            .collect())
    }

    /// The group of each seller that learns: those of equal cost and quality are alike.
    pub(super) fn groups(&self) -> Vec<usize> {
        let costs = self.costs.spread(self.sellers);
        let quality = self.quality.spread(self.sellers);
        let mut kinds: Vec<(f64, f64)> = Vec::new();
        let learners = costs
            .into_iter()
            .zip(quality)
            .take(self.sellers - self.rivals.len());
        learners
            .map(|kind| {
                let known = kinds.iter().position(|known| *known == kind);
                known.unwrap_or_else(|| {
                    kinds.push(kind);
                    kinds.len() - 1
                })
            })
            .collect()
    }

    /// The game of the sellers that learn, on the ladder.
    pub(crate) fn rivalry(&self) -> Result<Rivalry, OracleError> {
        self.game(|prices| self.profits(prices))
    }

    /// The game on the ladder where every seller's profit at all prices is `profits`.
    pub(super) fn game(&self, profits: impl Fn(&[f64]) -> Vec<f64>) -> Result<Rivalry, OracleError> {
        let prices = self.ladder()?;
        let agents = self.sellers - self.rivals.len();
        let reacting = self
            .rivals
            .iter()
            .filter(|rival| matches!(rival, Pricing::Reacting(_)));
        let movers = agents + reacting.count();
        storable((prices.len() as f64).powi(movers as i32))?;
        let mut game = Rivalry {
            agents,
            movers,
            profit: Vec::new(),
            reward: Vec::new(),
            digits: Vec::new(),
            reaction: Vec::new(),
            discount: self.discount,
            steps: self.episode_periods,
            prices,
        };
        for state in 0..game.states() {
            let rungs = game.rungs(state);
            let posted = self.posted(&game.prices, agents, &rungs);
            let profits = &profits(&posted)[..agents];
            let mean = profits.iter().sum::<f64>() / agents as f64;
            let paid = profits
                .iter()
                .map(|own| (own + self.common_share * (mean - own)) as f32);
            game.reward.extend(paid);
            game.profit.extend_from_slice(profits);
            game.digits.extend(rungs.iter().map(|rung| *rung as u8));
            game.reaction.push(self.reaction(&game.prices, agents, &rungs));
        }
        Ok(game)
    }

    /// Every seller's price when the movers play `rungs`.
    fn posted(&self, prices: &[f64], agents: usize, rungs: &[usize]) -> Vec<f64> {
        let mut moved = rungs.iter().map(|rung| prices[*rung]);
        let mut posted: Vec<f64> = moved.by_ref().take(agents).collect();
        for rival in &self.rivals {
            posted.push(match rival {
                Pricing::Fixed(price) => *price,
                Pricing::Reacting(_) => moved.next().unwrap_or_default(),
            });
        }
        posted
    }

    /// What the reacting rivals answer to the movers' last `rungs`, as their part of the next joint choice's number.
    fn reaction(&self, prices: &[f64], agents: usize, rungs: &[usize]) -> u32 {
        let mut mover = agents;
        let mut answer = 0;
        for (rival, pricing) in self.rivals.iter().enumerate() {
            let Pricing::Reacting(reaction) = pricing else {
                continue;
            };
            let others = rungs.iter().enumerate().filter(|(other, _)| *other != mover);
            let lowest = others.map(|(_, rung)| *rung).min().unwrap_or_default();
            let rung = match reaction {
                Reaction::Matcher => lowest,
                Reaction::Undercutter => lowest.checked_sub(1).unwrap_or(prices.len() - 1),
                Reaction::BestReply => {
                    let mut posted = self.posted(prices, agents, rungs);
                    best_index(prices.len(), |rung| {
                        posted[agents + rival] = prices[rung];
                        self.profits(&posted)[agents + rival]
                    })
                }
            };
            answer += rung * prices.len().pow(mover as u32);
            mover += 1;
        }
        answer as u32
    }

    /// What one learner earns at most from rivals whose prices stand fixed, and at which price, on the ladder or beside it.
    fn best_reply_to_fixed(&self) -> BTreeMap<&'static str, f64> {
        let fixed = self.rivals.iter().map(|rival| match rival {
            Pricing::Fixed(price) => Some(*price),
            Pricing::Reacting(_) => None,
        });
        let posted: Option<Vec<f64>> = std::iter::once(Some(0.0)).chain(fixed).collect();
        let Some(mut posted) = posted.filter(|posted| posted.len() == self.sellers) else {
            return BTreeMap::new();
        };
        posted[0] = self.best_reply(0, &posted);
        BTreeMap::from([
            ("best_reply_price", posted[0]),
            ("best_reply_profit", self.profits(&posted)[0]),
        ])
    }

    /// What is known where all learn, corrected for rivals that do not: what the learners can earn together, and with a single
    /// price for all of them, is then solved on the ladder, over even starts.
    pub(super) fn beside_rivals(&self, everybody: Oracle) -> Result<Oracle, OracleError> {
        if self.rivals.is_empty() {
            return Ok(everybody);
        }
        let game = self.rivalry()?;
        let (rung, fixed) = game.fixed();
        let mut everybody = everybody;
        everybody.references.extend(self.best_reply_to_fixed());
        Ok(Oracle {
            v_star: game.cartel()?,
            v_fixed: fixed,
            fixed_price: game.prices[rung],
            ..everybody
        })
    }
}
