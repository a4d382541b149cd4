//! What an occasion brings, as a sum over its offers: `q(x, a) = sum_i s_i z_i . (b0 + b1 p_i) + s_i b2 p_i^2`, where
//! `p_i` is the log of the price over the item's base price, `z_i` the logged observation with a leading 1, and `s_i`
//! the item's usual takings. It is fitted to the takings of the whole occasion, so `b1` holds what a price does to the
//! rivals too. It only narrows the doubly robust estimate; where it is wrong, the residuals put it right.

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use rayon::prelude::*;

/// Parts of the log; the model for one part is fitted to the others.
pub(crate) const FOLDS: usize = 5;
/// Ridge penalties tried, relative to the mean square of a column.
const PENALTIES: [f64; 6] = [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0];

/// A distribution over an item's prices as the model sees it. `q` is linear in both, so these are all it needs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct PriceMoments {
    /// Mean of `p`.
    pub log: f64,
    /// Mean of `p^2`.
    pub log_square: f64,
}

/// Number of columns for observations of a width.
pub(crate) fn columns(features: usize) -> usize {
    2 * (features + 1) + 1
}

/// Adds one offer to the row of its occasion.
pub(crate) fn add_offer(row: &mut [f64], scale: f64, features: &[f32], price: PriceMoments) {
    let (curve, lines) = row.split_last_mut().expect("a row has a column");
    *curve += scale * price.log_square;
    let z = std::iter::once(1.0).chain(features.iter().map(|value| f64::from(*value)));
    for (pair, z) in lines.chunks_exact_mut(2).zip(z) {
        pair[0] += scale * z;
        pair[1] += scale * z * price.log;
    }
}

/// The model of one fold.
#[derive(Clone, Debug)]
pub(crate) struct RewardModel {
    weights: DVector<f64>,
}

impl RewardModel {
    /// One model per fold, fitted to all rows of the other folds; `row(i)` is the row, the reward and the fold of
    /// occasion `i` of `count`.
    pub(crate) fn cross_fit(
        count: usize,
        columns: usize,
        fold: impl Fn(usize) -> usize + Sync,
        row: impl Fn(usize) -> (Vec<f64>, f64) + Sync,
    ) -> Vec<Self> {
        let sums: Vec<Moments> = (0..FOLDS)
            .into_par_iter()
            .map(|this| {
                let mut sum = Moments::zero(columns);
                for (x, y) in (0..count).filter(|at| fold(*at) == this).map(&row) {
                    sum.add(&DVector::from_vec(x), y);
                }
                sum
            })
            .collect();
        (0..FOLDS)
            .into_par_iter()
            .map(|left_out| {
                let mut training = Moments::zero(columns);
                for (_, sum) in sums.iter().enumerate().filter(|(fold, _)| *fold != left_out) {
                    training.join(sum);
                }
                training.fit()
            })
            .collect()
    }

    /// The model's reward of a row.
    pub(crate) fn value(&self, row: &[f64]) -> f64 {
        self.weights.iter().zip(row).map(|(weight, x)| weight * x).sum()
    }
}

/// Sums of `x x'`, `x y`, `y y` over rows.
struct Moments {
    xx: DMatrix<f64>,
    xy: DVector<f64>,
    yy: f64,
    rows: f64,
}

impl Moments {
    fn zero(columns: usize) -> Self {
        Self {
            xx: DMatrix::zeros(columns, columns),
            xy: DVector::zeros(columns),
            yy: 0.0,
            rows: 0.0,
        }
    }

    fn add(&mut self, x: &DVector<f64>, y: f64) {
        self.xx.syger(1.0, x, x, 1.0); // the lower triangle
        self.xy.axpy(y, x, 1.0);
        self.yy += y * y;
        self.rows += 1.0;
    }

    fn join(&mut self, other: &Self) {
        self.xx += &other.xx;
        self.xy += &other.xy;
        self.yy += other.yy;
        self.rows += other.rows;
    }

    /// Ridge regression on columns of mean square 1; the penalty by generalised cross-validation (Golub, Heath & Wahba 1979).
    fn fit(mut self) -> RewardModel {
        self.xx.fill_upper_triangle_with_lower_triangle();
        let unit = self.xx.diagonal().map(|square| {
            let root = (square / self.rows).sqrt();
            if root > 0.0 { 1.0 / root } else { 0.0 }
        });
        let scaled =
            |row: usize, column: usize| self.xx[(row, column)] * unit[row] * unit[column] / self.rows;
        let eigen = SymmetricEigen::new(DMatrix::from_fn(unit.len(), unit.len(), scaled));
        let target = self.xy.component_mul(&unit) / self.rows.max(1.0);
        let z = eigen.eigenvectors.tr_mul(&target);
        let values = eigen.eigenvalues.map(|value| value.max(0.0));
        let score = |penalty: &f64| {
            let pairs = || values.iter().zip(&z);
            let explained: f64 = pairs()
                .map(|(e, z)| z * z * (e + 2.0 * penalty) / (e + penalty).powi(2))
                .sum();
            let freedom: f64 = values.iter().map(|e| e / (e + penalty)).sum();
            (self.yy / self.rows - explained) / (1.0 - freedom / self.rows).powi(2)
        };
        let best = PENALTIES
            .iter()
            .min_by(|a, b| score(a).total_cmp(&score(b)))
            .copied()
            .unwrap_or(1.0);
        let shrunk = z.zip_map(&values, |z, e| z / (e + best));
        RewardModel {
            weights: (eigen.eigenvectors * shrunk).component_mul(&unit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_holds_levels_slopes_and_one_curve() {
        let mut row = vec![0.0; columns(1)];
        let price = PriceMoments {
            log: 0.1,
            log_square: 0.01,
        };
        add_offer(&mut row, 2.0, &[3.0], price);
        add_offer(&mut row, 2.0, &[3.0], price);
        assert_eq!(row, [4.0, 0.4, 12.0, 12.0 * 0.1, 0.04]);
    }

    #[test]
    fn each_fold_is_valued_by_a_model_that_has_not_seen_it() {
        // y = 3 x, but for the rows of fold 0, which say y = -1000 x.
        let slope = |at: usize| if at.is_multiple_of(FOLDS) { -1000.0 } else { 3.0 };
        let x = |at: usize| 1.0 + (at % 7) as f64;
        let row = |at: usize| (vec![x(at), 0.0], slope(at) * x(at));
        let models = RewardModel::cross_fit(200, 2, |at| at % FOLDS, row);
        assert!((models[0].value(&[1.0, 0.0]) - 3.0).abs() < 1e-3);
        assert!(models[1].value(&[1.0, 0.0]) < -100.0);
    }

    #[test]
    fn noise_without_signal_is_shrunk_away() {
        let noise = |at: usize| if at.is_multiple_of(2) { 1.0 } else { -1.0 };
        let row = |at: usize| (vec![((at * 37) % 101) as f64 - 50.0], noise(at));
        let models = RewardModel::cross_fit(1010, 1, |at| at % FOLDS, row);
        assert!(models[2].value(&[50.0]).abs() < 0.05);
    }
}
