//! The options of a dialogue (OMA-TS-DM_Protocol 10.3): `MINDT=10&DR=1`, URL-encoded.

/// What may be written (IT).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Input {
    /// A: anything.
    #[default]
    Any,
    /// N: digits.
    Numeric,
    /// D: DDMMYYYY.
    Date,
    /// T: hhmmss.
    Time,
    /// P: a phone number: digits, `+`, `p`, `w`, `s`.
    Phone,
    /// I: an IPv4 address.
    Address,
}

/// Whether what is written is shown (ET).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Echo {
    /// T: it is.
    #[default]
    Text,
    /// P: it is not.
    Password,
}

/// How a dialogue is put.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// MINDT: it is to be seen so long at least, in seconds.
    pub min_display_s: Option<u32>,
    /// MAXDT: it is over after so long, in seconds.
    pub max_display_s: Option<u32>,
    /// DR: the default response: `0` or `1`, a text, a number, or numbers with `-` between them.
    pub default_response: Option<String>,
    /// MAXLEN: characters that may be written.
    pub max_length: Option<usize>,
    /// IT.
    pub input: Input,
    /// ET.
    pub echo: Echo,
}

impl Options {
    /// Reads the option string. What is not known, or has no value that makes sense, is skipped.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut options = Self::default();
        for (name, value) in text.split('&').filter_map(|option| option.split_once('=')) {
            let value = decoded(value);
            match name.trim() {
                "MINDT" => options.min_display_s = value.parse().ok(),
                "MAXDT" => options.max_display_s = value.parse().ok(),
                "MAXLEN" => options.max_length = value.parse().ok(),
                "DR" => options.default_response = Some(value),
                "IT" => {
                    options.input = match value.as_str() {
                        "N" => Input::Numeric,
                        "D" => Input::Date,
                        "T" => Input::Time,
                        "P" => Input::Phone,
                        "I" => Input::Address,
                        _ => Input::Any,
                    }
                }
                "ET" => options.echo = if value == "P" { Echo::Password } else { Echo::Text },
                _ => {}
            }
        }
        options
    }

    /// Whether a text may be the answer to 1102.
    #[must_use]
    pub fn take(&self, text: &str) -> bool {
        let digits = |length: usize| text.len() == length && text.bytes().all(|octet| octet.is_ascii_digit());
        let number = |at: std::ops::Range<usize>| text.get(at).and_then(|part| part.parse::<u32>().ok());
        let within =
            |at, range: std::ops::RangeInclusive<u32>| number(at).is_some_and(|n| range.contains(&n));
        self.max_length.is_none_or(|most| text.chars().count() <= most)
            && match self.input {
                Input::Any => !text.chars().any(char::is_control),
                Input::Numeric => !text.is_empty() && digits(text.len()),
                Input::Date => digits(8) && within(0..2, 1..=31) && within(2..4, 1..=12),
                Input::Time => {
                    digits(6) && within(0..2, 0..=23) && within(2..4, 0..=59) && within(4..6, 0..=59)
                }
                Input::Phone => {
                    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || "+pws".contains(c))
                }
                Input::Address => text.parse::<std::net::Ipv4Addr>().is_ok(),
            }
    }

    /// The numbers that DR names, for 1103 and 1104.
    #[must_use]
    pub fn default_numbers(&self) -> Vec<usize> {
        let text = self.default_response.as_deref().unwrap_or_default();
        text.split('-').filter_map(|number| number.trim().parse().ok()).collect()
    }
}

/// URL-decoding: `+` is a blank, `%41` an octet; what is malformed stays as it is.
fn decoded(value: &str) -> String {
    let mut octets = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes().iter();
    while let Some(&octet) = rest.next() {
        match octet {
            b'+' => octets.push(b' '),
            b'%' => {
                let hex = rest.as_slice().get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
                match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                    Some(decoded) => {
                        octets.push(decoded);
                        rest.nth(1);
                    }
                    None => octets.push(octet),
                }
            }
            _ => octets.push(octet),
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_read() {
        let options = Options::parse("MINDT=10&MAXDT=60&DR=a+b%26c&MAXLEN=8&IT=N&ET=P");
        let expected = Options {
            min_display_s: Some(10),
            max_display_s: Some(60),
            default_response: Some("a b&c".into()),
            max_length: Some(8),
            input: Input::Numeric,
            echo: Echo::Password,
        };
        assert_eq!(options, expected);
        assert_eq!(Options::parse("DR=1-3-4").default_numbers(), [1, 3, 4]);
    }

    #[test]
    fn cli_30_unknown_and_senseless_options_are_skipped() {
        let of = |text| Options { default_response: Some("1".into()), ..Options::parse(text) };
        for text in ["FOO=1&DR=1", "DR=1&&=", "DR=1&MINDT=soon&FOO", "BAR=%zz&DR=1", "DR=1&IT=X"] {
            assert_eq!(Options::parse(text), of(""), "{text}");
        }
    }

    #[test]
    fn an_input_keeps_to_its_type_and_length() {
        for (option, good, bad) in [
            ("", vec!["", "a b", "\u{e9}"], vec!["a\nb"]),
            ("IT=N", vec!["0", "123"], vec!["", "1a", "-1"]),
            ("IT=D", vec!["31121999"], vec!["32121999", "01131999", "1121999", "31-12-99"]),
            ("IT=T", vec!["000000", "235959"], vec!["240000", "006000", "000060", "0000"]),
            ("IT=P", vec!["+4930p12w3s4"], vec!["", "030 1", "#1"]),
            ("IT=I", vec!["10.0.0.1"], vec!["10.0.0", "256.0.0.1", "::1"]),
            ("MAXLEN=2", vec!["", "\u{e9}\u{e9}"], vec!["abc"]),
        ] {
            let options = Options::parse(option);
            good.iter().for_each(|text| assert!(options.take(text), "{option} {text:?}"));
            bad.iter().for_each(|text| assert!(!options.take(text), "{option} {text:?}"));
        }
    }
}
