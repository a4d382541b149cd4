use super::oracle::OracleError;
use super::place::Place;

/// How far a policy's probabilities may miss a sum of 1: what single precision loses over a ladder.
const SUM_TOLERANCE: f64 = 1e-4;

/// A policy under exact evaluation: `(observations rows x obs_width, masks rows, probabilities rows x rungs)`, rows being
/// places x agents as in a step.
pub type Probabilities<'a> = dyn FnMut(&[f32], &[u64], &mut [f32]) + 'a;

/// Asks a policy for its probabilities at some places.
pub(crate) struct Ask<'a> {
    pub(crate) agents: usize,
    pub(crate) obs_width: usize,
    pub(crate) rungs: usize,
    pub(crate) policy: &'a mut Probabilities<'a>,
}

/// What it answered: `places x agents` rows over the rungs, each with sum 1.
pub(crate) struct Answer {
    pmf: Vec<f64>,
    rungs: usize,
}

impl Answer {
    pub(crate) fn row(&self, row: usize) -> &[f64] {
        &self.pmf[row * self.rungs..][..self.rungs]
    }
}

impl Ask<'_> {
    /// `observe(place, agent, obs, mask)` writes what an agent sees.
    pub(crate) fn answer(
        &mut self,
        places: &[Place],
        observe: impl Fn(Place, usize, &mut [f32], &mut u64),
    ) -> Result<Answer, OracleError> {
        self.answer_each(places, |_, place, agent, obs, mask| {
            observe(place, agent, obs, mask);
        })
    }

    /// As [`Self::answer`], where what is seen depends on the number of the place besides.
    pub(crate) fn answer_each(
        &mut self,
        places: &[Place],
        observe: impl Fn(usize, Place, usize, &mut [f32], &mut u64),
    ) -> Result<Answer, OracleError> {
        let rows = places.len() * self.agents;
        let mut obs = vec![0.0; rows * self.obs_width];
        let mut mask = vec![0; rows];
        for (row, (obs, mask)) in obs.chunks_exact_mut(self.obs_width).zip(&mut mask).enumerate() {
            let place = row / self.agents;
            observe(place, places[place], row % self.agents, obs, mask);
        }
        let mut given = vec![0.0; rows * self.rungs];
        (self.policy)(&obs, &mask, &mut given);
        let mut pmf: Vec<f64> = given.into_iter().map(f64::from).collect();
        for (row, mask) in pmf.chunks_exact_mut(self.rungs).zip(&mask) {
            level(row, *mask)?;
        }
        Ok(Answer {
            pmf,
            rungs: self.rungs,
        })
    }
}

/// Refuses what is no distribution over the allowed rungs, and takes the rounding out of the rest.
fn level(row: &mut [f64], mask: u64) -> Result<(), OracleError> {
    let sound = |(rung, p): (usize, &f64)| *p >= 0.0 && (*p == 0.0 || mask >> rung & 1 == 1);
    let sum: f64 = row.iter().sum();
    if !row.iter().enumerate().all(sound) || (sum - 1.0).abs() > SUM_TOLERANCE {
        return Err(OracleError::Policy { sum, mask });
    }
    row.iter_mut().for_each(|p| *p /= sum);
    Ok(())
}
