use crate::sessions::Sight;
use haggle_core::{PriceMinor, SessionContext, ShelfEntry};
use haggle_policy::bandit::Stock;
use std::sync::Arc;

/// A question about the price of one item, in the catalogue's numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ask {
    /// The session that stands in front of the shelf.
    pub session: String,
    /// The user behind it, where known.
    pub user: Option<String>,
    /// Global number of the item.
    pub item: usize,
    /// Who the session is; else what it said of itself last; else nothing is known but the time.
    pub context: Option<SessionContext>,
    /// News about shelves: global number of the item, and what is planned for it.
    pub shelf: Vec<(usize, ShelfEntry)>,
    /// The segment of the session, where the rulebook tells segments apart.
    pub segment: Option<String>,
    /// The channel that the price is shown on.
    pub channel: Option<String>,
    /// What is left of the item to sell, where the request says so.
    pub stock: Option<Stock>,
}

/// What one question is shown, and what would be remembered of it.
#[derive(Clone, Debug)]
pub struct View {
    pub(crate) agent: usize,
    pub(crate) context: SessionContext,
    pub(crate) sight: Arc<Sight>,
    pub(crate) news: Vec<(usize, ShelfEntry)>,
}

impl View {
    /// Who asks.
    #[must_use]
    pub fn context(&self) -> SessionContext {
        self.context
    }

    /// What the shop would post for the item without haggle, as far as the session was told.
    #[must_use]
    pub fn posted(&self) -> PriceMinor {
        self.sight.shelf[self.agent].posted_minor
    }

    /// Whether something personal is known: of the session's user, or of his choices.
    #[must_use]
    pub fn personal(&self) -> bool {
        let SessionContext {
            time_s: _,
            basket_lines_mean,
            spend_mean_minor,
            recency_days,
            visits_56d,
        } = self.context;
        let said = [basket_lines_mean, spend_mean_minor, recency_days, visits_56d];
        said.iter().any(|number| *number != 0.0) || self.sight.loyalty.total() > 0.0
    }

    /// The shelf news that change something: global number of the item, and what is planned for it.
    #[must_use]
    pub fn news(&self) -> &[(usize, ShelfEntry)] {
        &self.news
    }
}
