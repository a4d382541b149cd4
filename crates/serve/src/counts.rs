use crate::reply::Stage;
use serde::{Deserialize, Serialize};

/// Exact counts; a restart finds the same ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Rewards that count; not those that the disk refused.
    pub rewards: u64,
    /// Those of them that came after the window had closed.
    pub late: u64,
    /// Decisions whose rewards are waited for.
    pub open: u64,
    /// Deferred decisions that are not activated yet.
    pub pending: u64,
    /// Decisions whose windows have closed.
    pub closed: u64,
    /// Those of them that closed without a reward.
    pub defaulted: u64,
    /// Deferred decisions that were never activated.
    pub lapsed: u64,
    /// Decisions that were withdrawn.
    pub cancelled: u64,
}

impl Counts {
    /// Decisions at whatever stage.
    #[must_use]
    pub fn decisions(&self) -> u64 {
        self.open + self.pending + self.closed + self.lapsed + self.cancelled
    }

    /// How many decisions stand at a stage.
    pub fn of(&mut self, stage: Stage) -> &mut u64 {
        match stage {
            Stage::Pending => &mut self.pending,
            Stage::Open => &mut self.open,
            Stage::Closed => &mut self.closed,
            Stage::Lapsed => &mut self.lapsed,
            Stage::Cancelled => &mut self.cancelled,
        }
    }
}
