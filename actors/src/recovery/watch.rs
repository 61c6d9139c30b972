//! The supervisor's timers: what is due is ordered, what was ordered is followed.

use std::{sync::Arc, time::Duration};

use postern_engine::{
    queue::Body,
    recovery::{self as rules, Event, State, Step},
};
use postern_store::{
    Reader, StoreError, Tx, WriteError, commands,
    enrolments::{self, Enrolment},
    operations,
    recovery::{self as table, Device, Key},
};
use postern_wire::{
    order::{self, uri_with_content},
    recovery::{ESCROW_KEY, KeyChain, LINKS_LIMIT},
    route::RouteId,
    terms::{CommandState, EnrolmentId, EnrolmentState, Lane, OperationId, OperationKind, UtcMillis},
};

use super::{
    Recovery,
    rows::{self, SERVICE},
};
use crate::{AuditActor, Order, Settings, SubmitError, enrolment::OrderSigner, orders::submit};

/// How often what is due or under way is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Looks between two searches for devices that have no row yet.
const SEARCH: u32 = 600;
/// Devices that are looked at together.
const PAGE: i64 = 200;
/// Devices that one look gives orders to, so that a renewal of all does not fill the writer's queue.
const AT_ONCE: usize = 2_000;
/// Commands of an order that are read back.
const COMMANDS: i64 = 2;

/// Runs until it is dropped.
pub(super) async fn run(recovery: Recovery) {
    let mut timer = tokio::time::interval(LOOK);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut looks = 0_u32;
    loop {
        timer.tick().await;
        if let Err(error) = look(&recovery, looks.is_multiple_of(SEARCH)).await {
            tracing::warn!(%error, "the recovery supervisor put something off");
        }
        looks = looks.wrapping_add(1);
    }
}

/// Looks once at everything.
pub(super) async fn look(recovery: &Recovery, search: bool) -> Result<(), WriteError> {
    if search {
        pages(recovery, table::unknown, |tx, id, _| rows::await_first(tx, id).map(|()| None)).await?;
    }
    pages(recovery, table::ordered, follow).await?;
    while behind(recovery).await? {}
    if !recovery.inner.devices.clock_is_steady() {
        return Ok(());
    }
    let now = recovery.shared().now();
    pages(recovery, move |r, after, limit| table::due(r, now, after, limit), look_at).await
}

/// Goes through the devices that `find` gives, a page in a transaction. Tells those that were given an order.
async fn pages<F, W>(recovery: &Recovery, find: F, work: W) -> Result<(), WriteError>
where
    F: Fn(&mut Reader, Option<EnrolmentId>, i64) -> Result<Vec<EnrolmentId>, StoreError>
        + Copy
        + Send
        + 'static,
    W: Fn(&mut Tx, EnrolmentId, &Room) -> Result<Option<RouteId>, StoreError> + Copy + Send + 'static,
{
    let shared = recovery.shared();
    let (mut after, mut ordered) = (None, 0);
    loop {
        let from = after;
        let page = shared.store.look_up(move |r| find(r, from, PAGE)).await;
        let page = match page {
            Ok(page) => page,
            Err(error) => {
                tracing::debug!(%error, "the recovery supervisor looks again later");
                return Ok(());
            }
        };
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(*last);
        let full = i64::try_from(page.len()) == Ok(PAGE);
        let room = Room { settings: shared.settings.clone(), signer: Arc::clone(&recovery.inner.signer) };
        let told = shared.store.write(move |tx| {
            let mut told = Vec::new();
            for id in &page {
                told.extend(work(tx, *id, &room)?.map(|route| (*id, route)));
            }
            Ok(told)
        });
        let told = told.await?;
        ordered += told.len();
        for (_, route) in &told {
            recovery.inner.devices.changed(*route);
        }
        if !full || ordered >= AT_ONCE {
            return Ok(());
        }
    }
}

/// What orders are made with.
struct Room {
    settings: Settings,
    signer: Arc<dyn OrderSigner>,
}

/// Makes those due that sealed to a key of before, or that have not renewed since all were to; whether there may be more.
async fn behind(recovery: &Recovery) -> Result<bool, WriteError> {
    const UNDER_WAY: [&str; 3] = [State::Due.as_str(), State::Ordered.as_str(), State::Unable.as_str()];
    const AT_REST: [&str; 2] = [State::Held.as_str(), State::Awaited.as_str()];
    let page = recovery.shared().store.look_up(|r| {
        let mut found = Vec::new();
        if let Some(key) = table::current_key(r)? {
            let elsewhere = table::sealed_elsewhere(r, &key.id, &UNDER_WAY, PAGE)?;
            found.extend(elsewhere.into_iter().map(|device| (device.enrolment, Event::KeyChanged)));
        }
        let behind = table::not_renewed(r, &AT_REST, PAGE)?;
        found.extend(behind.into_iter().map(|device| (device.enrolment, Event::Wanted)));
        Ok(found)
    });
    let Ok(page) = page.await else { return Ok(false) };
    if page.is_empty() {
        return Ok(false);
    }
    let written = recovery.shared().store.write(move |tx| {
        let now = tx.now();
        for (id, event) in &page {
            let cause = match event {
                Event::KeyChanged => "another escrow key is in use",
                _ => "every device is to renew",
            };
            let _refused = rows::happen(tx, *id, *event, cause, Some(now))?;
        }
        Ok(())
    });
    written.await?;
    Ok(true)
}

/// A device whose time has come.
fn look_at(tx: &mut Tx, id: EnrolmentId, room: &Room) -> Result<Option<RouteId>, StoreError> {
    let (Some(row), Some(device)) = (enrolments::find(tx, id)?, table::find(tx, id)?) else {
        return Ok(None);
    };
    let live = matches!(row.state, EnrolmentState::New | EnrolmentState::Managed);
    if !live || device.generation != row.generation {
        return table::put(tx, Device { due_at: None, ..device }).map(|()| None);
    }
    let keys = table::keys(tx)?;
    let Some(newest) = keys.last() else {
        return table::put(tx, Device { due_at: None, ..device }).map(|()| None);
    };
    let has_key = device.key.as_deref() == Some(newest.id.as_str());
    // A device that never said which key it has is told once, and asked from then on.
    let told = device.key.is_none() && device.tries > 0;
    let commands = match rules::step(rows::parse(&device)?, Event::Look { has_key: has_key || told }) {
        Ok(Step::AskNew) => rules::ask_new(),
        Ok(Step::TellKey) => match key_order(tx, &row, &device, &keys, room)? {
            Some(commands) => commands,
            None => return later(tx, device, "the order key cannot sign").map(|()| None),
        },
        Ok(Step::Keep | Step::Become(_)) | Err(_) => {
            return table::put(tx, Device { due_at: None, ..device }).map(|()| None);
        }
    };
    let now = tx.now();
    match submit_one(tx, id, commands, now.plus(rules::ORDERED_MS), room)? {
        Err(why) => later(tx, device, &why).map(|()| None),
        Ok(operation) => {
            let cause = device.cause.clone();
            let device = Device {
                operation: Some(operation),
                due_at: Some(now.plus(rules::ORDERED_MS)),
                tries: device.tries + 1,
                ..device
            };
            rows::put(tx, device, State::Ordered, &cause)?;
            Ok(Some(RouteId::from_bytes(row.route)))
        }
    }
}

fn later(tx: &mut Tx, device: Device, why: &str) -> Result<(), StoreError> {
    let due_at = Some(rules::again_at(tx.now(), 0));
    table::put(tx, Device { due_at, cause: why.to_owned(), ..device })
}

/// The order that brings a device from the key that it has to the one in use.
fn key_order(
    tx: &mut Tx,
    row: &Enrolment,
    device: &Device,
    keys: &[Key],
    room: &Room,
) -> Result<Option<Vec<Body>>, StoreError> {
    let has = device.key.as_ref().and_then(|id| keys.iter().position(|key| key.id == *id));
    let at = has.unwrap_or_else(|| keys.len().saturating_sub(LINKS_LIMIT + 1));
    let Some(first) = keys.get(at) else { return Ok(None) };
    let first = first.key().map_err(|error| StoreError::Damaged(error.to_string()))?;
    let changes: Vec<String> =
        keys[at + 1..].iter().filter_map(|key| key.change.clone()).take(LINKS_LIMIT).collect();
    let chain = KeyChain::text(&first, &changes);
    let order = order::Order {
        v: order::VERSION,
        enrolment: row.id,
        generation: u32::try_from(row.generation).unwrap_or(u32::MAX),
        uri: uri_with_content(ESCROW_KEY, chain.as_bytes()),
        expires: tx.now().plus(rules::ORDERED_MS),
        order: OperationId(tx.fresh_id()),
    };
    let sealed = order.seal(|octets| room.signer.sign(octets));
    Ok(sealed.ok().map(|order| rules::tell_key(&format!("{order}\n{chain}"))))
}

/// A device whose order is under way.
fn follow(tx: &mut Tx, id: EnrolmentId, _: &Room) -> Result<Option<RouteId>, StoreError> {
    let Some(device) = table::find(tx, id)? else { return Ok(None) };
    let Some(operation) = device.operation else { return Ok(None) };
    let rollup = operations::rollup(tx, operation)?;
    if rollup.open() > 0 {
        return Ok(None);
    }
    let now = tx.now();
    if rollup.of(CommandState::Succeeded) > 0 {
        if table::current_key(tx)?.is_some_and(|key| key.made_at >= device.since) {
            // It obeyed an order that told the key before.
            let device = Device { operation: None, due_at: Some(now), ..device };
            return rows::put(tx, device, State::Due, "another escrow key is in use").map(|()| None);
        }
        // What it made comes with its next message, or is asked for again.
        let due_at = Some(now.plus(rules::AWAITED_MS));
        return table::put(tx, Device { operation: None, due_at, ..device }).map(|()| None);
    }
    let status =
        commands::of_operation(tx, operation, None, COMMANDS)?.into_iter().find_map(|one| one.status);
    let unknown_node = status.is_some_and(rules::is_unknown_node);
    if let Ok(Step::Become(next)) = rules::step(rows::parse(&device)?, Event::Refused { unknown_node }) {
        let cause = status.map_or_else(
            || "the order ended without an answer".to_owned(),
            |status| format!("the device answered {status}"),
        );
        let due_at = (next == State::Due).then(|| rules::again_at(now, device.tries));
        rows::put(tx, Device { operation: None, due_at, ..device }, next, &cause)?;
    }
    Ok(None)
}

fn submit_one(
    tx: &mut Tx,
    id: EnrolmentId,
    commands: Vec<Body>,
    deadline: UtcMillis,
    room: &Room,
) -> Result<Result<OperationId, String>, StoreError> {
    let order = Order {
        targets: vec![id],
        kind: OperationKind::Recovery,
        commands,
        ordered: false,
        lane: Lane::Normal,
        deadline: Some(deadline),
        actor: AuditActor::service(SERVICE),
        reason: "recovery password".to_owned(),
        idempotency: None,
    };
    let taken = submit::within(tx, &order, room.settings.pending_cap, &room.settings.session.profiles)?;
    Ok(taken.map_err(|refused: SubmitError| refused.to_string()))
}
