//! A moment as the API writes it: RFC 3339 in UTC with milliseconds.

use std::{fmt, str::FromStr};

use postern_wire::terms::UtcMillis;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type},
    },
};

/// A moment, written as `2026-11-21T21:05:00.000Z`; any offset is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub UtcMillis);

impl From<UtcMillis> for Time {
    fn from(at: UtcMillis) -> Self {
        Self(at)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The text is not an RFC 3339 time with an offset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an RFC 3339 time such as 2026-11-21T21:05:00Z")]
pub struct NotATime(pub String);

impl FromStr for Time {
    type Err = NotATime;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let stamp: jiff::Timestamp = text.parse().map_err(|_| NotATime(text.to_owned()))?;
        Ok(Self(UtcMillis(stamp.as_millisecond())))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("RFC 3339, in UTC with milliseconds when the core writes it."))
            .into()
    }
}

impl ToSchema for Time {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_with_any_offset_is_read_and_written_in_utc() {
        let time: Time = "2026-11-21T23:05:00+02:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-11-21T21:05:00.000Z");
        assert_eq!(serde_json::to_string(&time).unwrap(), "\"2026-11-21T21:05:00.000Z\"");
    }

    #[test]
    fn a_time_without_an_offset_is_refused() {
        assert!("2026-11-21T23:05:00".parse::<Time>().is_err());
    }
}
