//! Commands and operations: queue, list, show, watch, cancel.

use std::time::Duration;

use actix_web::web;
use postern_actors::{Body, BodyItem, Content, Order};
use postern_api::{
    Permission, Time,
    commands::{
        Command, CommandEvent, CommandItem, CommandQuery, CommandResult, CommandSpec, CommandSummary,
        OPERATION_COMMANDS_SHOWN, Operation, QueueCommands, WatchQuery,
    },
    devices::ReasonQuery,
    problem::Slug,
};
use postern_store::{
    Reader, Sealer, StoreError, captures, commands, enrolments, notifications::Step, operations, results,
    timeline,
};
use postern_wire::{
    syncml::Data,
    terms::{
        CommandId, CommandState, EnrolmentId, EnrolmentState, Lane, OperationId, OperationKind, UtcMillis,
        Verb,
    },
    uri::TreeUri,
};

use super::{
    answer::{self, Answer, Window},
    auth::Caller,
    devices::{REASON, resolve},
    notifications, objects,
    problem::Refused,
    syncml,
};
use crate::{ca::DAY_MS, inside::Inside};

const LIST: &str = "commands";
/// Most commands in one order.
const COMMANDS: usize = 200;
/// The longest wait of a long poll, in seconds.
const WAIT_S: u32 = 60;
/// Pending commands that are looked at for a list; more than any device may have.
const PENDING: i64 = 10_000;

pub(super) async fn queue(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    body: web::Json<QueueCommands>,
    caller: Caller,
) -> Answer {
    let body = body.into_inner();
    let reason = answer::optional_text("/reason", body.reason.as_deref(), REASON)?.unwrap_or_default();
    let mut commands = bodies(&body)?;
    if commands.iter().any(|command| command.flattened().iter().any(|body| body.verb() == Verb::Exec)) {
        caller.require(Permission::CommandsExec)?;
    }
    if body.force {
        caller.require(Permission::CommandsForce)?;
    }
    let deadline = deadline(&inside, body.deadline).await?;
    let active = inside.active()?;
    let (name, known) = (path.into_inner(), inside.objects.clone());
    let (device, registry, mounts) = inside
        .store
        .read(move |r| {
            let device = match resolve(r, &name) {
                Ok(device) => device,
                Err(refused) => return Ok(Err(refused)),
            };
            let mounts = postern_actors::objects::mounts(r, device.id)?;
            Ok(Ok((device, known.registry(r)?, mounts)))
        })
        .await??;
    if device.state == EnrolmentState::Retired {
        return Err(Refused::new(Slug::WrongState, format!("device {} is retired", device.id)));
    }
    let forced = objects::judge(&mut commands, &registry, &mounts, body.force)?;
    let reason = match forced.first() {
        Some(first) if reason.is_empty() => format!("forced, though {first}"),
        Some(first) => format!("{reason} (forced, though {first})"),
        None => reason,
    };
    let order = Order {
        targets: vec![device.id],
        kind: OperationKind::Raw,
        commands,
        ordered: body.ordered,
        lane: body.lane.unwrap_or(Lane::Normal),
        deadline,
        actor: caller.actor(),
        reason,
        idempotency: caller.once.as_ref().map(|once| once.key.clone()),
    };
    let submitted = active.devices.submit(order).await?;
    let operation = shown_operation(&inside, submitted.operation).await?;
    if !submitted.repeated {
        inside.keep_answer(&caller, 202, &operation).await;
    }
    let mut response = answer::json(202, &operation)?;
    let place = format!("/api/1/operations/{}", submitted.operation);
    if let Ok(value) = actix_web::http::header::HeaderValue::from_str(&place) {
        response.headers_mut().insert(actix_web::http::header::LOCATION, value);
    }
    Ok(response)
}

fn bodies(body: &QueueCommands) -> Result<Vec<Body>, Refused> {
    let commands = match (&body.syncml, body.commands.is_empty()) {
        (Some(xml), true) => syncml::commands(xml)?,
        (None, false) => {
            let specs = body.commands.iter().enumerate();
            specs.map(|(at, spec)| of_spec(at, spec)).collect::<Result<Vec<_>, _>>()?
        }
        (None, true) => return Err(Refused::invalid("/commands", "give commands or syncml")),
        (Some(_), false) => return Err(Refused::invalid("/syncml", "give commands or syncml, not both")),
    };
    if commands.len() > COMMANDS {
        return Err(Refused::invalid("/commands", format!("an order holds at most {COMMANDS} commands")));
    }
    let items = |(at, command): (usize, &Body)| {
        command.every_item().map(|(_, item)| (at, item.clone())).collect::<Vec<_>>()
    };
    for (at, item) in commands.iter().enumerate().flat_map(items) {
        for uri in item.source.iter().chain([&item.target]) {
            TreeUri::parse(uri).map_err(|error| {
                Refused::invalid(&format!("/commands/{at}/uri"), format!("{uri:?}: {error}"))
            })?;
        }
    }
    Ok(commands)
}

fn of_spec(at: usize, spec: &CommandSpec) -> Result<Body, Refused> {
    let wrong = |field: &str, detail: &str| Err(Refused::invalid(&format!("/commands/{at}/{field}"), detail));
    if !spec.verb.is_on_the_tree() {
        return wrong("verb", "give Atomic, Sequence and Alert as syncml");
    }
    if (spec.verb == Verb::Copy) != spec.source.is_some() {
        return wrong("source", "copy needs a source, no other verb knows one");
    }
    if matches!(spec.verb, Verb::Get | Verb::Delete) && spec.data.is_some() {
        return wrong("data", "get and delete carry no data");
    }
    let item = BodyItem {
        target: spec.uri.clone(),
        source: spec.source.clone(),
        format: spec.format.clone(),
        type_: spec.type_.clone(),
        data: spec.data.clone().map(Data::Text),
    };
    Ok(Body::plain(spec.verb, vec![item]))
}

async fn deadline(inside: &Inside, asked: Option<Time>) -> Result<Option<UtcMillis>, Refused> {
    let now = inside.now();
    match asked {
        Some(at) if at.0 <= now => Err(Refused::invalid("/deadline", "the deadline has passed")),
        Some(at) => Ok(Some(at.0)),
        None => {
            // To the end of a day: an order that is repeated under its Idempotency-Key asks for the same.
            let days = inside.setting("ExpirationInterval").await?;
            let expires = inside.setting("EnableExpiration").await? != 0 && days > 0;
            let today = now.0.div_euclid(DAY_MS);
            Ok(expires.then(|| UtcMillis((today + days + 1) * DAY_MS)))
        }
    }
}

pub(super) async fn operation(inside: web::Data<Inside>, path: web::Path<String>, _: Caller) -> Answer {
    let text = path.into_inner();
    let id = text.parse().map_err(|_| Refused::not_found("operation", &text))?;
    answer::ok(&shown_operation(&inside, id).await?)
}

async fn shown_operation(inside: &Inside, id: OperationId) -> Result<Operation, Refused> {
    let found = inside
        .store
        .read(move |r| {
            let Some(row) = operations::find(r, id)? else { return Ok(None) };
            let rollup = operations::rollup(r, id)?;
            let mut commands = commands::of_operation(r, id, None, i64::from(OPERATION_COMMANDS_SHOWN))?;
            commands.sort_by_key(|command| (command.enrolment, command.position));
            Ok(Some((row, rollup, commands)))
        })
        .await?;
    let (row, rollup, commands) = found.ok_or_else(|| Refused::not_found("operation", id))?;
    Ok(Operation {
        id,
        kind: row.kind,
        devices: u64::try_from(row.devices).unwrap_or(0),
        requested_by: row.actor,
        reason: (!row.reason.is_empty()).then_some(row.reason),
        created_at: Time(row.created_at),
        state: rolled_up(&rollup).to_owned(),
        commands: commands.iter().map(summary).collect(),
    })
}

/// One word for an operation: what is open first, then the worst of what ended.
fn rolled_up(rollup: &operations::Rollup) -> &'static str {
    use CommandState as S;
    let has = |state| rollup.of(state) > 0;
    match () {
        () if has(S::Sent) => "sent",
        () if has(S::Queued) => "queued",
        () if has(S::InDoubt) => "in-doubt",
        () if has(S::Failed) && has(S::Succeeded) => "partly-failed",
        () if has(S::Failed) => "failed",
        () if has(S::Expired) => "expired",
        () if has(S::Cancelled) => "cancelled",
        () if has(S::Superseded) && !has(S::Succeeded) => "superseded",
        () => "succeeded",
    }
}

pub(super) fn summary(row: &commands::Command) -> CommandSummary {
    CommandSummary {
        id: row.id,
        operation: row.operation,
        device: row.enrolment,
        verb: row.verb,
        uri: row.uri.clone(),
        state: row.state,
        status: row.status.and_then(|status| u16::try_from(status).ok()),
        cause: (!row.cause.is_empty()).then(|| row.cause.clone()),
        lane: row.lane,
        created_at: Time(row.created_at),
        finished_at: row.finished_at.map(Time),
        revision: u64::try_from(row.revision).unwrap_or(0),
    }
}

pub(super) async fn list(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    query: web::Query<CommandQuery>,
    _: Caller,
) -> Answer {
    let window = Window::read(LIST, query.limit, query.cursor.as_deref())?;
    let before: Option<CommandId> = window.place()?;
    let (name, state, fetch) = (path.into_inner(), query.state, window.fetch());
    let rows = inside
        .store
        .read(move |r| {
            let device = match resolve(r, &name) {
                Ok(device) => device,
                Err(refused) => return Ok(Err(refused)),
            };
            Ok(Ok(newest(r, device.id, state, before, fetch)?))
        })
        .await??;
    answer::ok(&window.page(LIST, rows, |row| row.id.to_string(), |row| summary(&row)))
}

/// A device's commands before `before`, the newest first, pending and finished together.
fn newest(
    r: &mut Reader,
    device: EnrolmentId,
    state: Option<CommandState>,
    before: Option<CommandId>,
    wanted: i64,
) -> Result<Vec<commands::Command>, StoreError> {
    let fits = |row: &commands::Command| state.is_none_or(|state| row.state == state);
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    let mut all: Vec<_> = commands::pending_of(r, device, PENDING)?
        .into_iter()
        .filter(|row| before.is_none_or(|before| row.id < before) && fits(row))
        .collect();
    let mut place = before;
    let mut finished = 0;
    while finished < wanted {
        let page = commands::finished_of(r, device, place, 500)?;
        let Some(last) = page.last() else { break };
        place = Some(last.id);
        let fitting: Vec<_> = page.into_iter().filter(fits).collect();
        finished += fitting.len();
        all.extend(fitting);
    }
    all.sort_by_key(|row| std::cmp::Reverse(row.id));
    all.truncate(wanted);
    Ok(all)
}

pub(super) async fn show(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    query: web::Query<WatchQuery>,
    _: Caller,
) -> Answer {
    let text = path.into_inner();
    let id: CommandId = text.parse().map_err(|_| Refused::not_found("command", &text))?;
    let wait = query.wait.unwrap_or(0);
    if wait > WAIT_S {
        return Err(Refused::invalid("wait", format!("wait is at most {WAIT_S} seconds")));
    }
    let seen = query.revision.unwrap_or(0);
    // The watch is opened before the row is read, so that no change falls between.
    let mut watch = (wait > 0).then(|| inside.active.load_full()?.devices.watch(id)).flatten();
    let until = tokio::time::Instant::now() + Duration::from_secs(u64::from(wait));
    loop {
        let command = shown(&inside, id).await?;
        let open = matches!(command.summary.state, CommandState::Queued | CommandState::Sent);
        if wait == 0 || !open || command.summary.revision > seen {
            return answer::tagged(200, command.summary.revision, &command);
        }
        let changed = async {
            match &mut watch {
                Some(watch) => watch.changed().await,
                None => tokio::time::sleep(Duration::from_secs(1)).await,
            }
        };
        if tokio::time::timeout_at(until, changed).await.is_err() {
            return answer::tagged(200, command.summary.revision, &command);
        }
    }
}

async fn shown(inside: &Inside, id: CommandId) -> Result<Command, Refused> {
    let found = inside
        .store
        .read(move |r| {
            let Some(row) = commands::find(r, id)? else { return Ok(None) };
            let told = told_meanwhile(r, &row)?;
            let results = results::of(r, id)?;
            let doubtful = match results.first() {
                Some(first) => captures::doubt(r, row.enrolment, first.proof, first.at)?,
                None => None,
            };
            Ok(Some((row, results, doubtful, timeline::of(r, id)?, told)))
        })
        .await?;
    let (row, results, doubtful, timeline, told) = found.ok_or_else(|| Refused::not_found("command", id))?;
    Ok(Command {
        summary: summary(&row),
        items: items(&row),
        attempts: u64::try_from(row.attempts).unwrap_or(0),
        sent_at: row.sent_at.map(Time),
        redelivery: row.redelivery,
        deadline: row.deadline.map(Time),
        proof_class: row.proof,
        doubtful,
        results: results.into_iter().map(|item| result(&inside.sealer, item)).collect::<Result<_, _>>()?,
        timeline: with_notifications(timeline, told),
    })
}

/// What was done meanwhile to bring its device here.
fn told_meanwhile(r: &mut Reader, row: &commands::Command) -> Result<Vec<Step>, StoreError> {
    let to = row.finished_at.unwrap_or(UtcMillis(i64::MAX));
    notifications::during(r, row.enrolment, row.created_at, to)
}

/// The command's own steps, and between them what was done to bring its device here. A notification does not move the
/// command: its events bear the state and revision of the step before.
fn with_notifications(timeline: Vec<timeline::Event>, told: Vec<Step>) -> Vec<CommandEvent> {
    let mut all: Vec<CommandEvent> = timeline
        .into_iter()
        .map(|event| CommandEvent {
            at: Time(event.at),
            state: event.state,
            cause: event.cause,
            revision: u64::try_from(event.revision).unwrap_or(0),
            session: event.session.map(|session| session.0),
        })
        .collect();
    for step in told {
        let place = all.partition_point(|event| event.at.0 <= step.at).max(1);
        let Some(before) = all.get(place - 1) else { continue };
        let event = CommandEvent {
            at: Time(step.at),
            cause: notifications::told(&step),
            session: None,
            ..before.clone()
        };
        all.insert(place, event);
    }
    all
}

fn items(row: &commands::Command) -> Option<Vec<CommandItem>> {
    if row.sealed {
        return None;
    }
    let content = Content::from_payload(row.verb, &row.payload).ok()?;
    Some(content.body.every_item().map(|(_, one)| item(one.clone())).collect())
}

fn item(item: BodyItem) -> CommandItem {
    let (data, data_base64) = match item.data {
        None => (None, None),
        Some(Data::Text(text) | Data::Markup(text)) => (Some(text), None),
        Some(Data::Binary(octets)) => (None, Some(data_encoding::BASE64.encode(&octets))),
    };
    CommandItem {
        uri: item.target,
        source: item.source,
        format: item.format,
        type_: item.type_,
        data,
        data_base64,
    }
}

fn result(sealer: &Sealer, item: results::ResultItem) -> Result<CommandResult, StoreError> {
    let octets = if item.sealed { sealer.open(item.enrolment, &item.data)?.to_vec() } else { item.data };
    let (data, data_base64) = match String::from_utf8(octets) {
        Ok(text) => (Some(text), None),
        Err(error) => (None, Some(data_encoding::BASE64.encode(error.as_bytes()))),
    };
    Ok(CommandResult {
        uri: item.source_uri.unwrap_or_default(),
        format: item.format,
        type_: item.media_type,
        data,
        data_base64,
    })
}

pub(super) async fn cancel(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    query: web::Query<ReasonQuery>,
    caller: Caller,
) -> Answer {
    let text = path.into_inner();
    let id: CommandId = text.parse().map_err(|_| Refused::not_found("command", &text))?;
    let reason = answer::optional_text("reason", query.reason.as_deref(), REASON)?.unwrap_or_default();
    inside.active()?.devices.cancel(id, caller.actor(), reason).await?;
    let command = shown(&inside, id).await?;
    answer::tagged(200, command.summary.revision, &command)
}

/// What `why` needs beside: whether a device has this command's row still open.
pub(super) fn pending(
    r: &mut Reader,
    device: EnrolmentId,
    limit: i64,
) -> Result<Vec<commands::Command>, StoreError> {
    enrolments::get(r, device)?;
    commands::pending_of(r, device, limit)
}
