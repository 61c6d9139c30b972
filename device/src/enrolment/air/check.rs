//! Whether what a proved core says can be used at all: its anchors are certificates, its keys are keys.

use postern_wire::{
    enrol::{Der, Welcome},
    recovery::EscrowKey,
};
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;

use super::AirError;
use crate::{keys::VerifyingKey, recovery};

pub(super) fn welcome(welcome: &Welcome) -> Result<(), AirError> {
    anchors("server CA", &welcome.server_cas)?;
    anchors("device CA", &welcome.device_cas)?;
    for (what, key) in [("message key", &welcome.message_key), ("order key", &welcome.order_key)] {
        VerifyingKey::from_pem(&pem("PUBLIC KEY", &key.0), what).map_err(|_| AirError::Unusable(what))?;
    }
    if let Some(key) = &welcome.escrow_key {
        let key = EscrowKey::from_der(key.0.clone()).ok();
        key.filter(recovery::can_seal).ok_or(AirError::Unusable("escrow key"))?;
    }
    Ok(())
}

fn anchors(what: &'static str, given: &[Der]) -> Result<(), AirError> {
    let mut roots = RootCertStore::empty();
    given.iter().try_for_each(|one| {
        roots.add(CertificateDer::from(one.0.as_slice())).map_err(|_| AirError::Unusable(what))
    })
}

/// DER as PEM (RFC 7468).
pub(super) fn pem(label: &str, der: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = more;
    }
    pem + &format!("-----END {label}-----\n")
}
