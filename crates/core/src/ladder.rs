use crate::PriceMinor;
use serde::{Deserialize, Serialize};

/// The most rungs that a ladder may have: one bit each in a [`Mask`].
pub const LADDER_RUNGS_MAX: usize = 64;

/// The finite prices that an agent may choose, in minor units, never decreasing; the rung is the index.
///
/// Cheap items can have two multiples that round to one price; [`Ladder::distinct`] leaves the first of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<PriceMinor>", into = "Vec<PriceMinor>")]
pub struct Ladder {
    rungs: Vec<PriceMinor>,
}

/// Why a list of prices is no ladder.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum LadderError {
    /// Empty, or longer than [`LADDER_RUNGS_MAX`].
    #[error("a price ladder has 1 to {LADDER_RUNGS_MAX} rungs, this one has {0}")]
    Length(usize),
    /// A rung below the one before it.
    #[error("price ladder: rung {rung} ({price}) is below the rung before it")]
    Falling {
        /// The rung that falls.
        rung: usize,
        /// Its price.
        price: PriceMinor,
    },
    /// A rung of 0.
    #[error("price ladder: rung {0} is 0; prices are positive")]
    Zero(usize),
}

impl Ladder {
    /// A ladder of the given prices.
    ///
    /// # Errors
    /// When the list is empty, too long, falls somewhere or holds a price of 0.
    pub fn new(rungs: Vec<PriceMinor>) -> Result<Self, LadderError> {
        if rungs.is_empty() || rungs.len() > LADDER_RUNGS_MAX {
            return Err(LadderError::Length(rungs.len()));
        }
        if let Some(rung) = rungs.iter().position(|price| price.0 == 0) {
            return Err(LadderError::Zero(rung));
        }
        if let Some(rung) = (1..rungs.len()).find(|&rung| rungs[rung] < rungs[rung - 1]) {
            return Err(LadderError::Falling {
                rung,
                price: rungs[rung],
            });
        }
        Ok(Self { rungs })
    }

    /// Multiples of a base price, rounded to whole minor units.
    ///
    /// # Errors
    /// As [`Ladder::new`].
    pub fn of_multiples(base: PriceMinor, multiples: &[f64]) -> Result<Self, LadderError> {
        Self::new(
            multiples
                .iter()
                .map(|multiple| PriceMinor::rounded(base.as_f64() * multiple))
                .collect(),
        )
    }

    /// How many rungs there are.
    #[must_use]
    pub fn rungs(&self) -> usize {
        self.rungs.len()
    }

    /// The price at a rung.
    ///
    /// # Panics
    /// When the rung is not on the ladder.
    #[must_use]
    pub fn price(&self, rung: usize) -> PriceMinor {
        self.rungs[rung]
    }

    /// All prices, lowest first.
    #[must_use]
    pub fn prices(&self) -> &[PriceMinor] {
        &self.rungs
    }

    /// The rung whose price is nearest; the lower one of two equally near.
    #[must_use]
    pub fn nearest(&self, price: PriceMinor) -> usize {
        let distance = |rung: &usize| self.rungs[*rung].0.abs_diff(price.0);
        (0..self.rungs.len()).min_by_key(distance).unwrap_or(0)
    }

    /// The rungs whose price satisfies `keep`.
    pub fn mask_where(&self, keep: impl Fn(PriceMinor) -> bool) -> Mask {
        let mut mask = Mask::NONE;
        for (rung, price) in self.rungs.iter().enumerate() {
            if keep(*price) {
                mask = mask.with(rung);
            }
        }
        mask
    }

    /// The first rung of each distinct price.
    #[must_use]
    pub fn distinct(&self) -> Mask {
        let mut mask = Mask::NONE;
        for rung in 0..self.rungs.len() {
            if rung == 0 || self.rungs[rung] != self.rungs[rung - 1] {
                mask = mask.with(rung);
            }
        }
        mask
    }
}

impl TryFrom<Vec<PriceMinor>> for Ladder {
    type Error = LadderError;
    fn try_from(rungs: Vec<PriceMinor>) -> Result<Self, LadderError> {
        Self::new(rungs)
    }
}

impl From<Ladder> for Vec<PriceMinor> {
    fn from(ladder: Ladder) -> Self {
        ladder.rungs
    }
}

/// The rungs that are allowed, one bit each (bit r = rung r). Empty means: no action is legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mask(pub u64);

impl Mask {
    /// Nothing is allowed: an inactive agent, or an error.
    pub const NONE: Self = Self(0);

    /// The lowest `rungs` rungs.
    #[must_use]
    pub fn all(rungs: usize) -> Self {
        if rungs >= 64 {
            Self(u64::MAX)
        } else {
            Self((1 << rungs) - 1)
        }
    }

    /// This mask and one more rung.
    #[must_use]
    pub fn with(self, rung: usize) -> Self {
        Self(self.0 | 1 << rung)
    }

    /// What both allow.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether the rung is allowed.
    #[must_use]
    pub fn allows(self, rung: usize) -> bool {
        rung < 64 && self.0 >> rung & 1 == 1
    }

    /// How many rungs are allowed.
    #[must_use]
    pub fn count(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether nothing is allowed.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The allowed rungs, lowest first.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let rung = left.trailing_zeros() as usize; // 64 when nothing is left
            left &= left.wrapping_sub(1);
            (rung < 64).then_some(rung)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ladder(prices: &[u32]) -> Ladder {
        Ladder::new(prices.iter().copied().map(PriceMinor).collect()).expect("a ladder")
    }

    #[test]
    fn multiples_round_and_repeats_are_masked() {
        let cheap = Ladder::of_multiples(PriceMinor(10), &[0.9, 0.94, 1.0]).expect("a ladder");
        assert_eq!(cheap.prices(), &[PriceMinor(9), PriceMinor(9), PriceMinor(10)]);
        assert_eq!(cheap.distinct(), Mask(0b101));
    }

    #[test]
    fn nearest_prefers_the_lower_of_two() {
        let rungs = ladder(&[100, 110, 120]);
        assert_eq!(rungs.nearest(PriceMinor(105)), 0);
        assert_eq!(rungs.nearest(PriceMinor(106)), 1);
        assert_eq!(rungs.nearest(PriceMinor(9999)), 2);
    }

    #[test]
    fn bad_ladders_are_refused() {
        let of = |prices: &[u32]| Ladder::new(prices.iter().copied().map(PriceMinor).collect());
        assert_eq!(of(&[]), Err(LadderError::Length(0)));
        assert_eq!(
            of(&[5, 4]),
            Err(LadderError::Falling {
                rung: 1,
                price: PriceMinor(4)
            })
        );
        assert_eq!(of(&[0, 4]), Err(LadderError::Zero(0)));
        assert_eq!(of(&[1; 65]), Err(LadderError::Length(65)));
    }

    #[test]
    fn a_full_mask_of_64_rungs_does_not_overflow() {
        assert_eq!(Mask::all(64).count(), 64);
        assert_eq!(Mask::all(3).iter().collect::<Vec<_>>(), [0, 1, 2]);
    }
}
