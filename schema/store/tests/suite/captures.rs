//! Gateways in other hands, and the figures by which hiding is noticed.

use postern_store::{
    StoreError, WriteError,
    captures::{self, Progress},
    credentials, enrolments,
    enrolments::Seen,
    results::{self, ResultItem},
    schedules::{self, OfGateway, Overdue},
    sessions::{self, SessionRow},
};
use postern_wire::terms::{CommandId, DmSessionId, EnrolmentId, ProofClass, UtcMillis};

use super::{Ground, enrolment, fresh, now};

const GATEWAY: &str = "gw1";

fn session(id: EnrolmentId, gateway: &str, proof: ProofClass, at: UtcMillis) -> SessionRow {
    SessionRow {
        id: DmSessionId(fresh()),
        enrolment: id,
        session_id: "1".to_owned(),
        opened_at: at,
        closed_at: Some(at.plus(1)),
        outcome: Some("done".to_owned()),
        proof,
        dm_version: "1.2".to_owned(),
        source: None,
        gateway: Some(gateway.to_owned()),
        messages: 2,
        commands: 0,
    }
}

pub(crate) fn a_gateway_in_other_hands_is_declared_once_with_the_devices_that_it_carried(ground: &Ground) {
    let store = ground.open();
    let rows = [enrolment("IMEI:1"), enrolment("IMEI:2"), enrolment("IMEI:3")];
    let [one, two, three] = [rows[0].id, rows[1].id, rows[2].id];
    store.write_blocking(move |tx| enrolments::insert_many(tx, rows.to_vec())).expect("enrolled");
    let since = now();
    let at = move |ms| since.plus(ms);
    let held = [
        session(one, GATEWAY, ProofClass::Mac, at(1)),
        session(one, GATEWAY, ProofClass::Md5, at(2)),
        session(two, "gw2", ProofClass::Basic, at(1)),
        session(three, GATEWAY, ProofClass::Basic, at(-60_000)),
    ];
    store.write_blocking(move |tx| sessions::record(tx, &held.iter().collect::<Vec<_>>())).expect("recorded");
    let declare =
        || store.write_blocking(move |tx| captures::declare(tx, GATEWAY, since, "ada", "stolen", 2));

    let capture = declare().expect("declared");

    assert_eq!((capture.devices, capture.certificates), (1, 2));
    assert!(matches!(declare(), Err(WriteError::Rejected(StoreError::Conflict(_)))));
    let devices = store.read_blocking(|r| captures::devices(r, GATEWAY, None, 10)).expect("a read");
    assert_eq!(devices.len(), 1, "not the one that came before, not the one of another gateway");
    let device = devices[0].clone();
    assert_eq!((device.enrolment, device.proof, device.sessions), (one, ProofClass::Md5, 2));
    assert_eq!(store.read_blocking(captures::names).expect("a read"), [GATEWAY]);

    // What it reported is doubtful until it was read again.
    let item = ResultItem {
        command: CommandId(fresh()),
        position: 0,
        enrolment: one,
        source_uri: Some("./DevInfo/Mod".to_owned()),
        format: None,
        media_type: None,
        data: b"x".to_vec(),
        sealed: false,
        proof: ProofClass::Md5,
        at: at(1),
    };
    store.write_blocking(move |tx| results::insert(tx, std::slice::from_ref(&item))).expect("kept");
    let (from, until) = (capture.since, capture.declared_at);
    let reported = store.read_blocking(move |r| captures::reported(r, one, from, until, 10));
    assert_eq!(reported.expect("a read"), ["./DevInfo/Mod"]);
    let doubt = |proof| store.read_blocking(move |r| captures::doubt(r, one, proof, at(1))).expect("a read");
    assert_eq!(doubt(ProofClass::Md5).as_deref(), Some(GATEWAY));
    assert_eq!(doubt(ProofClass::Mac), None, "the gateway could change nothing of that");
    let row = device.clone();
    store
        .write_blocking(move |tx| captures::set_reading(tx, &row, Progress::Done, "read", None))
        .expect("kept");
    assert_eq!(doubt(ProofClass::Md5), None);

    // A new secret counts when it was proved, and that ends its rotation.
    store.write_blocking(move |tx| credentials::expect(tx, one, Some(vec![7]))).expect("kept");
    store
        .write_blocking(move |tx| captures::set_rotation(tx, &device, Progress::Ordered, "told", None))
        .expect("kept");
    store.write_blocking(move |tx| credentials::turn(tx, one)).expect("turned");
    let row = store.read_blocking(move |r| enrolments::get(r, one)).expect("a read");
    assert_eq!((row.credentials, row.next_credentials), (Some(vec![7]), None));
    let counts = store.read_blocking(|r| captures::counts(r, GATEWAY)).expect("a read");
    assert_eq!(counts, [(Progress::Done, Progress::Done, 1)]);
    assert!(store.read_blocking(|r| captures::open(r, None, 10)).expect("a read").is_empty());
    store.shutdown();
}

pub(crate) fn a_gateways_devices_are_counted_by_who_came_and_who_fell_silent(ground: &Ground) {
    const HOUR: i64 = 3_600_000;
    let store = ground.open();
    let now = now();
    // Seen so many hours ago through this gateway, under an interval of eight hours and a grace of one.
    let fleet = [(1, "gw1"), (7, "gw1"), (10, "gw1"), (20, "gw1"), (40, "gw1"), (2, "gw2"), (12, "gw2")];
    for (hours, gateway) in fleet {
        let row = enrolment(&format!("IMEI:{gateway}:{hours}"));
        let seen =
            Seen { id: row.id, at: now.plus(-hours * HOUR), source: None, gateway: Some(gateway.to_owned()) };
        store.write_blocking(move |tx| enrolments::insert(tx, row.clone())).expect("enrolled");
        store.write_blocking(move |tx| enrolments::seen(tx, std::slice::from_ref(&seen))).expect("seen");
    }
    let rule = Overdue { now, grace_ms: HOUR, default_s: 8 * 3600 };

    let found = store.read_blocking(move |r| schedules::by_gateway(r, rule, 24 * HOUR)).expect("a read");

    let of = |gateway: &str, seen, silent| OfGateway { gateway: gateway.to_owned(), seen, silent };
    assert_eq!(found, [of("gw1", 2, 2), of("gw2", 1, 1)], "who was silent before the window is old news");
    store.shutdown();
}
