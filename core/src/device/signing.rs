//! Message signatures with keys: wire::signature does the text, this does ECDSA P-256.

use actix_web::HttpRequest;
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, UnparsedPublicKey},
};
use postern_actors::{SignatureFacts, SignatureVerdict};
use postern_wire::{
    signature::{
        self, CONTENT_DIGEST, CORE_KEY_ID, Fields, FieldsReceived, Parameters, RequestParts, ResponseParts,
        SIGNATURE, SIGNATURE_INPUT,
    },
    terms::UtcMillis,
};

use super::{certificate::Certificate, headers};

/// The key by which the core signs its replies.
pub struct MessageKey {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

/// Not a P-256 key in PKCS#8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message key is no ECDSA P-256 key in PKCS#8")]
pub struct BadMessageKey;

/// The provider could not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the provider refused to sign")]
pub(super) struct CannotSign;

impl MessageKey {
    /// A key in PKCS#8 DER.
    ///
    /// # Errors
    /// [`BadMessageKey`].
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, BadMessageKey> {
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map_err(|_| BadMessageKey)?;
        Ok(Self { pair, random: SystemRandom::new() })
    }

    pub(super) fn sign(
        &self,
        status: u16,
        content_type: &str,
        body: &[u8],
        nonce: [u8; 16],
        now: UtcMillis,
    ) -> Result<Fields, CannotSign> {
        let parameters =
            Parameters { created: now.0.div_euclid(1000), nonce, key_id: CORE_KEY_ID.to_owned() };
        signature::sign_response(&ResponseParts { status, content_type, body }, &parameters, |base| {
            let signed = self.pair.sign(&self.random, base).map_err(|_| CannotSign)?;
            signed.as_ref().try_into().map_err(|_| CannotSign)
        })
    }
}

/// What the signature fields of a request are worth, by the key of the certificate that came with it. That the
/// certificate is the enrolled one, and the signature fresh, the device's actor judges.
pub(super) fn verify(
    http: &HttpRequest,
    content_type: &str,
    body: &[u8],
    certificate: Option<&Certificate>,
) -> SignatureVerdict {
    let [digest, input, value] =
        [CONTENT_DIGEST, SIGNATURE_INPUT, SIGNATURE].map(|name| headers::joined(http, name));
    if input.is_none() && value.is_none() {
        return SignatureVerdict::Absent;
    }
    let Some(certificate) = certificate else {
        return SignatureVerdict::Invalid("signed, but no certificate was shown".to_owned());
    };
    let parts = RequestParts { method: http.method().as_str(), path: http.path(), content_type, body };
    let fields = FieldsReceived {
        content_digest: digest.as_deref(),
        signature_input: input.as_deref(),
        signature: value.as_deref(),
    };
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &certificate.public_key);
    match signature::verify_request(&parts, &fields, |_, base, octets| key.verify(base, octets).is_ok()) {
        Ok(parameters) => match parameters.key_id.parse() {
            Ok(key_id) => SignatureVerdict::Verified(SignatureFacts {
                key_id,
                created: UtcMillis(parameters.created.saturating_mul(1000)),
                nonce: parameters.nonce,
                fingerprint: certificate.facts.fingerprint,
            }),
            Err(_) => SignatureVerdict::Invalid("its keyid is no enrolment".to_owned()),
        },
        Err(cause) => SignatureVerdict::Invalid(cause.to_string()),
    }
}
