//! Application-layer credentials: syncml:auth-basic, syncml:auth-md5 and syncml:auth-MAC
//! (OMA-TS-DM_Security 1.2.1, 5.3 and 5.4), and the digest of package 0 (OMA-TS-DM_Notification 6.2.2).
//!
//! H is MD5, B64 is base64 with padding. A verifier needs only B64(H(user:password)), so that is what it keeps.
//! MD5 is what the standard demands; docs/THREATS.md says what it is worth. Compare secrets with [`equal`].

use std::fmt;

use base64::{
    Engine as _,
    alphabet::STANDARD as ALPHABET,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq as _;

/// Octets of a nonce that we give: 24 characters of base64 with two `=`, which every known client decodes
/// (libdmclient takes a text that ends in exactly one `=` for empty).
pub const NONCE_OCTETS: usize = 16;

/// The Type of Cred and Chal for basic.
pub const TYPE_BASIC: &str = "syncml:auth-basic";
/// The Type of Cred and Chal for MD5.
pub const TYPE_MD5: &str = "syncml:auth-md5";
/// The Type of Chal for the HMAC header.
pub const TYPE_MAC: &str = "syncml:auth-MAC";
/// The header that carries a MAC.
pub const HMAC_HEADER: &str = "x-syncml-hmac";

/// Tolerates missing padding and spare bits, as some encoders write them.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Cred data of syncml:auth-basic: B64(user:password).
#[must_use]
pub fn basic(user: &str, password: &str) -> String {
    STANDARD.encode([user.as_bytes(), b":", password.as_bytes()].concat())
}

/// User and password in Cred data of syncml:auth-basic; the user ends at the first colon.
#[must_use]
pub fn parse_basic(data: &str) -> Option<(String, String)> {
    let text = String::from_utf8(decode_base64(data)?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// B64(H(user:password)): what a verifier keeps of a password.
#[must_use]
pub fn user_password_hash(user: &str, password: &str) -> String {
    digest_base64(&[user.as_bytes(), b":", password.as_bytes()])
}

/// Cred data of syncml:auth-md5: B64(H(B64(H(user:password)):nonce)), with the nonce's octets (not its base64).
#[must_use]
pub fn md5_digest(user_password_hash: &str, nonce: &[u8]) -> String {
    digest_base64(&[user_password_hash.as_bytes(), b":", nonce])
}

/// The mac of syncml:auth-MAC over the octets of a message as transmitted:
/// B64(H(B64(H(user:password)):nonce:B64(H(body)))).
#[must_use]
pub fn mac(user_password_hash: &str, nonce: &[u8], body: &[u8]) -> String {
    let body = digest_base64(&[body]);
    digest_base64(&[user_password_hash.as_bytes(), b":", nonce, b":", body.as_bytes()])
}

/// The digest of package 0 over its trigger (everything behind the digest):
/// H(B64(H(server-id:password)):nonce:B64(H(trigger))).
#[must_use]
pub fn trigger_digest(server_password_hash: &str, nonce: &[u8], trigger: &[u8]) -> [u8; 16] {
    let trigger = digest_base64(&[trigger]);
    digest(&[server_password_hash.as_bytes(), b":", nonce, b":", trigger.as_bytes()])
}

/// The octets of a NextNonce: white space is dropped, missing padding tolerated, empty text is the empty nonce.
#[must_use]
pub fn decode_nonce(text: &str) -> Option<Vec<u8>> {
    decode_base64(text)
}

/// A nonce as NextNonce carries it.
#[must_use]
pub fn encode_nonce(nonce: &[u8]) -> String {
    STANDARD.encode(nonce)
}

/// Base64 as peers write it: with line breaks, with or without padding.
#[must_use]
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    if text.bytes().any(|octet| octet.is_ascii_whitespace()) {
        let packed: String = text.split_ascii_whitespace().collect();
        return LENIENT.decode(packed).ok();
    }
    LENIENT.decode(text).ok()
}

/// Base64 with padding.
#[must_use]
pub fn encode_base64(octets: &[u8]) -> String {
    STANDARD.encode(octets)
}

/// Whether two secrets are equal, in a time that depends on their lengths only.
#[must_use]
pub fn equal(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

/// The value of the x-syncml-hmac header (OMA-TS-DM_Security 5.4.3). Debug never prints the mac.
#[derive(Clone, PartialEq, Eq)]
pub struct HmacHeader {
    /// username, unquoted.
    pub username: String,
    /// mac, base64 text.
    pub mac: String,
}

/// A value of x-syncml-hmac that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHmacHeader {
    /// `username` or `mac` is missing or stands twice.
    #[error("x-syncml-hmac lacks one {0}")]
    Missing(&'static str),
    /// Another algorithm than MD5.
    #[error("x-syncml-hmac names the algorithm {0:?}, only MD5 is known")]
    Algorithm(String),
    /// Not a comma list of name=value.
    #[error("x-syncml-hmac is not a list of parameters")]
    Syntax,
}

impl HmacHeader {
    /// Reads a header value: parameters in any order, white space and folded lines around them, values quoted
    /// (with quoted pairs) or bare, the algorithm optional.
    ///
    /// # Errors
    /// [`BadHmacHeader`].
    pub fn parse(value: &str) -> Result<Self, BadHmacHeader> {
        let (mut username, mut mac) = (None, None);
        let mut rest = value.trim();
        while !rest.is_empty() {
            let (name, after) = rest.split_once('=').ok_or(BadHmacHeader::Syntax)?;
            let (text, after) = parameter_value(after.trim_start())?;
            match name.trim().to_ascii_lowercase().as_str() {
                "algorithm" if !text.eq_ignore_ascii_case("MD5") => {
                    return Err(BadHmacHeader::Algorithm(text));
                }
                "username" if username.replace(text.clone()).is_some() => {
                    return Err(BadHmacHeader::Missing("username"));
                }
                "mac" if mac.replace(text.clone()).is_some() => return Err(BadHmacHeader::Missing("mac")),
                _ => {}
            }
            rest = after.trim_start();
            if !rest.is_empty() {
                rest = rest.strip_prefix(',').ok_or(BadHmacHeader::Syntax)?.trim_start();
            }
        }
        Ok(Self {
            username: username.ok_or(BadHmacHeader::Missing("username"))?,
            mac: mac.ok_or(BadHmacHeader::Missing("mac"))?,
        })
    }
}

/// A quoted-string or a bare value, and what follows it.
fn parameter_value(text: &str) -> Result<(String, &str), BadHmacHeader> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(',').unwrap_or(text.len());
        return Ok((text[..end].trim_end().to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next().ok_or(BadHmacHeader::Syntax)?.1),
            other => value.push(other),
        }
    }
    Err(BadHmacHeader::Syntax)
}

/// `algorithm=MD5, username="..", mac=..`, octet for octet as the AOSP/Motorola engine wants it.
impl fmt::Display for HmacHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let username = self.username.replace('\\', "\\\\").replace('"', "\\\"");
        write!(f, "algorithm=MD5, username=\"{username}\", mac={}", self.mac)
    }
}

impl fmt::Debug for HmacHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HmacHeader").field("username", &self.username).field("mac", &"…").finish()
    }
}

fn digest_base64(parts: &[&[u8]]) -> String {
    STANDARD.encode(digest(parts))
}

fn digest(parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = Md5::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}
