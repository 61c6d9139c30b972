//! Quirk profiles: what models of devices cannot do, and how they are recognised.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::Time;

/// A quirk profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuirkProfile {
    /// Its name; unique.
    pub name: String,
    /// built-in, operator, or operator in the place of a built-in one of this name (`replaced`).
    pub origin: String,
    /// Where it was seen.
    pub source: String,
    /// What a client has to be: man, mod, swv, user_agent, content_type; all that is given, `*` for any text.
    pub matches: BTreeMap<String, String>,
    /// What it sets.
    pub quirks: BTreeMap<String, String>,
    /// The profile as TOML, as `quirks add` takes it.
    pub document: String,
    /// Who added it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_by: Option<String>,
    /// When it was added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_at: Option<Time>,
}

/// Profiles to add, or to put in the place of those of their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddQuirks {
    /// `[[profile]]` tables: name, source, match, quirks.
    pub document: String,
}

/// A profile that a device's client matches, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AppliedProfile {
    /// Its name.
    pub name: String,
    /// built-in, operator or replaced; `gone` where it was deleted since and counts for nothing.
    pub origin: String,
    /// What it asks of a client, which this one fits.
    pub because: String,
    /// Where it was seen.
    pub source: String,
    /// What it sets.
    pub quirks: BTreeMap<String, String>,
}
