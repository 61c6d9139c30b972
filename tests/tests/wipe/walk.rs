//! Edge × kill: the core is killed (SIGKILL) before the commit of an edge, after it, and after everybody was answered; a
//! running site with real PostgreSQL, started again, goes on where the rows say.
//!
//! The moments are chosen by what can be seen. *Before*: another session of the database holds a lock on the wipes' steps,
//! and the core's own transaction is seen to wait for it. *After the commit*: the steps stand in the table. *After the
//! sending*: whoever asked has the answer, and the device the reply. The table of edges is what `posternctl engine edges
//! wipe` prints; what a process cannot be brought to is listed with its reason, and a new edge fails this test.

mod cases;
mod sql;

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::JoinHandle,
};

use postern_store::testkit::Cluster;
use postern_tests::{
    ctl::Ctl,
    dm_client::{DmClient, DmSession},
    site::{Plan, READY, Site},
    wait,
};
use postern_wire::syncml::{Alert, Command as DmCommand, Item, Message, Meta};
use serde_json::Value;

use self::{
    cases::{
        Act::{
            self, Answer, Approve, Cancel, Expire, FirstDisarms, Leave, ReEnrol, Reject, Request,
            SecondDisarms, Take, Visit,
        },
        Case, NOT_HERE, Set, cases,
    },
    sql::Sql,
};
use super::clocks::person;

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

/// A device with its wipe, as a case wants it.
struct Subject {
    number: usize,
    case: Case,
    client: &'static DmClient,
    session: Option<(DmSession<'static>, Message)>,
}

impl Subject {
    fn name(&self) -> String {
        format!("W:{:02}", self.number)
    }
}

/// Who acts.
#[derive(Clone)]
struct Cast {
    admin: Ctl,
    bob: Ctl,
    eve: Ctl,
    sql: Sql,
    folder: std::path::PathBuf,
}

impl Cast {
    /// Does it, and tells when it has begun. Whether it went well is for the rows to say.
    fn act(&self, subject: &mut Subject, act: Act, begun: &AtomicUsize) {
        let name = subject.name();
        let run = |ctl: &Ctl, args: &[&str]| {
            let child = ctl.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
            begun.fetch_add(1, Ordering::SeqCst);
            let _ = child.expect("posternctl starts").wait();
        };
        match act {
            Request => {
                let by = if subject.case.awaits { &self.admin } else { &self.eve };
                run(by, &["wipe", "request", &name, "--kind", "full", "--reason", "a walk"]);
            }
            Approve => run(&self.bob, &["wipe", "approve", &name, "--reason", "yes"]),
            Reject => {
                let shown = self.admin.run(&["wipe", "show", &name]).json();
                let approval = shown["approval"].as_str().unwrap_or_default().to_owned();
                run(&self.bob, &["approval", "reject", &approval, "--reason", "no"]);
            }
            Cancel => run(&self.admin, &["wipe", "cancel", &name, "--reason", "found"]),
            FirstDisarms => run(&self.admin, &["wipe", "disarm", &name, "--reason", "found"]),
            SecondDisarms => run(&self.bob, &["wipe", "disarm", &name, "--reason", "found"]),
            ReEnrol => {
                let out = self.folder.join(format!("again-{}.json", subject.number)).display().to_string();
                let args =
                    ["device", "re-enrol", &name, "--device-id", &name, "--auth", "basic", "--out", &out];
                run(&self.eve, &args);
            }
            Expire => {
                begun.fetch_add(1, Ordering::SeqCst);
                // Its time passes: what no clock of this machine is set for.
                let _ = self.sql.rows(&format!(
                    "UPDATE wipes SET expires_at = 1, next_at = 1 WHERE device_id = '{name}' AND finished_at IS NULL"
                ));
            }
            Take | Visit | Leave | Answer(_) => {
                begun.fetch_add(1, Ordering::SeqCst);
                Self::device(subject, act);
            }
        }
    }

    fn device(subject: &mut Subject, act: Act) {
        let id = match act {
            Take => "7",
            _ => "9",
        };
        match act {
            Visit => drop(subject.client.check_in(id)),
            Answer(code) => {
                let Some((mut session, message)) = subject.session.take() else { return };
                let body = session.answers(&message, &mut |_| (code, None));
                let _ = session.exchange(body);
            }
            _ => {
                let Ok(mut session) = subject.client.open(id) else { return };
                let mut body = session.package_1();
                if act == Leave {
                    body.push(leaving());
                }
                let Ok(answer) = session.exchange(body) else { return };
                subject.session = answer.message.map(|message| (session, message));
            }
        }
    }
}

/// The generic alert by which a device says that it leaves.
fn leaving() -> DmCommand {
    let meta = Meta { type_: Some(postern_engine::enrolment::leaving::ALERT.to_owned()), ..Meta::default() };
    let item = Item { meta, data: Some("left".into()), ..Item::default() };
    DmCommand::Alert(Alert { cmd_id: 40, code: 1226, items: vec![item], ..Alert::default() })
}

fn walk(kill: Kill) {
    let mut site = Site::start(&Plan { postgres: Some(Cluster::shared()), ..Plan::default() });
    let table = edges(&site.ctl());
    let sql = Sql::of(&site);
    let (bob, eve) = (person(&site, "bob", "device-admin"), person(&site, "eve", "device-admin"));
    limits(&sql);
    // As if they had been made the day before yesterday.
    for table in ["admins", "tokens"] {
        let _ = sql.rows(&format!("UPDATE {table} SET may_approve_from = 1"));
    }
    let _ = sql.rows("UPDATE role_grants SET at = 1");
    let cast = Cast { admin: site.ctl(), bob, eve, sql: sql.clone(), folder: site.path("") };
    let mut subjects = prepare(&site, &cast);
    let before = sql.taken();

    // Each edge is brought about in a thread of its own, while the core is as the kill wants it.
    let lock = (kill != Kill::AfterSend).then(|| sql.lock_steps());
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
            || sql.is_waited_for().then_some(()),
            || site.logs(),
        );
        if kill == Kill::BeforeCommit {
            site.kill_core();
        }
        lock.release();
    }
    let late = || {
        let now = sql.taken();
        let count = |of: &BTreeMap<(String, String), usize>, key: &(String, String)| {
            of.get(key).copied().unwrap_or(0)
        };
        let keys = cases()
            .into_iter()
            .enumerate()
            .map(|(number, case)| (case.edge, (format!("W:{number:02}"), event_of(case.edge).to_owned())));
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
    let at_death = sql.taken();
    drop(fired.into_iter().map(|thread| thread.join().expect("no script panics")).collect::<Vec<_>>());
    site.start_core();
    site.wait_ready();
    whole(&sql, &table, kill);
    let after = sql.taken();
    for (number, case) in cases().iter().enumerate() {
        let key = (format!("W:{number:02}"), event_of(case.edge).to_owned());
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

fn event_of(edge: &str) -> &str {
    edge.split(' ').nth(1).unwrap_or_default()
}

/// The admin has done more in this hour than one person may; nobody else comes near any limit.
fn limits(sql: &Sql) {
    for (name, value) in
        [("per-person", 500), ("per-hour", 10_000), ("at-least", 1_000), ("cooling-off-minutes", 0)]
    {
        let _ = sql.rows(&format!(
            "INSERT INTO safety_limits (name, value, set_by, at) VALUES ('{name}', {value}, 'admin:test', 1)"
        ));
    }
    let _ = sql.rows(
        "INSERT INTO destructive_acts (id, admission, enrolment, generation, class, person, at, glass) \
         SELECT decode(md5(n::text), 'hex'), decode(md5(n::text), 'hex'), decode(md5('e' || n), 'hex'), 1, 'wipe', 'admin', \
         (extract(epoch FROM now()) * 1000)::bigint, false FROM generate_series(1, 501) AS n",
    );
}

/// Every device where its edge begins.
fn prepare(site: &Site, cast: &Cast) -> Vec<Subject> {
    let mut set = Set::Usual;
    let mut subjects = Vec::new();
    let _ = site.ctl().ok(&["settings", "set", "WipeRetryWait", "0s"]);
    for (number, case) in cases().into_iter().enumerate() {
        if case.set != set {
            set = case.set;
            let (retries, stays, disenrol) = match set {
                Set::Usual => ("3", "on", "on"),
                Set::NoRetry => ("0", "on", "on"),
                Set::Keep => ("0", "off", "off"),
            };
            for (name, value) in
                [("WipeRetry", retries), ("WipeStaysArmed", stays), ("DisenrollUnsuccessful", disenrol)]
            {
                let _ = site.ctl().ok(&["settings", "set", name, value]);
            }
        }
        let name = format!("W:{number:02}");
        let (enrolment, _) = site.enrol(&name, "basic", &[]);
        let client: &'static DmClient = Box::leak(Box::new(site.client(enrolment)));
        if case.ours {
            let _ = cast.sql.rows(&format!(
                "INSERT INTO facts (enrolment, key, value, source, at) SELECT id, './DevInfo/Man', 'Postern', 'device', 1 FROM enrolments WHERE device_id = '{name}'"
            ));
        }
        let mut subject = Subject { number, case, client, session: None };
        let before = subject.case.before;
        // What is answered later is taken last of all: no session stays open for long.
        let now = if matches!(subject.case.act, Answer(_)) { &before[..before.len() - 1] } else { before };
        for act in now {
            bring(site, cast, &mut subject, *act);
        }
        subjects.push(subject);
    }
    for subject in subjects.iter_mut().filter(|subject| matches!(subject.case.act, Answer(_))) {
        bring(site, cast, subject, Take);
    }
    subjects
}

/// One step of the way to an edge, until the row stands there.
fn bring(site: &Site, cast: &Cast, subject: &mut Subject, act: Act) {
    let (name, edge) = (subject.name(), subject.case.edge);
    let there = match act {
        Request => "state IN ('pending', 'awaiting-approval')",
        Expire => "state IN ('armed', 'expired', 'in-doubt')",
        FirstDisarms => "disarm_by IS NOT NULL",
        Take => "state = 'sent'",
        Answer(500) => "state IN ('retrying', 'failed', 'armed')",
        _ => "state = 'accepted'",
    };
    cast.act(subject, act, &AtomicUsize::new(0));
    let found = |condition: &str| {
        let sql = format!("SELECT 1 FROM wipes WHERE device_id = '{name}' AND {condition}");
        !cast.sql.rows(&sql).is_empty()
    };
    let why = || format!("{edge} {act:?}\n{}", site.logs());
    wait::until("a step of the way to an edge", READY, || found(there).then_some(()), why);
    // Another try stands in the queue before the device comes for it.
    let issued = || (!found("command IS NULL AND state IN ('armed', 'retrying')")).then_some(());
    wait::until("the next try", READY, issued, || format!("{edge} {act:?}\n{}", site.logs()));
}

/// What holds whatever was killed: steps without gaps that the machine knows, no event told twice, and no more than one
/// command that wipes in a device's queue.
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
            "two commands of a wipe in a queue",
            "SELECT enrolment::text FROM commands_pending WHERE kind = 'wipe' GROUP BY 1 HAVING count(*) > 1",
        ),
    ] {
        let found = sql.rows(query);
        assert!(found.is_empty(), "{kill:?}: {what}: {found:?}");
    }
}
