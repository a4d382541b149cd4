use super::canvas::{Canvas, colour, figure, legend};
use super::escape;
use super::scale::{airy, range};

/// Up to so many points are marked one by one.
const MARKED_MAX: usize = 32;

/// Lines with bands over a number: learning curves, prices against a state.
#[derive(Clone, Debug, Default)]
pub struct LineChart {
    /// What it shows.
    pub title: String,
    /// What runs from left to right.
    pub x_name: String,
    /// What runs upwards.
    pub y_name: String,
    /// The lines.
    pub series: Vec<Series>,
    /// Numbers to compare with.
    pub levels: Vec<Level>,
}

/// One line.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Its points, left to right.
    pub points: Vec<Point>,
}

/// A point of a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Where.
    pub x: f64,
    /// How much.
    pub y: f64,
    /// The interval around it, where there is one.
    pub band: Option<(f64, f64)>,
}

/// A horizontal line to compare with.
#[derive(Clone, Debug, PartialEq)]
pub struct Level {
    /// Its name.
    pub name: String,
    /// Its height.
    pub value: f64,
}

impl LineChart {
    /// The chart as HTML.
    #[must_use]
    pub fn html(&self) -> String {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let heights = points().flat_map(|point| {
            let (low, high) = point.band.unwrap_or((point.y, point.y));
            [point.y, low, high]
        });
        let levels = self.levels.iter().map(|level| level.value);
        let y = airy(range(heights.chain(levels)));
        let room = Canvas::label_room(y);
        let mut canvas = Canvas::new(range(points().map(|point| point.x)), y, room, 300.0);
        canvas.x_axis(&self.x_name);
        canvas.y_axis(&self.y_name);
        for (n, series) in self.series.iter().enumerate() {
            series.draw(&mut canvas, &colour(n));
        }
        for (n, level) in self.levels.iter().enumerate() {
            canvas.level(n, level.value, &level.name);
        }
        let legend = if self.series.len() > 1 {
            legend(self.series.iter().map(|series| series.name.as_str()))
        } else {
            String::new()
        };
        figure(&self.title, &legend, &canvas.svg(&self.title))
    }
}

impl Series {
    fn draw(&self, canvas: &mut Canvas, colour: &str) {
        let place = |x: f64, y: f64, canvas: &Canvas| format!("{:.1} {:.1}", canvas.x.at(x), canvas.y.at(y));
        let path = |points: Vec<String>| points.join("L");
        let bands: Vec<(f64, (f64, f64))> = self
            .points
            .iter()
            .filter_map(|point| Some((point.x, point.band?)))
            .collect();
        if bands.len() > 1 {
            let upper = bands.iter().map(|(x, (_, high))| place(*x, *high, canvas));
            let lower = bands.iter().rev().map(|(x, (low, _))| place(*x, *low, canvas));
            let d = path(upper.chain(lower).collect());
            canvas.draw(format_args!(
                r#"<path class="band" style="fill:{colour}" d="M{d}Z"/>"#
            ));
        }
        let d = path(
            self.points
                .iter()
                .map(|point| place(point.x, point.y, canvas))
                .collect(),
        );
        if !self.points.is_empty() {
            canvas.draw(format_args!(
                r#"<path class="line" style="stroke:{colour}" d="M{d}"/>"#
            ));
        }
        if self.points.len() > MARKED_MAX {
            return;
        }
        for point in &self.points {
            let (x, y) = (canvas.x.at(point.x), canvas.y.at(point.y));
            canvas.draw(format_args!(
                r#"<circle style="fill:{colour}" cx="{x:.1}" cy="{y:.1}" r="3"><title>{}: {} at {}</title></circle>"#,
                escape(&self.name),
                point.y,
                point.x
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_stand_where_their_numbers_say() {
        let point = |x: f64, y: f64| Point { x, y, band: None };
        let chart = LineChart {
            title: "a < b".into(),
            series: vec![Series {
                name: "one".into(),
                points: vec![point(0.0, 0.0), point(10.0, 1.0)],
            }],
            levels: vec![Level {
                name: "V*".into(),
                value: 1.0,
            }],
            ..LineChart::default()
        };
        let html = chart.html();
        // 66 to 506 wide; the heights 0 and 1 have 6 % of air, between 260 and 10
        assert!(html.contains(r#"d="M66.0 246.6L506.0 23.4""#), "{html}");
        assert!(html.contains("a &lt; b") && !html.contains("a < b"));
        assert!(html.contains(r#"<path class="level" d="M66 23.4H506"/>"#));
    }
}
