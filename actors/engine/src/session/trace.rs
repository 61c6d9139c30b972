//! What was decided, in words, for who watches a session. Nothing here decides, and no secret comes in.

use postern_wire::terms::{CommandState, OperationKind, UtcMillis};

use super::{
    Decision, Effect, Outcome, Session,
    admit::{Denial, Proof},
};
use crate::{command::Event, queue::Queue};

pub(super) fn admitted(proof: &Proof) -> String {
    let joins = if proof.continues { "goes on in the open session" } else { "begins a session" };
    let nonce = match (proof.resync, proof.nonce_used) {
        (Some(_), _) => ", over the default nonce that a trigger allowed once",
        (None, Some(_)) => ", over a nonce that is used up now",
        (None, None) => "",
    };
    format!("proved as {}{nonce}; it {joins}", proof.class)
}

pub(super) fn denied(denial: Denial) -> String {
    let next = if denial.retry { "it may be challenged" } else { "no challenge can help" };
    format!("{}; {next}, and nothing of the enrolment changes", denial.reason.slug())
}

impl Session {
    /// The decisions of a message: those that were noted, those that its effects tell, and what waits and why.
    pub(super) fn told(&mut self, outcome: &Outcome, queue: &Queue, now: UtcMillis) -> Vec<Decision> {
        let mut told = self.trace.as_mut().map(std::mem::take).unwrap_or_default();
        told.extend(outcome.durable.iter().chain(&outcome.deferred).filter_map(of_effect));
        told.extend(self.held_back(queue, now));
        told
    }

    fn held_back(&self, queue: &Queue, now: UtcMillis) -> Vec<Decision> {
        let suspended = queue.is_suspended_by_wipe();
        let hold = |command: &crate::queue::PendingCommand| {
            let open = self.open.as_ref();
            let why = match command.state {
                CommandState::Sent if command.accepted.is_some() => "waits for the alert that tells its end",
                CommandState::Sent => return None,
                _ if suspended && command.kind != OperationKind::Wipe => "a pending wipe suspends it",
                _ if command.deadline.is_some_and(|deadline| deadline <= now) => "its deadline has passed",
                _ if open.is_none() => "no session is open",
                _ if open.is_some_and(|open| open.held.contains(&command.id)) => {
                    "it had no answer in this session and goes again in the next"
                }
                _ if open.is_some_and(|open| open.upload.is_some()) => "a large object is on its way",
                _ if command.ordered => "its operation's earlier commands are to be answered first",
                _ => "it waits for the next message",
            };
            Some(Decision { rule: "hold", text: format!("{} {}: {why}", command.body.verb(), command.id) })
        };
        queue.iter().filter_map(hold).collect()
    }
}

fn of_effect(effect: &Effect) -> Option<Decision> {
    let (rule, text) = match effect {
        Effect::CommandSent { command, sent, sends, .. } => {
            let again = if *sends > 1 { format!(", for the {sends}. time") } else { String::new() };
            ("send", format!("{command} goes as CmdID {} of message {}{again}", sent.cmd_id, sent.msg_id))
        }
        Effect::ProbeSent { command, uri, .. } => {
            ("probe", format!("{uri} is read to find out whether {command} took effect"))
        }
        Effect::CommandMoved { command, event, state, cause, code, .. } => {
            let said = code.map_or_else(String::new, |code| format!("status {code}: "));
            let rule = if matches!(event, Event::Reject) { "reject" } else { "status" };
            (rule, format!("{said}{command} is {state} ({})", cause.as_str()))
        }
        Effect::AlertReceived { code, command, items, .. } => {
            let types: Vec<_> = items.iter().map(|item| item.type_.as_str()).collect();
            let of = command.map_or_else(String::new, |id| format!(", which ends {id}"));
            ("alert", format!("alert {code} of type {}{of}", types.join(", ")))
        }
        Effect::ProofClassRose { class } => {
            ("class", format!("the enrolment is held to {class} from now on"))
        }
        Effect::SessionOpened { device_session, server_initiated, .. } => {
            let by = if *server_initiated { "the server's trigger" } else { "the device" };
            ("open", format!("session {device_session:?} begins, by {by}"))
        }
        Effect::SessionClosed { reason, messages, .. } => {
            ("close", format!("the session is over after {messages} messages: {}", reason.as_str()))
        }
        Effect::DeviceInfo(_) => ("device-info", "DevInfo has changed".to_owned()),
        Effect::Resynchronised { .. } => {
            ("resync", "the leave to use the default nonce is used up".to_owned())
        }
        Effect::ServerNonce { .. } => {
            ("server-nonce", "the device gave a nonce for our credentials".to_owned())
        }
        Effect::ServerRefused { code, .. } => {
            ("server-credentials", format!("the device answers {code} to our credentials"))
        }
        Effect::Refused { reason, .. } => ("refuse", reason.slug().to_owned()),
        Effect::CredentialTurned { .. } => {
            ("credential-turned", "the device proved its new secret: the old one is void".to_owned())
        }
        Effect::Seen { .. } => return None,
    };
    Some(Decision { rule, text })
}
