//! Prices that were shown, as far as rules and laws look back at them. Rebuilt from the journal; it reads no clock.

use haggle_core::{Period, PriceMinor};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// How far back the lowest price is looked for: 30 days (Directive 98/6/EC, Article 6a).
const LOOK_BACK_S: i64 = 30 * 86_400;
/// Segments and channels remembered per item; beyond it the one that was quiet longest is forgotten.
const NAMES_MAX: usize = 64;

/// The prices of one item.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Shown {
    last: Option<PriceMinor>,
    /// For each of [`Period::ALL`]: the number of the period that the last price was shown in, and the price before it.
    periods: [(i64, Option<PriceMinor>); 3],
    segments: Vec<(Box<str>, i64, PriceMinor)>,
    channels: Vec<(Box<str>, Falling)>,
}

/// Prices with their times, each lower than all after it: the first one inside a look-back is the lowest of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Falling(VecDeque<(i64, PriceMinor)>);

impl Shown {
    /// A price was shown at `now_s`, to a segment and on a channel where they are known.
    pub fn on_shown(&mut self, price: PriceMinor, now_s: i64, segment: Option<&str>, channel: Option<&str>) {
        for (period, (number, stood)) in Period::ALL.into_iter().zip(&mut self.periods) {
            let current = now_s.div_euclid(period.seconds());
            if current != *number {
                (*number, *stood) = (current, self.last);
            }
        }
        self.last = Some(price);
        let segment = segment.unwrap_or_default();
        self.segments.retain(|(name, _, _)| **name != *segment);
        self.segments.push((segment.into(), now_s, price));
        if self.segments.len() > NAMES_MAX {
            self.segments.remove(0);
        }
        let Some(channel) = channel else {
            return;
        };
        let at = self.channels.iter().position(|(name, _)| **name == *channel);
        let mut entry = at.map_or_else(
            || (channel.into(), Falling::default()),
            |at| self.channels.remove(at),
        );
        entry.1.push(now_s, price);
        self.channels.push(entry);
        if self.channels.len() > NAMES_MAX {
            self.channels.remove(0);
        }
    }

    /// The price that stood when the current period began, if one was shown before it.
    #[must_use]
    pub fn stood(&self, period: Period, now_s: i64) -> Option<PriceMinor> {
        let (number, stood) = self.periods[period as usize];
        if now_s.div_euclid(period.seconds()) == number {
            stood
        } else {
            self.last
        }
    }

    /// The lowest and highest of the last prices of all other segments, as far as they are not older than `memory_s`.
    #[must_use]
    pub fn others(
        &self,
        segment: Option<&str>,
        memory_s: u32,
        now_s: i64,
    ) -> Option<(PriceMinor, PriceMinor)> {
        let segment = segment.unwrap_or_default();
        let counts = |at: i64| at >= now_s - i64::from(memory_s);
        let others = self
            .segments
            .iter()
            .filter(|(name, at, _)| **name != *segment && counts(*at));
        others.fold(None, |range, (_, _, price)| {
            let (low, high) = range.unwrap_or((*price, *price));
            Some((low.min(*price), high.max(*price)))
        })
    }

    /// The lowest price shown on a channel in the 30 days up to `now_s`.
    #[must_use]
    pub fn lowest(&self, channel: &str, now_s: i64) -> Option<PriceMinor> {
        let (_, prices) = self.channels.iter().find(|(name, _)| **name == *channel)?;
        let inside = prices.0.iter().find(|(at, _)| *at >= now_s - LOOK_BACK_S);
        inside.map(|(_, price)| *price)
    }
}

impl Falling {
    fn push(&mut self, at: i64, price: PriceMinor) {
        // A clock that was set back does not bring the past out of order.
        let at = self.0.back().map_or(at, |(last, _)| at.max(*last));
        while self.0.back().is_some_and(|(_, last)| *last >= price) {
            self.0.pop_back();
        }
        self.0.push_back((at, price));
        while self.0.front().is_some_and(|(first, _)| *first < at - LOOK_BACK_S) {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    #[test]
    fn the_lowest_price_is_that_of_thirty_days_on_its_channel() {
        let mut shown = Shown::default();
        let prices = [100, 90, 120, 95, 95, 130, 110, 99, 140, 98];
        let mut all: Vec<(i64, u32)> = Vec::new();
        for n in 0..200i64 {
            let (at, price) = (n * DAY / 2, prices[(n * n % 10) as usize] + n as u32 % 7);
            shown.on_shown(PriceMinor(price), at, None, Some("web"));
            shown.on_shown(PriceMinor(1), at, None, Some("shop"));
            all.push((at, price));
            for now in [at, at + 10 * DAY, at + 40 * DAY] {
                let inside = all.iter().filter(|(at, _)| *at >= now - 30 * DAY);
                let lowest = inside.map(|(_, price)| PriceMinor(*price)).min();
                assert_eq!(shown.lowest("web", now), lowest, "{n} {now}");
            }
        }
        assert_eq!(shown.lowest("app", 0), None);
    }

    #[test]
    fn what_stood_is_the_last_price_before_the_period() {
        let mut shown = Shown::default();
        assert_eq!(shown.stood(Period::Day, 0), None);
        for (at, price) in [(10, 100), (20, 101), (DAY + 1, 102), (DAY + 2, 103)] {
            shown.on_shown(PriceMinor(price), at, None, None);
        }
        assert_eq!(shown.stood(Period::Day, DAY + 3), Some(PriceMinor(101)));
        assert_eq!(shown.stood(Period::Day, 2 * DAY), Some(PriceMinor(103)));
        assert_eq!(
            shown.stood(Period::Week, DAY + 3),
            None,
            "all of it lies in the first week"
        );
    }

    #[test]
    fn a_segment_is_compared_with_the_others_last_prices() {
        let mut shown = Shown::default();
        for (at, price, segment) in [(0, 100, "a"), (5, 110, "b"), (9, 90, "a")] {
            shown.on_shown(PriceMinor(price), at, Some(segment), None);
        }
        let others = |segment, memory_s| shown.others(segment, memory_s, 10);
        let both = |low, high| Some((PriceMinor(low), PriceMinor(high)));
        assert_eq!(
            (others(Some("a"), 60), others(Some("b"), 60)),
            (both(110, 110), both(90, 90))
        );
        assert_eq!((others(None, 60), others(Some("a"), 4)), (both(90, 110), None));
    }
}
