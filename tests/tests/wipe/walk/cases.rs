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
    /// A whole session that answers all with 200.
    Visit,
    /// It says that it leaves.
    Leave,
    /// The wipe's time passes.
    Expire,
}

/// What was set when the wipe was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Set {
    Usual,
    NoRetry,
    Keep,
}

/// How an edge is brought about.
pub(super) struct Case {
    /// `from event when`.
    pub(super) edge: &'static str,
    pub(super) set: Set,
    /// A device that obeys signed orders, whose Status counts.
    pub(super) ours: bool,
    /// Asked for by somebody above the limit, so that another has to agree.
    pub(super) awaits: bool,
    pub(super) before: &'static [Act],
    pub(super) act: Act,
    /// Edges of the same transaction.
    pub(super) also: &'static [&'static str],
}

const fn case(edge: &'static str, before: &'static [Act], act: Act) -> Case {
    Case { edge, set: Set::Usual, ours: false, awaits: false, before, act, also: &[] }
}

use Act::{
    Answer, Approve, Cancel, Expire, FirstDisarms, Leave, ReEnrol, Reject, Request, SecondDisarms, Take,
    Visit,
};

const ARMED: &[Act] = &[Request, Expire];
const ARMED_SENT: &[Act] = &[Request, Expire, Take];

pub(super) fn cases() -> Vec<Case> {
    let no_retry = |case: Case| Case { set: Set::NoRetry, ..case };
    let keep = |case: Case| Case { set: Set::Keep, ..case };
    let ours = |case: Case| Case { ours: true, ..case };
    let awaits = |case: Case| Case { awaits: true, ..case };
    let and = |also, case: Case| Case { also, ..case };
    vec![
        case("requested admit always", &[], Request),
        case("pending send always", &[Request], Take),
        case("pending cancel always", &[Request], Cancel),
        and(&["expired arm arms"], case("pending expire always", &[Request], Expire)),
        case("pending supersede always", &[Request], ReEnrol),
        ours(case("sent acknowledge status-counts", &[Request, Take], Answer(200))),
        case("sent acknowledge always", &[Request, Take], Answer(200)),
        case("sent accept always", &[Request, Take], Answer(202)),
        case("sent refuse is-armed", ARMED_SENT, Answer(500)),
        case("sent refuse tries-left", &[Request, Take], Answer(500)),
        and(&["failed arm arms"], no_retry(case("sent refuse always", &[Request, Take], Answer(500)))),
        and(&["in-doubt arm arms"], case("sent expire not-armed", &[Request, Take], Expire)),
        case("sent supersede always", &[Request, Take], ReEnrol),
        case("accepted leave always", &[Request, Take, Answer(202)], Leave),
        case("accepted supersede always", &[Request, Take, Answer(202)], ReEnrol),
        case("accepted come-back tries-left", &[Request, Take, Answer(200)], Visit),
        no_retry(case("accepted come-back always", &[Request, Take, Answer(200)], Visit)),
        case("retrying send always", &[Request, Take, Answer(500)], Take),
        case("retrying cancel always", &[Request, Take, Answer(500)], Cancel),
        case("retrying expire always", &[Request, Take, Answer(500)], Expire),
        case("retrying supersede always", &[Request, Take, Answer(500)], ReEnrol),
        keep(no_retry(case("failed cancel keeps", &[Request, Take, Answer(500)], Cancel))),
        keep(case("expired cancel keeps", &[Request, Expire], Cancel)),
        case("armed send always", ARMED, Take),
        case("armed disarm always", &[Request, Expire, FirstDisarms], SecondDisarms),
        case("armed supersede always", ARMED, ReEnrol),
        keep(case("in-doubt disarm always", &[Request, Take, Expire, FirstDisarms], SecondDisarms)),
        // Asked for by the admin, who is above the limit of one person.
        awaits(case("requested ask-approval always", &[], Request)),
        awaits(case("awaiting-approval approve always", &[Request], Approve)),
        awaits(case("awaiting-approval reject always", &[Request], Reject)),
        awaits(case("awaiting-approval cancel always", &[Request], Cancel)),
        awaits(case("awaiting-approval expire always", &[Request], Expire)),
        awaits(case("awaiting-approval leave always", &[Request], Leave)),
        awaits(case("awaiting-approval supersede always", &[Request], ReEnrol)),
    ]
}

const RESTORE: &str = "a restore happens while no core runs; restored.rs has it";
const SELECTIVE: &str =
    "a selective wipe is for our own device only, which this walk does not play; main.rs has it";
const UNSENDABLE: &str = "no client of the kit has so little room that one Exec does not fit";
const GIVE_UP: &str = "takes as many broken sessions as a command is sent; in the walk inside a process only";
const RESULT: &str =
    "the alert with a result code comes of our LAWMO devices only; in the walk inside a process";
const AGAIN: &str = "a core that died after the sending sends again: faults.rs kills it there";
const LOST: &str =
    "a sending is lost when its session is over, by its idle limit; in the walk inside a process";
const SLOW: &str = "did not come about within a minute in this walk; in the walk inside a process";
const SILENT: &str = "time alone, an hour of it: faults.rs has it with a second";

const LEAVES: &str = "a device that leaves is let go once its session has ended, by its idle limit; in the walk inside a process";

/// What this walk does not reach, and why. All of it is walked inside a process (actors/src/tests/wipes/edges.rs).
pub(super) const NOT_HERE: &[(&str, &str)] = &[
    ("awaiting-approval restore always", RESTORE),
    ("pending unsendable always", UNSENDABLE),
    ("pending leave leaving-counts", SELECTIVE),
    ("pending leave always", LEAVES),
    ("sent leave always", LEAVES),
    ("retrying leave always", LEAVES),
    ("armed leave always", LEAVES),
    ("pending restore always", RESTORE),
    ("sent send always", AGAIN),
    ("sent lose always", LOST),
    ("sent lose is-armed", LOST),
    ("sent unsendable is-armed", UNSENDABLE),
    ("sent unsendable always", UNSENDABLE),
    ("sent give-up is-armed", GIVE_UP),
    ("sent give-up tries-left", GIVE_UP),
    ("sent give-up always", GIVE_UP),
    ("sent leave leaving-counts", SELECTIVE),
    ("sent restore always", RESTORE),
    ("accepted complete always", RESULT),
    ("accepted silence silence-counts", SILENT),
    ("accepted refuse is-armed", RESULT),
    ("accepted refuse tries-left", RESULT),
    ("accepted refuse always", RESULT),
    ("accepted overrun is-armed", RESULT),
    ("accepted overrun tries-left", RESULT),
    ("accepted overrun always", RESULT),
    ("accepted leave leaving-counts", SELECTIVE),
    ("accepted restore always", RESTORE),
    ("accepted come-back is-armed", SLOW),
    ("retrying unsendable always", UNSENDABLE),
    ("retrying leave leaving-counts", SELECTIVE),
    ("retrying restore always", RESTORE),
    ("armed unsendable always", UNSENDABLE),
    ("armed leave leaving-counts", SELECTIVE),
    ("armed restore always", RESTORE),
];
