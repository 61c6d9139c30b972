//! What came of a message: the reply, and the effects that the actor commits.
//!
//! Promise: `Outcome::durable` must be committed before the reply leaves; `Outcome::deferred` may be batched and
//! may be lost in a crash without harm. When the durable effects cannot be committed the reply must not leave,
//! and the session and its queue are dropped and loaded again.

use std::collections::BTreeMap;

use postern_wire::{
    syncml::Data,
    terms::{CommandId, CommandState, DmSessionId, ProofClass, UtcMillis, Verb},
};
use sha2::{Digest, Sha256};

use crate::{
    account::ServerScheme,
    command::{Cause, Event},
    queue::SentAs,
};

/// What came of one message.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What the device gets, once the durable effects are committed.
    pub reply: Reply,
    /// To be committed, in this order, before the reply leaves.
    pub durable: Vec<Effect>,
    /// May be batched: losing them costs a repeat, never a command.
    pub deferred: Vec<Effect>,
    /// What was decided and why, in order; empty unless `Session::set_trace` asked for it.
    pub trace: Vec<Decision>,
}

/// One decision of the engine, for a person who watches the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The rule that decided, in stable spelling: `admit`, `deny`, `repeat`, `answer`, `send`, `hold`, `status` …
    pub rule: &'static str,
    /// What and why. May hold a peer's text: to be escaped for each sink; never a secret.
    pub text: String,
}

/// What goes back to the device.
#[derive(Clone, Debug)]
pub enum Reply {
    /// HTTP 200 with a SyncML message.
    Message {
        /// The message in the request's encoding, version and family.
        body: Vec<u8>,
        /// Content-Type of the family and encoding that were asked in.
        content_type: &'static str,
        /// Value of the header x-syncml-hmac, where the server proves itself by syncml:auth-MAC.
        hmac: Option<String>,
        /// Whether the session is over with this message.
        close: bool,
    },
    /// An HTTP refusal without SyncML meaning: it ends the client's attempt.
    Refuse {
        /// HTTP status.
        status: u16,
        /// Why; its slug is the problem type.
        reason: RefusedReason,
    },
}

/// A change that the actor commits to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A command is in the reply: recorded before its bytes leave.
    CommandSent {
        /// The command.
        command: CommandId,
        /// Where it went.
        sent: SentAs,
        /// How often it was sent, this time counted.
        sends: u32,
        /// When.
        at: UtcMillis,
    },
    /// The probe of a command in unknown fate is in the reply. It harms nothing and may be sent again: only the
    /// timeline needs it; the command's own `SentAs` stays.
    ProbeSent {
        /// The command.
        command: CommandId,
        /// The URI that is read.
        uri: String,
        /// When.
        at: UtcMillis,
    },
    /// A command changed its state or stays pending with a new cause; a finished one leaves the pending table.
    CommandMoved {
        /// The command.
        command: CommandId,
        /// What happened, as the transition table calls it.
        event: Event,
        /// The state after it.
        state: CommandState,
        /// Why.
        cause: Cause,
        /// The SyncML status, where one was given.
        code: Option<u32>,
        /// Status of each item, in the order of the command's items.
        items: Vec<ItemStatus>,
        /// What a Get brought, or an Exec's or alert's data.
        results: Vec<ResultItem>,
        /// How strongly the session that brought it was proved.
        class: ProofClass,
        /// When.
        at: UtcMillis,
    },
    /// A generic alert (1226) or client event (1224) of an authenticated device.
    AlertReceived {
        /// 1226 or 1224.
        code: u32,
        /// The command that it completes or tells about.
        command: Option<CommandId>,
        /// Correlator.
        correlator: Option<String>,
        /// One event for each Item.
        items: Vec<AlertItem>,
        /// How its message was proved.
        class: ProofClass,
        /// When.
        at: UtcMillis,
    },
    /// The enrolment was proved more strongly than ever before; its class rises to this.
    ProofClassRose {
        /// The new class.
        class: ProofClass,
    },
    /// An authenticated session began.
    SessionOpened {
        /// Its id.
        session: DmSessionId,
        /// SessionID as the device chose it.
        device_session: String,
        /// How strongly it was proved.
        class: ProofClass,
        /// Whether the device answers a trigger of ours (Alert 1200).
        server_initiated: bool,
        /// When.
        at: UtcMillis,
    },
    /// A session is over.
    SessionClosed {
        /// Its id.
        session: DmSessionId,
        /// Why.
        reason: CloseReason,
        /// Messages received in it.
        messages: u32,
        /// When.
        at: UtcMillis,
    },
    /// An authenticated message came in.
    Seen {
        /// When.
        at: UtcMillis,
    },
    /// DevInfo differs from what is stored.
    DeviceInfo(DeviceInfo),
    /// The device proved its new credential ([`crate::account::Account::next`]): the old one is void.
    CredentialTurned {
        /// When.
        at: UtcMillis,
    },
    /// A session proved itself over the default nonce: the trigger that allowed it is used up.
    Resynchronised {
        /// When.
        at: UtcMillis,
    },
    /// The device gave a new nonce for the server's credentials.
    ServerNonce {
        /// Decoded octets; may be empty.
        nonce: Vec<u8>,
    },
    /// The device does not take the server's credentials, or wants some and has none of ours.
    ServerRefused {
        /// The status it gave.
        code: u32,
        /// The scheme that it asks for.
        asks: Option<ServerScheme>,
    },
    /// A message was refused and changed nothing of the enrolment; for `why DEVICE`.
    Refused {
        /// Why.
        reason: RefusedReason,
        /// Particulars, hostile text included: to be escaped for each sink.
        detail: String,
        /// When.
        at: UtcMillis,
    },
}

impl Effect {
    /// Whether it must be committed before the reply leaves.
    #[must_use]
    pub const fn is_durable(&self) -> bool {
        match self {
            Self::CommandSent { .. }
            | Self::CommandMoved { .. }
            | Self::ProofClassRose { .. }
            | Self::CredentialTurned { .. }
            | Self::Resynchronised { .. } => true,
            Self::AlertReceived { code, .. } => *code == 1226,
            Self::ProbeSent { .. }
            | Self::SessionOpened { .. }
            | Self::SessionClosed { .. }
            | Self::Seen { .. }
            | Self::DeviceInfo(_)
            | Self::ServerNonce { .. }
            | Self::ServerRefused { .. }
            | Self::Refused { .. } => false,
        }
    }
}

/// The status of one item of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemStatus {
    /// The verb of the command that it is of: the command itself, or one inside it.
    pub verb: Verb,
    /// The item's target URI; empty for a container and an alert.
    pub uri: String,
    /// The code, where the device gave one.
    pub code: Option<u32>,
}

/// One item of Results, or of a Status's or alert's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultItem {
    /// Source LocURI, or the Get's own URI where the device left it out.
    pub uri: String,
    /// Format; `chr` by default.
    pub format: String,
    /// Type; `text/plain` by default for a leaf, empty for an interior node.
    pub type_: String,
    /// The value; an interior node's is its children's names with `/` between.
    pub data: Data,
}

impl ResultItem {
    /// The children of an interior node, in the device's order; `None` for a leaf.
    #[must_use]
    pub fn children(&self) -> Option<Vec<&str>> {
        if !self.format.eq_ignore_ascii_case("node") {
            return None;
        }
        let names = self.data.as_text().unwrap_or_default();
        Some(names.split('/').filter(|name| !name.is_empty()).collect())
    }
}

/// One Item of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertItem {
    /// Source LocURI.
    pub source: String,
    /// Type, without the prefix that some clients put before it, trimmed.
    pub type_: String,
    /// Format.
    pub format: String,
    /// Mark; `informational` by default.
    pub mark: String,
    /// Data.
    pub data: Data,
}

/// The leaves of ./DevInfo as sent in package 1, by their URI.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceInfo {
    /// URI (`./DevInfo/Man`) to value.
    pub leaves: BTreeMap<String, String>,
    /// Names of the quirk profiles that the client matches, with commas between.
    pub profiles: String,
}

impl DeviceInfo {
    /// SHA-256 over the leaves in order; what `Account::device_info` is compared with.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for (uri, value) in &self.leaves {
            for part in [uri, value] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part.as_bytes());
            }
        }
        if !self.profiles.is_empty() {
            hash.update(&self.profiles);
        }
        hash.finalize().into()
    }
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// Nothing more to send.
    Done,
    /// The device sent Alert 1223.
    AbortedByDevice,
    /// The core ended it.
    AbortedByServer,
    /// Another session of the same enrolment began.
    Replaced,
    /// No message for the idle limit.
    Idle,
    /// The device does not take the server's credentials.
    ServerRefused,
    /// The device repeats itself without end, or broke a limit.
    Misbehaved,
}

impl CloseReason {
    /// The stable spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::AbortedByDevice => "aborted-by-device",
            Self::AbortedByServer => "aborted-by-server",
            Self::Replaced => "replaced",
            Self::Idle => "idle",
            Self::ServerRefused => "server-refused",
            Self::Misbehaved => "misbehaved",
        }
    }
}

/// Why a message was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusedReason {
    /// It does not decode.
    Malformed,
    /// Content-Type is none of SyncML's.
    UnknownMediaType,
    /// VerDTD is neither 1.1 nor 1.2 (505).
    UnknownDtd,
    /// VerProto is neither DM/1.1 nor DM/1.2 (513).
    UnknownProtocol,
    /// No credentials (407).
    CredentialsMissing,
    /// Wrong credentials (401), a stale nonce included.
    CredentialsWrong,
    /// Another scheme than the enrolment's, also after the challenge.
    WrongScheme,
    /// Three attempts failed.
    TooManyAttempts,
    /// The message signature is missing or does not hold.
    SignatureInvalid,
    /// SyncHdr's Source names another device.
    DeviceIdMismatch,
    /// The credentials name another user.
    UserMismatch,
    /// The certificate names another enrolment.
    CertificateMismatch,
    /// Proved more weakly than this enrolment has to.
    ClassBelowFloor,
    /// The message does not come from the peer that the session is bound to.
    NotTheSessionsPeer,
    /// MsgID is not above the last.
    OutOfOrder,
    /// The same message again and again.
    TooManyRepeats,
    /// The device's MaxMsgSize is too small for any answer.
    MessageSizeTooSmall,
    /// The enrolment is retired.
    Retired,
}

impl RefusedReason {
    /// The slug of its problem type, also what the log and the CLI show.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Malformed => "message-malformed",
            Self::UnknownMediaType => "media-type-unknown",
            Self::UnknownDtd => "dtd-version-unknown",
            Self::UnknownProtocol => "protocol-version-unknown",
            Self::CredentialsMissing => "credentials-missing",
            Self::CredentialsWrong => "credentials-wrong",
            Self::WrongScheme => "credentials-wrong-scheme",
            Self::TooManyAttempts => "too-many-attempts",
            Self::SignatureInvalid => "signature-invalid",
            Self::DeviceIdMismatch => "device-id-mismatch",
            Self::UserMismatch => "user-mismatch",
            Self::CertificateMismatch => "certificate-mismatch",
            Self::ClassBelowFloor => "proof-class-too-low",
            Self::NotTheSessionsPeer => "session-peer-mismatch",
            Self::OutOfOrder => "message-out-of-order",
            Self::TooManyRepeats => "too-many-repeats",
            Self::MessageSizeTooSmall => "message-size-too-small",
            Self::Retired => "device-retired",
        }
    }
}
