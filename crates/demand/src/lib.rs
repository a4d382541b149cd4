//! What sells at which price: demand models, their fit, uncertainty and honesty tests.

mod demand;

pub use demand::{Demand, Response};
