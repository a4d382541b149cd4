//! Config files of both programs: TOML, unknown keys refused with the nearest known name, `--set a.b=c` on top. What is wrong
//! is told with file, line and column, field, what was found and what would be right.

mod culprit;
mod fault;
mod loaded;
mod set;
mod source;
mod wording;

pub use fault::{Fault, Place, Told};
pub use loaded::{ConfigError, Loaded, Origin, load, open, open_below, rows, table};
pub use source::Source;
pub use wording::{did_you_mean, plain};
