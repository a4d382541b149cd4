use crate::StepEnd;

/// Where a copy stands. What `state` counts is the market's affair: stock, segment, last prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Steps until the episode ends.
    pub(crate) left: u32,
    pub(crate) state: u32,
    /// The last rung where it binds the next one.
    pub(crate) last: u8,
}

impl Place {
    #[inline]
    pub(crate) fn new(left: usize, state: usize, last: usize) -> Self {
        Self {
            left: left as u32,
            state: state as u32,
            last: last as u8,
        }
    }

    /// The next place of a market without end, whose episodes are cut off.
    #[inline]
    pub(crate) fn endless(self, state: u32) -> (Self, StepEnd) {
        let next = Self {
            left: self.left - 1,
            state,
            last: 0,
        };
        let end = if next.left == 0 {
            StepEnd::Truncated
        } else {
            StepEnd::Go
        };
        (next, end)
    }
}
