use crate::protocol::{Code, Refusal, RequestId};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use std::fmt;

/// What every request says: its id, what it wants, and which other keys it has. Keys that the operation does not know
/// are refused, so that a misspelt bound cannot be overlooked.
#[derive(Debug)]
pub struct Envelope {
    /// The request's name for itself; replies repeat it.
    pub id: Option<RequestId>,
    /// What is wanted.
    pub op: String,
    keys: Vec<String>,
}

impl Envelope {
    /// Reads a line as far as all requests are the same.
    ///
    /// # Errors
    /// When the line is no JSON object or has no `op`.
    pub fn read(line: &[u8]) -> Result<Self, Refusal> {
        let text = std::str::from_utf8(line).map_err(|_| bad_json("the line is not UTF-8"))?;
        if !text.trim_start().starts_with('{') {
            return Err(bad_json("the line is no JSON object"));
        }
        serde_json::from_str(text).map_err(|error| match error.is_data() {
            true => bad_request(&error),
            false => bad_json(error.to_string()),
        })
    }

    /// The request of this operation, whose keys are `known`.
    ///
    /// # Errors
    /// When a key is unknown or missing, or a value is of another kind.
    pub fn body<T: DeserializeOwned>(&self, line: &[u8], known: &[&str]) -> Result<T, Refusal> {
        self.check_keys(known)?;
        // The line is sound JSON: a number out of a field's range is a matter of the request.
        serde_json::from_slice(line).map_err(|error| bad_request(&error))
    }

    /// Checks that the request has no other keys than the `known` ones.
    ///
    /// # Errors
    /// When it has.
    pub fn check_keys(&self, known: &[&str]) -> Result<(), Refusal> {
        let Some(key) = self.keys.iter().find(|key| !known.contains(&key.as_str())) else {
            return Ok(());
        };
        let takes = match known {
            [] => "no keys".to_owned(),
            known => format!("`{}`", known.join("`, `")),
        };
        let message = format!("unknown key `{key}`; `{}` takes {takes}", self.op);
        Err(Refusal::new(Code::BadRequest, message))
    }

    /// The refusal of an operation that is not among the `known` ones.
    #[must_use]
    pub fn unknown_op(&self, known: &str) -> Refusal {
        let message = format!("there is no operation `{}`; there is {known}", self.op);
        Refusal::new(Code::UnknownOp, message)
    }
}

impl<'de> Deserialize<'de> for Envelope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EnvelopeVisitor)
    }
}

struct EnvelopeVisitor;

impl<'de> Visitor<'de> for EnvelopeVisitor {
    type Value = Envelope;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a request object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Envelope, A::Error> {
        let (mut id, mut op, mut keys) = (None, None, Vec::new());
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "id" => id = map.next_value()?,
                "op" => op = Some(map.next_value()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    keys.push(key);
                }
            }
        }
        let op = op.ok_or_else(|| A::Error::missing_field("op"))?;
        Ok(Envelope { id, op, keys })
    }
}

fn bad_json(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::BadJson, message)
}

fn bad_request(error: &serde_json::Error) -> Refusal {
    Refusal::new(Code::BadRequest, error.to_string())
}
