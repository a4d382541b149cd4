//! What gradient steps on libtorch look at.

use tch::{Kind, Tensor};

/// What some rows see, each sight once.
pub(crate) struct Looks {
    /// `sights x width`.
    pub(crate) seen: Tensor,
    /// `sights x rungs`.
    pub(crate) log_uniform: Tensor,
    /// How many rows see each sight.
    pub(crate) counts: Tensor,
    /// The sight that each row sees.
    pub(crate) places: Tensor,
}

/// What some rows hold beside: the columns of [`crate::table::Table::facts`].
pub(crate) struct Facts {
    pub(crate) rung: Tensor,
    /// The same column where it holds a multiplier's latent number.
    pub(crate) latent: Tensor,
    pub(crate) old_log_prob: Tensor,
    pub(crate) advantage: Tensor,
    pub(crate) target: Tensor,
    pub(crate) old_value: Tensor,
}

impl Facts {
    /// Views of the columns.
    pub(crate) fn of(rows: &Tensor) -> Self {
        let column = |column: i64| rows.select(1, column);
        Self {
            rung: column(0).to_kind(Kind::Int64),
            latent: column(0),
            old_log_prob: column(1),
            advantage: column(2),
            target: column(3),
            old_value: column(4),
        }
    }
}
