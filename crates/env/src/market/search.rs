//! The few numerical tools that the closed forms need.

/// Where a function with one peak in `[low, high]` is largest (golden section to machine precision, Kiefer 1953).
pub(crate) fn peak(low: f64, high: f64, value: impl Fn(f64) -> f64) -> f64 {
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (low, high);
    for _ in 0..200 {
        let (left, right) = (high - golden * (high - low), low + golden * (high - low));
        if value(left) < value(right) {
            low = left;
        } else {
            high = right;
        }
    }
    (low + high) / 2.0
}

/// As [`peak`] for functions with several peaks: the best of `cells` equal parts, searched with its neighbours.
pub(crate) fn highest_peak(low: f64, high: f64, cells: usize, value: impl Fn(f64) -> f64) -> f64 {
    let at = |cell: usize| low + (high - low) * cell as f64 / cells as f64;
    let best = best_index(cells + 1, |cell| value(at(cell)));
    peak(at(best.saturating_sub(1)), at((best + 1).min(cells)), value)
}

/// Where a rising function crosses 0 in `[low, high]` (bisection).
pub(crate) fn crossing(low: f64, high: f64, value: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (low, high);
    for _ in 0..200 {
        let middle = (low + high) / 2.0;
        if value(middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

/// The first index of the largest value.
pub(crate) fn best_index(count: usize, mut value: impl FnMut(usize) -> f64) -> usize {
    let (mut best, mut most) = (0, f64::NEG_INFINITY);
    for index in 0..count {
        let here = value(index);
        if here > most {
            (best, most) = (index, here);
        }
    }
    best
}

/// Probabilities of 0, 1, ... sales below `stock`, and of `stock` or more, for Poisson demand.
pub(crate) fn poisson_sales(mean: f64, stock: usize) -> Vec<f64> {
    let mut pmf = Vec::with_capacity(stock + 1);
    // In logs: exp(-mean) is 0 for large means.
    let (mut log, mut below) = (-mean, 0.0);
    for count in 0..stock {
        let p = log.exp();
        pmf.push(p);
        below += p;
        log += mean.max(f64::MIN_POSITIVE).ln() - ((count + 1) as f64).ln();
    }
    pmf.push((1.0 - below).max(0.0));
    pmf
}

/// Expected sales under a distribution of [`poisson_sales`].
pub(crate) fn mean_sales(pmf: &[f64]) -> f64 {
    pmf.iter().enumerate().map(|(count, p)| count as f64 * p).sum()
}
