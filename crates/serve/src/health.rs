use serde::{Deserialize, Serialize};

/// How the store is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It takes records in.
    Ok,
    /// The disk is full; it is tried again.
    Full,
    /// It takes nothing in until a restart.
    Failed,
}
