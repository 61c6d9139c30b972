//! Alarms: one row while a trouble lasts, bounded, purged.

use postern_store::{
    Store,
    alarms::{self, Alarm, MOST_OF_A_KIND, OVERFLOW, Raised, Severity, Which},
};
use postern_wire::terms::UtcMillis;

use super::{Ground, now};

const KIND: &str = "gateway-lost";

fn raise(store: &Store, severity: Severity, subject: &str, text: &str) -> Raised {
    let (subject, text) = (subject.to_owned(), text.to_owned());
    store.write_blocking(move |tx| alarms::raise(tx, severity, KIND, &subject, &text)).expect("an answer")
}

fn clear(store: &Store, subject: &str) -> bool {
    let subject = subject.to_owned();
    store.write_blocking(move |tx| alarms::clear(tx, KIND, &subject, "it is back")).expect("an answer")
}

fn list(store: &Store, which: Which) -> Vec<Alarm> {
    store.read_blocking(move |r| alarms::list(r, which, None, None, 100)).expect("an answer")
}

pub(crate) fn an_alarm_is_one_row_while_it_lasts(ground: &Ground) {
    let store = ground.open();
    assert_eq!(raise(&store, Severity::Critical, "gateway:a", "first"), Raised::New);
    assert_eq!(raise(&store, Severity::Warning, "gateway:a", "then\0"), Raised::Again);
    assert_eq!(raise(&store, Severity::Warning, "gateway:b", "other"), Raised::New);
    let open = list(&store, Which::Open);
    assert_eq!(open.len(), 2);
    let a = open.iter().find(|alarm| alarm.subject == "gateway:a").expect("an alarm");
    assert_eq!((a.count, a.severity, a.text.as_str()), (2, Severity::Critical, "then\u{FFFD}"));
    assert!(a.last >= a.since);
    let counts = store.read_blocking(alarms::counts).expect("an answer");
    let of = |severity| counts.iter().find(|count| count.severity == severity).map(|count| count.open);
    assert_eq!(
        (of(Severity::Critical), of(Severity::Warning), of(Severity::Notice)),
        (Some(1), Some(1), None)
    );
}

pub(crate) fn an_alarm_that_is_over_may_come_back(ground: &Ground) {
    let store = ground.open();
    raise(&store, Severity::Warning, "x", "one");
    let id = list(&store, Which::Open)[0].id;
    let seen = store
        .write_blocking(move |tx| alarms::acknowledge(tx, id, "admin:a", Some("on it"), false))
        .expect("an answer");
    assert_eq!((seen.acknowledged_by.as_deref(), seen.cleared_at), (Some("admin:a"), None));
    assert_eq!(raise(&store, Severity::Warning, "x", "two"), Raised::Again);
    let again = list(&store, Which::Open).remove(0);
    assert_eq!((again.id, again.acknowledged_because.as_deref()), (id, Some("on it")));
    assert!(clear(&store, "x") && !clear(&store, "x"));
    let refused = store.write_blocking(move |tx| alarms::acknowledge(tx, id, "admin:a", None, false));
    assert!(refused.is_err());
    assert_eq!(raise(&store, Severity::Warning, "x", "three"), Raised::New);
    assert_eq!(
        (list(&store, Which::Open).len(), list(&store, Which::Cleared).len(), list(&store, Which::All).len()),
        (1, 1, 2)
    );
    let open = list(&store, Which::Open)[0].id;
    let closed = store
        .write_blocking(move |tx| alarms::acknowledge(tx, open, "admin:a", None, true))
        .expect("an answer");
    assert!(closed.cleared_at.is_some() && list(&store, Which::Open).is_empty());
}

pub(crate) fn a_flood_of_alarms_becomes_one(ground: &Ground) {
    let store = ground.open();
    let raised = store
        .write_blocking(|tx| {
            (0..MOST_OF_A_KIND + 20)
                .map(|n| alarms::raise(tx, Severity::Warning, KIND, &n.to_string(), "lost"))
                .collect::<Result<Vec<_>, _>>()
        })
        .expect("an answer");
    assert_eq!(raised.iter().filter(|one| **one == Raised::Overflow).count(), 20);
    let over =
        store.read_blocking(|r| alarms::open(r, OVERFLOW, KIND)).expect("an answer").expect("an alarm");
    assert_eq!(over.count, 20);
}

pub(crate) fn alarms_that_are_over_or_seen_are_purged_by_age(ground: &Ground) {
    let store = ground.open();
    for subject in ["over", "seen", "open"] {
        raise(&store, Severity::Warning, subject, "text");
    }
    clear(&store, "over");
    let seen =
        list(&store, Which::Open).into_iter().find(|alarm| alarm.subject == "seen").expect("an alarm").id;
    store.write_blocking(move |tx| alarms::acknowledge(tx, seen, "admin:a", None, false)).expect("an answer");
    let purge =
        |before: UtcMillis| store.write_blocking(move |tx| alarms::purge(tx, before, 10)).expect("an answer");
    assert_eq!(purge(now().plus(-60_000)), 0);
    assert_eq!(purge(now().plus(60_000)), 2);
    assert_eq!(list(&store, Which::All).len(), 1);
}

pub(crate) fn alarms_come_in_pages_the_newest_first(ground: &Ground) {
    let store = ground.open();
    for n in 0..5 {
        raise(&store, Severity::Notice, &n.to_string(), "text");
    }
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = store
            .read_blocking(move |r| alarms::list(r, Which::Open, Some(KIND), before, 2))
            .expect("an answer");
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        seen.extend(page.into_iter().map(|alarm| alarm.subject));
    }
    seen.sort();
    assert_eq!(seen, ["0", "1", "2", "3", "4"]);
}
