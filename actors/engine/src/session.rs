//! The session engine, server side: packages 1 to 4 of OMA-TS-DM_Protocol 1.2.1 for one enrolment.
//!
//! Promise: [`Session::receive`] is a function of what it is given. It never panics on what a peer sends, never
//! emits a message larger than the device takes, and never executes a repeated message twice. An unauthenticated
//! peer changes nothing of the enrolment.
//!
//! One message goes through these, in this order: `repeat` (is it a resend?), `admit` (who speaks, and may it?),
//! `deny` (the challenge or refusal, if not), `serve` (what the message says), `collect` (Status and Results back
//! to their commands), `answer` (Status for what the device asked), `fill` (the next commands, as many as fit).

mod admit;
mod answer;
mod build;
mod collect;
mod compose;
mod deny;
mod download;
mod fill;
mod flight;
pub(crate) mod over;
mod repeat;
mod serve;
mod trace;
mod upload;
mod verdict;

use postern_wire::{
    auth::{self, HmacHeader},
    syncml::{self, Decoded, Limits, MediaType},
    terms::{DmSessionId, EnrolmentState, ProofClass, UtcMillis},
};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest, Sha256};

use crate::{account::Quirks, nonce::Nonce, profiles::Shelf, queue::Queue, spool::Spool};
pub use crate::{
    account::{Account, Peer},
    effect::{CloseReason, Decision, Effect, Outcome, RefusedReason, Reply},
};
use deny::Candidate;
use repeat::{Ended, Stored};
use serve::Open;

/// Limits of sessions; the defaults are those of docs/ARCHITECTURE.md.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// Milliseconds without a message after which a session is over. 8 minutes.
    pub idle_ms: i64,
    /// Milliseconds in which a byte-equal first message counts as a repeat, not as a new session. 60 seconds.
    pub repeat_ms: i64,
    /// Stored replies given to one repeated message. 8 (AM-11 asks 5 times).
    pub repeats: u32,
    /// Failed attempts to authenticate before the final answer. 3.
    pub attempts: u32,
    /// Times that commands are sent again in one session for the server's credentials. 2.
    pub server_attempts: u32,
    /// Times that a command is sent without ever being answered. 8.
    pub sends: u32,
    /// Messages in a row that do not complete the device's package. 256.
    pub unfinished: u32,
    /// Largest reply, in octets, to a device that announces no MaxMsgSize. 32 KiB.
    pub reply_octets: u64,
    /// Largest reply, in octets, whatever the device announces. 1 MiB.
    pub largest_reply_octets: u64,
    /// MaxMsgSize that we announce, in octets. 256 KiB.
    pub max_msg_size: u64,
    /// MaxObjSize that we announce, in octets (AM-18: always), and hold of one device. 8 MiB.
    pub max_obj_size: u64,
    /// What unfinished objects of all devices may take up together. 256 MiB.
    pub spool: Spool,
    /// Milliseconds that a command accepted with 202 waits for its alert (`Queue::expire`). 7 days.
    pub completion_ms: i64,
    /// Beginnings of the generic alert types that are taken (SRV-39), without prefix; an alert that belongs to an
    /// Exec of ours is always taken.
    pub alert_types: &'static [&'static str],
    /// Quirk profiles.
    pub profiles: Shelf,
    /// Limits of the decoder.
    pub limits: Limits,
}

/// The alert types of OMA, Microsoft and the Wi-Fi Alliance (LAWMO, SCOMO and FUMO 1.0, [MS-MDM], Hotspot 2.0), and ours.
pub const ALERT_TYPES: &[&str] = &[
    "urn:oma:at:",
    "org.openmobilealliance.",
    "com.microsoft",
    "org.wi-fi.",
    "org.postern.",
    "com.postern:",
    "urn:postern:",
];

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            idle_ms: 8 * 60_000,
            repeat_ms: 60_000,
            repeats: 8,
            attempts: 3,
            server_attempts: 2,
            sends: 8,
            unfinished: 256,
            reply_octets: 32 * 1024,
            largest_reply_octets: 1024 * 1024,
            max_msg_size: 256 * 1024,
            max_obj_size: 8 * 1024 * 1024,
            spool: Spool::new(256 * 1024 * 1024),
            completion_ms: 7 * 24 * 3_600_000,
            alert_types: ALERT_TYPES,
            profiles: Shelf::default(),
            limits: Limits::default(),
        }
    }
}

/// One message as it came in.
#[derive(Clone, Copy, Debug)]
pub struct Inbound<'a> {
    /// Content-Type, parameters included.
    pub content_type: &'a str,
    /// The octets, already bounded in size.
    pub body: &'a [u8],
    /// What is known of the sender.
    pub peer: &'a Peer,
}

/// Random octets for one message, made at the edge.
#[derive(Clone, Copy)]
pub struct Random(pub [u8; 32]);

impl Random {
    fn nonce(&self) -> Nonce {
        std::array::from_fn(|at| self.0[at])
    }

    fn session_id(&self, now: UtcMillis) -> DmSessionId {
        let tail: [u8; 10] = std::array::from_fn(|at| self.0[16 + at]);
        let millis = u64::try_from(now.0).unwrap_or(0);
        DmSessionId(uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid())
    }
}

/// The sessions of one enrolment: at most one is open.
#[derive(Clone, Debug)]
pub struct Session {
    account: Account,
    config: SessionConfig,
    open: Option<Open>,
    ended: Option<Ended>,
    candidates: Vec<Candidate>,
    /// What the model cannot do as far as the account knows; `account.quirks` adds what the profiles say.
    base: Quirks,
    /// Decisions of the message at hand, when somebody watches.
    trace: Option<Vec<Decision>>,
}

/// What one message brings along while it is worked on.
struct Turn<'a> {
    decoded: &'a Decoded,
    /// The octets as transmitted: what a MAC covers.
    body: &'a [u8],
    /// Content-Type.
    media: &'a str,
    digest: [u8; 32],
    peer: &'a Peer,
    now: UtcMillis,
    random: Random,
    effects: Vec<Effect>,
}

impl Session {
    /// Nothing open yet; the first message opens a session.
    #[must_use]
    pub const fn open(account: Account, config: SessionConfig) -> Self {
        let base = account.quirks;
        Self { account, config, open: None, ended: None, candidates: Vec::new(), base, trace: None }
    }

    /// Takes one message: the reply, and what the actor commits.
    ///
    /// `queue` is this enrolment's; it may have grown since the last message. When the durable effects cannot be
    /// committed, drop the session and the queue and load them again: a repeat of the message is then worked on
    /// anew, and a session that goes on is taken up where the stored commands say it stood.
    pub fn receive(
        &mut self,
        inbound: Inbound<'_>,
        queue: &mut Queue,
        now: UtcMillis,
        random: Random,
    ) -> Outcome {
        let mut outcome = self.decide(inbound, queue, now, random);
        if self.trace.is_some() {
            outcome.trace = self.told(&outcome, queue, now);
        }
        outcome
    }

    fn decide(&mut self, inbound: Inbound<'_>, queue: &mut Queue, now: UtcMillis, random: Random) -> Outcome {
        let effects = self.idle(queue, now);
        if self.account.state == EnrolmentState::Retired {
            return refuse(effects, 410, RefusedReason::Retired, String::new(), now);
        }
        let Some(media) = MediaType::parse(inbound.content_type) else {
            let detail = inbound.content_type.to_owned();
            return refuse(effects, 415, RefusedReason::UnknownMediaType, detail, now);
        };
        let decoded = match syncml::decode(inbound.body, media.encoding(), &self.config.limits) {
            Ok(decoded) => Decoded { style: decoded.style.with_family(media.family()), ..decoded },
            Err(error) => return refuse(effects, 400, RefusedReason::Malformed, error.to_string(), now),
        };
        let (body, peer) = (inbound.body, inbound.peer);
        let digest = digest(body, peer);
        let media = inbound.content_type;
        let mut turn = Turn { decoded: &decoded, body, media, digest, peer, now, random, effects };
        let reply = self.take(&mut turn, queue);
        split(reply, turn.effects)
    }

    fn take(&mut self, turn: &mut Turn<'_>, queue: &mut Queue) -> Reply {
        if let Some(reply) = self.repeated(turn) {
            self.note("repeat", || "the same message again: the stored reply, without effect".to_owned());
            return reply;
        }
        if let Some(reply) = deny::version(turn, &self.config) {
            return reply;
        }
        match self.admit(turn) {
            Ok(proof) => {
                self.note("admit", || trace::admitted(&proof));
                self.serve(&proof, turn, queue)
            }
            Err(denial) => {
                self.note("deny", || trace::denied(denial));
                self.deny(denial, turn)
            }
        }
    }

    /// Ends the open session when it has been idle too long at `now`; to be called when [`Session::idle_at`] is
    /// reached. What it left unanswered goes by its redelivery class.
    pub fn idle(&mut self, queue: &mut Queue, now: UtcMillis) -> Vec<Effect> {
        self.candidates.retain(|candidate| now.since(candidate.at) <= self.config.idle_ms);
        match self.idle_at() {
            Some(at) if now > at => self.close(queue, CloseReason::Idle, now),
            _ => Vec::new(),
        }
    }

    /// When the open session will have been idle too long; `None` when none is open.
    #[must_use]
    pub fn idle_at(&self) -> Option<UtcMillis> {
        self.open.as_ref().map(|open| open.at.plus(self.config.idle_ms))
    }

    /// Ends the open session from our side without a word to the device (shutdown, retirement).
    pub fn close(&mut self, queue: &mut Queue, reason: CloseReason, now: UtcMillis) -> Vec<Effect> {
        let Some(open) = self.open.take() else { return Vec::new() };
        let mut effects = collect::lose(queue, &self.config, open.class, now, |_| true);
        effects.push(open.closed(reason, now));
        self.ended = Ended::of(open);
        effects
    }

    /// Lets the next reply abort the session (Alert 1223); the queue stays for the next one.
    pub const fn abort(&mut self) {
        if let Some(open) = &mut self.open {
            open.abort = true;
        }
    }

    /// The id and proof class of the open session.
    #[must_use]
    pub fn current(&self) -> Option<(DmSessionId, ProofClass)> {
        self.open.as_ref().map(|open| (open.id, open.class))
    }

    /// The client nonces used up so far: what the index keeps while the device is idle.
    #[must_use]
    pub const fn nonce_counter(&self) -> u32 {
        self.account.nonce_counter
    }

    /// The enrolment as this session sees it.
    #[must_use]
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// Puts in an account that was changed in the store. The open session keeps its proof, its model and the secrets that
    /// it began with (SEC-20: changed ones hold from the next session on); the nonce counter of this session stays.
    pub fn set_account(&mut self, account: Account) {
        let nonce_counter = self.account.nonce_counter;
        self.base = account.quirks;
        let new = Account { nonce_counter, ..account };
        let old = std::mem::replace(&mut self.account, new);
        if let Some(open) = &mut self.open {
            self.account.quirks = old.quirks;
            let changed = !old.has_secrets_of(&self.account);
            if changed && open.secrets.is_none() {
                open.secrets = Some(Box::new((old.credential, old.server)));
            }
        }
    }

    /// What the model of the sender cannot do: known of the account, and picked by what the message and its frame say.
    fn model(&self, turn: &Turn<'_>) -> (Quirks, String) {
        let mut names = String::new();
        let profiles = self.config.profiles.get();
        let model = answer::model(turn);
        for profile in profiles.matching(&model) {
            if !names.is_empty() {
                names.push(',');
            }
            names.push_str(&profile.name);
        }
        let quirks = if names.is_empty() { self.base } else { profiles.named(&names, self.base) };
        (quirks, names)
    }

    /// Whether decisions are told in `Outcome::trace`; off, they cost nothing.
    pub fn set_trace(&mut self, on: bool) {
        self.trace = on.then(Vec::new);
    }

    /// Notes a decision, when somebody watches.
    fn note(&mut self, rule: &'static str, text: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(Decision { rule, text: text() });
        }
    }

    /// The limits in force.
    #[must_use]
    pub const fn config(&self) -> &SessionConfig {
        &self.config
    }
}

/// What makes two messages the same: the octets, and the MAC beside them, which proves them.
fn digest(body: &[u8], peer: &Peer) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(body);
    if let Some(HmacHeader { username, mac }) = &peer.hmac {
        for part in [username, mac] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    hash.finalize().into()
}

fn refuse(
    mut effects: Vec<Effect>,
    status: u16,
    reason: RefusedReason,
    detail: String,
    at: UtcMillis,
) -> Outcome {
    effects.push(Effect::Refused { reason, detail, at });
    split(Reply::Refuse { status, reason }, effects)
}

impl Account {
    /// Whether both have the same secrets.
    fn has_secrets_of(&self, other: &Self) -> bool {
        let same = |one: (&str, &SecretString), other: (&str, &SecretString)| {
            let (ours, theirs) = (one.1.expose_secret(), other.1.expose_secret());
            one.0 == other.0 && auth::equal(ours.as_bytes(), theirs.as_bytes())
        };
        let credentials = match (&self.credential, &other.credential) {
            (None, None) => true,
            (Some(one), Some(other)) => same((&one.user, &one.hash), (&other.user, &other.hash)),
            _ => false,
        };
        credentials
            && match (&self.server, &other.server) {
                (None, None) => true,
                (Some(one), Some(other)) => {
                    same((&one.server_id, &one.password), (&other.server_id, &other.password))
                }
                _ => false,
            }
    }
}

fn split(reply: Reply, effects: Vec<Effect>) -> Outcome {
    let (durable, deferred) = effects.into_iter().partition(Effect::is_durable);
    Outcome { reply, durable, deferred, trace: Vec::new() }
}

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Random(…)")
    }
}
