use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// A span of the shop's weeks, written `1-30`: both ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weeks(Range<u32>);

impl Weeks {
    /// First week and one past the last.
    pub fn range(&self) -> Range<u32> {
        self.0.clone()
    }

    /// How many weeks there are.
    pub fn count(&self) -> u32 {
        self.0.end - self.0.start
    }

    /// The first `weeks` weeks of this span and the rest; `None` when one of the two would be empty.
    pub fn split_at(&self, weeks: u32) -> Option<(Self, Self)> {
        let middle = self.0.start + weeks;
        (weeks > 0 && middle < self.0.end).then_some((Self(self.0.start..middle), Self(middle..self.0.end)))
    }
}

impl FromStr for Weeks {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no span of weeks: write first-last, as in 1-30");
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last): (u32, u32) = (
            first.trim().parse().map_err(|_| wrong())?,
            last.trim().parse().map_err(|_| wrong())?,
        );
        if first == 0 || first > last || last > 1_000_000 {
            return Err(format!("weeks {text}: need 1 <= first <= last"));
        }
        Ok(Self(first..last + 1))
    }
}

impl fmt::Display for Weeks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0.start, self.0.end - 1)
    }
}

impl Serialize for Weeks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Weeks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Weeks {
    fn schema_name() -> Cow<'static, str> {
        "Weeks".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A span of weeks, both ends included, as in `1-30`, or one week.",
            "type": "string",
            "pattern": "^[0-9]+(-[0-9]+)?$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_include_both_ends() {
        let weeks: Weeks = "1-30".parse().expect("a span");
        assert_eq!(
            (weeks.range(), weeks.count(), weeks.to_string()),
            (1..31, 30, "1-30".to_owned())
        );
        assert_eq!("7".parse(), Ok(Weeks(7..8)));
        for bad in ["", "0-3", "5-4", "a-b", "1-2-3", "-1"] {
            assert!(bad.parse::<Weeks>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_span_splits_into_two_that_are_not_empty() {
        let weeks: Weeks = "31-40".parse().expect("a span");
        let (live, last) = weeks.split_at(5).expect("ten weeks split");
        assert_eq!(
            (live.to_string(), last.to_string()),
            ("31-35".into(), "36-40".into())
        );
        assert_eq!(weeks.split_at(10), None);
    }
}
