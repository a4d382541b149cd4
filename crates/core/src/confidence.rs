//! Whether one arm of a trial earns more per decision than the other, looked at as often as one likes.

use serde::{Deserialize, Serialize};

/// Users that each arm must have before anything is said: the bounds are asymptotic.
pub const ARM_USERS_MIN: u64 = 200;
/// The bounds are tightest after about so many users of both arms.
const TIGHTEST_USERS: f64 = 20_000.0;

/// What one arm has earned, summed over its users: enough for its mean per decision and the variance of that mean. Users are
/// independent of each other, the decisions of one user are not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// Users with a decision.
    pub users: u64,
    /// Decisions.
    pub decisions: u64,
    /// What they earned.
    pub value: f64,
    /// Over users: value times value, value times decisions, decisions times decisions.
    squares: [f64; 3],
}

/// What a user has brought to an arm so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UserTotal {
    decisions: u32,
    value: f64,
}

/// How much more one arm earns per decision than the other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The difference of the means.
    pub mean: f64,
    /// At no time above the true difference, but in a share `alpha / 2` of all trials.
    pub low: f64,
    /// At no time below it, but in as many.
    pub high: f64,
}

impl Arm {
    /// Takes in what one more decision of a user earned.
    pub fn add(&mut self, user: &mut UserTotal, value: f64) {
        let squares = |of: &UserTotal| {
            let decisions = f64::from(of.decisions);
            [of.value * of.value, of.value * decisions, decisions * decisions]
        };
        let before = squares(user);
        self.users += u64::from(user.decisions == 0);
        self.decisions += 1;
        self.value += value;
        user.decisions += 1;
        user.value += value;
        for ((sum, after), before) in self.squares.iter_mut().zip(squares(user)).zip(before) {
            *sum += after - before;
        }
    }

    /// What a decision earned on average; nothing before the first one.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.decisions > 0).then(|| self.value / self.decisions as f64)
    }

    /// Sum over users of `(value - mean decisions)^2`.
    fn spread(&self, mean: f64) -> f64 {
        let [values, products, decisions] = self.squares;
        (values - 2.0 * mean * products + mean * mean * decisions).max(0.0)
    }
}

impl Difference {
    /// The asymptotic confidence sequence of Robbins' normal mixture (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024,
    /// theorem 2.2) for a difference of two ratios of sums over users, by the delta method. Nothing before both arms have
    /// [`ARM_USERS_MIN`] users.
    ///
    /// An arm's variance is the larger one of its own and of both arms together: few users who happened to buy nothing are
    /// no proof that nobody ever buys.
    #[must_use]
    pub fn between(new: &Arm, old: &Arm, alpha: f64) -> Option<Self> {
        if new.users.min(old.users) < ARM_USERS_MIN {
            return None;
        }
        let (new_mean, old_mean) = (new.mean()?, old.mean()?);
        let spreads = [new.spread(new_mean), old.spread(old_mean)];
        let users = (new.users + old.users) as f64;
        let of_both = (spreads[0] + spreads[1]) / users;
        let variance = |arm: &Arm, spread: f64| {
            let each = (spread / arm.users as f64).max(of_both);
            each * arm.users as f64 / (arm.decisions as f64).powi(2)
        };
        let variance = variance(new, spreads[0]) + variance(old, spreads[1]);
        let log = -2.0 * alpha.ln();
        let mixed = users * (log + (log + 1.0).ln()) / TIGHTEST_USERS;
        let half = (variance * (1.0 + 1.0 / mixed) * (log + (mixed + 1.0).ln())).sqrt();
        let mean = new_mean - old_mean;
        Some(Self {
            mean,
            low: mean - half,
            high: mean + half,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seeds;
    use rand::RngExt;

    const ALPHA: f64 = 0.01;

    /// One trial, looked at after every decision: whether the new arm was ever found to be worse. Users come with one to five
    /// visits and their own taste; few visits buy, at one of two prices.
    fn found_worse(seed: u64, share: f64, effect: f64, users: usize) -> bool {
        let mut rng = Seeds::new(seed).named("trial").rng();
        let (mut new, mut old) = (Arm::default(), Arm::default());
        for _ in 0..users {
            let is_new = rng.random::<f64>() < share;
            let taste = 0.02 + 0.16 * rng.random::<f64>().powi(2);
            let chance = if is_new { taste * effect } else { taste };
            let arm = if is_new { &mut new } else { &mut old };
            let mut user = UserTotal::default();
            for _ in 0..1 + (5.0 * rng.random::<f64>().powi(3)) as usize {
                let price = if rng.random::<f64>() < 0.9 { 200.0 } else { 1_500.0 };
                let bought = rng.random::<f64>() < chance;
                arm.add(&mut user, if bought { price } else { 0.0 });
            }
            if Difference::between(&new, &old, ALPHA).is_some_and(|difference| difference.high < 0.0) {
                return true;
            }
        }
        false
    }

    #[test]
    fn sums_of_an_arm_are_those_of_its_users() {
        let (mut arm, mut users) = (Arm::default(), [UserTotal::default(); 2]);
        for (user, value) in [(0, 5.0), (1, 0.0), (0, -1.0)] {
            arm.add(&mut users[user], value);
        }
        assert_eq!((arm.users, arm.decisions, arm.value), (2, 3, 4.0));
        assert_eq!(arm.squares, [16.0, 8.0, 5.0]);
        // (4 - 2 x 4/3)^2 + (0 - 4/3)^2
        assert!((arm.spread(4.0 / 3.0) - 32.0 / 9.0).abs() < 1e-12);
    }

    #[test]
    fn arms_that_earn_the_same_are_hardly_ever_told_apart_however_often_one_looks() {
        for share in [0.05, 0.5] {
            let wrong = (0..1_000)
                .filter(|seed| found_worse(*seed, share, 1.0, 12_000))
                .count();
            assert!(wrong < 10, "{wrong} of 1,000 at a share of {share}");
        }
    }

    #[test]
    fn an_arm_that_earns_much_less_is_found() {
        let found = (0..50)
            .filter(|seed| found_worse(*seed, 0.25, 0.5, 12_000))
            .count();
        assert!(found >= 48, "{found} of 50");
    }
}
