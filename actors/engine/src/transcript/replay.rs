//! A transcript through the engine of today: the first difference.

use postern_wire::syncml::{self, Limits, MediaType, Style};

use super::{AccountForm, LimitsForm, Octets, ReplyForm, Step, Transcript, form::PeerForm, tell};
use crate::{
    effect::Outcome,
    profiles::{Profile, Shelf},
    queue::{DEFAULT_LIMIT, PendingCommand, Queue},
    session::{Inbound, Random, Session, SessionConfig},
};

/// Characters on either side of a difference that are shown.
const AROUND: usize = 60;

/// Where the engine decides otherwise than a transcript says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("message {message}: {what} differs\n  recorded: {recorded}\n  replayed: {replayed}")]
pub struct Difference {
    /// Which message, from 1.
    pub message: usize,
    /// What differs.
    pub what: What,
    /// What stands in the transcript.
    pub recorded: String,
    /// What the engine decides.
    pub replayed: String,
}

/// What may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// What the device gets.
    Reply,
    /// What is committed.
    Effects,
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Reply => "the reply",
            Self::Effects => "what is committed",
        })
    }
}

impl Transcript {
    /// Runs the messages through the engine. Gives how many there were.
    ///
    /// # Errors
    /// The first [`Difference`].
    pub fn replay(&self) -> Result<usize, Box<Difference>> {
        let mut play = Play::begin(&self.account, &self.limits, &self.profiles, self.queue.clone());
        for (at, step) in self.steps.iter().enumerate() {
            let outcome = play.take(step);
            compare(step, &outcome).map_err(|mut difference| {
                difference.message = at + 1;
                difference
            })?;
        }
        Ok(self.steps.len())
    }
}

/// An enrolment of a transcript with its session and queue.
#[derive(Debug)]
pub(super) struct Play {
    pub(super) session: Session,
    pub(super) queue: Queue,
    shelf: Shelf,
}

impl Play {
    pub(super) fn begin(
        account: &AccountForm,
        limits: &LimitsForm,
        profiles: &[Profile],
        queue: Vec<PendingCommand>,
    ) -> Self {
        let shelf = Shelf::default();
        shelf.set(profiles.iter().cloned().collect());
        let config = SessionConfig { profiles: shelf.clone(), ..limits.config() };
        let session = Session::open(account.account(), config);
        Self { session, queue: Queue::load(queue, DEFAULT_LIMIT), shelf }
    }

    pub(super) fn take(&mut self, step: &Step) -> Outcome {
        let Step { at, random, peer, content_type, request, account, queue, profiles, abort, .. } = step;
        if let Some(profiles) = profiles {
            self.shelf.set(profiles.iter().cloned().collect());
        }
        if let Some(account) = account {
            self.session.set_account(account.account());
        }
        if let Some(queue) = queue {
            self.queue = Queue::load(queue.clone(), DEFAULT_LIMIT);
        }
        if *abort {
            self.session.abort();
        }
        let mut octets = [0; 32];
        octets.iter_mut().zip(&random.0).for_each(|(place, octet)| *place = *octet);
        let peer = PeerForm::peer(peer);
        let inbound = Inbound { content_type, body: &request.0, peer: &peer };
        self.session.receive(inbound, &mut self.queue, *at, Random(octets))
    }
}

/// The lines of an outcome's effects, the durable ones first.
pub(super) fn lines(outcome: &Outcome, values: bool) -> Vec<String> {
    let effects = outcome.durable.iter().chain(&outcome.deferred);
    effects.map(|effect| tell::effect(effect, values)).collect()
}

fn compare(step: &Step, outcome: &Outcome) -> Result<(), Box<Difference>> {
    let differs =
        |what, recorded, replayed| Err(Box::new(Difference { message: 0, what, recorded, replayed }));
    let effects = lines(outcome, true);
    if effects != step.effects {
        let at = effects.iter().zip(&step.effects).take_while(|(one, other)| one == other).count();
        let line = |all: &[String]| all.get(at).cloned().unwrap_or_else(|| "nothing more".to_owned());
        return differs(What::Effects, line(&step.effects), line(&effects));
    }
    let reply = ReplyForm::of(&outcome.reply);
    if reply != step.reply {
        let (recorded, replayed) = apart(&step.reply, &reply);
        return differs(What::Reply, recorded, replayed);
    }
    Ok(())
}

/// What two replies differ in, with a little of what stands around it.
fn apart(one: &ReplyForm, other: &ReplyForm) -> (String, String) {
    let bodies = match (one, other) {
        (ReplyForm::Message { body: one, content_type, .. }, ReplyForm::Message { body: other, .. })
            if one != other =>
        {
            (text(one, content_type), text(other, content_type))
        }
        _ => return (head(one), head(other)),
    };
    let (one, other): (Vec<char>, Vec<char>) = (bodies.0.chars().collect(), bodies.1.chars().collect());
    let at = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
    let around = |all: &[char]| -> String {
        let piece = all.iter().skip(at.saturating_sub(AROUND)).take(2 * AROUND);
        format!("at {at}: …{}…", piece.collect::<String>().escape_debug())
    };
    (around(&one), around(&other))
}

fn head(reply: &ReplyForm) -> String {
    match reply {
        ReplyForm::Message { content_type, hmac, close, body } => {
            format!("{} octets of {content_type}, hmac {hmac:?}, close {close}", body.0.len())
        }
        ReplyForm::Refuse { status, reason } => format!("HTTP {status} {reason}"),
    }
}

/// A message as XML, whatever its encoding; what cannot be read as base64.
fn text(body: &Octets, content_type: &str) -> String {
    let encoding = MediaType::parse(content_type).map(MediaType::encoding);
    let decoded = encoding.and_then(|encoding| syncml::decode(&body.0, encoding, &Limits::default()).ok());
    let xml = decoded.and_then(|decoded| {
        let style = Style::xml(decoded.message.version);
        syncml::encode(&decoded.message, &style).ok()
    });
    match xml {
        Some(xml) => String::from_utf8_lossy(&xml).into_owned(),
        None => postern_wire::auth::encode_base64(&body.0),
    }
}
