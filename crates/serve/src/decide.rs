use haggle_core::{
    Bounds, GuardrailError, Guardrails, Item, Mask, Observation, Pmf, Policy, PolicyError, PriceMinor, Rule,
    allowed_rungs,
};
use serde::{Deserialize, Serialize};

/// Whether prices are drawn or pinned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Each price is drawn from the policy's distribution.
    #[default]
    Live,
    /// Each price is the most probable one, with propensity 1: nothing is explored.
    Frozen,
}

/// One price with everything that explains it.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The price.
    pub price: PriceMinor,
    /// Its rung on the item's ladder.
    pub rung: u8,
    /// The rungs that the rules left.
    pub mask: Mask,
    /// The distribution that the rung was drawn from.
    pub pmf: Pmf,
    /// The probability of the drawn rung, read off `pmf`.
    pub propensity: f64,
    /// Whether another rung would have been more probable.
    pub explored: bool,
    /// The rules that took rungs away.
    pub rules: Vec<Rule>,
}

/// Why there is no price.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// The rules leave nothing.
    #[error(transparent)]
    Guardrail(#[from] GuardrailError),
    /// The policy has no answer.
    #[error("the policy has no answer for item {item}: {source}")]
    Policy {
        /// The item.
        item: String,
        /// Why.
        source: PolicyError,
    },
}

/// A price for an item: rules to a mask, policy to a distribution, `uniform` in [0, 1) to a draw. No clock, no files,
/// no randomness of its own: the same arguments give the same decision.
///
/// # Errors
/// When no rung is allowed or the policy has no answer.
pub fn decide(
    policy: &dyn Policy,
    rules: &Guardrails,
    item: &Item,
    observation: Observation<'_>,
    bounds: &Bounds,
    mode: Mode,
    uniform: f64,
) -> Result<Decision, DecideError> {
    let (mask, rules) = allowed_rungs(item, rules, bounds)?;
    let named = |source| DecideError::Policy {
        item: item.id.clone(),
        source,
    };
    let drawn_from = policy.pmf(observation, mask).map_err(named)?;
    let best = drawn_from.mode();
    let pmf = match mode {
        Mode::Live => drawn_from,
        Mode::Frozen => Pmf::certain(drawn_from.probabilities().len(), best),
    };
    let draw = pmf.draw(uniform);
    Ok(Decision {
        price: item.ladder.price(draw.rung),
        rung: draw.rung as u8, // ladders have at most 64 rungs
        mask,
        propensity: draw.propensity,
        explored: draw.rung != best,
        pmf,
        rules,
    })
}
