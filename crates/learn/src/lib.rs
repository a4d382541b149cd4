//! What makes policies: multi-agent actor-critic on libtorch, offline tuning on logged offers, and the run folders,
//! checkpoints and TensorBoard files that go with them. The result is a bundle; nothing else crosses to serving.

mod actor;
mod adam;
mod advantage;
mod barrier;
mod checkpoint;
mod checkpoints;
mod config;
mod credit;
mod device;
mod distribution;
mod engine;
mod episode;
mod error;
mod events;
mod export;
mod fused;
mod gradient;
mod looks;
mod loss;
mod machine;
mod mappo;
mod metrics_file;
mod minibatch;
mod multiplier;
mod network;
mod normaliser;
mod progress;
mod recurrent;
mod rollout;
mod rows;
mod run;
mod run_facts;
mod run_list;
mod run_name;
mod sequence;
mod sights;
mod squashed;
mod table;
mod tabular;
mod team;
mod torch;
mod train;
mod tune;
mod update;

pub use advantage::{Track, advantages, standardise};
pub use checkpoint::{Checkpoint, CheckpointError};
pub use checkpoints::{find_checkpoint, latest_checkpoint, sound_checkpoints};
pub use config::{
    AdvantageScale, ConfigError, Critic, DeviceChoice, EngineChoice, Freedom, MultiplierConfig, Schedule,
    Share, TrainConfig, Way,
};
pub use device::{choose_device, load_cuda};
pub use error::LearnError;
pub use events::{EventWriter, Setting};
pub(crate) use export::network_of;
pub use loss::{clipped_policy_loss, clipped_value_loss};
pub use machine::{LIBTORCH_VERSION, Machine};
pub use mappo::Mappo;
pub use metrics_file::last_metrics;
pub use progress::{Iteration, Metrics, Phases, Progress, Silent};
pub use run::{Run, lock_run};
pub use run_facts::{Change, Divergence, PROGRAM, Resumption, RunFacts, RunStatus, RunSubject, read_facts};
pub use run_list::{ListedRun, damaged_runs, list_runs};
pub use run_name::{point_latest, unique_name};
pub use tabular::{TabularConfig, TabularError, TabularReport, tabular_q};
pub use train::{Ended, Finish, train};
pub use tune::{TuneConfig, TuneReport, tune};
