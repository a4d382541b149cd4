//! What an environment file of `envs/` can describe: replayed sessions, a market, or a probe.

use crate::failure::{Failure, Kind, OrFail};
use crate::weeks::Weeks;
use haggle_config::{Fault, Loaded, Source};
use haggle_env::market::Market;
use haggle_env::{Earning, ProbeConfig, ReplayConfig};
use schemars::JsonSchema;
use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// An environment file. Its `kind` says which it is; a file with a table `problem` is a probe.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum EnvFile {
    /// Logged sessions, answered by a demand model.
    Replay(Box<ReplayFile>),
    /// A market with an exact optimum.
    Market(Market),
    /// One question with a known answer.
    Probe(ProbeConfig),
}

/// Which of them a file is.
enum Family {
    Replay,
    Market,
    Probe,
}

impl Family {
    fn of(file: &toml::Table) -> Self {
        match file.get("kind").and_then(toml::Value::as_str) {
            Some("replay") => Self::Replay,
            None if file.contains_key("problem") => Self::Probe,
            _ => Self::Market,
        }
    }
}

impl EnvFile {
    /// Reads and checks one with its overrides. Each family is read as what it is, so that its errors name the line.
    pub fn load(path: &Path, sets: &[String]) -> Result<Loaded<Self>, Failure> {
        Self::load_below(path, sets, "")
    }

    /// As [`Self::load`], where the names of overrides have `above` in front.
    pub fn load_below(path: &Path, sets: &[String], above: &'static str) -> Result<Loaded<Self>, Failure> {
        let source = haggle_config::open_below(path, sets, above)?;
        let value = match Family::of(&source.read()?) {
            Family::Replay => Self::Replay(source.read()?),
            Family::Market => Self::Market(source.read()?),
            Family::Probe => Self::Probe(source.read()?),
        };
        value.check_in(&source, "")?;
        Ok(Loaded { value, source })
    }

    /// A market with overrides; `name` says whose it is.
    pub fn varied(market: &Market, name: &str, sets: &[String]) -> Result<Market, Failure> {
        let text = toml::to_string(market).or_fail(Kind::Usage)?;
        let source = Source::parse(name, &text, sets, "")?;
        let market: Market = source.read()?;
        let checked = market.check();
        checked.map_err(|error| source.fault(error.field(), error.to_string()))?;
        Ok(market)
    }

    /// Reads a market, and refuses the other families as what they are. Its oracle is not asked.
    pub fn load_market(path: &Path, sets: &[String]) -> Result<Loaded<Market>, Failure> {
        let source = haggle_config::open(path, sets)?;
        let (field, family) = match Family::of(&source.read()?) {
            Family::Replay => ("kind", "kind = \"replay\": these are logged sessions"),
            Family::Probe => ("problem", "problem: this is a probe"),
            Family::Market => {
                let value = source.read()?;
                return Ok(Loaded { value, source });
            }
        };
        let sentence =
            format!("{family}; a market with an exact optimum is expected (envs/README.md lists them)");
        Err(source.fault(field, sentence).into())
    }

    /// Refuses what makes no environment, told of where it stands in a file: below `above`.
    pub fn check_in(&self, source: &Source, above: &str) -> Result<(), Fault> {
        let Err((field, sentence)) = self.check() else {
            return Ok(());
        };
        let named = !field.is_empty() && sentence.starts_with(field);
        let sentence = if named {
            format!("{above}{sentence}")
        } else {
            sentence
        };
        let field = format!("{above}{field}");
        Err(source.fault(field.trim_end_matches('.'), sentence))
    }

    /// The field at fault (none where it is no single one) and the sentence.
    fn check(&self) -> Result<(), (&'static str, String)> {
        match self {
            Self::Replay(file) => file.check(),
            Self::Market(market) => match market.check() {
                Ok(_) => Ok(()),
                Err(error) => Err((error.field(), error.to_string())),
            },
            Self::Probe(probe) => match probe.optimum() {
                Ok(_) => Ok(()),
                Err(error) => Err((error.field(), error.to_string())),
            },
        }
    }
}

impl<'de> Deserialize<'de> for EnvFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let file = toml::Table::deserialize(deserializer)?;
        let read = match Family::of(&file) {
            Family::Replay => file.try_into().map(Self::Replay),
            Family::Market => file.try_into().map(Self::Market),
            Family::Probe => file.try_into().map(Self::Probe),
        };
        read.map_err(D::Error::custom)
    }
}

/// Sessions that are replayed through a demand model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayFile {
    /// `replay`.
    pub kind: ReplayKind,
    /// Its name: the first word of a run's folder.
    pub name: String,
    /// The sessions: a folder with the files of complete-journey, or a session store.
    pub sessions: PathBuf,
    /// The weeks that nobody learns from; policies are valued on them.
    pub held_out_weeks: Weeks,
    /// Members of each demand model's ensemble besides the point estimate.
    #[serde(default = "default_members")]
    pub members: usize,
    /// Root of the random numbers of the demand fits.
    #[serde(default = "default_fit_seed")]
    pub fit_seed: u64,
    /// States that the price effects were only observed, never randomised (identification rungs R0 and R1). Without this
    /// word no policy is trained on such a model.
    #[serde(default)]
    pub accept_confounded: bool,
    /// What agents may do and what they earn.
    pub replay: ReplayConfig,
}

/// The word that tells a replay from a market.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReplayKind {
    /// Logged sessions, answered by a demand model.
    Replay,
}

fn default_members() -> usize {
    8
}

fn default_fit_seed() -> u64 {
    1
}

impl ReplayFile {
    fn check(&self) -> Result<(), (&'static str, String)> {
        if let Err(error) = self.replay.check() {
            return Err((error.field(), error.to_string()));
        }
        let weeks = self.replay.week_range();
        let faults = [
            (
                weeks.end > self.held_out_weeks.range().start,
                "held_out_weeks",
                format!(
                    "held_out_weeks = \"{}\" must lie after replay.weeks = {:?}: a learner must not see the future",
                    self.held_out_weeks, self.replay.weeks
                ),
            ),
            (
                self.replay.reward == Earning::Margin && self.replay.cost_share.is_none(),
                "replay.reward",
                "replay.reward = \"margin\" needs replay.cost_share: the sessions do not say what an item costs".to_owned(),
            ),
            (
                self.members < 8,
                "members",
                format!("members = {}: an ensemble needs at least 8", self.members),
            ),
            (
                !self.accept_confounded,
                "accept_confounded",
                "the price effects of logged sessions are observational (rung R1: promotion and habit are controlled for, \
                 hidden demand is not); say accept_confounded = true to train on them"
                    .to_owned(),
            ),
        ];
        match faults.into_iter().find(|(wrong, ..)| *wrong) {
            Some((_, field, sentence)) => Err((field, sentence)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of `envs/<name>.toml` with overrides.
    fn sentence(name: &str, sets: &[&str]) -> String {
        let path = PathBuf::from(format!("envs/{name}.toml"));
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        let read = EnvFile::load_market(&path, &sets).and_then(|_| EnvFile::load(&path, &sets));
        read.err().map_or_else(String::new, |failure| failure.to_string())
    }

    #[test]
    fn a_fault_in_a_nested_key_is_told_of_that_key() {
        for (name, set, told) in [
            (
                "c",
                "rivals=[\"foo\"]",
                "rivals: a rival is a price, \"matcher\", \"undercutter\" or \"best-reply\"",
            ),
            (
                "c",
                "costs=\"x\"",
                "costs: a number for all sellers, or a list with one number per seller, expected",
            ),
            (
                "b2",
                "demand={logit={}}",
                "demand.logit.scale: missing field `scale`",
            ),
            (
                "b2",
                "demand={logit={scale=\"x\"}}",
                "demand.logit.scale: found the text \"x\", expected a number",
            ),
            (
                "b2",
                "demand={logit={scale=-1}}",
                "demand.logit.scale = -1.0: a finite number above 0 expected",
            ),
            (
                "b2",
                "demand={logot={scale=1}}",
                "demand.logot: unknown variant `logot`, expected one of `linear`, `exponential`, `logit`; did you mean `logit`?",
            ),
            (
                "h2",
                "change.season.period=0",
                "change.season.period = 0.0: a finite number above 0 expected",
            ),
            (
                "h2",
                "change.season.x=0",
                "change.season.x: unknown field `x`, expected one of `level`, `swing`, `period`, `slope`",
            ),
            ("i", "slope=0", "slope = 0.0: a finite number above 0 expected"),
            (
                "i",
                "price_max=0.1",
                "price_max = 0.1: a number not below price_min expected",
            ),
            (
                "a2",
                "a.b.c=1",
                "a: unknown field `a`, expected one of `periods`, `stock`, `arrival_rate`, `price_scale`, `prices`, `rungs_per_period_max`, `action`",
            ),
        ] {
            assert_eq!(sentence(name, &[set]), format!("--set {set}: {told}"));
        }
    }

    #[test]
    fn a_table_that_may_have_one_name_and_has_two_is_named() {
        for (name, set, told) in [
            ("b2", "demand.logit=3", "envs/b2.toml:7:1: demand: "),
            ("h1", "change.season.level=3", "envs/h1.toml:7:1: change: "),
        ] {
            let said = sentence(name, &[set]);
            assert!(
                said.starts_with(told) && said.ends_with("exactly one name in it"),
                "{said}"
            );
        }
    }

    #[test]
    fn other_families_are_refused_as_what_they_are() {
        assert!(
            sentence("replay", &[])
                .starts_with("envs/replay.toml:3:8: kind = \"replay\": these are logged sessions")
        );
        assert!(
            sentence("probe/one-price", &[])
                .starts_with("envs/probe/one-price.toml:5:2: problem: this is a probe")
        );
    }

    #[test]
    fn a_market_that_is_too_large_is_refused_by_its_size() {
        let sets = ["stock=[1000, 1000]".to_owned()];
        let failure = EnvFile::load(Path::new("envs/b3.toml"), &sets).expect_err("refused");
        let told = "solving the market takes 2.00e8 states x 105 actions x 2 outcomes; up to 2e10 of them";
        assert!(failure.to_string().contains(told), "{failure}");
    }

    #[test]
    fn an_override_below_a_training_file_is_quoted_as_it_was_written() {
        let sets = ["env.stock=0".to_owned()];
        let failure = EnvFile::load_below(Path::new("envs/a4.toml"), &sets, "env.").expect_err("refused");
        assert_eq!(
            failure.to_string(),
            "--set env.stock=0: env.stock = 0: a whole number, at least 1 expected"
        );
    }
}
