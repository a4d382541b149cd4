use haggle_core::SegmentError;
use std::io;
use std::path::PathBuf;

/// Why sessions cannot be read or kept: each variant is one sentence for the person who has to act on it.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// A file that the format needs is not there.
    #[error("{folder}: neither {name}.csv nor {name}.csv.gz is here")]
    Missing {
        /// The folder that was searched.
        folder: PathBuf,
        /// The file's name without its extension.
        name: String,
    },
    /// A column is not in the header.
    #[error("{file}, line 1: no column `{column}`; expected at least {expected}, got {got}")]
    Header {
        /// The file.
        file: PathBuf,
        /// The first column that is missing.
        column: String,
        /// All columns that are needed.
        expected: String,
        /// The header found.
        got: String,
    },
    /// A field that is no value of its kind.
    #[error("{file}, line {line}, column `{column}`: `{value}` is not {expected}")]
    Field {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column.
        column: String,
        /// What stands there.
        value: String,
        /// What should stand there.
        expected: &'static str,
    },
    /// A row with too few or too many fields: often the last line of a file that was cut off.
    #[error("{file}, line {line}: {got} fields where the header has {expected}; was the file cut off?")]
    Width {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: u64,
        /// Fields in the header.
        expected: u64,
        /// Fields in the row.
        got: u64,
    },
    /// Bytes that are no text, or a compressed file that does not unpack.
    #[error("{file}, after line {line}: {what}")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The last sound line, from 1; 0 when there is none.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// Nothing is left after cleaning.
    #[error("{folder}: no session with a usable line; dropped: {dropped}")]
    Nothing {
        /// The folder.
        folder: PathBuf,
        /// Why lines were dropped, with counts.
        dropped: String,
    },
    /// Weeks that no shop has.
    #[error("weeks {first} to {last}: a history holds at most {max} weeks")]
    Weeks {
        /// First week.
        first: u32,
        /// Last week.
        last: u32,
        /// The limit.
        max: u32,
    },
    /// The operating system refuses.
    #[error("cannot {doing} {path}")]
    Io {
        /// The verb.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The target is there already.
    #[error("{0} exists already; choose another name, or say that the store in it may be replaced")]
    Exists(PathBuf),
    /// The target to be replaced is no session store.
    #[error("{0} is no session store (it has no store.json), so it is not replaced")]
    NotAStore(PathBuf),
    /// A store of another version.
    #[error(
        "{path}: session store version {got}; this program reads version {expected}: import the source again"
    )]
    Version {
        /// Its `store.json`.
        path: PathBuf,
        /// The version found.
        got: u32,
        /// The version understood.
        expected: u32,
    },
    /// A file of a store is not what was written.
    #[error("{path} is damaged: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How that shows.
        what: String,
    },
    /// Parquet cannot be written.
    #[error("cannot write {path} as Parquet")]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Why.
        source: parquet::errors::ParquetError,
    },
    /// A folder without segments.
    #[error("{0}: no segment (*.seg) is here")]
    NoSegments(PathBuf),
    /// A segment that cannot be read whole.
    #[error("{path} is no sound segment")]
    Segment {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: SegmentError,
    },
    /// No offers to make a history of.
    #[error("no offers: a history needs at least one")]
    NoOffers,
}

impl HistoryError {
    /// For `map_err` around a file operation.
    pub(crate) fn io(doing: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}
