use haggle_core::{Item, Mask, Observation, Pmf, Policy, PriceMinor};
use serde::{Deserialize, Serialize};

/// How prices come about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Each price is drawn from the policy's distribution.
    #[default]
    Live,
    /// Each price is the item's base price, or the allowed price nearest to it: no policy is asked.
    Frozen,
    /// Each price is the caller's own; what the policy would have said is logged beside it.
    Apprentice,
    /// As live; what a second policy would have said is logged beside it.
    Shadow,
}

/// Who set a price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The policy: drawn from its distribution.
    #[default]
    Policy,
    /// Nobody: the base price, or the allowed price nearest to it. Prices or the item are frozen, or the item has no bounds.
    Static,
    /// The fallback, which is the static price: the policy had no answer.
    PolicyError,
    /// The fallback, which is the static price: the deadline had passed.
    Deadline,
    /// The caller, in the mode `apprentice`.
    Caller,
    /// Nobody: the static price of a user who is held out.
    Holdout,
}

/// One price with everything that explains it.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The price.
    pub price: PriceMinor,
    /// Its rung on the item's ladder; the nearest one for a caller's own price.
    pub rung: u8,
    /// The rungs that the rules left.
    pub mask: Mask,
    /// The distribution that the rung was drawn from; for a caller's own price what the policy would have drawn from.
    pub pmf: Pmf,
    /// The probability with which the price was chosen, given the request: read off `pmf`, 1 for a caller's own price.
    pub propensity: f64,
    /// Whether another rung would have been more probable.
    pub explored: bool,
    /// Who set it.
    pub source: Source,
}

/// What a decision is made from, beside the policy.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The item.
    pub item: &'a Item,
    /// Rungs of the policy's distributions: the longest ladder of the bundle.
    pub width: usize,
    /// What the policy sees.
    pub observation: Observation<'a>,
    /// How prices come about.
    pub mode: Mode,
    /// Whether the user is held out: he gets the static price.
    pub held_out: bool,
    /// Whether there is no time left to ask the policy.
    pub hurry: bool,
    /// The caller's own price.
    pub own: Option<PriceMinor>,
    /// In [0, 1): picks the rung.
    pub uniform: f64,
}

/// A price for an item among the rungs that the rules left: policy to a distribution, `uniform` to a draw. A `frozen` item
/// keeps its base price. No clock, no files, no randomness of
/// its own: the same arguments give the same decision. There is always a price; where the policy has no answer it is the
/// allowed one nearest to the base price.
#[must_use]
pub fn decide(policy: &dyn Policy, mask: Mask, frozen: bool, question: &Question<'_>) -> Decision {
    let item = question.item;
    if let (Mode::Apprentice, Some(own)) = (question.mode, question.own) {
        return apprentice(policy, mask, question, own);
    }
    if question.mode == Mode::Frozen || frozen {
        return pinned(question, mask, Source::Static);
    }
    if question.held_out {
        return pinned(question, mask, Source::Holdout);
    }
    if question.hurry {
        return pinned(question, mask, Source::Deadline);
    }
    let Ok(pmf) = policy.pmf(question.observation, mask) else {
        return pinned(question, mask, Source::PolicyError);
    };
    let draw = pmf.draw(question.uniform);
    Decision {
        price: item.ladder.price(draw.rung),
        rung: draw.rung as u8, // ladders have at most 64 rungs
        mask,
        propensity: draw.propensity,
        explored: draw.propensity < pmf.probabilities()[pmf.mode()],
        pmf,
        source: Source::Policy,
    }
}

/// The allowed price nearest to the base price; the lower one of two.
fn pinned(question: &Question<'_>, mask: Mask, source: Source) -> Decision {
    let item = question.item;
    let distance = |rung: &usize| item.ladder.price(*rung).0.abs_diff(item.base_minor.0);
    let rung = mask.iter().min_by_key(distance).unwrap_or(0);
    Decision {
        price: item.ladder.price(rung),
        rung: rung as u8,
        mask,
        pmf: Pmf::certain(question.width, rung),
        propensity: 1.0,
        explored: false,
        source,
    }
}

fn apprentice(policy: &dyn Policy, mask: Mask, question: &Question<'_>, own: PriceMinor) -> Decision {
    let nearest = question.item.ladder.nearest(own);
    let pmf = policy.pmf(question.observation, mask);
    Decision {
        price: own,
        rung: nearest as u8,
        mask,
        pmf: pmf.unwrap_or_else(|_| Pmf::certain(question.width, nearest)),
        propensity: 1.0,
        explored: false,
        source: Source::Caller,
    }
}
