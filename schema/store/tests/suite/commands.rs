//! Commands, their timelines, results and operations.

use postern_store::{
    Store, StoreError, WriteError,
    commands::{self, Attempts, Command, Finish, Sending, Step},
    enrolments, operations, results, timeline,
};
use postern_wire::terms::{
    CommandId, CommandState, DmSessionId, EnrolmentId, Lane, OperationId, OperationKind, ProofClass,
    UtcMillis,
};

use super::{Ground, command, command_of, enrolment, fresh, now};

/// A store with one enrolled device.
fn with_device(ground: &Ground) -> (Store, EnrolmentId) {
    let store = ground.open();
    let device = enrolment("one");
    let id = device.id;
    store.write_blocking(move |tx| enrolments::insert(tx, device.clone())).expect("a device");
    (store, id)
}

fn queue(store: &Store, all: &[Command]) {
    let all = all.to_vec();
    store.write_blocking(move |tx| commands::insert(tx, all.clone())).expect("queued");
}

fn send(store: &Store, ids: &[CommandId]) -> Vec<CommandId> {
    let sending = Sending {
        ids: ids.to_vec(),
        session: DmSessionId(fresh()),
        cause: "session".to_owned(),
        reference: "1/2".to_owned(),
    };
    let mut sent = store.write_blocking(move |tx| commands::sending(tx, &sending)).expect("recorded");
    sent.sort();
    sent
}

fn end(id: CommandId, state: CommandState) -> Finish {
    Finish {
        id,
        state,
        status: Some(200),
        cause: "the device's Status".to_owned(),
        proof: Some(ProofClass::Md5),
        session: None,
    }
}

fn finish(store: &Store, ends: Vec<Finish>) -> Vec<CommandId> {
    store.write_blocking(move |tx| commands::finish(tx, &ends)).expect("finished")
}

fn pending(store: &Store, id: EnrolmentId) -> Vec<CommandId> {
    let rows = store.read_blocking(move |r| commands::pending_of(r, id, 100)).expect("a read");
    rows.into_iter().map(|command| command.id).collect()
}

fn counted(store: &Store, id: EnrolmentId) -> i64 {
    store.read_blocking(move |r| enrolments::get(r, id)).expect("a read").pending
}

pub(crate) fn pending_commands_come_in_sending_order(ground: &Ground) {
    let (store, device) = with_device(ground);
    let operation = OperationId(fresh());
    let of = |kind, lane| command_of(operation, device, kind, lane);
    let raw = of(OperationKind::Raw, Lane::Urgent);
    let policy_late = of(OperationKind::Policy, Lane::Background);
    let policy = of(OperationKind::Policy, Lane::Normal);
    let policy_second = of(OperationKind::Policy, Lane::Normal);
    let wipe = of(OperationKind::Wipe, Lane::Normal);

    queue(&store, &[raw.clone(), policy_late.clone(), policy.clone(), policy_second.clone(), wipe.clone()]);

    let expected = [wipe.id, policy.id, policy_second.id, policy_late.id, raw.id];
    assert_eq!(pending(&store, device), expected);
    store.shutdown();
}

pub(crate) fn a_finished_command_leaves_the_pending_table(ground: &Ground) {
    let (store, device) = with_device(ground);
    let first = command(device, OperationKind::Inventory);
    let second = command(device, OperationKind::Inventory);
    queue(&store, &[first.clone(), second.clone()]);
    send(&store, &[first.id, second.id]);
    let item = results::ResultItem {
        command: first.id,
        position: 0,
        enrolment: device,
        source_uri: Some("./DevInfo/Mod".to_owned()),
        format: Some("chr".to_owned()),
        media_type: None,
        data: b"Model 7".to_vec(),
        sealed: false,
        proof: ProofClass::Md5,
        at: now(),
    };

    let (ends, items) = (vec![end(first.id, CommandState::Succeeded)], vec![item.clone()]);
    store
        .write_blocking(move |tx| {
            results::insert(tx, &items)?;
            commands::finish(tx, &ends)
        })
        .expect("finished with its results");

    assert_eq!(pending(&store, device), vec![second.id]);
    let id = first.id;
    let done = store.read_blocking(move |r| commands::find(r, id)).expect("a read").expect("it is kept");
    assert_eq!((done.state, done.status, done.attempts), (CommandState::Succeeded, Some(200), 1));
    assert_eq!(store.read_blocking(move |r| results::of(r, id)), Ok(vec![item]));
    let finished = store.read_blocking(move |r| commands::finished_of(r, device, None, 10)).expect("a read");
    assert_eq!(finished, vec![done]);
    store.shutdown();
}

pub(crate) fn the_count_of_pending_commands_follows_the_table(ground: &Ground) {
    let (store, device) = with_device(ground);
    let all: Vec<Command> = (0..5).map(|_| command(device, OperationKind::Policy)).collect();
    queue(&store, &all);
    assert_eq!(counted(&store, device), 5);

    finish(&store, vec![end(all[0].id, CommandState::Succeeded), end(all[3].id, CommandState::Failed)]);
    assert_eq!(counted(&store, device), 3);
    let refused = store.write_blocking(move |tx| enrolments::retire(tx, device, "gone"));
    assert!(matches!(refused, Err(WriteError::Rejected(StoreError::Refused(_)))), "commands are pending");

    finish(&store, [1, 2, 4].map(|n| end(all[n].id, CommandState::Cancelled)).to_vec());
    assert_eq!(counted(&store, device), 0);
    assert_eq!(store.read_blocking(commands::backlog), Ok((None, 0)));
    store.shutdown();
}

pub(crate) fn a_command_is_finished_once(ground: &Ground) {
    let (store, device) = with_device(ground);
    let one = command(device, OperationKind::Policy);
    queue(&store, std::slice::from_ref(&one));

    let first = finish(&store, vec![end(one.id, CommandState::Cancelled)]);
    let second = finish(&store, vec![end(one.id, CommandState::Succeeded)]);

    assert_eq!((first, second), (vec![one.id], vec![]));
    let id = one.id;
    let row = store.read_blocking(move |r| commands::find(r, id)).expect("a read").expect("kept");
    assert_eq!(row.state, CommandState::Cancelled);
    assert_eq!(counted(&store, device), 0);
    let open = store.write_blocking(move |tx| commands::finish(tx, &[end(id, CommandState::Sent)]));
    assert!(matches!(open, Err(WriteError::Rejected(StoreError::Refused(_)))), "sent is not an end");
    store.shutdown();
}

pub(crate) fn a_cancelled_command_is_not_sent(ground: &Ground) {
    let (store, device) = with_device(ground);
    let (one, two) = (command(device, OperationKind::Policy), command(device, OperationKind::Policy));
    queue(&store, &[one.clone(), two.clone()]);
    finish(&store, vec![end(one.id, CommandState::Cancelled)]);

    assert_eq!(send(&store, &[one.id, two.id]), vec![two.id]);
    store.shutdown();
}

pub(crate) fn the_timeline_tells_every_step(ground: &Ground) {
    let (store, device) = with_device(ground);
    let one = command(device, OperationKind::Policy);
    let id = one.id;
    queue(&store, &[one]);
    send(&store, &[id]);
    store.write_blocking(move |tx| commands::requeue(tx, &[id], "no answer")).expect("requeued");
    send(&store, &[id]);
    finish(&store, vec![end(id, CommandState::Succeeded)]);

    let line = store.read_blocking(move |r| timeline::of(r, id)).expect("a read");

    let steps: Vec<_> = line.iter().map(|e| (e.revision, e.state, e.cause.as_str())).collect();
    let expected = [
        (1, CommandState::Queued, "queued by a test"),
        (2, CommandState::Sent, "session"),
        (3, CommandState::Queued, "no answer"),
        (4, CommandState::Sent, "session"),
        (5, CommandState::Succeeded, "the device's Status"),
    ];
    assert_eq!(steps, expected);
    let row = store.read_blocking(move |r| commands::find(r, id)).expect("a read").expect("kept");
    assert_eq!((row.revision, row.attempts), (5, 2));
    store.shutdown();
}

pub(crate) fn a_command_in_doubt_is_resolved_once(ground: &Ground) {
    let (store, device) = with_device(ground);
    let one = command(device, OperationKind::Raw);
    let id = one.id;
    queue(&store, &[one]);
    send(&store, &[id]);
    finish(&store, vec![end(id, CommandState::InDoubt)]);

    let first = store.write_blocking(move |tx| commands::resolve(tx, &end(id, CommandState::Succeeded)));
    let second = store.write_blocking(move |tx| commands::resolve(tx, &end(id, CommandState::Failed)));

    assert_eq!(first, Ok(()));
    assert!(matches!(second, Err(WriteError::Rejected(StoreError::Refused(_)))));
    let line = store.read_blocking(move |r| timeline::of(r, id)).expect("a read");
    assert_eq!(line.last().map(|e| e.state), Some(CommandState::Succeeded));
    store.shutdown();
}

pub(crate) fn finished_rows_are_purged_by_age(ground: &Ground) {
    let (store, device) = with_device(ground);
    let all: Vec<Command> = (0..6).map(|_| command(device, OperationKind::Policy)).collect();
    queue(&store, &all);
    finish(&store, all[..5].iter().map(|c| end(c.id, CommandState::Succeeded)).collect());
    let later = now().plus(60_000);

    let none = store.write_blocking(|tx| commands::purge(tx, UtcMillis(0), 100));
    let some = store.write_blocking(move |tx| commands::purge(tx, later, 3));
    let rest = store.write_blocking(move |tx| commands::purge(tx, later, 100));

    assert_eq!((none, some, rest), (Ok(0), Ok(3), Ok(2)));
    assert_eq!(pending(&store, device), vec![all[5].id], "pending commands stay");
    let id = all[0].id;
    assert_eq!(store.read_blocking(move |r| timeline::of(r, id)), Ok(vec![]));
    store.shutdown();
}

pub(crate) fn an_operation_rolls_up_its_commands(ground: &Ground) {
    let (store, device) = with_device(ground);
    let operation = operations::Operation {
        id: OperationId(fresh()),
        kind: OperationKind::Raw,
        lane: Lane::Normal,
        actor: "admin:ada".to_owned(),
        reason: "a test".to_owned(),
        detail: "{}".to_owned(),
        created_at: now(),
        deadline: None,
        devices: 1,
        commands: 3,
    };
    let id = operation.id;
    let all: Vec<Command> =
        (0..3).map(|_| command_of(id, device, OperationKind::Raw, Lane::Normal)).collect();
    let row = operation.clone();
    store.write_blocking(move |tx| operations::insert(tx, row.clone())).expect("an operation");
    queue(&store, &all);
    send(&store, &[all[1].id]);
    finish(&store, vec![end(all[2].id, CommandState::Failed)]);

    let rollup = store.read_blocking(move |r| operations::rollup(r, id)).expect("a read");

    let expected = [(CommandState::Queued, 1), (CommandState::Sent, 1), (CommandState::Failed, 1)];
    assert_eq!((rollup.states.as_slice(), rollup.open()), (&expected[..], 2));
    assert_eq!(store.read_blocking(move |r| operations::find(r, id)), Ok(Some(operation)));
    let listed = store.read_blocking(move |r| commands::of_operation(r, id, None, 10)).expect("a read");
    assert_eq!(listed.iter().map(|c| c.id).collect::<Vec<_>>(), all.iter().map(|c| c.id).collect::<Vec<_>>());
    store.shutdown();
}

pub(crate) fn a_command_for_nobody_is_refused(ground: &Ground) {
    let (store, _) = with_device(ground);
    let stray = command(EnrolmentId(fresh()), OperationKind::Policy);
    let id = stray.id;

    let refused = store.write_blocking(move |tx| commands::insert(tx, vec![stray.clone()]));

    assert!(matches!(refused, Err(WriteError::Rejected(_))), "{refused:?}");
    assert_eq!(store.read_blocking(move |r| commands::find(r, id)), Ok(None));
    store.shutdown();
}

pub(crate) fn a_step_keeps_a_command_pending(ground: &Ground) {
    let (store, device) = with_device(ground);
    let one = command(device, OperationKind::Raw);
    let id = one.id;
    queue(&store, &[one]);
    send(&store, &[id]);
    let step = move |state, attempts| Step {
        id,
        state,
        cause: "a probe".to_owned(),
        session: None,
        attempts,
        accepted_at: Some(now()),
    };

    let sent = step(CommandState::Sent, Attempts::Same);
    store.write_blocking(move |tx| commands::step(tx, &sent)).expect("still sent");
    let queued = step(CommandState::Queued, Attempts::OneLess);
    store.write_blocking(move |tx| commands::step(tx, &queued)).expect("queued again");
    let ended = step(CommandState::Succeeded, Attempts::Same);
    let refused = store.write_blocking(move |tx| commands::step(tx, &ended));

    let row = store.read_blocking(move |r| commands::find(r, id)).expect("a read").expect("pending");
    assert_eq!((row.state, row.attempts, row.revision), (CommandState::Queued, 0, 4));
    assert!(row.accepted_at.is_some() && row.reference.as_deref() == Some("1/2"));
    assert!(matches!(refused, Err(WriteError::Rejected(StoreError::Refused(_)))));
    finish(&store, vec![end(id, CommandState::Cancelled)]);
    let late = step(CommandState::Queued, Attempts::Same);
    let gone = store.write_blocking(move |tx| commands::step(tx, &late));
    assert!(matches!(gone, Err(WriteError::Rejected(StoreError::Conflict(_)))));
    store.shutdown();
}
