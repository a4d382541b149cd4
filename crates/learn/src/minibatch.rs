//! Minibatches, and one thread's part of one, sorted by sights.

use std::ops::Range;

/// What minibatch `batch` of `batches` has of an epoch's order; they differ by one row at most.
pub(crate) fn minibatch(order: &[u32], batch: usize, batches: usize) -> &[u32] {
    &order[batch * order.len() / batches..(batch + 1) * order.len() / batches]
}

/// The sights of every `threads`-th name among those of a minibatch, and the rows that see them. Threads share out sights and not
/// rows, so that none is looked at twice.
#[derive(Clone, Debug, Default)]
pub(crate) struct Portion {
    /// Sights in the order in which the minibatch comes to them.
    pub(crate) sights: Vec<u32>,
    /// Where the rows of each sight begin, and where the last one's end.
    starts: Vec<u32>,
    /// Rows, sight after sight.
    pub(crate) rows: Vec<u32>,
    /// The place among `sights` of each of `rows`.
    pub(crate) places: Vec<u32>,
    /// For each sight there is, its place among `sights`, or [`NOWHERE`].
    place_of: Vec<u32>,
}

const NOWHERE: u32 = u32::MAX;

impl Portion {
    /// Fills itself with what thread `number` of `threads` has of the rows `minibatch`, where `of_row` are the sights of all rows.
    pub(crate) fn take(
        &mut self,
        minibatch: &[u32],
        of_row: &[u32],
        sights: usize,
        (number, threads): (usize, usize),
    ) {
        for sight in self.sights.drain(..) {
            self.place_of[sight as usize] = NOWHERE;
        }
        self.place_of.resize(sights, NOWHERE);
        self.starts.clear();
        self.starts.push(0);
        let own = minibatch.iter().map(|row| (*row, of_row[*row as usize]));
        let own = own.filter(|(_, sight)| *sight as usize % threads == number);
        let mut count = 0;
        for (_, sight) in own.clone() {
            let place = &mut self.place_of[sight as usize];
            if *place == NOWHERE {
                *place = self.sights.len() as u32;
                self.sights.push(sight);
                self.starts.push(0);
            }
            self.starts[*place as usize + 1] += 1;
            count += 1;
        }
        for n in 1..self.starts.len() {
            self.starts[n] += self.starts[n - 1];
        }
        self.rows.resize(count, 0);
        self.places.resize(count, 0);
        for (row, sight) in own {
            let place = self.place_of[sight as usize];
            let at = &mut self.starts[place as usize];
            self.rows[*at as usize] = row;
            self.places[*at as usize] = place;
            *at += 1;
        }
        // Each start has moved to its end, which is where the next one was.
        self.starts.rotate_right(1);
        self.starts[0] = 0;
    }

    /// Where the rows of these sights stand.
    pub(crate) fn rows_of(&self, sights: &Range<usize>) -> Range<usize> {
        self.starts[sights.start] as usize..self.starts[sights.end] as usize
    }

    /// How many rows see each of these sights.
    pub(crate) fn counts(&self, sights: &Range<usize>) -> impl Iterator<Item = f32> {
        let pairs = self.starts[sights.start..=sights.end].windows(2);
        pairs.map(|pair| (pair[1] - pair[0]) as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_by_their_sights_and_each_thread_has_its_own() {
        let of_row = [0, 4, 1, 4, 2, 0, 3];
        let mut portion = Portion::default();
        portion.take(&[6, 5, 3, 2, 1, 0], &of_row, 5, (0, 1));
        assert_eq!(portion.sights, [3, 0, 4, 1]);
        assert_eq!(portion.rows, [6, 5, 0, 3, 1, 2]);
        assert_eq!(portion.places, [0, 1, 1, 2, 2, 3]);
        assert_eq!(portion.rows_of(&(1..3)), 1..5);
        assert_eq!(portion.counts(&(0..4)).collect::<Vec<_>>(), [1.0, 2.0, 2.0, 1.0]);
        portion.take(&[6, 5, 3, 2, 1, 0], &of_row, 5, (0, 2));
        assert_eq!(
            (&portion.sights[..], &portion.rows[..]),
            (&[0, 4][..], &[5, 0, 3, 1][..])
        );
        portion.take(&[6, 5, 3, 2, 1, 0], &of_row, 5, (1, 2));
        assert_eq!(
            (&portion.sights[..], &portion.rows[..]),
            (&[3, 1][..], &[6, 2][..])
        );
        portion.take(&[5, 0], &of_row, 5, (1, 2));
        assert!(portion.sights.is_empty() && portion.rows.is_empty());
    }
}
