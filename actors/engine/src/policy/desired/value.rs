//! Values as a device gives them back: equal in meaning, whatever their spelling.

use postern_wire::{auth, syncml::Data};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The beginning of a value's SHA-256: enough to tell whether it is the same, and short in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mark(u64);

impl Mark {
    /// Of a value; none is that the node is not there.
    #[must_use]
    pub fn of(format: &str, data: Option<&str>) -> Self {
        let mut hash = Sha256::new();
        hash.update([u8::from(data.is_some())]);
        if let Some(data) = data {
            hash.update(normal(format, data));
        }
        let digest: [u8; 32] = hash.finalize().into();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        // 53 bits: a number that every reader of JSON keeps.
        Self(u64::from_be_bytes(first) >> 11)
    }
}

/// Whether two texts say the same in a format.
#[must_use]
pub fn same(format: &str, one: &str, other: &str) -> bool {
    one == other || normal(format, one) == normal(format, other)
}

/// A value of a device as text; what is binary becomes base64.
#[must_use]
pub fn text(data: &Data) -> String {
    match data {
        Data::Text(text) | Data::Markup(text) => text.clone(),
        Data::Binary(octets) => {
            use base64::{Engine as _, prelude::BASE64_STANDARD};
            BASE64_STANDARD.encode(octets)
        }
    }
}

/// A value that a device gave, as every device takes it back: some say `1` or `True` for a truth.
pub(super) fn spelt(format: &str, data: &str) -> String {
    match format.eq_ignore_ascii_case("bool") {
        true => String::from_utf8(normal("bool", data)).unwrap_or_else(|_| data.to_owned()),
        false => data.to_owned(),
    }
}

fn normal(format: &str, text: &str) -> Vec<u8> {
    let trimmed = text.trim();
    match format.to_ascii_lowercase().as_str() {
        "bool" if ["1", "true"].iter().any(|word| trimmed.eq_ignore_ascii_case(word)) => b"true".to_vec(),
        "bool" if ["0", "false"].iter().any(|word| trimmed.eq_ignore_ascii_case(word)) => b"false".to_vec(),
        "int" => match trimmed.parse::<i64>() {
            Ok(number) => number.to_string().into_bytes(),
            Err(_) => trimmed.as_bytes().to_vec(),
        },
        "b64" | "bin" => auth::decode_base64(trimmed).unwrap_or_else(|| trimmed.as_bytes().to_vec()),
        _ => trimmed.as_bytes().to_vec(),
    }
}
