use super::curve::Curve;
use nalgebra::DVector;
use serde::{Deserialize, Serialize};

/// A standardised context number further out than this is moved here: one outlier shall not tilt the model.
const OUTLIER: f64 = 4.0;
/// Deviations between the 10 % and the 90 % quantile of a normal distribution.
const NORMAL_80: f64 = 2.563;
/// Contexts with more numbers enter without squares and products.
const PRODUCTS_CONTEXTS_MAX: usize = 6;

/// How a context and a rung become features. One layer is `[1, x, z, z x, curve]`: `x` the standardised context, `z` the
/// price placed on [-1, 1], `curve` a [`Curve`] over the ladder's order. The first layer is common, the further ones belong
/// to a segment each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Design {
    layers: usize,
    shift: Vec<f64>,
    /// 1 / deviation; 0 before anything was seen: contexts then do not count.
    scale: Vec<f64>,
    z: Vec<f64>,
    /// Per rung a row of `knots` numbers.
    curve: Vec<f64>,
    knots: usize,
    /// Squares and products of the context; they move the level of demand, not its slope.
    products: usize,
}

/// What kind of coefficient stands at a place of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Term {
    Level,
    Context,
    Product,
    Price,
    PriceContext,
    Curve,
}

impl Design {
    pub(super) fn new(
        prices: &[f64],
        contexts: usize,
        (shape, knots): (Curve, usize),
        layers: usize,
    ) -> Self {
        let (curve, knots) = shape.over(prices, knots);
        Self {
            layers,
            shift: vec![0.0; contexts],
            scale: vec![0.0; contexts],
            z: positions(prices),
            curve,
            knots,
            products: if contexts <= PRODUCTS_CONTEXTS_MAX {
                contexts * (contexts + 1) / 2
            } else {
                0
            },
        }
    }

    /// Takes what is usual of each context number from rows that were seen: the median, and the spread of the middle 80 %.
    pub(super) fn standardise(&mut self, rows: &[f64]) {
        let width = self.shift.len();
        let mut column = Vec::with_capacity(rows.len() / width.max(1));
        for at in 0..width {
            column.clear();
            column.extend(rows.iter().skip(at).step_by(width));
            column.sort_unstable_by(f64::total_cmp);
            (self.shift[at], self.scale[at]) = usual(&column);
        }
    }

    /// The context in deviations from what is usual.
    pub(super) fn standard(&self, context: &[f64], out: &mut Vec<f64>) {
        out.clear();
        let both = self.shift.iter().zip(&self.scale);
        out.extend(
            context
                .iter()
                .zip(both)
                .map(|(x, (shift, scale))| ((x - shift) * scale).clamp(-OUTLIER, OUTLIER)),
        );
        if self.products > 0 {
            for at in 0..context.len() {
                for other in 0..=at {
                    let product = out[at] * out[other] - f64::from(u8::from(at == other));
                    out.push(product.clamp(-OUTLIER, OUTLIER));
                }
            }
        }
    }

    /// Whether the two differ in what is usual of contexts only.
    pub(super) fn fits(&self, other: &Self) -> bool {
        let usual = [&self.shift, &self.scale];
        let lengths = usual.iter().all(|numbers| numbers.len() == other.shift.len());
        let finite = usual
            .iter()
            .all(|numbers| numbers.iter().all(|number| number.is_finite()));
        let same = Self {
            shift: self.shift.clone(),
            scale: self.scale.clone(),
            ..other.clone()
        };
        lengths && finite && *self == same
    }

    pub(super) fn usual(&self) -> &[f64] {
        &self.shift
    }

    pub(super) fn contexts(&self) -> usize {
        self.shift.len()
    }

    /// How many segments it tells apart.
    pub(super) fn segments(&self) -> usize {
        (self.layers - 1).max(1)
    }

    pub(super) fn rungs(&self) -> usize {
        self.z.len()
    }

    fn layer(&self) -> usize {
        2 * (self.shift.len() + 1) + self.products + self.knots
    }

    pub(super) fn coefficients(&self) -> usize {
        self.layers * self.layer()
    }

    /// The kind of each coefficient, and whether it belongs to a segment.
    pub(super) fn terms(&self) -> impl Iterator<Item = (Term, bool)> {
        let (contexts, products, layer) = (self.shift.len(), self.products, self.layer());
        (0..self.coefficients()).map(move |at| {
            let term = match at % layer {
                0 => Term::Level,
                at if at <= contexts => Term::Context,
                at if at <= contexts + products => Term::Product,
                at if at == contexts + products + 1 => Term::Price,
                at if at <= 2 * contexts + products + 1 => Term::PriceContext,
                _ => Term::Curve,
            };
            (term, at >= layer)
        })
    }

    /// The features of a standardised context at a rung.
    pub(super) fn features(&self, segment: usize, x: &[f64], rung: usize, out: &mut DVector<f64>) {
        out.fill(0.0);
        let (contexts, layer, z) = (self.shift.len(), self.layer(), self.z[rung]);
        for start in self.starts(segment) {
            let part = &mut out.as_mut_slice()[start..start + layer];
            let (level, rest) = part.split_at_mut(x.len() + 1);
            let (slope, curve) = rest.split_at_mut(contexts + 1);
            level[0] = 1.0;
            level[1..].copy_from_slice(x);
            slope[0] = z;
            for (slope, x) in slope[1..].iter_mut().zip(x) {
                *slope = z * x;
            }
            curve.copy_from_slice(&self.curve[rung * self.knots..][..self.knots]);
        }
    }

    /// `coefficients . features` at every rung.
    pub(super) fn along(&self, segment: usize, x: &[f64], coefficients: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        let contexts = self.shift.len();
        for start in self.starts(segment) {
            let part = &coefficients[start..start + self.layer()];
            let (level, rest) = part.split_at(x.len() + 1);
            let (slope, curve) = rest.split_at(contexts + 1);
            let level = level[0] + dot(&level[1..], x);
            let slope = slope[0] + dot(&slope[1..], x);
            for (out, z) in out.iter_mut().zip(&self.z) {
                *out += level + slope * z;
            }
            if self.knots > 0 {
                for (out, row) in out.iter_mut().zip(self.curve.chunks_exact(self.knots)) {
                    *out += dot(row, curve);
                }
            }
        }
    }

    /// Where the layers begin that a segment uses.
    fn starts(&self, segment: usize) -> impl Iterator<Item = usize> + use<> {
        let own = (self.layers > 1).then(|| (segment + 1) * self.layer());
        std::iter::once(0).chain(own)
    }
}

/// Prices on [-1, 1]. A ladder that rises by factors rather than by steps is placed half by price, half by its logarithm.
fn positions(prices: &[f64]) -> Vec<f64> {
    let mut sorted = prices.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.dedup();
    let logs: Vec<f64> = sorted.iter().map(|price| price.ln()).collect();
    let by_price: Vec<f64> = prices.iter().map(|price| place(&sorted, *price)).collect();
    if sorted[0] <= 0.0 || unevenness(&logs) >= unevenness(&sorted) {
        return by_price;
    }
    let both = by_price.iter().zip(prices);
    both.map(|(z, price)| 0.5 * (z + place(&logs, price.ln())))
        .collect()
}

/// Where a number lies between the first (-1) and the last (1) of a rising list.
fn place(rising: &[f64], value: f64) -> f64 {
    let (low, high) = (rising[0], rising[rising.len() - 1]);
    if high > low {
        2.0 * (value - low) / (high - low) - 1.0
    } else {
        0.0
    }
}

/// The widest gap in units of the narrowest; 1 where there are less than two gaps.
fn unevenness(rising: &[f64]) -> f64 {
    let gaps = || rising.windows(2).map(|pair| pair[1] - pair[0]);
    if rising.len() < 3 {
        return 1.0;
    }
    gaps().fold(0.0, f64::max) / gaps().fold(f64::INFINITY, f64::min)
}

/// The median of sorted numbers and 1 / their deviation, judged by the middle 80 %, so that neither heavy tails nor one huge
/// number hide what varies; a number that rarely varies is judged by all of them, a constant by its size.
fn usual(sorted: &[f64]) -> (f64, f64) {
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share).round() as usize];
    let median = at(0.5);
    let middle = (at(0.9) / NORMAL_80 - at(0.1) / NORMAL_80).max(0.0);
    let roots = (sorted.len() as f64).sqrt();
    let all = sorted
        .iter()
        .map(|x| ((x - median) / roots).powi(2))
        .sum::<f64>()
        .sqrt();
    let negligible = 1e-9 * median.abs();
    let deviation = [middle, all]
        .into_iter()
        .find(|deviation| deviation.is_finite() && *deviation > negligible)
        .unwrap_or(median.abs().max(1.0));
    (median, 1.0 / deviation)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
