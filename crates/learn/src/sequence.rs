/// Where there is nothing to learn from: the end of a chunk that is shorter than the others.
pub(crate) const PAD: u32 = u32::MAX;

/// Rows of a [`crate::table::Table`] in the order in which agents lived through them, cut into chunks of equal length:
/// gradients flow back to the beginning of a chunk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sequences {
    /// Steps of a chunk.
    pub(crate) length: usize,
    /// `chunks x length`: rows of the table, then [`PAD`].
    pub(crate) rows: Vec<u32>,
    /// `chunks x length`: whether an episode begins here, so that nothing is remembered.
    pub(crate) begins: Vec<bool>,
    /// `chunks x kept_width`: what was remembered when the chunk began.
    pub(crate) start: Vec<f32>,
}

impl Sequences {
    pub(crate) fn new(length: usize) -> Self {
        Self {
            length,
            ..Self::default()
        }
    }

    pub(crate) fn chunks(&self) -> usize {
        self.rows.len() / self.length.max(1)
    }

    /// Appends what one agent went through: rows, whether an episode begins at each, and what was remembered at each
    /// (`kept_width` numbers a row).
    pub(crate) fn push(&mut self, rows: &[u32], begins: &[bool], kept: &[f32], kept_width: usize) {
        for (n, chunk) in rows.chunks(self.length).enumerate() {
            let from = n * self.length;
            self.rows.extend_from_slice(chunk);
            self.begins.extend_from_slice(&begins[from..from + chunk.len()]);
            self.start
                .extend_from_slice(&kept[from * kept_width..][..kept_width]);
            self.rows.resize(self.rows.len() + self.length - chunk.len(), PAD);
            self.begins.resize(self.rows.len(), false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_of_five_steps_is_three_chunks_of_two() {
        let mut sequences = Sequences::new(2);
        let kept = [0.0, 0.1, 0.0, 0.3, 0.4];
        sequences.push(&[7, 3, 9, 1, 4], &[true, false, true, false, false], &kept, 1);
        assert_eq!(sequences.chunks(), 3);
        assert_eq!(sequences.rows, [7, 3, 9, 1, 4, PAD]);
        assert_eq!(sequences.begins, [true, false, true, false, false, false]);
        assert_eq!(sequences.start, [0.0, 0.0, 0.4]);
    }
}
