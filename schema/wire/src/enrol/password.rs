//! The one-time password as people read and type it: `CCCCC-SSSS-SSSS-SSSS-SSSS` in Crockford's base32.
//!
//! Promise: 5 public characters name the request, 16 secret ones carry 80 random bits. It is read in either case, with or
//! without dashes and blanks, I and L as 1, O as 0. Two passwords are compared in constant time; an error names a place and never
//! what stands there.

use std::{fmt, str::FromStr};

use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::Psk;

/// Without I, L, O and U (Crockford, "Base 32").
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CODE_CHARACTERS: usize = 5;
const SECRET_CHARACTERS: usize = 16;
const SECRET_OCTETS: usize = 10;
/// A longer text is not looked at, in octets.
const MOST_OCTETS: usize = 128;

/// The public part of a one-time password: the key to look a request up by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestCode([u8; CODE_CHARACTERS]);

/// A one-time password. Debug shows its code only.
#[derive(Clone)]
pub struct OneTimePassword {
    code: RequestCode,
    secret: Zeroizing<[u8; SECRET_OCTETS]>,
}

/// This is no request code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a request code is 5 characters of 0-9 and A-Z without I, L, O and U")]
pub struct BadCode;

/// Why a text is no one-time password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPassword {
    /// A character that the alphabet does not have.
    #[error("character {0} of the one-time password is neither a digit nor a letter that it can hold")]
    Character(usize),
    /// Too few or too many characters.
    #[error("a one-time password has 21 letters and digits, this has {0}")]
    Length(usize),
}

impl RequestCode {
    /// The code as it is stored and shown: upper case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("the alphabet is ASCII")
    }

    /// Its characters.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; CODE_CHARACTERS] {
        &self.0
    }

    /// Reads the characters of a body, which are normal already: any other spelling is refused.
    ///
    /// # Errors
    /// [`BadCode`].
    pub fn from_bytes(characters: [u8; CODE_CHARACTERS]) -> Result<Self, BadCode> {
        let normal = characters.iter().all(|character| ALPHABET.contains(character));
        normal.then_some(Self(characters)).ok_or(BadCode)
    }
}

impl FromStr for RequestCode {
    type Err = BadCode;

    fn from_str(text: &str) -> Result<Self, BadCode> {
        let values = values(text).map_err(|_| BadCode)?;
        let values = <[u8; CODE_CHARACTERS]>::try_from(values.as_slice()).map_err(|_| BadCode)?;
        Ok(Self(values.map(character)))
    }
}

impl fmt::Display for RequestCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for RequestCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestCode({self})")
    }
}

impl Serialize for RequestCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for RequestCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl OneTimePassword {
    /// Octets of randomness that make one.
    pub const RANDOM_OCTETS: usize = 14;

    /// The password of these octets, which come from the caller's random source: 25 bits of code and 80 of secret.
    #[must_use]
    pub fn from_random(octets: &[u8; Self::RANDOM_OCTETS]) -> Self {
        let (code, secret) = octets.split_at(Self::RANDOM_OCTETS - SECRET_OCTETS);
        let code = code.iter().fold(0_u32, |bits, octet| bits << 8 | u32::from(*octet));
        let code = std::array::from_fn(|place| character((code >> (5 * place)) as u8 & 31));
        let mut own = Zeroizing::new([0; SECRET_OCTETS]);
        own.copy_from_slice(secret);
        Self { code: RequestCode(code), secret: own }
    }

    /// Reads what a person typed or a file holds.
    ///
    /// # Errors
    /// [`BadPassword`].
    pub fn parse(text: &str) -> Result<Self, BadPassword> {
        let values = values(text)?;
        if values.len() != CODE_CHARACTERS + SECRET_CHARACTERS {
            return Err(BadPassword::Length(values.len()));
        }
        let (code, rest) = values.split_at(CODE_CHARACTERS);
        let code = std::array::from_fn(|place| character(code[place]));
        let mut secret = Zeroizing::new([0; SECRET_OCTETS]);
        for (five, eight) in secret.chunks_exact_mut(5).zip(rest.chunks_exact(8)) {
            let bits = eight.iter().fold(0_u64, |bits, value| bits << 5 | u64::from(*value));
            five.copy_from_slice(&bits.to_be_bytes()[3..]);
        }
        Ok(Self { code: RequestCode(code), secret })
    }

    /// The password as it is shown to a person, once.
    #[must_use]
    pub fn to_text(&self) -> SecretString {
        let mut text = Zeroizing::new(String::with_capacity(CODE_CHARACTERS + SECRET_CHARACTERS + 4));
        text.push_str(self.code.as_str());
        for five in self.secret.chunks_exact(5) {
            let bits = five.iter().fold(0_u64, |bits, octet| bits << 8 | u64::from(*octet));
            for place in (0..8).rev() {
                if place % 4 == 3 {
                    text.push('-');
                }
                text.push(char::from(character((bits >> (5 * place)) as u8 & 31)));
            }
        }
        SecretString::from(text.as_str())
    }

    /// Its public part.
    #[must_use]
    pub const fn code(&self) -> RequestCode {
        self.code
    }

    /// The key that both sides work with, and all that the core keeps. It takes some 10 ms and 8 MiB.
    #[must_use]
    pub fn psk(&self) -> Psk {
        Psk::derive(&*self.secret, self.code)
    }
}

impl PartialEq for OneTimePassword {
    fn eq(&self, other: &Self) -> bool {
        (self.code.0.ct_eq(&other.code.0) & self.secret.ct_eq(&*other.secret)).into()
    }
}

impl Eq for OneTimePassword {}

impl fmt::Debug for OneTimePassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OneTimePassword({}-…)", self.code)
    }
}

const fn character(value: u8) -> u8 {
    ALPHABET[(value & 31) as usize]
}

/// The values of a text's characters.
fn values(text: &str) -> Result<Zeroizing<Vec<u8>>, BadPassword> {
    if text.len() > MOST_OCTETS {
        return Err(BadPassword::Length(text.len()));
    }
    let mut values = Zeroizing::new(Vec::with_capacity(MOST_OCTETS));
    for (place, typed) in text.chars().enumerate() {
        let typed = match typed.to_ascii_uppercase() {
            '-' => continue,
            blank if blank.is_ascii_whitespace() => continue,
            'I' | 'L' => '1',
            'O' => '0',
            other => other,
        };
        let value = ALPHABET.iter().position(|known| char::from(*known) == typed);
        values.push(value.ok_or(BadPassword::Character(place + 1))? as u8);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_password_is_shown_in_groups_and_read_as_people_type_it() {
        let password = OneTimePassword::from_random(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
        let text = password.to_text();
        assert_eq!(text.expose_secret(), "4R04G-0M30-E209-185G-R38E");
        for typed in [
            "4R04G-0M30-E209-185G-R38E",
            "4r04g0m30e209185gr38e",
            " 4Ro4g-oM3O e2o9-L85G-r38e\n",
            "4R04G-0M30-E209-i85g-R38E",
        ] {
            assert_eq!(OneTimePassword::parse(typed).as_ref(), Ok(&password), "{typed}");
        }
        assert_eq!(password.code().to_string(), "4R04G");
        assert_eq!("4ro4G".parse(), Ok(password.code()));
    }

    #[test]
    fn what_is_no_password_is_refused_by_its_place_or_length_and_never_shown() {
        let long = "0".repeat(200);
        for (text, why) in [
            ("", BadPassword::Length(0)),
            ("40G40-0M30-E209-185G-R38", BadPassword::Length(20)),
            ("40G40-0M30-E209-185G-R38EE", BadPassword::Length(22)),
            ("40G40-0M30-E209-185U-R38E", BadPassword::Character(20)),
            ("40G40–0M30", BadPassword::Character(6)),
            (long.as_str(), BadPassword::Length(200)),
        ] {
            assert_eq!(OneTimePassword::parse(text), Err(why), "{text}");
        }
        assert_eq!("40G4".parse::<RequestCode>(), Err(BadCode));
        assert_eq!(RequestCode::from_bytes(*b"40g40"), Err(BadCode));
        let shown = format!("{:?}", OneTimePassword::from_random(&[7; 14]));
        assert!(shown.ends_with("-…)") && shown.len() < 30, "{shown}");
    }

    #[test]
    fn a_key_belongs_to_one_secret_and_one_code() {
        let octets = [9; 14];
        let (mut code, mut secret) = (octets, octets);
        code[3] ^= 1;
        secret[13] ^= 1;
        let psk = |octets| OneTimePassword::from_random(octets).psk();
        assert_eq!(psk(&octets), psk(&octets));
        assert_ne!(psk(&octets), psk(&code));
        assert_ne!(psk(&octets), psk(&secret));
    }

    proptest! {
        #[test]
        fn every_password_is_read_back_from_its_text(octets: [u8; 14]) {
            let password = OneTimePassword::from_random(&octets);
            let text = password.to_text();
            prop_assert_eq!(text.expose_secret().len(), 25);
            prop_assert_eq!(OneTimePassword::parse(text.expose_secret()), Ok(password.clone()));
            let lower = text.expose_secret().to_lowercase().replace('-', " ");
            prop_assert_eq!(OneTimePassword::parse(&lower), Ok(password));
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _any = OneTimePassword::parse(&text);
        }
    }
}
