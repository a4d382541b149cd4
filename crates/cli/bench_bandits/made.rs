//! Made-up streams of visits, and what they are worth to those who know them.

use super::shop::DrawShop;
use crate::stream::Stream;
use haggle_core::Seeds;
use rand::RngExt;

/// A stream of a named shop.
pub fn make((name, draw): (&str, DrawShop), rounds: usize, seed: u64) -> Stream {
    let seeds = Seeds::new(seed).named(name);
    let mut shop = draw(&mut seeds.named("truth").rng());
    let mut rng = seeds.named("visits").rng();
    let mut stream = Stream {
        prices: shop.prices.clone(),
        width: shop.width,
        contexts: Vec::new(),
        uniforms: Vec::new(),
        probabilities: Vec::new(),
    };
    for _ in 0..rounds {
        let x = (shop.context)(&mut rng);
        for (rung, price) in stream.prices.iter().enumerate() {
            stream
                .probabilities
                .push((shop.probability)(&x, rung, *price).clamp(0.0, 1.0));
        }
        stream.contexts.extend(x);
        stream.uniforms.push(rng.random());
    }
    stream
}

/// What a stream is worth per visit to those who know it.
pub struct Known {
    /// To a seller who knows every probability.
    pub clairvoyant: f64,
    /// At the best single price.
    pub best_fixed: f64,
    /// With prices drawn uniformly.
    pub uniform: f64,
}

/// What is earned knowingly on a stream.
pub fn known(stream: &Stream) -> Known {
    let (rungs, visits) = (stream.prices.len(), stream.visits() as f64);
    let mut fixed = vec![0.0; rungs];
    let mut clairvoyant = 0.0;
    for visit in 0..stream.visits() {
        let rewards = || {
            stream
                .probabilities(visit)
                .iter()
                .zip(&stream.prices)
                .map(|(p, price)| p * price)
        };
        clairvoyant += rewards().fold(0.0, f64::max) / visits;
        for (fixed, reward) in fixed.iter_mut().zip(rewards()) {
            *fixed += reward / visits;
        }
    }
    Known {
        clairvoyant,
        best_fixed: fixed.iter().copied().fold(0.0, f64::max),
        uniform: fixed.iter().sum::<f64>() / rungs as f64,
    }
}
