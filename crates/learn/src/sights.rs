//! What rows see, each sight once. Where states are few, as in a market that sells down a stock, many rows see the same: networks
//! look at each sight instead of each row, which is the same sum with fewer products.

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hasher};

/// Distinct sights in the order in which they were first seen, and which of them each row sees.
#[derive(Clone, Debug)]
pub(crate) struct Sights {
    width: usize,
    /// `sights x width`.
    seen: Vec<f32>,
    /// Allowed rungs of each sight: they are part of it.
    pub(crate) masks: Vec<u64>,
    /// The sight of each row.
    pub(crate) of_row: Vec<u32>,
    known: HashTable<u32>,
}

impl Sights {
    /// None yet, with room for so many rows that see `width` numbers each.
    pub(crate) fn new(width: usize, rows: usize) -> Self {
        Self {
            width,
            seen: Vec::new(),
            masks: Vec::new(),
            of_row: Vec::with_capacity(rows),
            known: HashTable::new(),
        }
    }

    /// Of rows that stand `stride` numbers apart and see the first `width` of them; `masks` says what each may choose.
    pub(crate) fn of(rows: &[f32], stride: usize, width: usize, masks: impl Iterator<Item = u64>) -> Self {
        let mut sights = Self::new(width, rows.len() / stride);
        sights.take(rows, stride, masks);
        sights
    }

    /// Of rows that see nothing that could be told: each is a sight of its own.
    pub(crate) fn each(masks: &[u64]) -> Self {
        Self {
            masks: masks.to_vec(),
            of_row: (0..masks.len() as u32).collect(),
            ..Self::new(0, 0)
        }
    }

    /// Takes in more such rows.
    pub(crate) fn take(&mut self, rows: &[f32], stride: usize, masks: impl Iterator<Item = u64>) {
        for (row, mask) in rows.chunks_exact(stride).zip(masks) {
            self.push(&row[..self.width], mask);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.seen.clear();
        self.masks.clear();
        self.of_row.clear();
        self.known.clear();
    }

    /// Takes in the next row.
    pub(crate) fn push(&mut self, seen: &[f32], mask: u64) {
        let (hash, next) = (hash(seen, mask), self.masks.len() as u32);
        let same = |sight: &u32| self.masks[*sight as usize] == mask && equal(self.seen(*sight), seen);
        let sight = match self.known.find(hash, same) {
            Some(sight) => *sight,
            None => {
                self.seen.extend_from_slice(seen);
                self.masks.push(mask);
                let Self {
                    seen, masks, width, ..
                } = self;
                let again = |sight: &u32| {
                    let at = *sight as usize;
                    self::hash(&seen[at * *width..][..*width], masks[at])
                };
                self.known.insert_unique(hash, next, again);
                next
            }
        };
        self.of_row.push(sight);
    }

    pub(crate) fn len(&self) -> usize {
        self.masks.len()
    }

    /// What is seen there: `width` numbers.
    #[inline]
    pub(crate) fn seen(&self, sight: u32) -> &[f32] {
        &self.seen[sight as usize * self.width..][..self.width]
    }

    /// What is seen at all sights from one on: `width` numbers each.
    pub(crate) fn from(&self, first: usize) -> &[f32] {
        &self.seen[first * self.width..]
    }

    /// Writes what was found for the sights, `width` numbers each, to the rows that see them.
    pub(crate) fn spread(&self, found: &[f32], width: usize, out: &mut [f32]) {
        for (out, sight) in out.chunks_exact_mut(width).zip(&self.of_row) {
            out.copy_from_slice(&found[*sight as usize * width..][..width]);
        }
    }
}

/// To the bit, so that a NaN is like itself.
fn equal(a: &[f32], b: &[f32]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

fn hash(seen: &[f32], mask: u64) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    hasher.write_u64(mask);
    for pair in seen.chunks(2) {
        let bits = |n: usize| pair.get(n).map_or(0, |x| u64::from(x.to_bits()));
        hasher.write_u64(bits(0) | bits(1) << 32);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::iter::repeat;

    #[test]
    fn rows_that_see_the_same_are_one_sight_unless_they_may_choose_otherwise() {
        let rows = [
            1.0, 2.0, 9.0, 1.0, 2.0, 8.0, 1.0, 2.0, 7.0, -0.0, 2.0, 0.0, 0.0, 2.0, 0.0,
        ];
        let sights = Sights::of(&rows, 3, 2, [5, 5, 7, 5, 5].into_iter());
        assert_eq!(sights.of_row, [0, 0, 1, 2, 3]);
        assert_eq!(sights.masks, [5, 7, 5, 5]);
        assert_eq!(sights.from(0), [1.0, 2.0, 1.0, 2.0, -0.0, 2.0, 0.0, 2.0]);
        let mut out = [0.0; 5];
        sights.spread(&[10.0, 20.0, 30.0, 40.0], 1, &mut out);
        assert_eq!(out, [10.0, 10.0, 20.0, 30.0, 40.0]);
    }

    #[test]
    fn many_sights_are_told_apart() {
        let rows: Vec<f32> = (0..3000).map(|n| (n / 2) as f32).collect();
        let sights = Sights::of(&rows, 1, 1, repeat(1));
        assert_eq!(sights.len(), 1500);
        assert!((0..3000).all(|row| sights.seen(sights.of_row[row])[0] == rows[row]));
    }
}
