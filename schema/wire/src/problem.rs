//! Refusals as RFC 9457 problem details (`application/problem+json`).
//!
//! The type is `urn:postern:problem:<slug>`; the same slug stands in the log line and in what the CLI prints.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The media type of a problem document.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// What stands before the slug in a problem's type.
pub const TYPE_PREFIX: &str = "urn:postern:problem:";

/// A problem document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProblemDetails {
    /// `urn:postern:problem:<slug>`.
    #[serde(rename = "type")]
    pub type_: String,
    /// A sentence that is the same for each occurrence of this type.
    pub title: String,
    /// The HTTP status code.
    pub status: u16,
    /// What happened this time and what to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The URI of this occurrence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Further members, at the top level of the document.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl ProblemDetails {
    /// A problem of the type `urn:postern:problem:<slug>`.
    #[must_use]
    pub fn new(slug: &str, title: impl Into<String>, status: u16) -> Self {
        let (type_, title) = (type_of(slug), title.into());
        Self { type_, title, status, detail: None, instance: None, extra: Map::new() }
    }

    /// With the detail of this occurrence.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// With the URI of this occurrence.
    #[must_use]
    pub fn instance(mut self, instance: impl Into<String>) -> Self {
        self.instance = Some(instance.into());
        self
    }

    /// With one more member.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(name.to_owned(), value.into());
        self
    }

    /// The slug, when the type is one of ours.
    #[must_use]
    pub fn slug(&self) -> Option<&str> {
        self.type_.strip_prefix(TYPE_PREFIX)
    }

    /// The document as JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings, a number and JSON values always serialise")
    }
}

/// The type URI of a slug.
#[must_use]
pub fn type_of(slug: &str) -> String {
    format!("{TYPE_PREFIX}{slug}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_carries_its_slug_and_its_own_members_at_the_top_level() {
        let problem = ProblemDetails::new("route-unknown", "No device has this address", 404)
            .detail("the enrolment was retired")
            .with("since", "2026-11-21T00:00:00Z");
        let json = problem.to_json();
        assert_eq!(
            json,
            r#"{"type":"urn:postern:problem:route-unknown","title":"No device has this address","status":404,"detail":"the enrolment was retired","since":"2026-11-21T00:00:00Z"}"#
        );
        let back: ProblemDetails = serde_json::from_str(&json).unwrap();
        assert_eq!(back, problem);
        assert_eq!(back.slug(), Some("route-unknown"));
    }
}
