//! The canonical pricing problems, each with an exact optimum. One file of `envs/` is one market; every parameter is free,
//! and the solver reads the same file.

mod action;
mod alias;
mod bertrand;
mod capacity;
mod chart;
mod checks;
mod conduct;
mod continuous_types;
mod duopoly;
mod exact;
mod game;
mod hidden_type;
mod induction;
mod itinerary;
mod last_price;
mod linear;
mod lines;
mod markdown;
mod market_env;
mod network;
mod oligopoly;
mod one_shot;
mod open_prices;
mod open_sale;
mod oracle;
mod packing;
mod perishable;
mod place;
mod poisson_season;
mod policy;
mod reference;
mod resources;
mod rivalry;
mod search;
mod season;
mod segments;
mod sell_down;
mod sell_through;
mod sellers;
mod sessions;
mod shoppers;
mod stock;
mod visits;

pub use action::Action;
pub use capacity::CapacityDuopoly;
pub use chart::Chart;
pub use conduct::{Conduct, Deviation};
pub use continuous_types::ContinuousTypes;
pub use duopoly::{AlternatingDuopoly, Rival};
pub use exact::Exact;
pub use hidden_type::HiddenType;
pub use linear::{Change, ChangingDemand, UnknownLinear};
pub use markdown::Markdown;
pub use market_env::MarketEnv;
pub use network::Network;
pub use oligopoly::{LogitOligopoly, Pricing};
pub use oracle::{Equilibrium, NashPoint, Oracle, OracleError, PerSeller, WORK_MAX};
pub use perishable::{ContinuousSale, SingleArrivals};
pub use policy::Probabilities;
pub use reference::ReferencePrice;
pub use resources::{DemandCurve, SharedResources};
pub use rivalry::Reaction;
pub use segments::Segments;
pub use sell_down::SellDown;
pub use stock::StockedPrices;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A market as it stands in a file of `envs/`: `kind` names the family, the other keys are its parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Market {
    /// A1.
    ContinuousSale(ContinuousSale),
    /// A2, A3.
    SingleArrivals(SingleArrivals),
    /// A4.
    SellDown(SellDown),
    /// B1.
    StockedPrices(StockedPrices),
    /// B2.
    SharedResources(SharedResources),
    /// B3.
    Network(Network),
    /// C.
    LogitOligopoly(LogitOligopoly),
    /// C2.
    CapacityDuopoly(CapacityDuopoly),
    /// D.
    AlternatingDuopoly(AlternatingDuopoly),
    /// E1.
    Segments(Segments),
    /// E2.
    ContinuousTypes(ContinuousTypes),
    /// F.
    Markdown(Markdown),
    /// G0.
    ReferencePrice(ReferencePrice),
    /// Sessions of buyers whose type is hidden.
    HiddenType(HiddenType),
    /// H1, H2.
    ChangingDemand(ChangingDemand),
    /// I.
    UnknownLinear(UnknownLinear),
}

impl Market {
    /// Whether its parameters make a market, and one that is small enough to be solved. Nothing is solved for that, so that
    /// the oracle may still find that a constraint cannot be met. Returns how many updates (a state, an action and an outcome
    /// each) its tables take; 0 where there is a formula, and for sellers, who are few.
    ///
    /// # Errors
    /// When a parameter makes no market, or the market is too large.
    pub fn check(&self) -> Result<f64, OracleError> {
        let formula = |()| 0.0;
        match self {
            Self::ContinuousSale(market) => market.check(),
            Self::SingleArrivals(market) => market.check(),
            Self::SellDown(market) => market.check(),
            Self::StockedPrices(market) => market.check(),
            Self::SharedResources(market) => market.check().map(formula),
            Self::Network(market) => market.check(),
            Self::LogitOligopoly(market) => market.check().map(formula),
            Self::CapacityDuopoly(market) => market.check().map(formula),
            Self::AlternatingDuopoly(market) => market.check(),
            Self::Segments(market) => market.check().map(formula),
            Self::ContinuousTypes(market) => market.check().map(formula),
            Self::Markdown(market) => market.check(),
            Self::ReferencePrice(market) => market.check(),
            Self::HiddenType(market) => market.check(),
            Self::ChangingDemand(market) => market.check(),
            Self::UnknownLinear(market) => market.check().map(formula),
        }
    }

    /// What is known exactly of it.
    ///
    /// # Errors
    /// When a parameter makes no market, its numbers are too large to count, or it is finite but too large to solve.
    pub fn oracle(&self) -> Result<Oracle, OracleError> {
        let oracle = match self {
            Self::ContinuousSale(market) => market.oracle(),
            Self::SingleArrivals(market) => market.oracle(),
            Self::SellDown(market) => market.oracle(),
            Self::StockedPrices(market) => market.oracle(),
            Self::SharedResources(market) => market.oracle(),
            Self::Network(market) => market.oracle(),
            Self::LogitOligopoly(market) => market.oracle(),
            Self::CapacityDuopoly(market) => market.oracle(),
            Self::AlternatingDuopoly(market) => market.oracle(),
            Self::Segments(market) => market.oracle(),
            Self::ContinuousTypes(market) => market.oracle(),
            Self::Markdown(market) => market.oracle(),
            Self::ReferencePrice(market) => market.oracle(),
            Self::HiddenType(market) => market.oracle(),
            Self::ChangingDemand(market) => market.oracle(),
            Self::UnknownLinear(market) => market.oracle(),
        }?;
        oracle.countable()?;
        Ok(oracle)
    }
}
