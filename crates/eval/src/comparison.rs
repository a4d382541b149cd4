//! Groups of runs beside each other: several seeds each, one score per run.

use crate::{Aggregate, Bootstrap, Interval, Scores, ScoresError};
use serde::Serialize;
use std::fmt;

/// Groups of runs in one environment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// What a score is.
    pub score: String,
    /// The groups, in the order in which they were named.
    pub groups: Vec<GroupScore>,
    /// Each group against each one before it.
    pub improvement: Vec<Improvement>,
}

/// What several seeds of one thing scored.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupScore {
    /// Its name.
    pub name: String,
    /// The interquartile mean over seeds with its 95 % interval (stratified bootstrap, percentiles). A single seed has no
    /// spread: its interval is a point and says nothing.
    pub iqm: Interval,
    /// The mean over seeds.
    pub mean: f64,
    /// The worst seed's.
    pub worst: f64,
    /// The best seed's.
    pub best: f64,
    /// Its runs.
    pub runs: Vec<RunScore>,
}

/// A run's score.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunScore {
    /// The run's name.
    pub run: String,
    /// Its root seed.
    pub seed: u64,
    /// The score.
    pub score: f64,
}

/// The probability that a run of one group scores higher than a run of another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Improvement {
    /// The first group.
    pub of: String,
    /// The second one.
    pub over: String,
    /// The probability with its 95 % interval.
    pub probability: Interval,
}

impl Comparison {
    /// Compares groups of runs.
    ///
    /// # Errors
    /// When a group is empty or a score is not finite.
    pub fn new(score: &str, groups: Vec<(String, Vec<RunScore>)>) -> Result<Self, ScoresError> {
        let matrix =
            |runs: &[RunScore]| Scores::of_one_task(&runs.iter().map(|run| run.score).collect::<Vec<_>>());
        let matrices = groups
            .iter()
            .map(|(_, runs)| matrix(runs))
            .collect::<Result<Vec<_>, _>>()?;
        let bootstrap = Bootstrap::default();
        let mut improvement = Vec::new();
        for (n, (of, _)) in groups.iter().enumerate() {
            for (m, (over, _)) in groups.iter().enumerate().take(n) {
                improvement.push(Improvement {
                    of: of.clone(),
                    over: over.clone(),
                    probability: bootstrap.improvement(&matrices[n], &matrices[m])?,
                });
            }
        }
        let group = |((name, runs), matrix): ((String, Vec<RunScore>), &Scores)| {
            let scores = || runs.iter().map(|run| run.score);
            GroupScore {
                iqm: bootstrap.aggregate(matrix, Aggregate::InterquartileMean),
                mean: matrix.aggregate(Aggregate::Mean),
                worst: scores().fold(f64::INFINITY, f64::min),
                best: scores().fold(f64::NEG_INFINITY, f64::max),
                name,
                runs,
            }
        };
        Ok(Self {
            score: score.to_owned(),
            groups: groups.into_iter().zip(&matrices).map(group).collect(),
            improvement,
        })
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.groups.iter().map(|group| group.name.chars().count());
        let runs = self.groups.iter().flat_map(|group| &group.runs);
        let wide = names
            .chain(runs.map(|run| run.run.chars().count() + 2))
            .max()
            .unwrap_or(0)
            .max(8);
        writeln!(f, "score: {}", self.score)?;
        writeln!(f, "{:wide$}  {:>6}  {:>12}", "run", "seed", "score")?;
        for group in &self.groups {
            writeln!(f, "{}", group.name)?;
            for run in &group.runs {
                writeln!(
                    f,
                    "{:wide$}  {:>6}  {:>12.6}",
                    format!("  {}", run.run),
                    run.seed,
                    run.score
                )?;
            }
        }
        writeln!(
            f,
            "\n{:wide$}  {:>6}  {:>32}  {:>12}  {:>12}  {:>12}",
            "group", "seeds", "IQM [95 % interval]", "mean", "worst", "best"
        )?;
        for group in &self.groups {
            let iqm = if group.runs.len() > 1 {
                format!("{:.6}", group.iqm)
            } else {
                format!("{:.6} [one seed]", group.iqm.value)
            };
            writeln!(
                f,
                "{:wide$}  {:>6}  {iqm:>32}  {:>12.6}  {:>12.6}  {:>12.6}",
                group.name,
                group.runs.len(),
                group.mean,
                group.worst,
                group.best
            )?;
        }
        for Improvement {
            of,
            over,
            probability,
        } in &self.improvement
        {
            write!(f, "\nP({of} > {over}) = {probability:.4}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str, scores: &[f64]) -> (String, Vec<RunScore>) {
        let run = |(n, score): (usize, &f64)| RunScore {
            run: format!("{name}-{n}"),
            seed: n as u64,
            score: *score,
        };
        (name.to_owned(), scores.iter().enumerate().map(run).collect())
    }

    #[test]
    fn groups_are_compared_with_each_one_before() {
        let groups = vec![
            group("a", &[1.0, 2.0]),
            group("b", &[2.0, 3.0]),
            group("c", &[0.5]),
        ];
        let comparison = Comparison::new("V / V*", groups).expect("a comparison");
        let pairs: Vec<(&str, &str, f64)> = comparison
            .improvement
            .iter()
            .map(|pair| (pair.of.as_str(), pair.over.as_str(), pair.probability.value))
            .collect();
        assert_eq!(pairs, [("b", "a", 0.875), ("c", "a", 0.0), ("c", "b", 0.0)]);
        let b = &comparison.groups[1];
        assert_eq!((b.iqm.value, b.mean, b.worst, b.best), (2.5, 2.5, 2.0, 3.0));
        assert_eq!((b.iqm.low, b.iqm.high), (2.0, 3.0)); // a quarter of the resamples each
        let text = comparison.to_string();
        assert!(
            text.contains("P(b > a) = 0.8750 [") && text.contains("0.500000 [one seed]"),
            "{text}"
        );
        assert!(Comparison::new("V / V*", vec![group("a", &[])]).is_err());
    }
}
