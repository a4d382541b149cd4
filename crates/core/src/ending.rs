use crate::PriceMinor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The last digits of a price in minor units: "9" allows 149 and 99, "50" allows 150 and 50.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Ending {
    value: u32,
    digits: u32,
}

impl Ending {
    /// Whether a price ends like this.
    #[must_use]
    pub fn fits(self, price: PriceMinor) -> bool {
        price.0 % 10u32.pow(self.digits) == self.value
    }
}

impl TryFrom<String> for Ending {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let digits = text.len() as u32;
        let sound = (1..=4).contains(&digits) && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(value) if sound => Ok(Self { value, digits }),
            _ => Err(format!(
                "`{text}` is no price ending: 1 to 4 digits, such as \"9\" or \"95\""
            )),
        }
    }
}

impl From<Ending> for String {
    fn from(ending: Ending) -> Self {
        format!("{:0width$}", ending.value, width = ending.digits as usize)
    }
}
