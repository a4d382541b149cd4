use std::f64::consts::{PI, SQRT_2};

/// How demand may bend over a ladder, beyond a straight line in the price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    /// Piecewise linear: each knot moves by itself, so that a step shows at once.
    Hats,
    /// Cosines whose weights fall with the square of their frequency, as in a smoothing spline (Wahba 1990, 2.2): a rung that
    /// is never drawn takes after its neighbours. Upper bounds of a linear rule would otherwise go back to it for ever.
    Waves,
}

impl Curve {
    /// Per rung a row of as many numbers as the second result says: at most `knots`, none below 2 or on less than 3 rungs.
    pub(super) fn over(self, prices: &[f64], knots: usize) -> (Vec<f64>, usize) {
        let last = prices.len().saturating_sub(1);
        if knots < 2 || last < 2 {
            return (Vec::new(), 0);
        }
        let columns = match self {
            Self::Hats => knots.min(last + 1),
            Self::Waves => knots.min(last),
        };
        let mut order: Vec<usize> = (0..prices.len()).collect();
        order.sort_by(|a, b| prices[*a].total_cmp(&prices[*b]));
        let mut rows = vec![0.0; prices.len() * columns];
        for (rank, rung) in order.into_iter().enumerate() {
            let along = rank as f64 / last as f64;
            let row = &mut rows[rung * columns..][..columns];
            match self {
                Self::Hats => {
                    let at = (rank * (columns - 1)) as f64 / last as f64;
                    let below = (at.floor() as usize).min(columns - 2);
                    row[below] = 1.0 - (at - below as f64);
                    row[below + 1] = at - below as f64;
                }
                Self::Waves => {
                    for (wave, number) in (1..).map(f64::from).zip(row) {
                        *number = SQRT_2 * (wave * PI * along).cos() / (wave * wave);
                    }
                }
            }
        }
        (rows, columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hats_sum_to_one_and_waves_to_nothing_over_the_ladder() {
        let prices: Vec<f64> = [3.0, 1.0, 2.0, 5.0, 4.0, 7.0, 6.0].to_vec();
        let (hats, columns) = Curve::Hats.over(&prices, 4);
        assert_eq!((hats.len(), columns), (28, 4));
        assert!(
            hats.chunks(4)
                .all(|row| (row.iter().sum::<f64>() - 1.0).abs() < 1e-12)
        );
        assert_eq!(
            &hats[4..8],
            [1.0, 0.0, 0.0, 0.0],
            "the lowest price stands at the first knot"
        );
        let (waves, columns) = Curve::Waves.over(&prices, 12);
        assert_eq!((waves.len(), columns), (42, 6));
        // The second wave falls from its top to its bottom in the middle, and is as high at the other end.
        let second: Vec<f64> = waves.chunks(6).map(|row| row[1]).collect();
        assert!((second[1] - SQRT_2 / 4.0).abs() < 1e-12 && (second[4] + SQRT_2 / 4.0).abs() < 1e-12);
        assert!(
            (second[5] - second[1]).abs() < 1e-12,
            "prices in their order, not as they are listed"
        );
        assert_eq!(Curve::Waves.over(&prices[..2], 12), (Vec::new(), 0));
        assert_eq!(Curve::Hats.over(&prices, 1), (Vec::new(), 0));
    }
}
