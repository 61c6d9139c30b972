//! LAWMO as a server meets it, and its table.

use std::fs;

use postern_wire::terms::EnrolmentId;
use uuid::Uuid;

use super::{super::bench::Bench, super::*, machine::*, *};
use crate::state::Storage;

fn uri(operation: Operation) -> String {
    format!("./LAWMO/Operations/{}", operation.name())
}

fn bench() -> Bench {
    Bench::new(Providers::default())
}

/// Executes with a good order and gives the result code of the alert.
fn done(bench: &mut Bench, operation: Operation, number: u128) -> String {
    let order = bench.order(&uri(operation), number, |_| {});
    assert_eq!(bench.exec(&uri(operation), &order), Ok(Code::ACCEPTED));
    let ended = bench.ended();
    let [one] = ended.as_slice() else { panic!("{ended:?}") };
    assert_eq!(
        (one.source.as_str(), one.alert_type.as_str(), one.correlator.as_deref(), one.mark),
        (uri(operation).as_str(), "urn:oma:at:lawmo:1.0:OperationComplete", Some("c1"), Mark::Warning)
    );
    one.data.clone()
}

#[test]
fn every_state_and_operation_lead_where_the_table_says() {
    use LockState::{FullyLocked, PartiallyLocked, Unlocked};
    use Operation::{FactoryReset, FullyLock, PartiallyLock, UnLock, Wipe};
    let table = [
        (Unlocked, FullyLock, Ok(FullyLocked)),
        (Unlocked, PartiallyLock, Ok(PartiallyLocked)),
        (Unlocked, UnLock, Ok(Unlocked)),
        (Unlocked, FactoryReset, Ok(Unlocked)),
        (Unlocked, Wipe, Ok(Unlocked)),
        (PartiallyLocked, FullyLock, Ok(FullyLocked)),
        (PartiallyLocked, PartiallyLock, Ok(PartiallyLocked)),
        (PartiallyLocked, UnLock, Ok(Unlocked)),
        (PartiallyLocked, FactoryReset, Ok(PartiallyLocked)),
        (PartiallyLocked, Wipe, Ok(PartiallyLocked)),
        (FullyLocked, FullyLock, Ok(FullyLocked)),
        (FullyLocked, PartiallyLock, Err(1403)),
        (FullyLocked, UnLock, Ok(Unlocked)),
        (FullyLocked, FactoryReset, Ok(FullyLocked)),
        (FullyLocked, Wipe, Ok(FullyLocked)),
    ];
    for (state, operation, expected) in table {
        assert_eq!(transition(state, operation), expected, "{state:?} {operation:?}");
    }
}

#[test]
fn the_object_has_its_nodes_and_formats() {
    let mut bench = bench();
    for (uri, value) in [
        ("./LAWMO?prop=Type", "urn:oma:mo:oma-lawmo:1.0"),
        ("./LAWMO", "AvailableWipeList/Ext/LAWMOConfig/Operations/State"),
        ("./LAWMO/State", "30"),
        ("./LAWMO/State?prop=Format", "int"),
        ("./LAWMO/AvailableWipeList/Settings/ListItemName", "Settings"),
        ("./LAWMO/AvailableWipeList/Settings/ToBeWiped", "false"),
        ("./LAWMO/AvailableWipeList/Settings/ToBeWiped?prop=Format", "bool"),
        ("./LAWMO/LAWMOConfig/NotifyUser", "false"),
        ("./LAWMO/Operations", "FactoryReset/FullyLock/PartiallyLock/UnLock/Wipe"),
    ] {
        assert_eq!(bench.read(uri), Ok(value.into()), "{uri}");
    }
    assert_eq!(bench.replace("./LAWMO/State", "30"), Err(Code::NOT_ALLOWED));
    assert_eq!(bench.replace("./LAWMO/AvailableWipeList/Settings/ToBeWiped", "yes"), Err(Code::BAD_FORMAT));
    assert_eq!(bench.read("./LAWMO/Operations/Wipe"), Err(Code::NOT_ALLOWED));
    assert_eq!(bench.delete("./LAWMO"), Err(Code::NOT_ALLOWED));
}

#[test]
fn an_operation_changes_the_state_and_ends_with_its_result_code() {
    let mut bench = bench();
    for (number, (operation, result, state)) in (1..).zip([
        (Operation::PartiallyLock, "1200", "20"),
        (Operation::FullyLock, "1200", "10"),
        (Operation::PartiallyLock, "1403", "10"),
        (Operation::FactoryReset, "1200", "10"),
        (Operation::UnLock, "1200", "30"),
    ]) {
        assert_eq!(done(&mut bench, operation, number), result, "{operation:?}");
        assert_eq!(bench.read("./LAWMO/State"), Ok(state.into()), "{operation:?}");
    }
}

#[test]
fn nothing_is_done_without_a_good_order_for_this_very_operation() {
    let mut bench = bench();
    let lock = uri(Operation::FullyLock);
    let good = bench.order(&lock, 1, |_| {});
    let bad = [
        String::new(),
        "true".to_owned(),
        good.replace('a', "b"),
        bench.order(&uri(Operation::UnLock), 2, |_| {}),
        bench.order(&lock, 3, |order| order.generation += 1),
        bench.order(&lock, 4, |order| order.enrolment = EnrolmentId(Uuid::nil())),
        bench.order(&lock, 5, |order| order.expires = UtcMillis(1_000)),
        Bench::new(Providers::default()).order(&lock, 6, |_| {}),
    ];
    for data in bad {
        assert_eq!(bench.exec(&lock, &data), Err(Code::FORBIDDEN), "{data}");
    }
    assert_eq!(bench.events.len(), 8);
    assert_eq!(bench.ended(), []);
    assert_eq!(bench.read("./LAWMO/State"), Ok("30".into()));
    assert_eq!(bench.exec(&lock, &good), Ok(Code::ACCEPTED));
    assert_eq!(bench.exec(&lock, &good), Err(Code::FORBIDDEN), "an order works once");
}

#[test]
fn another_server_neither_locks_nor_marks_nor_changes_the_list() {
    let mut bench = bench().by("other");
    let order = bench.order(&uri(Operation::FullyLock), 1, |_| {});
    assert_eq!(bench.exec(&uri(Operation::FullyLock), &order), Err(Code::DENIED));
    assert_eq!(bench.replace("./LAWMO/AvailableWipeList/Settings/ToBeWiped", "true"), Err(Code::DENIED));
    assert_eq!(bench.replace("./LAWMO?prop=ACL", "Exec=*"), Err(Code::NOT_ALLOWED));
}

#[test]
fn a_wipe_takes_what_is_marked_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("kept"), "1").unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    fs::write(folder.path().join("sub/file"), "1").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(elsewhere.path(), folder.path().join("link")).unwrap();
    let data = WipeItem {
        name: "Data".into(),
        subtree: path(&["Data"]),
        memory: None,
        folder: Some(folder.path().to_owned()),
    };
    let mut bench = Bench::new(Providers::default().replacing(Lawmo::default().with_item(data)));
    bench.add("./Settings/a", "1").unwrap();
    bench.add("./Data/b", "1").unwrap();
    assert_eq!(done(&mut bench, Operation::Wipe, 1), "1406", "nothing is marked");

    bench.replace("./LAWMO/AvailableWipeList/Data/ToBeWiped", "true").unwrap();
    assert_eq!(done(&mut bench, Operation::Wipe, 2), "1201");
    assert_eq!(bench.read("./Data"), Err(Code::NOT_FOUND));
    assert_eq!(bench.read("./Settings/a"), Ok("1".into()));
    assert_eq!(bench.read("./LAWMO/AvailableWipeList/Data/ToBeWiped"), Ok("false".into()));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    assert!(elsewhere.path().join("kept").exists());
}

#[test]
fn a_factory_reset_forgets_everything_but_the_orders_obeyed_and_what_was_accepted() {
    let mut bench = bench();
    bench.add("./Settings/a", "1").unwrap();
    let reset = bench.order(&uri(Operation::FactoryReset), 1, |_| {});
    let lock = bench.order(&uri(Operation::FullyLock), 2, |_| {});
    bench.exec(&uri(Operation::FactoryReset), &reset).unwrap();
    bench.exec(&uri(Operation::FullyLock), &lock).unwrap();
    assert_eq!(bench.ended().into_iter().map(|one| one.data).collect::<Vec<_>>(), ["1200", "1200"]);
    assert_eq!(bench.read("./Settings"), Ok(String::new()));
    assert_eq!(bench.read("./LAWMO/State"), Ok("10".into()));
    assert_eq!(bench.exec(&uri(Operation::FactoryReset), &reset), Err(Code::FORBIDDEN));
    assert_eq!(bench.state.wipes().len(), 1);
}

#[test]
fn a_lock_that_kill_9_cuts_off_is_done_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::folder(folder.path()).unwrap();
    let mut bench = bench();
    let order = bench.order(&uri(Operation::FullyLock), 1, |_| {});
    bench.exec(&uri(Operation::FullyLock), &order).unwrap();
    storage.save(&bench.state).unwrap();
    bench.state = storage.load(bench.csp.plant(&bench.account, &Hardware::default()).unwrap()).unwrap();
    assert_eq!(bench.ended().len(), 1);
    storage.save(&bench.state).unwrap();
    bench.state = storage.load(bench.csp.plant(&bench.account, &Hardware::default()).unwrap()).unwrap();
    assert_eq!(bench.read("./LAWMO/State"), Ok("10".into()));
    assert_eq!(bench.exec(&uri(Operation::FullyLock), &order), Err(Code::FORBIDDEN));
}

#[test]
fn an_operation_whose_program_fails_changes_nothing_and_says_so() {
    let program = |name: &str| vec![name.to_owned()];
    let lawmo = Lawmo::default()
        .with_program(Operation::FullyLock, program("false"))
        .with_program(Operation::PartiallyLock, program("true"));
    let mut bench = Bench::new(Providers::default().replacing(lawmo));
    assert_eq!(done(&mut bench, Operation::FullyLock, 1), "1402");
    assert_eq!(bench.read("./LAWMO/State"), Ok("30".into()));
    assert_eq!(done(&mut bench, Operation::PartiallyLock, 2), "1200");
    assert_eq!(bench.read("./LAWMO/State"), Ok("20".into()));
}

#[test]
fn more_operations_than_can_wait_are_refused_with_their_orders_unspent() {
    let mut bench = bench();
    let orders: Vec<_> =
        (0..=WAITING as u128).map(|number| bench.order(&uri(Operation::UnLock), number, |_| {})).collect();
    let (last, first) = orders.split_last().unwrap();
    for order in first {
        assert_eq!(bench.exec(&uri(Operation::UnLock), order), Ok(Code::ACCEPTED));
    }
    assert_eq!(bench.exec(&uri(Operation::UnLock), last), Err(Code::FAILED));
    bench.ended();
    assert_eq!(bench.exec(&uri(Operation::UnLock), last), Ok(Code::ACCEPTED));
}
