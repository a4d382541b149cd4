/// The settings of the losses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) clip_ratio: f32,
    pub(crate) value_clip: f32,
    pub(crate) huber: f32,
    pub(crate) floor: f32,
    pub(crate) entropy_weight: f32,
    /// Rows of the whole minibatch.
    pub(crate) count: f32,
}

/// Sums over rows, in the order of [`crate::update::UPDATE_METRICS`].
pub(crate) type Sums = [f32; 5];

/// Where the entropy stands in [`Sums`].
pub(crate) const ENTROPY: usize = 2;
