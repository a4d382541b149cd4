//! Sessions in: importers, cleaning, sessionising, the session store, and what a session looked like when it began.

mod assemble;
mod complete_journey;
mod context;
mod error;
mod history;
mod replay;
mod report;
mod selection;
mod shelf;
mod stats;
mod table;

pub use complete_journey::{COMPLETE_JOURNEY, UNKNOWN_CATEGORY, import_complete_journey};
pub use error::HistoryError;
pub use history::{History, ItemInfo, Line, Session, Source};
pub use replay::{Bought, Replay, ReplaySession};
pub use report::{ImportReport, PriceVariation};
pub use selection::{SelectedCategory, SelectedItem, Selection};
pub use shelf::Shelf;
