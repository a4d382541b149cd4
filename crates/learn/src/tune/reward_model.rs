use super::offer_table::OfferTable;
use tch::{Kind, Tensor};

/// Rows that enter the normal equations at once.
const BLOCK: usize = 16_384;
/// Log price ratios are of this order on a ladder.
const PRICE_UNIT: f32 = 0.15;
/// Pulls price effects that the log does not support to 0: as much as this share of the rows would.
const RIDGE: f64 = 1e-3;

/// Expected reward of every rung at every row, rows x rungs, cross-fitted: the half of the sessions that a row belongs to
/// had no part in the model that values it.
///
/// The model is linear least squares of `reward / scale` on `(1, obs) x (1, u, u^2)`, u = the log of price / base price,
/// weighted by `scale`: the noise of a rarely bought item is large relative to its mean.
pub(crate) fn expected_rewards(table: &OfferTable) -> Vec<f32> {
    let models = [true, false].map(|half| fit(table, half));
    let mut out = Vec::with_capacity(table.rows * table.rungs);
    let width = table.obs.len() / table.rows;
    for row in 0..table.rows {
        let model = &models[usize::from(table.half[row])]; // fitted on the other half
        let obs = &table.obs[row * width..][..width];
        let curve = [0, 1, 2].map(|power| {
            let part = &model[power * (width + 1)..][..=width];
            part[0]
                + part[1..]
                    .iter()
                    .zip(obs)
                    .map(|(weight, x)| weight * f64::from(*x))
                    .sum::<f64>()
        });
        for u in &table.price_log[row * table.rungs..][..table.rungs] {
            let u = f64::from(u / PRICE_UNIT);
            out.push((table.scale[row] * (curve[0] + curve[1] * u + curve[2] * u * u)) as f32);
        }
    }
    out
}

fn fit(table: &OfferTable, half: bool) -> Vec<f64> {
    let width = table.obs.len() / table.rows;
    let columns = 3 * (width + 1);
    let size = columns as i64;
    let mut gram = Tensor::zeros([size, size], (Kind::Double, tch::Device::Cpu));
    let mut moment = Tensor::zeros([size], (Kind::Double, tch::Device::Cpu));
    let mut weight_sum = 0.0;
    let rows: Vec<usize> = (0..table.rows).filter(|row| table.half[*row] == half).collect();
    for block in rows.chunks(BLOCK) {
        let mut design = Vec::with_capacity(block.len() * columns);
        let mut target = Vec::with_capacity(block.len());
        for &row in block {
            let root = table.scale[row].sqrt();
            let u = table.price_log[row * table.rungs + usize::from(table.rung[row])] / PRICE_UNIT;
            for power in [1.0, u, u * u] {
                design.push(root * f64::from(power));
                let obs = &table.obs[row * width..][..width];
                design.extend(obs.iter().map(|x| root * f64::from(x * power)));
            }
            target.push(root * table.reward[row] / table.scale[row]);
            weight_sum += table.scale[row];
        }
        let design = Tensor::from_slice(&design).view([block.len() as i64, size]);
        gram += design.tr().mm(&design);
        moment += design.tr().mv(&Tensor::from_slice(&target));
    }
    let ridge = Tensor::eye(size, (Kind::Double, tch::Device::Cpu)) * (RIDGE * weight_sum + 1e-9);
    let solved = Tensor::linalg_solve(&(gram + ridge), &moment, true);
    let mut out = vec![0.0; columns];
    solved.copy_data(&mut out, columns);
    out
}
