use std::ops::{Deref, DerefMut};

/// Bytes of a cache line: a vector that crosses from one into the next costs two loads.
const LINE_BYTES: usize = 64;
const LINE: usize = LINE_BYTES / size_of::<f32>();

/// Numbers that begin at a cache line.
#[derive(Debug)]
pub(crate) struct Aligned {
    numbers: Vec<f32>,
    from: usize,
    len: usize,
}

impl Aligned {
    pub(crate) fn zeros(len: usize) -> Self {
        let numbers = vec![0.0; len + LINE];
        let from = numbers.as_ptr().align_offset(LINE_BYTES).min(LINE);
        Self { numbers, from, len }
    }
}

impl Clone for Aligned {
    fn clone(&self) -> Self {
        let mut copy = Self::zeros(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl Deref for Aligned {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.numbers[self.from..][..self.len]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.numbers[self.from..][..self.len]
    }
}
