//! Wipes: ask for one, follow it, take it back, let a device off, and prove what became of it.
//!
//! Nothing here claims an erasure that nobody saw: what a wipe was counted as done on stands beside its state.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use postern_wire::terms::{EnrolmentId, ProofClass, WipeEvidence, WipeKind, WipeState};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    audit::{self, AuditHead, AuditRow},
    schema,
    time::Time,
};

/// Goes before the document under a proof's signature.
pub const PROOF_CONTEXT: &str = "postern-wipe-proof-1\n";

/// Ask for the wipe of one device, or of many: all or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestWipe {
    /// The devices: an enrolment's id, DevId, name, hardware id, certificate's serial number, or owner, each. What fits
    /// several devices is refused with their list. 1 to 1,000.
    pub devices: Vec<String>,
    /// What is taken away.
    #[schema(value_type = schema::WipeKind)]
    pub kind: WipeKind,
    /// Why; stands in the audit log.
    pub reason: String,
    /// Lost or stolen: mail to the owner waits until it is done, for the thief may have the mailbox.
    #[serde(default)]
    pub lost: bool,
    /// Only say what would be hit, and how.
    #[serde(default)]
    pub dry_run: bool,
    /// In spite of a freeze. Told loudly.
    #[serde(default)]
    pub break_glass: bool,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RequestedWipes {
    /// Whether nothing was done.
    #[serde(default)]
    pub dry_run: bool,
    /// The approval that they wait for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Uuid>,
    /// The wipes, in the order of the request.
    pub wipes: Vec<Wipe>,
}

/// A wipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Wipe {
    /// Its id.
    pub id: Uuid,
    /// The device.
    #[schema(value_type = uuid::Uuid)]
    pub enrolment: EnrolmentId,
    /// Its generation: no other one gets this wipe.
    pub generation: u32,
    /// Its DevId. May hold text from outside.
    pub device_id: String,
    /// Where it stands.
    #[schema(value_type = schema::WipeState)]
    pub state: WipeState,
    /// What it takes away.
    #[schema(value_type = schema::WipeKind)]
    pub kind: WipeKind,
    /// How it is done on this device.
    pub way: String,
    /// The evidence that counts for this way.
    #[schema(value_type = Vec<schema::WipeEvidence>)]
    pub awaits: Vec<WipeEvidence>,
    /// What it was counted as done on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::WipeEvidence>)]
    pub evidence: Option<WipeEvidence>,
    /// The device's raw status or result code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i64>,
    /// How strongly the device's word was proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ProofClass>)]
    pub proof_class: Option<ProofClass>,
    /// Why it stands where it stands.
    pub cause: String,
    /// The device as the request named it.
    pub asked_for: String,
    /// Why it was asked for.
    pub reason: String,
    /// The device is lost or stolen.
    pub lost: bool,
    /// Who asked.
    pub requested_by: String,
    /// When.
    pub requested: Time,
    /// The approval that it waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Uuid>,
    /// When it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
    /// Since when it is armed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub armed: Option<Time>,
    /// For how long it has been armed, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub armed_age_s: Option<i64>,
    /// The first of the two persons who let the device off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disarm_asked_by: Option<String>,
    /// Tries so far.
    pub tries: u32,
    /// When something is done next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Time>,
    /// What was set when it was asked for.
    pub settings: WipeSettings,
    /// Counts its steps.
    pub revision: u64,
    /// Its stamps; of one wipe, not in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamps: Option<WipeStamps>,
}

/// What was set when a wipe was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WipeSettings {
    /// Tries after the first one.
    pub retries: u32,
    /// The wait after the first failed try, in seconds; it doubles.
    pub retry_wait_s: i64,
    /// How long it waits to be delivered, in seconds; for ever when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_after_s: Option<i64>,
    /// What becomes of the device when it is not proved done: `arm`, `disenroll` or `keep`.
    pub unsuccessful: String,
    /// Silence after an acknowledgement counts after so long, in seconds.
    pub silence_s: i64,
    /// The result of an accepted wipe is waited for so long, in seconds.
    pub completion_s: i64,
}

/// When what happened to a wipe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WipeStamps {
    /// Asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<Time>,
    /// Let pass, by the limits or by a second person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<Time>,
    /// The device was asked to come, the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert_first: Option<Time>,
    /// The last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert_last: Option<Time>,
    /// How often.
    pub alerts: u64,
    /// Put into a reply to the device, the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<Time>,
    /// Acknowledged by the device, the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_ack: Option<Time>,
    /// Tries that failed.
    pub retried: Vec<Time>,
    /// Succeeded, failed, expired, cancelled or in doubt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Time>,
    /// Armed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub armed: Option<Time>,
    /// Enrolment and certificate revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Time>,
    /// Gateways that have the device on their list, as refused, or as armed for the wipe alone.
    pub gateways: Vec<GatewayStamp>,
}

/// A gateway that has the device on its list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GatewayStamp {
    /// Its name.
    pub gateway: String,
    /// `refuse` or `wipe-only`.
    pub verdict: String,
    /// When it had said so.
    pub at: Time,
}

/// One step of a wipe's life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WipeStep {
    /// Which one, from 1.
    pub revision: u64,
    /// The state after it.
    #[schema(value_type = schema::WipeState)]
    pub state: WipeState,
    /// What happened.
    pub event: String,
    /// Why. May hold text from outside.
    pub cause: String,
    /// Who brought it about.
    pub actor: String,
    /// The device's status or result code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i64>,
    /// The session in which it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Uuid>,
    /// SHA-256 over the request and the reply in which it happened, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<String>,
    /// The row of the audit log that was written with it.
    pub audit: u64,
    /// When.
    pub at: Time,
}

/// Where a wipe is and why, and what can be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WipeExplanation {
    /// The wipe with its stamps.
    pub wipe: Wipe,
    /// Where it is and why, in sentences.
    pub findings: Vec<String>,
    /// What a person can do now, as command lines.
    pub possible: Vec<String>,
    /// Every step.
    pub steps: Vec<WipeStep>,
}

/// Say why, and do it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecideWipe {
    /// Why; stands in the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Which wipes a list shows, the newest first: query parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WipeQuery {
    /// In this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<WipeState>,
    /// Of this device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Outstanding ones only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outstanding: Option<bool>,
    /// Most items wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// What a proof says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WipeProofDocument {
    /// The wipe with its stamps.
    pub wipe: Wipe,
    /// Every step, with the hashes of the exchanges.
    pub steps: Vec<WipeStep>,
    /// SHA-256 over the hashes of all exchanges, in their order, in hex: what was said, in one figure.
    pub transcript: String,
    /// What this proves, in a sentence, and what it does not.
    pub claim: String,
    /// The rows of the audit log from the wipe's first step on to the signed head: they hang together, each by its hash.
    pub audit: Vec<AuditRow>,
    /// The signed head that the last of these rows is under.
    pub head: AuditHead,
    /// When the proof was made.
    pub made: Time,
}

/// A proof of what became of a wipe: signed JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WipeProof {
    /// What it says.
    pub document: WipeProofDocument,
    /// The audit key's name.
    pub key: String,
    /// ECDSA P-256 with SHA-256, fixed form, base64, over `postern-wipe-proof-1`, a line end, and the document as compact
    /// JSON with its names in order.
    pub signature: String,
}

impl WipeProofDocument {
    /// The octets under the signature: names in order, nothing between the tokens (`jq -cS .document`).
    ///
    /// # Errors
    /// Never for a document that was read or made here.
    pub fn signed_text(&self) -> Result<String, serde_json::Error> {
        let sorted: serde_json::Value = serde_json::to_value(self)?;
        Ok(format!("{PROOF_CONTEXT}{sorted}"))
    }

    /// The transcript's hash, from the steps.
    #[must_use]
    pub fn transcript_of(steps: &[WipeStep]) -> String {
        let mut hash = Sha256::new();
        hash.update(b"postern-wipe-transcript-1");
        for exchange in steps.iter().filter_map(|step| step.exchange.as_ref()) {
            hash.update(exchange.as_bytes());
        }
        data_encoding::HEXLOWER.encode(&hash.finalize())
    }
}

impl WipeProof {
    /// What does not hold, by the audit key's public part; nothing when all holds.
    #[must_use]
    pub fn faults(&self, public_key_pem: &str) -> Vec<String> {
        let mut faults = Vec::new();
        let document = &self.document;
        let signed = document.signed_text().unwrap_or_default();
        let signature = data_encoding::BASE64.decode(self.signature.as_bytes()).unwrap_or_default();
        let verifies = audit::public_key(public_key_pem).is_some_and(|key| {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key)
                .verify(signed.as_bytes(), &signature)
                .is_ok()
        });
        if !verifies {
            faults.push("the proof's signature does not verify by this key".to_owned());
        }
        if WipeProofDocument::transcript_of(&document.steps) != document.transcript {
            faults.push("the transcript's hash is not that of the steps".to_owned());
        }
        let checked = audit::verify(&document.audit, std::slice::from_ref(&document.head), public_key_pem);
        faults
            .extend(checked.faults.iter().map(|fault| format!("audit row {}: {}", fault.seq, fault.detail)));
        if checked.heads != 1 {
            faults.push("the rows of the audit log do not end under the signed head".to_owned());
        }
        for step in &document.steps {
            let row = document.audit.iter().find(|row| row.seq == step.audit);
            let names = row.is_some_and(|row| {
                row.action == format!("wipe.{}", step.event)
                    && row.detail.contains(&document.wipe.id.to_string())
            });
            if !names {
                faults.push(format!("step {} has no row of its own in the audit log", step.revision));
            }
        }
        faults
    }
}
