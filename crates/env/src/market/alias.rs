//! Draws from 32-bit numbers: of a finite distribution and of the standard normal one.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::f64::consts::TAU;

/// A finite distribution that is drawn from with one 32-bit number and no loop (Walker 1974, Vose 1991). Probabilities are
/// kept to 2^-32 of a cell.
#[derive(Clone, Debug, Default)]
pub(crate) struct AliasTable {
    /// One cell per outcome, padded to a power of two: below `keep` the cell's own outcome, else `other`.
    cells: Vec<Cell>,
    /// The highest bits of a number choose the cell.
    shift: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    keep: u32,
    other: u32,
}

impl AliasTable {
    /// The table of probabilities that sum to 1.
    pub(crate) fn new(pmf: &[f64]) -> Self {
        let bits = pmf.len().next_power_of_two().trailing_zeros().max(1);
        let count = 1usize << bits;
        let mut mass: Vec<f64> = (0..count)
            .map(|n| pmf.get(n).copied().unwrap_or(0.0) * count as f64)
            .collect();
        let mut cells = vec![Cell::default(); count];
        let (mut poor, mut rich): (Vec<usize>, Vec<usize>) = (0..count).partition(|n| mass[*n] < 1.0);
        while let (Some(&low), Some(&high)) = (poor.last(), rich.last()) {
            poor.pop();
            let scale = 2f64.powi(32 - bits as i32);
            cells[low] = Cell {
                keep: (mass[low] * scale) as u32,
                other: high as u32,
            };
            mass[high] -= 1.0 - mass[low];
            if mass[high] < 1.0 {
                rich.pop();
                poor.push(high);
            }
        }
        // What rounding has left over is full to the brim.
        for full in poor.into_iter().chain(rich) {
            cells[full] = Cell {
                keep: u32::MAX,
                other: full as u32,
            };
        }
        Self {
            cells,
            shift: 32 - bits,
        }
    }

    /// The outcome that belongs to a uniform 32-bit number.
    #[inline]
    pub(crate) fn draw(&self, uniform: u32) -> u32 {
        let index = uniform >> self.shift;
        let cell = self.cells[index as usize];
        let rest = uniform & ((1 << self.shift) - 1);
        // Arithmetic instead of a branch that nobody can predict.
        let kept = u32::from(rest < cell.keep).wrapping_neg();
        (index & kept) | (cell.other & !kept)
    }
}

/// A draw of the standard normal distribution (Box and Muller 1958).
pub(crate) fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let unit = |draw: u32| (f64::from(draw) + 0.5) / 2f64.powi(32);
    let radius = (-2.0 * unit(rng.next_u32()).ln()).sqrt();
    radius * (TAU * unit(rng.next_u32())).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_its_share_of_the_numbers() {
        let pmfs: [&[f64]; 4] = [
            &[0.5, 0.0, 0.3, 0.15, 0.05],
            &[0.2, 0.8],
            &[0.6, 0.4],
            &[0.1, 0.1, 0.1, 0.7],
        ];
        for pmf in pmfs {
            let table = AliasTable::new(pmf);
            let mut counts = vec![0u32; pmf.len()];
            let draws = 1 << 20;
            for n in 0..draws {
                counts[table.draw(n << 12) as usize] += 1; // a full sweep in equal steps
            }
            for (count, p) in counts.iter().zip(pmf) {
                assert!(
                    (f64::from(*count) / f64::from(draws) - p).abs() < 1e-5,
                    "{pmf:?} {counts:?}"
                );
            }
        }
    }

    #[test]
    fn a_certain_outcome_is_certain() {
        let table = AliasTable::new(&[1.0]);
        assert!([0, 1, 1 << 31, u32::MAX].iter().all(|n| table.draw(*n) == 0));
    }
}
