use crate::protocol::RequestId;
use crate::refusal::{Code, Refusal};
use crate::strict::{Key, Strict};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// What every JSON request says: its id, and what it wants.
#[derive(Debug)]
pub(crate) struct Envelope<'a> {
    /// The request's name for itself; replies repeat it.
    pub id: Option<RequestId>,
    /// What is wanted.
    pub op: Cow<'a, str>,
}

impl<'a> Envelope<'a> {
    /// Reads a line as far as all requests are the same.
    ///
    /// # Errors
    /// When the line is no JSON object or has no `op`.
    pub fn read(line: &'a [u8]) -> Result<Self, Refusal> {
        let text = std::str::from_utf8(line).map_err(|_| bad_json("the line is not UTF-8"))?;
        if !text.trim_start().starts_with('{') {
            return Err(bad_json("the line is no JSON object"));
        }
        serde_json::from_str(text).map_err(|error| match error.is_data() {
            true => bad_request(&error),
            false => bad_json(error.to_string()),
        })
    }

    /// The rest of the request.
    ///
    /// # Errors
    /// When a key is unknown or missing, or a value is of another kind.
    pub fn body<T: DeserializeOwned>(&self, line: &[u8]) -> Result<T, Refusal> {
        // The line is sound JSON: a number out of a field's range is a matter of the request.
        let mut json = serde_json::Deserializer::from_slice(line);
        T::deserialize(Strict::beside(&mut json, &["id", "op"])).map_err(|error| bad_request(&error))
    }

    /// The refusal of an operation that is not among the `known` ones.
    #[must_use]
    pub fn unknown_op(&self, known: &str) -> Refusal {
        let message = format!("there is no operation `{}`; there is {known}", self.op);
        Refusal::new(Code::UnknownOp, message)
    }
}

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EnvelopeVisitor)
    }
}

struct EnvelopeVisitor;

impl<'de> Visitor<'de> for EnvelopeVisitor {
    type Value = Envelope<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a request object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Envelope<'de>, A::Error> {
        let (mut id, mut op) = (None, None);
        while let Some(Key(key)) = map.next_key()? {
            match &*key {
                "id" if id.is_some() => return Err(A::Error::duplicate_field("id")),
                "op" if op.is_some() => return Err(A::Error::duplicate_field("op")),
                "id" => id = Some(map.next_value()?),
                "op" => op = Some(map.next_value::<Key<'de>>()?.0),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let op = op.ok_or_else(|| A::Error::missing_field("op"))?;
        let id = id.flatten();
        Ok(Envelope { id, op })
    }
}

fn bad_json(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::BadJson, message)
}

fn bad_request(error: &serde_json::Error) -> Refusal {
    Refusal::new(Code::BadRequest, error.to_string())
}
