//! The recovery password itself: 20 decimal digits, 66 bits.

use std::fmt;

use zeroize::Zeroizing;

/// How many digits it has (the original's length).
pub const DIGITS: usize = 20;
/// A longer text is not looked at, in octets.
const MOST_OCTETS: usize = 64;
/// A random octet below it gives each digit with the same chance.
const EVEN: u8 = 250;
/// Digits between two dashes where it is shown.
const GROUP: usize = 5;

/// A recovery password. Debug shows nothing of it; it is wiped when it is dropped.
#[derive(Clone)]
pub struct RecoveryPassword(Zeroizing<[u8; DIGITS]>);

/// Why a text is no recovery password; what stands there is never named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRecoveryPassword {
    /// A character that is neither a digit, a dash nor a blank.
    #[error("character {0} of the recovery password is no digit")]
    Character(usize),
    /// Too few or too many digits.
    #[error("a recovery password has 20 digits, this has {0}")]
    Length(usize),
}

impl RecoveryPassword {
    /// A new one; `random` fills octets from the caller's source, as often as it takes.
    pub fn make(mut random: impl FnMut(&mut [u8])) -> Self {
        let mut digits = Zeroizing::new([0; DIGITS]);
        let mut octets = Zeroizing::new([0; 32]);
        let mut made = 0;
        while made < DIGITS {
            random(&mut *octets);
            for octet in octets.iter().filter(|octet| **octet < EVEN).take(DIGITS - made) {
                digits[made] = b'0' + octet % 10;
                made += 1;
            }
        }
        Self(digits)
    }

    /// Reads one as people type it: dashes and blanks between the digits do not count.
    ///
    /// # Errors
    /// [`BadRecoveryPassword`].
    pub fn parse(text: &str) -> Result<Self, BadRecoveryPassword> {
        if text.len() > MOST_OCTETS {
            return Err(BadRecoveryPassword::Length(text.len()));
        }
        let mut digits = Zeroizing::new([0; DIGITS]);
        let mut count = 0;
        for (place, character) in text.trim().chars().enumerate() {
            match character {
                '-' | ' ' => {}
                '0'..='9' => {
                    if let Some(digit) = digits.get_mut(count) {
                        *digit = character as u8;
                    }
                    count += 1;
                }
                _ => return Err(BadRecoveryPassword::Character(place + 1)),
            }
        }
        if count == DIGITS { Ok(Self(digits)) } else { Err(BadRecoveryPassword::Length(count)) }
    }

    /// The 20 digits.
    #[must_use]
    pub fn digits(&self) -> &str {
        std::str::from_utf8(&*self.0).expect("digits are ASCII")
    }

    /// As it is shown: `12345-67890-12345-67890`.
    #[must_use]
    pub fn grouped(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(DIGITS + DIGITS / GROUP));
        for (place, digit) in self.digits().chars().enumerate() {
            if place > 0 && place % GROUP == 0 {
                text.push('-');
            }
            text.push(digit);
        }
        text
    }
}

impl fmt::Debug for RecoveryPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryPassword(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_digit_has_the_same_chance() {
        let mut counts = [0_u32; 10];
        for start in 0..=255_u8 {
            // every octet once, whatever the order: the ones that would favour small digits are left out
            if start < EVEN {
                counts[usize::from(start % 10)] += 1;
            }
        }
        assert_eq!(counts, [25; 10]);
    }

    #[test]
    fn octets_that_would_favour_small_digits_are_drawn_again() {
        let mut draws = vec![255_u8, 7].into_iter();
        let password = RecoveryPassword::make(|octets| octets.fill(draws.next().unwrap()));
        assert_eq!(password.digits(), "77777777777777777777");
    }

    #[test]
    fn it_is_read_as_people_type_it_and_nothing_else_passes() {
        let good = "01234-56789-01234-56789";
        for text in [good, " 01234567890123456789\n", "0123 4567 8901 2345 6789"] {
            assert_eq!(RecoveryPassword::parse(text).unwrap().digits(), "01234567890123456789");
        }
        assert_eq!(*RecoveryPassword::parse(good).unwrap().grouped(), good);
        for (text, why) in [
            ("", BadRecoveryPassword::Length(0)),
            ("0123456789012345678", BadRecoveryPassword::Length(19)),
            ("012345678901234567890", BadRecoveryPassword::Length(21)),
            ("0123456789012345678x", BadRecoveryPassword::Character(20)),
            ("٣0123456789012345678", BadRecoveryPassword::Character(1)),
        ] {
            assert_eq!(RecoveryPassword::parse(text).unwrap_err(), why);
        }
        assert!(RecoveryPassword::parse(&"1".repeat(65)).is_err());
    }

    #[test]
    fn debug_shows_nothing() {
        let password = RecoveryPassword::parse("01234567890123456789").unwrap();
        assert_eq!(format!("{password:?}"), "RecoveryPassword(…)");
    }

    proptest! {
        #[test]
        fn what_is_made_matches_the_originals_pattern_and_reads_back(seed in any::<[u8; 32]>()) {
            let mut draw = 0_u8;
            let password = RecoveryPassword::make(|octets| {
                draw = draw.wrapping_add(1);
                for (octet, seed) in octets.iter_mut().zip(seed) { *octet = seed.wrapping_add(draw); }
            });
            prop_assert!(password.digits().len() == 20 && password.digits().bytes().all(|d| d.is_ascii_digit()));
            let read = RecoveryPassword::parse(&password.grouped()).unwrap();
            prop_assert_eq!(read.digits(), password.digits());
        }

        #[test]
        fn no_text_panics(text in ".{0,80}") {
            let _judged = RecoveryPassword::parse(&text);
        }
    }
}
