use haggle_config::plain;
use serde::de::value::CowStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use std::borrow::Cow;
use std::fmt;

/// Reads a map as a struct that denies unknown fields, beside some keys that are somebody else's. A list is refused, in
/// whichever encoding.
pub(crate) struct Strict<D> {
    inner: D,
    beside: &'static [&'static str],
}

impl<D> Strict<D> {
    /// Keys in `beside` are passed over.
    pub fn beside(inner: D, beside: &'static [&'static str]) -> Self {
        Self { inner, beside }
    }
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Strict<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let beside = self.beside;
        self.inner.deserialize_map(Rest { visitor, beside })
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct Rest<V> {
    visitor: V,
    beside: &'static [&'static str],
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Rest<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        let beside = self.beside;
        let key = Cow::Borrowed("");
        self.visitor.visit_map(Fields { map, beside, key })
    }
}

struct Fields<'de, A> {
    map: A,
    beside: &'static [&'static str],
    /// Of the value that comes next.
    key: Cow<'de, str>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Fields<'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(Key(key)) = self.map.next_key()? {
            if !self.beside.contains(&&*key) {
                self.key.clone_from(&key);
                return seed.deserialize(CowStrDeserializer::new(key)).map(Some);
            }
            self.map.next_value::<IgnoredAny>()?;
        }
        Ok(None)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        let read = self.map.next_value_seed(seed);
        read.map_err(|error| {
            let said = error.to_string();
            // Where it stands JSON says at the end.
            let (what, place) = said.split_at(said.rfind(" at line ").unwrap_or(said.len()));
            A::Error::custom(format_args!("`{}`: {}{place}", self.key, plain(what)))
        })
    }
}

/// What stands in a request as an object of its own.
pub(crate) struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(Strict::beside(deserializer, &[])).map(Self)
    }
}

/// An object, and no list of its values.
pub(crate) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Object::deserialize(deserializer).map(|Object(value)| value)
}

/// An object or nothing.
pub(crate) fn object_or_none<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let object = Option::<Object<T>>::deserialize(deserializer)?;
    Ok(object.map(|Object(value)| value))
}

/// A list of objects.
pub(crate) fn objects<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let objects = Vec::<Object<T>>::deserialize(deserializer)?;
    Ok(objects.into_iter().map(|Object(value)| value).collect())
}

/// A text that is borrowed from the message where it can be.
pub(crate) struct Key<'a>(pub Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Key<'de>, E> {
        Ok(Key(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Key<'de>, E> {
        Ok(Key(Cow::Owned(text.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use crate::request::Op;
    use crate::wire::{Encoding, frame};
    use serde_json::json;

    #[test]
    fn what_is_wrong_names_its_field_in_both_encodings() {
        let price = |field: &str, value: serde_json::Value| {
            let mut request = json!({"session": "s", "item": "i"});
            request[field] = value;
            (Op::Price, request)
        };
        let reward =
            json!({"decision": "d", "reward_id": "r", "value_minor": 1, "units": 99_999_999_999_u64});
        for ((op, request), what) in [
            (
                price("stock", json!({"units_left": -1, "visits_left": 3})),
                "`stock`: `units_left`: found -1, expected a whole number from 0 to 4,294,967,295",
            ),
            (
                price("stock", json!([5, 3])),
                "`stock`: found a list, expected a map of fields",
            ),
            (
                price("stock", json!(5)),
                "`stock`: found 5, expected a map of fields",
            ),
            (
                price("stock", json!({"units_left": 5})),
                "`stock`: missing field `visits_left`",
            ),
            (
                price("bounds", json!([50, 60])),
                "`bounds`: found a list, expected a map of fields",
            ),
            (
                price("context", json!([1])),
                "`context`: found a list, expected a map of fields",
            ),
            (
                price("context", json!({"shelf": [["i", 5]]})),
                "`context`: `shelf`: found a list, expected a map of fields",
            ),
            (
                (Op::Reward, reward),
                "`units`: found 99999999999, expected a whole number from 0 to 4,294,967,295",
            ),
            (
                (Op::Rewards, json!({"rewards": [["d", "r", 1, 1]]})),
                "`rewards`: found a list, expected a map of fields",
            ),
        ] {
            let mut framed = Vec::new();
            frame(&mut framed, op as u8, 1, &request);
            let (_, refusal) = Encoding::MessagePack.read(&framed[4..]).expect_err(what);
            assert_eq!(refusal.message, what);
            let mut line = request;
            line["op"] = json!(op.name());
            let (_, refusal) = Encoding::Json.read(line.to_string().as_bytes()).expect_err(what);
            assert!(
                refusal.message.starts_with(&format!("{what} at line 1 column ")),
                "{refusal}"
            );
        }
    }
}
