/// Rows that are looked at together: what each one's agent sees and remembers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    pub(crate) agent: &'a [u16],
    /// `rows x width`: observation, then global state.
    pub(crate) seen: &'a [f32],
    pub(crate) width: usize,
    /// `rows x kept_width`: what the policy remembers, then what the critic does.
    pub(crate) kept: &'a [f32],
    pub(crate) kept_width: usize,
}
