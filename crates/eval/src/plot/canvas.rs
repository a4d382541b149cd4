use super::escape;
use super::scale::Scale;
use std::fmt::Write;

/// An SVG picture under way, with axes around a plotting area. One unit is one pixel at full width.
pub(crate) struct Canvas {
    pub(crate) x: Scale,
    pub(crate) y: Scale,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    body: String,
}

/// Numbers at the left of a picture, about.
const TICKS: usize = 5;
/// Width of a figure in a label.
const LETTER: f64 = 6.6;

/// Width of every picture.
pub(crate) const WIDTH: f64 = 520.0;

impl Canvas {
    /// An empty plotting area of the given height for numbers in the given ranges; `left` is the room for labels.
    pub(crate) fn new(x: (f64, f64), y: (f64, f64), left: f64, height: f64) -> Self {
        let (right, top, bottom) = (WIDTH - 14.0, 10.0, height - 40.0);
        Self {
            x: Scale::new(x, (left, right)),
            y: Scale::new(y, (bottom, top)),
            left,
            right,
            top,
            bottom,
            body: String::new(),
        }
    }

    /// Room at the left for the numbers of [`Self::y_axis`], so that they do not lie on its name.
    pub(crate) fn label_room(y: (f64, f64)) -> f64 {
        let ticks = Scale::new(y, (1.0, 0.0)).ticks(TICKS);
        let longest = ticks.iter().map(|(_, label)| label.chars().count()).max();
        (30.0 + LETTER * longest.unwrap_or(0) as f64).max(66.0)
    }

    /// Anything else.
    pub(crate) fn draw(&mut self, element: std::fmt::Arguments<'_>) {
        let _ = self.body.write_fmt(element); // a String takes everything
    }

    /// Vertical grid lines with numbers below, and the name of the axis.
    pub(crate) fn x_axis(&mut self, name: &str) {
        let (top, bottom) = (self.top, self.bottom);
        for (number, label) in self.x.ticks(6) {
            let x = self.x.at(number);
            self.draw(format_args!(
                r#"<path class="grid" d="M{x:.1} {top}V{bottom}"/><text x="{x:.1}" y="{:.1}" class="mid">{label}</text>"#,
                bottom + 15.0
            ));
        }
        let middle = 0.5 * (self.left + self.right);
        let y = bottom + 33.0;
        self.draw(format_args!(
            r#"<text x="{middle:.1}" y="{y:.1}" class="mid name">{}</text>"#,
            escape(name)
        ));
    }

    /// Horizontal grid lines with numbers at the left, and the name of the axis.
    pub(crate) fn y_axis(&mut self, name: &str) {
        let (left, right) = (self.left, self.right);
        for (number, label) in self.y.ticks(TICKS) {
            let y = self.y.at(number);
            self.draw(format_args!(
                r#"<path class="grid" d="M{left} {y:.1}H{right}"/><text x="{:.1}" y="{:.1}" class="end">{label}</text>"#,
                left - 7.0,
                y + 4.0
            ));
        }
        let middle = 0.5 * (self.top + self.bottom);
        self.draw(format_args!(
            r#"<text transform="translate(13 {middle:.1}) rotate(-90)" class="mid name">{}</text>"#,
            escape(name)
        ));
    }

    /// A dashed line across at a height. The n-th one is named at its right end when n is even, else at its left end, so
    /// that names of neighbours do not lie on each other.
    pub(crate) fn level(&mut self, n: usize, value: f64, name: &str) {
        let (y, left, right) = (self.y.at(value), self.left, self.right);
        let above = if y - self.top < 16.0 { y + 12.0 } else { y - 4.0 };
        let (class, place) = if n.is_multiple_of(2) {
            ("end", right - 3.0)
        } else {
            ("", left + 4.0)
        };
        self.draw(format_args!(
            r#"<path class="level" d="M{left} {y:.1}H{right}"/><text x="{place:.1}" y="{above:.1}" class="{class} level">{}</text>"#,
            escape(name)
        ));
    }

    /// A dashed line upwards at a place, named at its top.
    pub(crate) fn upright(&mut self, value: f64, name: &str) {
        let (x, top, bottom) = (self.x.at(value), self.top, self.bottom);
        let (class, shift) = if x > 0.75 * WIDTH {
            ("end", -4.0)
        } else {
            ("", 4.0)
        };
        self.draw(format_args!(
            r#"<path class="level" d="M{x:.1} {top}V{bottom}"/><text x="{:.1}" y="{:.1}" class="{class} level">{}</text>"#,
            x + shift,
            top + 8.0,
            escape(name)
        ));
    }

    /// The whole picture; `says` is what a reader without eyes is told.
    pub(crate) fn svg(self, says: &str) -> String {
        format!(
            r#"<svg viewBox="0 0 {WIDTH} {:.0}" role="img" aria-label="{}">{}</svg>"#,
            self.bottom + 40.0,
            escape(says),
            self.body
        )
    }
}

/// The colour of the n-th thing that is told apart by colour: a variable of the page.
pub(crate) fn colour(n: usize) -> String {
    format!("var(--c{})", n % 6)
}

/// A legend: what is drawn in which colour.
pub(crate) fn legend<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let entry = |(n, name): (usize, &str)| {
        format!(
            r#"<span><i style="background:{}"></i>{}</span>"#,
            colour(n),
            escape(name)
        )
    };
    format!(
        r#"<div class="legend">{}</div>"#,
        names.enumerate().map(entry).collect::<String>()
    )
}

/// A picture with its title and legend.
pub(crate) fn figure(title: &str, legend: &str, svg: &str) -> String {
    format!(
        "<figure><figcaption>{}</figcaption>{legend}{svg}</figure>\n",
        escape(title)
    )
}
