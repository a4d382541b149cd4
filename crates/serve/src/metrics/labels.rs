//! Labels that become texts only when somebody asks for them.

use haggle_core::Digest;
use prometheus_client::encoding::{EncodeLabelValue, LabelValueEncoder};
use serde::Serialize;
use std::fmt::{self, Write};

/// The first digits of a digest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Short(pub Digest);

/// A plain enum, by the name that it has on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Named<T>(pub T);

impl EncodeLabelValue for Short {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(&self.0.short())
    }
}

impl<T: Serialize> EncodeLabelValue for Named<T> {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(&name(&self.0))
    }
}

/// The name that a plain enum has on the wire.
pub fn name<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => "other".to_owned(),
    }
}
