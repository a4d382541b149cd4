use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A BLAKE3 digest: the name of a bundle, of a data set, of a feature specification. Written as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// Parts that are no longer in all are digested in one go.
const SHORT_BYTES: usize = 768;

/// A text that is no digest.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no digest: 64 hexadecimal digits expected")]
pub struct DigestError(String);

impl Digest {
    /// The digest of one byte string.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The digest of several byte strings; the lengths are hashed too, so that moving a border changes the digest.
    #[must_use]
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        let length: usize = parts.iter().map(|part| 8 + part.len()).sum();
        if length <= SHORT_BYTES {
            return Self::of_short(parts, length);
        }
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// The same in one go: for a few bytes the hasher would cost more than the hashing.
    fn of_short(parts: &[&[u8]], length: usize) -> Self {
        let mut bytes = [0; SHORT_BYTES];
        let mut rest = &mut bytes[..];
        for part in parts {
            let (head, tail) = rest.split_at_mut(8 + part.len());
            head[..8].copy_from_slice(&(part.len() as u64).to_le_bytes());
            head[8..].copy_from_slice(part);
            rest = tail;
        }
        Self::of(&bytes[..length])
    }

    /// The first 12 hex digits: enough for people and folder names.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }

    /// The raw bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.short())
    }
}

impl FromStr for Digest {
    type Err = DigestError;
    fn from_str(text: &str) -> Result<Self, DigestError> {
        blake3::Hash::from_hex(text)
            .map(|hash| Self(*hash.as_bytes()))
            .map_err(|_| DigestError(text.to_owned()))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&blake3::Hash::from_bytes(self.0).to_hex())
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?
                .parse()
                .map_err(serde::de::Error::custom)
        } else {
            <[u8; 32]>::deserialize(deserializer).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_parts_are_digested_alike() {
        for length in [0, 1, 400, SHORT_BYTES - 17, SHORT_BYTES - 16, 3_000] {
            let part = vec![7; length];
            let numbers = [1, length as u64].map(u64::to_le_bytes);
            let bytes = [&numbers[0][..], b"a", &numbers[1], &part].concat();
            assert_eq!(Digest::of_parts(&[b"a", &part]), Digest::of(&bytes), "{length}");
        }
    }
}
