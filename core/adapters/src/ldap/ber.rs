//! The frame of an LDAP message (RFC 4511 5.1), looked at before anything decodes it.
//!
//! Promise: what passed [`check`] has definite lengths that fit, is nested no deeper than [`DEPTH`] and has the parts
//! of a message, so that a decoder that recurses or expects them comes to no harm.

/// Constructed values in one another at most; a search's result needs six.
const DEPTH: usize = 16;
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const CONTROLS: u8 = 0xa0;
const CONSTRUCTED: u8 = 0x20;
const OCTET_STRING: u8 = 0x04;
const BOOLEAN: u8 = 0x01;
const ENUMERATED: u8 = 0x0a;
const EXTENDED_RESPONSE: u8 = 0x78;

/// Octets that are no LDAP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Garbage;

/// How long the message at the front is, its head included; `None` while not even that can be told.
pub(super) fn length(octets: &[u8]) -> Result<Option<usize>, Garbage> {
    match octets.first() {
        None => return Ok(None),
        Some(&SEQUENCE) => {}
        Some(_) => return Err(Garbage),
    }
    Ok(head(octets)?.map(|(_, head, content)| head + content))
}

/// Looks at one whole message.
pub(super) fn check(message: &[u8]) -> Result<(), Garbage> {
    nested(message)?;
    let (SEQUENCE, content, []) = value(message)? else { return Err(Garbage) };
    let (INTEGER, id, rest) = value(content)? else { return Err(Garbage) };
    if id.is_empty() || id.len() > 4 {
        return Err(Garbage);
    }
    let (operation, _, rest) = value(rest)?;
    // Application class.
    if operation & 0xc0 != 0x40 {
        return Err(Garbage);
    }
    match rest {
        [] => Ok(()),
        rest => match value(rest)? {
            (CONTROLS, controls, []) => checked_controls(controls),
            // A notice of disconnection by Active Directory has its name behind it.
            (0x8a, _, []) => Ok(()),
            _ => Err(Garbage),
        },
    }
}

/// The result code of a message that passed [`check`] and is an extended response.
pub(super) fn result_code(message: &[u8]) -> Option<u8> {
    let (_, content, _) = value(message).ok()?;
    let (_, _, rest) = value(content).ok()?;
    let (EXTENDED_RESPONSE, response, _) = value(rest).ok()? else { return None };
    match value(response).ok()? {
        (ENUMERATED, [code], _) => Some(*code),
        _ => None,
    }
}

/// Each control is a sequence of its name, perhaps a boolean and perhaps a value.
fn checked_controls(mut controls: &[u8]) -> Result<(), Garbage> {
    while !controls.is_empty() {
        let (SEQUENCE, control, rest) = value(controls)? else { return Err(Garbage) };
        controls = rest;
        let (OCTET_STRING, name, mut rest) = value(control)? else { return Err(Garbage) };
        if !name.is_ascii() {
            return Err(Garbage);
        }
        if let [BOOLEAN, ..] = rest {
            rest = value(rest)?.2;
        }
        if let [OCTET_STRING, ..] = rest {
            rest = value(rest)?.2;
        }
        if !rest.is_empty() {
            return Err(Garbage);
        }
    }
    Ok(())
}

/// Walks all values without recursion.
fn nested(message: &[u8]) -> Result<(), Garbage> {
    let mut open = vec![message];
    while let Some(rest) = open.pop() {
        if rest.is_empty() {
            continue;
        }
        let (tag, content, behind) = value(rest)?;
        open.push(behind);
        if tag & CONSTRUCTED != 0 {
            open.push(content);
        }
        if open.len() > DEPTH {
            return Err(Garbage);
        }
    }
    Ok(())
}

fn value(octets: &[u8]) -> Result<(u8, &[u8], &[u8]), Garbage> {
    let (tag, head, length) = head(octets)?.ok_or(Garbage)?;
    let end = head.checked_add(length).ok_or(Garbage)?;
    let content = octets.get(head..end).ok_or(Garbage)?;
    Ok((tag, content, &octets[end..]))
}

/// Tag, octets of the head, octets of the content.
fn head(octets: &[u8]) -> Result<Option<(u8, usize, usize)>, Garbage> {
    let [tag, first, rest @ ..] = octets else { return Ok(None) };
    // LDAP has no tags of several octets.
    if tag & 0x1f == 0x1f {
        return Err(Garbage);
    }
    match first {
        0..=0x7f => Ok(Some((*tag, 2, usize::from(*first)))),
        0x81..=0x84 => {
            let count = usize::from(first & 0x7f);
            let Some(digits) = rest.get(..count) else { return Ok(None) };
            let length = digits.iter().fold(0_usize, |sum, digit| sum << 8 | usize::from(*digit));
            Ok(Some((*tag, 2 + count, length)))
        }
        _ => Err(Garbage),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BIND_RESPONSE: &[u8] = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00";

    #[test]
    fn a_message_passes_whole_and_waits_while_it_is_not() {
        assert_eq!(length(BIND_RESPONSE), Ok(Some(14)));
        assert_eq!(check(BIND_RESPONSE), Ok(()));
        assert_eq!(length(&BIND_RESPONSE[..1]), Ok(None));
        assert_eq!(length(b"\x30\x84\x00\x00"), Ok(None));
        assert_eq!(length(b"\x30\x84\x00\x00\x00\x0c"), Ok(Some(18)));
        for end in 0..BIND_RESPONSE.len() {
            assert_eq!(check(&BIND_RESPONSE[..end]), Err(Garbage), "{end}");
        }
    }

    #[test]
    fn what_a_decoder_would_choke_on_is_refused() {
        for message in [
            &b"\x31\x00"[..],
            b"\x30\x80\x00\x00",
            b"\x30\x00",
            b"\x30\x03\x02\x01\x01",
            b"\x30\x05\x02\x01\x01\x04\x00",
            b"\x30\x05\x02\x00\x61\x01\x00",
            b"\x30\x06\x02\x01\x01\x61\x02\x0a",
            b"\x30\x09\x02\x01\x01\x61\x00\xa0\x02\x04\x00",
        ] {
            assert_eq!(check(message), Err(Garbage), "{message:02x?}");
        }
    }

    #[test]
    fn a_result_is_read_of_an_extended_response_only() {
        assert_eq!(result_code(b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x02\x04\x00\x04\x00"), Some(2));
        assert_eq!(result_code(BIND_RESPONSE), None);
    }

    #[test]
    fn depth_has_a_limit() {
        let mut deep = Vec::new();
        for _ in 0..100 {
            let length = u8::try_from(deep.len().min(120)).unwrap();
            deep = [&[0x30, length][..], &deep[..usize::from(length)]].concat();
        }
        let message = [&b"\x30\x7d\x02\x01\x01"[..], &deep[..]].concat();

        assert_eq!(check(&message), Err(Garbage));
    }
}
