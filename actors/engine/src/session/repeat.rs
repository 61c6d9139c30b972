//! Resends (SyncML resend rule, omadm.md 3.2): a byte-equal repeat of the last message gets the stored reply.
//!
//! A first message counts as a repeat only for a while, and only until its session is over where the same octets
//! prove as much again (basic, certificate): some clients open every session with the same octets (LD-04).

use postern_wire::terms::{AuthType, UtcMillis};

use super::{Effect, RefusedReason, Reply, Session, Turn, serve::Open};
use crate::account::Signature;

/// The last message that was answered, and the answer.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) msg_id: u32,
    digest: [u8; 32],
    reply: Reply,
    at: UtcMillis,
    repeats: u32,
}

/// What is kept of a session that is over, for the resend of its last message.
#[derive(Debug)]
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
        let session_id = &turn.decoded.message.header.session_id;
        let binding = turn.peer.certificate.as_ref().map(|certificate| certificate.fingerprint);
        let proved_anew = match self.account.auth {
            AuthType::Basic | AuthType::Certificate | AuthType::Signed => true,
            AuthType::Md5 | AuthType::Hmac => false,
        };
        let window = self.config.repeat_ms;
        let signed = self.account.auth != AuthType::Signed || turn.peer.signature == Signature::Valid;
        let open = self
            .open
            .as_mut()
            .filter(|open| signed && open.session_id == *session_id && open.binding == binding);
        let stored = match open.and_then(|open| open.last.as_mut()) {
            Some(last) if last.matches(turn, window, true) => last,
            _ => {
                let ended = self.ended.as_mut().filter(|ended| {
                    let again = ended.last.msg_id == 1 && proved_anew;
                    signed && !again && ended.session_id == *session_id && ended.binding == binding
                });
                match ended {
                    Some(ended) if ended.last.matches(turn, window, false) => &mut ended.last,
                    _ => {
                        let candidate =
                            self.candidates.iter_mut().find(|candidate| candidate.is_for(turn))?;
                        candidate.last.as_mut().filter(|last| last.matches(turn, window, false))?
                    }
                }
            }
        };
        stored.repeats += 1;
        if stored.repeats > self.config.repeats {
            let reason = RefusedReason::TooManyRepeats;
            let detail = format!("MsgID {} came {} times", stored.msg_id, stored.repeats + 1);
            turn.effects.push(Effect::Refused { reason, detail, at: turn.now });
            return Some(Reply::Refuse { status: 429, reason });
        }
        Some(stored.reply.clone())
    }
}
