//! Text in XML: what is allowed, references, line ends, escapes.

use std::borrow::Cow;

use crate::syncml::{DecodeErrorKind, Place, tag::Vocabulary};

/// Where the body's text begins and which octets were taken out of it, to find a place in the body again.
#[derive(Debug, Default)]
pub(in crate::syncml) struct Origin {
    /// Octets of the byte order mark.
    pub(in crate::syncml) skipped: usize,
    /// Where U+0000 stood in the text behind the byte order mark.
    pub(in crate::syncml) nuls: Vec<usize>,
}

impl Origin {
    /// The octet of the body that stands at `offset` of the text.
    pub(in crate::syncml) fn offset(&self, offset: usize) -> usize {
        let mut at = offset;
        for nul in &self.nuls {
            if *nul > at {
                break;
            }
            at += 1;
        }
        at + self.skipped
    }
}

/// The text of a body: UTF-8 without byte order mark and U+0000, with only characters that XML allows.
///
/// # Errors
/// The kind and the offset in the body.
pub(in crate::syncml) fn of_body(
    body: &[u8],
    nuls: usize,
) -> Result<(Cow<'_, str>, Origin), (DecodeErrorKind, usize)> {
    if let Some(name) = other_encoding(body) {
        return Err((DecodeErrorKind::CharacterEncoding(name.to_owned()), 0));
    }
    let mut origin = Origin::default();
    let body = match body.strip_prefix(b"\xEF\xBB\xBF") {
        Some(rest) => {
            origin.skipped = 3;
            rest
        }
        None => body,
    };
    let text = std::str::from_utf8(body)
        .map_err(|error| (DecodeErrorKind::NotUtf8, origin.skipped + error.valid_up_to()))?;
    if !suspicious(body) {
        return Ok((Cow::Borrowed(text), origin));
    }
    for (at, character) in text.char_indices() {
        match character {
            '\0' if origin.nuls.len() == nuls => {
                let kind = DecodeErrorKind::Limit { what: "U+0000 characters", limit: nuls };
                return Err((kind, origin.skipped + at));
            }
            '\0' => origin.nuls.push(at),
            other if !is_allowed(other) => {
                return Err((DecodeErrorKind::Character(other.into()), origin.skipped + at));
            }
            _ => {}
        }
    }
    if origin.nuls.is_empty() {
        return Ok((Cow::Borrowed(text), origin));
    }
    Ok((Cow::Owned(text.replace('\0', "")), origin))
}

/// The name of an encoding that is not UTF-8, told by the first octets (XML 1.0, appendix F).
fn other_encoding(body: &[u8]) -> Option<&'static str> {
    Some(match body {
        [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..] | [0x3C, 0, 0, 0, ..] | [0, 0, 0, 0x3C, ..] => {
            "UTF-32"
        }
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => "UTF-16",
        [0x3C, 0, second, 0, ..] | [0, 0x3C, 0, second, ..] if *second != 0 => "UTF-16",
        [0x4C, 0x6F, 0xA7, 0x94, ..] => "EBCDIC",
        _ => return None,
    })
}

/// Whether a character that XML forbids may be there: control characters, or the lead octets of U+FFFE.
fn suspicious(body: &[u8]) -> bool {
    let control = body.iter().fold(0u8, |found, octet| {
        let bad = *octet < 0x20 && !matches!(*octet, b'\t' | b'\n' | b'\r');
        found | u8::from(bad) | u8::from(*octet == 0xEF)
    });
    control != 0
}

/// Char of XML 1.0 (fifth edition), production 2.
pub(in crate::syncml) fn is_allowed(character: char) -> bool {
    match character {
        '\t' | '\n' | '\r' => true,
        '\0'..='\x1F' | '\u{FFFE}' | '\u{FFFF}' => false,
        _ => true,
    }
}

/// White space of XML.
pub(in crate::syncml) fn is_space(text: &str) -> bool {
    text.bytes().all(|octet| matches!(octet, b' ' | b'\t' | b'\n' | b'\r'))
}

/// The character that `&name;` stands for.
///
/// # Errors
/// Any other reference than the predefined ones and those to characters.
pub(in crate::syncml) fn reference(name: &str) -> Result<char, DecodeErrorKind> {
    let refused = || DecodeErrorKind::Reference(name.chars().take(40).collect());
    match name {
        "lt" => return Ok('<'),
        "gt" => return Ok('>'),
        "amp" => return Ok('&'),
        "apos" => return Ok('\''),
        "quot" => return Ok('"'),
        _ => {}
    }
    let digits = name.strip_prefix('#').ok_or_else(refused)?;
    let (digits, radix) = match digits.strip_prefix('x') {
        Some(hexadecimal) => (hexadecimal, 16),
        None => (digits, 10),
    };
    if digits.is_empty() || digits.len() > 16 || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(refused());
    }
    let code = u32::from_str_radix(digits, radix).map_err(|_| refused())?;
    match char::from_u32(code) {
        Some(character) if character == '\0' || is_allowed(character) => Ok(character),
        _ => Err(DecodeErrorKind::Character(code)),
    }
}

/// Line ends as XML 1.0 section 2.11 wants them: `\r\n` and `\r` become `\n`.
pub(in crate::syncml) fn line_ends(text: &str) -> Cow<'_, str> {
    if !text.contains('\r') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// Whether this may be the name of an element or attribute, with or without one prefix (Namespaces in XML 1.0,
/// QName). Of the characters outside ASCII all letters are let through.
pub(in crate::syncml) fn is_name(name: &str) -> bool {
    match name.split_once(':') {
        Some((prefix, local)) => is_local_name(prefix) && is_local_name(local),
        None => is_local_name(name),
    }
}

fn is_local_name(name: &str) -> bool {
    let starts = |c: char| c.is_ascii_alphabetic() || c == '_' || (!c.is_ascii() && c.is_alphabetic());
    name.starts_with(starts)
        && name.chars().all(|c| starts(c) || c.is_ascii_digit() || matches!(c, '-' | '.' | '\u{B7}'))
}

/// Whether a DOCTYPE has declarations of its own: a `[` outside quotes.
pub(in crate::syncml) fn has_internal_subset(doctype: &str) -> bool {
    let mut quote = None;
    for octet in doctype.bytes() {
        match (quote, octet) {
            (None, b'[') => return true,
            (None, b'"' | b'\'') => quote = Some(octet),
            (Some(open), close) if open == close => quote = None,
            _ => {}
        }
    }
    false
}

/// Whether the internal subset of a DOCTYPE declares nothing: instructions, comments and white space.
pub(in crate::syncml) fn only_instructions(doctype: &str) -> bool {
    let Some((_, mut rest)) = doctype.split_once('[') else { return true };
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let end = match rest.as_bytes() {
            [b'<', b'?', ..] => "?>",
            [b'<', b'!', b'-', b'-', ..] => "-->",
            [b']', after @ ..] => {
                return is_space(std::str::from_utf8(after).unwrap_or("?").trim_end_matches('>'));
            }
            _ => return false,
        };
        // What the end may overlap with is not looked at: `<!-->` is no whole comment.
        let Some((_, after)) = rest[if end == "?>" { 2 } else { 4 }..].split_once(end) else { return false };
        rest = after;
    }
}

/// Line and column are counted only here, when something has gone wrong.
pub(in crate::syncml) fn place<T: Vocabulary>(text: &[u8], offset: usize, open: &[T]) -> Place {
    let before = &text[..offset.min(text.len())];
    let line = before.iter().filter(|octet| **octet == b'\n').count() + 1;
    let line_start = before.iter().rposition(|octet| *octet == b'\n').map_or(0, |at| at + 1);
    let column =
        String::from_utf8_lossy(&before[line_start..]).trim_start_matches('\u{FEFF}').chars().count() + 1;
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let path = open.iter().flat_map(|tag| ["/", tag.name()]).collect();
    Place { offset, line_column: Some((number(line), number(column))), path }
}

/// What has to be escaped, and where.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::syncml) enum Escape {
    /// Between tags.
    Content,
    /// Inside a value in double quotes.
    Attribute,
}

/// Calls `put` with the pieces of `text`, escaped.
pub(in crate::syncml) fn escape(text: &str, escape: Escape, mut put: impl FnMut(&str)) {
    let mut done = 0;
    for (at, octet) in text.bytes().enumerate() {
        if octet > b'>' {
            continue;
        }
        let replacement = match octet {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'\r' => "&#13;",
            b'"' if escape == Escape::Attribute => "&quot;",
            b'\n' if escape == Escape::Attribute => "&#10;",
            b'\t' if escape == Escape::Attribute => "&#9;",
            _ => continue,
        };
        put(&text[done..at]);
        put(replacement);
        done = at + 1;
    }
    put(&text[done..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_predefined_and_character_references_are_read() {
        for (name, character) in
            [("lt", '<'), ("quot", '"'), ("#65", 'A'), ("#x1F600", '\u{1F600}'), ("#0", '\0')]
        {
            assert_eq!(reference(name), Ok(character), "{name}");
        }
        for name in ["nbsp", "", "#", "#x", "#X41", "#-1", "#+65", "lol1", "#99999999999999999999"] {
            assert!(matches!(reference(name), Err(DecodeErrorKind::Reference(_))), "{name}");
        }
        for (name, code) in [("#1", 1), ("#xFFFE", 0xFFFE), ("#xD800", 0xD800), ("#x110000", 0x11_0000)] {
            assert_eq!(reference(name), Err(DecodeErrorKind::Character(code)), "{name}");
        }
    }

    #[test]
    fn a_place_is_found_again_behind_stripped_characters() {
        let (text, origin) = of_body(b"\xEF\xBB\xBFa\0b\0\0c", 9).unwrap();
        assert_eq!(text, "abc");
        let found: Vec<_> = (0..3).map(|at| origin.offset(at)).collect();
        assert_eq!(found, [3, 5, 8]);
    }

    #[test]
    fn escapes_cover_what_a_reader_would_change() {
        let mut out = String::new();
        escape("a & b <c> ]]> \r\n\"", Escape::Content, |piece| out.push_str(piece));
        assert_eq!(out, "a &amp; b &lt;c&gt; ]]&gt; &#13;\n\"");
        out.clear();
        escape("\"\t\n", Escape::Attribute, |piece| out.push_str(piece));
        assert_eq!(out, "&quot;&#9;&#10;");
    }
}
