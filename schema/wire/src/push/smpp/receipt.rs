//! Delivery receipts: a deliver_sm that says what became of a message, by the optional parameters receipted_message_id
//! and message_state, or by the text that centres write (appendix B of 3.4), or by both.

use super::{ShortMessage, tag};

const MOST_ID: usize = 64;
const MOST_TEXT: usize = 512;

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The message, as the centre names it in receipts. Some write it in another base than in submit_sm_resp.
    pub message_id: String,
    /// Its state.
    pub state: State,
    /// The error that the text names, such as `err:001`.
    pub error: Option<String>,
}

/// message_state (5.2.28).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// On its way: ENROUTE, ACCEPTD.
    Pending,
    /// The device has it: DELIVRD.
    Delivered,
    /// It will never arrive.
    Failed(&'static str),
}

impl State {
    fn from_code(code: u8) -> Self {
        match code {
            1 | 6 => Self::Pending,
            2 => Self::Delivered,
            3 => Self::Failed("EXPIRED"),
            4 => Self::Failed("DELETED"),
            5 => Self::Failed("UNDELIV"),
            8 => Self::Failed("REJECTD"),
            _ => Self::Failed("UNKNOWN"),
        }
    }

    fn from_word(word: &str) -> Self {
        let starts = |known: &str| word.get(..5).is_some_and(|start| known[..5].eq_ignore_ascii_case(start));
        if starts("DELIVRD") {
            return Self::Delivered;
        }
        if starts("ENROUTE") || starts("ACCEPTD") {
            return Self::Pending;
        }
        let known = ["EXPIRED", "DELETED", "UNDELIV", "REJECTD"].into_iter().find(|known| starts(known));
        Self::Failed(known.unwrap_or("UNKNOWN"))
    }
}

impl Receipt {
    /// The receipt that a deliver_sm is; `None` for any other message, and for a receipt that names no message.
    #[must_use]
    pub fn of(message: &ShortMessage) -> Option<Self> {
        if !message.is_receipt() {
            return None;
        }
        let user_data = message.user_data();
        let text = String::from_utf8_lossy(&user_data[..user_data.len().min(MOST_TEXT)]).into_owned();
        let by_tlv = message.tlv(tag::RECEIPTED_MESSAGE_ID).and_then(c_text);
        let message_id = by_tlv.or_else(|| field(&text, "id:").map(str::to_owned))?;
        if message_id.is_empty() || message_id.len() > MOST_ID {
            return None;
        }
        let state = match message.tlv(tag::MESSAGE_STATE) {
            Some([code]) => State::from_code(*code),
            _ => field(&text, "stat:").map_or(State::Failed("UNKNOWN"), State::from_word),
        };
        let error = field(&text, "err:").filter(|error| error.len() <= 16).map(str::to_owned);
        Some(Self { message_id, state, error })
    }
}

/// The text up to a NUL.
fn c_text(value: &[u8]) -> Option<String> {
    let text = value.split(|octet| *octet == 0).next().unwrap_or_default();
    std::str::from_utf8(text)
        .ok()
        .filter(|text| text.bytes().all(|octet| octet.is_ascii_graphic()))
        .map(str::to_owned)
}

/// The word behind a name, names in any case: `id:` does not match inside `mid:`.
fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let mut words = text.split_ascii_whitespace();
    let word =
        words.find(|word| word.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)))?;
    Some(&word[name.len()..]).filter(|value| value.bytes().all(|octet| octet.is_ascii_graphic()))
}
