//! Commands that an admin gives as SyncML XML: a whole message, a SyncBody, or the commands alone.

use postern_actors::{Body, BodyItem};
use postern_api::problem::Slug;
use postern_wire::{
    syncml::{self, Command, DecodeError, Encoding, Item, Limits, Meta, Request},
    terms::Verb,
};

use super::problem::Refused;

/// The commands of `xml`, and whether a Sequence asks for their order.
pub(super) fn commands(xml: &str) -> Result<(Vec<Body>, bool), Refused> {
    let limits = Limits::default();
    let decoded = match root(xml) {
        "SyncML" => syncml::decode(xml.as_bytes(), Encoding::Xml, &limits).map_err(refused)?.message.body,
        "SyncBody" => {
            let message = format!("{BEFORE_BODY}{xml}{AFTER_BODY}");
            let decoded = syncml::decode(message.as_bytes(), Encoding::Xml, &limits);
            decoded.map_err(|error| refused(without_wrapping(error)))?.message.body
        }
        _ => syncml::decode_commands(xml.as_bytes(), &limits).map_err(refused)?.0,
    };
    let mut bodies = Vec::new();
    let mut ordered = false;
    for command in decoded {
        match command {
            Command::Sequence(group) => {
                ordered = true;
                for inner in group.commands {
                    bodies.push(plain(inner, &group.meta)?);
                }
            }
            other => bodies.push(plain(other, &Meta::default())?),
        }
    }
    if bodies.is_empty() {
        return Err(wrong("it holds no command"));
    }
    Ok((bodies, ordered))
}

/// What makes a message of a SyncBody: the header goes behind it, so that little stands before the admin's text.
const BEFORE_BODY: &str = "<SyncML xmlns=\"SYNCML:SYNCML1.2\">";
const AFTER_BODY: &str = "<SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto><SessionID>1</SessionID>\
    <MsgID>1</MsgID><Target><LocURI>a</LocURI></Target><Source><LocURI>b</LocURI></Source></SyncHdr></SyncML>";

/// The place in the admin's own text.
fn without_wrapping(mut error: DecodeError) -> DecodeError {
    error.place.offset = error.place.offset.saturating_sub(BEFORE_BODY.len());
    if let Some((1, column)) = error.place.line_column {
        let before = u32::try_from(BEFORE_BODY.len()).unwrap_or(0);
        error.place.line_column = Some((1, column.saturating_sub(before).max(1)));
    }
    error
}

/// The local name of the first element: of a fragment, that of its first command.
fn root(xml: &str) -> &str {
    let mut rest = xml.trim_start_matches('\u{feff}').trim_start();
    // Passed over: declaration, DOCTYPE and comments before the root. The decoder judges them.
    while let Some(inner) = rest.strip_prefix("<?").or_else(|| rest.strip_prefix("<!")) {
        let end = match inner.starts_with("--") {
            true => inner.find("-->").map(|at| at + 3),
            false => inner.find('>').map(|at| at + 1),
        };
        match end {
            Some(end) => rest = inner[end..].trim_start(),
            None => return "SyncML",
        }
    }
    let name = rest.strip_prefix('<').unwrap_or_default();
    let end = name.find(|c: char| c.is_whitespace() || matches!(c, '>' | '/')).unwrap_or(name.len());
    name[..end].rsplit(':').next().unwrap_or_default()
}

fn plain(command: Command, outer: &Meta) -> Result<Body, Refused> {
    let (verb, request) = match command {
        Command::Add(request) => (Verb::Add, request),
        Command::Replace(request) => (Verb::Replace, request),
        Command::Get(request) => (Verb::Get, request),
        Command::Delete(request) => (Verb::Delete, request),
        Command::Copy(request) => (Verb::Copy, request),
        Command::Exec(request) => (Verb::Exec, request),
        Command::Atomic(_) => {
            return Err(not_yet("Atomic comes with a later version; send its commands one by one"));
        }
        Command::Sequence(_) => {
            return Err(not_yet("a Sequence inside a Sequence comes with a later version"));
        }
        Command::Alert(_) => return Err(wrong("a server's Alert is not a command for a device's tree")),
        Command::Results(_) => return Err(wrong("Results come from devices")),
        Command::Status(_) => return Err(wrong("a Status is made by the core itself")),
        Command::Unknown { name, .. } => return Err(wrong(&format!("{name:?} is no command of OMA DM"))),
    };
    let Request { meta, correlator, items, .. } = request;
    if items.is_empty() {
        return Err(wrong(&format!("a {verb} without an Item")));
    }
    let items = items.into_iter().map(|one| item(verb, one, &meta, outer)).collect::<Result<_, _>>()?;
    Ok(Body { verb, items, correlator })
}

fn item(verb: Verb, item: Item, meta: &Meta, outer: &Meta) -> Result<BodyItem, Refused> {
    if item.more_data {
        return Err(wrong("MoreData is set by the core, where an object is too large for one message"));
    }
    let target = item.target.ok_or_else(|| wrong(&format!("an Item of a {verb} without Target")))?.uri;
    let pick = |of: fn(&Meta) -> &Option<String>| {
        [&item.meta, meta, outer].into_iter().find_map(|meta| of(meta).clone())
    };
    Ok(BodyItem {
        target,
        source: item.source.map(|source| source.uri),
        format: pick(|meta| &meta.format),
        type_: pick(|meta| &meta.type_),
        data: item.data,
    })
}

fn refused(error: DecodeError) -> Refused {
    Refused::new(Slug::InvalidSyncMl, error.to_string())
        .item(format!("/syncml: {}", error.place), error.kind.to_string())
}

fn wrong(detail: &str) -> Refused {
    Refused::new(Slug::InvalidSyncMl, detail).item("/syncml", detail)
}

fn not_yet(detail: &str) -> Refused {
    Refused::new(Slug::NotYet, detail).item("/syncml", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &str =
        "<Get><CmdID>1</CmdID><Item><Target><LocURI>./DevInfo/Mod</LocURI></Target></Item></Get>";

    #[test]
    fn a_message_a_body_and_commands_are_told_apart_by_their_root() {
        for (xml, name) in [
            ("<?xml version=\"1.0\"?>\n<!-- x > y --><SyncML xmlns=\"SYNCML:SYNCML1.2\">", "SyncML"),
            ("<!DOCTYPE SyncML PUBLIC \"a\" \"b\"><s:SyncML>", "SyncML"),
            (GET, "Get"),
            ("<SyncBody/>", "SyncBody"),
            ("", ""),
        ] {
            assert_eq!(root(xml), name, "{xml}");
        }
    }

    #[test]
    fn a_body_is_read_as_its_commands_and_a_fault_in_it_has_its_own_place() {
        assert_eq!(commands(&format!("<SyncBody>{GET}<Final/></SyncBody>")).unwrap().0.len(), 1);
        let refused = commands("<SyncBody>\n<Get><CmdID>&x;</CmdID></Get></SyncBody>").unwrap_err();
        assert!(refused.to_string().contains("line 2"), "{refused}");
    }

    #[test]
    fn the_commands_of_a_fragment_keep_their_order_and_meta() {
        let xml = format!(
            "{GET}<Replace><CmdID>2</CmdID><Meta><Format xmlns=\"syncml:metinf\">int</Format></Meta>\
             <Item><Target><LocURI>./A</LocURI></Target><Data>7</Data></Item></Replace>"
        );
        let (bodies, ordered) = commands(&xml).unwrap();
        assert_eq!(bodies.iter().map(|body| body.verb).collect::<Vec<_>>(), [Verb::Get, Verb::Replace]);
        assert_eq!(bodies[1].items[0].format.as_deref(), Some("int"));
        assert!(!ordered);
    }

    #[test]
    fn a_sequence_asks_for_order() {
        let (bodies, ordered) =
            commands(&format!("<Sequence><CmdID>9</CmdID>{GET}{GET}</Sequence>")).unwrap();
        assert_eq!((bodies.len(), ordered), (2, true));
    }

    #[test]
    fn what_an_admin_cannot_send_is_refused_with_its_reason() {
        for (xml, slug) in [
            ("<Atomic><CmdID>1</CmdID></Atomic>", Slug::NotYet),
            ("<Status><CmdID>1</CmdID></Status>", Slug::InvalidSyncMl),
            ("<Get><CmdID>1</CmdID></Get>", Slug::InvalidSyncMl),
            ("<Get><CmdID>1", Slug::InvalidSyncMl),
            ("", Slug::InvalidSyncMl),
        ] {
            assert_eq!(commands(xml).unwrap_err().slug(), slug, "{xml}");
        }
    }
}
