//! The settings that are one word out of a few.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the gradient steps run. Roll-outs always run on the processor, beside the environment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeviceChoice {
    /// The GPU where there is one, else the processor.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// The GPU, or an error.
    Cuda,
}

/// How gradient steps are computed. The results are the same to single precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EngineChoice {
    /// Fused where it applies, else libtorch.
    #[default]
    Auto,
    /// Plain Rust with vector instructions: a processor, layers and inputs of at most 256 numbers.
    Fused,
    /// libtorch: any network, processor or GPU.
    Torch,
}

/// What the critic sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Critic {
    /// The agent's observation and the global state (MAPPO).
    #[default]
    Central,
    /// The agent's observation alone (IPPO).
    Local,
}

/// Which agents share their parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Share {
    /// All of them.
    #[default]
    All,
    /// Those of a group: agents that are alike, where the environment knows which are.
    Group,
    /// None: each has its own.
    None,
}

/// Over which rows advantages are standardised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AdvantageScale {
    /// Over each agent's own rows: agents that earn much do not drown the others.
    #[default]
    Agent,
    /// Over all rows.
    All,
}
