//! How each setting stands, in one word, with the device's code and what it means.

use postern_wire::terms::UtcMillis;
use serde::Serialize;

use super::{
    Desired, DesiredSetting,
    book::{Book, Entry, Refused},
    value::Mark,
};

/// How often a device has to be found with another value before something else is said to set it.
pub const FIGHT: u32 = 3;

/// How a setting stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The device confirmed it.
    Compliant,
    /// It is on its way, or goes with the next session.
    Pending,
    /// The device did not take it.
    Error,
    /// The device does not have it, or it is not for policy.
    NotSupported,
    /// Two say different things with the same right, or something else sets it again and again.
    Conflict,
}

impl State {
    /// The word in reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Compliant => "compliant",
            Self::Pending => "pending",
            Self::Error => "error",
            Self::NotSupported => "not-supported",
            Self::Conflict => "conflict",
        }
    }
}

/// How one setting stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The node.
    pub uri: String,
    /// The word.
    pub state: State,
    /// The device's code, where it gave one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// What the word does not say; may be empty.
    pub why: String,
    /// When the device confirmed what is desired now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<UtcMillis>,
    /// How often it was found with another value than it had confirmed.
    pub drift: u32,
    /// Nobody wants it any longer, and it is not removed yet.
    pub leaving: bool,
}

/// How many settings stand how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// The device confirmed them.
    pub compliant: u32,
    /// They are on their way.
    pub pending: u32,
    /// The device did not take them.
    pub error: u32,
    /// The device does not have them.
    pub not_supported: u32,
    /// Somebody else says otherwise.
    pub conflict: u32,
}

/// How everything stands, by address; what is desired first, then what still has to go.
#[must_use]
pub fn standings(desired: &Desired, book: &Book) -> Vec<Standing> {
    let of_desired = desired.settings.iter().map(|setting| standing(setting, book.nodes.get(&setting.uri)));
    let leaving = book.nodes.iter().filter(|(uri, entry)| desired.get(uri).is_none() && entry.touched);
    of_desired.chain(leaving.map(|(uri, entry)| leaves(uri, entry))).collect()
}

/// How many stand how.
#[must_use]
pub fn counts(standings: &[Standing]) -> Counts {
    let count = |state| {
        let found = standings.iter().filter(|standing| standing.state == state).count();
        u32::try_from(found).unwrap_or(u32::MAX)
    };
    Counts {
        compliant: count(State::Compliant),
        pending: count(State::Pending),
        error: count(State::Error),
        not_supported: count(State::NotSupported),
        conflict: count(State::Conflict),
    }
}

fn standing(setting: &DesiredSetting, entry: Option<&Entry>) -> Standing {
    let mark = Mark::of(&setting.format, setting.data.as_deref());
    let confirmed_at =
        entry.and_then(|entry| entry.confirmed).filter(|known| known.mark == mark).map(|known| known.at);
    let refused = entry.and_then(|entry| entry.refuses(Some(mark)));
    let drift = entry.map_or(0, |entry| entry.drift);
    let (state, why) = match (&setting.withheld, refused) {
        (Some(why), _) => (State::NotSupported, why.clone()),
        (None, Some(refused)) => refusal(refused),
        (None, None) if setting.tied => {
            let other = setting.losers.first().map_or("another", |loser| loser.name());
            (State::Conflict, format!("{other} says otherwise with the same right; by name this one wins"))
        }
        (None, None) if drift >= FIGHT => {
            (State::Conflict, format!("something else on the device changed it {drift} times"))
        }
        (None, None) if confirmed_at.is_some() => (State::Compliant, String::new()),
        (None, None) => (State::Pending, String::new()),
    };
    let (state, why) = match blocked(&setting.uri, entry, setting) {
        Some(cause) if setting.withheld.is_none() => (State::Error, cause),
        _ => (state, why),
    };
    let code = refused.map(|refused| refused.code).filter(|code| *code > 0);
    Standing { uri: setting.uri.clone(), state, code, why, confirmed_at, drift, leaving: false }
}

/// Why what is to be done with a setting cannot be sent at all, if so.
fn blocked(uri: &str, entry: Option<&Entry>, setting: &DesiredSetting) -> Option<String> {
    let cause = match entry {
        Some(entry) => entry.blocked(uri, Some(setting)),
        None => Entry::new(setting).blocked(uri, Some(setting)),
    };
    cause.map(|cause| format!("it cannot be sent: {cause}"))
}

fn leaves(uri: &str, entry: &Entry) -> Standing {
    let refused = entry.refuses(None);
    let stays = |why: &str| format!("nobody wants it any longer, and it stays: {why}");
    let (state, why) = match (refused, entry.blocked(uri, None)) {
        (Some(refused), _) => {
            let (state, why) = refusal(refused);
            (state, stays(&why))
        }
        (None, Some(cause)) => (State::Error, stays(&format!("it cannot be sent: {cause}"))),
        (None, None) => (State::Pending, format!("nobody wants it any longer: {}", entry.removal.word())),
    };
    let code = refused.map(|refused| refused.code).filter(|code| *code > 0);
    Standing { uri: uri.to_owned(), state, code, why, confirmed_at: None, drift: entry.drift, leaving: true }
}

/// Whether a code says that the device will never take it.
#[must_use]
pub const fn is_for_good(code: u32) -> bool {
    matches!(code, 404 | 405 | 406 | 410 | 501)
}

fn refusal(refused: Refused) -> (State, String) {
    let why = match refused.code {
        0 => "no answer ever came",
        403 => "the node cannot be changed",
        404 | 410 => "the device has no such node and does not let it be made",
        405 => "the node does not allow the command",
        406 | 501 => "the device does not have the feature",
        407 | 401 => "the device does not take the server's credentials",
        413 => "it is too large for the device",
        414 => "the address is too long or too deep for the device",
        415 => "the device does not take the format",
        418 => "the device says once that the node is there and once that it is not",
        420 => "the device is full",
        425 => "access control of the device denies it",
        500 | 510 => "the device failed inside",
        _ => "the device refused it",
    };
    let state = if is_for_good(refused.code) { State::NotSupported } else { State::Error };
    (state, why.to_owned())
}
