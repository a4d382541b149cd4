use crate::distribution::push_log_uniform;
use crate::sequence::Sequences;
use haggle_core::Mask;
use tch::Tensor;

/// The active rows of a roll-out for gradient steps, one row each:
/// `obs | state | rung | old log prob | advantage | target | old value`. Of a multiplier there are no rungs, and in place of the
/// rung stands what the tanh squashed.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    numbers: Vec<f32>,
    /// Allowed rungs of each row.
    pub(crate) masks: Vec<u64>,
    /// Width of `obs | state`.
    pub(crate) width: usize,
    pub(crate) rungs: usize,
    /// The same rows as agents lived through them; empty where nobody remembers.
    pub(crate) sequences: Sequences,
}

/// Columns behind `obs | state`.
const FACTS: usize = 5;

impl Table {
    pub(crate) fn new(width: usize, rungs: usize, rows: usize) -> Self {
        Self {
            numbers: Vec::with_capacity(rows * (width + FACTS)),
            masks: Vec::with_capacity(rows),
            width,
            rungs,
            sequences: Sequences::default(),
        }
    }

    pub(crate) fn push(&mut self, seen: &[f32], mask: u64, facts: [f32; FACTS]) {
        self.numbers.extend_from_slice(seen);
        self.numbers.extend(facts);
        self.masks.push(mask);
    }

    pub(crate) fn rows(&self) -> usize {
        self.masks.len()
    }

    /// `obs | state`, and what stands behind it.
    #[inline]
    pub(crate) fn row(&self, row: usize) -> (&[f32], &[f32]) {
        let columns = self.width + FACTS;
        self.numbers[row * columns..][..columns].split_at(self.width)
    }

    /// For libtorch: `obs | state | log of the uniform distribution over allowed rungs | rung | ..`, a row each.
    pub(crate) fn tensor(&self) -> Tensor {
        let columns = self.width + self.rungs + FACTS;
        let mut numbers = Vec::with_capacity(self.rows() * columns);
        for (row, mask) in self.masks.iter().enumerate() {
            let (seen, facts) = self.row(row);
            numbers.extend_from_slice(seen);
            let allowed = Mask(*mask).and(Mask::all(self.rungs)); // none where there are no rungs
            push_log_uniform(allowed, self.rungs, &mut numbers);
            numbers.extend_from_slice(facts);
        }
        Tensor::from_slice(&numbers).view([self.rows() as i64, columns as i64])
    }
}
