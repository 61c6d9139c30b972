//! The record of an open session, and its place in the count of open sessions.

use std::sync::Arc;

use postern_store::sessions::SessionRow;
use postern_wire::terms::{DmSessionId, UtcMillis};

use crate::{later::Note, shared::Shared};

/// Counted as open for as long as it lives, also when its actor dies.
pub(crate) struct OpenRecord {
    row: SessionRow,
    shared: Arc<Shared>,
}

impl OpenRecord {
    pub(crate) fn new(row: SessionRow, shared: Arc<Shared>) -> Self {
        shared.counters.session_opened();
        shared.later.add(Note::Session(row.clone()));
        Self { row, shared }
    }

    pub(crate) fn is(&self, session: DmSessionId) -> bool {
        self.row.id == session
    }

    pub(crate) fn sent(&mut self, commands: i64) {
        self.row.commands += commands;
    }

    /// Ends it; `messages` is `None` where nobody counted.
    pub(crate) fn close(mut self, at: UtcMillis, outcome: &str, messages: Option<u32>) {
        self.row.closed_at = Some(at);
        self.row.outcome = Some(outcome.to_owned());
        if let Some(messages) = messages {
            self.row.messages = i64::from(messages);
        }
        self.shared.later.add(Note::Session(self.row.clone()));
    }
}

impl Drop for OpenRecord {
    fn drop(&mut self) {
        self.shared.counters.session_closed();
    }
}
