//! Steps out: the replay environment, and the batch that steps many copies at once.

mod environment;

pub use environment::{Env, EnvSpec, ObserveOut, StepEnd, StepOut};
