//! What a device tells whoever watches it.

use std::{fmt, sync::Arc};

use postern_wire::terms::OperationId;
use serde::Serialize;

use crate::codes::Code;

/// Something that happened in a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A session begins.
    Opened {
        /// SessionID.
        session_id: String,
    },
    /// A message went out.
    Sent {
        /// MsgID.
        msg_id: u32,
        /// Octets of its body.
        octets: usize,
    },
    /// A message came in.
    Received {
        /// Octets of its body.
        octets: usize,
    },
    /// The server asked for credentials, or for others.
    Challenged,
    /// The server accepted this device.
    Accepted,
    /// The server proved itself by Cred.
    ServerProved,
    /// The server's Cred was missing or wrong: its commands were refused.
    ServerRefused {
        /// What it was answered.
        code: Code,
    },
    /// A command was answered.
    Command {
        /// Its name: Get, Replace …
        name: String,
        /// Its target; empty where it has none.
        uri: String,
        /// The answer.
        code: Code,
    },
    /// The server has answered an alert of the device's own.
    AlertAnswered {
        /// Its Source, or the type of a client event.
        about: String,
        /// The answer.
        code: Code,
    },
    /// An account was put in by a bootstrap.
    Bootstrapped {
        /// ServerID.
        server_id: String,
    },
    /// A notification was not followed.
    NotificationIgnored {
        /// Why.
        why: String,
    },
    /// A destructive command was not obeyed.
    OrderRefused {
        /// Its target.
        uri: String,
        /// Why.
        why: String,
    },
    /// The device wiped itself.
    Wiped {
        /// The operation that ordered it.
        order: OperationId,
    },
    /// The device lets go of its enrolment when the server has the answer.
    Leaving {
        /// The operation that ordered it.
        order: OperationId,
    },
    /// The device has let go of its enrolment.
    Left,
    /// A new certificate, or new anchors, proved themselves and took the old ones' place.
    Renewed,
    /// They were refused; the old ones hold.
    RenewalRefused {
        /// By what.
        why: String,
        /// They will not be tried again.
        forgotten: bool,
    },
    /// The exchange failed and is tried again.
    Retried {
        /// What failed.
        why: String,
    },
    /// The session is over.
    Closed {
        /// Messages sent.
        messages: u32,
        /// Commands answered.
        commands: u32,
    },
}

/// One line for a person; text from the server is escaped.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened { session_id } => write!(f, "session {session_id} opened"),
            Self::Sent { msg_id, octets } => write!(f, "message {msg_id} sent, {octets} octets"),
            Self::Received { octets } => write!(f, "message received, {octets} octets"),
            Self::Challenged => f.write_str("challenged for credentials"),
            Self::Accepted => f.write_str("accepted by the server"),
            Self::ServerProved => f.write_str("the server proved itself"),
            Self::ServerRefused { code } => write!(f, "the server's credentials were refused with {code}"),
            Self::Command { name, uri, code } => {
                write!(f, "{} {} -> {code}", name.escape_debug(), uri.escape_debug())
            }
            Self::AlertAnswered { about, code } => {
                write!(f, "the alert about {} -> {code}", about.escape_debug())
            }
            Self::Bootstrapped { server_id } => {
                write!(f, "bootstrapped for the server {}", server_id.escape_debug())
            }
            Self::NotificationIgnored { why } => {
                write!(f, "a notification is ignored: {}", why.escape_debug())
            }
            Self::OrderRefused { uri, why } => {
                write!(f, "an order for {} was refused: {why}", uri.escape_debug())
            }
            Self::Wiped { order } => write!(f, "wiped by order {order}"),
            Self::Leaving { order } => write!(f, "leaving by order {order}"),
            Self::Left => f.write_str("let go of the enrolment"),
            Self::Renewed => f.write_str("the new certificate or anchors hold from now on"),
            Self::RenewalRefused { why, forgotten } => {
                let end = if *forgotten { " and forgotten" } else { "" };
                write!(f, "the new certificate or anchors are refused{end}: {}", why.escape_debug())
            }
            Self::Retried { why } => write!(f, "tried again after: {}", why.escape_debug()),
            Self::Closed { messages, commands } => {
                write!(f, "session closed after {messages} messages and {commands} commands")
            }
        }
    }
}

/// Where events go: called in the session's own task, so it has to be quick.
pub type Observer = Arc<dyn Fn(&Event) + Send + Sync>;
