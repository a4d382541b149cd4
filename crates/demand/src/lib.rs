//! What sells at which price: demand models, their fit, uncertainty and honesty tests.

mod artefact;
mod calibration;
mod catalogue;
mod chain_week;
mod choice;
mod demand;
mod elasticity;
mod error;
mod fit;
mod log;
mod look;
mod model;
mod quantity;
mod report;
mod rows;
mod solver;
mod training;
#[cfg(test)]
mod truth;
mod visit;

pub use calibration::{Calibration, Ratio};
pub use chain_week::{ChainWeek, Placebo};
pub use demand::{Demand, Response};
pub use elasticity::{CategoryElasticity, Interval};
pub use error::DemandError;
pub use fit::{FitConfig, MEMBERS_MAX, fit};
pub use look::AGENTS_MAX;
pub use model::{DemandModel, Rung};
pub use report::FitReport;
