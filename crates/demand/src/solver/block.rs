/// Gradient and Fisher information of one group's negative log likelihood, local parameters before shared ones.
pub(crate) struct Block {
    width: usize,
    pub gradient: Vec<f64>,
    /// Row-major, `width x width`; only `[a][b]` with `a <= b` is filled.
    information: Vec<f64>,
}

impl Block {
    pub(super) fn new(width: usize) -> Self {
        Self {
            width,
            gradient: vec![0.0; width],
            information: vec![0.0; width * width],
        }
    }

    /// Adds `slope * design` to the gradient.
    pub fn add_gradient(&mut self, slope: f64, design: &[f64]) {
        for (sum, x) in self.gradient.iter_mut().zip(design) {
            *sum += slope * x;
        }
    }

    /// Adds `weight * design design'` to the information.
    pub fn add_information(&mut self, weight: f64, design: &[f64]) {
        for (a, xa) in design.iter().enumerate() {
            let scaled = weight * xa;
            if scaled != 0.0 {
                let row = &mut self.information[a * self.width + a..(a + 1) * self.width];
                for (sum, xb) in row.iter_mut().zip(&design[a..]) {
                    *sum += scaled * xb;
                }
            }
        }
    }

    pub(super) fn at(&self, a: usize, b: usize) -> f64 {
        self.information[a.min(b) * self.width + a.max(b)]
    }
}
