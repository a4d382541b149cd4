//! Is it better? Simulated comparison with intervals, statistics over seeds, off-policy estimates on logged offers, and
//! the gate.

mod asked;
mod bootstrap;
mod calibration;
mod comparison;
mod estimate;
mod evaluation;
mod gate;
mod gate_config;
mod interval;
mod market_value;
mod occasion;
mod off_policy;
mod open_prices_value;
mod page;
pub mod plot;
mod resimulation;
mod reward_model;
mod rivalry_value;
mod roll_out;
mod scores;
mod shortfall;
mod weighed_log;
mod weighed_offer;

pub use bootstrap::{Bootstrap, REPLICATES};
pub use calibration::Calibration;
pub use comparison::{Comparison, GroupScore, Improvement, RunScore};
pub use estimate::{Estimate, Estimator, Row};
pub use evaluation::{Contender, Evaluation, EvaluationRow, compare_on_replay};
pub use gate::{GateVerdict, judge};
pub use gate_config::{GateConfig, GateConfigError};
pub use interval::Interval;
pub use market_value::{How, MarketValue, MarketValueError, price_chart};
pub use occasion::{FaultyOffers, Occasion, OfferFault, faulty_offers, occasions};
pub use off_policy::{OffPolicyError, OffPolicyReport, Overlap, PolicyReport, Values, compare};
pub use open_prices_value::OpenPricesValue;
pub use page::Page;
pub use resimulation::{ResimulatedRevenue, Resimulation, resimulate};
pub use rivalry_value::RivalryValue;
pub use roll_out::{RollOut, roll_out};
pub use scores::{Aggregate, Scores, ScoresError};
