//! The challenge, and the refusal (OMA-TS-DM_Security 1.2.1, 5.3).
//!
//! Promise: what stands here touches neither the enrolment nor its open session. A peer gets as many challenges
//! as the configuration says, then a final answer without one, then HTTP refusals (LD-08 would go on for ever).

use postern_wire::{
    auth,
    syncml::{Command, Status},
    terms::{AuthType, UtcMillis},
};

use super::{
    Effect, RefusedReason, Reply, Session, SessionConfig, Stored, Turn,
    admit::Denial,
    compose::{self, Composer},
};
use crate::nonce::Nonce;

/// Peers that are being challenged at the same time, for one enrolment.
const CANDIDATES: usize = 8;

/// A peer that has not proved itself yet.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    session_id: String,
    source: String,
    /// The challenge that it has to answer.
    pub(super) nonce: Option<Nonce>,
    /// MsgID of its first message: a session that began with 1 is a new one.
    pub(super) first: u32,
    /// Messages that we sent it.
    pub(super) msg_out: u32,
    attempts: u32,
    over: bool,
    pub(super) last: Option<Stored>,
    pub(super) at: UtcMillis,
}

impl Candidate {
    fn new(turn: &Turn<'_>) -> Self {
        let header = &turn.decoded.message.header;
        Self {
            session_id: header.session_id.clone(),
            source: turn.peer.source.clone(),
            nonce: None,
            first: header.msg_id,
            msg_out: 0,
            attempts: 0,
            over: false,
            last: None,
            at: turn.now,
        }
    }

    /// Whether the turn's message goes on with this one. A MsgID that is not above the last starts anew, but a
    /// byte-equal message is a repeat.
    pub(super) fn is_for(&self, turn: &Turn<'_>) -> bool {
        self.session_id == turn.decoded.message.header.session_id && self.source == turn.peer.source
    }
}

impl Session {
    /// Answers a message that is not let in.
    pub(super) fn deny(&mut self, denial: Denial, turn: &mut Turn<'_>) -> Reply {
        let Denial { reason, retry } = denial;
        let detail = format!("MsgID {} of SessionID {:?}", turn.msg_id(), turn.session_id());
        turn.effects.push(Effect::Refused { reason, detail, at: turn.now });
        if reason == RefusedReason::OutOfOrder {
            return Reply::Refuse { status: 409, reason };
        }
        let mut candidate = self.take_candidate(turn);
        if candidate.over {
            self.candidates.push(candidate);
            return Reply::Refuse { status: 403, reason: RefusedReason::TooManyAttempts };
        }
        candidate.attempts += 1;
        candidate.msg_out += 1;
        candidate.at = turn.now;
        let answered_otherwise = reason == RefusedReason::WrongScheme && candidate.nonce.is_some();
        candidate.over = !retry || answered_otherwise || candidate.attempts >= self.config.attempts;
        let (code, chal) = if candidate.over {
            (403, None)
        } else {
            let (type_, with_nonce) = match self.scheme() {
                AuthType::Md5 => (auth::TYPE_MD5, true),
                AuthType::Hmac => (auth::TYPE_MAC, true),
                _ => (auth::TYPE_BASIC, false),
            };
            let nonce = with_nonce.then(|| turn.random.nonce());
            candidate.nonce = nonce;
            let code = match reason {
                RefusedReason::CredentialsMissing | RefusedReason::NotTheSessionsPeer => 407,
                _ => 401,
            };
            (code, Some(compose::challenge(type_, nonce.as_ref().map(Nonce::as_slice))))
        };
        let announced = turn.decoded.message.header.meta.max_msg_size;
        let limit = compose::limit(announced, self.account.quirks, &self.config);
        let mut composer = Composer::reply(turn, candidate.msg_out, None, &self.config, limit);
        let reply = if composer.status(&compose::header_status(turn, code, chal)) {
            same_for_all(&mut composer, turn, code);
            composer.finish(true, candidate.over).unwrap_or(Reply::Refuse { status: 403, reason })
        } else {
            Reply::Refuse { status: 403, reason: RefusedReason::MessageSizeTooSmall }
        };
        candidate.last = Some(Stored::new(turn, &reply));
        self.candidates.push(candidate);
        reply
    }

    /// The candidate that this message goes on with, taken out of the list; else a new one.
    pub(super) fn take_candidate(&mut self, turn: &Turn<'_>) -> Candidate {
        let known = self.candidates.iter().position(|candidate| candidate.is_for(turn));
        let candidate = known.map(|index| self.candidates.remove(index));
        while self.candidates.len() >= CANDIDATES {
            self.candidates.remove(0);
        }
        candidate
            .filter(|candidate| candidate.last.as_ref().is_none_or(|last| last.msg_id < turn.msg_id()))
            .unwrap_or_else(|| Candidate::new(turn))
    }
}

impl Turn<'_> {
    pub(super) const fn msg_id(&self) -> u32 {
        self.decoded.message.header.msg_id
    }

    pub(super) fn session_id(&self) -> &str {
        &self.decoded.message.header.session_id
    }
}

/// The answer to a version that we do not speak: 505 for VerDTD, 513 for VerProto, with those that we do.
pub(super) fn version(turn: &mut Turn<'_>, config: &SessionConfig) -> Option<Reply> {
    let header = &turn.decoded.message.header;
    if compose::version(header).is_some() {
        return None;
    }
    let (code, reason, known, got) = match header.ver_dtd.trim() {
        "1.1" | "1.2" => (513, RefusedReason::UnknownProtocol, ["DM/1.2", "DM/1.1"], &header.ver_proto),
        _ => (505, RefusedReason::UnknownDtd, ["1.2", "1.1"], &header.ver_dtd),
    };
    turn.effects.push(Effect::Refused { reason, detail: got.clone(), at: turn.now });
    let limit = header.meta.max_msg_size.unwrap_or(config.reply_octets);
    let mut composer = Composer::reply(turn, 1, None, config, limit);
    let items = known.iter().map(|version| compose::text_item(version)).collect();
    let status = Status { items, ..compose::header_status(turn, code, None) };
    let fits = composer.status(&status);
    let reply = fits.then(|| composer.finish(true, true).ok()).flatten();
    Some(reply.unwrap_or(Reply::Refuse { status: 400, reason }))
}

/// One and the same code for every command, as far as it fits.
fn same_for_all(composer: &mut Composer, turn: &Turn<'_>, code: u32) {
    for command in &turn.decoded.message.body {
        every_command(command, &mut |cmd_id, cmd| {
            let msg_ref = Some(turn.msg_id());
            composer.status(&Status {
                msg_ref,
                cmd_ref: cmd_id,
                cmd: cmd.to_owned(),
                code,
                ..Status::default()
            });
        });
    }
}

/// Calls `each` with CmdID and name of a command that is due a Status, and of those inside it.
pub(super) fn every_command(command: &Command, each: &mut impl FnMut(u32, &str)) {
    match command {
        Command::Alert(alert) => each(alert.cmd_id, "Alert"),
        Command::Add(request) => each(request.cmd_id, "Add"),
        Command::Replace(request) => each(request.cmd_id, "Replace"),
        Command::Get(request) => each(request.cmd_id, "Get"),
        Command::Delete(request) => each(request.cmd_id, "Delete"),
        Command::Copy(request) => each(request.cmd_id, "Copy"),
        Command::Exec(request) => each(request.cmd_id, "Exec"),
        Command::Atomic(group) | Command::Sequence(group) => {
            each(group.cmd_id, if matches!(command, Command::Atomic(_)) { "Atomic" } else { "Sequence" });
            group.commands.iter().for_each(|child| every_command(child, each));
        }
        Command::Unknown { name, cmd_id: Some(cmd_id) } => each(*cmd_id, name),
        Command::Unknown { cmd_id: None, .. } | Command::Results(_) | Command::Status(_) => {}
    }
}
