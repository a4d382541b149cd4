/// A linear scale from numbers to places on a canvas.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    /// From `low` (drawn at `from`) to `high` (drawn at `to`).
    pub(crate) fn new((low, high): (f64, f64), (from, to): (f64, f64)) -> Self {
        Self { low, high, from, to }
    }

    /// Where a number is drawn.
    pub(crate) fn at(self, number: f64) -> f64 {
        self.from + (number - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    /// About `count` round numbers inside the scale, with what stands beside them.
    pub(crate) fn ticks(self, count: usize) -> Vec<(f64, String)> {
        let step = round_step((self.high - self.low) / count as f64);
        let (first, last) = (
            (self.low / step).ceil() as i64,
            (self.high / step + 1e-9).floor() as i64,
        );
        (first..=last)
            .map(|n| (n as f64 * step, label(n as f64 * step, step)))
            .collect()
    }
}

/// The least of 1, 2, 5, 10, 20, ... (and .5, .2, ...) that is at least `step`.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|factor| factor * power >= step * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

/// A number with as many decimals as its distance to the next tick asks for; thousands and millions by letter.
pub(crate) fn label(number: f64, step: f64) -> String {
    let (unit, letter) = match number.abs().max(step) {
        size if size >= 1e6 => (1e6, " M"),
        size if size >= 1e4 => (1e3, " k"),
        _ => (1.0, ""),
    };
    let decimals = (-(step / unit).log10().floor()).clamp(0.0, 6.0) as usize;
    let number = if number == 0.0 { 0.0 } else { number / unit }; // no "-0"
    format!("{number:.decimals$}{}", if number == 0.0 { "" } else { letter })
}

/// The least and the largest of some numbers, a little apart from each other where they are one; 0 to 1 where there are
/// none.
pub(crate) fn range(numbers: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = numbers
        .filter(|number| number.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), number| {
            (low.min(number), high.max(number))
        });
    if low > high {
        return (0.0, 1.0);
    }
    let least = 1e-6 * (1.0 + low.abs().max(high.abs()));
    if high - low < least {
        return (
            low - 0.5 * least.max(0.1 * low.abs()),
            high + 0.5 * least.max(0.1 * low.abs()),
        );
    }
    (low, high)
}

/// A range with some air at both ends.
pub(crate) fn airy((low, high): (f64, f64)) -> (f64, f64) {
    let air = 0.06 * (high - low);
    (low - air, high + air)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        let labels = |low: f64, high: f64| -> Vec<String> {
            let ticks = Scale::new((low, high), (0.0, 1.0)).ticks(5);
            ticks.into_iter().map(|(_, label)| label).collect()
        };
        assert_eq!(labels(0.0, 1.0), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(0.0, 3e6), ["0", "1 M", "2 M", "3 M"]);
        assert_eq!(labels(-30.0, 61.0), ["-20", "0", "20", "40", "60"]);
        assert_eq!(labels(0.991, 0.9995), ["0.992", "0.994", "0.996", "0.998"]);
    }

    #[test]
    fn a_range_has_a_length() {
        assert_eq!(range([3.0, f64::NAN, 1.0].into_iter()), (1.0, 3.0));
        assert_eq!(range(std::iter::empty()), (0.0, 1.0));
        let (low, high) = range([5.0, 5.0].into_iter());
        assert!(low < 5.0 && high > 5.0);
        assert_eq!(Scale::new((0.0, 10.0), (100.0, 0.0)).at(2.5), 75.0);
    }
}
