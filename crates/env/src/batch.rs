use crate::{Actions, Env, EnvSpec, ObserveOut, StepEnd, StepOut};
use haggle_core::{Seeds, decode_record, encode_record};

/// Blocks of one environment that step side by side on rayon's threads.
///
/// Blocks own their copies and write into their own slices, so the numbers do not depend on the number of threads; with
/// blocks that know their first copy (as `ReplayEnv::block`) they do not depend on the number of blocks either.
#[derive(Debug)]
pub struct Batch<E> {
    blocks: Vec<E>,
    spec: EnvSpec,
}

impl<E: Env> Batch<E> {
    /// A batch of `blocks`, which must have the same shape but for the number of copies.
    ///
    /// # Errors
    /// A sentence when there is none or the shapes differ.
    pub fn new(blocks: Vec<E>) -> Result<Self, String> {
        let Some(first) = blocks.first() else {
            return Err("a batch needs at least one block".to_owned());
        };
        let mut spec = first.spec().clone();
        for block in &blocks {
            spec.copies = block.spec().copies;
            if *block.spec() != spec {
                return Err("the blocks of a batch must have the same shape".to_owned());
            }
        }
        spec.copies = blocks.iter().map(|block| block.spec().copies).sum();
        Ok(Self { blocks, spec })
    }
}

impl<E: Env + Sync> Env for Batch<E> {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, seeds: &Seeds) {
        for block in &mut self.blocks {
            block.reset(seeds);
        }
    }

    fn observe(&self, out: &mut ObserveOut<'_>) {
        let out = ObserveOut {
            obs: out.obs,
            state: out.state,
            mask: out.mask,
        };
        observe(&self.blocks, out);
    }

    fn step(&mut self, actions: Actions<'_>, out: &mut StepOut<'_>) {
        let out = StepOut {
            reward: out.reward,
            cost: out.cost,
            violation: out.violation,
            end: out.end,
            last: ObserveOut {
                obs: out.last.obs,
                state: out.last.state,
                mask: out.last.mask,
            },
        };
        step(&mut self.blocks, actions, out);
    }

    fn agent_groups(&self) -> Option<Vec<usize>> {
        self.blocks[0].agent_groups()
    }

    fn prices(&self) -> Vec<Vec<f64>> {
        self.blocks[0].prices()
    }

    fn multipliers(&self) -> Vec<[f32; 2]> {
        self.blocks[0].multipliers()
    }

    fn save(&self) -> Vec<u8> {
        encode_record(&self.blocks.iter().map(Env::save).collect::<Vec<_>>())
    }

    fn load(&mut self, state: &[u8]) -> Result<(), String> {
        let states: Vec<Vec<u8>> =
            decode_record(state).map_err(|error| format!("the saved batch is unreadable: {error}"))?;
        if states.len() != self.blocks.len() {
            return Err(format!(
                "the saved batch has {} blocks, this one {}",
                states.len(),
                self.blocks.len()
            ));
        }
        for (block, state) in self.blocks.iter_mut().zip(&states) {
            block.load(state)?;
        }
        Ok(())
    }
}

fn observe<E: Env + Sync>(blocks: &[E], mut out: ObserveOut<'_>) {
    match blocks {
        [] => {}
        [block] => block.observe(&mut out),
        _ => {
            let (left, right) = blocks.split_at(blocks.len() / 2);
            let (left_out, right_out) = split_observe(out, left);
            rayon::join(|| observe(left, left_out), || observe(right, right_out));
        }
    }
}

fn step<E: Env + Sync>(blocks: &mut [E], actions: Actions<'_>, mut out: StepOut<'_>) {
    match blocks {
        [] => {}
        [block] => block.step(actions, &mut out),
        _ => {
            let (left, right) = blocks.split_at_mut(blocks.len() / 2);
            let (rows, copies) = extent(left);
            let (left_actions, right_actions) = actions.split_at(rows);
            let (reward, right_reward) = out.reward.split_at_mut(rows);
            let constraints = left[0].spec().constraints;
            let (cost, right_cost) = out.cost.split_at_mut(rows * constraints);
            let (violation, right_violation) = out.violation.split_at_mut(copies * constraints);
            let (end, right_end): (&mut [StepEnd], _) = out.end.split_at_mut(copies);
            let (last, right_last) = split_observe(out.last, left);
            let left_out = StepOut {
                reward,
                cost,
                violation,
                end,
                last,
            };
            let right_out = StepOut {
                reward: right_reward,
                cost: right_cost,
                violation: right_violation,
                end: right_end,
                last: right_last,
            };
            rayon::join(
                || step(left, left_actions, left_out),
                || step(right, right_actions, right_out),
            );
        }
    }
}

/// Rows and copies of some blocks.
fn extent<E: Env>(blocks: &[E]) -> (usize, usize) {
    let copies: usize = blocks.iter().map(|block| block.spec().copies).sum();
    (copies * blocks[0].spec().agents, copies)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the borrowed slices move on into the two halves"
)]
fn split_observe<'a, E: Env>(out: ObserveOut<'a>, left: &[E]) -> (ObserveOut<'a>, ObserveOut<'a>) {
    let (rows, _) = extent(left);
    let spec = left[0].spec();
    let (obs, right_obs) = out.obs.split_at_mut(rows * spec.obs_width);
    let (state, right_state) = out.state.split_at_mut(rows * spec.state_width);
    let (mask, right_mask) = out.mask.split_at_mut(rows);
    let left = ObserveOut { obs, state, mask };
    let right = ObserveOut {
        obs: right_obs,
        state: right_state,
        mask: right_mask,
    };
    (left, right)
}
