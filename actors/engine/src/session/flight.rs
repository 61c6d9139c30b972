//! A command on its way: the CmdIDs that it went as, and what the device has said of each of them.
//!
//! A container went as several CmdIDs, its own first and its children's behind it; each is a slot.

use postern_wire::terms::{CommandId, Verb};

use super::collect::same_node;
use crate::{
    command::Cause,
    effect::{ItemStatus, ResultItem},
    queue::{Body, PendingCommand, SentAs},
};

/// A command, or the probe of one, that waits for its Status.
#[derive(Clone, Debug)]
pub(super) struct InFlight {
    pub(super) command: CommandId,
    pub(super) msg_id: u32,
    pub(super) cmd_id: u32,
    pub(super) probe: bool,
    /// One for each CmdID, in their order.
    pub(super) slots: Vec<Slot>,
    /// What came for which slot.
    pub(super) results: Vec<(usize, ResultItem)>,
    /// Why what came cannot be taken.
    pub(super) broken: Option<Cause>,
    /// Result code of an alert that came before the Status 202 (LD-13).
    pub(super) alert: Option<(bool, Vec<ResultItem>)>,
    /// A chunk of a large object that is not the last one.
    pub(super) chunk: bool,
}

/// One CmdID of a command.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) verb: Verb,
    /// Target of each item; a container and an alert have none, and count as one thing that is answered.
    pub(super) uris: Vec<String>,
    /// The code of an alert to the person at the device.
    pub(super) alert: Option<u32>,
    answers: Vec<Answer>,
}

#[derive(Clone, Debug)]
struct Answer {
    refs: Vec<String>,
    code: u32,
}

/// The code of each item of each slot, where one is known.
pub(super) type Codes = Vec<Vec<Option<u32>>>;

impl Slot {
    fn new(verb: Verb, uris: Vec<String>) -> Self {
        Self { verb, uris, alert: None, answers: Vec::new() }
    }

    fn of(body: &Body) -> Self {
        let uris = body.items().iter().map(|item| item.target.clone()).collect();
        let alert = match body {
            Body::UserAlert { code, .. } => Some(*code),
            Body::Plain { .. } | Body::Atomic(_) | Body::Sequence(_) => None,
        };
        Self { alert, ..Self::new(body.verb(), uris) }
    }

    /// Takes the code that a Status gives; `refs` are the nodes that it names.
    pub(super) fn answered(&mut self, refs: Vec<String>, code: u32) {
        self.answers.push(Answer { refs, code });
    }

    fn codes(&self) -> Vec<Option<u32>> {
        let count = self.uris.len().max(1);
        let mut codes = vec![None; count];
        let mut unnamed = Vec::new();
        for answer in &self.answers {
            let names = |at: usize| {
                self.uris.get(at).is_some_and(|uri| answer.refs.iter().any(|name| same_node(name, uri)))
            };
            let named: Vec<usize> =
                if count == 1 { vec![0] } else { (0..count).filter(|&at| names(at)).collect() };
            if named.is_empty() {
                unnamed.push(answer.code);
            }
            for at in named {
                codes[at] = codes[at].or(Some(answer.code));
            }
        }
        let mut unnamed = unnamed.into_iter().peekable();
        let one_for_all = unnamed.len() == 1;
        for code in codes.iter_mut().filter(|code| code.is_none()) {
            *code = if one_for_all { unnamed.peek().copied() } else { unnamed.next() };
        }
        codes
    }
}

impl InFlight {
    pub(super) fn new(
        command: &PendingCommand,
        (msg_id, cmd_id, parts): (u32, u32, u32),
        probe: Option<Vec<String>>,
    ) -> Self {
        let is_probe = probe.is_some();
        let slots = match (probe, &command.body) {
            (Some(uris), _) if parts > 1 => {
                uris.into_iter().map(|uri| Slot::new(Verb::Get, vec![uri])).collect()
            }
            (Some(uris), _) => vec![Slot::new(Verb::Get, uris)],
            (None, Body::Plain { verb, items, .. }) if parts > 1 => {
                items.iter().map(|item| Slot::new(*verb, vec![item.target.clone()])).collect()
            }
            (None, body) => body.flattened().into_iter().map(Slot::of).collect(),
        };
        Self {
            command: command.id,
            msg_id,
            cmd_id,
            probe: is_probe,
            slots,
            results: Vec::new(),
            broken: None,
            alert: None,
            chunk: false,
        }
    }

    pub(super) fn resumed(command: &PendingCommand, sent: &SentAs) -> Self {
        Self::new(command, (sent.msg_id, sent.cmd_id, sent.parts.max(1)), None)
    }

    /// The slot that a MsgRef and CmdRef name.
    pub(super) fn slot(&self, msg_ref: u32, cmd_ref: u32) -> Option<usize> {
        let at = usize::try_from(cmd_ref.checked_sub(self.cmd_id)?).ok()?;
        (self.msg_id == msg_ref && at < self.slots.len()).then_some(at)
    }

    /// The code of each item of each slot; a Get that brought its value was a success.
    pub(super) fn codes(&self) -> Codes {
        let mut codes: Codes = self.slots.iter().map(Slot::codes).collect();
        for (at, slot) in codes.iter_mut().enumerate().filter(|(at, _)| self.slots[*at].verb == Verb::Get) {
            for (item, code) in slot.iter_mut().enumerate() {
                *code = code.or_else(|| self.has_result(at, item).then_some(200));
            }
        }
        codes
    }

    fn has_result(&self, slot: usize, item: usize) -> bool {
        let uris = &self.slots[slot].uris;
        self.results
            .iter()
            .any(|(of, result)| *of == slot && (uris.len() <= 1 || same_node(&result.uri, &uris[item])))
    }

    /// Whether every item is answered, and every successful Get has its result.
    pub(super) fn is_answered(&self, codes: &Codes) -> bool {
        codes.iter().enumerate().all(|(at, slot)| {
            slot.iter().enumerate().all(|(item, code)| match code {
                Some(200..=299) if self.slots[at].verb == Verb::Get => self.has_result(at, item),
                code => code.is_some(),
            })
        })
    }

    /// The code of each item, for the record.
    pub(super) fn statuses(&self, codes: &Codes) -> Vec<ItemStatus> {
        let of = |(slot, codes): (&Slot, &Vec<Option<u32>>)| {
            let uris = slot.uris.iter().cloned().chain(std::iter::repeat(String::new()));
            let one = |(uri, code): (String, &Option<u32>)| ItemStatus { verb: slot.verb, uri, code: *code };
            uris.zip(codes).map(one).collect::<Vec<_>>()
        };
        self.slots.iter().zip(codes).flat_map(of).collect()
    }
}
