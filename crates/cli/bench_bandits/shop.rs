//! Made-up shops for bandits: demand that fits the models and demand that does not.

use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, LogNormal, Normal, StandardNormal};

type DrawContext = Box<dyn FnMut(&mut dyn Rng) -> Vec<f64>>;
/// Of a context, a rung and its price.
type Probability = Box<dyn Fn(&[f64], usize, f64) -> f64>;
/// Of the numbers that decide what the shop is like.
pub type DrawShop = fn(&mut ChaCha8Rng) -> Shop;

/// A kind of visits: how contexts come and what they buy.
pub struct Shop {
    pub prices: Vec<f64>,
    /// Numbers of a context.
    pub width: usize,
    pub context: DrawContext,
    pub probability: Probability,
}

/// All shops by their names, each with how it is drawn.
pub const SHOPS: [(&str, DrawShop); 22] = [
    ("logit", |rng| logit(rng, tens(), 5, 5, 0.0, 2.0)),
    ("logit-plain", |rng| logit(rng, tens(), 0, 0, -0.5, 2.5)),
    ("logit-20", |rng| logit(rng, even(5.0, 50.0, 12), 20, 4, 0.0, 2.0)),
    ("logit-50", |rng| logit(rng, even(5.0, 50.0, 8), 50, 50, 0.0, 2.0)),
    ("rare", |rng| logit(rng, even(20.0, 60.0, 9), 3, 3, -4.0, 1.5)),
    ("very-rare", |rng| {
        logit(rng, even(20.0, 60.0, 5), 2, 2, -6.0, 1.5)
    }),
    ("dear", |rng| {
        logit(rng, even(20_000.0, 90_000.0, 15), 4, 4, -1.0, 2.5)
    }),
    ("probit", probit),
    ("bumpy", bumpy),
    ("random-rungs", random_rungs),
    ("segments", |_| segments(false)),
    ("coded-segments", |_| segments(true)),
    ("curved", curved),
    ("bad-scales", |_| bad_scales()),
    ("two-prices", |rng| logit(rng, vec![9.9, 14.9], 3, 3, 0.0, 0.6)),
    ("sixty-prices", |rng| {
        logit(rng, even(1.0, 30.5, 60), 4, 4, 0.0, 3.0)
    }),
    ("types", |_| types()),
    ("steep", |rng| logit(rng, tens(), 3, 3, 0.0, 6.0)),
    ("flat", |rng| logit(rng, tens(), 3, 3, -1.0, 0.2)),
    ("geometric", |rng| {
        logit(rng, geometric(1.0, 100.0, 12), 3, 3, 0.0, 3.0)
    }),
    ("exponential", exponential),
    ("outliers", outliers),
];

fn sigma(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn even(low: f64, high: f64, count: usize) -> Vec<f64> {
    (0..count)
        .map(|n| low + (high - low) * n as f64 / (count - 1) as f64)
        .collect()
}

fn tens() -> Vec<f64> {
    even(1.0, 10.0, 10)
}

fn geometric(low: f64, high: f64, count: usize) -> Vec<f64> {
    even(low.ln(), high.ln(), count)
        .into_iter()
        .map(f64::exp)
        .collect()
}

fn gaussian(width: usize) -> DrawContext {
    Box::new(move |rng| (0..width).map(|_| StandardNormal.sample(rng)).collect())
}

fn weights(rng: &mut impl Rng, width: usize, deviation: f64) -> Vec<f64> {
    let normal = Normal::new(0.0, deviation).expect("a deviation");
    (0..width).map(|_| normal.sample(rng)).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Log odds linear in price and context: middle price at even odds plus `level`, falling by `fall` over the ladder's half.
fn logit(rng: &mut impl Rng, prices: Vec<f64>, width: usize, relevant: usize, level: f64, fall: f64) -> Shop {
    let n = (relevant.max(1) as f64).sqrt();
    let (a, b) = (
        weights(rng, relevant, 1.0 / n),
        weights(rng, relevant, 0.5 * fall / n),
    );
    let (low, high) = (prices[0], prices[prices.len() - 1]);
    Shop {
        prices,
        width,
        context: gaussian(width),
        probability: Box::new(move |x, _, price| {
            let z = 2.0 * (price - low) / (high - low) - 1.0;
            sigma(level + dot(&a, &x[..relevant]) - (fall + dot(&b, &x[..relevant])).max(0.1 * fall) * z)
        }),
    }
}

fn exponential(rng: &mut ChaCha8Rng) -> Shop {
    let a = weights(rng, 3, 0.3);
    Shop {
        prices: geometric(2.0, 200.0, 14),
        width: 3,
        context: gaussian(3),
        probability: Box::new(move |x, _, price| 0.8 * (-price / 30.0 * dot(&a, x).exp()).exp()),
    }
}

fn probit(rng: &mut ChaCha8Rng) -> Shop {
    // Willingness to pay is log-normal; prices rise by a factor.
    let a = weights(rng, 4, 0.4);
    Shop {
        prices: geometric(1.0, 100.0, 12),
        width: 4,
        context: gaussian(4),
        probability: Box::new(move |x, _, price| nearly_normal((2.5 + dot(&a, x) - price.ln()) / 0.6)),
    }
}

fn bumpy(rng: &mut ChaCha8Rng) -> Shop {
    let bumps = weights(rng, 10, 0.8);
    let a = weights(rng, 3, 0.6);
    Shop {
        prices: tens(),
        width: 3,
        context: gaussian(3),
        probability: Box::new(move |x, rung, price| sigma(1.0 - 0.35 * price + bumps[rung] + dot(&a, x))),
    }
}

fn random_rungs(rng: &mut ChaCha8Rng) -> Shop {
    let p: Vec<f64> = (0..8).map(|_| 0.5 * rng.random::<f64>()).collect();
    Shop {
        prices: even(4.0, 11.0, 8),
        width: 0,
        context: gaussian(0),
        probability: Box::new(move |_, rung, _| p[rung]),
    }
}

/// Four kinds of visitors, told apart by one number where that is a code, else by one of four.
fn segments(coded: bool) -> Shop {
    let (a, b) = ([4.0, 5.0, 4.5, 6.0], [0.10, 0.08, 0.06, 0.05]);
    Shop {
        prices: even(40.0, 110.0, 15),
        width: if coded { 1 } else { 4 },
        context: Box::new(move |rng| {
            let u: f64 = rng.random();
            let s = [0.4, 0.7, 0.9].iter().filter(|limit| u >= **limit).count();
            if coded {
                return vec![s as f64];
            }
            let mut one = vec![0.0; 4];
            one[s] = 1.0;
            one
        }),
        probability: Box::new(move |x, _, price| {
            let s = if coded {
                x[0] as usize
            } else {
                x.iter().position(|x| *x == 1.0).unwrap_or(0)
            };
            sigma(a[s] - b[s] * price)
        }),
    }
}

fn curved(rng: &mut ChaCha8Rng) -> Shop {
    let c = weights(rng, 3, 1.0);
    Shop {
        prices: even(2.0, 20.0, 10),
        width: 5,
        context: gaussian(5),
        probability: Box::new(move |x, _, price| {
            let want = 10.0 + 4.0 * (c[0] * x[0]).sin() + 2.0 * c[1] * x[1] * x[2] + c[2] * x[3].abs();
            sigma((want - price) / (1.5 + x[4].abs()))
        }),
    }
}

fn bad_scales() -> Shop {
    let income = LogNormal::new(10.0, 0.8).expect("a deviation");
    Shop {
        prices: even(50.0, 150.0, 11),
        width: 6,
        context: Box::new(move |rng| {
            let year: f64 = 2020.0 + (rng.random::<f64>() * 6.0).floor();
            let income: f64 = income.sample(rng);
            let rate: f64 = 1e-6 * rng.random::<f64>();
            vec![
                year,
                income,
                7.0,
                rate,
                f64::from(rng.random::<f64>() < 0.02),
                0.0,
            ]
        }),
        probability: Box::new(move |x, _, price| {
            let mood = 0.3 * (x[0] - 2022.5) + 0.8 * (x[1].ln() - 10.0) + 1e6 * x[3] + 2.0 * x[4];
            sigma(3.0 + mood - 0.04 * price)
        }),
    }
}

fn types() -> Shop {
    Shop {
        prices: even(25.0, 95.0, 15),
        width: 2,
        context: gaussian(2),
        probability: Box::new(|x, _, price| sigma(4.0 + 0.8 * x[1] - 0.08 * (0.3 * x[0]).exp() * price)),
    }
}

/// Heavy tails in the context.
fn outliers(rng: &mut ChaCha8Rng) -> Shop {
    let a = weights(rng, 4, 0.5);
    Shop {
        prices: even(1.0, 10.0, 10),
        width: 4,
        context: Box::new(|rng| {
            let tail = |rng: &mut dyn Rng| -> f64 {
                let z: f64 = StandardNormal.sample(rng);
                z / (1e-3 + rng.random::<f64>())
            };
            (0..4).map(|_| tail(rng)).collect()
        }),
        probability: Box::new(move |x, _, price| {
            let mood: f64 = a.iter().zip(x).map(|(a, x)| a * x.clamp(-3.0, 3.0)).sum();
            sigma(2.0 + mood - 0.4 * price)
        }),
    }
}

fn nearly_normal(x: f64) -> f64 {
    // Logistic approximation of the normal distribution; any smooth curve that is no logit in price will do.
    sigma(1.5976 * x + 0.07056 * x.powi(3))
}
