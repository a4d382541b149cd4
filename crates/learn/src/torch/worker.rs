use super::job::{Job, total};
use super::pieces::Pieces;
use crate::device::set_threads;
use crate::gradient::step;
use crate::looks::{Facts, Looks};
use crate::network::ActorCritic;
use tch::{Tensor, no_grad_guard};

/// One thread of an update, with its own handles of the same tensors.
pub(super) struct Worker {
    pub(super) number: usize,
    pub(super) net: ActorCritic,
    /// [`Table::sights_tensor`].
    pub(super) sights: Tensor,
    /// [`Table::facts_tensor`].
    pub(super) facts: Tensor,
}

impl Worker {
    /// Takes part in every minibatch; `step` is called between two meetings, when all gradients are there.
    pub(super) fn run(&self, job: &Job<'_>, mut step: impl FnMut()) {
        let _guard = no_grad_guard();
        set_threads(1);
        let pieces = Pieces::of(job, self.number);
        for epoch in 0..job.orders.len() {
            for batch in 0..job.batches {
                let gradient = self.gradient(job, &pieces, (epoch, batch));
                job.exchange.put(self.number, gradient);
                job.exchange.barrier.wait();
                step();
                job.exchange.barrier.wait();
            }
            if job.exchange.ended() {
                return;
            }
        }
    }

    /// The gradient over this thread's part of a minibatch with its means behind it; none without rows.
    fn gradient(&self, job: &Job<'_>, pieces: &Pieces, (epoch, batch): (usize, usize)) -> Option<Tensor> {
        let width = job.table.width as i64;
        let (piece, count) = pieces.of_minibatch(epoch * job.batches + batch);
        let chunk = |piece| {
            let index = pieces.index(piece);
            let sights = self.sights.index_select(0, &index.sights);
            let looks = Looks {
                seen: sights.narrow(1, 0, width),
                log_uniform: sights.narrow(1, width, job.table.rungs as i64),
                counts: index.counts,
                places: index.places,
            };
            let facts = Facts::of(&self.facts.index_select(0, &index.rows));
            let weights = (job.config, job.entropy_weight);
            step(&self.net, &looks, &facts, count as f64, weights).packed()
        };
        total(piece.map(chunk))
    }
}
