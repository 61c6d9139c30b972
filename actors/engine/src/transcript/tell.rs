//! Effects as lines that stay the same from release to release.

use sha2::{Digest as _, Sha256};

use postern_wire::{auth, syncml::Data, terms::ProofClass};

use crate::effect::{Effect, ItemStatus, ResultItem};

/// An effect in one line; `values` is whether the digests of values stand in it.
pub(super) fn effect(effect: &Effect, values: bool) -> String {
    let digest = |all: &[&Data]| if values { format!(" {}", digest(all)) } else { String::new() };
    match effect {
        Effect::CommandSent { command, sent, sends, .. } => format!(
            "sent {command} as {}/{} x{} in session {:?}, time {sends}",
            sent.msg_id, sent.cmd_id, sent.parts, sent.device_session
        ),
        Effect::ProbeSent { command, uri, .. } => format!("probe {command} by {uri:?}"),
        Effect::CommandMoved { command, event, state, cause, code, items, results, class, .. } => {
            let data: Vec<_> = results.iter().map(|result| &result.data).collect();
            format!(
                "moved {command} by {event:?} to {state} ({}) code {}, {}, items {}, results {}{}",
                cause.as_str(),
                number(*code),
                proof(*class),
                statuses(items),
                named(results),
                if data.is_empty() { String::new() } else { digest(&data) },
            )
        }
        Effect::AlertReceived { code, command, correlator, items, .. } => {
            let data: Vec<_> = items.iter().map(|item| &item.data).collect();
            let items: Vec<_> = items.iter().map(|item| (&item.source, &item.type_, &item.mark)).collect();
            let command = command.map_or_else(|| "no command".to_owned(), |id| id.to_string());
            format!("alert {code} of {command}, correlator {correlator:?}, {items:?}{}", digest(&data))
        }
        Effect::ProofClassRose { class } => format!("class rose to {class}"),
        Effect::SessionOpened { session, device_session, class, server_initiated, .. } => format!(
            "opened {session} as {device_session:?}, {}, server-initiated {server_initiated}",
            proof(*class)
        ),
        Effect::SessionClosed { session, reason, messages, .. } => {
            format!("closed {session} after {messages}: {}", reason.as_str())
        }
        Effect::Seen { .. } => "seen".to_owned(),
        Effect::DeviceInfo(info) => {
            format!("device-info {:?}", info.leaves.iter().collect::<Vec<_>>())
        }
        Effect::CredentialTurned { .. } => "credential turned".to_owned(),
        Effect::Resynchronised { .. } => "resynchronised".to_owned(),
        Effect::ServerNonce { nonce } => format!("server-nonce of {} octets", nonce.len()),
        Effect::ServerRefused { code, asks } => format!("server refused with {code}, asks {asks:?}"),
        Effect::Refused { reason, .. } => format!("refused {}", reason.slug()),
    }
}

fn number(code: Option<u32>) -> String {
    code.map_or_else(|| "none".to_owned(), |code| code.to_string())
}

fn proof(class: ProofClass) -> String {
    format!("proved {class}")
}

fn statuses(items: &[ItemStatus]) -> String {
    let all: Vec<_> =
        items.iter().map(|item| format!("{} {:?} {}", item.verb, item.uri, number(item.code))).collect();
    format!("[{}]", all.join(", "))
}

fn named(results: &[ResultItem]) -> String {
    let all: Vec<_> =
        results.iter().map(|item| format!("{:?} {} {}", item.uri, item.format, item.type_)).collect();
    format!("[{}]", all.join(", "))
}

fn digest(all: &[&Data]) -> String {
    let mut hash = Sha256::new();
    for data in all {
        let (kind, octets) = match data {
            Data::Text(text) => (b't', text.as_bytes()),
            Data::Markup(text) => (b'm', text.as_bytes()),
            Data::Binary(octets) => (b'b', octets.as_slice()),
        };
        hash.update([kind]);
        hash.update((octets.len() as u64).to_be_bytes());
        hash.update(octets);
    }
    format!("sha256 {}", auth::encode_base64(&hash.finalize()[..12]))
}
