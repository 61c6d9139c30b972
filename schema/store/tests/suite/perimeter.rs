//! Gateways, the lists that they hold, what they refused.

use postern_store::{
    gateways::{self, Ack, NewSettings},
    lists::{self, Change, Delta, List},
    refusals,
};
use postern_wire::terms::UtcMillis;

use super::{Ground, fresh, now};

pub(crate) fn settings_have_versions_and_a_rejected_one_leaves_the_last_in_force(ground: &Ground) {
    let store = ground.open();
    store.write_blocking(|tx| gateways::put(tx, "gw1", "192.0.2.7:8443")).expect("a gateway");
    let add = |text: &'static str| {
        let new = NewSettings { document: text.to_owned(), sha256: [1; 32], ..NewSettings::default() };
        store.write_blocking(move |tx| gateways::add_settings(tx, "gw1", &new, "ada"))
    };
    let ack = |version: i64, ok: bool| {
        let reason = (!ok).then(|| "unknown key".to_owned());
        let ack = Ack { gateway: "gw1".into(), kind: "settings".into(), version, ok, reason, at: now() };
        store.write_blocking(move |tx| gateways::acknowledge(tx, ack.clone())).expect("kept");
    };

    assert_eq!((add("{1}"), add("{2}")), (Ok(1), Ok(2)));
    ack(1, true);
    ack(2, false);

    let row = store.read_blocking(|r| gateways::find(r, "gw1")).expect("a read").expect("gw1");
    assert_eq!((row.settings_wanted, row.settings_in_force), (2, 1));
    assert_eq!(row.settings_rejected.as_deref(), Some("2: unknown key"));
    let newest =
        store.read_blocking(|r| gateways::settings(r, "gw1", None)).expect("a read").expect("version 2");
    assert_eq!((newest.version, newest.document.as_str()), (2, "{2}"));
    assert_eq!((newest.state.as_str(), newest.answer.as_deref()), ("rejected", Some("unknown key")));
    store.write_blocking(|tx| gateways::settings_good(tx, "gw1", 1)).expect("kept");
    store.write_blocking(|tx| gateways::want_settings(tx, "gw1", 1)).expect("kept");
    ack(1, true);
    let first =
        store.read_blocking(|r| gateways::settings(r, "gw1", Some(1))).expect("a read").expect("version 1");
    assert_eq!(first.state, "good", "what proved good stays so when it is acknowledged again");
    assert_eq!(add("{3}"), Ok(3), "a version that fell keeps its number");
    let boot = fresh();
    store.write_blocking(move |tx| gateways::heartbeat(tx, "gw1", boot, "{}")).expect("kept");
    let moved = store.write_blocking(|tx| gateways::put(tx, "gw1", "192.0.2.8:8443")).expect("moved");
    assert_eq!((moved.settings_in_force, moved.boot), (1, Some(boot)), "what it acknowledged stays");
    store.shutdown();
}

pub(crate) fn a_list_is_told_as_a_delta_or_in_full(ground: &Ground) {
    let store = ground.open();
    let add = |entry: &str| Change::Add { entry: entry.to_owned(), verdict: "refuse".to_owned() };
    let remove = |entry: &str| Change::Remove { entry: entry.to_owned() };
    let change = |changes: Vec<Change>| {
        store.write_blocking(move |tx| lists::change(tx, List::Blocked, &changes)).expect("a version")
    };
    let since =
        |version| store.read_blocking(move |r| lists::since(r, List::Blocked, version, 100)).expect("a read");
    let refuse = |entry: &str| (entry.to_owned(), "refuse".to_owned());

    assert_eq!(change(vec![add("a"), add("b")]), 1);
    assert_eq!(change(vec![add("c"), remove("a")]), 2);
    assert_eq!(change(vec![add("a"), remove("zzz")]), 3);
    assert_eq!(change(vec![]), 3, "nothing to change keeps the version");

    assert_eq!(since(3), Delta { version: 3, ..Delta::default() });
    let delta =
        Delta { version: 3, full: false, add: vec![refuse("a"), refuse("c")], remove: vec!["zzz".into()] };
    assert_eq!(since(1), delta);
    let full =
        Delta { version: 3, full: true, add: vec![refuse("a"), refuse("b"), refuse("c")], remove: vec![] };
    assert_eq!(since(0), full);
    assert_eq!(since(99), full, "a version from the future is told all");
    let capped = store.read_blocking(|r| lists::since(r, List::Blocked, 1, 1)).expect("a read");
    assert_eq!(capped, full, "more changes than the limit are told in full");
    store.write_blocking(|tx| lists::forget(tx, List::Blocked, 2)).expect("forgotten");
    assert_eq!(since(1), full, "so are forgotten ones");
    assert!(!since(2).full);
    assert_eq!(
        store.read_blocking(|r| lists::version(r, List::Routes)),
        Ok(0),
        "the other list is untouched"
    );
    store.shutdown();
}

pub(crate) fn refusals_are_bounded_for_each_subject(ground: &Ground) {
    let store = ground.open();
    let one = |subject: &str, n: i64| refusals::Refusal {
        id: fresh(),
        enrolment: None,
        subject: subject.to_owned(),
        gateway: "gw1".to_owned(),
        reason: "unknown-route".to_owned(),
        serial: None,
        route: None,
        source: "198.51.100.1".to_owned(),
        count: 1,
        at: UtcMillis(n),
    };
    let many: Vec<_> = (0..120).map(|n| one("scanner", n)).chain([one("quiet", 1)]).collect();

    store.write_blocking(move |tx| refusals::record(tx, many.clone())).expect("kept");

    let kept = store.read_blocking(|r| refusals::of(r, "scanner", 1000)).expect("a read");
    assert_eq!(i64::try_from(kept.len()), Ok(refusals::KEEP_EACH));
    assert_eq!(kept.first().map(|r| r.at), Some(UtcMillis(119)), "the newest stay");
    assert_eq!(store.read_blocking(|r| refusals::of(r, "quiet", 10)).map(|rows| rows.len()), Ok(1));
    store.shutdown();
}
