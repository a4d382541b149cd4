use nalgebra::{Cholesky, DMatrix, DVector, Dyn};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

/// Draws that are solved for side by side.
const LANES: usize = 8;

/// A Gaussian belief about coefficients: its mean and the Cholesky factor of its precision. Information is only added, by
/// rank-one updates of the factor, so that it stays positive definite however many rounds are played.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Belief {
    mean: DVector<f64>,
    factor: Cholesky<f64, Dyn>,
}

/// What a number's mean and variance would be under a belief, before it is seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Forecast {
    pub(super) mean: f64,
    pub(super) variance: f64,
}

/// One outcome as the belief takes it in: how sharp it is (precision in the direction of its features), and how far it is
/// from what the updated belief expects, in units of the score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Lesson {
    pub(super) weight: f64,
    pub(super) score: f64,
}

impl Belief {
    /// Independent coefficients.
    pub(super) fn prior(mean: &[f64], precision: &[f64]) -> Self {
        let roots = DVector::from_iterator(precision.len(), precision.iter().map(|p| p.sqrt()));
        Self {
            mean: DVector::from_column_slice(mean),
            factor: Cholesky::pack_dirty(DMatrix::from_diagonal(&roots)),
        }
    }

    pub(super) fn new(mean: DVector<f64>, factor: Cholesky<f64, Dyn>) -> Self {
        Self { mean, factor }
    }

    pub(super) fn fits(&self, other: &Self) -> bool {
        let numbers = self.mean.iter().chain(self.factor.l_dirty());
        self.mean.len() == other.mean.len()
            && self.factor.l_dirty().shape() == other.factor.l_dirty().shape()
            && numbers.into_iter().all(|number| number.is_finite())
    }

    pub(super) fn mean(&self) -> &[f64] {
        self.mean.as_slice()
    }

    pub(super) fn forecast(&self, features: &DVector<f64>) -> Forecast {
        let mut half = features.clone_owned();
        self.factor
            .l_dirty()
            .solve_lower_triangular_unchecked_mut(&mut half);
        Forecast {
            mean: self.mean.dot(features),
            variance: half.norm_squared(),
        }
    }

    /// Takes one outcome in and says what was forecast of it. `teach` turns the forecast into the lesson; the mean moves by
    /// `covariance x features x score`, the precision grows by `weight x features x features'`.
    pub(super) fn learn(
        &mut self,
        features: &DVector<f64>,
        teach: impl FnOnce(Forecast) -> Lesson,
    ) -> Forecast {
        let mut direction = features.clone_owned();
        let factor = self.factor.l_dirty();
        factor.solve_lower_triangular_unchecked_mut(&mut direction);
        let forecast = Forecast {
            mean: self.mean.dot(features),
            variance: direction.norm_squared(),
        };
        factor.tr_solve_lower_triangular_unchecked_mut(&mut direction);
        let lesson = teach(forecast);
        self.mean.axpy(lesson.score, &direction, 1.0);
        self.factor.rank_one_update(features, lesson.weight);
        forecast
    }

    /// `pairs` pairs of draws, each pair mirrored at the mean; `width` scales their deviation. Row after row.
    pub(super) fn draw(&self, pairs: usize, width: f64, rng: &mut impl Rng, out: &mut Vec<f64>) {
        out.clear();
        let mut noise = vec![[0.0; LANES]; self.mean.len()];
        for first in (0..pairs).step_by(LANES) {
            for z in noise.iter_mut().flatten() {
                *z = StandardNormal.sample(rng);
            }
            solve_transposed(self.factor.l_dirty(), &mut noise);
            for lane in 0..LANES.min(pairs - first) {
                for side in [width, -width] {
                    out.extend(
                        self.mean
                            .iter()
                            .zip(&noise)
                            .map(|(mean, z)| mean + side * z[lane]),
                    );
                }
            }
        }
    }

    /// Component discounting (West and Harrison 1997, section 6.3): coefficients that keep the same share form a component,
    /// the variance of each is divided by its share, and the prior fills up what was forgotten. Between components nothing
    /// is scaled: a level that drifts shall not make slopes seem known.
    pub(super) fn fade(&mut self, keep: &[f64], prior_mean: &[f64], prior_precision: &[f64]) {
        let mut covariance = self.factor.inverse();
        for (column, left) in keep.iter().enumerate() {
            for (row, right) in keep.iter().enumerate().filter(|(_, right)| *right == left) {
                covariance[(row, column)] /= right;
            }
        }
        // A covariance whose diagonal blocks grow, and a precision whose diagonal grows, have factors; should rounding ever
        // say otherwise, the belief is left as it was.
        let Some(faded) = Cholesky::new(covariance) else {
            return;
        };
        let mut precision = faded.inverse();
        let mut information = &precision * &self.mean;
        for at in 0..keep.len() {
            let prior = (1.0 - keep[at]) * prior_precision[at];
            precision[(at, at)] += prior;
            information[at] += prior * prior_mean[at];
        }
        if let Some(factor) = Cholesky::new(precision) {
            self.mean = factor.solve(&information);
            self.factor = factor;
        }
    }
}

/// Solves `factor' x = b` for right-hand sides that lie side by side: one vector instruction serves several of them.
fn solve_transposed(factor: &DMatrix<f64>, sides: &mut [[f64; LANES]]) {
    let size = sides.len();
    for row in (0..size).rev() {
        let (head, below) = sides.split_at_mut(row + 1);
        let column = &factor.as_slice()[row * size + row..(row + 1) * size];
        let mut rest = head[row];
        for (entry, solved) in column[1..].iter().zip(below) {
            for (rest, solved) in rest.iter_mut().zip(solved) {
                *rest -= entry * *solved;
            }
        }
        head[row] = rest.map(|rest| rest / column[0]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_halves_of_a_coin() {
        // Prior N(0, 1), one observation 3 with variance 1: mean 1.5, variance 0.5.
        let mut belief = Belief::prior(&[0.0], &[1.0]);
        let one = DVector::from_element(1, 1.0);
        belief.learn(&one, |seen| Lesson {
            weight: 1.0,
            score: (3.0 - seen.mean) / (1.0 + seen.variance),
        });
        let after = belief.forecast(&one);
        assert!((after.mean - 1.5).abs() < 1e-12 && (after.variance - 0.5).abs() < 1e-12);
        // Half forgotten: precision 0.5 x 2 + 0.5 x 1 = 1.5, mean (0.5 x 3) / 1.5 = 1.
        belief.fade(&[0.5], &[0.0], &[1.0]);
        let after = belief.forecast(&one);
        assert!((after.mean - 1.0).abs() < 1e-12 && (after.variance - 1.0 / 1.5).abs() < 1e-12);
    }

    #[test]
    fn side_by_side_solves_agree_with_one_by_one() {
        let mut belief = Belief::prior(&[0.0; 5], &[1.0, 2.0, 3.0, 4.0, 5.0]);
        for at in 0..5 {
            let features = DVector::from_fn(5, |row, _| (row * row + 3 * at) as f64 * 0.1);
            belief.factor.rank_one_update(&features, 0.7);
        }
        let factor = belief.factor.l_dirty();
        let mut sides: Vec<[f64; LANES]> = (0..5)
            .map(|row| std::array::from_fn(|lane| (row + lane * lane) as f64))
            .collect();
        let mut one = DMatrix::from_fn(5, LANES, |row, lane| sides[row][lane]);
        factor.tr_solve_lower_triangular_unchecked_mut(&mut one);
        solve_transposed(factor, &mut sides);
        for (row, side) in sides.iter().enumerate() {
            for (lane, value) in side.iter().enumerate() {
                assert!((value - one[(row, lane)]).abs() < 1e-12);
            }
        }
    }
}
