//! What can be an e-mail address here: the plain form `local@domain` of RFC 5321, without quoting, comments, address
//! literals or non-ASCII letters. Whatever else stands in a directory as an owner is a name, not an address.

/// Octets of an address at most (RFC 5321 4.5.3.1.3 less the brackets).
const LONGEST: usize = 254;
/// Octets of its local part at most (RFC 5321 4.5.3.1.1).
const LOCAL: usize = 64;

/// Whether a text is an address.
#[must_use]
pub fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let word = |part: &str, also: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c))
    };
    text.len() <= LONGEST
        && local.len() <= LOCAL
        && local.split('.').all(|part| word(part, "!#$%&'*+-/=?^_`{|}~"))
        && domain
            .split('.')
            .all(|part| word(part, "-") && part.len() <= 63 && !part.starts_with('-') && !part.ends_with('-'))
}

/// The domain of an address.
#[must_use]
pub fn domain(address: &str) -> &str {
    address.rsplit_once('@').map_or("localhost", |(_, domain)| domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_plain_form_is_an_address() {
        for good in ["a@b", "ada.lovelace+mdm@corp.example", "o'neil@x-y.example"] {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "",
            "ada",
            "@b",
            "a@",
            "a b@c",
            "a@b c",
            "a@b\r\nBcc: x@y",
            "<a@b>",
            "a@b,c@d",
            "\"a\"@b",
            "a@[127.0.0.1]",
            "a..b@c",
            "a@-b",
            "a@b.",
            "ä@b",
            "a@b@c d",
        ] {
            assert!(!is_address(bad), "{bad:?}");
        }
        assert!(!is_address(&format!("{}@b.example", "a".repeat(65))));
        assert_eq!(domain("a@corp.example"), "corp.example");
    }
}
