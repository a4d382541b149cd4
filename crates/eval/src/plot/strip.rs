use super::canvas::{Canvas, colour, figure};
use super::escape;
use super::lines::Level;
use super::scale::{airy, range};
use crate::Interval;

/// Height of a row.
const ROW: f64 = 46.0;

/// Scores of runs, a row per group: a dot per seed, and a bar for the group's aggregate with its interval.
#[derive(Clone, Debug, Default)]
pub struct Strip {
    /// What it shows.
    pub title: String,
    /// What runs from left to right.
    pub x_name: String,
    /// The groups, top to bottom.
    pub rows: Vec<StripRow>,
    /// Numbers to compare with.
    pub levels: Vec<Level>,
}

/// One group.
#[derive(Clone, Debug)]
pub struct StripRow {
    /// Its name.
    pub name: String,
    /// Name of each run with its score.
    pub dots: Vec<(String, f64)>,
    /// What one number says of them.
    pub aggregate: Interval,
}

impl Strip {
    /// The strip as HTML.
    #[must_use]
    pub fn html(&self) -> String {
        let scores = self.rows.iter().flat_map(|row| {
            let ends = [row.aggregate.low, row.aggregate.high];
            row.dots.iter().map(|(_, score)| *score).chain(ends)
        });
        let x = airy(range(scores.chain(self.levels.iter().map(|level| level.value))));
        let count = self.rows.len() as f64;
        let mut canvas = Canvas::new(x, (count, 0.0), 14.0, count * ROW + 50.0);
        canvas.x_axis(&self.x_name);
        for level in &self.levels {
            canvas.upright(level.value, &level.name);
        }
        for (n, row) in self.rows.iter().enumerate() {
            row.draw(n, &mut canvas);
        }
        figure(&self.title, "", &canvas.svg(&self.title))
    }
}

impl StripRow {
    fn draw(&self, n: usize, canvas: &mut Canvas) {
        let (colour, y) = (colour(n), canvas.y.at(n as f64 + 0.72));
        let Interval { value, low, high } = self.aggregate;
        let (from, to, middle) = (canvas.x.at(low), canvas.x.at(high), canvas.x.at(value));
        let width = (to - from).max(1.0);
        canvas.draw(format_args!(
            r#"<text x="14" y="{:.1}" class="name">{}</text><rect class="band" style="fill:{colour}" x="{from:.1}" y="{:.1}" width="{width:.1}" height="16" rx="3"/><path class="line" style="stroke:{colour}" d="M{middle:.1} {:.1}v20"><title>{value:.6} [{low:.6}, {high:.6}]</title></path>"#,
            y - 17.0,
            escape(&self.name),
            y - 8.0,
            y - 10.0
        ));
        for (name, score) in &self.dots {
            let x = canvas.x.at(*score);
            canvas.draw(format_args!(
                r#"<circle class="dot" style="fill:{colour}" cx="{x:.1}" cy="{y:.1}" r="4.5"><title>{}: {score:.6}</title></circle>"#,
                escape(name)
            ));
        }
    }
}
