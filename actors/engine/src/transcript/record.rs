//! Recording: what a session hears is put in a transcript's words, and played to a session that has those.
//!
//! A recording begins with the first message that opens a session or is challenged, and ends with the session. Its bounds
//! are [`STEPS`] and [`OCTETS`]; what comes after them is left out.

use std::sync::Arc;

use postern_wire::{
    syncml::{self, Limits, MediaType},
    terms::{DmSessionId, UtcMillis},
    uri::TreeUri,
};
use sha2::{Digest as _, Sha256};

use super::{
    AccountForm, FORMAT, LimitsForm, OCTETS, Octets, PeerForm, ReplyForm, STEPS, Step, Transcript,
    rekey::{self, Rekey},
    replay::{Play, lines},
};
use crate::{
    account::Peer,
    effect::{Effect, Outcome},
    profiles::Profile,
    queue::{PendingCommand, Queue},
    session::{Inbound, Random, Session},
};

/// Messages without a session after which a recording begins anew.
const STRANGERS: usize = 16;
/// Messages of which a repeat is known.
const REPEATS: usize = 8;

/// Whether descriptions say of a node that its value is not to be read.
pub type Described = Arc<dyn Fn(&TreeUri) -> bool + Send + Sync>;

/// One message, as the engine was given it and what it decided.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    /// The session as it was before.
    pub before: &'a Session,
    /// What was pending before.
    pub queue: &'a Queue,
    /// The message.
    pub inbound: Inbound<'a>,
    /// When.
    pub now: UtcMillis,
    /// The random octets.
    pub random: Random,
    /// What was decided.
    pub outcome: &'a Outcome,
}

/// Takes down the sessions of one enrolment.
pub struct Recorder {
    described: Described,
    tape: Option<Tape>,
}

impl Recorder {
    /// Nothing taken down yet.
    #[must_use]
    pub const fn new(described: Described) -> Self {
        Self { described, tape: None }
    }

    /// Takes down a message; gives the session when it is over with it.
    pub fn hear(&mut self, heard: &Heard<'_>) -> Option<Transcript> {
        let opened = opened(heard.outcome);
        let speaks = opened.is_some() || effects(heard.outcome).any(|e| matches!(e, Effect::Refused { .. }));
        if self.tape.is_none() && !(speaks && (opened.is_some() || heard.before.current().is_none())) {
            return None;
        }
        let mut tape = self.tape.take().unwrap_or_else(|| Tape::begin(heard, &self.described));
        tape.step(heard, &self.described);
        let replaced = opened.filter(|opened| tape.session.is_some_and(|session| session != *opened));
        tape.session = tape.session.or(opened);
        let over = effects(heard.outcome).any(|effect| {
            matches!(effect, Effect::SessionClosed { session, .. } if Some(*session) == tape.session)
        });
        if replaced.is_some() {
            let mut next = Tape::begin(heard, &self.described);
            next.session = replaced;
            next.step(heard, &self.described);
            let ended = effects(heard.outcome).any(|effect| {
                matches!(effect, Effect::SessionClosed { session, .. } if Some(*session) == replaced)
            });
            // A session that is over with its first message, right after another, is not worth a second answer.
            self.tape = Some(next).filter(|_| !ended);
            return Some(tape.end());
        }
        if over || (tape.transcript.cut && tape.session.is_some()) {
            return Some(tape.end());
        }
        let strangers = tape.session.is_none() && tape.steps.len() >= STRANGERS;
        self.tape = Some(tape).filter(|_| !strangers);
        None
    }

    /// Whether a session is being taken down.
    #[must_use]
    pub fn is_recording(&self) -> bool {
        self.tape.as_ref().is_some_and(|tape| tape.session.is_some())
    }

    /// The session so far, which ends without a further message.
    pub fn end(&mut self) -> Option<Transcript> {
        self.tape.take().filter(|tape| tape.session.is_some()).map(Tape::end)
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("recording", &self.is_recording()).finish_non_exhaustive()
    }
}

/// A message and its sender in a transcript's words.
type Made = (Vec<u8>, Peer);

struct Tape {
    session: Option<DmSessionId>,
    transcript: Transcript,
    steps: Vec<Step>,
    octets: usize,
    play: Play,
    route: Option<String>,
    profiles: Vec<Profile>,
    /// Digests of true messages, and what was made of each.
    made: Vec<([u8; 32], Made)>,
}

impl Tape {
    fn begin(heard: &Heard<'_>, described: &Described) -> Self {
        let account = AccountForm::of(heard.before, true);
        let limits = LimitsForm::of(heard.before.config());
        let route = route_of(&heard.inbound);
        let queue = rekey::commands(heard.queue.iter(), route.as_deref(), &**described);
        let profiles = profiles(heard, &[]).unwrap_or_default();
        let play = Play::begin(&account, &limits, &profiles, queue.clone());
        let transcript = Transcript {
            format: FORMAT.to_owned(),
            about: String::new(),
            session: None,
            account,
            limits,
            profiles: profiles.clone(),
            queue,
            steps: Vec::new(),
            cut: false,
            unfaithful: None,
        };
        Self {
            session: None,
            transcript,
            steps: Vec::new(),
            octets: 0,
            play,
            route,
            profiles,
            made: Vec::new(),
        }
    }

    fn step(&mut self, heard: &Heard<'_>, described: &Described) {
        if self.transcript.cut {
            return;
        }
        let news = profiles(heard, &self.profiles);
        if let Some(profiles) = &news {
            self.profiles.clone_from(profiles);
        }
        let (request, peer) = self.rekeyed(heard, described);
        let mut step = Step {
            at: heard.now,
            random: Octets(heard.random.0.to_vec()),
            peer: PeerForm::of(&peer),
            content_type: heard.inbound.content_type.to_owned(),
            request: Octets(request),
            account: self.account(heard),
            queue: self.queue(heard, described),
            profiles: news,
            abort: heard.before.is_aborting() && !self.play.session.is_aborting(),
            reply: ReplyForm::Refuse { status: 0, reason: String::new() },
            effects: Vec::new(),
        };
        let outcome = self.play.take(&step);
        step.reply = ReplyForm::of(&outcome.reply);
        step.effects = lines(&outcome, true);
        self.compare(heard.outcome, &outcome);
        self.octets += step.request.0.len() + step.reply.octets();
        self.steps.push(step);
        self.transcript.cut = self.steps.len() >= STEPS || self.octets >= OCTETS;
    }

    /// Whether the true session decided the same.
    fn compare(&mut self, truth: &Outcome, play: &Outcome) {
        if self.transcript.unfaithful.is_some() {
            return;
        }
        // A recording that begins while an older session was open does not have that one's end.
        let first = self.steps.is_empty();
        let told = |outcome: &Outcome| -> Vec<String> {
            lines(outcome, false).into_iter().filter(|line| !(first && line.starts_with("closed "))).collect()
        };
        let (one, other) = (told(truth), told(play));
        let kind = |outcome: &Outcome| match ReplyForm::of(&outcome.reply) {
            ReplyForm::Message { close, .. } => format!("a message, close {close}"),
            ReplyForm::Refuse { status, reason } => format!("HTTP {status} {reason}"),
        };
        let at = self.steps.len() + 1;
        if one != other {
            let place = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
            let line = |all: &[String]| all.get(place).cloned().unwrap_or_else(|| "nothing".to_owned());
            self.transcript.unfaithful =
                Some(format!("message {at}: {:?} had been {:?}", line(&other), line(&one)));
        } else if kind(truth) != kind(play) {
            self.transcript.unfaithful =
                Some(format!("message {at}: {} had been {}", kind(play), kind(truth)));
        }
    }

    fn rekeyed(&mut self, heard: &Heard<'_>, described: &Described) -> Made {
        let mut hash = Sha256::new();
        hash.update(heard.inbound.body);
        hash.update(format!("{:?}", heard.inbound.peer.hmac));
        let digest: [u8; 32] = hash.finalize().into();
        if let Some((_, (body, peer))) = self.made.iter().rev().find(|(known, _)| *known == digest) {
            let hmac = peer.hmac.clone();
            return (body.clone(), Peer { hmac, ..heard.inbound.peer.clone() });
        }
        let rekey =
            Rekey { truth: heard.before, play: &self.play.session, described: &**described, now: heard.now };
        let made = rekey.inbound(&heard.inbound);
        if self.made.len() >= REPEATS {
            self.made.remove(0);
        }
        self.made.push((digest, made.clone()));
        made
    }

    /// The enrolment, where it is not what the play has.
    fn account(&self, heard: &Heard<'_>) -> Option<AccountForm> {
        let mut truth = AccountForm::of(heard.before, true);
        let play = AccountForm::of(&self.play.session, false);
        truth.nonce_counter = play.nonce_counter;
        (truth != play).then_some(truth)
    }

    fn queue(&self, heard: &Heard<'_>, described: &Described) -> Option<Vec<PendingCommand>> {
        let truth = rekey::commands(heard.queue.iter(), self.route.as_deref(), &**described);
        (!truth.iter().eq(self.play.queue.iter())).then_some(truth)
    }

    fn end(self) -> Transcript {
        Transcript { session: self.session, steps: self.steps, ..self.transcript }
    }
}

/// The profiles that are known and those that this message picks, in their own order; none where all are known.
fn profiles(heard: &Heard<'_>, known: &[Profile]) -> Option<Vec<Profile>> {
    let decoded = decoded(&heard.inbound)?;
    let Inbound { content_type, peer, .. } = heard.inbound;
    let names = heard.before.profiles_of(&decoded, content_type, peer, heard.now);
    let is_known = |name: &str| known.iter().any(|profile| profile.name == name);
    if names.split(',').all(|name| name.is_empty() || is_known(name)) {
        return None;
    }
    let shelf = heard.before.config().profiles.get();
    let of_both = |name: &str| is_known(name) || names.split(',').any(|other| other == name);
    Some(shelf.iter().filter(|profile| of_both(&profile.name)).cloned().collect())
}

fn effects(outcome: &Outcome) -> impl Iterator<Item = &Effect> {
    outcome.durable.iter().chain(&outcome.deferred)
}

fn opened(outcome: &Outcome) -> Option<DmSessionId> {
    effects(outcome).find_map(|effect| match effect {
        Effect::SessionOpened { session, .. } => Some(*session),
        _ => None,
    })
}

fn decoded(inbound: &Inbound<'_>) -> Option<syncml::Decoded> {
    let media = MediaType::parse(inbound.content_type)?;
    syncml::decode(inbound.body, media.encoding(), &Limits::default()).ok()
}

fn route_of(inbound: &Inbound<'_>) -> Option<String> {
    rekey::route_of(&decoded(inbound)?.message.header.target.uri)
}
