//! The system's state on one screen.

use actix_web::web;
use postern_api::{
    Time,
    status::{CertificateStatus, DatabaseStatus, DeviceCount, QueueStatus, Status},
};
use postern_store::{Activity, Health, Kind, alarms as store_alarms, audit, commands, enrolments};
use postern_wire::terms::{CommandState, EnrolmentState, UtcMillis};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use super::{
    alarms,
    answer::{self, Answer},
    auth::Caller,
    gateways,
    problem::Refused,
};
use crate::{
    ca::{DAY_MS, read_certificate},
    files,
    inside::Inside,
    schedule::Eye,
};

/// A certificate with less than this left is expiring, or with less than a third of its life, whichever is less.
const EXPIRING_MS: i64 = 30 * DAY_MS;
/// A head older than this, when there are newer rows, is a problem: the signer stands still.
pub(super) const HEAD_LATE_MS: i64 = 5 * 60 * 1000;

pub(super) async fn show(inside: web::Data<Inside>, _: Caller) -> Answer {
    answer::ok(&status(&inside).await?)
}

pub(super) async fn status(inside: &Inside) -> Result<Status, Refused> {
    let health = inside.store.health();
    let eye = Eye::of(inside);
    let read = inside
        .store
        .read(move |r| {
            let (oldest, pending) = commands::backlog(r)?;
            let sent = commands::count_pending(r, CommandState::Sent)?;
            let in_doubt = commands::count_finished(r, CommandState::InDoubt)?;
            let devices = EnrolmentState::ALL
                .iter()
                .map(|state| Ok((*state, enrolments::count(r, *state)?)))
                .collect::<Result<Vec<_>, postern_store::StoreError>>()?;
            Ok((
                oldest,
                pending,
                sent,
                in_doubt,
                devices,
                audit::heads(r, None, 1)?.pop(),
                audit::last(r)?,
                eye.count_overdue(r)?,
                store_alarms::counts(r)?,
            ))
        })
        .await;
    let now = inside.now();
    let certificates = certificates(inside, now);
    let gateways = match &read {
        Ok(_) => gateways::all(inside).await?,
        Err(_) => Vec::new(),
    };
    let mut problems = problems(inside, &health, &certificates);
    for gateway in
        gateways.iter().filter(|gateway| matches!(gateway.state.as_str(), "unreachable" | "connecting"))
    {
        let error = gateway.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        problems.push(format!("gateway {} at {} is {}{error}", gateway.name, gateway.address, gateway.state));
    }
    for gateway in &gateways {
        for document in gateway.documents.iter().filter(|document| document.state == "rejected") {
            let reason = document.reason.clone().unwrap_or_default();
            problems.push(format!("gateway {} rejected its {}: {reason}", gateway.name, document.kind));
        }
    }
    let (oldest, pending, sent, in_doubt, devices, head, last, overdue, alarms) = read.unwrap_or_default();
    if let Some(active) = inside.active.load_full()
        && !active.devices.clock_is_steady()
    {
        problems.push(
            "the core's clock jumped: nothing expires until the new time has stood for 10 minutes".to_owned(),
        );
    }
    let alarms = alarms::counted(&alarms);
    if alarms.critical > 0 {
        problems.push(format!("{} critical alarms are open: `posternctl alarm list`", alarms.critical));
    }
    if let (Some(head), Some((seq, _))) = (&head, last)
        && head.seq < seq
        && now.since(head.at) > HEAD_LATE_MS
    {
        problems.push(format!("the audit log's head was last signed at {}", head.at));
    }
    let state = match health.activity {
        Activity::Standby => "standby",
        _ if problems.is_empty() => "healthy",
        _ => "degraded",
    };
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    Ok(Status {
        state: state.to_owned(),
        problems,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        now: Time(now),
        started_at: Time(inside.started_at),
        database: database(&health, now),
        gateways,
        certificates,
        queue: QueueStatus {
            queued: count(pending - sent),
            sent: count(sent),
            in_doubt: count(in_doubt),
            oldest_pending: oldest.map(Time),
        },
        devices: devices.into_iter().map(|(state, n)| DeviceCount { state, count: count(n) }).collect(),
        overdue: count(overdue),
        alarms,
        audit_signed_at: head.map(|head| Time(head.at)),
    })
}

fn database(health: &Health, now: UtcMillis) -> DatabaseStatus {
    DatabaseStatus {
        kind: match health.kind {
            Kind::Sqlite => "sqlite",
            Kind::Postgres => "postgres",
        }
        .to_owned(),
        up: health.up,
        active: matches!(health.activity, Activity::Active { .. }),
        epoch: match health.activity {
            Activity::Active { epoch } => u64::try_from(epoch).ok(),
            _ => None,
        },
        write_queue: health.queue_depth as u64,
        write_queue_oldest_ms: health
            .lost_since
            .map_or(0, |since| u64::try_from(now.since(since)).unwrap_or(0)),
        last_commit: health.last_commit.map(Time),
    }
}

/// What is wrong with this core itself, one sentence each.
pub(crate) fn problems(inside: &Inside, health: &Health, certificates: &[CertificateStatus]) -> Vec<String> {
    let mut problems = inside.troubles();
    if !health.up {
        let since = health.lost_since.map(|at| format!(" since {at}")).unwrap_or_default();
        problems.push(format!("the database does not answer{since}"));
    }
    if health.queue_depth * 2 > health.queue_limit {
        problems.push(format!(
            "{} of {} places of the write queue are taken",
            health.queue_depth, health.queue_limit
        ));
    }
    if health.activity == Activity::Lost {
        problems.push("another core took over; this one has to be started anew".to_owned());
    }
    for certificate in certificates.iter().filter(|certificate| certificate.state != "valid") {
        let when = certificate.not_after.map(|at| format!(" ({at})")).unwrap_or_default();
        problems.push(format!("the certificate {} is {}{when}", certificate.name, certificate.state));
    }
    problems
}

/// The core's certificates, its CAs, and what gateways told of theirs.
pub(crate) fn certificates(inside: &Inside, now: UtcMillis) -> Vec<CertificateStatus> {
    let config = &inside.config;
    let of_core = [
        ("admin", &config.admin.certificate),
        ("link", &config.links.certificate),
        ("link-ca", &config.links.ca),
        ("device-ca", &config.devices.ca),
        ("server-ca", &config.devices.server_ca),
    ];
    let mut all: Vec<CertificateStatus> = of_core
        .into_iter()
        .map(|(name, path)| {
            let facts = files::read(&config.at(path)).ok().and_then(|pem| {
                let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
                read_certificate(&der).ok()
            });
            match facts {
                Some(facts) => judged(name.to_owned(), Some(facts.not_before), facts.not_after, now),
                None => CertificateStatus {
                    name: name.to_owned(),
                    not_after: None,
                    state: "unreadable".to_owned(),
                },
            }
        })
        .collect();
    for (gateway, beat) in inside.beats() {
        let told = [
            (format!("gateway {gateway}"), beat.heartbeat.device_certificate_not_after),
            (format!("gateway {gateway} link"), beat.heartbeat.link_certificate_not_after),
        ];
        all.extend(told.into_iter().map(|(name, not_after)| judged(name, None, not_after, now)));
    }
    all
}

fn judged(
    name: String,
    not_before: Option<UtcMillis>,
    not_after: UtcMillis,
    now: UtcMillis,
) -> CertificateStatus {
    let left = not_after.since(now);
    let third = not_before.map_or(EXPIRING_MS, |before| not_after.since(before) / 3);
    let state = match left {
        left if left <= 0 => "expired",
        left if left < third.min(EXPIRING_MS) => "expiring",
        _ => "valid",
    };
    CertificateStatus { name, not_after: Some(Time(not_after)), state: state.to_owned() }
}
