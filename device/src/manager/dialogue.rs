//! Alerts of the server's in a SyncBody: 1222, and the dialogues with the user (OMA-TS-DM_Protocol 10.2).
//!
//! Promise: a refusal never passes for consent: the user's no, and silence to a question, bypass the rest of
//! the Sequence; an Atomic fails over anything but an answer; giving up stops the message.

use postern_wire::syncml::Alert;

use super::{Answer, Manager, execute::plain};
use crate::{
    codes::Code,
    interaction::{Kind, Prompt, Reaction},
};

/// How often a prompt is put again when the interface brings what does not answer it.
const TRIES: usize = 3;

impl Manager<'_> {
    /// Answers an alert.
    pub(super) fn alert(&mut self, alert: &Alert) -> Answer {
        let (code, items) = match Kind::of(alert.code) {
            None if matches!(alert.code, 1222 | 1225) => (Code::OK, Vec::new()),
            None => (Code::UNSUPPORTED, Vec::new()),
            Some(kind) => match Prompt::of(kind, alert) {
                Ok(prompt) => self.ask(&prompt).answer(),
                Err(code) => (code, Vec::new()),
            },
        };
        self.cancelled |= code == Code::CANCELLED;
        Answer { items, ..plain(alert.cmd_id, "Alert", code) }
    }

    fn ask(&mut self, prompt: &Prompt) -> Reaction {
        for _ in 0..TRIES {
            let reaction = self.ui.ask(prompt);
            if prompt.takes(&reaction) {
                return reaction;
            }
        }
        Reaction::Cancelled
    }
}

/// Whether what a child of a Sequence was answered bypasses those behind it.
pub(super) const fn bypasses(code: Code) -> bool {
    matches!(code, Code::NOT_MODIFIED | Code::CANCELLED | Code::TIMED_OUT)
}
