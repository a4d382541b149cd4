//! The markets of `envs/`: published numbers, independent solvers, stepping, and what is refused.

mod conduct;
mod equilibria;
mod features;
mod files;
mod harness;
mod instances;
mod plans;
mod published;
mod refusals;
mod sell_through;
mod stepping;
