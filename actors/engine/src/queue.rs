//! One device's pending commands, in the order in which they go out.
//!
//! Promise: a command stands in the queue exactly while it is `Queued` or `Sent`; what moves it gives the effect
//! that tells the store. The order is kind (wipe, lock, certificate … raw), lane, then age; a pending wipe
//! suspends the rest.

use postern_wire::{
    syncml::Data,
    terms::{
        CommandId, CommandState, DmSessionId, Lane, OperationId, OperationKind, ProofClass, Redelivery,
        UtcMillis, Verb,
    },
};
use serde::{Deserialize, Serialize};

use crate::{
    command::{self, Cause, Event, Refused},
    effect::{Effect, ItemStatus, ResultItem},
};

/// What a DM command says, whatever message it goes out in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// One command on the tree.
    Plain {
        /// The verb: one of [`Verb::TREE`].
        verb: Verb,
        /// Its items, at least one.
        items: Vec<BodyItem>,
        /// Correlator of an Exec (DM 1.2 only).
        correlator: Option<String>,
    },
    /// All of its commands, or none of them.
    Atomic(Vec<Self>),
    /// Its commands in this order.
    Sequence(Vec<Self>),
    /// A display or question to the person at the device (OMA-TS-DM_Protocol 1.2.1, 10).
    UserAlert {
        /// 1100 display, 1101 confirm, 1102 text input, 1103 single choice, 1104 multiple choice.
        code: u32,
        /// The option string of Item 1: `MINDT=10&DR=1`; may be empty.
        options: String,
        /// What is shown.
        text: String,
        /// What can be chosen, numbered from 1; for 1103 and 1104 only.
        choices: Vec<String>,
    },
}

impl Body {
    /// A command on the tree without Correlator.
    #[must_use]
    pub const fn plain(verb: Verb, items: Vec<BodyItem>) -> Self {
        Self::Plain { verb, items, correlator: None }
    }

    /// Its verb.
    #[must_use]
    pub const fn verb(&self) -> Verb {
        match self {
            Self::Plain { verb, .. } => *verb,
            Self::Atomic(_) => Verb::Atomic,
            Self::Sequence(_) => Verb::Sequence,
            Self::UserAlert { .. } => Verb::Alert,
        }
    }

    /// The items of a plain command; a structured one has none of its own.
    #[must_use]
    pub fn items(&self) -> &[BodyItem] {
        match self {
            Self::Plain { items, .. } => items,
            Self::Atomic(_) | Self::Sequence(_) | Self::UserAlert { .. } => &[],
        }
    }

    /// Correlator of an Exec.
    #[must_use]
    pub fn correlator(&self) -> Option<&str> {
        match self {
            Self::Plain { correlator, .. } => correlator.as_deref(),
            Self::Atomic(_) | Self::Sequence(_) | Self::UserAlert { .. } => None,
        }
    }

    /// The commands of a container.
    #[must_use]
    pub fn children(&self) -> &[Self] {
        match self {
            Self::Atomic(children) | Self::Sequence(children) => children,
            Self::Plain { .. } | Self::UserAlert { .. } => &[],
        }
    }

    /// Itself and all commands inside it, a container before its children: the order of their CmdIDs.
    #[must_use]
    pub fn flattened(&self) -> Vec<&Self> {
        let mut all = vec![self];
        for child in self.children() {
            all.extend(child.flattened());
        }
        all
    }

    /// Every item with its verb, those inside containers too.
    pub fn every_item(&self) -> impl Iterator<Item = (Verb, &BodyItem)> {
        self.flattened().into_iter().flat_map(|body| body.items().iter().map(|item| (body.verb(), item)))
    }

    /// The first node that it names: what a list shows of it.
    #[must_use]
    pub fn first_uri(&self) -> Option<&str> {
        match self {
            Self::Plain { items, .. } => items.first().map(|item| item.target.as_str()),
            Self::Atomic(children) | Self::Sequence(children) => children.iter().find_map(Self::first_uri),
            Self::UserAlert { .. } => None,
        }
    }
}

/// One item of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyItem {
    /// Target LocURI: the node.
    pub target: String,
    /// Source LocURI, for Copy.
    pub source: Option<String>,
    /// Meta Format; `None` is chr.
    pub format: Option<String>,
    /// Meta Type; `None` is text/plain.
    pub type_: Option<String>,
    /// Data. An Add or Replace without it goes out with an empty one (LD-15).
    #[serde(with = "crate::transcript::form::data")]
    pub data: Option<Data>,
}

impl BodyItem {
    /// An item that names a node and nothing else.
    pub fn node(target: impl Into<String>) -> Self {
        Self { target: target.into(), source: None, format: None, type_: None, data: None }
    }
}

/// A pending command: what the store's row says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingCommand {
    /// The command.
    pub id: CommandId,
    /// The operation that it belongs to.
    pub operation: OperationId,
    /// What the operation is for.
    pub kind: OperationKind,
    /// How soon among its kind.
    pub lane: Lane,
    /// Whether it waits for the earlier commands of its operation to be answered.
    pub ordered: bool,
    /// When it was committed.
    pub created: UtcMillis,
    /// When it is not sent any longer.
    pub deadline: Option<UtcMillis>,
    /// What it says.
    pub body: Body,
    /// What may be done when its fate is unknown.
    pub redelivery: Redelivery,
    /// `Queued` or `Sent`.
    pub state: CommandState,
    /// Where it was sent last.
    pub sent: Option<SentAs>,
    /// How often it was sent and may have been executed.
    pub sends: u32,
    /// When the device accepted it with 202.
    pub accepted: Option<UtcMillis>,
}

impl PendingCommand {
    /// Whether the device may have executed it.
    #[must_use]
    pub const fn may_be_executed(&self) -> bool {
        self.sends > 0
    }

    fn rank(&self) -> (OperationKind, Lane, UtcMillis, CommandId) {
        (self.kind, self.lane, self.created, self.id)
    }
}

/// Where a command was sent: what its Status will refer to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentAs {
    /// The session.
    pub session: DmSessionId,
    /// SessionID as the device chose it: with it a session can go on after the core was started again.
    pub device_session: String,
    /// MsgID of the server's message.
    pub msg_id: u32,
    /// CmdID of the command, the first of `parts`.
    pub cmd_id: u32,
    /// As how many commands it went: one for each item of a Get to a device that takes one item per Get, else 1.
    pub parts: u32,
}

/// The pending commands of one device.
#[derive(Clone, Debug)]
pub struct Queue {
    commands: Vec<PendingCommand>,
    limit: usize,
    /// A wipe was in it, or one waits for its next try: nothing else goes until the rows are read again.
    alone: bool,
}

/// Pending commands that a device may have, unless the operator says otherwise.
pub const DEFAULT_LIMIT: usize = 1000;

/// Places kept for wipes and locks when the queue is full.
pub const URGENT_RESERVE: usize = 16;

impl Default for Queue {
    fn default() -> Self {
        Self::new(DEFAULT_LIMIT)
    }
}

impl Queue {
    /// An empty queue that takes `limit` commands, and [`URGENT_RESERVE`] wipes and locks more.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { commands: Vec::new(), limit, alone: false }
    }

    /// The queue as the store has it; rows above the limit stay.
    #[must_use]
    pub fn load(mut commands: Vec<PendingCommand>, limit: usize) -> Self {
        commands.retain(|command| command::is_pending(command.state));
        commands.sort_by_key(PendingCommand::rank);
        Self { commands, limit, alone: false }
    }

    /// A wipe waits for its next try: until then nothing else goes either.
    pub const fn suspend(&mut self) {
        self.alone = true;
    }

    /// Whether `count` commands of `kind` may still be queued.
    ///
    /// # Errors
    /// [`QueueFull`] with the limit.
    pub const fn admits(&self, kind: OperationKind, count: usize) -> Result<(), QueueFull> {
        let reserve =
            if matches!(kind, OperationKind::Wipe | OperationKind::Lock) { URGENT_RESERVE } else { 0 };
        if self.commands.len().saturating_add(count) > self.limit.saturating_add(reserve) {
            return Err(QueueFull { limit: self.limit });
        }
        Ok(())
    }

    /// Takes a committed command in at its place; one that is not pending, or is there already, is left out.
    pub fn insert(&mut self, command: PendingCommand) {
        if !command::is_pending(command.state) || self.get(command.id).is_some() {
            return;
        }
        let at = self.commands.partition_point(|other| other.rank() < command.rank());
        self.commands.insert(at, command);
    }

    /// How many are pending.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.commands.len()
    }

    /// Whether none is pending.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// The pending commands in sending order.
    pub fn iter(&self) -> impl Iterator<Item = &PendingCommand> {
        self.commands.iter()
    }

    /// The pending command of this id.
    #[must_use]
    pub fn get(&self, id: CommandId) -> Option<&PendingCommand> {
        self.commands.iter().find(|command| command.id == id)
    }

    /// Whether a wipe suspends every other command: one that is pending, one that waits for its next try, and one that
    /// has just ended, because a device that was wiped a moment ago is not sent the rest.
    #[must_use]
    pub fn is_suspended_by_wipe(&self) -> bool {
        self.alone || self.commands.iter().any(|command| command.kind == OperationKind::Wipe)
    }

    /// Takes a command back. One that was sent before and may have been executed ends in doubt instead.
    ///
    /// # Errors
    /// `None` where it is not pending, [`Refused`] where it is on its way to the device.
    pub fn cancel(&mut self, id: CommandId, now: UtcMillis) -> Result<Effect, Option<Refused>> {
        self.withdraw(id, Event::Cancel, Cause::TakenBack, now)
    }

    /// Drops a command that a later operation made pointless.
    ///
    /// # Errors
    /// As [`Queue::cancel`].
    pub fn supersede(&mut self, id: CommandId, now: UtcMillis) -> Result<Effect, Option<Refused>> {
        self.withdraw(id, Event::Supersede, Cause::Overtaken, now)
    }

    /// Ends what is past its deadline, and what was accepted with 202 more than `completion_ms` ago.
    pub fn expire(&mut self, now: UtcMillis, completion_ms: i64) -> Vec<Effect> {
        let due = |command: &PendingCommand| match (command.state, command.accepted) {
            (CommandState::Queued, _) => {
                command.deadline.is_some_and(|deadline| deadline <= now).then_some(Cause::DeadlinePassed)
            }
            (_, Some(at)) => (now.since(at) > completion_ms).then_some(Cause::NoCompletion),
            _ => None,
        };
        let ids: Vec<_> =
            self.commands.iter().filter_map(|command| Some((command.id, due(command)?))).collect();
        ids.into_iter()
            .filter_map(|(id, cause)| match cause {
                Cause::NoCompletion => self.apply(id, Event::GiveUp, Note::cause(cause), now).ok(),
                _ => self.withdraw(id, Event::Expire, cause, now).ok(),
            })
            .collect()
    }

    fn withdraw(
        &mut self,
        id: CommandId,
        event: Event,
        cause: Cause,
        now: UtcMillis,
    ) -> Result<Effect, Option<Refused>> {
        let command = self.get(id).ok_or(None)?;
        let queued = command.state == CommandState::Queued;
        let event = if queued && command.may_be_executed() { Event::GiveUp } else { event };
        self.apply(id, event, Note::cause(cause), now)
    }

    /// Moves a command by the table; takes it out of the queue where it has ended.
    pub(crate) fn apply(
        &mut self,
        id: CommandId,
        event: Event,
        note: Note,
        at: UtcMillis,
    ) -> Result<Effect, Option<Refused>> {
        let index = self.commands.iter().position(|command| command.id == id).ok_or(None)?;
        let command = &mut self.commands[index];
        let state = command::transition(command.state, event).map_err(Some)?;
        command.state = state;
        match event {
            Event::NotExecuted => command.sends = command.sends.saturating_sub(1),
            Event::ProbedUndone => command.sends = 0,
            Event::Accept => command.accepted = Some(at),
            _ => {}
        }
        if !command::is_pending(state) {
            self.alone |= command.kind == OperationKind::Wipe;
            self.commands.remove(index);
        }
        let Note { cause, code, items, results, class } = note;
        Ok(Effect::CommandMoved { command: id, event, state, cause, code, items, results, class, at })
    }

    /// Records a command as sent.
    pub(crate) fn send(
        &mut self,
        id: CommandId,
        sent: SentAs,
        at: UtcMillis,
    ) -> Result<Effect, Option<Refused>> {
        let command = self.commands.iter_mut().find(|command| command.id == id).ok_or(None)?;
        command.state = command::transition(command.state, Event::Send).map_err(Some)?;
        command.sends = command.sends.saturating_add(1);
        command.sent = Some(sent.clone());
        Ok(Effect::CommandSent { command: id, sent, sends: command.sends, at })
    }
}

/// What is known beside the event itself.
#[derive(Debug)]
pub(crate) struct Note {
    pub(crate) cause: Cause,
    pub(crate) code: Option<u32>,
    pub(crate) items: Vec<ItemStatus>,
    pub(crate) results: Vec<ResultItem>,
    pub(crate) class: ProofClass,
}

impl Note {
    pub(crate) const fn cause(cause: Cause) -> Self {
        Self { cause, code: None, items: Vec::new(), results: Vec::new(), class: ProofClass::None }
    }
}

/// The device has as many pending commands as it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the device has {limit} pending commands, which is the limit")]
pub struct QueueFull {
    /// The limit.
    pub limit: usize,
}
