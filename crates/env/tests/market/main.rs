//! The markets of `envs/`: published numbers, independent solvers, stepping, and what is refused.

mod conduct;
mod files;
mod instances;
mod published;
mod refusals;
mod stepping;
