//! Messages without their secrets, for people who look on and for transcripts.
//!
//! Promise: what comes out holds no credentials and no value of a node that may not be read, in either direction: neither of
//! those that are protected ([`crate::destructive::is_hidden`]) nor of those whose description takes values and knows no Get.
//! A tree in one value is judged node by node. Everything else is as it was.

use postern_wire::{
    syncml::{Command, Data, Item, Message},
    tnds,
    uri::TreeUri,
};

use crate::destructive;

/// What stands in a secret's place.
pub const MASK: &str = "(masked)";

/// Whether descriptions say of a node that its value is not to be read.
pub type Described<'a> = &'a dyn Fn(&TreeUri) -> bool;

/// Takes the secrets out of a message. `described` tells of nodes beside those that are always protected.
pub fn mask(message: &mut Message, described: Described<'_>) {
    if let Some(cred) = &mut message.header.cred {
        cred.data = Data::from(MASK);
    }
    for_each_secret(message, described, &mut |data| *data = Data::from(MASK));
}

/// Gives each value of a message that is secret.
pub(crate) fn for_each_secret(
    message: &mut Message,
    described: Described<'_>,
    each: &mut dyn FnMut(&mut Data),
) {
    let mut walk = Walk { described, each };
    message.body.iter_mut().for_each(|command| walk.command(command));
}

/// Whether a value at this address is secret. Each of the names that a message has for it counts.
pub(crate) fn is_secret(named: &[&str], data: &Data, type_: Option<&str>, described: Described<'_>) -> bool {
    let one = |uri: &TreeUri| destructive::is_hidden(uri.as_ref()) || described(&uri.node());
    named.iter().any(|text| {
        let Ok(uri) = TreeUri::parse(text) else { return false };
        one(&uri) || tells_one_below(&uri, data, type_, &one)
    })
}

/// Whether a tree in a value tells a secret of a node below; one that cannot be read might.
fn tells_one_below(
    uri: &TreeUri,
    data: &Data,
    type_: Option<&str>,
    is_secret: &dyn Fn(&TreeUri) -> bool,
) -> bool {
    let typed = type_.is_some_and(|type_| type_.trim().to_ascii_lowercase().contains("dmtnds"));
    if !typed && !matches!(data, Data::Markup(_)) {
        return false;
    }
    let Ok(tree) = tnds::of_data(data, type_, &tnds::Limits::default()) else { return typed };
    match tree.placed(uri) {
        Ok(placed) => placed.iter().any(|placed| placed.node.value.is_some() && is_secret(&placed.uri)),
        Err(_) => true,
    }
}

struct Walk<'a> {
    described: Described<'a>,
    each: &'a mut dyn FnMut(&mut Data),
}

impl Walk<'_> {
    fn command(&mut self, command: &mut Command) {
        match command {
            Command::Add(request)
            | Command::Replace(request)
            | Command::Get(request)
            | Command::Delete(request)
            | Command::Copy(request)
            | Command::Exec(request) => {
                let type_ = request.meta.type_.clone();
                request.items.iter_mut().for_each(|item| self.item(item, None, type_.as_deref()));
            }
            Command::Atomic(group) | Command::Sequence(group) => {
                group.commands.iter_mut().for_each(|command| self.command(command));
            }
            Command::Results(results) => {
                let named = results.source_ref.clone().or_else(|| results.target_ref.clone());
                let type_ = results.meta.type_.clone();
                results.items.iter_mut().for_each(|item| self.item(item, named.as_deref(), type_.as_deref()));
            }
            Command::Alert(alert) => alert.items.iter_mut().for_each(|item| self.item(item, None, None)),
            Command::Status(status) => {
                let named = status.target_refs.first().or_else(|| status.source_refs.first()).cloned();
                status.items.iter_mut().for_each(|item| self.item(item, named.as_deref(), None));
            }
            Command::Unknown { .. } => {}
        }
    }

    fn item(&mut self, item: &mut Item, named: Option<&str>, type_: Option<&str>) {
        let places = [item.target.as_ref(), item.source.as_ref()];
        let all: Vec<&str> =
            places.into_iter().flatten().map(|place| place.uri.as_str()).chain(named).collect();
        let type_ = item.meta.type_.as_deref().or(type_);
        if let Some(data) = &item.data
            && is_secret(&all, data, type_, self.described)
            && let Some(data) = &mut item.data
        {
            (self.each)(data);
        }
    }
}

#[cfg(test)]
mod tests {
    use postern_wire::syncml::{self, Encoding, Limits, Style, Version};

    use super::*;

    fn masked(xml: &str) -> String {
        let mut message = syncml::decode(xml.as_bytes(), Encoding::Xml, &Limits::default()).unwrap().message;
        mask(&mut message, &|uri| uri.name() == Some("Psk"));
        String::from_utf8(syncml::encode(&message, &Style::xml(Version::V1_2)).unwrap()).unwrap()
    }

    fn message(cred: &str, body: &str) -> String {
        format!(
            "<SyncML xmlns=\"SYNCML:SYNCML1.2\"><SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto>\
             <SessionID>1</SessionID><MsgID>1</MsgID><Target><LocURI>a</LocURI></Target>\
             <Source><LocURI>b</LocURI></Source>{cred}</SyncHdr><SyncBody>{body}<Final/></SyncBody></SyncML>"
        )
    }

    #[test]
    fn credentials_are_masked() {
        let cred = "<Cred><Meta><Type xmlns=\"syncml:metinf\">syncml:auth-basic</Type></Meta>\
                    <Data>aHVudGVyMg==</Data></Cred>";
        let text = masked(&message(cred, ""));
        assert!(!text.contains("aHVudGVyMg==") && text.contains(MASK) && text.contains("syncml:auth-basic"));
    }

    #[test]
    fn values_of_secret_nodes_are_masked_in_both_directions_and_others_are_not() {
        for uri in ["./DMAcc/x/AppAuth/1/AAuthSecret", "./DMAcc/x/AppAuth/1/AAuthData"] {
            for body in [
                format!(
                    "<Replace><CmdID>2</CmdID><Item><Target><LocURI>{uri}</LocURI></Target><Data>hunter2</Data></Item></Replace>"
                ),
                format!(
                    "<Atomic><CmdID>1</CmdID><Add><CmdID>2</CmdID><Item><Target><LocURI>{uri}</LocURI></Target><Data>hunter2</Data></Item></Add></Atomic>"
                ),
                format!(
                    "<Results><CmdID>2</CmdID><MsgRef>1</MsgRef><CmdRef>1</CmdRef><Item><Source><LocURI>{uri}</LocURI></Source><Data>hunter2</Data></Item></Results>"
                ),
                format!(
                    "<Results><CmdID>2</CmdID><MsgRef>1</MsgRef><CmdRef>1</CmdRef><SourceRef>{uri}</SourceRef><Item><Data>hunter2</Data></Item></Results>"
                ),
            ] {
                let text = masked(&message("", &body));
                assert!(!text.contains("hunter2") && text.contains(MASK), "{text}");
            }
        }
        let open = "<Replace><CmdID>2</CmdID><Item><Target><LocURI>./DevInfo/Man</LocURI></Target><Data>Postern</Data></Item></Replace>";
        assert!(masked(&message("", open)).contains("Postern"));
    }

    #[test]
    fn a_node_that_its_description_lets_nobody_read_is_masked_alone_and_inside_a_tree() {
        let leaf = "<Replace><CmdID>2</CmdID><Item><Target><LocURI>./Wifi/home/Psk</LocURI></Target><Data>hunter2</Data></Item></Replace>";
        assert!(!masked(&message("", leaf)).contains("hunter2"));
        let tree = |name: &str| {
            format!(
                "<Add><CmdID>2</CmdID><Item><Target><LocURI>./Wifi/home</LocURI></Target><Meta><Type xmlns=\"syncml:metinf\">\
                 application/vnd.syncml.dmtnds+xml</Type></Meta><Data><MgmtTree xmlns=\"syncml:dmddf1.2\"><VerDTD>1.2</VerDTD>\
                 <Node><NodeName>{name}</NodeName><Value>hunter2</Value></Node></MgmtTree></Data></Item></Add>"
            )
        };
        assert!(!masked(&message("", &tree("Psk"))).contains("hunter2"));
        assert!(masked(&message("", &tree("Ssid"))).contains("hunter2"));
    }
}
