//! The parameters that learning begins with.

use super::Shape;
use haggle_core::Seeds;
use rand::RngExt;
use std::f64::consts::TAU;

/// How far the last layer of the policy is scaled down, so that it begins near the uniform distribution.
const POLICY_GAIN: f64 = 0.01;

impl Shape {
    /// Orthogonal weights (Saxe et al. 2014), gain sqrt 2 (a memory's gates: 1), the policy's last layer almost 0; biases 0.
    pub(crate) fn initial(&self, seeds: &Seeds) -> Vec<f32> {
        let layers = self.all_layers();
        let mut flat = Vec::with_capacity(self.parameters());
        for (number, (out, input)) in layers.iter().enumerate() {
            let gain = match (number + 1) as isize - self.layers() as isize {
                0 => POLICY_GAIN,
                _ if number + 1 == layers.len() || number % self.layers() < self.cell() => 1.0,
                _ => 2f64.sqrt(),
            };
            let matrix = orthogonal(*out, *input, &seeds.indexed(number as u64));
            flat.extend(matrix.iter().map(|x| (x * gain) as f32));
            flat.resize(flat.len() + out, 0.0);
        }
        flat
    }
}

/// A matrix of orthonormal rows (or columns, whichever are fewer): Gram-Schmidt on Gaussian vectors.
fn orthogonal(rows: usize, columns: usize, seeds: &Seeds) -> Vec<f64> {
    let (vectors, length) = (rows.min(columns), rows.max(columns));
    let mut rng = seeds.rng();
    let mut gaussian =
        || (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt() * (TAU * rng.random::<f64>()).cos();
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(vectors);
    for _ in 0..vectors {
        let mut vector: Vec<f64> = (0..length).map(|_| gaussian()).collect();
        for other in &basis {
            let along: f64 = vector.iter().zip(other).map(|(a, b)| a * b).sum();
            vector.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
        }
        let norm = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        vector.iter_mut().for_each(|x| *x /= norm);
        basis.push(vector);
    }
    let at = |row: usize, column: usize| {
        if rows <= columns {
            basis[row][column]
        } else {
            basis[column][row]
        }
    };
    (0..rows * columns)
        .map(|n| at(n / columns, n % columns))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_or_columns_are_orthonormal() {
        for (rows, columns) in [(3, 7), (7, 3)] {
            let matrix = orthogonal(rows, columns, &Seeds::new(1));
            let at = |vector: usize, n: usize| {
                if rows <= columns {
                    matrix[vector * columns + n]
                } else {
                    matrix[n * columns + vector]
                }
            };
            for (a, b) in [(0, 0), (0, 1), (1, 2), (2, 2)] {
                let dot: f64 = (0..7).map(|n| at(a, n) * at(b, n)).sum();
                assert!(
                    (dot - f64::from(a == b)).abs() < 1e-12,
                    "{rows}x{columns}: {a}.{b} = {dot}"
                );
            }
        }
    }
}
