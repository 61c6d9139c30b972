//! The data of a record by its type (MS-GPREG 2.2.1, MS-DTYP's registry types).
//!
//! Promise: a type that is not known, and data that does not fit its type, keep their octets; only the typed
//! reading fails.

use serde::Serialize;

use super::Record;

/// REG_NONE.
pub const NONE: u32 = 0;
/// REG_SZ.
pub const SZ: u32 = 1;
/// REG_EXPAND_SZ.
pub const EXPAND_SZ: u32 = 2;
/// REG_BINARY.
pub const BINARY: u32 = 3;
/// REG_DWORD, little-endian.
pub const DWORD: u32 = 4;
/// REG_DWORD_BIG_ENDIAN.
pub const DWORD_BIG_ENDIAN: u32 = 5;
/// REG_MULTI_SZ.
pub const MULTI_SZ: u32 = 7;
/// REG_QWORD, little-endian.
pub const QWORD: u32 = 11;

/// A value by its type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// DWORD of either order, QWORD.
    Number(u64),
    /// SZ, EXPAND_SZ.
    Text(String),
    /// MULTI_SZ.
    List(Vec<String>),
    /// BINARY, NONE and types that are not known.
    Octets(Vec<u8>),
}

/// Data that does not fit its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// A number of another size.
    #[error("{got} octets where the type has {wanted}")]
    Size {
        /// What the type has.
        wanted: usize,
        /// What is there.
        got: usize,
    },
    /// Text that is not UTF-16.
    #[error("the text is not valid UTF-16")]
    NotText,
}

impl Record {
    /// The value by its type.
    pub fn typed(&self) -> Result<Value, ValueError> {
        typed(self.kind, &self.data)
    }
}

/// A value by its type.
pub fn typed(kind: u32, data: &[u8]) -> Result<Value, ValueError> {
    let size = |wanted| ValueError::Size { wanted, got: data.len() };
    match kind {
        SZ | EXPAND_SZ => Ok(Value::Text(first_string(data)?)),
        MULTI_SZ => Ok(Value::List(strings(data)?)),
        DWORD => data.try_into().map(|d| Value::Number(u32::from_le_bytes(d).into())).map_err(|_| size(4)),
        DWORD_BIG_ENDIAN => {
            data.try_into().map(|d| Value::Number(u32::from_be_bytes(d).into())).map_err(|_| size(4))
        }
        QWORD => data.try_into().map(|d| Value::Number(u64::from_le_bytes(d))).map_err(|_| size(8)),
        _ => Ok(Value::Octets(data.to_vec())),
    }
}

/// The name of a type, as `reg` writes it.
#[must_use]
pub fn kind_name(kind: u32) -> &'static str {
    match kind {
        NONE => "REG_NONE",
        SZ => "REG_SZ",
        EXPAND_SZ => "REG_EXPAND_SZ",
        BINARY => "REG_BINARY",
        DWORD => "REG_DWORD",
        DWORD_BIG_ENDIAN => "REG_DWORD_BIG_ENDIAN",
        6 => "REG_LINK",
        MULTI_SZ => "REG_MULTI_SZ",
        QWORD => "REG_QWORD",
        _ => "unknown",
    }
}

/// Up to the first NUL; without a NUL to the end.
fn first_string(data: &[u8]) -> Result<String, ValueError> {
    let mut units = units(data)?;
    if let Some(end) = units.iter().position(|unit| *unit == 0) {
        units.truncate(end);
    }
    String::from_utf16(&units).map_err(|_| ValueError::NotText)
}

/// Strings with a NUL each, up to an empty one.
fn strings(data: &[u8]) -> Result<Vec<String>, ValueError> {
    let units = units(data)?;
    let texts = units.split(|unit| *unit == 0).take_while(|text| !text.is_empty());
    texts.map(|text| String::from_utf16(text).map_err(|_| ValueError::NotText)).collect()
}

fn units(data: &[u8]) -> Result<Vec<u16>, ValueError> {
    if !data.len().is_multiple_of(2) {
        return Err(ValueError::NotText);
    }
    Ok(data.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect())
}
