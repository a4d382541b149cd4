use super::Market;
use super::action::Action;
use super::checks::{affordable, field};
use super::game::Game;
use super::oracle::OracleError;
use super::policy::{Ask, Probabilities};
use haggle_core::LADDER_RUNGS_MAX;

/// What a policy earns, exactly; in the units of the oracle's `v_star`.
#[derive(Clone, Debug, PartialEq)]
pub struct Exact {
    /// Expected earnings from the start, all agents together. For the endless markets C and D: discounted, times
    /// `1 - discount`; for G0 discounted; for E1 per visit.
    pub value: f64,
    /// Each agent's part.
    pub agents: Vec<f64>,
    /// Expected cost of each constraint over an episode; not above 0 where it holds.
    pub costs: Vec<f64>,
    /// What each agent could win with the best reply to the others' policies, as a share of its part; only where several
    /// sellers meet.
    pub reply_gain: Option<Vec<f64>>,
}

impl Market {
    /// The market as tables.
    pub(crate) fn game(&self) -> Result<Game, OracleError> {
        let game = match self {
            Self::SingleArrivals(market) => match market.action {
                Action::Rung => Game::Season(market.season()?),
                Action::Multiplier => Game::OpenSale(market.open_sale()?),
            },
            Self::SellDown(market) => Game::Season(market.season()?),
            Self::StockedPrices(market) => Game::Season(market.season()?),
            Self::Markdown(market) => Game::Season(market.season()?),
            Self::Segments(market) => Game::Visits(market.visits()?),
            Self::AlternatingDuopoly(market) => Game::LastPrice(market.last_price()?),
            Self::ReferencePrice(market) => Game::LastPrice(market.last_price()?),
            Self::LogitOligopoly(market) => match market.action {
                Action::Rung => Game::Rivalry(market.rivalry()?),
                Action::Multiplier => Game::OpenPrices(market.open_prices()?),
            },
            Self::HiddenType(market) => Game::Sessions(market.sessions()?),
            Self::Network(market) => Game::Itineraries(market.itineraries()?),
            Self::ContinuousTypes(market) => Game::Shoppers(market.shoppers()?),
            Self::ChangingDemand(market) => Game::Lines(market.lines()?),
            Self::CapacityDuopoly(market) => Game::Rivalry(market.rivalry()?),
            Self::ContinuousSale(_) => {
                return Err(OracleError::NotStepped("its time and its prices are continuous"));
            }
            Self::UnknownLinear(_) => {
                return Err(OracleError::NotStepped(
                    "nothing changes in it, one price is all: it is for bandits",
                ));
            }
            Self::SharedResources(_) => return Err(OracleError::NotStepped("it is a fluid")),
        };
        let (_, _, rungs) = game.shape();
        field(
            "prices",
            rungs,
            rungs <= LADDER_RUNGS_MAX,
            "at most 64 prices to step through",
        )?;
        Ok(game)
    }

    /// The group of each agent, where the market knows which of its agents are alike.
    pub(super) fn groups(&self) -> Option<Vec<usize>> {
        match self {
            Self::LogitOligopoly(market) => Some(market.groups()),
            Self::CapacityDuopoly(_) => Some(vec![0; 2]), // two equal sellers
            _ => None,
        }
    }

    /// The price of each rung. "No offer" (B1) is an infinite one, and so is a rung that is another price for each agent (B3);
    /// empty where any price may be asked (C with `action = "multiplier"`).
    ///
    /// # Errors
    /// When the market makes no sense or cannot be stepped.
    pub fn prices(&self) -> Result<Vec<f64>, OracleError> {
        Ok(self.prices_in(&self.game()?))
    }

    fn prices_in(&self, game: &Game) -> Vec<f64> {
        match (self, game) {
            (Self::StockedPrices(market), _) => {
                market.prices.iter().copied().chain([f64::INFINITY]).collect()
            }
            (Self::AlternatingDuopoly(market), _) => market.prices(),
            (Self::ReferencePrice(market), _) => market.prices.clone(),
            (_, Game::Season(game)) => game.prices.clone(),
            (_, Game::Visits(game)) => game.prices.clone(),
            (_, Game::Sessions(game)) => game.prices.clone(),
            (_, Game::Lines(game)) => game.prices.clone(),
            (_, Game::Shoppers(game)) => game.prices.clone(),
            (_, Game::Rivalry(game)) => game.prices.clone(),
            (_, Game::Itineraries(game)) => vec![f64::INFINITY; game.rungs],
            (_, Game::LastPrice(_) | Game::OpenPrices(_) | Game::OpenSale(_)) => Vec::new(),
        }
    }

    /// As [`crate::Env::prices`].
    pub(super) fn agents_prices(&self, game: &Game) -> Vec<Vec<f64>> {
        match game {
            Game::Itineraries(game) => game.menus(),
            Game::OpenPrices(game) => game.bases(),
            Game::OpenSale(game) => vec![vec![game.base()]],
            _ => vec![self.prices_in(game); game.shape().0],
        }
    }

    /// Worth of the next step beside this one's: 1 where episodes end by themselves. (D: a step is two periods.)
    ///
    /// # Errors
    /// When the market makes no sense or cannot be stepped.
    pub fn discount(&self) -> Result<f64, OracleError> {
        Ok(match self.game()? {
            Game::LastPrice(game) => game.discount,
            Game::Rivalry(game) => game.discount,
            Game::OpenPrices(game) => game.discount,
            _ => 1.0,
        })
    }

    /// Exact expected earnings of a policy. It is asked with the very observations and masks that [`super::MarketEnv`]
    /// shows; nothing where it depends on a long past (H), any price may be asked, or the market cannot be stepped.
    ///
    /// # Errors
    /// When the market makes no sense or is too large, or the policy answers no distribution.
    pub fn exact_value(&self, policy: &mut Probabilities<'_>) -> Result<Option<Exact>, OracleError> {
        let game = match self.game() {
            Err(OracleError::NotStepped(_)) => return Ok(None),
            game => game?,
        };
        let (agents, obs_width, rungs) = game.shape();
        let mut ask = Ask {
            agents,
            obs_width,
            rungs,
            policy,
        };
        let single = |value: f64| Exact {
            value,
            agents: vec![value],
            costs: Vec::new(),
            reply_gain: None,
        };
        Ok(Some(match &game {
            Game::Season(game) => {
                let states = (game.periods * game.stock * game.lasts()) as f64;
                // what it earns and what it sells
                affordable(states, 2.0 * rungs as f64, game.outcomes() as f64)?;
                let (value, sold) = game.evaluate(&mut ask)?;
                Exact {
                    costs: game
                        .sell_through_min
                        .map(|share| share - sold)
                        .into_iter()
                        .collect(),
                    ..single(value)
                }
            }
            Game::Shoppers(game) => single(game.evaluate(&mut ask)?),
            Game::Lines(_) | Game::OpenPrices(_) | Game::OpenSale(_) => return Ok(None),
            Game::Sessions(game) => single(game.evaluate(&mut ask)?),
            Game::Visits(game) => single(game.evaluate(&mut ask)?),
            Game::LastPrice(game) => single(game.evaluate(&mut ask)?),
            Game::Itineraries(game) => single(game.evaluate(&mut ask)?),
            Game::Rivalry(game) => {
                let standing = game.evaluate(&mut ask)?;
                Exact {
                    value: standing.profit.iter().sum(),
                    agents: standing.profit,
                    costs: Vec::new(),
                    reply_gain: Some(standing.reply_gain),
                }
            }
        }))
    }
}
