//! One request that somebody else has to agree to.
//!
//! Promise: an approval is for exactly what was asked: its hash covers the kind, the devices with their generations and
//! the settings; who asks never approves; a new admin does not, nor one who was just given the role; a request is decided
//! once, in time, and after its cooling-off. Where nobody else may approve, a request that says so may be given by who
//! asked, after its wait.

use postern_wire::terms::{EnrolmentId, UtcMillis};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// How long a new admin, a new holder of a role and a token that another made wait before they may approve.
pub const NEWCOMER_MS: i64 = 24 * super::HOUR_MS;
/// How long a person who acts alone waits before a change of limits is in force.
pub const ALONE_MS: i64 = 24 * super::HOUR_MS;
/// Goes before the text under the hash.
const CONTEXT: &[u8] = b"postern-approval-1\n";

/// What is asked, frozen at the moment of asking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// The kind: a class of destructive operation, `limits`, `admins`, `thaw` …
    pub kind: String,
    /// The devices with their generations, in order of id.
    pub targets: Vec<(EnrolmentId, i64)>,
    /// All that says what exactly is done. Objects have their members in order of name.
    pub settings: serde_json::Value,
}

impl Content {
    /// What is asked of these devices, whatever order they come in; none twice.
    #[must_use]
    pub fn new(kind: &str, mut targets: Vec<(EnrolmentId, i64)>, settings: serde_json::Value) -> Self {
        targets.sort_unstable();
        targets.dedup();
        Self { kind: kind.to_owned(), targets, settings }
    }

    /// As it rests and as it is hashed.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("text, numbers and JSON always become JSON")
    }

    /// The hash that approvals bind to.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(CONTEXT);
        digest.update(self.to_text());
        digest.finalize().into()
    }
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Nobody has decided.
    Waiting,
    /// Somebody agreed; it waits for the end of its cooling-off.
    Cooling,
    /// It was agreed to; who asked carries it out by asking again, while it lasts.
    Granted,
    /// It was agreed to and carried out.
    Approved,
    /// Somebody refused it, or who asked took it back.
    Rejected,
    /// Nobody decided in time.
    Expired,
    /// What it was for is not what it was when it was asked.
    Stale,
}

impl State {
    /// Each of them.
    pub const ALL: [Self; 7] = [
        Self::Waiting,
        Self::Cooling,
        Self::Granted,
        Self::Approved,
        Self::Rejected,
        Self::Expired,
        Self::Stale,
    ];

    /// The stable spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Cooling => "cooling",
            Self::Granted => "granted",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Stale => "stale",
        }
    }

    /// The state with this spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether something may still become of it.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Waiting | Self::Cooling | Self::Granted)
    }
}

/// Somebody who brought a request about that a service put into words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Asker {
    /// The admin's name.
    pub name: String,
    /// By which token.
    pub token: Option<Uuid>,
}

/// All who brought a request about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Askers {
    /// Each with each token.
    pub known: Vec<Asker>,
    /// There are more than can be told: whoever decides may be one of them.
    pub more: bool,
}

/// No other than the requester.
pub static NOBODY: Askers = Askers { known: Vec::new(), more: false };

impl Askers {
    /// Whether this admin is one of those that are known.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.known.iter().any(|asker| asker.name == name)
    }
}

/// A request, as far as the rules need it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Where it stands.
    pub state: State,
    /// Who asked.
    pub requester: &'a str,
    /// Who asked, too, where a service put into words what persons did.
    pub askers: &'a Askers,
    /// The hash of what was asked.
    pub hash: [u8; 32],
    /// It is not decided after this moment.
    pub expires: UtcMillis,
    /// How long it waits once it is agreed to, in milliseconds.
    pub cooling_ms: i64,
    /// When it was agreed to.
    pub agreed: Option<UtcMillis>,
    /// From when on who asked may give it, where nobody else may.
    pub alone_from: Option<UtcMillis>,
}

/// Who decides.
#[derive(Clone, Copy, Debug)]
pub struct Decider<'a> {
    /// The admin's name.
    pub name: &'a str,
    /// From when on this admin, by this role and this token, may approve this request.
    pub from: UtcMillis,
    /// Whether somebody other than who asked may approve now.
    pub second: bool,
    /// The hash that this admin saw.
    pub hash: [u8; 32],
}

/// Why a decision does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It was decided before.
    #[error("this request is {} already", .0.as_str())]
    Over(State),
    /// Too late.
    #[error("this request expired at {0}")]
    Expired(UtcMillis),
    /// The hash is not that of the request.
    #[error("the hash is not that of this request: look at it again")]
    OtherHash,
    /// Who asked does not approve.
    #[error("who asked for it does not approve it: somebody else has to")]
    OwnRequest,
    /// More had a part in it than can be told.
    #[error(
        "too many had a part in it for anybody to be known as another person: undo the change, or reject the request"
    )]
    TooManyAskers,
    /// Who asked may give it later, where nobody else may by then.
    #[error("nobody else may approve; who asked may from {0} on")]
    TooSoon(UtcMillis),
    /// The admin, its role or its token is too new, or the token that asked.
    #[error("a new admin, role or token counts as one of two persons from {0} on")]
    TooNew(UtcMillis),
}

/// Judges an approval; gives where the request stands then: [`State::Cooling`] or [`State::Approved`], which means that it
/// is to be carried out now.
///
/// # Errors
/// [`Refused`].
pub fn approve(request: &Request<'_>, by: &Decider<'_>, now: UtcMillis) -> Result<State, Refused> {
    if request.state != State::Waiting {
        return Err(Refused::Over(request.state));
    }
    if request.expires <= now {
        return Err(Refused::Expired(request.expires));
    }
    if by.hash != request.hash {
        return Err(Refused::OtherHash);
    }
    if request.askers.more {
        return Err(Refused::TooManyAskers);
    }
    if by.name == request.requester || request.askers.has(by.name) {
        return match request.alone_from {
            Some(from) if !by.second => {
                if from <= now {
                    Ok(State::Approved)
                } else {
                    Err(Refused::TooSoon(from))
                }
            }
            _ => Err(Refused::OwnRequest),
        };
    }
    if by.from > now {
        return Err(Refused::TooNew(by.from));
    }
    Ok(if request.cooling_ms > 0 { State::Cooling } else { State::Approved })
}

/// Judges a refusal: anybody who may approve, and who asked, at any time before it is carried out.
///
/// # Errors
/// [`Refused::Over`].
pub const fn reject(request: &Request<'_>) -> Result<State, Refused> {
    if request.state.is_open() { Ok(State::Rejected) } else { Err(Refused::Over(request.state)) }
}

/// What time alone makes of a request: it expires, or its cooling-off is over and it is to be carried out.
#[must_use]
pub fn look(request: &Request<'_>, now: UtcMillis) -> Option<State> {
    match (request.state, request.agreed) {
        (State::Waiting | State::Granted, _) => (request.expires <= now).then_some(State::Expired),
        (State::Cooling, Some(at)) => (at.plus(request.cooling_ms) <= now).then_some(State::Approved),
        _ => None,
    }
}

/// Why a freeze is not lifted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoThaw {
    /// Nothing is frozen.
    #[error("nothing is frozen")]
    NotFrozen,
    /// Who acts alone waits for the hour to end: within it the limits would count for nothing.
    #[error("nobody else may approve: who is alone lifts a freeze an hour after it began, at {0}")]
    TooSoon(UtcMillis),
}

/// Judges a thaw by somebody who acts alone.
///
/// # Errors
/// [`NoThaw`].
pub fn thaw_alone(frozen_since: Option<UtcMillis>, now: UtcMillis) -> Result<(), NoThaw> {
    let from = frozen_since.ok_or(NoThaw::NotFrozen)?.plus(super::HOUR_MS);
    if from <= now { Ok(()) } else { Err(NoThaw::TooSoon(from)) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: UtcMillis = UtcMillis(1_000_000_000);

    fn device(number: u128) -> EnrolmentId {
        EnrolmentId(Uuid::from_u128(number))
    }

    fn content() -> Content {
        Content::new("wipe", vec![(device(2), 1), (device(1), 3)], json!({"kind": "full", "a": 1}))
    }

    fn request(content: &Content) -> Request<'static> {
        Request {
            state: State::Waiting,
            requester: "a",
            askers: &NOBODY,
            hash: content.hash(),
            expires: NOW.plus(1),
            cooling_ms: 0,
            agreed: None,
            alone_from: None,
        }
    }

    fn decider(content: &Content) -> Decider<'static> {
        Decider { name: "b", from: NOW, second: true, hash: content.hash() }
    }

    #[test]
    fn the_hash_covers_kind_devices_generations_and_settings_and_no_order_of_theirs() {
        let same =
            Content::new("wipe", vec![(device(1), 3), (device(2), 1)], json!({"a": 1, "kind": "full"}));
        assert_eq!(content().hash(), same.hash());
        for other in [
            Content::new("lock", content().targets, content().settings),
            Content::new("wipe", vec![(device(1), 3)], content().settings),
            Content::new("wipe", vec![(device(1), 4), (device(2), 1)], content().settings),
            Content::new("wipe", content().targets, json!({"kind": "protected", "a": 1})),
        ] {
            assert_ne!(content().hash(), other.hash(), "{other:?}");
        }
        let back: Content = serde_json::from_str(&content().to_text()).unwrap();
        assert_eq!(back.hash(), content().hash());
    }

    #[test]
    fn another_person_in_time_with_the_hash_approves() {
        let content = content();
        let (asked, by) = (request(&content), decider(&content));
        assert_eq!(approve(&asked, &by, NOW), Ok(State::Approved));
        for (asked, by, refused) in [
            (Request { state: State::Approved, ..asked }, by, Refused::Over(State::Approved)),
            (Request { expires: NOW, ..asked }, by, Refused::Expired(NOW)),
            (asked, Decider { hash: [0; 32], ..by }, Refused::OtherHash),
            (asked, Decider { name: "a", ..by }, Refused::OwnRequest),
            (asked, Decider { name: "a", second: false, ..by }, Refused::OwnRequest),
            (asked, Decider { from: NOW.plus(1), ..by }, Refused::TooNew(NOW.plus(1))),
        ] {
            assert_eq!(approve(&asked, &by, NOW), Err(refused));
        }
    }

    #[test]
    fn who_is_alone_gives_a_request_that_allows_it_after_its_wait_and_only_while_alone() {
        let content = content();
        let own = Decider { name: "a", second: false, ..decider(&content) };
        let asked = |from| Request { alone_from: Some(from), ..request(&content) };
        assert_eq!(approve(&asked(NOW), &own, NOW), Ok(State::Approved));
        assert_eq!(approve(&asked(NOW.plus(1)), &own, NOW), Err(Refused::TooSoon(NOW.plus(1))));
        assert_eq!(approve(&asked(NOW), &Decider { second: true, ..own }, NOW), Err(Refused::OwnRequest));
    }

    #[test]
    fn who_had_a_part_in_what_a_service_asks_for_does_not_approve_it() {
        let content = content();
        let own = Asker { name: "b".to_owned(), token: None };
        let askers = Askers { known: vec![own], more: false };
        let asked = Request { requester: "policy", askers: &askers, ..request(&content) };
        assert_eq!(approve(&asked, &decider(&content), NOW), Err(Refused::OwnRequest));
        assert_eq!(approve(&asked, &Decider { name: "c", ..decider(&content) }, NOW), Ok(State::Approved));
        // Who is alone gives it after the wait.
        let alone = Decider { second: false, ..decider(&content) };
        let later = Request { alone_from: Some(NOW.plus(1)), ..asked };
        assert_eq!(approve(&later, &alone, NOW), Err(Refused::TooSoon(NOW.plus(1))));
        assert_eq!(approve(&Request { alone_from: Some(NOW), ..asked }, &alone, NOW), Ok(State::Approved));
        // Where not all can be told, nobody is known to be another.
        let more = Askers { more: true, ..Askers::default() };
        let asked = Request { askers: &more, ..asked };
        assert_eq!(approve(&asked, &decider(&content), NOW), Err(Refused::TooManyAskers));
    }

    #[test]
    fn a_bulk_cools_off_and_may_be_taken_back_meanwhile() {
        let content = content();
        let asked = Request { cooling_ms: 10, ..request(&content) };
        assert_eq!(approve(&asked, &decider(&content), NOW), Ok(State::Cooling));
        let cooling = Request { state: State::Cooling, agreed: Some(NOW), ..asked };
        assert_eq!(look(&cooling, NOW.plus(9)), None);
        assert_eq!(look(&cooling, NOW.plus(10)), Some(State::Approved));
        assert_eq!(reject(&cooling), Ok(State::Rejected));
        assert_eq!(approve(&cooling, &decider(&content), NOW), Err(Refused::Over(State::Cooling)));
    }

    #[test]
    fn what_is_over_stays_so() {
        let content = content();
        for state in State::ALL {
            let asked = Request { state, ..request(&content) };
            assert_eq!(reject(&asked).is_ok(), state.is_open());
            assert_eq!(approve(&asked, &decider(&content), NOW).is_ok(), state == State::Waiting);
            assert_eq!(State::parse(state.as_str()), Some(state));
            let late = look(&asked, NOW.plus(1));
            let ends = matches!(state, State::Waiting | State::Granted);
            assert_eq!(late, ends.then_some(State::Expired));
        }
    }

    #[test]
    fn who_is_alone_lifts_a_freeze_an_hour_after_it_began() {
        assert_eq!(thaw_alone(None, NOW), Err(NoThaw::NotFrozen));
        let since = NOW.plus(-super::super::HOUR_MS);
        assert_eq!(thaw_alone(Some(since), NOW), Ok(()));
        assert_eq!(thaw_alone(Some(since.plus(1)), NOW), Err(NoThaw::TooSoon(NOW.plus(1))));
    }
}
