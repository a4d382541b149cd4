//! Sessions in: importers, cleaning, sessionising, the session store, and what a session looked like when it began.

mod history;
mod replay;
mod selection;

pub use history::{History, ItemInfo, Line, Session, Shelf};
pub use replay::{Bought, Replay, ReplaySession};
pub use selection::{SelectedCategory, SelectedItem, Selection};
