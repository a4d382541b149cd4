//! Sessions in: importers, cleaning, sessionising, the session store, and what a session looked like when it began.

mod assemble;
mod columns;
mod complete_journey;
mod context;
mod error;
mod folder;
mod history;
mod offer_table;
mod offers;
mod replay;
mod report;
mod segments;
mod selection;
mod shelf;
mod stats;
mod store;
mod table;
mod tables;

pub use complete_journey::{COMPLETE_JOURNEY, UNKNOWN_CATEGORY, import_complete_journey};
pub use error::HistoryError;
pub use history::{History, ItemInfo, Line, Session, Source};
pub use offers::SEGMENTS;
pub use replay::{Bought, Replay, ReplaySession};
pub use report::{ImportReport, PriceVariation};
pub use segments::{import_segments, past_offers, write_segments};
pub use selection::{AGENTS_MIN, LINES_MIN, OCCASIONS_MIN, SelectedCategory, SelectedItem, Selection};
pub use shelf::Shelf;
pub use store::STORE_VERSION;
