//! Order statistics of prices.

use haggle_core::PriceMinor;

/// The median of sorted prices: for an even count the mean of the middle two, rounded half up.
///
/// # Panics
/// When there are none.
pub(crate) fn median(sorted: &[PriceMinor]) -> PriceMinor {
    let upper = sorted[sorted.len() / 2].0;
    let lower = sorted[(sorted.len() - 1) / 2].0;
    PriceMinor((u64::from(lower) + u64::from(upper)).div_ceil(2) as u32) // no larger than `upper`
}

/// The nearest-rank percentile of sorted prices: the smallest with at least `percent` % of them at or below it.
///
/// # Panics
/// When there are none.
pub(crate) fn percentile(sorted: &[PriceMinor], percent: usize) -> PriceMinor {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted[rank.max(1) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prices(minor: &[u32]) -> Vec<PriceMinor> {
        minor.iter().copied().map(PriceMinor).collect()
    }

    #[test]
    fn medians_round_half_up() {
        assert_eq!(median(&prices(&[7])), PriceMinor(7));
        assert_eq!(median(&prices(&[1, 2])), PriceMinor(2));
        assert_eq!(median(&prices(&[1, 2, 9])), PriceMinor(2));
        assert_eq!(median(&prices(&[1, 2, 4, 9])), PriceMinor(3));
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let hundred: Vec<PriceMinor> = (1..=100).map(PriceMinor).collect();
        assert_eq!(percentile(&hundred, 1), PriceMinor(1));
        assert_eq!(percentile(&hundred, 99), PriceMinor(99));
        assert_eq!(percentile(&hundred[..30], 1), PriceMinor(1));
        assert_eq!(percentile(&hundred[..30], 99), PriceMinor(30));
    }
}
