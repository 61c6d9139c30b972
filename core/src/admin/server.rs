//! The system's own parts: cores, gateways, supervisors; doctor; release after a restore.

use std::sync::Arc;

use actix_web::web;
use postern_api::{
    Page, Time,
    problem::Slug,
    server::{Check, Doctor, REASON, ReleaseServer, Released, Server, Verdict},
};
use postern_store::{StoreError, audit, commands, cores, held};
use postern_wire::{
    route::RouteId,
    terms::{OperationKind, UtcMillis},
};
use serde_json::json;

use super::{
    answer::{self, Answer},
    auth::Caller,
    gateways,
    problem::{Refused, internal},
    status,
    write::{Done, Stop},
};
use crate::{
    directory,
    doctor::{self, check, ok},
    inside::Inside,
    mail, register, sysvol,
};

/// A core whose row is older than this is down.
const SILENT: i64 = 4;
/// Devices that a release asks to come at once.
const ASKED: i64 = 10_000;
/// A gateway that has told nothing for so long is not well, in milliseconds.
const HEARTBEAT_LATE_MS: i64 = 60_000;
/// A command that waits for so long is worth a look, in milliseconds.
const PENDING_LONG_MS: i64 = 7 * 86_400_000;

pub(super) async fn list(inside: web::Data<Inside>, _: Caller) -> Answer {
    answer::ok(&Page { items: all(&inside).await?, next_cursor: None })
}

/// Every core, gateway and supervisor.
pub(super) async fn all(inside: &Inside) -> Result<Vec<Server>, Refused> {
    let now = inside.now();
    let mut items: Vec<Server> =
        inside.store.read(cores::list).await?.into_iter().map(|row| core(row, now)).collect();
    items.extend(gateways::all(inside).await?.into_iter().map(gateway));
    items.extend(supervisors(inside));
    Ok(items)
}

fn core(row: cores::Core, now: UtcMillis) -> Server {
    let silent =
        now.since(row.seen_at) > SILENT * i64::try_from(register::EVERY.as_millis()).unwrap_or(i64::MAX);
    let health = match (silent, row.problems) {
        (true, _) => "down",
        (false, 0) => "healthy",
        (false, _) => "degraded",
    };
    Server {
        kind: "core".to_owned(),
        name: row.core,
        role: row.role,
        health: health.to_owned(),
        version: row.version,
        place: format!("{} {}", row.host, row.admin),
        started_at: Some(Time(row.started_at)),
        seen_at: Some(Time(row.seen_at)),
        queue: None,
        error: row.error,
    }
}

fn gateway(gateway: postern_api::gateways::Gateway) -> Server {
    let health = match gateway.state.as_str() {
        "connected" if gateway.error.is_none() => "healthy",
        "connected" | "connecting" | "standby" => "degraded",
        _ => "down",
    };
    Server {
        kind: "gateway".to_owned(),
        name: gateway.name,
        role: gateway.state,
        health: health.to_owned(),
        version: gateway.version.unwrap_or_default(),
        place: gateway.address,
        started_at: gateway.since,
        seen_at: gateway.heartbeat.as_ref().map(|beat| beat.at),
        queue: gateway.heartbeat.as_ref().map(|beat| beat.in_flight),
        error: gateway.error.unwrap_or_default(),
    }
}

/// The parts of this core that work by themselves.
fn supervisors(inside: &Inside) -> Vec<Server> {
    let health = inside.store.health();
    let part = |name: &str, queue: Option<u64>, error: String, seen_at: Option<UtcMillis>| Server {
        kind: "supervisor".to_owned(),
        name: name.to_owned(),
        role: "running".to_owned(),
        health: if error.is_empty() { "healthy" } else { "degraded" }.to_owned(),
        version: String::new(),
        place: String::new(),
        started_at: Some(Time(inside.started_at)),
        seen_at: seen_at.map(Time),
        queue,
        error,
    };
    let away = if health.up { String::new() } else { "the database does not answer".to_owned() };
    let mut all = vec![part("writer", Some(health.queue_depth as u64), away, health.last_commit)];
    if let Some(active) = inside.active.load_full() {
        let (stats, figures) = (active.devices.stats(), active.devices.notification_figures());
        all.push(part("devices", Some(stats.in_flight), String::new(), None));
        all.push(part("notifications", Some(figures.open), String::new(), None));
    }
    for (name, told) in inside.supervisors.all() {
        let error = if told.fails() { told.failed.map(|(_, error)| error) } else { None };
        all.push(part(name, None, error.unwrap_or_default(), told.done_at));
    }
    all
}

pub(super) async fn doctor(inside: web::Data<Inside>, _: Caller) -> Answer {
    let inside: Arc<Inside> = inside.into_inner();
    let checks = checks(&inside).await?;
    answer::ok(&Doctor {
        verdict: Doctor::worst(&checks),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        now: Time(inside.now()),
        checks,
    })
}

/// Everything that a running core can look at.
pub(crate) async fn checks(inside: &Arc<Inside>) -> Result<Vec<Check>, Refused> {
    let at = Arc::clone(inside);
    let looked = tokio::task::spawn_blocking(move || {
        let clock = Arc::clone(&at.clock);
        let id = at.random.id(at.now());
        doctor::of_config(&at.config, at.now(), &move || clock.monotonic(), id)
    });
    let mut all = looked.await.map_err(|error| internal(&error))?;
    all.extend(of_gateways(inside).await?);
    all.extend(of_work(inside).await?);
    if let Some(active) = inside.active.load_full() {
        all.extend(mail::checks(inside, &active.mail).await);
        all.extend(directory::checks(inside, active.directory.as_ref()));
        all.extend(sysvol::checks(inside, active.sysvol.as_ref()));
        all.extend(active.tables.as_ref().map(|tables| tables.check()));
    }
    Ok(all)
}

async fn of_gateways(inside: &Inside) -> Result<Vec<Check>, Refused> {
    let now = inside.now();
    let mut all = Vec::new();
    for gateway in gateways::all(inside).await? {
        let subject = format!("gateway:{}", gateway.name);
        if gateway.state == "standby" {
            continue;
        }
        all.push(if gateway.state == "connected" {
            ok(
                "gateway.linked",
                &subject,
                format!("{} is linked over {} request links", gateway.address, gateway.links),
            )
        } else {
            let why = gateway.error.clone().unwrap_or_else(|| "no answer yet".to_owned());
            check(
                "gateway.linked",
                &subject,
                Verdict::Fail,
                format!("{} is {}: {why}", gateway.address, gateway.state),
                "start the gateway; open the firewall from here to its link port; compare the CAs of both",
            )
        });
        if let Some(version) = &gateway.version
            && version != env!("CARGO_PKG_VERSION")
        {
            all.push(check(
                "gateway.version",
                &subject,
                Verdict::Warn,
                format!("it runs {version}, this core {}", env!("CARGO_PKG_VERSION")),
                "update the gateway to the core's version, one after the other",
            ));
        }
        for document in gateway.documents.iter().filter(|document| document.state != "in-sync") {
            let verdict = if document.state == "rejected" { Verdict::Fail } else { Verdict::Warn };
            let reason = document.reason.clone().unwrap_or_default();
            all.push(check(
                "gateway.documents",
                &subject,
                verdict,
                format!("its {} are {}: wanted {} {reason}", document.kind, document.state, document.wanted),
                "`posternctl gateway show` says which version is in force; correct what it rejected",
            ));
        }
        let Some(beat) = &gateway.heartbeat else { continue };
        let skew = beat.clock_skew_ms;
        all.push(doctor::skew("clock.gateway", &subject, skew, "the gateway's clock"));
        if now.since(beat.at.0) > HEARTBEAT_LATE_MS && gateway.state == "connected" {
            all.push(check(
                "gateway.heartbeat",
                &subject,
                Verdict::Warn,
                format!("its last heartbeat came at {}", beat.at.0),
                "look at the gateway's log and load",
            ));
        }
        for told in inside.beat(&gateway.name).map(|beat| beat.heartbeat.troubles).unwrap_or_default() {
            all.push(check(
                "gateway.troubles",
                &subject,
                Verdict::Fail,
                told,
                "look at the gateway's log; its files and its disk",
            ));
        }
    }
    for certificate in status::certificates(inside, now) {
        if certificate.name.starts_with("gateway ") && certificate.state != "valid" {
            let verdict = if certificate.state == "expired" { Verdict::Fail } else { Verdict::Warn };
            let until = certificate.not_after.map(|at| at.0.to_string()).unwrap_or_default();
            all.push(check(
                "certificate.expiry",
                &certificate.name,
                verdict,
                format!("it is {} ({until})", certificate.state),
                "renew it (docs/OPERATIONS.md, certificate.expiry)",
            ));
        }
    }
    Ok(all)
}

async fn of_work(inside: &Inside) -> Result<Vec<Check>, Refused> {
    let now = inside.now();
    let read = inside.store.read(|r| {
        Ok((
            commands::backlog(r)?,
            audit::heads(r, None, 1)?.pop(),
            audit::last(r)?,
            held::of(r)?,
            postern_store::alarms::counts(r)?,
        ))
    });
    let ((oldest, pending), head, last, held, alarms) = read.await?;
    let mut all = Vec::new();
    all.push(match oldest {
        Some(at) if now.since(at) > PENDING_LONG_MS => check(
            "commands.oldest",
            "",
            Verdict::Warn,
            format!("{pending} commands wait, the oldest since {at}"),
            "`posternctl device list --pending` and `posternctl why DEVICE`: those devices may be lost",
        ),
        Some(at) => ok("commands.oldest", "", format!("{pending} commands wait, the oldest since {at}")),
        None => ok("commands.oldest", "", "no command waits"),
    });
    let late = match (&head, last) {
        (Some(head), Some((seq, _))) => head.seq < seq && now.since(head.at) > status::HEAD_LATE_MS,
        (None, Some(_)) => now.since(inside.started_at) > status::HEAD_LATE_MS,
        _ => false,
    };
    all.push(if late {
        let at = head.map_or_else(|| "never".to_owned(), |head| head.at.to_string());
        check(
            "audit.head",
            "",
            Verdict::Fail,
            format!("the audit log's head was last signed: {at}"),
            "look at the log for \"the audit log's head was not signed\": the anchor file's disk, the audit key",
        )
    } else {
        ok("audit.head", "", "the audit log's head is signed and written out")
    });
    if let Some(held) = held {
        all.push(check(
            "server.held",
            "",
            Verdict::Fail,
            format!(
                "this system was restored from the backup of {}: {}",
                UtcMillis(held.backup_at),
                held.reason
            ),
            "docs/OPERATIONS.md, server.held; then `posternctl server release --reason …`",
        ));
    }
    let open: i64 = alarms.iter().map(|count| count.open).sum();
    let critical = alarms.iter().any(|count| count.severity == postern_store::alarms::Severity::Critical);
    all.push(match (open, critical) {
        (0, _) => ok("alarms.open", "", "no alarm is open"),
        (n, true) => check(
            "alarms.open",
            "",
            Verdict::Fail,
            format!("{n} alarms are open, critical ones among them"),
            "posternctl alarm list",
        ),
        (n, false) => {
            check("alarms.open", "", Verdict::Warn, format!("{n} alarms are open"), "posternctl alarm list")
        }
    });
    if let Some(active) = inside.active.load_full()
        && !active.devices.clock_is_steady()
    {
        all.push(check(
            "clock.steady",
            "",
            Verdict::Fail,
            "the core's clock has jumped: nothing expires until the new time has stood for 10 minutes",
            "look at the machine's time service; do not set the clock back again by hand",
        ));
    }
    all.extend(inside.troubles().into_iter().map(|trouble| {
        check("server.start", "", Verdict::Fail, trouble, "mend it and start the core again")
    }));
    Ok(all)
}

pub(super) async fn release(
    inside: web::Data<Inside>,
    body: web::Json<ReleaseServer>,
    caller: Caller,
) -> Answer {
    let reason = answer::text("/reason", &body.reason, REASON)?;
    let active = inside.active()?;
    let (released, devices) = inside
        .change(&caller, move |tx| {
            let orders = held::waiting(tx)?;
            let devices = held::waiting_devices(tx, ASKED)?;
            let held = match held::release(tx) {
                Err(StoreError::Refused(why)) => {
                    return Err(Stop::Refused(Refused::new(Slug::WrongState, why)));
                }
                other => other?,
            };
            let detail = json!({
                "reason": reason,
                "backup_at": UtcMillis(held.backup_at).to_string(),
                "orders": orders,
                "kinds": [OperationKind::Wipe, OperationKind::Lock, OperationKind::Certificate],
            });
            let released = Released {
                restored_at: Time(UtcMillis(held.since)),
                backup_at: Time(UtcMillis(held.backup_at)),
                orders: u64::try_from(orders).unwrap_or(0),
            };
            Ok(Done { object: "database".to_owned(), detail, value: (released, devices) })
        })
        .await?;
    let devices = devices.into_iter().map(|(id, route)| (id, RouteId::from_bytes(route))).collect();
    active.devices.release(devices);
    tracing::warn!(by = %caller.name(), "this system was released after a restore");
    answer::ok(&released)
}
