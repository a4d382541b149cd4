use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// Seeds of several runs, written `1-5` or `1,2,7`. No seed stands there twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedList(Vec<u64>);

/// As many runs as anybody means.
const SEEDS_MAX: u64 = 1000;

impl SeedList {
    /// In the order in which they were written.
    pub fn seeds(&self) -> &[u64] {
        &self.0
    }
}

impl FromStr for SeedList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |part: &str| format!("`{part}` is no list of seeds: write 1-5 or 1,2,7");
        let number = |word: &str, part: &str| word.trim().parse::<u64>().map_err(|_| wrong(part));
        let mut seeds = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first, part)?, number(last, part)?);
            if first > last {
                return Err(format!("seeds {part}: the first is after the last"));
            }
            if last - first >= SEEDS_MAX {
                return Err(format!("seeds {part}: at most {SEEDS_MAX} runs"));
            }
            for seed in first..=last {
                if seeds.contains(&seed) {
                    return Err(format!("seed {seed} stands there twice: each run needs its own"));
                }
                seeds.push(seed);
            }
        }
        Ok(Self(seeds))
    }
}

impl fmt::Display for SeedList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rising = self.0.windows(2).all(|pair| pair[0] + 1 == pair[1]);
        match self.0.as_slice() {
            [first, .., last] if rising => write!(f, "{first}-{last}"),
            seeds => {
                let words: Vec<String> = seeds.iter().map(u64::to_string).collect();
                f.write_str(&words.join(","))
            }
        }
    }
}

impl Serialize for SeedList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SeedList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for SeedList {
    fn schema_name() -> Cow<'static, str> {
        "SeedList".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Seeds of several runs, as in `1-5` or `1,2,7`.",
            "type": "string",
            "pattern": "^[0-9]+(-[0-9]+)?(, *[0-9]+(-[0-9]+)?)*$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_lists_are_read_and_duplicates_refused() {
        let read = |text: &str| text.parse::<SeedList>();
        assert_eq!(read("1-5").expect("a span").seeds(), [1, 2, 3, 4, 5]);
        assert_eq!(read("1,2,7").expect("a list").seeds(), [1, 2, 7]);
        assert_eq!(read("3, 10-11").expect("both").seeds(), [3, 10, 11]);
        assert_eq!(read("4-4").expect("one").to_string(), "4");
        assert_eq!(
            (
                read("1-3").expect("a span").to_string(),
                read("1,3").expect("a list").to_string()
            ),
            ("1-3".into(), "1,3".into())
        );
        assert_eq!(
            read("1,2,1"),
            Err("seed 1 stands there twice: each run needs its own".into())
        );
        for bad in ["", "a", "3-1", "1-", "-1", "1,,2", "0-999999"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
