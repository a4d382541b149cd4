use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(2);

/// All metrics of a daemon at one time.
#[derive(Debug)]
pub struct Scrape {
    /// When.
    pub at: Instant,
    samples: Vec<Sample>,
}

#[derive(Debug, PartialEq)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

/// Asks a daemon for its metrics.
///
/// # Errors
/// When nobody answers on that socket, or not with metrics.
pub fn scrape(socket: &Path) -> io::Result<Scrape> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: haggled\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    match text.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.0 200") || head.starts_with("HTTP/1.1 200") => {
            Ok(Scrape::read(body))
        }
        _ => Err(io::Error::other("the answer holds no metrics")),
    }
}

impl Scrape {
    /// Reads metrics in their text form; lines that it does not understand are passed over.
    pub fn read(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self {
            at: Instant::now(),
            samples: lines.filter_map(sample).collect(),
        }
    }

    /// Sum over all labels.
    pub fn sum(&self, name: &str) -> f64 {
        // The sum of nothing would be -0.
        self.named(name).fold(0.0, |sum, sample| sum + sample.value)
    }

    /// The values by one label.
    pub fn by(&self, name: &str, label: &str) -> Vec<(&str, f64)> {
        let of = |sample: &'_ Sample| sample.labels.iter().position(|(name, _)| name == label);
        let labelled = self.named(name).filter_map(|sample| {
            let place = of(sample)?;
            Some((sample.labels[place].1.as_str(), sample.value))
        });
        labelled.collect()
    }

    /// The value with these labels, if there is one.
    pub fn of(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |sample: &Sample, (label, value): &(&str, &str)| {
            sample
                .labels
                .iter()
                .any(|(own, said)| own == label && said == value)
        };
        self.named(name)
            .find(|sample| labels.iter().all(|label| has(sample, label)))
            .map(|sample| sample.value)
    }

    /// A quantile of what a histogram took in since an earlier time, in seconds: the upper edge of its bucket.
    pub fn quantile(&self, before: &Self, histogram: &str, share: f64) -> Option<f64> {
        let name = format!("{histogram}_bucket");
        let edges = self.by(&name, "le");
        let old = before.by(&name, "le");
        let since = edges.iter().map(|(edge, count)| {
            let earlier = old.iter().find(|(other, _)| other == edge);
            (*edge, count - earlier.map_or(0.0, |(_, count)| *count))
        });
        let since: Vec<(&str, f64)> = since.collect();
        let total = since.last()?.1;
        let (edge, _) = since
            .iter()
            .find(|(_, count)| total > 0.0 && *count >= share * total)?;
        edge.parse().ok()
    }

    fn named<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Sample> {
        let name = name.to_owned();
        self.samples.iter().filter(move |sample| sample.name == name)
    }
}

/// `name{label="value",...} number`
fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let label = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        Some((name.to_owned(), value.trim_matches('"').to_owned()))
    };
    Some(Sample {
        name: name.to_owned(),
        labels: labels
            .trim_end_matches('}')
            .split(',')
            .filter_map(label)
            .collect(),
        value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# TYPE haggle_decisions counter\n\
        haggle_decisions_total{policy=\"a\",source=\"policy\"} 3\n\
        haggle_decisions_total{policy=\"b\",source=\"static\"} 4\n\
        haggle_decide_seconds_bucket{le=\"0.001\"} 8\n\
        haggle_decide_seconds_bucket{le=\"0.002\"} 9\n\
        haggle_decide_seconds_bucket{le=\"+Inf\"} 10\n";

    #[test]
    fn metrics_are_summed_split_and_put_in_order() {
        let (before, now) = (Scrape::read(""), Scrape::read(TEXT));
        assert_eq!(now.sum("haggle_decisions_total"), 7.0);
        assert_eq!(
            now.by("haggle_decisions_total", "policy"),
            [("a", 3.0), ("b", 4.0)]
        );
        let quantile = |share| now.quantile(&before, "haggle_decide_seconds", share);
        assert_eq!((quantile(0.5), quantile(0.85)), (Some(0.001), Some(0.002)));
        assert_eq!(quantile(0.99), Some(f64::INFINITY));
        assert_eq!(
            now.quantile(&now, "haggle_decide_seconds", 0.5),
            None,
            "nothing was decided"
        );
    }
}
