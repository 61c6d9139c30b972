//! The audit log: rows, signed heads, and their verification.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::Time;

/// One row of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditRow {
    /// Its place in the chain, from 1, without gaps.
    pub seq: u64,
    /// When.
    pub at: Time,
    /// Who: `admin NAME`, or a service's name.
    pub actor: String,
    /// What: a route's operation, or a service's own word.
    pub action: String,
    /// On what: `device <id>`, `group <id>` …
    pub target: String,
    /// More, as the chain holds it: a JSON object's text.
    pub detail: String,
    /// The hash of the row before, in hex.
    pub previous: String,
    /// This row's hash, in hex.
    pub hash: String,
}

/// A signed head: what the chain was at a moment. One JSON line each in the anchor file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditHead {
    /// The last row's place.
    pub seq: u64,
    /// Its hash, in hex.
    pub hash: String,
    /// When it was signed.
    pub at: Time,
    /// ECDSA P-256 with SHA-256, fixed form, base64, over [`AuditHead::signed_text`].
    pub signature: String,
    /// The signing key's name: the first 16 hex digits of its SHA-256.
    pub key: String,
}

impl AuditHead {
    /// The text under the signature.
    #[must_use]
    pub fn signed_text(&self) -> String {
        format!("postern-audit-head-1\n{}\n{}\n{}\n", self.seq, self.hash, self.at.0.0)
    }
}

/// Check the chain against heads that were kept elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyAudit {
    /// Heads, as the anchor file holds them; none checks the chain alone.
    #[serde(default)]
    pub heads: Vec<AuditHead>,
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditVerified {
    /// Whether everything held.
    pub ok: bool,
    /// The first row that was checked.
    pub first: u64,
    /// The last row that was checked.
    pub last: u64,
    /// Heads that held.
    pub heads: u64,
    /// What did not hold, the first places first.
    pub faults: Vec<AuditFault>,
    /// The audit key's public part in PEM, to compare with the one kept aside.
    pub public_key_pem: String,
}

/// One thing that did not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditFault {
    /// At which row.
    pub seq: u64,
    /// What: `hash`, `link`, `gap`, `head-hash`, `head-missing`, `head-signature`.
    pub kind: String,
    /// One sentence.
    pub detail: String,
}

/// Which rows a list shows: query parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// Upwards from this sequence number; without it, the newest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// By exactly this actor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Of exactly this action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// On exactly this target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Most items wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}
