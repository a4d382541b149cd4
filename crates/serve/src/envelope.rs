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
        serde_json::from_slice(line).map_err(|error| refuse(&error))
    }

    /// The request of this operation, whose keys are `known`.
    ///
    /// # Errors
    /// When a key is unknown or missing, or a value is of another kind.
    pub fn body<T: DeserializeOwned>(&self, line: &[u8], known: &[&str]) -> Result<T, Refusal> {
        match self.keys.iter().find(|key| !known.contains(&key.as_str())) {
            Some(key) => {
                let known = known.join("`, `");
                let message = format!("unknown key `{key}`; `{}` takes `{known}`", self.op);
                Err(Refusal::new(Code::BadRequest, message))
            }
            None => serde_json::from_slice(line).map_err(|error| refuse(&error)),
        }
    }

    /// Checks that the request says nothing else.
    ///
    /// # Errors
    /// When it has other keys.
    pub fn nothing_else(&self) -> Result<(), Refusal> {
        match self.keys.first() {
            Some(key) => {
                let message = format!("unknown key `{key}`; `{}` takes no keys", self.op);
                Err(Refusal::new(Code::BadRequest, message))
            }
            None => Ok(()),
        }
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

fn refuse(error: &serde_json::Error) -> Refusal {
    let code = if error.is_data() {
        Code::BadRequest
    } else {
        Code::BadJson
    };
    Refusal::new(code, error.to_string())
}
