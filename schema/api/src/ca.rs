//! CAs and the certificates that they issued.

use postern_wire::terms;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{schema, time::Time};

/// One generation of a role's CA.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CertificateAuthority {
    /// What its certificates are for.
    #[schema(value_type = schema::CaRole)]
    pub role: terms::CaRole,
    /// Counts from 1.
    pub generation: u32,
    /// Where it stands.
    #[schema(value_type = schema::CaState)]
    pub state: terms::CaState,
    /// Its subject.
    pub name: String,
    /// Its name in lists and in `/crl/1/<issuer>.crl`.
    pub issuer: String,
    /// Its certificate and what is above it, PEM; empty while it is requested.
    pub chain_pem: String,
    /// Its certificate's Not before.
    pub not_before: Time,
    /// Its certificate's Not after.
    pub not_after: Time,
    /// When it was made, and by whom.
    pub made_at: Time,
    /// By whom.
    pub made_by: String,
    /// When it was retired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<Time>,
    /// Whether the generation before has certified it too, for who does not know it yet.
    pub bridged: bool,
    /// The number of its newest CRL; 0 before the first.
    pub crl_number: u64,
    /// When that was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crl_at: Option<Time>,
    /// When the next one is there at the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crl_next: Option<Time>,
}

/// A role's CA as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CaStatus {
    /// Which role.
    #[schema(value_type = schema::CaRole)]
    pub role: terms::CaRole,
    /// Its generations, the newest first.
    pub generations: Vec<CertificateAuthority>,
    /// `none`, `requested` (a certificate is awaited from outside) or `rolling`.
    pub roll_over: String,
    /// From which generation, while it rolls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u32>,
    /// To which generation, while it rolls or is requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u32>,
    /// Who still has a certificate of another generation than the one that signs, or has not learnt of that one.
    pub stragglers: Vec<Straggler>,
    /// There are more stragglers than are listed.
    pub more_stragglers: bool,
    /// What is wrong with it, a sentence each.
    pub troubles: Vec<String>,
}

/// Who has not followed a roll-over yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Straggler {
    /// `device`, `gateway` or `core`.
    pub kind: String,
    /// Its id or name, as other commands take it.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// The generation that it is at; 0 where that is not known.
    pub generation: u32,
    /// Why it counts.
    pub why: String,
}

/// What to do with a roll-over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RollOverStep {
    /// Make the next generation; new certificates come from it, the old one stays trusted.
    Start,
    /// Retire the old generation.
    Finish,
    /// Go back to the old generation and retire the new one.
    Abort,
}

/// A step of a roll-over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollOver {
    /// What to do.
    pub step: RollOverStep,
    /// Although there are stragglers; needs `ca.force`.
    #[serde(default)]
    pub force: bool,
    /// Why; stands in the audit log.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Asks for a CA's certificate from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestCa {
    /// The common name that is asked for; of our own making when absent.
    #[serde(default)]
    pub name: Option<String>,
    /// Why; stands in the audit log.
    #[serde(default)]
    pub reason: Option<String>,
}

/// A signing request of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CaRequest {
    /// For which role.
    #[schema(value_type = schema::CaRole)]
    pub role: terms::CaRole,
    /// For which generation.
    pub generation: u32,
    /// PKCS#10, PEM.
    pub request_pem: String,
}

/// The chain that came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportCa {
    /// The CA's certificate and what is above it, in order, PEM; with the root where devices are to trust that.
    pub chain_pem: String,
    /// Why; stands in the audit log.
    #[serde(default)]
    pub reason: Option<String>,
}

/// A certificate that one of our CAs issued, or that we know of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Certificate {
    /// Its serial number, lower-case hex.
    pub serial: String,
    /// Its issuer, as lists name it.
    pub issuer: String,
    /// What it is for.
    #[schema(value_type = schema::CaRole)]
    pub role: terms::CaRole,
    /// Which generation signed it; 0 for a CA that is not ours.
    pub generation: u32,
    /// Whose: `postern:device:<enrolment>`, `postern:gateway:<name>`, `postern:core:<id>`.
    pub subject: String,
    /// SHA-256 of its DER, hex.
    pub fingerprint: String,
    /// Not before.
    pub not_before: Time,
    /// Not after.
    pub not_after: Time,
    /// When it was issued.
    pub issued_at: Time,
    /// `valid`, `replaced`, `expired` or `revoked`.
    pub state: String,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Time>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::RevocationReason>)]
    pub reason: Option<terms::RevocationReason>,
    /// The serial number of the one that took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
}

/// Which certificates are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateQuery {
    /// Most items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where the page before ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Of this role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<terms::CaRole>,
    /// Of this subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Revoked ones only, or those that are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<bool>,
    /// Those that end within so many days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_within_days: Option<u32>,
}

/// Whose certificate is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IssueFor {
    /// A gateway's link port.
    GatewayLink,
    /// A gateway's device port.
    GatewayServer,
    /// A core's links.
    CoreLink,
    /// A core's admin port.
    CoreServer,
}

/// A certificate to be issued over a key made elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IssueCertificate {
    /// What for.
    #[serde(rename = "for")]
    pub what: IssueFor,
    /// The gateway's name, or the core's id.
    pub id: String,
    /// Host names and addresses, for a server.
    #[serde(default)]
    pub names: Vec<String>,
    /// PKCS#10, PEM: only its key is taken.
    pub csr_pem: String,
    /// For how many days; 398 when absent, at most 825.
    #[serde(default)]
    pub days: Option<u32>,
    /// Why; stands in the audit log.
    #[serde(default)]
    pub reason: Option<String>,
}

/// A certificate over the key of a new request, in the place of one that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewCertificate {
    /// PKCS#10, PEM: only its key is taken.
    pub csr_pem: String,
    /// Host names and addresses, for a server.
    #[serde(default)]
    pub names: Vec<String>,
    /// For how many days; 398 when absent, at most 825.
    #[serde(default)]
    pub days: Option<u32>,
    /// Why; stands in the audit log.
    #[serde(default)]
    pub reason: Option<String>,
}

/// An issued certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IssuedCertificate {
    /// What is kept of it.
    pub certificate: Certificate,
    /// The certificate and what stands above it, PEM.
    pub chain_pem: String,
}

/// Revokes a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeCertificate {
    /// Why, as the CRL says it. A compromised key is refused; a device may fetch its wipe with any other.
    #[serde(default = "unspecified")]
    #[schema(value_type = schema::RevocationReason)]
    pub reason: terms::RevocationReason,
    /// Why, in your words; stands in the audit log.
    #[serde(default)]
    pub note: Option<String>,
}

const fn unspecified() -> terms::RevocationReason {
    terms::RevocationReason::Unspecified
}

/// A CRL: one of ours, or one that was imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Crl {
    /// Whose, as lists name it.
    pub issuer: String,
    /// Whose, for people.
    pub name: String,
    /// Whether it is ours; else it was imported.
    pub ours: bool,
    /// Its number.
    pub number: String,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub this_update: Option<Time>,
    /// When the next one is there at the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_update: Option<Time>,
    /// The list itself, DER in base64; of ours, and only where one is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub der_base64: Option<String>,
}

/// A CRL of another CA.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportCrl {
    /// The CRL in base64 of DER or of PEM.
    pub crl_base64: String,
    /// The certificate of its issuer, PEM, where that is not one of the CAs that are known.
    #[serde(default)]
    pub issuer_pem: Option<String>,
    /// Why; stands in the audit log.
    #[serde(default)]
    pub reason: Option<String>,
}

/// What an import did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportedCrl {
    /// The CRL.
    pub crl: Crl,
    /// Certificates that are blocked now and were not before, or are otherwise.
    pub blocked: u64,
    /// Certificates that are no longer blocked.
    pub freed: u64,
    /// Our own CAs that it lists: they are retired.
    pub retired: Vec<String>,
}
