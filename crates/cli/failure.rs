use haggle_config::{ConfigError, Fault, Told};
use haggle_learn::LearnError;
use serde::Serialize;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;

/// Why a command ends without success: one of the documented exit codes and what to tell the user.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    error: anyhow::Error,
    told: bool,
}

/// The documented exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 2: the command line or a config file.
    Usage,
    /// 3: data: sessions, stores, models, bundles, segments.
    Data,
    /// 4: the device: libtorch or the GPU.
    Device,
    /// 5: training diverged; the state before that is kept.
    Diverged,
    /// 6: a stated criterion was not met (a refused gate).
    Refused,
    /// 130: interrupted after a checkpoint was written.
    Interrupted,
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::Data => 3,
            Self::Device => 4,
            Self::Diverged => 5,
            Self::Refused => 6,
            Self::Interrupted => 130,
        }
    }
}

impl Failure {
    /// A failure of the given kind.
    pub fn new(kind: Kind, error: impl Into<anyhow::Error>) -> Self {
        Self {
            kind,
            error: error.into(),
            told: false,
        }
    }

    /// A failure told in one sentence.
    pub fn say(kind: Kind, sentence: impl fmt::Display) -> Self {
        Self {
            kind,
            error: anyhow::anyhow!("{sentence}"),
            told: false,
        }
    }

    /// A result that is a failure, too (a refused gate, say): it has been printed as a result.
    pub fn told(kind: Kind, sentence: impl fmt::Display) -> Self {
        Self {
            told: true,
            ..Self::say(kind, sentence)
        }
    }

    /// The same, with where it happened before its sentence.
    pub fn within(self, place: &str) -> Self {
        Self {
            error: self.error.context(place.to_owned()),
            ..self
        }
    }

    /// The same, with another clause behind its sentence; none where it is empty.
    pub fn followed_by(self, clause: &str) -> Self {
        if clause.is_empty() {
            return self;
        }
        let sentence = format!("{:#}; {clause}", self.error);
        Self {
            error: anyhow::anyhow!(sentence),
            ..self
        }
    }

    /// What kind it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether a result was printed before it.
    pub fn is_told(&self) -> bool {
        self.told
    }

    /// The exit code of this failure.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.kind.code())
    }

    /// The config file that is to blame.
    pub fn fault(&self) -> Option<&Fault> {
        self.error.downcast_ref()
    }

    /// What a program reads of it.
    pub fn report(&self) -> Report<'_> {
        Report {
            ok: false,
            code: self.kind.code(),
            message: self.to_string(),
            place: self.fault().map(Fault::told),
        }
    }
}

/// A failure for programs.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    ok: bool,
    code: u8,
    message: String,
    #[serde(flatten)]
    place: Option<Told<'a>>,
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::Fault(fault) => fault.into(),
            unreadable @ ConfigError::Unreadable { .. } => Self::new(Kind::Usage, unreadable),
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::new(Kind::Usage, fault)
    }
}

/// The exit code that a learner's error stands for.
impl From<LearnError> for Failure {
    fn from(error: LearnError) -> Self {
        let kind = match &error {
            LearnError::Config(_)
            | LearnError::Environment { .. }
            | LearnError::NobodyActs { .. }
            | LearnError::NoCheckpoint { .. }
            | LearnError::Busy { .. } => Kind::Usage,
            LearnError::Device { .. } => Kind::Device,
            LearnError::Diverged { .. } => Kind::Diverged,
            _ => Kind::Data,
        };
        Self::new(kind, error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

/// A path on the command line that leads nowhere is a fault of the command line, whatever should stand there.
pub fn must_exist(path: &Path) -> Result<(), Failure> {
    if path.exists() {
        return Ok(());
    }
    let sentence = format!("{}: there is no such file or folder", path.display());
    Err(Failure::say(Kind::Usage, sentence))
}

/// Turns any error into a failure of a stated kind: `read(path).or_fail(Kind::Data)?`.
pub trait OrFail<T>: Sized {
    /// The value, or a failure of that kind.
    fn or_fail(self, kind: Kind) -> Result<T, Failure>;

    /// The same for an error that does not say which file or folder it is about.
    fn or_fail_at(self, kind: Kind, path: &Path) -> Result<T, Failure> {
        self.or_fail(kind)
            .map_err(|failure| failure.within(&path.display().to_string()))
    }
}

impl<T, E: Into<anyhow::Error>> OrFail<T> for Result<T, E> {
    fn or_fail(self, kind: Kind) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(kind, error))
    }
}
