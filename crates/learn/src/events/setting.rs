use protobuf::well_known_types::Value;
use tensorboard_proto::api::{DataType, HParamInfo};

/// A setting of a run as TensorBoard's table of runs shows it.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    /// A number.
    Number(f64),
    /// Yes or no.
    Flag(bool),
    /// Anything else.
    Text(String),
}

impl Setting {
    /// Its name and type.
    pub(super) fn info(&self, name: &str) -> HParamInfo {
        let mut info = HParamInfo::new();
        info.set_name(name.to_owned());
        info.set_field_type(match self {
            Self::Number(_) => DataType::DATA_TYPE_FLOAT64,
            Self::Flag(_) => DataType::DATA_TYPE_BOOL,
            Self::Text(_) => DataType::DATA_TYPE_STRING,
        });
        info
    }

    /// Its value.
    pub(super) fn value(&self) -> Value {
        let mut value = Value::new();
        match self {
            Self::Number(number) => value.set_number_value(*number),
            Self::Flag(flag) => value.set_bool_value(*flag),
            Self::Text(text) => value.set_string_value(text.clone()),
        }
        value
    }
}
