use haggle_core::Visit;

/// What one visit is expected to do with one item at the prices given.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Response {
    /// Expected number of purchases of the item by the visit (its units counted apart), in [0, 1] per draw.
    pub purchases: f64,
    /// Mean units of one purchase, at least 1.
    pub units: f64,
}

/// What sells at which price: visits x choice x quantity, with its uncertainty as an ensemble.
///
/// Every answer is monotone: raising an item's own price never raises its expected purchases or units.
pub trait Demand: Send + Sync {
    /// Size of the ensemble; member 0 is the point estimate.
    fn members(&self) -> usize;

    /// The expected response of one visit to one price per item (minor units, any positive number: logged prices need
    /// not be on a ladder). `out` has one place per item of the category, in agent order.
    fn respond(&self, visit: &Visit<'_>, prices_minor: &[f64], member: usize, out: &mut [Response]);

    /// One simulated shopper: `units[agent]` bought at these prices. `uniform` yields numbers in [0, 1); the number of
    /// calls may depend on what is drawn.
    fn shop(
        &self,
        visit: &Visit<'_>,
        prices_minor: &[f64],
        member: usize,
        uniform: &mut dyn FnMut() -> f64,
        units: &mut [u32],
    );
}
