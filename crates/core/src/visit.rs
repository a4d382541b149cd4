use crate::{Catalog, CategoryState, Loyalty, PriceMinor};
use serde::{Deserialize, Serialize};

/// What the shop knows of a session when it begins; nothing of it lies in the session's own future.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionContext {
    /// When it began: seconds since 1970, in the shop's local time.
    pub time_s: i64,
    /// Mean number of lines in the user's earlier baskets; 0 when unknown.
    pub basket_lines_mean: f32,
    /// Mean value of the user's earlier baskets in minor units; 0 when unknown.
    pub spend_mean_minor: f32,
    /// Days since the user's last session; 0 when there was none.
    pub recency_days: f32,
    /// The user's sessions in the 56 days before this one.
    pub visits_56d: f32,
}

/// What the shop has planned for one item at the time of a visit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShelfEntry {
    /// The price that the shop would post without haggle.
    pub posted_minor: PriceMinor,
    /// Share of stores that have it in the mailer, in [0, 1].
    pub mailer: f32,
    /// Share of stores that have it on display, in [0, 1].
    pub display: f32,
}

/// One session in front of one category's shelf: all that is known before prices are set.
///
/// Replay environment, evaluation, demand model and daemon all look at a purchase through this one window.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    /// What is priced.
    pub catalog: &'a Catalog,
    /// The category whose shelf this is.
    pub category: usize,
    /// The session.
    pub session: &'a SessionContext,
    /// One entry per item of the category, in agent order.
    pub shelf: &'a [ShelfEntry],
    /// What earlier visits left behind in the category.
    pub state: &'a CategoryState,
    /// What this user chose before in the category.
    pub loyalty: &'a Loyalty,
}
