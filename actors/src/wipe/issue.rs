//! A try of a wipe put into its device's queue: planned for the device as it is now, signed where the device wants that,
//! marked, and first in the queue.

use postern_engine::wipe::{ListedItem, Model, Way};
use postern_store::{
    Sealer, StoreError, Tx, approvals, commands,
    destructive::{self, DestructiveAct},
    enrolments::{self, Enrolment},
    facts,
    wipes::Wipe,
};
use postern_wire::{
    order,
    route::RouteId,
    terms::{AuthType, EnrolmentState, Lane, OperationId, OperationKind, UtcMillis},
};

use super::{
    ask::class,
    moves::{After, Said, note},
    seal,
    tell::SERVICE,
};
use crate::{
    AuditActor, Order, Settings,
    enrolment::OrderSigner,
    orders::submit,
    safety::{self, Admission},
};

/// An order of a wipe that does not expire, or is armed, is good for so long, in milliseconds: ten years.
const FOR_EVER_MS: i64 = 10 * 365 * 86_400_000;
/// A device that could not be given the command is tried again after so long, in milliseconds.
const AGAIN_MS: i64 = 30_000;
/// How soon a device whose wipe waits is asked to come again, in milliseconds; a quarter of the time that it has waited, from this
/// on.
const WAKE_MS: i64 = 60_000;
/// And at least so often, in milliseconds: every six hours.
const WAKE_LATEST_MS: i64 = 6 * 3_600_000;
/// Commands of one try.
const COMMANDS: i64 = 128;
/// Where the manufacturer stands among what a device says of itself.
const MANUFACTURER: &str = "./DevInfo/Man";

/// What a try is made with.
pub(super) struct Tools<'a> {
    pub(super) signer: &'a dyn OrderSigner,
    pub(super) sealer: &'a Sealer,
    pub(super) settings: &'a Settings,
}

/// What is known of the device that a wipe needs.
pub(super) fn model(tx: &mut Tx, row: &Enrolment) -> Result<Model, StoreError> {
    let facts = facts::of(tx, row.id)?;
    let man = facts.iter().find(|fact| fact.key == MANUFACTURER).map(|fact| fact.value.as_str());
    // Only our own device signs its messages.
    let ours = postern_engine::schedule::can(row.dialect, man) || row.auth == AuthType::Signed;
    let mut items: Vec<ListedItem> = Vec::new();
    for item in facts.iter().filter_map(|fact| ListedItem::of_uri(&fact.key)) {
        if !items.contains(&item) {
            items.push(item);
        }
    }
    Ok(Model { dialect: row.dialect, ours, items })
}

/// Issues the next try of a wipe that waits. The wipe as it stands then, and whom to tell.
///
/// `admission` is what let the first try pass; a later one goes by what let the one before pass.
pub(super) fn issue(
    tx: &mut Tx,
    tools: &Tools<'_>,
    wipe: Wipe,
    admission: Option<Admission>,
) -> Result<(Wipe, After), StoreError> {
    let now = tx.now();
    let service = AuditActor::service(SERVICE);
    let put_off = |tx: &mut Tx, wipe: Wipe, why: String| {
        let row = Wipe { next_at: Some(now.plus(AGAIN_MS)), cause: why.clone(), ..wipe };
        Ok((note(tx, row, "put-off", &service, &Said::because(why))?, After::default()))
    };
    if !seal::wipe_holds(tools.sealer, &wipe) {
        tracing::error!(wipe = %wipe.id, "nobody asked for this wipe here: its row was written by somebody else");
        let row = Wipe { next_at: None, cause: "its row bears no mark of this server".to_owned(), ..wipe };
        let said = Said::because(row.cause.clone());
        return Ok((note(tx, row, "no-mark", &service, &said)?, After::default()));
    }
    let live = enrolments::find(tx, wipe.enrolment)?
        .filter(|row| row.generation == wipe.generation && row.state != EnrolmentState::Retired);
    let Some(row) = live else {
        return put_off(tx, wipe, "its enrolment is not there".to_owned());
    };
    let Some(way) = Way::parse(&wipe.way) else {
        return Err(StoreError::Damaged(format!("the wipe {} has the way {:?}", wipe.id, wipe.way)));
    };
    let model = model(tx, &row)?;
    let text = match way.is_signed(model.ours) {
        true => match signed(tx, tools.signer, &wipe, way) {
            Ok(text) => Some(text),
            Err(why) => return put_off(tx, wipe, format!("the order key: {why}")),
        },
        false => None,
    };
    let order = Order {
        targets: vec![wipe.enrolment],
        kind: OperationKind::Wipe,
        commands: way.commands(&model.items, text.as_deref()),
        ordered: true,
        lane: Lane::Urgent,
        deadline: None,
        actor: service.clone(),
        reason: format!("wipe {}", wipe.id),
        idempotency: None,
    };
    let settings = tools.settings;
    let operation = match submit::within(tx, &order, settings.pending_cap, &settings.session.profiles)? {
        Ok(operation) => operation,
        Err(refused) => return put_off(tx, wipe, refused.to_string()),
    };
    let_pass(tx, &wipe, operation, admission)?;
    let mut main = None;
    for command in commands::of_operation(tx, operation, None, COMMANDS)? {
        commands::set_mac(tx, command.id, &seal::of_command(tools.sealer, &command)?)?;
        if main.is_none_or(|(position, _)| command.position >= position) {
            main = Some((command.position, command.id));
        }
    }
    let tries = wipe.tries + 1;
    let again = if tries > 1 { format!("try {tries}") } else { "the first try".to_owned() };
    let row = Wipe {
        operation: Some(operation),
        command: main.map(|(_, id)| id),
        tries,
        accepted_at: None,
        next_at: Some(wakes_at(&wipe, now)),
        cause: format!("{again} waits for the device"),
        ..wipe
    };
    let row = note(tx, row, "issue", &service, &Said::because(again))?;
    let route = RouteId::from_bytes(row.route);
    Ok((row.clone(), After { routes: vec![route], wakes: vec![row.enrolment], ..After::default() }))
}

/// Binds the operation of a try to what let the wipe pass: what nobody admitted is never sent.
fn let_pass(
    tx: &mut Tx,
    wipe: &Wipe,
    operation: OperationId,
    admission: Option<Admission>,
) -> Result<(), StoreError> {
    if let Some(admission) = admission {
        return admission.bind(tx, Some(wipe.enrolment), operation);
    }
    let before = match wipe.operation {
        Some(before) => destructive::of_operation(tx, before, wipe.enrolment)?,
        None => None,
    };
    if let Some(act) = before {
        return Admission(act.admission).bind(tx, Some(wipe.enrolment), operation);
    }
    let approval = match wipe.approval {
        Some(id) => approvals::find(tx, id)?,
        None => None,
    };
    if let Some(approval) = approval {
        let target = (wipe.enrolment, wipe.generation);
        let admission = safety::admit_approved(tx, class(wipe.kind), &approval, &[target])?;
        return admission.bind(tx, Some(wipe.enrolment), operation);
    }
    // What let it pass was forgotten by age: the row's own mark says that somebody was let pass then.
    let act = DestructiveAct {
        id: tx.fresh_id(),
        admission: tx.fresh_id(),
        enrolment: wipe.enrolment,
        generation: wipe.generation,
        class: class(wipe.kind).as_str().to_owned(),
        person: None,
        token: None,
        at: tx.now(),
        operation: Some(operation),
        approval: None,
        glass: false,
        sent_at: None,
    };
    destructive::insert(tx, vec![act])
}

/// When the device is to be asked again, or the wipe expires.
pub(super) fn wakes_at(wipe: &Wipe, now: UtcMillis) -> UtcMillis {
    let waited = now.since(wipe.armed_at.unwrap_or(wipe.requested_at));
    let wake = now.plus((waited / 4).clamp(WAKE_MS, WAKE_LATEST_MS));
    let expires = wipe.expires_at.filter(|_| wipe.armed_at.is_none());
    expires.map_or(wake, |expires| expires.min(wake))
}

/// The order that our own device obeys, once: for this enrolment, generation and node.
fn signed(tx: &mut Tx, signer: &dyn OrderSigner, wipe: &Wipe, way: Way) -> Result<String, String> {
    let expires = wipe.expires_at.filter(|_| wipe.armed_at.is_none());
    order::Order {
        v: order::VERSION,
        enrolment: wipe.enrolment,
        generation: u32::try_from(wipe.generation).unwrap_or(u32::MAX),
        uri: way.uri().to_owned(),
        expires: expires.unwrap_or_else(|| tx.now().plus(FOR_EVER_MS)),
        order: OperationId(tx.fresh_id()),
    }
    .seal(|octets| signer.sign(octets))
}
