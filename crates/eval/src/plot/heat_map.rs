use super::canvas::{Canvas, figure};
use super::scale::{label, range};

/// Steps of colour: neighbours of one step are drawn as one.
const STEPS: usize = 32;
/// Viridis, dark to light.
const COLOURS: [[f64; 3]; 9] = [
    [68.0, 1.0, 84.0],
    [71.0, 44.0, 122.0],
    [59.0, 81.0, 139.0],
    [44.0, 113.0, 142.0],
    [33.0, 144.0, 141.0],
    [39.0, 173.0, 129.0],
    [92.0, 200.0, 99.0],
    [170.0, 220.0, 50.0],
    [253.0, 231.0, 37.0],
];

/// Numbers over two whole numbers as colours: prices over stock and time.
#[derive(Clone, Debug, Default)]
pub struct HeatMap {
    /// What it shows.
    pub title: String,
    /// What runs from left to right.
    pub x_name: String,
    /// What runs upwards.
    pub y_name: String,
    /// The columns' number at the left, and how far it is to the next one.
    pub x: (f64, f64),
    /// The rows' number at the bottom, and how far it is to the next one.
    pub y: (f64, f64),
    /// Numbers row by row from the bottom, each row as long; NaN stays empty.
    pub rows: Vec<Vec<f64>>,
}

impl HeatMap {
    /// The least and the largest number of several maps, to draw them on one scale.
    #[must_use]
    pub fn range<'a>(maps: impl IntoIterator<Item = &'a Self>) -> (f64, f64) {
        range(
            maps.into_iter()
                .flat_map(|map| map.rows.iter().flatten().copied()),
        )
    }

    /// The map as HTML; `range` is what the colours run over.
    #[must_use]
    pub fn html(&self, range: (f64, f64)) -> String {
        let columns = self.rows.first().map_or(0, Vec::len) as f64;
        let edges =
            |(first, step): (f64, f64), count: f64| (first - 0.5 * step, first + (count - 0.5) * step);
        let (x, y) = (edges(self.x, columns), edges(self.y, self.rows.len() as f64));
        let mut canvas = Canvas::new(x, y, 66.0, 260.0);
        canvas.x_axis(&self.x_name);
        canvas.y_axis(&self.y_name);
        for (row, numbers) in self.rows.iter().enumerate() {
            let bottom = y.0 + row as f64 * self.y.1;
            let (low, high) = (canvas.y.at(bottom), canvas.y.at(bottom + self.y.1));
            for (first, count, step) in runs(numbers, range) {
                let left = x.0 + first as f64 * self.x.1;
                let (from, to) = (canvas.x.at(left), canvas.x.at(left + count as f64 * self.x.1));
                canvas.draw(format_args!(
                    r#"<path shape-rendering="crispEdges" fill="{}" d="M{from:.1} {high:.1}H{to:.1}V{low:.1}H{from:.1}"/>"#,
                    hue(step)
                ));
            }
        }
        figure(&self.title, &bar(range), &canvas.svg(&self.title))
    }
}

/// Runs of one step of colour: first column, length, step.
fn runs(numbers: &[f64], (low, high): (f64, f64)) -> Vec<(usize, usize, usize)> {
    let step = |number: f64| ((number - low) / (high - low) * (STEPS - 1) as f64).round() as usize;
    let mut runs: Vec<(usize, usize, usize)> = Vec::new();
    for (column, number) in numbers
        .iter()
        .enumerate()
        .filter(|(_, number)| number.is_finite())
    {
        match runs.last_mut() {
            Some((first, count, last)) if *last == step(*number) && *first + *count == column => *count += 1,
            _ => runs.push((column, 1, step(*number))),
        }
    }
    runs
}

fn hue(step: usize) -> String {
    let place = step as f64 / (STEPS - 1) as f64 * (COLOURS.len() - 1) as f64;
    let (low, share) = (COLOURS[place as usize], place.fract());
    let high = COLOURS[(place as usize + 1).min(COLOURS.len() - 1)];
    let mix = |n: usize| (low[n] + share * (high[n] - low[n])).round() as u8;
    format!("#{:02x}{:02x}{:02x}", mix(0), mix(1), mix(2))
}

/// The scale of colours with its ends.
fn bar((low, high): (f64, f64)) -> String {
    let [from, to] = [low, high].map(|end| label(end, (high - low) / 100.0));
    let stops: Vec<String> = (0..STEPS).step_by(4).chain([STEPS - 1]).map(hue).collect();
    format!(
        r#"<div class="legend"><span>{from}</span><b style="background:linear-gradient(90deg,{})"></b><span>{to}</span></div>"#,
        stops.join(",")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_of_one_colour_are_one_run() {
        let numbers = [0.0, 0.0, 1.0, f64::NAN, 1.0, 0.5];
        let last = STEPS - 1;
        assert_eq!(
            runs(&numbers, (0.0, 1.0)),
            [(0, 2, 0), (2, 1, last), (4, 1, last), (5, 1, last.div_ceil(2))]
        );
        assert_eq!((hue(0).as_str(), hue(last).as_str()), ("#440154", "#fde725"));
    }
}
