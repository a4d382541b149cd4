//! What sells at which price: demand models, their fit, uncertainty and honesty tests.

mod artefact;
mod catalogue;
mod choice;
mod demand;
mod error;
mod fit;
mod look;
mod model;
mod quantity;
mod rows;
mod solver;
mod visit;

pub use demand::{Demand, Response};
pub use error::DemandError;
pub use fit::{FitConfig, MEMBERS_MAX, fit};
pub use look::AGENTS_MAX;
pub use model::{DemandModel, Rung};
