/// Rows that are looked at together: what each one's agent sees and remembers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    pub(crate) agent: &'a [u16],
    /// `rows x width`: observation, then global state.
    pub(crate) seen: &'a [f32],
    pub(crate) width: usize,
    /// `rows x kept_width`: what the policy remembers, then what the critic does.
    pub(crate) kept: &'a [f32],
    pub(crate) kept_width: usize,
}

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
