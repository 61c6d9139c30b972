//! gPLink: the GPOs that a site, domain or OU links (MS-GPOL 2.2.2).
//!
//! Promise: the links come in the order of the text. **The rightmost one has link order 1**, which is the
//! highest precedence. A text that is not one is refused with the offset; the same GPO may be linked twice.

/// Octets of a text at most.
const OCTETS: usize = 512 * 1024;
/// Links of a container at most.
const LINKS: usize = 4096;

/// One link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The GPO's distinguished name, as it stands.
    pub gpo: String,
    /// Option bit 0x1: the link is off, whatever bit 0x2 says.
    pub disabled: bool,
    /// Option bit 0x2 ("No Override").
    pub enforced: bool,
}

/// Why a text is no gPLink, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("gPLink at octet {offset}: {kind}")]
pub struct Error {
    /// Counted from 0, in octets of UTF-8.
    pub offset: usize,
    /// Why.
    pub kind: ErrorKind,
}

/// Why a text is no gPLink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ErrorKind {
    /// More text or links than the limit.
    #[error("too many links")]
    TooLarge,
    /// Something that is not `[` between links.
    #[error("`[` should stand here")]
    Open,
    /// A link without its end.
    #[error("the link does not end with `;<options>]`")]
    Close,
    /// A link that does not begin with `LDAP://`.
    #[error("`LDAP://` should stand here")]
    Scheme,
}

/// Reads the attribute's text.
pub fn read(text: &str) -> Result<Vec<Link>, Error> {
    if text.len() > OCTETS {
        return Err(Error { offset: OCTETS, kind: ErrorKind::TooLarge });
    }
    let mut links = Vec::new();
    let mut at = 0;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        let rest = &text[at..];
        if rest.is_empty() {
            return Ok(links);
        }
        let refused = |kind| Error { offset: at, kind };
        let inner = rest.strip_prefix('[').ok_or(refused(ErrorKind::Open))?;
        if let Some(behind) = inner.trim_start().strip_prefix(']') {
            at = text.len() - behind.len();
            continue;
        }
        if links.len() == LINKS {
            return Err(refused(ErrorKind::TooLarge));
        }
        let (name, options, behind) = end(inner).ok_or(refused(ErrorKind::Close))?;
        let name = super::fold::strip_prefix(name, "LDAP://").ok_or(refused(ErrorKind::Scheme))?;
        links.push(Link {
            gpo: without_host(name).to_owned(),
            disabled: options & 1 != 0,
            enforced: options & 2 != 0,
        });
        at = text.len() - behind.len();
    }
}

/// Splits at the first `;<number>]`: a `;` or `]` within the name is no end.
fn end(inner: &str) -> Option<(&str, u32, &str)> {
    let mut from = 0;
    loop {
        let close = from + inner[from..].find(']')?;
        if let Some((name, options)) = inner[..close].rsplit_once(';') {
            let options = options.trim();
            // Written as a signed number by some tools.
            let number =
                options.parse::<u32>().ok().or_else(|| options.parse::<i32>().ok().map(i32::cast_unsigned));
            if let Some(number) = number {
                return Some((name, number, &inner[close + 1..]));
            }
        }
        from = close + 1;
    }
}

/// `LDAP://dc1/CN=…` names a server before the object.
fn without_host(name: &str) -> &str {
    match name.split_once('/') {
        Some((host, name)) if !host.contains('=') => name,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_come_in_the_order_of_the_text_with_their_options() {
        let text =
            "[LDAP://CN={A},DC=x;0][ldap://cn={B},DC=x;1] [LDAP://CN={C},DC=x;2][LDAP://dc1.x/CN={D},DC=x;3]";

        let links = read(text).unwrap();

        let shown: Vec<_> = links.iter().map(|l| (l.gpo.as_str(), l.disabled, l.enforced)).collect();
        assert_eq!(
            shown,
            [
                ("CN={A},DC=x", false, false),
                ("cn={B},DC=x", true, false),
                ("CN={C},DC=x", false, true),
                ("CN={D},DC=x", true, true)
            ]
        );
    }

    #[test]
    fn nothing_is_no_links_and_a_name_may_hold_what_ends_a_link() {
        for nothing in ["", " ", "[ ]", "[]", " [ ] "] {
            assert_eq!(read(nothing), Ok(Vec::new()), "{nothing:?}");
        }
        assert_eq!(read("[LDAP://CN=a]b\\;c,DC=x;2]").unwrap()[0].gpo, "CN=a]b\\;c,DC=x");
    }

    #[test]
    fn a_text_that_is_no_link_list_is_refused_with_its_place() {
        for (text, offset, kind) in [
            ("x", 0, ErrorKind::Open),
            ("[LDAP://CN=a;0] x", 16, ErrorKind::Open),
            ("[LDAP://CN=a;0", 0, ErrorKind::Close),
            ("[LDAP://CN=a;]", 0, ErrorKind::Close),
            ("[LDAP://CN=a;0][CN=b;0]", 15, ErrorKind::Scheme),
        ] {
            assert_eq!(read(text), Err(Error { offset, kind }), "{text:?}");
        }
    }
}
