//! What a server asks of the person at the device: Alerts 1100 to 1104 (OMA-TS-DM_Protocol 1.2.1, 10).
//!
//! Promise: an alert is read into a [`Prompt`] with bounds on its text and choices; options that are not known are
//! skipped; an answer that does not fit the prompt never reaches the server.

mod options;
mod scripted;
mod terminal;

use postern_wire::syncml::{Alert, Data, Item};

use crate::codes::Code;
pub use options::{Echo, Input, Options};
pub use scripted::Scripted;
pub use terminal::Terminal;
pub(crate) use terminal::without_echo;

/// Octets of a text or a choice that is shown; beyond that the alert is 416.
pub const MOST_OCTETS: usize = 4_096;
/// Choices that are offered; beyond that the alert is 416.
pub const MOST_CHOICES: usize = 64;

/// Which of the five dialogues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 1100: a text is shown.
    Display,
    /// 1101: yes or no.
    Confirm,
    /// 1102: a line of text.
    Input,
    /// 1103: one of several.
    Choice,
    /// 1104: any of several.
    Choices,
}

impl Kind {
    /// The dialogue of an alert code.
    #[must_use]
    pub const fn of(code: u32) -> Option<Self> {
        match code {
            1100 => Some(Self::Display),
            1101 => Some(Self::Confirm),
            1102 => Some(Self::Input),
            1103 => Some(Self::Choice),
            1104 => Some(Self::Choices),
            _ => None,
        }
    }
}

/// What is put to the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Which dialogue.
    pub kind: Kind,
    /// The text, or the title of the choices.
    pub text: String,
    /// The choices, numbered from 1.
    pub choices: Vec<String>,
    /// How it is put.
    pub options: Options,
}

/// What the user did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Saw it.
    Shown,
    /// Agreed.
    Yes,
    /// Did not agree.
    No,
    /// Wrote this.
    Text(String),
    /// Chose these, from 1.
    Chosen(Vec<usize>),
    /// Does not want to go on.
    Cancelled,
    /// Nothing within MAXDT.
    TimedOut,
    /// There is nobody to ask.
    Nobody,
}

/// The way to the person at the device.
pub trait UserInterface: Send {
    /// Puts a prompt and waits for what comes of it, within MAXDT where there is one.
    fn ask(&mut self, prompt: &Prompt) -> Reaction;
}

/// A device without a screen: every dialogue is 406.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoUser;

impl UserInterface for NoUser {
    fn ask(&mut self, _: &Prompt) -> Reaction {
        Reaction::Nobody
    }
}

impl Prompt {
    /// Reads the Items of an alert: options, text, choices. 412 when some are missing, 416 when they are too much.
    pub fn of(kind: Kind, alert: &Alert) -> Result<Self, Code> {
        let text = |item: &Item| item.data.as_ref().and_then(Data::as_text).unwrap_or_default().to_owned();
        let [options, title, choices @ ..] = alert.items.as_slice() else { return Err(Code::INCOMPLETE) };
        let choices: Vec<_> = match kind {
            Kind::Choice | Kind::Choices if choices.is_empty() => return Err(Code::INCOMPLETE),
            Kind::Choice | Kind::Choices => choices.iter().map(text).collect(),
            Kind::Display | Kind::Confirm | Kind::Input => Vec::new(),
        };
        let prompt = Self { kind, text: text(title), choices, options: Options::parse(&text(options)) };
        let too_long = prompt.choices.iter().chain([&prompt.text]).any(|text| text.len() > MOST_OCTETS);
        if too_long || prompt.choices.len() > MOST_CHOICES {
            return Err(Code::RANGE);
        }
        Ok(prompt)
    }

    /// Whether a reaction answers this prompt.
    #[must_use]
    pub fn takes(&self, reaction: &Reaction) -> bool {
        let offered = |number: &usize| (1..=self.choices.len()).contains(number);
        match (self.kind, reaction) {
            (_, Reaction::Cancelled | Reaction::TimedOut | Reaction::Nobody)
            | (Kind::Display, Reaction::Shown)
            | (Kind::Confirm, Reaction::Yes | Reaction::No) => true,
            (Kind::Input, Reaction::Text(text)) => self.options.take(text),
            (Kind::Choice, Reaction::Chosen(numbers)) => numbers.len() == 1 && numbers.iter().all(offered),
            (Kind::Choices, Reaction::Chosen(numbers)) => numbers.iter().all(offered),
            _ => false,
        }
    }
}

impl Reaction {
    /// The Status of the alert, and its Items.
    #[must_use]
    pub fn answer(self) -> (Code, Vec<Item>) {
        let item = |text: String| Item { data: Some(Data::Text(text)), ..Item::default() };
        match self {
            Self::Shown | Self::Yes => (Code::OK, Vec::new()),
            Self::No => (Code::NOT_MODIFIED, Vec::new()),
            Self::Text(text) => (Code::OK, vec![item(text)]),
            Self::Chosen(numbers) => {
                (Code::OK, numbers.into_iter().map(|number| item(number.to_string())).collect())
            }
            Self::Cancelled => (Code::CANCELLED, Vec::new()),
            Self::TimedOut => (Code::TIMED_OUT, Vec::new()),
            Self::Nobody => (Code::UNSUPPORTED, Vec::new()),
        }
    }
}
