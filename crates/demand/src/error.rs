use std::path::PathBuf;

/// Why there is no demand model.
#[derive(Debug, thiserror::Error)]
pub enum DemandError {
    /// Weeks without sessions, a category without choices, one user only.
    #[error("too little data for a demand model: {0}")]
    TooLittle(String),
    /// A setting out of its range.
    #[error("fit settings: {0}")]
    Config(String),
    /// History, selection and replay do not belong together.
    #[error("history, selection and replay do not fit together: {0}")]
    Mismatch(String),
    /// The optimiser found no finite minimum.
    #[error("the fit of the {part} model did not converge: {reason}")]
    Diverged {
        /// Which part of the model.
        part: &'static str,
        /// What was seen.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("{action} {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Bytes that are no demand model of this version.
    #[error("{path} is no demand model that this program can use: {reason}")]
    Artefact {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The prices of the model make no catalogue.
    #[error("the demand model's items make no catalogue: {0}")]
    Catalog(String),
}
