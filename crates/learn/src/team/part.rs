use crate::rows::Rows;

/// The rows of one member, gathered.
pub(super) struct Part {
    pub(super) rows: Vec<usize>,
    pub(super) agent: Vec<u16>,
    pub(super) seen: Vec<f32>,
    pub(super) kept: Vec<f32>,
}

impl Part {
    pub(super) fn of(all: &Rows<'_>, own: impl Fn(usize) -> bool) -> Self {
        let rows = 0..all.agent.len();
        let rows: Vec<usize> = rows.filter(|row| own(usize::from(all.agent[*row]))).collect();
        let gather = |numbers: &[f32], width: usize| {
            let of = |row: &usize| &numbers[row * width..][..width];
            rows.iter().flat_map(of).copied().collect()
        };
        Self {
            agent: rows.iter().map(|row| all.agent[*row]).collect(),
            seen: gather(all.seen, all.width),
            kept: gather(all.kept, all.kept_width),
            rows,
        }
    }

    pub(super) fn as_rows<'a>(&'a self, like: &Rows<'_>) -> Rows<'a> {
        Rows {
            agent: &self.agent,
            seen: &self.seen,
            kept: &self.kept,
            ..*like
        }
    }

    pub(super) fn scatter(&self, part: &[f32], width: usize, out: &mut [f32]) {
        for (row, numbers) in self.rows.iter().zip(part.chunks_exact(width.max(1))) {
            out[row * width..][..width].copy_from_slice(&numbers[..width]);
        }
    }
}
