//! The edges of a wipe: how each is brought about on a running site, or why it is not.

/// What is done with a device or its wipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// A person asks for a full wipe.
    Request,
    /// Bob agrees.
    Approve,
    /// Bob refuses.
    Reject,
    /// The admin takes it back.
    Cancel,
    /// The admin, and then Bob, let the device off.
    FirstDisarms,
    SecondDisarms,
    /// The device is enrolled anew.
    ReEnrol,
    /// The device opens a session and gets what waits; it answers nothing yet.
    Take,
    /// It answers what it got with this code.
    Answer(u32),
    /// It answers what goes before its wipe with 200, and gets the wipe itself.
    Mark,
    /// It answers with 200, and says that nothing but a Status fits into what it is told next.
    Cramp,
    /// It opens a session in which nothing but a Status fits into what it is told.
    Cramped,
    /// It ends its session without an answer (Alert 1223).
    Abort,
    /// It tells the result of an accepted wipe by the alert with this code.
    Tell(u32),
    /// A whole session that answers all with 200.
    Visit,
    /// It says that it leaves, and ends its session with that.
    Leave,
    /// It says that it leaves, and gets what waits all the same.
    TakeLeaving,
    /// Half an hour passes since it said so.
    Forgotten,
    /// Its session is over and on record.
    Recorded,
    /// The wipe's time passes.
    Expire,
    /// The time for its result passes.
    Overrun,
    /// Two days pass in which it was not seen.
    Silence,
}

/// What was set when the wipe was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Set {
    Usual,
    NoRetry,
    Keep,
}

/// How an edge is brought about.
#[derive(Clone, Copy)]
pub(super) struct Case {
    /// `from event when`.
    pub(super) edge: &'static str,
    pub(super) set: Set,
    /// What is asked for.
    pub(super) kind: &'static str,
    /// A device that obeys signed orders, whose Status counts.
    pub(super) ours: bool,
    /// Asked for by somebody above the limit, so that another has to agree.
    pub(super) awaits: bool,
    pub(super) before: &'static [Act],
    pub(super) act: Act,
    /// Edges of the same transaction.
    pub(super) also: &'static [&'static str],
}

impl Case {
    /// The first step of what is done last of all, because a session stays open after it.
    pub(super) fn first(&self) -> usize {
        match self.act {
            Answer(_) | Mark | Cramp | Abort => self.before.len() - 1,
            _ => self.before.len(),
        }
    }
}

const fn case(edge: &'static str, before: &'static [Act], act: Act) -> Case {
    Case { edge, set: Set::Usual, kind: "full", ours: false, awaits: false, before, act, also: &[] }
}

use Act::{
    Abort, Answer, Approve, Cancel, Cramp, Cramped, Expire, FirstDisarms, Forgotten, Leave, Mark, Overrun,
    ReEnrol, Recorded, Reject, Request, SecondDisarms, Silence, Take, TakeLeaving, Tell, Visit,
};

const ARMED: &[Act] = &[Request, Expire];
const SENT: &[Act] = &[Request, Take];
const ARMED_SENT: &[Act] = &[Request, Expire, Take];
const ACCEPTED: &[Act] = &[Request, Take, Answer(202)];
const ARMED_ACCEPTED: &[Act] = &[Request, Expire, Take, Answer(202)];
const RETRYING: &[Act] = &[Request, Take, Answer(500)];
/// Sent as often as a command is.
const SENT_OFTEN: &[Act] = &[Request, Take, Take, Take, Take, Take, Take, Take, Take];
const ARMED_SENT_OFTEN: &[Act] = &[Request, Expire, Take, Take, Take, Take, Take, Take, Take, Take];
/// A wipe of what is listed, which has no evidence but its result.
const AWAITED: &[Act] = &[Request, Take, Mark, Answer(202)];
const ARMED_AWAITED: &[Act] = &[Request, Expire, Take, Mark, Answer(202)];

pub(super) fn cases() -> Vec<Case> {
    [by_persons(), to_the_device(), of_the_device(), of_leaving()].concat()
}

fn no_retry(case: Case) -> Case {
    Case { set: Set::NoRetry, ..case }
}

fn keep(case: Case) -> Case {
    Case { set: Set::Keep, ..case }
}

fn ours(case: Case) -> Case {
    Case { ours: true, ..case }
}

/// Asked for by the admin, who is above the limit of one person.
fn awaits(case: Case) -> Case {
    Case { awaits: true, ..case }
}

fn listed(case: Case) -> Case {
    Case { kind: "keep-provisioning", ..case }
}

fn selective(case: Case) -> Case {
    Case { kind: "selective", ours: true, ..case }
}

fn and(also: &'static [&'static str], case: Case) -> Case {
    Case { also, ..case }
}

/// What persons and the time do.
fn by_persons() -> Vec<Case> {
    vec![
        case("requested admit always", &[], Request),
        awaits(case("requested ask-approval always", &[], Request)),
        awaits(case("awaiting-approval approve always", &[Request], Approve)),
        awaits(case("awaiting-approval reject always", &[Request], Reject)),
        awaits(case("awaiting-approval cancel always", &[Request], Cancel)),
        awaits(case("awaiting-approval expire always", &[Request], Expire)),
        awaits(case("awaiting-approval supersede always", &[Request], ReEnrol)),
        case("pending cancel always", &[Request], Cancel),
        and(&["expired arm arms"], case("pending expire always", &[Request], Expire)),
        case("pending supersede always", &[Request], ReEnrol),
        and(&["in-doubt arm arms"], case("sent expire not-armed", SENT, Expire)),
        case("sent supersede always", SENT, ReEnrol),
        case("accepted supersede always", ACCEPTED, ReEnrol),
        case("retrying cancel always", RETRYING, Cancel),
        case("retrying expire always", RETRYING, Expire),
        case("retrying supersede always", RETRYING, ReEnrol),
        keep(no_retry(case("failed cancel keeps", RETRYING, Cancel))),
        keep(case("expired cancel keeps", &[Request, Expire], Cancel)),
        case("armed disarm always", &[Request, Expire, FirstDisarms], SecondDisarms),
        case("armed supersede always", ARMED, ReEnrol),
        keep(case("in-doubt disarm always", &[Request, Take, Expire, FirstDisarms], SecondDisarms)),
        case("accepted silence silence-counts", &[Request, Take, Answer(202), Recorded], Silence),
        listed(case("accepted overrun is-armed", ARMED_AWAITED, Overrun)),
        listed(case("accepted overrun tries-left", AWAITED, Overrun)),
        no_retry(listed(case("accepted overrun always", AWAITED, Overrun))),
    ]
}

/// What is sent, and what cannot be.
fn to_the_device() -> Vec<Case> {
    vec![
        case("pending send always", &[Request], Take),
        listed(case("sent send always", SENT, Mark)),
        case("retrying send always", RETRYING, Take),
        case("armed send always", ARMED, Take),
        case("pending unsendable always", &[Request], Cramped),
        listed(case("sent unsendable is-armed", ARMED_SENT, Cramp)),
        listed(case("sent unsendable always", SENT, Cramp)),
        case("retrying unsendable always", RETRYING, Cramped),
        case("armed unsendable always", ARMED, Cramped),
        case("sent lose is-armed", ARMED_SENT, Abort),
        case("sent lose always", SENT, Abort),
        case("sent give-up is-armed", ARMED_SENT_OFTEN, Abort),
        case("sent give-up tries-left", SENT_OFTEN, Abort),
        no_retry(case("sent give-up always", SENT_OFTEN, Abort)),
    ]
}

/// What the device says of it.
fn of_the_device() -> Vec<Case> {
    vec![
        ours(case("sent acknowledge status-counts", SENT, Answer(200))),
        case("sent acknowledge always", SENT, Answer(200)),
        case("sent accept always", SENT, Answer(202)),
        case("sent refuse is-armed", ARMED_SENT, Answer(500)),
        case("sent refuse tries-left", SENT, Answer(500)),
        and(&["failed arm arms"], no_retry(case("sent refuse always", SENT, Answer(500)))),
        case("accepted complete always", ACCEPTED, Tell(1200)),
        case("accepted refuse is-armed", ARMED_ACCEPTED, Tell(1400)),
        case("accepted refuse tries-left", ACCEPTED, Tell(1400)),
        no_retry(case("accepted refuse always", ACCEPTED, Tell(1400))),
        case("accepted come-back is-armed", &[Request, Expire, Take, Answer(200)], Visit),
        case("accepted come-back tries-left", &[Request, Take, Answer(200)], Visit),
        no_retry(case("accepted come-back always", &[Request, Take, Answer(200)], Visit)),
    ]
}

/// A device that leaves while it is to be wiped.
fn of_leaving() -> Vec<Case> {
    vec![
        awaits(case("awaiting-approval leave always", &[Request], Leave)),
        selective(case("pending leave leaving-counts", &[Request], Leave)),
        case("pending leave always", &[Request], Leave),
        selective(case("sent leave leaving-counts", &[Request, TakeLeaving], Forgotten)),
        case("sent leave always", &[Request, TakeLeaving], Forgotten),
        selective(case("accepted leave leaving-counts", ACCEPTED, Leave)),
        case("accepted leave always", ACCEPTED, Leave),
        selective(case("retrying leave leaving-counts", RETRYING, Leave)),
        case("retrying leave always", RETRYING, Leave),
        selective(case("armed leave leaving-counts", ARMED, Leave)),
        case("armed leave always", ARMED, Leave),
    ]
}

const RESTORE: &str = "a restore happens while no core runs; restored.rs has it";

/// What this walk does not reach, and why. All of it is walked inside a process (actors/src/tests/wipes/edges.rs).
pub(super) const NOT_HERE: &[(&str, &str)] = &[
    ("awaiting-approval restore always", RESTORE),
    ("pending restore always", RESTORE),
    ("sent restore always", RESTORE),
    ("accepted restore always", RESTORE),
    ("retrying restore always", RESTORE),
    ("armed restore always", RESTORE),
];
