//! The log on the device.

use super::offer_table::OfferTable;
use super::reward_model::expected_rewards;
use crate::distribution::{logs, probabilities};
use crate::network::ActorCritic;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// Rows valued at once.
const BLOCK: i64 = 16_384;

/// Everything of the log that a gradient step reads, on the device; rows x something.
pub(super) struct Columns {
    pub(super) obs: Tensor,
    pub(super) log_uniform: Tensor,
    pub(super) rung: Tensor,
    pub(super) propensity: Tensor,
    pub(super) expected: Tensor,
    pub(super) residual: Tensor,
    pub(super) cost: Tensor,
    pub(super) incumbent_log: Tensor,
}

impl Columns {
    pub(super) fn rows(&self, index: &Tensor) -> Self {
        let of = |tensor: &Tensor| tensor.index_select(0, index);
        Self {
            obs: of(&self.obs),
            log_uniform: of(&self.log_uniform),
            rung: of(&self.rung),
            propensity: of(&self.propensity),
            expected: of(&self.expected),
            residual: of(&self.residual),
            cost: of(&self.cost),
            incumbent_log: of(&self.incumbent_log),
        }
    }
}

pub(super) fn columns(table: &OfferTable, net: &ActorCritic, floor: f64, device: Device) -> Columns {
    let _guard = no_grad_guard();
    let expected = expected_rewards(table);
    let of =
        |row: usize| table.reward[row] as f32 - expected[row * table.rungs + usize::from(table.rung[row])];
    let residual: Vec<f32> = (0..table.rows).map(of).collect();
    let rung: Vec<f32> = table.rung.iter().map(|rung| f32::from(*rung)).collect();
    let put = |numbers: &[f32]| table.tensor(numbers).to_device(device);
    let (obs, log_uniform) = (put(&table.obs), put(&table.log_uniform));
    let logs: Vec<Tensor> = blocks(table.rows as i64)
        .map(|(from, count)| {
            let logits = net.logits(&obs.narrow(0, from, count));
            logs(&probabilities(
                &logits,
                &log_uniform.narrow(0, from, count),
                floor,
            ))
        })
        .collect();
    Columns {
        obs,
        log_uniform,
        rung: put(&rung).to_kind(Kind::Int64),
        propensity: put(&table.propensity),
        expected: put(&expected),
        residual: put(&residual),
        cost: put(&table.cost),
        incumbent_log: Tensor::cat(&logs, 0),
    }
}

/// `(from, count)` of consecutive blocks of rows.
pub(super) fn blocks(rows: i64) -> impl Iterator<Item = (i64, i64)> {
    (0..rows)
        .step_by(BLOCK as usize)
        .map(move |from| (from, BLOCK.min(rows - from)))
}
