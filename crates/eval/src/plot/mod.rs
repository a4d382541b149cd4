//! Plots as inline SVG: no script, no network; colours are variables of the page, so that they follow light and dark.

mod canvas;
mod heat_map;
mod lines;
mod scale;
mod strip;

pub use heat_map::HeatMap;
pub use lines::{Level, LineChart, Point, Series};
pub use strip::{Strip, StripRow};

/// Text that may stand in HTML, between tags and inside quoted attributes.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            other => safe.push(other),
        }
    }
    safe
}
