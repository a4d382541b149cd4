//! The linear programmes of the fluid bounds: how much of each column, under limited resources.

use super::oracle::OracleError;
use microlp::{ComparisonOp, OptimizationDirection, Problem, Variable};

/// Largest gap between a programme and its dual, relative: certifies both.
const GAP: f64 = 1e-8;

/// `max sum_k gains[k] x_k` with `sum_k uses[r][k] x_k <= limits[r]` and `x >= 0`.
#[derive(Clone, Debug)]
pub(crate) struct Packing {
    /// The optimum.
    pub(crate) value: f64,
    /// What one more unit of each resource would add (one of several answers where the programme is degenerate).
    pub(crate) worths: Vec<f64>,
}

impl Packing {
    /// Solves a programme and its dual; each certifies the other.
    pub(crate) fn solve(gains: &[f64], uses: &[Vec<f64>], limits: &[f64]) -> Result<Self, OracleError> {
        let mut primal = Problem::new(OptimizationDirection::Maximize);
        let columns: Vec<Variable> = gains
            .iter()
            .map(|gain| primal.add_var(*gain, (0.0, f64::INFINITY)))
            .collect();
        for (uses, limit) in uses.iter().zip(limits) {
            let row: Vec<(Variable, f64)> = columns.iter().copied().zip(uses.iter().copied()).collect();
            primal.add_constraint(&row, ComparisonOp::Le, *limit);
        }
        let mut dual = Problem::new(OptimizationDirection::Minimize);
        let rows: Vec<Variable> = limits
            .iter()
            .map(|limit| dual.add_var(*limit, (0.0, f64::INFINITY)))
            .collect();
        for (column, gain) in gains.iter().enumerate() {
            let used: Vec<(Variable, f64)> = rows
                .iter()
                .zip(uses)
                .map(|(row, uses)| (*row, uses[column]))
                .collect();
            dual.add_constraint(&used, ComparisonOp::Ge, *gain);
        }
        let (value, _) = optimum(&primal, &columns)?;
        let (bound, worths) = optimum(&dual, &rows)?;
        if (value - bound).abs() <= GAP * (1.0 + bound.abs()) {
            return Ok(Self { value, worths });
        }
        Err(unsolved(format!("{value} and its dual {bound} differ")))
    }
}

fn unsolved(reason: impl std::fmt::Display) -> OracleError {
    OracleError::Unsolved(format!("the linear programme: {reason}"))
}

fn optimum(problem: &Problem, variables: &[Variable]) -> Result<(f64, Vec<f64>), OracleError> {
    let solution = problem
        .solve()
        .map_err(unsolved)?
        .into_solution()
        .map_err(|_| unsolved("no solution"))?;
    let values = variables
        .iter()
        .map(|variable| solution.var_value(*variable))
        .collect();
    Ok((solution.objective(), values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programme_with_a_known_answer() {
        // max 3x + 5y, x <= 4, 2y <= 12, 3x + 2y <= 18: (2, 6) earns 36; Dantzig's worths are 0, 1.5, 1.
        let uses = [vec![1.0, 0.0], vec![0.0, 2.0], vec![3.0, 2.0]];
        let packing = Packing::solve(&[3.0, 5.0], &uses, &[4.0, 12.0, 18.0]).expect("an optimum");
        assert!((packing.value - 36.0).abs() < 1e-9);
        for (worth, known) in packing.worths.iter().zip([0.0, 1.5, 1.0]) {
            assert!((worth - known).abs() < 1e-9);
        }
    }

    #[test]
    fn a_programme_without_bounds_is_an_error() {
        assert!(Packing::solve(&[1.0], &[vec![0.0]], &[1.0]).is_err());
    }
}
