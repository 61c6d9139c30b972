//! Signing requests (PKCS#10, RFC 2986): hostile until their signature was checked, and then only a key.

use rcgen::SubjectPublicKeyInfo;
use x509_parser::{
    prelude::{FromDer as _, X509CertificationRequest},
    public_key::PublicKey,
};

use super::CaError;

/// The longest signing request that is read, in octets.
pub const CSR_LIMIT: usize = 16 * 1024;
/// RSA keys that are taken, in bits: weaker ones are broken, larger ones cost whoever checks them.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A signing request in PEM as DER.
///
/// # Errors
/// [`CaError::Request`].
pub fn request_der(request_pem: &str) -> Result<Vec<u8>, CaError> {
    if request_pem.len() > CSR_LIMIT {
        return Err(CaError::Request("is too long"));
    }
    let (_, pem) = x509_parser::pem::parse_x509_pem(request_pem.as_bytes())
        .map_err(|_| CaError::Request("is not PEM"))?;
    if !matches!(pem.label.as_str(), "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST") {
        return Err(CaError::Request("is PEM of another kind"));
    }
    Ok(pem.contents)
}

/// The public key of a PKCS#10 request, its own signature checked. EC P-256 and P-384, RSA of 2048 to 8192 bits.
pub(super) fn public_key(request_der: &[u8]) -> Result<SubjectPublicKeyInfo, CaError> {
    if request_der.len() > CSR_LIMIT {
        return Err(CaError::Request("is too long"));
    }
    let (rest, request) =
        X509CertificationRequest::from_der(request_der).map_err(|_| CaError::Request("is not PKCS#10"))?;
    if !rest.is_empty() {
        return Err(CaError::Request("has octets behind its end"));
    }
    let spki = &request.certification_request_info.subject_pki;
    // The kind of key first: a check of a signature by a huge or odd key costs, or fails for a reason that misleads.
    match spki.parsed().map_err(|_| CaError::Request("holds a key that cannot be read"))? {
        PublicKey::EC(point) if matches!(point.key_size(), 256 | 384) => {}
        PublicKey::RSA(key) if RSA_BITS.contains(&key.key_size()) => {}
        _ => {
            return Err(CaError::Request(
                "holds a key that is neither EC P-256 or P-384 nor RSA of 2048 to 8192 bits",
            ));
        }
    }
    let key = SubjectPublicKeyInfo::from_der(spki.raw)
        .map_err(|_| CaError::Request("holds a key of an unknown kind"))?;
    request.verify_signature().map_err(|_| CaError::Request("does not bear its own key's signature"))?;
    Ok(key)
}
