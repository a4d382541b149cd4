use crate::sequence::Sequences;

/// The active rows of a roll-out for gradient steps, one row each:
/// `obs | state | uniform over allowed rungs | rung | old log prob | advantage | target | old value`. Of a multiplier there are
/// no rungs, and in place of the rung stands what the tanh squashed.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) numbers: Vec<f32>,
    /// Width of `obs | state`.
    pub(crate) width: usize,
    pub(crate) rungs: usize,
    /// The same rows as agents lived through them; empty where nobody remembers.
    pub(crate) sequences: Sequences,
}

/// Columns behind `obs | state` and the rungs.
const FACTS: usize = 5;

impl Table {
    pub(crate) fn new(width: usize, rungs: usize, rows: usize) -> Self {
        Self {
            numbers: Vec::with_capacity(rows * (width + rungs + FACTS)),
            width,
            rungs,
            sequences: Sequences::default(),
        }
    }

    pub(crate) fn columns(&self) -> usize {
        self.width + self.rungs + FACTS
    }

    pub(crate) fn rows(&self) -> usize {
        self.numbers.len() / self.columns()
    }

    #[inline]
    pub(crate) fn row(&self, row: usize) -> &[f32] {
        let columns = self.columns();
        &self.numbers[row * columns..][..columns]
    }
}
