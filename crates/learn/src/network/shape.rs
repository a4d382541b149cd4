/// Widths of policy and critic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) obs: usize,
    /// What the critic sees; 0: there is no critic (a policy that is tuned offline).
    pub(crate) critic: usize,
    /// Numbers that each of the two networks remembers, in a gated recurrent unit before its hidden layers; 0: nothing.
    pub(crate) memory: usize,
    pub(crate) hidden: Vec<usize>,
    /// Scores of the policy: one per rung, or the two of a multiplier's distribution.
    pub(crate) rungs: usize,
    /// Whether the policy sets a multiplier.
    pub(crate) multiplier: bool,
}

/// Layers of a memory.
const CELL: usize = 2;

impl Shape {
    /// Widths of the policy's dense layers.
    pub(crate) fn policy_widths(&self) -> Vec<usize> {
        self.widths(self.obs, self.rungs)
    }

    pub(crate) fn critic_widths(&self) -> Vec<usize> {
        self.widths(self.critic, 1)
    }

    fn widths(&self, input: usize, output: usize) -> Vec<usize> {
        let first = if self.memory > 0 { self.memory } else { input };
        [&[first], &self.hidden[..], &[output]].concat()
    }

    /// Layers of the memory of each of the two networks.
    pub(super) fn cell(&self) -> usize {
        if self.memory > 0 { CELL } else { 0 }
    }

    /// Layers of each of the two networks.
    pub(super) fn layers(&self) -> usize {
        self.cell() + self.hidden.len() + 1
    }

    /// `(out, in)` of every layer, policy first.
    pub(super) fn all_layers(&self) -> Vec<(usize, usize)> {
        let networks = if self.critic > 0 { 2 } else { 1 };
        let both = [
            (self.obs, self.policy_widths()),
            (self.critic, self.critic_widths()),
        ];
        let gates = 3 * self.memory;
        let of = |(input, widths): &(usize, Vec<usize>)| {
            let cell = [(gates, *input), (gates, self.memory)];
            let dense = widths.windows(2).map(|pair| (pair[1], pair[0]));
            cell[..self.cell()]
                .iter()
                .copied()
                .chain(dense)
                .collect::<Vec<_>>()
        };
        both[..networks].iter().flat_map(of).collect()
    }

    /// Numbers in the flat tensor.
    pub(crate) fn parameters(&self) -> usize {
        self.all_layers()
            .iter()
            .map(|(out, input)| out * input + out)
            .sum()
    }
}
