use crate::distribution::push_log_uniform;
use crate::sequence::Sequences;
use crate::sights::Sights;
use haggle_core::Mask;
use tch::Tensor;

/// The active rows of a roll-out for gradient steps.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// What the rows see, `obs | state`, and which rungs they may choose there.
    pub(crate) sights: Sights,
    /// Of each row: `rung | old log prob | advantage | target | old value`. Of a multiplier there are no rungs, and in place of
    /// the rung stands what the tanh squashed.
    pub(crate) facts: Vec<[f32; FACTS]>,
    /// Width of `obs | state`.
    pub(crate) width: usize,
    pub(crate) rungs: usize,
    /// The same rows as agents lived through them; empty where nobody remembers.
    pub(crate) sequences: Sequences,
}

/// Numbers of a row beside what it sees.
pub(crate) const FACTS: usize = 5;

impl Table {
    pub(crate) fn new(width: usize, rungs: usize, rows: usize) -> Self {
        Self {
            sights: Sights::new(width, rows),
            facts: Vec::with_capacity(rows),
            width,
            rungs,
            sequences: Sequences::default(),
        }
    }

    pub(crate) fn push(&mut self, seen: &[f32], mask: u64, facts: [f32; FACTS]) {
        self.sights.push(seen, mask);
        self.facts.push(facts);
    }

    pub(crate) fn rows(&self) -> usize {
        self.facts.len()
    }

    /// For libtorch: `obs | state | log of the uniform distribution over allowed rungs`, a sight each.
    pub(crate) fn sights_tensor(&self) -> Tensor {
        let columns = self.width + self.rungs;
        let mut numbers = Vec::with_capacity(self.sights.len() * columns);
        for (sight, mask) in (0..).zip(&self.sights.masks) {
            numbers.extend_from_slice(self.sights.seen(sight));
            let allowed = Mask(*mask).and(Mask::all(self.rungs)); // none where there are no rungs
            push_log_uniform(allowed, self.rungs, &mut numbers);
        }
        Tensor::from_slice(&numbers).view([self.sights.len() as i64, columns as i64])
    }

    /// For libtorch: the facts, a row each.
    pub(crate) fn facts_tensor(&self) -> Tensor {
        Tensor::from_slice(self.facts.as_flattened()).view([-1, FACTS as i64])
    }
}
