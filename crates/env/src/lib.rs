//! Steps out: the replay environment, and the batch that steps many copies at once.

mod batch;
mod best_fixed;
mod environment;
mod episode;
mod loyalties;
pub mod market;
mod past;
mod probe;
mod probe_env;
mod replay_config;
mod replay_env;
mod step_buffers;
mod till;
mod totals;
mod walk;
mod world;

pub use batch::Batch;
pub use best_fixed::{FixedPlan, FixedPrices, best_fixed};
pub use environment::{Actions, Env, EnvSpec, ObserveOut, StepEnd, StepOut};
pub use probe::{Optimum, ProbeConfig, ProbeError, Problem};
pub use probe_env::ProbeEnv;
pub use replay_config::{Credit, Earning, Members, Outcome, ReplayConfig, ReplayError, Unit};
pub use replay_env::{ReplayEnv, STATE_WIDTH};
pub use step_buffers::StepBuffers;
pub use totals::{Totals, Walk};
pub use walk::{Pricing, WalkError, WalkPlan, walk};
pub use world::World;
