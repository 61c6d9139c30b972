//! The sealed recovery password: a JWE in compact serialisation whose protected header is read strictly.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use serde::{Deserialize, Serialize};

use super::KeyId;
use crate::terms::{EnrolmentId, RecoveryCause, RecoveryKind, UtcMillis};

/// A longer text is no sealed password, in octets: RSA with 4096 bits takes 1300.
pub const TEXT_LIMIT: usize = 4_096;
/// The only version of the header so far.
const VERSION: u8 = 1;
const ALGORITHM: &str = "RSA-OAEP-256";
const CONTENT: &str = "A256GCM";
const TYPE: &str = "postern-recovery";
/// RSA with 2048 to 4096 bits.
const KEY_OCTETS: std::ops::RangeInclusive<usize> = 256..=512;
const NONCE_OCTETS: usize = 12;
const TAG_OCTETS: usize = 16;
/// What is sealed is at most so many octets: a recovery key of 48 digits with its dashes fits many times.
const MOST_SECRET: usize = 256;

/// What the header says: under the authenticated cipher, so that none of it can be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedHeader {
    /// Which escrow key it is sealed to.
    pub key: KeyId,
    /// What is sealed.
    pub kind: RecoveryKind,
    /// Whose it is.
    pub enrolment: EnrolmentId,
    /// Of which generation.
    pub generation: u32,
    /// Which one it is: 1, 2, 3 … in the life of this enrolment on the device.
    pub number: u64,
    /// When it was made, by the device's clock.
    pub made: UtcMillis,
    /// Why it was made.
    pub cause: RecoveryCause,
}

/// The octets of the five parts behind the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealParts {
    /// The content key under RSA-OAEP-256.
    pub encrypted_key: Vec<u8>,
    /// AES-GCM's nonce.
    pub nonce: [u8; NONCE_OCTETS],
    /// The secret under AES-256-GCM.
    pub ciphertext: Vec<u8>,
    /// AES-GCM's tag.
    pub tag: [u8; TAG_OCTETS],
}

/// A sealed recovery password.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    header: SealedHeader,
    /// The header as it stands in the text: what the cipher authenticates.
    protected: String,
    parts: SealParts,
}

/// Why a text is no sealed recovery password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSealed {
    /// More than [`TEXT_LIMIT`].
    #[error("the text is longer than 4096 octets")]
    TooLong,
    /// Not five parts in base64url.
    #[error("part {0} of the text is missing, too much, or not base64url")]
    Part(u8),
    /// Not the JSON of the header, or a field that is unknown, twice there or missing.
    #[error("the protected header is not one of a recovery password")]
    Header,
    /// Another cipher.
    #[error("sealed by other algorithms than RSA-OAEP-256 with A256GCM")]
    Algorithm,
    /// A version that is not known here.
    #[error("version {0} of the form is not known")]
    Version(u8),
    /// A part has a length that it cannot have.
    #[error("part {0} has a length that it cannot have")]
    Length(u8),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written<'a> {
    alg: &'a str,
    enc: &'a str,
    kid: KeyId,
    typ: &'a str,
    v: u8,
    kind: RecoveryKind,
    enrolment: EnrolmentId,
    generation: u32,
    number: u64,
    made: UtcMillis,
    cause: RecoveryCause,
}

impl SealedHeader {
    /// The header as it stands in the text, which is also what the cipher has to authenticate.
    #[must_use]
    pub fn protected(&self) -> String {
        let written = Written {
            alg: ALGORITHM,
            enc: CONTENT,
            kid: self.key,
            typ: TYPE,
            v: VERSION,
            kind: self.kind,
            enrolment: self.enrolment,
            generation: self.generation,
            number: self.number,
            made: self.made,
            cause: self.cause,
        };
        BASE64URL.encode(serde_json::to_vec(&written).expect("a header holds only text and numbers"))
    }
}

impl Sealed {
    /// Puts together what the ciphers gave for this header.
    ///
    /// # Errors
    /// [`BadSealed::Length`].
    pub fn assemble(header: SealedHeader, parts: SealParts) -> Result<Self, BadSealed> {
        parts.check()?;
        Ok(Self { protected: header.protected(), header, parts })
    }

    /// Reads a text.
    ///
    /// # Errors
    /// [`BadSealed`].
    pub fn parse(text: &str) -> Result<Self, BadSealed> {
        let text = text.trim();
        if text.len() > TEXT_LIMIT {
            return Err(BadSealed::TooLong);
        }
        let mut pieces = text.split('.');
        let mut piece = |number| pieces.next().ok_or(BadSealed::Part(number));
        let protected = piece(1)?;
        let encrypted_key = octets(piece(2)?, 2)?;
        let nonce = octets(piece(3)?, 3)?.try_into().map_err(|_| BadSealed::Length(3))?;
        let ciphertext = octets(piece(4)?, 4)?;
        let tag = octets(piece(5)?, 5)?.try_into().map_err(|_| BadSealed::Length(5))?;
        if pieces.next().is_some() {
            return Err(BadSealed::Part(6));
        }
        let header = header(&octets(protected, 1)?)?;
        let parts = SealParts { encrypted_key, nonce, ciphertext, tag };
        parts.check()?;
        Ok(Self { header, protected: protected.to_owned(), parts })
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> String {
        let SealParts { encrypted_key, nonce, ciphertext, tag } = &self.parts;
        let behind: [&[u8]; 4] = [encrypted_key, nonce, ciphertext, tag];
        behind.into_iter().fold(self.protected.clone(), |text, part| text + "." + &BASE64URL.encode(part))
    }

    /// What its header says.
    #[must_use]
    pub const fn header(&self) -> &SealedHeader {
        &self.header
    }

    /// What the cipher has to authenticate beside the secret.
    #[must_use]
    pub fn authenticated(&self) -> &[u8] {
        self.protected.as_bytes()
    }

    /// What the ciphers gave.
    #[must_use]
    pub const fn parts(&self) -> &SealParts {
        &self.parts
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Sealed").field(&self.header).finish()
    }
}

impl SealParts {
    fn check(&self) -> Result<(), BadSealed> {
        match (KEY_OCTETS.contains(&self.encrypted_key.len()), self.ciphertext.len()) {
            (false, _) => Err(BadSealed::Length(2)),
            (true, 1..=MOST_SECRET) => Ok(()),
            (true, _) => Err(BadSealed::Length(4)),
        }
    }
}

fn octets(text: &str, part: u8) -> Result<Vec<u8>, BadSealed> {
    BASE64URL.decode(text).map_err(|_| BadSealed::Part(part))
}

fn header(json: &[u8]) -> Result<SealedHeader, BadSealed> {
    let written: Written<'_> = serde_json::from_slice(json).map_err(|_| BadSealed::Header)?;
    if (written.alg, written.enc) != (ALGORITHM, CONTENT) {
        return Err(BadSealed::Algorithm);
    }
    if written.typ != TYPE {
        return Err(BadSealed::Header);
    }
    if written.v != VERSION {
        return Err(BadSealed::Version(written.v));
    }
    Ok(SealedHeader {
        key: written.kid,
        kind: written.kind,
        enrolment: written.enrolment,
        generation: written.generation,
        number: written.number,
        made: written.made,
        cause: written.cause,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::{super::EscrowKey, *};

    fn a_header() -> SealedHeader {
        SealedHeader {
            key: EscrowKey::from_der([7; 422]).unwrap().id(),
            kind: RecoveryKind::DevicePassword,
            enrolment: EnrolmentId(Uuid::from_u128(5)),
            generation: 2,
            number: 3,
            made: UtcMillis(1_000),
            cause: RecoveryCause::Used,
        }
    }

    fn parts() -> SealParts {
        SealParts { encrypted_key: vec![1; 384], nonce: [2; 12], ciphertext: vec![3; 20], tag: [4; 16] }
    }

    fn text_of(header_json: &str) -> String {
        let text = Sealed::assemble(a_header(), parts()).unwrap().text();
        let behind = text.split_once('.').unwrap().1;
        format!("{}.{behind}", BASE64URL.encode(header_json))
    }

    fn json() -> String {
        String::from_utf8(BASE64URL.decode(a_header().protected()).unwrap()).unwrap()
    }

    #[test]
    fn the_form_is_a_jwe_that_any_jose_library_reads() {
        let text = Sealed::assemble(a_header(), parts()).unwrap().text();
        assert_eq!(text.split('.').count(), 5);
        assert!(json().starts_with(r#"{"alg":"RSA-OAEP-256","enc":"A256GCM","kid":""#));
        let read = Sealed::parse(&text).unwrap();
        assert_eq!((read.header(), read.parts()), (&a_header(), &parts()));
        assert_eq!(read.authenticated(), text.split('.').next().unwrap().as_bytes());
    }

    #[test]
    fn what_does_not_fit_is_refused_by_type() {
        let good = Sealed::assemble(a_header(), parts()).unwrap().text();
        let pieces: Vec<&str> = good.split('.').collect();
        let with = |at: usize, other: &str| {
            let mut pieces = pieces.clone();
            pieces[at] = other;
            pieces.join(".")
        };
        let short = BASE64URL.encode([0; 11]);
        for (text, why) in [
            (String::new(), BadSealed::Part(2)),
            (pieces[..4].join("."), BadSealed::Part(5)),
            (format!("{good}."), BadSealed::Part(6)),
            (with(0, "!"), BadSealed::Part(1)),
            (with(0, ""), BadSealed::Header),
            (with(1, "!"), BadSealed::Part(2)),
            (with(1, ""), BadSealed::Length(2)),
            (with(2, &short), BadSealed::Length(3)),
            (with(3, ""), BadSealed::Length(4)),
            (with(3, &BASE64URL.encode([0; 257])), BadSealed::Length(4)),
            (with(4, &short), BadSealed::Length(5)),
            ("x".repeat(TEXT_LIMIT + 1), BadSealed::TooLong),
        ] {
            assert_eq!(Sealed::parse(&text), Err(why), "{text}");
        }
    }

    #[test]
    fn a_header_of_another_form_is_refused_by_type() {
        for (from, to, why) in [
            ("RSA-OAEP-256", "RSA-OAEP", BadSealed::Algorithm),
            ("RSA-OAEP-256", "dir", BadSealed::Algorithm),
            ("A256GCM", "A128GCM", BadSealed::Algorithm),
            (r#""v":1"#, r#""v":2"#, BadSealed::Version(2)),
            ("postern-recovery", "other", BadSealed::Header),
            ("device-password", "something", BadSealed::Header),
            (r#""number":3"#, r#""number":-3"#, BadSealed::Header),
            (r#""number":3"#, r#""number":3,"number":4"#, BadSealed::Header),
            (r#""number":3"#, r#""number":3,"zip":"DEF""#, BadSealed::Header),
            (r#""number":3,"#, "", BadSealed::Header),
        ] {
            let changed = json().replace(from, to);
            assert_ne!(changed, json());
            assert_eq!(Sealed::parse(&text_of(&changed)), Err(why), "{changed}");
        }
        assert!(Sealed::parse(&text_of(&json())).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            (number, generation, made) in any::<(u64, u32, i64)>(),
            key in prop::collection::vec(any::<u8>(), KEY_OCTETS),
            nonce in any::<[u8; 12]>(),
            ciphertext in prop::collection::vec(any::<u8>(), 1..=MOST_SECRET),
            tag in any::<[u8; 16]>(),
        ) {
            let header = SealedHeader { number, generation, made: UtcMillis(made), ..a_header() };
            let parts = SealParts { encrypted_key: key, nonce, ciphertext, tag };
            let sealed = Sealed::assemble(header, parts).unwrap();
            let text = sealed.text();
            prop_assert!(text.len() <= TEXT_LIMIT);
            prop_assert_eq!(Sealed::parse(&text), Ok(sealed));
        }

        #[test]
        fn no_text_panics_and_what_is_read_is_written_alike(text in "[ -~]{0,200}") {
            if let Ok(sealed) = Sealed::parse(&text) {
                prop_assert_eq!(sealed.text(), text.trim());
            }
        }

        #[test]
        fn a_changed_character_is_refused_or_changes_what_is_read(at in 0_usize..800, to in "[A-Za-z0-9_.-]") {
            let good = Sealed::assemble(a_header(), parts()).unwrap();
            let mut text = good.text();
            let at = at % text.len();
            if text[at..=at] != *to {
                text.replace_range(at..=at, &to);
                prop_assert_ne!(Sealed::parse(&text), Ok(good));
            }
        }
    }
}
