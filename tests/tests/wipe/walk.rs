//! Edge × kill: the core is killed (SIGKILL) before the commit of an edge, after it, and after everybody was answered; a
//! running site with real PostgreSQL, started again, goes on where the rows say.
//!
//! The moments are chosen by what can be seen. *Before*: another session of the database holds a lock on the wipes' steps,
//! and the core's own transaction is seen to wait for it. *After the commit*: the steps stand in the table. *After the
//! sending*: whoever asked has the answer, and the device the reply. The table of edges is what `posternctl engine edges
//! wipe` prints; what a process cannot be brought to is listed with its reason, and a new edge fails this test.

mod cases;
mod cast;
mod prepare;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::JoinHandle,
};

use postern_store::testkit::Cluster;
use postern_tests::{
    ctl::Ctl,
    site::{Plan, READY, Site},
    sql::Sql,
    wait,
};
use serde_json::Value;

use self::{
    cases::{NOT_HERE, cases},
    cast::{Cast, Subject, name},
    prepare::prepare,
};
use super::clocks::person;

/// Where the machine's every step is written.
const STEPS: &str = "wipe_steps";

/// When the core dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kill {
    BeforeCommit,
    AfterCommit,
    AfterSend,
}

/// `from event when` of every edge that the machine prints, with where it leads.
fn edges(ctl: &Ctl) -> BTreeMap<String, (String, String, String)> {
    let printed = ctl.ok(&["engine", "edges", "wipe"]);
    let text = |edge: &Value, key: &str| edge[key].as_str().unwrap_or_default().to_owned();
    let rows = printed.as_array().cloned().unwrap_or_default();
    rows.iter()
        .map(|edge| {
            let (from, event, when) = (text(edge, "from"), text(edge, "event"), text(edge, "when"));
            (format!("{from} {event} {when}"), (from, event, text(edge, "to")))
        })
        .collect()
}

#[test]
fn every_edge_that_the_machine_prints_is_walked_or_has_its_reason() {
    let site = Site::make(&Plan::default());
    let printed: BTreeSet<String> = edges(&site.ctl()).into_keys().collect();
    let mut known = BTreeSet::new();
    for case in cases() {
        for edge in std::iter::once(case.edge).chain(case.also.iter().copied()) {
            assert!(known.insert(edge.to_owned()), "{edge} twice");
        }
    }
    for (edge, why) in NOT_HERE {
        assert!(!why.is_empty() && known.insert((*edge).to_owned()), "{edge} twice");
    }
    assert_eq!(known, printed);
}

#[test]
fn edges_killed_before_their_commit_leave_nothing() {
    walk(Kill::BeforeCommit);
}

#[test]
fn edges_killed_after_their_commit_go_on_where_they_were() {
    walk(Kill::AfterCommit);
}

#[test]
fn edges_killed_after_everybody_was_answered_tell_nobody_twice() {
    walk(Kill::AfterSend);
}

fn walk(kill: Kill) {
    let mut site = Site::start(&Plan { postgres: Some(Cluster::shared()), ..Plan::default() });
    let table = edges(&site.ctl());
    let sql = Sql::of(&site);
    let (bob, eve) = (person(&site, "bob", "device-admin"), person(&site, "eve", "device-admin"));
    limits(&sql);
    // As if they had been made the day before yesterday.
    for table in ["admins", "tokens"] {
        sql.change(&format!("UPDATE {table} SET may_approve_from = 1"));
    }
    sql.change("UPDATE role_grants SET at = 1");
    let cast = Cast { admin: site.ctl(), bob, eve, sql: sql.clone(), folder: site.path("") };
    let mut subjects = prepare(&site, &cast);
    let before = taken(&sql);

    // Each edge is brought about in a thread of its own, while the core is as the kill wants it.
    let lock = (kill != Kill::AfterSend).then(|| sql.lock(STEPS));
    let begun = Arc::new(AtomicUsize::new(0));
    let all = subjects.len();
    let fired: Vec<JoinHandle<Subject>> =
        subjects.drain(..).map(|subject| fire(&cast, subject, &begun)).collect();
    let started = || (begun.load(Ordering::SeqCst) == all).then_some(());
    wait::until("everybody to act", READY, started, || site.logs());
    if let Some(lock) = lock {
        wait::until(
            "the core to wait for the lock",
            READY,
            || sql.is_waited_for(STEPS).then_some(()),
            || site.logs(),
        );
        if kill == Kill::BeforeCommit {
            site.kill_core();
        }
        lock.release();
    }
    let late = || {
        let now = taken(&sql);
        let count = |of: &BTreeMap<(String, String), usize>, key: &(String, String)| {
            of.get(key).copied().unwrap_or(0)
        };
        let keys = cases()
            .into_iter()
            .enumerate()
            .map(|(number, case)| (case.edge, (name(number), event_of(case.edge).to_owned())));
        keys.filter(|(_, key)| count(&now, key) <= count(&before, key))
            .map(|(edge, _)| edge)
            .collect::<Vec<_>>()
    };
    if kill != Kill::BeforeCommit {
        let committed = || late().is_empty().then_some(());
        let why = || format!("{:?}\n{}", late(), site.logs());
        wait::until("every edge to be committed", READY * 2, committed, why);
    }
    if kill == Kill::AfterSend {
        let done = || fired.iter().all(JoinHandle::is_finished).then_some(());
        wait::until("everybody to be answered", READY, done, || site.logs());
    }
    site.kill_core();
    let at_death = taken(&sql);
    drop(fired.into_iter().map(|thread| thread.join().expect("no script panics")).collect::<Vec<_>>());
    site.start_core();
    site.wait_ready();
    whole(&sql, &table, kill);
    let after = taken(&sql);
    for (number, case) in cases().iter().enumerate() {
        let key = (name(number), event_of(case.edge).to_owned());
        let count = |of: &BTreeMap<(String, String), usize>| of.get(&key).copied().unwrap_or(0);
        match kill {
            Kill::BeforeCommit => {
                assert_eq!(count(&at_death), count(&before), "{} left something", case.edge)
            }
            Kill::AfterCommit | Kill::AfterSend => {
                assert_eq!(count(&at_death), count(&before) + 1, "{} at death", case.edge);
                // What a device or a person did once is there once; time passes once.
                assert_eq!(count(&after), count(&at_death), "{} again after the start", case.edge);
            }
        }
    }
    assert_eq!(site.ctl().run(&["audit", "verify"]).exit, 0);
}

fn fire(cast: &Cast, mut subject: Subject, begun: &Arc<AtomicUsize>) -> JoinHandle<Subject> {
    let (cast, begun) = (cast.clone(), Arc::clone(begun));
    std::thread::spawn(move || {
        let act = subject.case.act;
        cast.act(&mut subject, act, &begun);
        subject
    })
}

/// How often each device's wipe took each event.
fn taken(sql: &Sql) -> BTreeMap<(String, String), usize> {
    let query =
        "SELECT w.device_id, s.event, count(*) FROM wipe_steps s JOIN wipes w ON w.id = s.wipe GROUP BY 1, 2";
    let rows = sql.rows(query).into_iter();
    rows.map(|row| ((row[0].clone(), row[1].clone()), row[2].parse().expect("a count"))).collect()
}

fn event_of(edge: &str) -> &str {
    edge.split(' ').nth(1).unwrap_or_default()
}

/// The admin has done more in this hour than one person may; nobody else comes near any limit.
fn limits(sql: &Sql) {
    for (name, value) in
        [("per-person", 500), ("per-hour", 10_000), ("at-least", 1_000), ("cooling-off-minutes", 0)]
    {
        sql.change(&format!(
            "INSERT INTO safety_limits (name, value, set_by, at) VALUES ('{name}', {value}, 'admin:test', 1)"
        ));
    }
    sql.change(
        "INSERT INTO destructive_acts (id, admission, enrolment, generation, class, person, at, glass) \
         SELECT decode(md5(n::text), 'hex'), decode(md5(n::text), 'hex'), decode(md5('e' || n), 'hex'), 1, 'wipe', 'admin', \
         (extract(epoch FROM now()) * 1000)::bigint, false FROM generate_series(1, 501) AS n",
    );
}

/// What holds whatever was killed: steps without gaps that the machine knows, no event told twice, and no more than one
/// try in a device's queue.
fn whole(sql: &Sql, table: &BTreeMap<String, (String, String, String)>, kill: Kill) {
    let steps = sql.rows(
        "SELECT encode(w.id, 'hex'), w.device_id, s.revision, s.event, s.state FROM wipe_steps s JOIN wipes w ON w.id = s.wipe ORDER BY 1, s.revision",
    );
    let (mut wipe, mut number, mut state) = (String::new(), 0_u64, "requested".to_owned());
    for step in &steps {
        if wipe != step[0] {
            (wipe, number, state) = (step[0].clone(), 0, "requested".to_owned());
        }
        number += 1;
        assert_eq!(step[2], number.to_string(), "{kill:?}: a gap before {step:?}");
        let known = table.values().any(|(from, event, to)| {
            (from.as_str(), event.as_str(), to.as_str()) == (&state, &step[3], &step[4])
        });
        let note = state == step[4] && !table.values().any(|(_, event, _)| *event == step[3]);
        assert!(known || note, "{kill:?}: from {state} to {step:?}");
        state.clone_from(&step[4]);
    }
    for (what, query) in [
        (
            "a row that is not at its last step",
            "SELECT w.device_id FROM wipes w WHERE w.revision <> (SELECT max(revision) FROM wipe_steps s WHERE s.wipe = w.id)",
        ),
        (
            "two outstanding wipes",
            "SELECT device_id FROM wipes WHERE finished_at IS NULL GROUP BY 1 HAVING count(*) > 1",
        ),
        ("an event twice", "SELECT dedupe FROM outbox GROUP BY 1 HAVING count(*) > 1"),
        (
            "two tries of a wipe in a queue",
            "SELECT enrolment::text FROM commands_pending WHERE kind = 'wipe' GROUP BY 1 HAVING count(DISTINCT operation) > 1",
        ),
    ] {
        let found = sql.rows(query);
        assert!(found.is_empty(), "{kill:?}: {what}: {found:?}");
    }
}
