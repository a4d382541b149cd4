//! Small matrix products in registers. A tile of the result stays in vector registers while the depth is walked: one
//! vector of the right matrix meets one broadcast number of the left one. The left matrix is read through strides, so
//! that forward pass, slopes and weight gradients are all this one product and nothing but weights is transposed.

use pulp::Simd;

/// Widths of right matrices and results are multiples of this: one AVX-512 vector, two of AVX2.
pub(crate) const LANES: usize = 16;

/// Rows of a tile: 6 x 4 vectors of results and one row of the right matrix fill 28 of AVX-512's 32 registers.
const TILE_ROWS: usize = 6;

/// A left matrix: number `(row, depth)` stands at `row x rows + depth x depths`.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    pub(crate) numbers: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) depths: usize,
}

impl<'a> Left<'a> {
    /// A matrix that is stored row by row, `width` numbers apart.
    pub(crate) fn by_rows(numbers: &'a [f32], width: usize) -> Self {
        Self {
            numbers,
            rows: width,
            depths: 1,
        }
    }

    /// The same numbers, read as the transposed matrix.
    pub(crate) fn transposed(numbers: &'a [f32], width: usize) -> Self {
        Self {
            numbers,
            rows: 1,
            depths: width,
        }
    }

    #[inline(always)]
    fn skip_rows(self, row: usize) -> Self {
        Self {
            numbers: &self.numbers[row * self.rows..],
            ..self
        }
    }
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

/// `result = start + left x right`: `rows x depth` times `depth x width`, `width` a multiple of [`LANES`].
#[inline(always)]
pub(crate) fn multiply<S: Simd>(
    simd: S,
    (rows, depth, width): (usize, usize, usize),
    left: Left<'_>,
    right: &[f32],
    start: Start<'_>,
    result: &mut [f32],
) {
    debug_assert!(
        width.is_multiple_of(LANES) && right.len() >= depth * width && result.len() >= rows * width
    );
    let vectors = width / S::F32_LANES;
    let (right, _) = S::as_simd_f32s(right);
    let (result, _) = S::as_mut_simd_f32s(result);
    let mut row = 0;
    while row + TILE_ROWS <= rows {
        let out = &mut result[row * vectors..];
        band::<S, TILE_ROWS>(simd, (depth, vectors), left.skip_rows(row), right, start, out);
        row += TILE_ROWS;
    }
    while row + 2 <= rows {
        let out = &mut result[row * vectors..];
        band::<S, 2>(simd, (depth, vectors), left.skip_rows(row), right, start, out);
        row += 2;
    }
    if row < rows {
        let out = &mut result[row * vectors..];
        band::<S, 1>(simd, (depth, vectors), left.skip_rows(row), right, start, out);
    }
}

/// Some rows of the result, from left to right.
#[inline(always)]
fn band<S: Simd, const ROWS: usize>(
    simd: S,
    (depth, vectors): (usize, usize),
    left: Left<'_>,
    right: &[S::f32s],
    start: Start<'_>,
    result: &mut [S::f32s],
) {
    let mut at = 0;
    if S::REGISTER_COUNT >= 32 {
        while at + 4 <= vectors {
            tile::<S, ROWS, 4>(simd, (depth, vectors, at), left, right, start, result);
            at += 4;
        }
    }
    while at + 2 <= vectors {
        tile::<S, ROWS, 2>(simd, (depth, vectors, at), left, right, start, result);
        at += 2;
    }
    if at < vectors {
        tile::<S, ROWS, 1>(simd, (depth, vectors, at), left, right, start, result);
    }
}

#[inline(always)]
fn tile<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    (depth, vectors, at): (usize, usize, usize),
    left: Left<'_>,
    right: &[S::f32s],
    start: Start<'_>,
    result: &mut [S::f32s],
) {
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
    match start {
        Start::Zero => {}
        Start::Row(row) => {
            let (row, _) = S::as_simd_f32s(row);
            for sums in &mut sums {
                sums.copy_from_slice(&row[at..][..VECTORS]);
            }
        }
        Start::Result => {
            for (row, sums) in sums.iter_mut().enumerate() {
                sums.copy_from_slice(&result[row * vectors + at..][..VECTORS]);
            }
        }
    }
    for k in 0..depth {
        let mut line = [simd.splat_f32s(0.0); VECTORS];
        line.copy_from_slice(&right[k * vectors + at..][..VECTORS]);
        for (row, sums) in sums.iter_mut().enumerate() {
            let number = simd.splat_f32s(left.numbers[row * left.rows + k * left.depths]);
            for (sum, line) in sums.iter_mut().zip(line) {
                *sum = simd.mul_add_e_f32s(number, line, *sum);
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        result[row * vectors + at..][..VECTORS].copy_from_slice(sums);
    }
}
