//! Messages without their secrets, for people who look on.
//!
//! Promise: what comes out holds no credentials and no value of a node that may not be read
//! ([`crate::destructive::is_secret`]), in either direction; everything else is as it was.

use postern_wire::syncml::{Command, Data, Item, Message};

use crate::destructive;

/// What stands in a secret's place.
pub const MASK: &str = "(masked)";

/// Takes the secrets out of a message.
pub fn mask(message: &mut Message) {
    if let Some(cred) = &mut message.header.cred {
        cred.data = Data::from(MASK);
    }
    message.body.iter_mut().for_each(command);
}

fn command(command: &mut Command) {
    match command {
        Command::Add(request)
        | Command::Replace(request)
        | Command::Get(request)
        | Command::Delete(request)
        | Command::Copy(request)
        | Command::Exec(request) => request.items.iter_mut().for_each(|item| self::item(item, None)),
        Command::Atomic(group) | Command::Sequence(group) => {
            group.commands.iter_mut().for_each(self::command);
        }
        Command::Results(results) => {
            let named = results.source_ref.clone().or_else(|| results.target_ref.clone());
            results.items.iter_mut().for_each(|item| self::item(item, named.as_deref()));
        }
        Command::Alert(alert) => alert.items.iter_mut().for_each(|item| self::item(item, None)),
        Command::Status(status) => {
            let named = status.target_refs.first().or_else(|| status.source_refs.first()).cloned();
            status.items.iter_mut().for_each(|item| self::item(item, named.as_deref()));
        }
        Command::Unknown { .. } => {}
    }
}

fn item(item: &mut Item, named: Option<&str>) {
    let places = [item.target.as_ref(), item.source.as_ref()];
    let own = places.into_iter().flatten().map(|place| place.uri.as_str());
    // A subtree may hold one below, so all markup beside a node above a secret goes as well.
    if own.chain(named).any(destructive::is_secret) && item.data.is_some() {
        item.data = Some(Data::from(MASK));
    }
}

#[cfg(test)]
mod tests {
    use postern_wire::syncml::{self, Encoding, Limits, Style, Version};

    use super::*;

    fn masked(xml: &str) -> String {
        let mut message = syncml::decode(xml.as_bytes(), Encoding::Xml, &Limits::default()).unwrap().message;
        mask(&mut message);
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
}
