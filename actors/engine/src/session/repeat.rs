//! Resends (the resend rule of SyncML): a byte-equal repeat of the last message gets the stored reply.
//!
//! A first message counts as a repeat only for a while, and only until its session is over where the same octets
//! prove as much again (basic, certificate, a signature made anew): some clients open every session with the same octets
//! (LD-04).

use postern_wire::terms::{AuthType, UtcMillis};

use super::{Effect, RefusedReason, Reply, Session, Turn, serve::Open};
use crate::account::Signature;

/// The last message that was answered, and the answer.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) msg_id: u32,
    digest: [u8; 32],
    reply: Reply,
    at: UtcMillis,
    repeats: u32,
}

/// What is kept of a session that is over, for the resend of its last message.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    session_id: String,
    binding: Option<[u8; 32]>,
    last: Stored,
}

impl Ended {
    pub(super) fn of(open: Open) -> Option<Self> {
        let Open { session_id, binding, last, .. } = open;
        last.map(|last| Self { session_id, binding, last })
    }
}

impl Stored {
    pub(super) fn new(turn: &Turn<'_>, reply: &Reply) -> Self {
        let msg_id = turn.decoded.message.header.msg_id;
        Self { msg_id, digest: turn.digest, reply: reply.clone(), at: turn.now, repeats: 0 }
    }

    /// Whether this is the same message again. In an open session all but the first may come at any time.
    fn matches(&self, turn: &Turn<'_>, window_ms: i64, open: bool) -> bool {
        let msg_id = turn.decoded.message.header.msg_id;
        let fresh = (open && msg_id > 1) || turn.now.since(self.at) <= window_ms;
        self.msg_id == msg_id && self.digest == turn.digest && fresh
    }
}

impl Session {
    /// The stored reply, when this message is the one that was answered last.
    pub(super) fn repeated(&mut self, turn: &mut Turn<'_>) -> Option<Reply> {
        let most = self.config.repeats;
        let stored = self.stored(turn)?;
        stored.repeats += 1;
        if stored.repeats <= most {
            return Some(stored.reply.clone());
        }
        let reason = RefusedReason::TooManyRepeats;
        let detail = format!("MsgID {} came {} times", stored.msg_id, stored.repeats + 1);
        turn.effects.push(Effect::Refused { reason, detail, at: turn.now });
        Some(Reply::Refuse { status: 429, reason })
    }

    /// The stored message that this one repeats: of the open session, of the one that ended, or of a stranger.
    fn stored(&mut self, turn: &Turn<'_>) -> Option<&mut Stored> {
        let window = self.config.repeat_ms;
        let binding = turn.peer.certificate.as_ref().map(|certificate| certificate.fingerprint);
        let signed = matches!(turn.peer.signature, Signature::Valid | Signature::Repeated);
        let proved = self.account.auth != AuthType::Signed || signed;
        let is_same = |session_id: &str, bound: &Option<[u8; 32]>| {
            proved && session_id == turn.session_id() && *bound == binding
        };
        let proves_anew = match self.account.auth {
            AuthType::Basic | AuthType::Certificate | AuthType::Signed => true,
            AuthType::Md5 | AuthType::Hmac => false,
        };
        let opens_again = proves_anew && turn.msg_id() == 1 && turn.peer.signature != Signature::Repeated;
        let open = self.open.as_mut().filter(|open| is_same(&open.session_id, &open.binding));
        let ended =
            self.ended.as_mut().filter(|ended| !opens_again && is_same(&ended.session_id, &ended.binding));
        let stranger = self.candidates.iter_mut().find(|candidate| candidate.is_for(turn));
        let open = open.and_then(|open| open.last.as_mut()).filter(|last| last.matches(turn, window, true));
        let ended = ended.map(|ended| &mut ended.last).filter(|last| last.matches(turn, window, false));
        let stranger = stranger.and_then(|stranger| stranger.last.as_mut());
        let stranger = stranger.filter(|last| last.matches(turn, window, false));
        open.or(ended).or(stranger)
    }
}
