//! The audit log: rows, signed heads, and their verification.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use crate::time::Time;

/// One row of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditRow {
    /// Its place in the chain, from 1, without gaps.
    pub seq: u64,
    /// When.
    pub at: Time,
    /// Who: `admin:NAME`, `service:NAME`.
    pub actor: String,
    /// What: a route's operation, or a service's own word.
    pub action: String,
    /// On what: `device:ID`, `group:ID` …
    pub object: String,
    /// How it went: `ok`, or `refused: …`.
    pub outcome: String,
    /// More, as the chain holds it: a JSON object's text, or nothing.
    pub detail: String,
    /// From which address.
    pub source: String,
    /// The request's id.
    pub request: String,
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
    /// The chain was checked by a request before this one: look at the heads alone.
    #[serde(default)]
    pub heads_only: bool,
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
    /// What: `hash`, `link`, `gap`, `head-hash`, `head-missing`, `head-signature`, or `restored`: it was
    /// lost by a restore, which is no forgery and has its marker in the log.
    pub kind: String,
    /// One sentence.
    pub detail: String,
}

/// Which rows a list shows, newest first: query parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// On exactly this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// By exactly this actor: `admin:NAME`, `service:NAME`, `device:ID`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Exactly this action, or all that begin with it when it ends in a dot: `devices.`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Not before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// Most items wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

// === verification, for who has rows and heads and trusts nobody ===

impl AuditRow {
    /// The row's hash, from its content and the hash before it; `None` when a hash is not 64 hex digits.
    ///
    /// SHA-256 over the previous hash, the word `postern-audit-1`, seq and time in milliseconds as 64-bit
    /// big-endian, then each text (actor, action, object, outcome, detail, source, request) with its length in
    /// octets as 32-bit big-endian before it. The first row's previous hash is 32 zero octets.
    #[must_use]
    pub fn computed_hash(&self) -> Option<String> {
        let previous = data_encoding::HEXLOWER.decode(self.previous.as_bytes()).ok()?;
        if previous.len() != 32 {
            return None;
        }
        let mut digest = Sha256::new();
        digest.update(&previous);
        digest.update(b"postern-audit-1");
        digest.update(i64::try_from(self.seq).ok()?.to_be_bytes());
        digest.update(self.at.0.0.to_be_bytes());
        let texts = [
            &self.actor,
            &self.action,
            &self.object,
            &self.outcome,
            &self.detail,
            &self.source,
            &self.request,
        ];
        for text in texts {
            digest.update(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
            digest.update(text.as_bytes());
        }
        Some(data_encoding::HEXLOWER.encode(&digest.finalize()))
    }
}

/// Checks `rows`, oldest first, and every head against them. A head before the first row cannot be checked and
/// does not count; one after the last row is a fault: rows are missing at the end.
#[must_use]
pub fn verify(rows: &[AuditRow], heads: &[AuditHead], public_key_pem: &str) -> AuditVerified {
    let mut checked = AuditVerified {
        ok: false,
        first: rows.first().map_or(0, |row| row.seq),
        last: rows.last().map_or(0, |row| row.seq),
        heads: 0,
        faults: Vec::new(),
        public_key_pem: public_key_pem.to_owned(),
    };
    let mut before: Option<&AuditRow> = None;
    for row in rows {
        checked.faults.extend(fault_of(row, before));
        before = Some(row);
    }
    let key = public_key(public_key_pem);
    for head in heads {
        match fault_of_head(head, rows, key.as_deref()) {
            Some(fault) => checked.faults.push(fault),
            None if head.seq < checked.first => {}
            None => checked.heads += 1,
        }
    }
    checked.ok = checked.faults.is_empty();
    checked
}

fn fault_of(row: &AuditRow, before: Option<&AuditRow>) -> Option<AuditFault> {
    let fault = |kind: &str, detail: String| Some(AuditFault { seq: row.seq, kind: kind.to_owned(), detail });
    match before {
        Some(before) if row.seq != before.seq + 1 => {
            return fault("gap", format!("row {} follows row {}", row.seq, before.seq));
        }
        Some(before) if row.previous != before.hash => {
            return fault("link", "it does not follow the row before it".to_owned());
        }
        None if row.seq == 1 && row.previous.bytes().any(|digit| digit != b'0') => {
            return fault("link", "the first row follows something".to_owned());
        }
        _ => {}
    }
    if row.computed_hash().as_deref() == Some(row.hash.as_str()) {
        return None;
    }
    fault("hash", "its content is not what was hashed".to_owned())
}

fn fault_of_head(head: &AuditHead, rows: &[AuditRow], key: Option<&[u8]>) -> Option<AuditFault> {
    let fault = |kind: &str, detail: &str| {
        Some(AuditFault { seq: head.seq, kind: kind.to_owned(), detail: detail.to_owned() })
    };
    let signature = data_encoding::BASE64.decode(head.signature.as_bytes()).unwrap_or_default();
    let signed = key.is_some_and(|key| {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key)
            .verify(head.signed_text().as_bytes(), &signature)
            .is_ok()
    });
    if !signed {
        return fault("head-signature", "the audit key did not sign this head");
    }
    let first = rows.first().map_or(1, |row| row.seq);
    if head.seq < first {
        return None;
    }
    let row =
        usize::try_from(head.seq - first).ok().and_then(|at| rows.get(at)).filter(|row| row.seq == head.seq);
    match row {
        None => fault("head-missing", "the row that this head names is gone"),
        Some(row) if row.hash != head.hash => fault("head-hash", "the row is not the one that was signed"),
        Some(_) => None,
    }
}

/// The point of a P-256 key in SubjectPublicKeyInfo PEM: its last 65 octets.
pub(crate) fn public_key(pem: &str) -> Option<Vec<u8>> {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).flat_map(str::chars).collect();
    let der = data_encoding::BASE64.decode(body.trim().as_bytes()).ok()?;
    let point = der.len().checked_sub(65)?;
    (der[point] == 4).then(|| der[point..].to_vec())
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
    };
    use postern_wire::terms::UtcMillis;

    use super::*;

    fn chain(length: u64) -> Vec<AuditRow> {
        let mut rows: Vec<AuditRow> = Vec::new();
        for seq in 1..=length {
            let mut row = AuditRow {
                seq,
                at: Time(UtcMillis(1000)),
                actor: "admin:a".into(),
                action: "devices.enrol".into(),
                object: format!("device:{seq}"),
                outcome: "ok".into(),
                detail: "{}".into(),
                source: "::1".into(),
                request: "r".into(),
                previous: rows.last().map_or_else(|| "0".repeat(64), |row| row.hash.clone()),
                hash: String::new(),
            };
            row.hash = row.computed_hash().unwrap();
            rows.push(row);
        }
        rows
    }

    fn key() -> (EcdsaKeyPair, String) {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let pem = data_encoding::BASE64.encode(pair.public_key().as_ref());
        (pair, format!("-----BEGIN PUBLIC KEY-----\n{pem}\n-----END PUBLIC KEY-----\n"))
    }

    fn head(row: &AuditRow, pair: &EcdsaKeyPair) -> AuditHead {
        let mut head = AuditHead {
            seq: row.seq,
            hash: row.hash.clone(),
            at: Time(UtcMillis(2000)),
            signature: String::new(),
            key: "k".into(),
        };
        let signature = pair.sign(&SystemRandom::new(), head.signed_text().as_bytes()).unwrap();
        head.signature = data_encoding::BASE64.encode(signature.as_ref());
        head
    }

    #[test]
    fn a_whole_chain_with_its_heads_holds() {
        let (rows, (pair, pem)) = (chain(3), key());
        let verified = verify(&rows, &[head(&rows[1], &pair), head(&rows[2], &pair)], &pem);
        assert!(verified.ok && verified.heads == 2, "{verified:?}");
    }

    #[test]
    fn every_kind_of_tampering_is_found_where_it_is() {
        let (pair, pem) = key();
        let whole = chain(4);
        let mut changed = whole.clone();
        changed[1].object = "device:other".into();
        let mut rehashed = changed.clone();
        rehashed[1].hash = rehashed[1].computed_hash().unwrap();
        let mut cut_inside = whole.clone();
        cut_inside.remove(2);
        let (other, _) = key();
        for (rows, heads, seq, kind) in [
            (changed, vec![], 2, "hash"),
            (rehashed, vec![], 3, "link"),
            (cut_inside, vec![], 4, "gap"),
            (whole[..3].to_vec(), vec![head(&whole[3], &pair)], 4, "head-missing"),
            (whole.clone(), vec![head(&whole[3], &other)], 4, "head-signature"),
        ] {
            let verified = verify(&rows, &heads, &pem);
            assert_eq!(verified.faults.first().map(|f| (f.seq, f.kind.as_str())), Some((seq, kind)));
        }
    }

    #[test]
    fn a_log_that_was_written_anew_as_a_whole_is_found_by_a_head_that_was_kept() {
        let (pair, pem) = key();
        let old = chain(2);
        let mut anew = old.clone();
        anew[0].actor = "admin:b".into();
        anew[0].hash = anew[0].computed_hash().unwrap();
        anew[1].previous = anew[0].hash.clone();
        anew[1].hash = anew[1].computed_hash().unwrap();
        assert!(verify(&anew, &[], &pem).ok);
        assert_eq!(verify(&anew, &[head(&old[1], &pair)], &pem).faults[0].kind, "head-hash");
    }
}
