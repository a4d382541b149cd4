use haggle_core::{Digest, Mask, Observation, Pmf, Policy, PolicyError};

/// Far enough below 0 that its exponential is exactly 0.
const NEVER: f32 = -1000.0;

/// One rung per item, whatever the observation: the baseline that is hard to beat.
#[derive(Clone, Debug)]
pub struct FixedPolicy {
    rungs: Vec<u8>,
    width: usize,
    floor: f64,
    digest: Digest,
}

impl FixedPolicy {
    /// A policy that shows `rungs[item]` of `width` rungs; `floor` in [0, 1] is the share of pure exploration.
    #[must_use]
    pub fn new(rungs: Vec<u8>, width: usize, floor: f64, digest: Digest) -> Self {
        Self {
            rungs,
            width,
            floor,
            digest,
        }
    }

    /// The rung of each item.
    #[must_use]
    pub fn rungs(&self) -> &[u8] {
        &self.rungs
    }

    /// 0 at the allowed rung nearest to the item's own (the lower of two), far below at every other.
    ///
    /// # Errors
    /// When the item is unknown.
    pub fn logits(&self, item: usize, allowed: Mask) -> Result<Vec<f32>, PolicyError> {
        let known = self.rungs.len();
        let wanted = usize::from(*self.rungs.get(item).ok_or(PolicyError::Item { item, known })?);
        let mut logits = vec![NEVER; self.width];
        let allowed = allowed.and(Mask::all(self.width));
        if let Some(rung) = allowed.iter().min_by_key(|rung| rung.abs_diff(wanted)) {
            logits[rung] = 0.0;
        }
        Ok(logits)
    }
}

impl Policy for FixedPolicy {
    fn digest(&self) -> Digest {
        self.digest
    }

    fn pmf(&self, observation: Observation<'_>, allowed: Mask) -> Result<Pmf, PolicyError> {
        Ok(Pmf::from_logits(
            &self.logits(observation.item, allowed)?,
            allowed,
            self.floor,
        )?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pmf(item: usize, allowed: Mask, floor: f64) -> Result<Vec<f64>, PolicyError> {
        let policy = FixedPolicy::new(vec![2, 0], 4, floor, Digest::of(b"fixed"));
        let observation = Observation { item, features: &[] };
        Ok(policy.pmf(observation, allowed)?.probabilities().to_vec())
    }

    #[test]
    fn the_floor_is_shared_by_the_allowed_rungs() {
        assert_eq!(pmf(0, Mask(0b1111), 0.0).expect("a pmf"), [0.0, 0.0, 1.0, 0.0]);
        assert_eq!(pmf(1, Mask(0b0011), 0.5).expect("a pmf"), [0.75, 0.25, 0.0, 0.0]);
    }

    #[test]
    fn a_forbidden_rung_gives_way_to_its_nearest_neighbour() {
        assert_eq!(pmf(0, Mask(0b1010), 0.0).expect("a pmf"), [0.0, 1.0, 0.0, 0.0]);
        assert_eq!(pmf(0, Mask(0b1001), 0.0).expect("a pmf"), [0.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn unknown_items_and_empty_masks_are_errors() {
        assert_eq!(pmf(2, Mask(1), 0.0), Err(PolicyError::Item { item: 2, known: 2 }));
        assert!(matches!(pmf(0, Mask::NONE, 0.0), Err(PolicyError::Pmf(_))));
    }
}
