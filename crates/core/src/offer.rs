use crate::{Digest, Mask, Pmf, PriceMinor};
use serde::{Deserialize, Serialize};

/// The name of one decision; chosen by the daemon (or the client), at most 64 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DecisionId(pub String);

/// One item shown at one price to one session, and what came of it. History, simulated and live logs are all this record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    /// The session that saw it.
    pub session: String,
    /// The user behind the session, where known.
    pub user: Option<String>,
    /// Category of the item.
    pub category: String,
    /// The item.
    pub item: String,
    /// When: seconds since 1970, shop's local time.
    pub time_s: i64,
    /// The price shown.
    pub price_minor: PriceMinor,
    /// The price that the shop would have posted without haggle; in imported history its usual price of the week.
    pub posted_minor: PriceMinor,
    /// Units bought; 0 is an outcome too.
    pub units: u32,
    /// What the purchase brought, in minor units: revenue or margin, as rewards said; negative after returns.
    pub value_minor: i64,
    /// Whether stock ran out, so that demand was at least `units`.
    pub censored: bool,
    /// How the price was drawn; `None` for imported history, whose propensities nobody wrote down.
    pub logged: Option<Logged>,
}

impl Offer {
    /// Whether it belongs to the half of the users (by a digest of the name; sessions where the user is unknown) whose
    /// offers judge what was learnt from the other half. A candidate that is judged on what it was tuned on looks good
    /// for nothing.
    #[must_use]
    pub fn judges(&self) -> bool {
        let name = self.user.as_ref().unwrap_or(&self.session);
        Digest::of_parts(&[b"judges", name.as_bytes()]).as_bytes()[0] & 1 == 1
    }

    /// Whether its user was held out: he got the static price, so it says nothing of what other prices would have earned.
    #[must_use]
    pub fn held_out(&self) -> bool {
        let held_out = |logged: &Logged| logged.policy == Logged::held_out();
        self.logged.as_ref().is_some_and(held_out)
    }
}

/// How a price was drawn: what off-policy evaluation needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Logged {
    /// The decision.
    pub decision: DecisionId,
    /// The policy that was asked.
    pub policy: Digest,
    /// The rungs that the guardrails allowed.
    pub mask: Mask,
    /// The whole distribution over rungs, after masks and floor.
    pub pmf: Pmf,
    /// The drawn rung; its propensity is `pmf[rung]`.
    pub rung: u8,
    /// The observation that the policy saw.
    pub features: Vec<f32>,
}

impl Logged {
    /// What a log names as the policy of a price that no policy drew, because the user was held out.
    #[must_use]
    pub fn held_out() -> Digest {
        Digest::of(b"haggle: the static price of those who are held out")
    }

    /// The probability with which the shown price was drawn.
    #[must_use]
    pub fn propensity(&self) -> f64 {
        self.pmf
            .probabilities()
            .get(usize::from(self.rung))
            .copied()
            .unwrap_or(0.0)
    }
}

/// What a decision earned: possibly late, possibly one of several parts; `(decision, reward_id)` counts once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reward {
    /// The decision that earned it.
    pub decision: DecisionId,
    /// The client's name for this part.
    pub reward_id: String,
    /// Minor units of money.
    pub value_minor: i64,
    /// Units bought.
    pub units: u32,
    /// When it was received: seconds since 1970.
    pub time_s: i64,
}
