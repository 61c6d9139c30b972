//! Commands that an admin gives as SyncML XML: a whole message, a SyncBody, or the commands alone. Atomic, Sequence and
//! the alerts 1100 to 1104 are taken as they stand; what may stand in which is the planner's rule.

use postern_actors::{Body, BodyItem};
use postern_api::problem::Slug;
use postern_wire::{
    syncml::{self, Alert, Command, Data, DecodeError, Encoding, Group, Item, Limits, Meta, Request},
    terms::Verb,
};

use super::problem::Refused;

/// The commands of `xml`.
pub(super) fn commands(xml: &str) -> Result<Vec<Body>, Refused> {
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
    let bodies = decoded.into_iter().map(|command| body(command, &Meta::default()));
    let bodies = bodies.collect::<Result<Vec<_>, _>>()?;
    if bodies.is_empty() {
        return Err(wrong("it holds no command"));
    }
    Ok(bodies)
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

fn body(command: Command, outer: &Meta) -> Result<Body, Refused> {
    let (verb, request) = match command {
        Command::Add(request) => (Verb::Add, request),
        Command::Replace(request) => (Verb::Replace, request),
        Command::Get(request) => (Verb::Get, request),
        Command::Delete(request) => (Verb::Delete, request),
        Command::Copy(request) => (Verb::Copy, request),
        Command::Exec(request) => (Verb::Exec, request),
        Command::Atomic(group) => return Ok(Body::Atomic(children(group, outer)?)),
        Command::Sequence(group) => return Ok(Body::Sequence(children(group, outer)?)),
        Command::Alert(alert) => return user_alert(alert),
        Command::Results(_) => return Err(wrong("Results come from devices")),
        Command::Status(_) => return Err(wrong("a Status is made by the core itself")),
        Command::Unknown { name, .. } => return Err(wrong(&format!("{name:?} is no command of OMA DM"))),
    };
    let Request { meta, correlator, items, .. } = request;
    if items.is_empty() {
        return Err(wrong(&format!("a {verb} without an Item")));
    }
    let items = items.into_iter().map(|one| item(verb, one, &meta, outer)).collect::<Result<_, _>>()?;
    Ok(Body::Plain { verb, items, correlator })
}

/// The commands of a container, whose Meta holds where they have none.
fn children(group: Group, outer: &Meta) -> Result<Vec<Body>, Refused> {
    let outer = Meta {
        format: group.meta.format.or_else(|| outer.format.clone()),
        type_: group.meta.type_.or_else(|| outer.type_.clone()),
        ..Meta::default()
    };
    group.commands.into_iter().map(|command| body(command, &outer)).collect()
}

/// A display or question to the person at the device: options in Item 1, the text in Item 2, choices behind it.
fn user_alert(alert: Alert) -> Result<Body, Refused> {
    if !(1100..=1104).contains(&alert.code) {
        return Err(wrong("of alerts, only 1100 to 1104 can be sent to a device"));
    }
    let mut texts = alert.items.into_iter().map(|item| match item.data {
        None => Ok(String::new()),
        Some(Data::Text(text)) => Ok(text),
        Some(_) => Err(wrong("an Item of an alert is text")),
    });
    let options = texts.next().transpose()?.unwrap_or_default();
    let text = texts.next().ok_or_else(|| wrong("an alert needs two Items: its options and its text"))??;
    let choices = texts.collect::<Result<_, _>>()?;
    Ok(Body::UserAlert { code: alert.code, options, text, choices })
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
        assert_eq!(commands(&format!("<SyncBody>{GET}<Final/></SyncBody>")).unwrap().len(), 1);
        let refused = commands("<SyncBody>\n<Get><CmdID>&x;</CmdID></Get></SyncBody>").unwrap_err();
        assert!(refused.to_string().contains("line 2"), "{refused}");
    }

    #[test]
    fn the_commands_of_a_fragment_keep_their_order_and_meta() {
        let xml = format!(
            "{GET}<Replace><CmdID>2</CmdID><Meta><Format xmlns=\"syncml:metinf\">int</Format></Meta>\
             <Item><Target><LocURI>./A</LocURI></Target><Data>7</Data></Item></Replace>"
        );
        let bodies = commands(&xml).unwrap();
        assert_eq!(bodies.iter().map(Body::verb).collect::<Vec<_>>(), [Verb::Get, Verb::Replace]);
        assert_eq!(bodies[1].items()[0].format.as_deref(), Some("int"));
    }

    #[test]
    fn containers_and_display_alerts_are_taken_as_they_stand() {
        let ask = "<Alert><CmdID>2</CmdID><Data>1101</Data><Item><Data>DR=1</Data></Item>\
                   <Item><Data>Now?</Data></Item></Alert>";
        let xml = format!(
            "<Sequence><CmdID>9</CmdID>{ask}<Atomic><CmdID>3</CmdID><Meta><Format xmlns=\"syncml:metinf\">int\
             </Format></Meta><Add><CmdID>4</CmdID><Item><Target><LocURI>./A</LocURI></Target><Data>7</Data>\
             </Item></Add></Atomic>{GET}</Sequence>"
        );
        let bodies = commands(&xml).unwrap();
        let [Body::Sequence(children)] = bodies.as_slice() else { panic!("{bodies:?}") };
        let ask =
            Body::UserAlert { code: 1101, options: "DR=1".into(), text: "Now?".into(), choices: Vec::new() };
        assert_eq!(children[0], ask);
        let [Body::Plain { verb: Verb::Add, items, .. }] = children[1].children() else { panic!() };
        assert_eq!(items[0].format.as_deref(), Some("int"));
        assert_eq!(children[2].verb(), Verb::Get);
    }

    #[test]
    fn what_an_admin_cannot_send_is_refused_with_its_reason() {
        for (xml, slug) in [
            ("<Alert><CmdID>1</CmdID><Data>1226</Data></Alert>", Slug::InvalidSyncMl),
            ("<Alert><CmdID>1</CmdID><Data>1100</Data></Alert>", Slug::InvalidSyncMl),
            ("<Status><CmdID>1</CmdID></Status>", Slug::InvalidSyncMl),
            ("<Get><CmdID>1</CmdID></Get>", Slug::InvalidSyncMl),
            ("<Get><CmdID>1", Slug::InvalidSyncMl),
            ("", Slug::InvalidSyncMl),
        ] {
            assert_eq!(commands(xml).unwrap_err().slug(), slug, "{xml}");
        }
    }
}
