use super::job::Job;
use crate::minibatch::{Portion, minibatch};
use std::ops::Range;
use tch::Tensor;

/// What one thread looks at in every pass of an update, on the device before the first one: nothing is sent while others wait.
pub(super) struct Pieces {
    pieces: Vec<Piece>,
    /// Pieces of each minibatch, and how many rows the minibatch has.
    minibatches: Vec<(Range<usize>, usize)>,
    all: Index,
}

/// Where a piece stands in the tensors of [`Index`].
struct Piece {
    sights: Range<usize>,
    rows: Range<usize>,
}

/// What one pass looks at.
pub(super) struct Index {
    /// Sights by their place in the table.
    pub(super) sights: Tensor,
    /// How many rows see each sight.
    pub(super) counts: Tensor,
    /// Rows by their place in the table.
    pub(super) rows: Tensor,
    /// The sight that each row sees, by its place in `sights`.
    pub(super) places: Tensor,
}

impl Pieces {
    pub(super) fn of(job: &Job<'_>, number: usize) -> Self {
        let threads = job.exchange.threads();
        let (mut pieces, mut minibatches) = (Vec::new(), Vec::new());
        let (mut sights, mut counts, mut rows, mut places) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut portion = Portion::default();
        let table = &job.table.sights;
        for order in job.orders {
            for batch in 0..job.batches {
                let whole = minibatch(order, batch, job.batches);
                portion.take(whole, &table.of_row, table.len(), (number, threads));
                let first = pieces.len();
                let chunk = job.chunk.min(portion.sights.len()).max(1);
                for begin in (0..portion.sights.len()).step_by(chunk) {
                    let block = begin..portion.sights.len().min(begin + chunk);
                    let own = portion.rows_of(&block);
                    pieces.push(Piece {
                        sights: sights.len()..sights.len() + block.len(),
                        rows: rows.len()..rows.len() + own.len(),
                    });
                    counts.extend(portion.counts(&block));
                    sights.extend(portion.sights[block].iter().map(|sight| i64::from(*sight)));
                    rows.extend(portion.rows[own.clone()].iter().map(|row| i64::from(*row)));
                    let place = |place: &u32| i64::from(*place) - begin as i64;
                    places.extend(portion.places[own].iter().map(place));
                }
                minibatches.push((first..pieces.len(), whole.len()));
            }
        }
        let numbers = |numbers: &[i64]| Tensor::from_slice(numbers).to_device(job.device);
        let all = Index {
            sights: numbers(&sights),
            counts: Tensor::from_slice::<f32>(&counts).to_device(job.device),
            rows: numbers(&rows),
            places: numbers(&places),
        };
        Self {
            pieces,
            minibatches,
            all,
        }
    }

    /// The pieces of a minibatch, and how many rows all threads together have of it.
    pub(super) fn of_minibatch(&self, minibatch: usize) -> (Range<usize>, usize) {
        self.minibatches[minibatch].clone()
    }

    pub(super) fn index(&self, piece: usize) -> Index {
        let Piece { sights, rows } = &self.pieces[piece];
        let part =
            |tensor: &Tensor, range: &Range<usize>| tensor.narrow(0, range.start as i64, range.len() as i64);
        Index {
            sights: part(&self.all.sights, sights),
            counts: part(&self.all.counts, sights),
            rows: part(&self.all.rows, rows),
            places: part(&self.all.places, rows),
        }
    }
}
