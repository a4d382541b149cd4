//! Streams of visits for bandits: what each price would have sold to whom.

use crate::failure::{Failure, Kind, OrFail};
use anyhow::{Context, anyhow};
use csv::{ReaderBuilder, StringRecord, Trim};
use std::fs::File;
use std::path::Path;

/// Highest price: sums over any number of visits stay numbers.
const PRICE_MAX: f64 = 1e100;

/// Visits in their order, with what each price would have sold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stream {
    /// The price of each rung.
    pub prices: Vec<f64>,
    /// How many numbers a context has.
    pub width: usize,
    /// Contexts, row after row.
    pub contexts: Vec<f64>,
    /// Per visit: bought when this is below the probability of the drawn rung.
    pub uniforms: Vec<f64>,
    /// Purchase probabilities, row after row.
    pub probabilities: Vec<f64>,
}

impl Stream {
    /// The stream of a CSV file with the columns `x0..` (none is allowed), `u` and `p0..`, in any order, and the ladder of a
    /// CSV file with the one column `price`.
    pub fn read(stream: &Path, prices: &Path) -> Result<Self, Failure> {
        let prices = read_prices(prices).or_fail(Kind::Data)?;
        read_visits(stream, prices).or_fail(Kind::Data)
    }

    /// Number of visits.
    pub fn visits(&self) -> usize {
        self.uniforms.len()
    }

    /// The context of a visit.
    pub fn context(&self, visit: usize) -> &[f64] {
        &self.contexts[visit * self.width..(visit + 1) * self.width]
    }

    /// The probability of a purchase at each price.
    pub fn probabilities(&self, visit: usize) -> &[f64] {
        let rungs = self.prices.len();
        &self.probabilities[visit * rungs..(visit + 1) * rungs]
    }
}

/// Where each column of a stream's file goes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Column {
    Context(usize),
    Uniform,
    Probability(usize),
}

fn open(path: &Path) -> anyhow::Result<csv::Reader<File>> {
    if path.is_dir() {
        return Err(anyhow!("cannot read {}: it is a folder", path.display()));
    }
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut builder = ReaderBuilder::new();
    Ok(builder.trim(Trim::All).flexible(true).from_reader(file))
}

/// The names of a file's columns.
fn header(reader: &mut csv::Reader<File>, name: &str) -> anyhow::Result<StringRecord> {
    let header = reader.headers().map_err(|error| no_csv(name, &error))?.clone();
    if header.is_empty() {
        return Err(anyhow!("{name}: the file is empty"));
    }
    if header.len() == 1 && header[0].contains([';', '\t']) {
        let only = header[0].escape_debug();
        return Err(anyhow!("{name}:1: `{only}`: expected commas between the columns"));
    }
    Ok(header)
}

/// Why a line cannot be read.
fn no_csv(name: &str, error: &csv::Error) -> anyhow::Error {
    match (error.kind(), error.position()) {
        (csv::ErrorKind::Utf8 { .. }, Some(at)) => {
            anyhow!("{name}:{}: the text is not UTF-8", at.line())
        }
        _ => anyhow!("{name}: no CSV: {error}"),
    }
}

fn read_prices(path: &Path) -> anyhow::Result<Vec<f64>> {
    let name = path.display().to_string();
    let mut reader = open(path)?;
    let header = header(&mut reader, &name)?;
    if header.len() != 1 || &header[0] != "price" {
        let got: Vec<&str> = header.iter().collect();
        return Err(anyhow!(
            "{name}:1: the columns are `{}`, expected the one column `price`",
            got.join(",")
        ));
    }
    let mut prices = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| no_csv(&name, &error))?;
        let line = record.position().map_or(0, csv::Position::line);
        let sound = |price: f64| (0.0..=PRICE_MAX).contains(&price);
        if record.len() != 1 {
            return Err(anyhow!("{name}:{line}: {} columns, expected 1", record.len()));
        }
        prices.push(
            number(&record[0], sound, "a price from 0 to 1e100")
                .with_context(|| format!("{name}:{line}: column `price`"))?,
        );
    }
    if prices.is_empty() {
        return Err(anyhow!(
            "{name}: no prices, expected one per line below the header"
        ));
    }
    Ok(prices)
}

fn read_visits(path: &Path, prices: Vec<f64>) -> anyhow::Result<Stream> {
    let name = path.display().to_string();
    let mut reader = open(path)?;
    let header = header(&mut reader, &name)?;
    let columns = columns(&header).with_context(|| format!("{name}:1"))?;
    let count = |kind: fn(&Column) -> bool| columns.iter().filter(|column| kind(column)).count();
    let (width, rungs) = (
        count(|column| matches!(column, Column::Context(_))),
        count(|column| matches!(column, Column::Probability(_))),
    );
    if rungs != prices.len() {
        return Err(anyhow!(
            "{name}:1: {rungs} columns p0, p1, .., but the ladder has {} prices",
            prices.len()
        ));
    }
    let mut stream = Stream {
        prices,
        width,
        ..Stream::default()
    };
    let mut record = StringRecord::new();
    while reader
        .read_record(&mut record)
        .map_err(|error| no_csv(&name, &error))?
    {
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != columns.len() {
            return Err(anyhow!(
                "{name}:{line}: {} columns, expected {}",
                record.len(),
                columns.len()
            ));
        }
        let (x, p) = (stream.contexts.len(), stream.probabilities.len());
        stream.contexts.resize(x + width, 0.0);
        stream.probabilities.resize(p + rungs, 0.0);
        for (at, column) in columns.iter().enumerate() {
            let place = || format!("{name}:{line}: column `{}`", &header[at]);
            let share = |value: f64| (0.0..=1.0).contains(&value);
            match column {
                Column::Context(n) => {
                    stream.contexts[x + n] =
                        number(&record[at], |_| true, "a finite number").with_context(place)?;
                }
                Column::Probability(n) => {
                    stream.probabilities[p + n] =
                        number(&record[at], share, "a probability in [0, 1]").with_context(place)?;
                }
                Column::Uniform => {
                    stream
                        .uniforms
                        .push(number(&record[at], share, "a number in [0, 1]").with_context(place)?);
                }
            }
        }
    }
    if stream.uniforms.is_empty() {
        return Err(anyhow!(
            "{name}: no visits, expected one per line below the header"
        ));
    }
    Ok(stream)
}

fn columns(header: &StringRecord) -> anyhow::Result<Vec<Column>> {
    let numbered =
        |name: &str, letter: char| name.strip_prefix(letter).and_then(|digits| digits.parse().ok());
    let mut columns = Vec::with_capacity(header.len());
    for name in header {
        let column = match (name, numbered(name, 'x'), numbered(name, 'p')) {
            ("u", _, _) => Column::Uniform,
            (_, Some(n), _) => Column::Context(n),
            (_, _, Some(n)) => Column::Probability(n),
            _ => return Err(anyhow!("column `{name}` is none of x0, x1, .., u, p0, p1, ..")),
        };
        if columns.contains(&column) {
            return Err(anyhow!("column `{name}` stands twice"));
        }
        columns.push(column);
    }
    if !columns.contains(&Column::Uniform) {
        return Err(anyhow!("there is no column `u`"));
    }
    for of in [Column::Context as fn(usize) -> Column, Column::Probability] {
        let kind = std::mem::discriminant(&of(0));
        let count = columns
            .iter()
            .filter(|column| std::mem::discriminant(*column) == kind)
            .count();
        if let Some(missing) = (0..count).find(|n| !columns.contains(&of(*n))) {
            let letter = if kind == std::mem::discriminant(&Column::Context(0)) {
                'x'
            } else {
                'p'
            };
            return Err(anyhow!(
                "column `{letter}{missing}` is missing: columns count from 0 without a gap"
            ));
        }
    }
    Ok(columns)
}

fn number(text: &str, sound: impl Fn(f64) -> bool, expected: &str) -> anyhow::Result<f64> {
    let value = text
        .parse()
        .ok()
        .filter(|value: &f64| value.is_finite() && sound(*value));
    value.ok_or_else(|| anyhow!("`{text}` is not {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stream: impl AsRef<[u8]>, prices: &str) -> Result<Stream, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let (s, p) = (folder.path().join("s.csv"), folder.path().join("p.csv"));
        std::fs::write(&s, stream).expect("a file");
        std::fs::write(&p, prices).expect("a file");
        Stream::read(&s, &p).map_err(|failure| {
            let text = failure.to_string();
            text.replace(&format!("{}/", folder.path().display()), "")
        })
    }

    #[test]
    fn columns_may_come_in_any_order() {
        let stream =
            read("u,p1,x0,p0\n0.5,0.1,-3,0.9\n0.25, 0 ,1e6,1\n", "price\n2\n3.5\n").expect("a stream");
        assert_eq!(stream.prices, [2.0, 3.5]);
        assert_eq!(
            (stream.context(1), stream.probabilities(0)),
            (&[1e6][..], &[0.9, 0.1][..])
        );
        assert_eq!(stream.uniforms, [0.5, 0.25]);
        assert_eq!(read("u,p0\n0.5,1\n", "price\n2\n").expect("a stream").width, 0);
    }

    #[test]
    fn a_bad_file_is_one_sentence_with_its_place() {
        let say = |stream: &str, prices: &str| read(stream, prices).expect_err("a refusal");
        let one = "price\n2\n";
        assert_eq!(
            say("u,p0\n0.5,1\n0.5,1.5\n", one),
            "s.csv:3: column `p0`: `1.5` is not a probability in [0, 1]"
        );
        assert_eq!(
            say("u,x0,p0\n0.5,NaN,1\n", one),
            "s.csv:2: column `x0`: `NaN` is not a finite number"
        );
        assert_eq!(say("u,p0\n0.5\n", one), "s.csv:2: 1 columns, expected 2");
        assert_eq!(say("p0\n0.5\n", one), "s.csv:1: there is no column `u`");
        assert_eq!(
            say("u,p0,q\n", one),
            "s.csv:1: column `q` is none of x0, x1, .., u, p0, p1, .."
        );
        assert_eq!(say("u,p0,u\n", one), "s.csv:1: column `u` stands twice");
        assert_eq!(
            say("u,p0,x1\n", one),
            "s.csv:1: column `x0` is missing: columns count from 0 without a gap"
        );
        assert_eq!(
            say("u,p0\n", one),
            "s.csv: no visits, expected one per line below the header"
        );
        assert_eq!(
            say("u,p0\n0.5,1\n", "price\n2\n3\n"),
            "s.csv:1: 1 columns p0, p1, .., but the ladder has 2 prices"
        );
        assert_eq!(
            say("u,p0\n", "cost\n2\n"),
            "p.csv:1: the columns are `cost`, expected the one column `price`"
        );
        assert_eq!(
            say("u,p0\n", "price\n-2\n"),
            "p.csv:2: column `price`: `-2` is not a price from 0 to 1e100"
        );
        assert_eq!(
            say("u,p0\n", "price\n1e300\n"),
            "p.csv:2: column `price`: `1e300` is not a price from 0 to 1e100"
        );
        assert_eq!(say("", one), "s.csv: the file is empty");
        assert_eq!(say("u,p0\n", ""), "p.csv: the file is empty");
        for (header, shown) in [("u;p0", "u;p0"), ("u\tp0", "u\\tp0")] {
            assert_eq!(
                say(&format!("{header}\n"), one),
                format!("s.csv:1: `{shown}`: expected commas between the columns")
            );
        }
        let latin = read(b"u,p0\n0.5,1\n0.5,\xe9\n", one).expect_err("a refusal");
        assert_eq!(latin, "s.csv:3: the text is not UTF-8");
        let latin = read(b"u,p0\xe9\n0.5,1\n", one).expect_err("a refusal");
        assert_eq!(latin, "s.csv:1: the text is not UTF-8");
        let folder = tempfile::tempdir().expect("a folder");
        let refused = Stream::read(folder.path(), folder.path()).expect_err("a refusal");
        let sentence = format!("cannot read {}: it is a folder", folder.path().display());
        assert_eq!(refused.to_string(), sentence);
    }
}
