//! Alerts of the device's own: 1226 for what ended or came up, 1224 for client events (OMA-TS-DM_Protocol 8.7,
//! OMA-TS-DM_RepPro 6.6.2).
//!
//! Promise: an alert stays in the state until its server has answered it with a Status that settles it; before
//! that it goes out again in the next session. One alert goes out once a session, again only after a challenge.

use postern_wire::syncml::{Alert, Command, Data, Item, Location, Message, Meta, Status};

use super::Unit;
use crate::{
    codes::Code,
    csp::Completion,
    event::Event,
    state::{ClientEvent, State},
};

/// GENERIC ALERT.
const GENERIC: u32 = 1226;
/// CLIENT EVENT.
const CLIENT_EVENT: u32 = 1224;

/// What an alert says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Generic(Completion),
    Event(ClientEvent),
}

/// The alerts of one session.
#[derive(Debug, Default)]
pub(super) struct Telling {
    /// Queued in this session.
    queued: Vec<Told>,
    /// Sent and not yet answered: MsgID, CmdID.
    sent: Vec<(u32, u32, Told)>,
}

impl Unit {
    /// Queues what is due to this server and was not told in this session.
    pub(super) fn tell(&mut self, state: &State) {
        let own = &self.account.server_id;
        let generic = state.completions.iter().filter(|ended| ended.server_id == *own).cloned();
        let events = state.client_events.iter().filter(|event| event.server_id == *own).cloned();
        let due: Vec<_> = generic.map(Told::Generic).chain(events.map(Told::Event)).collect();
        // equal ones are told as often as they stand in the state
        let mut known = self.telling.queued.clone();
        for told in due {
            if let Some(at) = known.iter().position(|queued| *queued == told) {
                known.swap_remove(at);
                continue;
            }
            self.outbox.push_back(told.command());
            self.telling.queued.push(told);
        }
    }

    /// Notes which alerts leave in a message, under which CmdIDs.
    pub(super) fn note_sent(&mut self, body: &[Command]) {
        let mut unsent = self.telling.queued.clone();
        for (_, _, told) in &self.telling.sent {
            if let Some(at) = unsent.iter().position(|queued| queued == told) {
                unsent.swap_remove(at);
            }
        }
        for command in body {
            let Command::Alert(alert) = command else { continue };
            let again = self.telling.sent.iter().position(|(_, _, told)| told.is(alert));
            if let Some(at) = unsent.iter().position(|told| told.is(alert)) {
                let told = unsent.swap_remove(at);
                self.telling.sent.push((self.msg_id, alert.cmd_id, told));
            } else if let Some(at) = again {
                // sent again after a challenge
                let (_, _, told) = self.telling.sent.remove(at);
                self.telling.sent.push((self.msg_id, alert.cmd_id, told));
            }
        }
    }

    /// Forgets the alerts that the server's message settles.
    pub(super) fn settle(&mut self, message: &Message, state: &mut State, events: &mut Vec<Event>) {
        let msg_id = self.msg_id;
        for command in &message.body {
            let Command::Status(status) = command else { continue };
            let answers = |(msg, cmd, _): &(u32, u32, Told)| {
                status.msg_ref.unwrap_or(msg_id) == *msg && status.cmd_ref == *cmd
            };
            let Some(at) = self.telling.sent.iter().position(answers) else { continue };
            let code = Code(status.code);
            if !settles(status) {
                continue; // it stays where it is, for the next session
            }
            let (_, _, told) = self.telling.sent.remove(at);
            told.forget(state);
            if let Some(at) = self.telling.queued.iter().position(|queued| *queued == told) {
                self.telling.queued.swap_remove(at);
            }
            events.push(Event::AlertAnswered { about: told.about().to_owned(), code });
        }
    }
}

/// 200 and 202 took it; 406, 412 and 415 say that the server never will. Anything else may be over tomorrow.
fn settles(status: &Status) -> bool {
    matches!(status.code, 200 | 202 | 406 | 412 | 415)
}

impl Told {
    fn command(&self) -> Command {
        Command::Alert(match self {
            Self::Generic(ended) => Alert {
                code: GENERIC,
                correlator: ended.correlator.clone(),
                items: vec![Item {
                    target: ended.target.as_deref().map(Location::uri),
                    source: Some(Location::uri(&*ended.source)).filter(|_| !ended.source.is_empty()),
                    meta: Meta {
                        format: Some(ended.format.clone()),
                        type_: Some(ended.alert_type.clone()),
                        mark: Some(ended.mark.as_str().to_owned()),
                        ..Meta::default()
                    },
                    data: Some(Data::Text(ended.data.clone())),
                    ..Item::default()
                }],
                ..Alert::default()
            },
            Self::Event(event) => Alert {
                code: CLIENT_EVENT,
                items: vec![Item {
                    meta: Meta {
                        format: Some(event.format.clone()),
                        type_: Some(event.event_type.clone()),
                        ..Meta::default()
                    },
                    data: Some(Data::Text(event.data.clone())),
                    ..Item::default()
                }],
                ..Alert::default()
            },
        })
    }

    fn is(&self, alert: &Alert) -> bool {
        let Command::Alert(own) = self.command() else { return false };
        own.code == alert.code && own.correlator == alert.correlator && own.items == alert.items
    }

    fn forget(&self, state: &mut State) {
        match self {
            Self::Generic(told) => {
                if let Some(at) = state.completions.iter().position(|ended| ended == told) {
                    state.completions.remove(at);
                }
            }
            Self::Event(told) => {
                if let Some(at) = state.client_events.iter().position(|event| event == told) {
                    state.client_events.remove(at);
                }
            }
        }
    }

    fn about(&self) -> &str {
        match self {
            Self::Generic(ended) => &ended.source,
            Self::Event(event) => &event.event_type,
        }
    }
}
