use super::{Block, Parameters, Prior};
use nalgebra::{Cholesky, DMatrix, DVector};

/// One group with its local parameters eliminated.
struct Eliminated {
    factor: Cholesky<f64, nalgebra::Dyn>,
    border: DMatrix<f64>,
    gradient: DVector<f64>,
}

/// The step to the least of the quadratic that has the blocks' derivatives, within the bounds; none where it has no least.
pub(super) fn newton_step(
    at: &Parameters,
    blocks: &[Block],
    local: &[Vec<Prior>],
    shared: &[Prior],
) -> Option<Parameters> {
    let width = shared.len();
    let mut corner = DMatrix::zeros(width, width);
    let mut slope = DVector::zeros(width);
    for (s, prior) in shared.iter().enumerate() {
        corner[(s, s)] += prior.ridge;
        slope[s] += prior.ridge * at.shared[s];
    }
    let groups: Vec<Eliminated> = (0..blocks.len())
        .map(|group| {
            eliminate(
                at,
                &blocks[group],
                &at.local[group],
                &local[group],
                &mut corner,
                &mut slope,
            )
        })
        .collect::<Option<_>>()?;
    for group in &groups {
        let solved = group.factor.solve(&group.border);
        corner -= group.border.transpose() * &solved;
        slope -= solved.transpose() * &group.gradient;
    }
    for s in 0..width {
        // The gradient of the eliminated problem decides whether a bound binds.
        if pushed_out(at.shared[s], slope[s], &shared[s]) {
            corner.row_mut(s).fill(0.0);
            corner.column_mut(s).fill(0.0);
            corner[(s, s)] = 1.0;
            slope[s] = 0.0;
        }
    }
    let shared_step = -Cholesky::new(corner)?.solve(&slope);
    let local_step = |group: &Eliminated| {
        let right = &group.gradient + &group.border * &shared_step;
        (-group.factor.solve(&right)).as_slice().to_vec()
    };
    Some(Parameters {
        local: groups.iter().map(local_step).collect(),
        shared: shared_step.as_slice().to_vec(),
    })
}

/// Splits a block, adds priors, fixes bound parameters; what belongs to the shared ones goes to `corner` and `slope`.
fn eliminate(
    at: &Parameters,
    block: &Block,
    values: &[f64],
    priors: &[Prior],
    corner: &mut DMatrix<f64>,
    slope: &mut DVector<f64>,
) -> Option<Eliminated> {
    let (own, width) = (values.len(), at.shared.len());
    let mut head = DMatrix::from_fn(own, own, |a, b| block.at(a, b));
    let mut border = DMatrix::from_fn(own, width, |a, s| block.at(a, own + s));
    let mut gradient = DVector::from_column_slice(&block.gradient[..own]);
    for s in 0..width {
        slope[s] += block.gradient[own + s];
        for t in 0..width {
            corner[(s, t)] += block.at(own + s, own + t);
        }
    }
    for (a, prior) in priors.iter().enumerate() {
        head[(a, a)] += prior.ridge;
        let gap = values[a] - prior.centre.map_or(0.0, |centre| at.shared[centre]);
        gradient[a] += prior.ridge * gap;
        if let Some(centre) = prior.centre {
            border[(a, centre)] -= prior.ridge;
            corner[(centre, centre)] += prior.ridge;
            slope[centre] -= prior.ridge * gap;
        }
        if pushed_out(values[a], gradient[a], prior) {
            head.row_mut(a).fill(0.0);
            head.column_mut(a).fill(0.0);
            border.row_mut(a).fill(0.0);
            head[(a, a)] = 1.0;
            gradient[a] = 0.0;
        }
    }
    Some(Eliminated {
        factor: Cholesky::new(head)?,
        border,
        gradient,
    })
}

fn pushed_out(value: f64, gradient: f64, prior: &Prior) -> bool {
    (value <= prior.low && gradient >= 0.0) || (value >= prior.high && gradient <= 0.0)
}
