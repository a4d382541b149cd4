//! Groups of runs, as `compare` and `report` take them: a run, a folder of runs, or several joined by commas.

use crate::env_file::{EnvFile, ReplayFile};
use crate::failure::{Failure, Kind, OrFail, must_exist};
use crate::market_worth::{self, Worth};
use crate::output::Output;
use crate::plan::Plan;
use crate::{run_policy, value};
use haggle_env::market::Market;
use haggle_eval::{Comparison, Evaluation, RunScore};
use haggle_learn::{RunFacts, damaged_runs, list_runs, read_facts};
use haggle_policy::MarketBundle;
use std::path::{Path, PathBuf};

/// Runs that differ in their seed alone, or so their reader says.
pub struct Group {
    /// What its runs have in common; a letter first where there are several groups.
    pub name: String,
    /// Its runs, by seed.
    pub runs: Vec<ScoredRun>,
}

/// A run with what its last bundle is worth.
pub struct ScoredRun {
    /// Its folder.
    pub folder: PathBuf,
    /// Where it comes from.
    pub facts: RunFacts,
    /// All its settings.
    pub plan: Plan,
    /// Its worth.
    pub worth: RunWorth,
}

/// What a run's last bundle is worth.
pub enum RunWorth {
    /// In a market.
    Market {
        /// The market.
        market: Box<Market>,
        /// The policy.
        bundle: Box<MarketBundle>,
        /// The value.
        worth: Box<Worth>,
    },
    /// On held-out weeks of a shop, as `evaluate` left it in the run's folder.
    Shop(Box<Evaluation>),
}

impl ScoredRun {
    /// Of a checkpoint, where one is named, else of the last bundle.
    fn read(folder: &Path, checkpoint: Option<(&str, Output)>) -> Result<Self, Failure> {
        let facts = read_facts(folder)?;
        let plan = Plan::of_run(folder)?;
        let worth = match &plan.env {
            EnvFile::Replay(_) => RunWorth::Shop(Box::new(match checkpoint {
                None => value::kept(folder)?,
                Some((name, output)) => of_shop(folder, &plan.replay()?, name, output)?,
            })),
            EnvFile::Probe(_) => {
                let sentence = format!(
                    "{}: this run learnt in a probe, which answers one question and has no score to compare",
                    folder.display()
                );
                return Err(Failure::say(Kind::Usage, sentence));
            }
            EnvFile::Market(_) => {
                let checkpoint = checkpoint.map(|(name, _)| name);
                let (path, bundle) = run_policy::market_of(folder, &plan, checkpoint)?;
                RunWorth::Market {
                    market: Box::new(market_worth::home(&bundle)?),
                    worth: Box::new(Worth::of(&path, &bundle, None)?),
                    bundle: Box::new(bundle),
                }
            }
        };
        Ok(Self {
            folder: folder.to_owned(),
            facts,
            plan,
            worth,
        })
    }

    /// The number that runs are compared by.
    pub fn score(&self) -> f64 {
        match &self.worth {
            RunWorth::Market { worth, .. } => worth.value.ratio,
            RunWorth::Shop(evaluation) => {
                value::trained(evaluation).map_or(f64::NAN, |row| row.revenue_gain.value)
            }
        }
    }

    /// What that number is.
    pub fn score_name(&self) -> String {
        match &self.worth {
            RunWorth::Market { .. } => "V / V*, the share of the market's optimum".to_owned(),
            RunWorth::Shop(evaluation) => {
                format!(
                    "relative gain in revenue over the logged prices; {}",
                    evaluation.heading
                )
            }
        }
    }
}

impl Group {
    /// Reads groups, of which the last bundles are valued, or the named checkpoints; all runs must be of one environment, and the seeds of a group must differ.
    pub fn read_all(arguments: &[PathBuf], checkpoint: Option<(&str, Output)>) -> Result<Vec<Self>, Failure> {
        let mut groups = arguments
            .iter()
            .map(|argument| Self::read(argument, checkpoint))
            .collect::<Result<Vec<_>, _>>()?;
        if groups.len() > 1 {
            for (group, letter) in groups.iter_mut().zip('A'..) {
                group.name = format!("{letter} {}", group.name);
            }
        }
        let mut runs = groups.iter().flat_map(|group| &group.runs);
        if let Some(first) = runs.next()
            && let Some(other) = runs.find(|run| run.plan.env != first.plan.env)
        {
            let sentence = format!(
                "{} and {} are of different environments: their scores cannot be compared",
                first.facts.name, other.facts.name
            );
            return Err(Failure::say(Kind::Usage, sentence));
        }
        Ok(groups)
    }

    fn read(argument: &Path, checkpoint: Option<(&str, Output)>) -> Result<Self, Failure> {
        let text = argument.to_string_lossy();
        let mut runs = Vec::new();
        for part in text.split(',') {
            for folder in run_folders(Path::new(part))? {
                runs.push(ScoredRun::read(&folder, checkpoint)?);
            }
        }
        runs.sort_by(|a, b| {
            (a.facts.subject.seed, &a.facts.name).cmp(&(b.facts.subject.seed, &b.facts.name))
        });
        if let Some(pair) = runs
            .windows(2)
            .find(|pair| pair[0].facts.subject.seed == pair[1].facts.subject.seed)
        {
            let sentence = format!(
                "{text}: {} and {} have the same seed, {}: they are no independent runs",
                pair[0].facts.name, pair[1].facts.name, pair[0].facts.subject.seed
            );
            return Err(Failure::say(Kind::Usage, sentence));
        }
        let subject = &runs[0].facts.subject;
        Ok(Self {
            name: format!("{}__{}", subject.env, subject.algorithm),
            runs,
        })
    }
}

/// What the policy of a checkpoint is worth on the held-out weeks of its run.
fn of_shop(
    folder: &Path,
    plan: &Plan<ReplayFile>,
    checkpoint: &str,
    output: Output,
) -> Result<Evaluation, Failure> {
    let (scene, bundle) = run_policy::shop_of(folder, plan, Some(checkpoint), output)?;
    value::of_bundle(plan, &scene, &bundle, &plan.env.held_out_weeks.range())
}

/// A run's folder itself, or those of the runs in it; at least one.
fn run_folders(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if path.join("run.json").exists() {
        return Ok(vec![path.to_owned()]);
    }
    must_exist(path)?;
    if let Some((folder, why)) = damaged_runs(path)?.into_iter().next() {
        let sentence = format!("{}: a damaged run: {why}", folder.display());
        return Err(Failure::say(Kind::Data, sentence));
    }
    let runs = list_runs(path)?;
    if runs.is_empty() {
        let sentence = format!("{}: neither a run nor a folder of runs", path.display());
        return Err(Failure::say(Kind::Data, sentence));
    }
    Ok(runs.into_iter().map(|run| run.folder).collect())
}

/// The groups' scores beside each other.
pub fn comparison(groups: &[Group]) -> Result<Comparison, Failure> {
    let score = |run: &ScoredRun| RunScore {
        run: run.facts.name.clone(),
        seed: run.facts.subject.seed,
        score: run.score(),
    };
    let name = groups[0].runs[0].score_name();
    let scores = groups
        .iter()
        .map(|group| (group.name.clone(), group.runs.iter().map(score).collect()));
    Comparison::new(&name, scores.collect()).or_fail(Kind::Data)
}
