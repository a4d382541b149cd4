//! Steps out: the replay environment, and the batch that steps many copies at once.

mod environment;
mod probe;
mod probe_env;

pub use environment::{Env, EnvSpec, ObserveOut, StepEnd, StepOut};
pub use probe::{Optimum, ProbeConfig, ProbeError, Problem};
pub use probe_env::ProbeEnv;
