//! Scores of several runs on several tasks, and what one number says of them. The definitions are those of rliable
//! (Agarwal et al. 2021, "Deep reinforcement learning at the edge of the statistical precipice").

/// The share of scores that the interquartile mean cuts off at each end.
const CUT: f64 = 0.25;

/// A matrix of scores: one row per run (a seed), one column per task (a market).
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    tasks: usize,
    /// Row by row.
    values: Vec<f64>,
}

/// Why numbers are no matrix of scores.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ScoresError {
    /// Nothing to say anything of.
    #[error("no scores: at least one run on one task is needed")]
    Empty,
    /// Rows of different lengths.
    #[error("run {run} has {got} scores, the first run has {expected}: each run needs one score per task")]
    Ragged {
        /// The run, from 0.
        run: usize,
        /// Its scores.
        got: usize,
        /// Those of the first run.
        expected: usize,
    },
    /// A score that is no number.
    #[error("the score of run {run} on task {task} is {score}: a finite number is needed")]
    NotFinite {
        /// The run, from 0.
        run: usize,
        /// The task, from 0.
        task: usize,
        /// Its score.
        score: f64,
    },
    /// Two matrices with different tasks.
    #[error("{left} tasks against {right}: only scores on the same tasks can be compared")]
    OtherTasks {
        /// Tasks of the first matrix.
        left: usize,
        /// Tasks of the second one.
        right: usize,
    },
}

/// What one number says of all scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Aggregate {
    /// The mean of the middle half of all scores, whatever run and task they come from.
    InterquartileMean,
    /// The median over tasks of each task's mean.
    Median,
    /// The mean of all scores.
    Mean,
    /// By how much the mean falls short of this target when no score counts for more than it.
    OptimalityGap(f64),
}

impl Scores {
    /// A matrix from its rows: `runs[r][t]` is the score of run `r` on task `t`.
    ///
    /// # Errors
    /// When there is none, rows differ in length, or a score is not finite.
    pub fn new(runs: &[Vec<f64>]) -> Result<Self, ScoresError> {
        let tasks = runs.first().map_or(0, Vec::len);
        if tasks == 0 {
            return Err(ScoresError::Empty);
        }
        for (run, scores) in runs.iter().enumerate() {
            if scores.len() != tasks {
                return Err(ScoresError::Ragged {
                    run,
                    got: scores.len(),
                    expected: tasks,
                });
            }
            if let Some(task) = scores.iter().position(|score| !score.is_finite()) {
                let score = scores[task];
                return Err(ScoresError::NotFinite { run, task, score });
            }
        }
        Ok(Self {
            tasks,
            values: runs.concat(),
        })
    }

    /// Scores on a single task, one per run.
    ///
    /// # Errors
    /// When there is none or one is not finite.
    pub fn of_one_task(scores: &[f64]) -> Result<Self, ScoresError> {
        Self::new(&scores.iter().map(|score| vec![*score]).collect::<Vec<_>>())
    }

    /// Number of runs.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.values.len() / self.tasks
    }

    /// Number of tasks.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.tasks
    }

    /// The score of a run on a task.
    pub(crate) fn at(&self, run: usize, task: usize) -> f64 {
        self.values[run * self.tasks + task]
    }

    /// A matrix of the same tasks with other numbers in it.
    pub(crate) fn refill(&mut self, mut score: impl FnMut(usize, usize) -> f64) {
        for (place, value) in self.values.iter_mut().enumerate() {
            *value = score(place / self.tasks, place % self.tasks);
        }
    }

    fn task(&self, task: usize) -> impl Iterator<Item = f64> + '_ {
        self.values.iter().skip(task).step_by(self.tasks).copied()
    }

    /// What one number says of all scores.
    #[must_use]
    pub fn aggregate(&self, how: Aggregate) -> f64 {
        match how {
            Aggregate::InterquartileMean => {
                let cut = (CUT * self.values.len() as f64) as usize;
                mean(&sorted(self.values.clone())[cut..self.values.len() - cut])
            }
            Aggregate::Median => {
                let means = (0..self.tasks).map(|task| self.task(task).sum::<f64>() / self.runs() as f64);
                let means = sorted(means.collect());
                f64::midpoint(means[(self.tasks - 1) / 2], means[self.tasks / 2])
            }
            Aggregate::Mean => mean(&self.values),
            Aggregate::OptimalityGap(target) => {
                let capped: Vec<f64> = self.values.iter().map(|score| score.min(target)).collect();
                target - mean(&capped)
            }
        }
    }

    /// Probability that a run of this matrix scores higher than a run of the other on the same task, ties counted half:
    /// Mann and Whitney's U over the number of pairs, averaged over tasks.
    ///
    /// # Errors
    /// When the two have different tasks.
    pub fn probability_of_improvement(&self, over: &Self) -> Result<f64, ScoresError> {
        if self.tasks != over.tasks {
            return Err(ScoresError::OtherTasks {
                left: self.tasks,
                right: over.tasks,
            });
        }
        Ok(self.chance_above(over))
    }

    /// [`Scores::probability_of_improvement`] for matrices that are known to fit.
    pub(crate) fn chance_above(&self, over: &Self) -> f64 {
        let against = |score: f64, rival: f64| match score.total_cmp(&rival) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        };
        let wins = |task: usize| -> f64 {
            self.task(task)
                .map(|score| over.task(task).map(|rival| against(score, rival)).sum::<f64>())
                .sum()
        };
        let pairs = (self.runs() * over.runs() * self.tasks) as f64;
        (0..self.tasks).map(wins).sum::<f64>() / pairs
    }

    /// A performance profile: the share of all scores above each threshold.
    #[must_use]
    pub fn profile(&self, thresholds: &[f64]) -> Vec<f64> {
        thresholds
            .iter()
            .map(|threshold| self.share_above(*threshold))
            .collect()
    }

    /// The share of all scores above one threshold.
    pub(crate) fn share_above(&self, threshold: f64) -> f64 {
        self.values.iter().filter(|score| **score > threshold).count() as f64 / self.values.len() as f64
    }
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

fn sorted(mut numbers: Vec<f64>) -> Vec<f64> {
    numbers.sort_by(f64::total_cmp);
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_make_no_matrix_are_named() {
        let sentence = |runs: &[Vec<f64>]| Scores::new(runs).expect_err("refused").to_string();
        assert_eq!(sentence(&[]), "no scores: at least one run on one task is needed");
        assert_eq!(
            sentence(&[vec![1.0, 2.0], vec![1.0]]),
            "run 1 has 1 scores, the first run has 2: each run needs one score per task"
        );
        assert_eq!(
            sentence(&[vec![1.0], vec![f64::NAN]]),
            "the score of run 1 on task 0 is NaN: a finite number is needed"
        );
        let (one, two) = (Scores::of_one_task(&[1.0]), Scores::new(&[vec![1.0, 2.0]]));
        assert!(
            one.expect("one")
                .probability_of_improvement(&two.expect("two"))
                .is_err()
        );
    }

    #[test]
    fn aggregates_in_the_head() {
        // eight scores: two are cut at each end, the middle half is 3, 4, 5, 6
        let scores = Scores::of_one_task(&[8.0, 1.0, 7.0, 2.0, 6.0, 3.0, 5.0, 4.0]).expect("scores");
        assert_eq!(scores.aggregate(Aggregate::InterquartileMean), 4.5);
        assert_eq!(scores.aggregate(Aggregate::Mean), 4.5);
        assert_eq!(scores.aggregate(Aggregate::OptimalityGap(2.0)), 2.0 - 15.0 / 8.0); // 1 and seven 2s
        assert_eq!(scores.profile(&[0.0, 4.0, 8.0]), [1.0, 0.5, 0.0]);
        // task means 1, 2, 6: the median is the middle one
        let tasks = Scores::new(&[vec![0.0, 2.0, 5.0], vec![2.0, 2.0, 7.0]]).expect("scores");
        assert_eq!(tasks.aggregate(Aggregate::Median), 2.0);
        // 3 beats 1 and 2, 2 beats 1 and ties with 2: 3.5 of 4 pairs
        let (new, old) = (Scores::of_one_task(&[3.0, 2.0]), Scores::of_one_task(&[1.0, 2.0]));
        let chance = new.expect("new").probability_of_improvement(&old.expect("old"));
        assert_eq!(chance, Ok(3.5 / 4.0));
    }
}
