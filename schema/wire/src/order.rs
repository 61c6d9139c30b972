//! The signed order: what our own device's destructive providers obey, and nothing else.
//!
//! Promise: an order names the enrolment, its generation, the URI and its expiry, and carries the operation's
//! id so that it works once. It is signed by the core's order key, which the perimeter never sees
//! (docs/THREATS.md, "What a captured gateway can do, by the device's proof class"). Keys stay with the caller: signing and verifying are closures.
//!
//! As Exec Data: compact JSON, `.`, base64url (no padding) of the 64 octets r‖s of ECDSA P-256 with SHA-256
//! over [`CONTEXT`] and that JSON.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::terms::{EnrolmentId, OperationId, UtcMillis};

/// Goes before the JSON under the signature, so that no other signed text can pass for an order.
pub const CONTEXT: &[u8] = b"postern-order-1\n";
/// The only version of the format so far.
pub const VERSION: u8 = 1;
/// A longer text is no order, in octets.
pub const TEXT_LIMIT: usize = 4096;

/// One order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// [`VERSION`].
    pub v: u8,
    /// Who is to obey.
    pub enrolment: EnrolmentId,
    /// Which generation of that enrolment.
    pub generation: u32,
    /// The node that may be executed with it.
    pub uri: String,
    /// The order is void from this moment on.
    pub expires: UtcMillis,
    /// The operation behind it: a device obeys each once.
    pub order: OperationId,
}

/// What a device checks an order against.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The device's own enrolment.
    pub enrolment: EnrolmentId,
    /// The device's own generation.
    pub generation: u32,
    /// The node that is being executed.
    pub uri: &'a str,
    /// The device's time.
    pub now: UtcMillis,
}

/// Why an order is not obeyed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// Not the form of an order: length, separator, base64 or JSON.
    #[error("this is not the text of an order")]
    Malformed,
    /// A version that is not known here.
    #[error("the order's version {0} is not known")]
    Version(u8),
    /// The order key did not sign it.
    #[error("the order's signature does not verify")]
    Forged,
    /// Meant for another enrolment.
    #[error("the order names another enrolment")]
    OtherEnrolment,
    /// Meant for another generation of this enrolment.
    #[error("the order names generation {named}, this is {own}")]
    OtherGeneration {
        /// The order's.
        named: u32,
        /// The device's.
        own: u32,
    },
    /// Meant for another node.
    #[error("the order names another URI")]
    OtherUri,
    /// Too late.
    #[error("the order expired at {0}")]
    Expired(UtcMillis),
}

impl Order {
    /// The text for Exec Data; `sign` gets the octets to sign and answers r‖s.
    pub fn seal<E>(&self, sign: impl FnOnce(&[u8]) -> Result<[u8; 64], E>) -> Result<String, E> {
        let json = serde_json::to_string(self).expect("an order holds only text and numbers");
        let signature = sign(&signed_octets(&json))?;
        Ok(format!("{json}.{}", BASE64URL.encode(signature)))
    }

    /// Reads `text` and verifies it against the order key: `verify` gets the signed octets and r‖s. Nothing of
    /// the JSON is looked at before the signature holds.
    pub fn open(text: &str, verify: impl FnOnce(&[u8], &[u8; 64]) -> bool) -> Result<Self, OrderError> {
        if text.len() > TEXT_LIMIT {
            return Err(OrderError::Malformed);
        }
        let (json, signature) = text.trim().rsplit_once('.').ok_or(OrderError::Malformed)?;
        let signature = BASE64URL.decode(signature).map_err(|_| OrderError::Malformed)?;
        let signature = signature.as_slice().try_into().map_err(|_| OrderError::Malformed)?;
        if !verify(&signed_octets(json), signature) {
            return Err(OrderError::Forged);
        }
        let order: Self = serde_json::from_str(json).map_err(|_| OrderError::Malformed)?;
        if order.v == VERSION { Ok(order) } else { Err(OrderError::Version(order.v)) }
    }

    /// Whether this verified order is meant for this device, node and moment.
    pub fn check(&self, expected: &Expected<'_>) -> Result<(), OrderError> {
        if self.enrolment != expected.enrolment {
            return Err(OrderError::OtherEnrolment);
        }
        if self.generation != expected.generation {
            return Err(OrderError::OtherGeneration { named: self.generation, own: expected.generation });
        }
        if self.uri != expected.uri {
            return Err(OrderError::OtherUri);
        }
        if expected.now >= self.expires {
            return Err(OrderError::Expired(self.expires));
        }
        Ok(())
    }
}

/// What an order names as its URI when it is for a change of `uri` to this content and no other.
#[must_use]
pub fn uri_with_content(uri: &str, content: &[u8]) -> String {
    format!("{uri}#sha-256={}", HEXLOWER.encode(&Sha256::digest(content)))
}

fn signed_octets(json: &str) -> Vec<u8> {
    [CONTEXT, json.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_text_is_compact_json_and_a_signature() {
        let text = order().seal(toy_sign).unwrap();
        assert!(text.starts_with(
            "{\"v\":1,\"enrolment\":\"00000000-0000-0000-0000-000000000001\",\"generation\":2,\
             \"uri\":\"./Vendor/Postern/Wipe\",\"expires\":1000,\"order\":\"00000000-0000-0000-0000-000000000003\"}."
        ));
        assert_eq!(Order::open(&text, toy_verify), Ok(order()));
    }

    #[test]
    fn a_forged_or_changed_order_is_refused() {
        let text = order().seal(toy_sign).unwrap();
        assert_eq!(Order::open(&text, |_, _| false), Err(OrderError::Forged));
        let changed = text.replace("\"generation\":2", "\"generation\":3");
        assert_eq!(Order::open(&changed, toy_verify), Err(OrderError::Forged));
    }

    #[test]
    fn what_is_no_order_is_malformed() {
        let signed =
            |json: &str| format!("{json}.{}", BASE64URL.encode(toy_sign(&signed_octets(json)).unwrap()));
        for text in [
            String::new(),
            "x".into(),
            "{}.AAAA".into(),
            "{}.!".into(),
            signed("{}"),
            "x".repeat(TEXT_LIMIT + 1),
        ] {
            assert_eq!(Order::open(&text, toy_verify), Err(OrderError::Malformed), "{text}");
        }
        let later = serde_json::to_string(&Order { v: 2, ..order() }).unwrap();
        assert_eq!(Order::open(&signed(&later), toy_verify), Err(OrderError::Version(2)));
    }

    #[test]
    fn an_order_is_good_for_one_enrolment_generation_uri_and_time() {
        let good = Expected {
            enrolment: order().enrolment,
            generation: 2,
            uri: "./Vendor/Postern/Wipe",
            now: UtcMillis(999),
        };
        for (expected, answer) in [
            (good, Ok(())),
            (Expected { enrolment: EnrolmentId(Uuid::nil()), ..good }, Err(OrderError::OtherEnrolment)),
            (Expected { generation: 3, ..good }, Err(OrderError::OtherGeneration { named: 2, own: 3 })),
            (Expected { uri: "./Vendor/Postern/Lock", ..good }, Err(OrderError::OtherUri)),
            (Expected { now: UtcMillis(1000), ..good }, Err(OrderError::Expired(UtcMillis(1000)))),
        ] {
            assert_eq!(order().check(&expected), answer);
        }
    }

    fn order() -> Order {
        Order {
            v: VERSION,
            enrolment: EnrolmentId(Uuid::from_u128(1)),
            generation: 2,
            uri: "./Vendor/Postern/Wipe".into(),
            expires: UtcMillis(1000),
            order: OperationId(Uuid::from_u128(3)),
        }
    }

    fn toy_sign(octets: &[u8]) -> Result<[u8; 64], Infallible> {
        let digest = Sha256::digest(octets);
        Ok(std::array::from_fn(|i| digest[i % 32]))
    }

    fn toy_verify(octets: &[u8], signature: &[u8; 64]) -> bool {
        toy_sign(octets).as_ref() == Ok(signature)
    }
}
