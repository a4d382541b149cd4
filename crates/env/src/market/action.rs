use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an agent chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// A rung of the ladder.
    #[default]
    Rung,
    /// Any price, as a multiple: a seller of its cost, up to the top of the ladder; a season of `price_scale`, between the ends
    /// of the ladder.
    Multiplier,
}

impl Action {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
    pub(super) fn is_rung(&self) -> bool {
        *self == Self::Rung
    }
}
