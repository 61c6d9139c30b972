//! Every device where its edge begins.

use std::{
    sync::{Mutex, atomic::AtomicUsize},
    thread,
};

use postern_tests::{
    site::{READY, Site},
    wait,
};

use super::{
    cases::{Act, Case, Set, cases},
    cast::{Cast, Subject, name},
};

/// Devices that are prepared at once.
const TOGETHER: usize = 6;

/// Every device where its edge begins. What is held open is opened last of all: no session stays open for long.
pub(super) fn prepare(site: &Site, cast: &Cast) -> Vec<Subject> {
    let _ = site.ctl().ok(&["settings", "set", "WipeRetryWait", "0s"]);
    let mut left: Vec<(usize, Case)> = cases().into_iter().enumerate().collect();
    let mut subjects = Vec::new();
    for (set, retries, stays, disenrol) in
        [(Set::Usual, "3", "on", "on"), (Set::NoRetry, "0", "on", "on"), (Set::Keep, "0", "off", "off")]
    {
        for (name, value) in
            [("WipeRetry", retries), ("WipeStaysArmed", stays), ("DisenrollUnsuccessful", disenrol)]
        {
            let _ = site.ctl().ok(&["settings", "set", name, value]);
        }
        let (now, later) = left.into_iter().partition(|(_, case)| case.set == set);
        left = later;
        subjects.extend(together(now, |(number, case): (usize, Case)| {
            let mut subject = enrolled(site, cast, number, case);
            for act in &case.before[..case.first()] {
                bring(site, cast, &mut subject, *act);
            }
            subject
        }));
    }
    assert!(left.is_empty());
    together(subjects, |mut subject: Subject| {
        for act in &subject.case.before[subject.case.first()..] {
            bring(site, cast, &mut subject, *act);
        }
        subject
    })
}

fn enrolled(site: &Site, cast: &Cast, number: usize, case: Case) -> Subject {
    let device = name(number);
    let (enrolment, _) = site.enrol(&device, "basic", &[]);
    let known = case.ours.then_some(("./DevInfo/Man", "Postern"));
    let listed = ("./LAWMO/AvailableWipeList/Photos/ToBeWiped", "false");
    for (key, value) in known.into_iter().chain((case.kind == "keep-provisioning").then_some(listed)) {
        cast.sql.change(&format!(
            "INSERT INTO facts (enrolment, key, value, source, at) SELECT id, '{key}', '{value}', 'device', 1 FROM enrolments WHERE device_id = '{device}'"
        ));
    }
    Subject::new(number, case, site.client(enrolment))
}

/// One step of the way to an edge, until the row stands there.
fn bring(site: &Site, cast: &Cast, subject: &mut Subject, act: Act) {
    let (name, edge) = (subject.name(), subject.case.edge);
    subject.sends += usize::from(matches!(act, Act::Take | Act::TakeLeaving | Act::Mark));
    let there = match act {
        Act::Request => "state IN ('pending', 'awaiting-approval')".to_owned(),
        Act::Expire => "state IN ('armed', 'expired', 'in-doubt')".to_owned(),
        Act::FirstDisarms => "disarm_by IS NOT NULL".to_owned(),
        Act::Take | Act::TakeLeaving | Act::Mark => format!(
            "state = 'sent' AND {} = (SELECT count(*) FROM wipe_steps s WHERE s.wipe = wipes.id AND s.event = 'send')",
            subject.sends
        ),
        Act::Answer(500) => "state IN ('retrying', 'failed', 'armed')".to_owned(),
        Act::Recorded => {
            "EXISTS (SELECT 1 FROM sessions s WHERE s.enrolment = wipes.enrolment) AND NOT EXISTS \
             (SELECT 1 FROM sessions s WHERE s.enrolment = wipes.enrolment AND s.closed_at IS NULL)"
                .to_owned()
        }
        _ => "state = 'accepted'".to_owned(),
    };
    cast.act(subject, act, &AtomicUsize::new(0));
    let found = |condition: &str| {
        let sql = format!("SELECT 1 FROM wipes WHERE device_id = '{name}' AND {condition}");
        !cast.sql.rows(&sql).is_empty()
    };
    let why = || {
        let steps = format!(
            "SELECT s.revision, s.event, s.state, s.cause FROM wipe_steps s JOIN wipes w ON w.id = s.wipe WHERE w.device_id = '{name}' ORDER BY 1"
        );
        format!("{edge} {act:?}\n{:?}\n{}", cast.sql.rows(&steps), site.logs())
    };
    wait::until("a step of the way to an edge", READY, || found(&there).then_some(()), why);
    // Another try stands in the queue before the device comes for it.
    let issued = || (!found("command IS NULL AND state IN ('armed', 'retrying')")).then_some(());
    wait::until("the next try", READY, issued, || format!("{edge} {act:?}\n{}", site.logs()));
}

/// Does it for each, some at once.
fn together<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let items = Mutex::new(items.into_iter());
    let next = || items.lock().expect("nobody panics here").next();
    let worker = || {
        let mut done = Vec::new();
        while let Some(item) = next() {
            done.push(work(item));
        }
        done
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..TOGETHER).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("every way leads there")).collect()
    })
}
