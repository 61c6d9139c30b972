//! The message signature of our own device and of the core's replies to it: text and digests only.
//!
//! Promise: builds and reads Content-Digest (RFC 9530, sha-256) and Signature-Input and Signature (RFC 9421)
//! for exactly one profile, and refuses every other shape. Keys stay with the caller: signing and verifying
//! are closures over the signature base. Freshness is the caller's too: the verified [`Parameters`] say when
//! and with which nonce the message was signed.
//!
//! The profile: label `dm`, `alg="ecdsa-p256-sha256"` (64 octets r‖s), `tag="postern-dm-1"`, `created`,
//! `nonce` (base64 of 16 octets) and `keyid`. A request covers `@method @path content-type content-digest`
//! and names the enrolment as its key; a reply covers `@status content-type content-digest`, names `core`
//! and repeats the request's nonce, which binds it to that request.

mod fields;

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use fields::{Bare, Dictionary, InnerList, Member};

/// The dictionary key that our signature stands under.
pub const LABEL: &str = "dm";
/// The `alg` parameter.
pub const ALGORITHM: &str = "ecdsa-p256-sha256";
/// The `tag` parameter: no other application's signature is taken for ours.
pub const TAG: &str = "postern-dm-1";
/// The `keyid` of the core's replies.
pub const CORE_KEY_ID: &str = "core";
/// Header field names, lower case.
pub const CONTENT_DIGEST: &str = "content-digest";
/// Header field name of Signature-Input, lower case.
pub const SIGNATURE_INPUT: &str = "signature-input";
/// Header field name of Signature, lower case.
pub const SIGNATURE: &str = "signature";
/// How far `created` may lie from the verifier's time, in seconds, either way.
pub const FRESHNESS_S: i64 = 300;
/// A signature field longer than this is refused unread, in octets.
pub const FIELD_LIMIT: usize = 4096;

const REQUEST_COMPONENTS: [&str; 4] = ["@method", "@path", "content-type", "content-digest"];
const RESPONSE_COMPONENTS: [&str; 3] = ["@status", "content-type", "content-digest"];

/// What the signer says of a signature; returned once the signature holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// When it was signed: seconds since 1970-01-01T00:00:00Z.
    pub created: i64,
    /// 16 octets, used once by the requester, repeated in the reply.
    pub nonce: [u8; 16],
    /// The enrolment id for a request, [`CORE_KEY_ID`] for a reply.
    pub key_id: String,
}

impl Parameters {
    /// Whether `created` lies within [`FRESHNESS_S`] of `now_s` (seconds since 1970).
    #[must_use]
    pub fn is_fresh(&self, now_s: i64) -> bool {
        now_s.abs_diff(self.created) <= FRESHNESS_S.unsigned_abs()
    }
}

/// The parts of a request that its signature covers.
#[derive(Clone, Copy, Debug)]
pub struct RequestParts<'a> {
    /// The method, upper case.
    pub method: &'a str,
    /// The request target; a query is ignored, an empty path is `/` (RFC 9421 2.2.6).
    pub path: &'a str,
    /// Content-Type as sent.
    pub content_type: &'a str,
    /// The body's octets as transmitted.
    pub body: &'a [u8],
}

/// The parts of a reply that its signature covers.
#[derive(Clone, Copy, Debug)]
pub struct ResponseParts<'a> {
    /// The status code.
    pub status: u16,
    /// Content-Type as sent.
    pub content_type: &'a str,
    /// The body's octets as transmitted.
    pub body: &'a [u8],
}

/// The three field values to send with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    /// Content-Digest.
    pub content_digest: String,
    /// Signature-Input.
    pub signature_input: String,
    /// Signature.
    pub signature: String,
}

/// The three field values as received; a field sent on several lines is joined with `, ` first.
#[derive(Clone, Copy, Debug, Default)]
pub struct FieldsReceived<'a> {
    /// Content-Digest.
    pub content_digest: Option<&'a str>,
    /// Signature-Input.
    pub signature_input: Option<&'a str>,
    /// Signature.
    pub signature: Option<&'a str>,
}

/// Why a message's signature is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The named field is not there: the message is unsigned.
    #[error("the {0} field is missing")]
    Missing(&'static str),
    /// The named field is longer than [`FIELD_LIMIT`].
    #[error("the {0} field is too long")]
    TooLong(&'static str),
    /// The named field is not a well-formed structured field (RFC 8941).
    #[error("the {field} field cannot be read at octet {at}")]
    Malformed {
        /// The field's name.
        field: &'static str,
        /// The octet in its value.
        at: usize,
    },
    /// The field is well-formed but has no member that our profile needs.
    #[error("the {0} field holds nothing for this profile")]
    NoMember(&'static str),
    /// The covered components are not exactly the profile's.
    #[error("the signature covers other components than the profile asks for")]
    Components,
    /// A parameter is missing, unknown, of the wrong type or of the wrong value.
    #[error("the signature parameter {0} is not what the profile asks for")]
    Parameter(&'static str),
    /// The body is not the one that was digested.
    #[error("the body does not match its Content-Digest")]
    DigestMismatch,
    /// The key that `keyid` names did not make this signature over this message.
    #[error("the signature does not verify")]
    Forged,
    /// A reply repeats another nonce than its request's.
    #[error("the reply's nonce is not the request's")]
    WrongNonce,
}

/// The Content-Digest value for `body`: `sha-256=:…:`.
#[must_use]
pub fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", BASE64.encode(Sha256::digest(body)))
}

/// Checks `value`, which may hold digests by other algorithms too, against `body`.
pub fn verify_content_digest(value: &str, body: &[u8]) -> Result<(), SignatureError> {
    let dictionary = read(CONTENT_DIGEST, value)?;
    let Some(Member::Item(Bare::Bytes(claimed))) = dictionary.get("sha-256") else {
        return Err(SignatureError::NoMember(CONTENT_DIGEST));
    };
    if bool::from(claimed.as_slice().ct_eq(Sha256::digest(body).as_slice())) {
        Ok(())
    } else {
        Err(SignatureError::DigestMismatch)
    }
}

/// Signs a request; `sign` gets the signature base and answers 64 octets r‖s.
pub fn sign_request<E>(
    parts: &RequestParts<'_>,
    parameters: &Parameters,
    sign: impl FnOnce(&[u8]) -> Result<[u8; 64], E>,
) -> Result<Fields, E> {
    let digest = content_digest(parts.body);
    let values = [parts.method, path_only(parts.path), parts.content_type, &digest];
    let input = parameters_text(&REQUEST_COMPONENTS, parameters);
    finish(&signature_base(&REQUEST_COMPONENTS, &values, &input), digest.clone(), &input, sign)
}

/// Signs a reply; `sign` gets the signature base and answers 64 octets r‖s.
pub fn sign_response<E>(
    parts: &ResponseParts<'_>,
    parameters: &Parameters,
    sign: impl FnOnce(&[u8]) -> Result<[u8; 64], E>,
) -> Result<Fields, E> {
    let digest = content_digest(parts.body);
    let status = format!("{:03}", parts.status);
    let values = [status.as_str(), parts.content_type, &digest];
    let input = parameters_text(&RESPONSE_COMPONENTS, parameters);
    finish(&signature_base(&RESPONSE_COMPONENTS, &values, &input), digest.clone(), &input, sign)
}

/// Verifies a request. `verify` gets the parameters (to find the key by), the signature base and the 64
/// octets r‖s. Freshness and the nonce's first use are left to the caller.
pub fn verify_request(
    parts: &RequestParts<'_>,
    fields: &FieldsReceived<'_>,
    verify: impl FnOnce(&Parameters, &[u8], &[u8; 64]) -> bool,
) -> Result<Parameters, SignatureError> {
    let received = Received::read(fields, &REQUEST_COMPONENTS, parts.body)?;
    let values = [parts.method, path_only(parts.path), parts.content_type, received.digest];
    received.check(&REQUEST_COMPONENTS, &values, verify)
}

/// Verifies a reply to the request that carried `nonce`. `verify` as in [`verify_request`]; freshness is left
/// to the caller.
pub fn verify_response(
    parts: &ResponseParts<'_>,
    fields: &FieldsReceived<'_>,
    nonce: &[u8; 16],
    verify: impl FnOnce(&Parameters, &[u8], &[u8; 64]) -> bool,
) -> Result<Parameters, SignatureError> {
    let received = Received::read(fields, &RESPONSE_COMPONENTS, parts.body)?;
    if received.parameters.key_id != CORE_KEY_ID {
        return Err(SignatureError::Parameter("keyid"));
    }
    if &received.parameters.nonce != nonce {
        return Err(SignatureError::WrongNonce);
    }
    let status = format!("{:03}", parts.status);
    let values = [status.as_str(), parts.content_type, received.digest];
    received.check(&RESPONSE_COMPONENTS, &values, verify)
}

/// The signature base (RFC 9421 2.5): one line a component, `@signature-params` last, no line end after it.
#[must_use]
pub fn signature_base(components: &[&str], values: &[&str], parameters: &str) -> String {
    let mut base = String::with_capacity(256 + parameters.len());
    for (component, value) in components.iter().zip(values) {
        let _infallible = writeln!(base, "\"{component}\": {}", value.trim_matches([' ', '\t']));
    }
    let _infallible = write!(base, "\"@signature-params\": {parameters}");
    base
}

/// Path without query or fragment; empty is `/` (RFC 9421 2.2.6).
fn path_only(target: &str) -> &str {
    let end = target.find(['?', '#']).unwrap_or(target.len());
    if end == 0 { "/" } else { &target[..end] }
}

fn parameters_text(components: &[&str], parameters: &Parameters) -> String {
    let names = components.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(" ");
    format!(
        "({names});created={};nonce=\"{}\";keyid={};alg=\"{ALGORITHM}\";tag=\"{TAG}\"",
        parameters.created,
        BASE64.encode(parameters.nonce),
        fields::string(&parameters.key_id),
    )
}

fn finish<E>(
    base: &str,
    content_digest: String,
    input: &str,
    sign: impl FnOnce(&[u8]) -> Result<[u8; 64], E>,
) -> Result<Fields, E> {
    let signature = sign(base.as_bytes())?;
    Ok(Fields {
        content_digest,
        signature_input: format!("{LABEL}={input}"),
        signature: format!("{LABEL}=:{}:", BASE64.encode(signature)),
    })
}

/// The fields of a message once read and found to be of the profile; the signature itself is still unproved.
struct Received<'a> {
    digest: &'a str,
    input: String,
    parameters: Parameters,
    signature: [u8; 64],
}

impl<'a> Received<'a> {
    fn read(fields: &FieldsReceived<'a>, components: &[&str], body: &[u8]) -> Result<Self, SignatureError> {
        let digest = fields.content_digest.ok_or(SignatureError::Missing(CONTENT_DIGEST))?;
        let input = fields.signature_input.ok_or(SignatureError::Missing(SIGNATURE_INPUT))?;
        let signature = fields.signature.ok_or(SignatureError::Missing(SIGNATURE))?;

        let inputs = read(SIGNATURE_INPUT, input)?;
        let Some(Member::List(list)) = inputs.get(LABEL) else {
            return Err(SignatureError::NoMember(SIGNATURE_INPUT));
        };
        let covered = list.items.iter().map(|item| match item {
            (Bare::String(name), parameters) if parameters.is_empty() => Some(name.as_str()),
            _ => None,
        });
        if !covered.eq(components.iter().map(|name| Some(*name))) {
            return Err(SignatureError::Components);
        }
        let parameters = profile_parameters(list)?;

        let signatures = read(SIGNATURE, signature)?;
        let Some(Member::Item(Bare::Bytes(octets))) = signatures.get(LABEL) else {
            return Err(SignatureError::NoMember(SIGNATURE));
        };
        let signature = octets.as_slice().try_into().map_err(|_| SignatureError::Forged)?;
        verify_content_digest(digest, body)?;
        Ok(Self { digest, input: list.to_text(), parameters, signature })
    }

    fn check(
        self,
        components: &[&str],
        values: &[&str],
        verify: impl FnOnce(&Parameters, &[u8], &[u8; 64]) -> bool,
    ) -> Result<Parameters, SignatureError> {
        let base = signature_base(components, values, &self.input);
        if verify(&self.parameters, base.as_bytes(), &self.signature) {
            Ok(self.parameters)
        } else {
            Err(SignatureError::Forged)
        }
    }
}

/// Every parameter of the profile once, none beside them; any order, as the base keeps the sender's.
fn profile_parameters(list: &InnerList) -> Result<Parameters, SignatureError> {
    let (mut created, mut nonce, mut key_id, mut alg, mut tag) = (None, None, None, false, false);
    for (name, value) in &list.parameters {
        match (name.as_str(), value) {
            ("created", Bare::Integer(seconds)) => created = Some(*seconds),
            ("nonce", Bare::String(text)) => {
                nonce = BASE64.decode(text).ok().and_then(|octets| <[u8; 16]>::try_from(octets).ok());
            }
            ("keyid", Bare::String(text)) => key_id = Some(text.clone()),
            ("alg", Bare::String(text)) => alg = text == ALGORITHM,
            ("tag", Bare::String(text)) => tag = text == TAG,
            _ => return Err(SignatureError::Parameter("that is unknown or of another type")),
        }
    }
    if !alg {
        return Err(SignatureError::Parameter("alg"));
    }
    if !tag {
        return Err(SignatureError::Parameter("tag"));
    }
    Ok(Parameters {
        created: created.ok_or(SignatureError::Parameter("created"))?,
        nonce: nonce.ok_or(SignatureError::Parameter("nonce"))?,
        key_id: key_id.ok_or(SignatureError::Parameter("keyid"))?,
    })
}

fn read(field: &'static str, value: &str) -> Result<Dictionary, SignatureError> {
    if value.len() > FIELD_LIMIT {
        return Err(SignatureError::TooLong(field));
    }
    Dictionary::parse(value).map_err(|at| SignatureError::Malformed { field, at })
}

#[cfg(test)]
mod tests;
