//! What a message of the enrolment's device says, and what it gets (OMA-TS-DM_Protocol 1.2.1, 6 and 8).

use std::collections::VecDeque;

use secrecy::ExposeSecret as _;

use postern_wire::{
    auth::{self, HmacHeader},
    syncml::{Command, Status},
    terms::{AuthType, CommandId, CommandState, DmSessionId, ProofClass, UtcMillis},
};

use super::{
    CloseReason, Effect, Ended, RefusedReason, Reply, Session, Stored, Turn,
    admit::Proof,
    answer, collect,
    compose::{self, Composer},
    download::Download,
    flight::InFlight,
    upload::Upload,
};
use crate::{
    account::{Credential, ServerAccount, ServerScheme},
    queue::Queue,
};

/// The open session.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) id: DmSessionId,
    pub(super) session_id: String,
    /// The TLS certificate that the session began with.
    pub(super) binding: Option<[u8; 32]>,
    pub(super) class: ProofClass,
    /// The names of the quirk profiles that the client matches.
    pub(super) profiles: String,
    /// Credentials of the device and ours that it began with, where the account has others now (SEC-20).
    pub(super) secrets: Option<Box<(Option<Credential>, Option<ServerAccount>)>>,
    /// The newest MsgID of the device.
    pub(super) msg_in: u32,
    /// The newest MsgID of ours.
    pub(super) msg_out: u32,
    received: u32,
    /// Whether a message of this session has carried our credentials.
    answered: bool,
    pub(super) last: Option<Stored>,
    max_msg: Option<u64>,
    pub(super) max_obj: Option<u64>,
    /// Commands that wait for their Status.
    pub(super) in_flight: Vec<InFlight>,
    /// Commands that this session does not send again.
    pub(super) held: Vec<CommandId>,
    /// Status that did not fit yet.
    backlog: VecDeque<Status>,
    /// The object on its way to the device, and the one on its way here.
    pub(super) upload: Option<Upload>,
    pub(super) download: Option<Download>,
    /// Nodes of objects that were broken off, of which the device is still to be told.
    pub(super) broken_off: VecDeque<String>,
    /// Whether this message brought an object further.
    pub(super) progress: bool,
    /// Our last message ended without Final although the device's package was complete: it cannot send Final.
    package_open: bool,
    unfinished: u32,
    /// Our last message was cut short so that the next command gets a message to itself.
    pub(super) waited: bool,
    server_refusals: u32,
    pub(super) abort: bool,
    pub(super) at: UtcMillis,
}

impl Open {
    pub(super) const fn closed(&self, reason: CloseReason, at: UtcMillis) -> Effect {
        Effect::SessionClosed { session: self.id, reason, messages: self.received, at }
    }
}

/// What the device says of our credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Server {
    /// Nothing against them.
    Fine,
    /// It did nothing; the commands go out again with the new nonce.
    Again,
    /// It did nothing and will not.
    Hopeless,
}

/// What is to be sent beside Status.
enum Next {
    /// Commands, or the end of the session when there is none.
    Commands,
    /// The device's package, or our Status, are not complete: Alert 1222.
    More { package_open: bool },
    /// The end, with Alert 1223 when it is ours.
    End(CloseReason),
}

impl Session {
    /// Works on a message of the enrolment's device.
    pub(super) fn serve(&mut self, proof: &Proof, turn: &mut Turn<'_>, queue: &mut Queue) -> Reply {
        let account = &mut self.account;
        let by_mac = proof.nonce_used == Some(AuthType::Hmac);
        let chal = proof.nonce_used.is_some().then(|| {
            account.nonce_counter = account.nonce_counter.wrapping_add(1);
            let nonce = account.nonce_key.client_nonce(account.enrolment, account.nonce_counter);
            let type_ = if by_mac { auth::TYPE_MAC } else { auth::TYPE_MD5 };
            compose::challenge(type_, Some(&nonce))
        });
        if proof.turned
            && let Some(next) = account.next.take()
        {
            account.credential = Some(next);
            turn.effects.push(Effect::CredentialTurned { at: turn.now });
        }
        if proof.class > account.floor {
            account.floor = proof.class;
            turn.effects.push(Effect::ProofClassRose { class: proof.class });
        }
        // Ours of this session stand in for the account's while the message is worked on.
        let began_with = self.open.as_mut().filter(|_| proof.continues).and_then(|open| open.secrets.take());
        let newer = began_with.map(|secrets| {
            let (credential, server) = *secrets;
            let newer_server = std::mem::replace(&mut self.account.server, server);
            (credential, newer_server)
        });
        let mut open = match self.open.take() {
            Some(open) if proof.continues => {
                self.candidates.retain(|candidate| !candidate.is_for(turn));
                open
            }
            old => {
                self.open = old;
                self.begin(proof, turn, queue)
            }
        };
        let header = &turn.decoded.message.header;
        open.at = turn.now;
        open.received += 1;
        open.msg_in = header.msg_id;
        open.max_msg = header.meta.max_msg_size.or(open.max_msg);
        open.max_obj = header.meta.max_obj_size.or(open.max_obj);
        turn.effects.push(Effect::Seen { at: turn.now });
        let next = self.understand(&mut open, turn, queue);
        // 200 says that the next message has to prove itself too, which by MAC each one does.
        let code = if by_mac || self.account.quirks.credentials_each_message { 200 } else { 212 };
        let status = compose::header_status(turn, code, chal);
        let (mut reply, end) = self.reply(&mut open, &status, next, turn, queue);
        self.sign(&mut reply);
        if let Some((credential, newer_server)) = newer {
            let server = std::mem::replace(&mut self.account.server, newer_server);
            open.secrets = Some(Box::new((credential, server)));
        }
        open.last = Some(Stored::new(turn, &reply));
        match end {
            None => self.open = Some(open),
            Some(reason) => {
                turn.effects.extend(collect::lose(queue, &self.config, open.class, turn.now, |_| true));
                turn.effects.push(open.closed(reason, turn.now));
                self.ended = Ended::of(open);
            }
        }
        reply
    }

    /// Opens a session in the place of any other, or takes one up that went on while the core was started again.
    fn begin(&mut self, proof: &Proof, turn: &mut Turn<'_>, queue: &mut Queue) -> Open {
        let (quirks, profiles) = self.model(turn);
        self.account.quirks = quirks;
        if !profiles.is_empty() {
            self.note("profile", || format!("the client matches {profiles}"));
        }
        if let Some(nonce) = proof.resync {
            self.account.resync_until = None;
            turn.effects.push(Effect::Resynchronised { at: turn.now });
            if let Some(server) = &mut self.account.server {
                server.nonce = nonce.to_vec();
            }
        }
        if let Some(server) = &mut self.account.server
            && proof.nonce_used == Some(AuthType::Hmac)
        {
            server.scheme = ServerScheme::Mac;
        }
        let replaced = self.open.is_some();
        turn.effects.extend(self.close(queue, CloseReason::Replaced, turn.now));
        self.ended = None;
        let known = self.candidates.iter().position(|candidate| candidate.is_for(turn));
        let candidate = known.map(|index| self.candidates.remove(index));
        let (first, mut msg_out) =
            candidate.map_or((turn.msg_id(), 0), |candidate| (candidate.first, candidate.msg_out));
        // Of several sessions of one name, the newest (ids are UUIDv7) is the one that went on.
        let went_on = queue
            .iter()
            .filter(|command| first > 1 && !replaced && command.accepted.is_none())
            .filter_map(|command| command.sent.as_ref())
            .filter(|sent| sent.device_session == turn.session_id())
            .map(|sent| sent.session)
            .max();
        let in_flight: Vec<_> = queue
            .iter()
            .filter(|command| command.state == CommandState::Sent && command.accepted.is_none())
            .filter_map(|command| {
                let sent = command.sent.as_ref().filter(|sent| Some(sent.session) == went_on)?;
                Some(InFlight::resumed(command, sent))
            })
            .collect();
        msg_out = in_flight.iter().map(|flight| flight.msg_id).max().unwrap_or(0).max(msg_out);
        // The device says which of our messages it answers, and whether our package was still open.
        let mut package_open = false;
        for command in turn.decoded.message.body.iter().filter(|_| went_on.is_some()) {
            match command {
                Command::Status(status) if status.cmd == "SyncHdr" => {
                    msg_out = msg_out.max(status.msg_ref.unwrap_or(0));
                }
                Command::Alert(alert) if alert.code == 1222 => {
                    package_open = !turn.decoded.message.is_final;
                }
                _ => {}
            }
        }
        let lost =
            collect::lose(queue, &self.config, proof.class, turn.now, |sent| Some(sent.session) != went_on);
        turn.effects.extend(lost);
        let id = went_on.unwrap_or_else(|| turn.random.session_id(turn.now));
        let alerts = &turn.decoded.message.body;
        turn.effects.push(Effect::SessionOpened {
            session: id,
            device_session: turn.session_id().to_owned(),
            class: proof.class,
            server_initiated: alerts.iter().any(|c| matches!(c, Command::Alert(alert) if alert.code == 1200)),
            at: turn.now,
        });
        Open {
            id,
            session_id: turn.session_id().to_owned(),
            binding: turn.peer.certificate.as_ref().map(|certificate| certificate.fingerprint),
            class: proof.class,
            profiles,
            secrets: None,
            msg_in: 0,
            msg_out,
            received: 0,
            answered: false,
            last: None,
            max_msg: None,
            max_obj: None,
            in_flight,
            held: Vec::new(),
            backlog: VecDeque::new(),
            upload: None,
            download: None,
            broken_off: VecDeque::new(),
            progress: false,
            package_open,
            unfinished: 0,
            waited: false,
            server_refusals: 0,
            abort: false,
            at: turn.now,
        }
    }

    /// Takes in Status, Results and the device's own commands.
    fn understand(&mut self, open: &mut Open, turn: &mut Turn<'_>, queue: &mut Queue) -> Next {
        let message = &turn.decoded.message;
        let server = self.server_verdict(open, turn);
        open.progress = false;
        let of_results = collect::take(open, message, &self.config);
        let answers = answer::answer(self, open, turn, queue, &of_results);
        let complete = message.is_final || open.package_open;
        let settled = collect::settle(open, queue, &self.config, server, complete, turn.now);
        turn.effects.extend(settled);
        open.backlog.extend(answers.statuses);
        let fresh = open.progress || (complete && !open.package_open);
        open.unfinished = if fresh { 0 } else { open.unfinished + 1 };
        if answers.aborted {
            Next::End(CloseReason::AbortedByDevice)
        } else if server == Server::Hopeless {
            Next::End(CloseReason::ServerRefused)
        } else if open.abort {
            Next::End(CloseReason::AbortedByServer)
        } else if open.unfinished > self.config.unfinished {
            Next::End(CloseReason::Misbehaved)
        } else if complete {
            Next::Commands
        } else {
            Next::More { package_open: false }
        }
    }

    /// What the Status for our SyncHdr says, and the nonce that it brings.
    fn server_verdict(&mut self, open: &mut Open, turn: &mut Turn<'_>) -> Server {
        let mut verdict = Server::Fine;
        for command in &turn.decoded.message.body {
            let Command::Status(status) = command else { continue };
            let ours = status.cmd == "SyncHdr" || (status.cmd_ref == 0 && status.cmd.is_empty());
            if !ours {
                continue;
            }
            let asks = status.chal.as_ref().and_then(|chal| chal.type_.as_deref()).and_then(scheme);
            let nonce = status.chal.as_ref().and_then(|chal| chal.next_nonce.as_deref());
            if let (Some(server), Some(nonce)) =
                (&mut self.account.server, nonce.and_then(auth::decode_nonce))
                && server.nonce != nonce
                && nonce.len() <= SERVER_NONCE_OCTETS
            {
                server.nonce.clone_from(&nonce);
                turn.effects.push(Effect::ServerNonce { nonce });
            }
            if !matches!(status.code, 401 | 407) {
                continue;
            }
            turn.effects.push(Effect::ServerRefused { code: status.code, asks });
            open.server_refusals += u32::from(open.answered);
            verdict = match (&mut self.account.server, asks) {
                (None, _) => Server::Hopeless,
                (Some(server), Some(ServerScheme::Basic)) if server.scheme != ServerScheme::Basic => {
                    Server::Hopeless
                }
                _ if open.server_refusals > self.config.server_attempts => Server::Hopeless,
                (Some(server), asks) => {
                    server.scheme = asks.unwrap_or(server.scheme);
                    Server::Again
                }
            };
        }
        verdict
    }

    /// Puts our MAC beside a reply, where that is how we prove ourselves (AM-09).
    fn sign(&self, reply: &mut Reply) {
        let Reply::Message { body, hmac, .. } = reply else { return };
        if let Some(ServerAccount { server_id, password, scheme: ServerScheme::Mac, nonce }) =
            &self.account.server
        {
            let hash = auth::user_password_hash(server_id, password.expose_secret());
            let mac = auth::mac(&hash, nonce, body);
            *hmac = Some(HmacHeader { username: server_id.clone(), mac }.to_string());
        }
    }

    /// Puts the reply together; the second value is why the session ends with it.
    fn reply(
        &self,
        open: &mut Open,
        header_status: &Status,
        next: Next,
        turn: &mut Turn<'_>,
        queue: &mut Queue,
    ) -> (Reply, Option<CloseReason>) {
        open.msg_out += 1;
        open.answered = true;
        let limit = compose::limit(open.max_msg, self.account.quirks, &self.config);
        let server = self.account.server.as_ref();
        let mut composer = Composer::reply(turn, open.msg_out, server, &self.config, limit);
        if !composer.status(header_status) || !composer.could_ever_fit(ROOM_FOR_AN_ALERT) {
            return too_small(turn, limit);
        }
        while open.backlog.front().is_some_and(|status| composer.status(status)) {
            open.backlog.pop_front();
        }
        while open.backlog.is_empty() && open.broken_off.front().is_some_and(|uri| composer.broken_off(uri)) {
            open.broken_off.pop_front();
        }
        let next = match next {
            Next::Commands if !open.backlog.is_empty() => Next::More { package_open: true },
            Next::Commands => match self.fill(open, &mut composer, turn, queue) {
                Some((reply, is_final)) => {
                    (open.package_open, open.waited) = (!is_final, false);
                    return (reply, None);
                }
                None if self.waits_for_room(open, &composer, queue, turn) => {
                    open.waited = true;
                    Next::More { package_open: true }
                }
                None => Next::End(CloseReason::Done),
            },
            other => other,
        };
        let (alert, is_final, end) = match next {
            Next::More { package_open } => {
                open.package_open = package_open;
                (Some(1222), false, None)
            }
            Next::End(reason @ (CloseReason::AbortedByServer | CloseReason::Misbehaved)) => {
                (Some(1223), true, Some(reason))
            }
            Next::End(reason) => (None, true, Some(reason)),
            Next::Commands => (None, true, Some(CloseReason::Done)),
        };
        if let Some(code) = alert {
            while !composer.alert(code) && composer.len() > 1 {
                composer.truncate(composer.len() - 1, &mut open.backlog);
            }
            if composer.len() == 2 {
                open.backlog.pop_front(); // it does not fit even alone: the device lives without that Status
            }
        }
        match composer.finish(is_final, end.is_some()) {
            Ok(reply) => (reply, end),
            Err(_) => too_small(turn, limit),
        }
    }
}

/// Octets of a device's nonce that are kept at most.
const SERVER_NONCE_OCTETS: usize = 256;

/// Octets that must be left beside the Status for SyncHdr, or the device can be told nothing.
const ROOM_FOR_AN_ALERT: usize = 64;

fn too_small(turn: &mut Turn<'_>, limit: u64) -> (Reply, Option<CloseReason>) {
    let reason = RefusedReason::MessageSizeTooSmall;
    turn.effects.push(Effect::Refused { reason, detail: format!("limit of {limit} octets"), at: turn.now });
    (Reply::Refuse { status: 400, reason }, Some(CloseReason::Misbehaved))
}

fn scheme(type_: &str) -> Option<ServerScheme> {
    match type_.trim() {
        type_ if type_.eq_ignore_ascii_case(auth::TYPE_BASIC) => Some(ServerScheme::Basic),
        type_ if type_.eq_ignore_ascii_case(auth::TYPE_MD5) => Some(ServerScheme::Md5),
        type_ if type_.eq_ignore_ascii_case(auth::TYPE_MAC) => Some(ServerScheme::Mac),
        _ => None,
    }
}
