//! Small matrix products in registers. A tile of the result stays in vector registers while the depth is walked: vectors of
//! one line of the right matrix meet broadcast numbers of the left one. The left matrix is read by rows or by columns, so
//! that forward pass, slopes and weight gradients are all this one product and nothing but weights is transposed.

use pulp::{Simd, WithSimd};
use std::array::from_fn;

/// The most numbers that a vector holds, on any processor; every vector's size divides it.
pub(crate) const LANES_MAX: usize = 16;

/// A left matrix, whose stored lines stand `stride` numbers apart.
#[derive(Clone, Copy)]
pub(crate) enum Left<'a> {
    /// A stored line is a row.
    Rows(&'a [f32], usize),
    /// A stored line is a column: the transposed of what is stored.
    Columns(&'a [f32], usize),
}

/// What the product is added to.
#[derive(Clone, Copy)]
pub(crate) enum Start<'a> {
    Zero,
    /// The same numbers in each row.
    Row(&'a [f32]),
    /// What stands in the result.
    Result,
}

/// `result = start + left x right`: `rows x depth` times `depth x width`, `width` in whole vectors. It is a function
/// of its own in the machine code, whoever calls it.
#[inline(always)]
pub(crate) fn multiply<S: Simd>(
    simd: S,
    (rows, depth, width): (usize, usize, usize),
    left: Left<'_>,
    right: &[f32],
    start: Start<'_>,
    result: &mut [f32],
) {
    simd.vectorize(Product {
        rows,
        depth,
        width,
        left,
        right: &right[..depth * width],
        start,
        result: &mut result[..rows * width],
    });
}

struct Product<'a> {
    rows: usize,
    depth: usize,
    width: usize,
    left: Left<'a>,
    right: &'a [f32],
    start: Start<'a>,
    result: &'a mut [f32],
}

impl WithSimd for Product<'_> {
    type Output = ();

    /// From left to right in panels: the sums of a tile must outnumber what two multipliers keep in flight, 8, and fit in the
    /// registers with a line of the right matrix. Where there are few rows, a tile is wide instead.
    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let vectors = self.width / S::F32_LANES;
        let mut at = 0;
        while at < vectors {
            at += match (self.rows, vectors - at) {
                (1, 8..) => self.panel::<S, 1, 8>(simd, at),
                (1 | 2, 4..) => self.panel::<S, 2, 4>(simd, at),
                (_, 4..) if S::REGISTER_COUNT >= 32 => self.panel::<S, 4, 4>(simd, at),
                (_, 2..) => self.panel::<S, 6, 2>(simd, at),
                _ => self.panel::<S, 8, 1>(simd, at),
            };
        }
    }
}

impl Product<'_> {
    #[inline(always)]
    fn panel<S: Simd, const ROWS: usize, const VECTORS: usize>(&mut self, simd: S, at: usize) -> usize {
        let mut row = 0;
        while row + ROWS <= self.rows {
            self.tile::<S, ROWS, VECTORS>(simd, row, at);
            row += ROWS;
        }
        if row + 4 <= self.rows {
            self.tile::<S, 4, VECTORS>(simd, row, at);
            row += 4;
        }
        while row + 2 <= self.rows {
            self.tile::<S, 2, VECTORS>(simd, row, at);
            row += 2;
        }
        if row < self.rows {
            self.tile::<S, 1, VECTORS>(simd, row, at);
        }
        VECTORS
    }

    #[inline(always)]
    fn tile<S: Simd, const ROWS: usize, const VECTORS: usize>(&mut self, simd: S, row: usize, at: usize) {
        let vectors = self.width / S::F32_LANES;
        let lines = S::as_simd_f32s(self.right).0.chunks_exact(vectors);
        let result = &mut S::as_mut_simd_f32s(self.result).0[row * vectors..][..ROWS * vectors];
        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
        match self.start {
            Start::Zero => {}
            Start::Row(row) => {
                let row = &S::as_simd_f32s(row).0[at..at + VECTORS];
                for sums in &mut sums {
                    sums.copy_from_slice(row);
                }
            }
            Start::Result => {
                for (sums, row) in sums.iter_mut().zip(result.chunks_exact(vectors)) {
                    sums.copy_from_slice(&row[at..at + VECTORS]);
                }
            }
        }
        match self.left {
            Left::Rows(numbers, stride) => {
                let rows: [&[f32]; ROWS] = from_fn(|n| &numbers[(row + n) * stride..][..self.depth]);
                for (k, line) in (0..self.depth).zip(lines) {
                    add_line(simd, from_fn(|n| rows[n][k]), &line[at..at + VECTORS], &mut sums);
                }
            }
            Left::Columns(numbers, stride) => {
                for (column, line) in numbers.chunks(stride).zip(lines) {
                    let column = &column[row..row + ROWS];
                    add_line(simd, from_fn(|n| column[n]), &line[at..at + VECTORS], &mut sums);
                }
            }
        }
        for (sums, row) in sums.iter().zip(result.chunks_exact_mut(vectors)) {
            row[at..at + VECTORS].copy_from_slice(sums);
        }
    }
}

/// Adds the product of one column of the left matrix and one line of the right one.
#[inline(always)]
fn add_line<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    column: [f32; ROWS],
    line: &[S::f32s],
    sums: &mut [[S::f32s; VECTORS]; ROWS],
) {
    for (number, sums) in column.into_iter().zip(sums) {
        let number = simd.splat_f32s(number);
        for (sum, numbers) in sums.iter_mut().zip(line) {
            *sum = simd.mul_add_e_f32s(number, *numbers, *sum);
        }
    }
}
