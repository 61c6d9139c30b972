//! Why a device is as it is: findings first, then what they were drawn from.

use actix_web::web;
use postern_actors::policy::Status;
use postern_api::{
    Time,
    devices::{Device, DeviceSchedule},
    enrolment::DeviceLife,
    quirks::AppliedProfile,
    why::{BlockedEntry, Finding, PendingReason, RefusalSummary, SessionSummary, Why},
};
use postern_engine::policy::desired::status::State;
use postern_store::{Reader, StoreError, commands, enrolments, lists, notifications, refusals, sessions};
use postern_wire::{
    route::RouteId,
    terms::{CommandState, EnrolmentId, EnrolmentState, NotificationState, OperationKind, UtcMillis},
};

use super::{
    answer::{self, Answer},
    auth::Caller,
    commands::{pending, summary},
    device_policy::said,
    devices::{resolve, view},
    problem::Refused,
};
use crate::{ca::DAY_MS, inside::Inside, schedule::Eye};

/// How much of each list is shown.
const SHOWN: i64 = 20;

pub(super) async fn show(inside: web::Data<Inside>, path: web::Path<String>, _: Caller) -> Answer {
    let (name, now) = (path.into_inner(), inside.now());
    let eye = Eye::of(&inside);
    let mut why = inside.store.read(move |r| Ok(explain(r, &eye, &name, now))).await??;
    why.findings.splice(0..0, around(&inside));
    if why.findings.iter().all(|finding| finding.level != "problem") {
        why.findings.push(found(
            "ok",
            "nothing-wrong",
            "Nothing that the core knows of stands in this device's way.",
        ));
    }
    why.findings.sort_by_key(|finding| match finding.level.as_str() {
        "problem" => 0,
        "note" => 1,
        _ => 2,
    });
    answer::ok(&why)
}

fn found(level: &str, slug: &str, text: impl Into<String>) -> Finding {
    Finding { level: level.to_owned(), slug: slug.to_owned(), text: text.into() }
}

/// What stands in every device's way.
fn around(inside: &Inside) -> Vec<Finding> {
    let Some(active) = inside.active.load_full() else {
        return vec![found(
            "problem",
            "standby",
            "This core stands by: it serves no device. Ask the active one.",
        )];
    };
    let links = active.links.status();
    if links.is_empty() {
        return vec![found(
            "problem",
            "no-gateway",
            "No gateway is configured, so no device can reach this core.",
        )];
    }
    if links.iter().all(|link| !link.watching) {
        return vec![found(
            "problem",
            "gateways-unreachable",
            "No gateway is connected: devices get 503. `gateway list` says why.",
        )];
    }
    Vec::new()
}

fn explain(r: &mut Reader, eye: &Eye, name: &str, now: UtcMillis) -> Result<Why, Refused> {
    let row = resolve(r, name)?;
    let sessions = sessions::of(r, row.id, SHOWN)?;
    let refusals = refused(r, &row)?;
    let waiting = pending(r, row.id, SHOWN)?;
    let blocked = blocked(r, &row)?;
    let everything = eye.everything(r)?;
    let device = view(r, row.clone(), true)?;
    let device = eye.scheduled(r, &everything, device)?;
    let mut findings = of_device(&device, now);
    findings.extend(device.profiles.iter().map(of_profile));
    findings.extend(of_sessions(&sessions, &device));
    findings.extend(of_refusals(&refusals, &device));
    findings.extend(of_notification(r, row.id)?);
    findings.extend(of_policy(r, row.id)?);
    if !blocked.is_empty() && row.state != EnrolmentState::Retired {
        findings.push(found(
            "problem",
            "blocked",
            "It is on the blocked list; see below what it may still do.",
        ));
    }
    let wipe = waiting.iter().any(|command| command.kind == OperationKind::Wipe);
    Ok(Why {
        device,
        findings,
        sessions: sessions.into_iter().map(session).collect(),
        refusals,
        pending: waiting
            .iter()
            .map(|command| PendingReason {
                command: summary(command),
                reason: waits(command, &row, wipe, now),
            })
            .collect(),
        blocked,
    })
}

/// What its model cannot do, as a profile says.
fn of_profile(profile: &AppliedProfile) -> Finding {
    let set: Vec<_> = profile.quirks.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    found(
        "note",
        "quirk-profile",
        format!(
            "Its client matches the {} quirk profile {:?}: {}. So {}. Seen: {}",
            profile.origin,
            profile.name,
            profile.because,
            set.join(", "),
            profile.source
        ),
    )
}

/// How it stands to policy, where anything was ever desired of it.
fn of_policy(r: &mut Reader, device: EnrolmentId) -> Result<Option<Finding>, StoreError> {
    let Some(status) = Status::read(r, device)? else { return Ok(None) };
    let (state, because) = said(&status);
    let row = &status.row;
    let level = if row.failed + row.conflicts > 0 || row.stale.is_some() { "problem" } else { "note" };
    let first = status.standings.iter().find(|one| matches!(one.state, State::Error | State::Conflict));
    let named = first.map(|one| format!(" First of them: {} ({})", one.uri, one.why)).unwrap_or_default();
    let text = format!("Policy is {state}: {because}.{named} `posternctl device show` has each setting.");
    Ok(Some(found(level, "policy", text)))
}

/// What its last notification has come to, while that matters.
fn of_notification(r: &mut Reader, device: EnrolmentId) -> Result<Option<Finding>, StoreError> {
    let Some(job) = notifications::of(r, device, 1)?.pop() else { return Ok(None) };
    let by = job.bearer.as_deref().unwrap_or("no bearer yet");
    let id = format!("{:X}", job.session_id);
    Ok(Some(match job.state {
        NotificationState::Wanted | NotificationState::Sent | NotificationState::Delivered => {
            let next = job.next_at.map_or_else(String::new, |at| format!(" It is tried again at {at}."));
            found(
                "note",
                "notification-open",
                format!(
                    "A notification (session {id}) is {} by {by} since {}: {}.{next}",
                    job.state,
                    job.last_at.unwrap_or(job.created_at),
                    job.cause
                ),
            )
        }
        NotificationState::Failed | NotificationState::Expired => found(
            "problem",
            "notification-failed",
            format!(
                "Its last notification (session {id}, by {by}) {} after {} attempts: {}. Check `device address`, and the bearer.",
                job.state, job.attempts, job.cause
            ),
        ),
        NotificationState::Answered => match job.session {
            Some(session) => found(
                "note",
                "notification-answered",
                format!("Session {session} answered its last notification (session {id}, by {by})."),
            ),
            None => return Ok(None),
        },
        NotificationState::Unneeded => return Ok(None),
    }))
}

fn of_device(device: &Device, now: UtcMillis) -> Vec<Finding> {
    let mut findings = Vec::new();
    match device.state {
        EnrolmentState::Retired => findings.push(found(
            "problem",
            "retired",
            format!(
                "It was retired at {}: its route is gone and its certificate is refused. Enrol it anew to manage it.",
                device.retired_at.unwrap_or_default()
            ),
        )),
        EnrolmentState::New if device.first_seen.is_some() => findings.push(found(
            "note",
            "first-session",
            "Its first session is not done: its schedule is being set and its configuration read.",
        )),
        EnrolmentState::New => findings.push(found(
            "note",
            "never-seen",
            "It has never had an authenticated session: check that it has its enrolment file and reaches a gateway.",
        )),
        EnrolmentState::Quarantined => findings.push(found(
            "problem",
            "quarantined",
            "Its hardware, or its DevId, is enrolled already: its sessions are answered and nothing is sent to it until \
             `device release` (it is the right one; the other is retired) or `device reject`.",
        )),
        EnrolmentState::Managed => {}
    }
    if let Some(schedule) = &device.schedule {
        findings.extend(of_schedule(device, schedule));
    }
    findings.extend(device.life.iter().flat_map(of_life));
    if let Some(not_after) = device.certificate.as_ref().and_then(|certificate| certificate.not_after) {
        let left = not_after.0.since(now);
        if left <= 0 {
            findings.push(found(
                "problem",
                "certificate-expired",
                format!("Its certificate expired at {not_after}: nothing but a wipe reaches it."),
            ));
        } else if left < 30 * DAY_MS {
            findings.push(found(
                "note",
                "certificate-expiring",
                format!("Its certificate expires at {not_after}."),
            ));
        }
    }
    findings
}

/// What its enrolment's life comes to, where that is not as it should be.
fn of_life(life: &DeviceLife) -> Vec<Finding> {
    let mut findings = Vec::new();
    if life.standing == "stale" {
        findings.push(found(
            "problem",
            "stale",
            format!(
                "It has been silent for so long that it is about to lose its enrolment (DisenrollInterval); stale since {}.",
                life.standing_since
            ),
        ));
    }
    let why = life.leaving_because.as_deref().unwrap_or("-");
    match life.leaving.as_deref() {
        Some("ordered") => findings.push(found(
            "note",
            "leaving",
            format!("It is told to leave ({why}) and is retired when it has acknowledged that; `--now` retires it at once."),
        )),
        Some("refused") => findings.push(found(
            "problem",
            "leaving-refused",
            "It was told to leave and did not: `device unenrol --now` retires it at once.",
        )),
        Some(_) => findings.push(found("note", "leaving", format!("It leaves by itself ({why})."))),
        None => {}
    }
    match life.renewal.as_str() {
        "none" => {}
        "due" => findings.push(found(
            "problem",
            "renewal-due",
            "Its certificate is to be renewed and its model cannot be told: `enrolment request --renews`.",
        )),
        state => findings.push(found(
            "note",
            "renewal",
            format!(
                "The renewal of its certificate is {state} ({}), try {}.",
                life.renewal_because.as_deref().unwrap_or("-"),
                life.renewal_tries
            ),
        )),
    }
    findings
}

/// When it is expected, and what it knows of that.
fn of_schedule(device: &Device, schedule: &DeviceSchedule) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(since) = schedule.overdue_since {
        let last = device.last_seen.map_or_else(|| "never".to_owned(), |at| format!("at {at}"));
        let every = &schedule.interval;
        findings.push(found(
            "problem",
            "overdue",
            format!("It is overdue since {since}: it is to connect every {every} and was last seen {last}."),
        ));
    }
    match schedule.told.as_str() {
        "refused" => findings.push(found(
            "note",
            "interval-refused",
            format!(
                "It refused its connection interval; it is held to every {} all the same.",
                schedule.interval
            ),
        )),
        "expected" => findings.push(found(
            "note",
            "interval-not-told",
            "Its model knows no node for a connection interval: it is expected by it and was not told.",
        )),
        _ => {}
    }
    findings
}

fn of_sessions(sessions: &[sessions::SessionRow], device: &Device) -> Vec<Finding> {
    let Some(last) = sessions.first() else { return Vec::new() };
    match last.outcome.as_deref() {
        Some("completed") | None => Vec::new(),
        Some(outcome) => {
            let level = if device.pending > 0 { "problem" } else { "note" };
            vec![found(
                level,
                "last-session",
                format!("Its last session, at {}, ended: {outcome}.", last.opened_at),
            )]
        }
    }
}

fn of_refusals(refusals: &[RefusalSummary], device: &Device) -> Vec<Finding> {
    let Some(last) = refusals.first() else { return Vec::new() };
    let since_seen = device.last_seen.is_none_or(|seen| seen < last.at);
    let level = if since_seen { "problem" } else { "note" };
    let text = format!("{} refused it {} times, at last {}: {}.", last.by, last.count, last.at, last.reason);
    vec![found(level, "refused", text)]
}

/// What was refused of this device, by its id, its route and its certificate.
fn refused(r: &mut Reader, row: &enrolments::Enrolment) -> Result<Vec<RefusalSummary>, StoreError> {
    let route = RouteId::from_bytes(row.route).hash().to_string();
    let subjects = [Some(row.id.to_string()), Some(route), row.certificate_serial.clone()];
    let mut all = Vec::new();
    for subject in subjects.into_iter().flatten() {
        all.extend(refusals::of(r, &subject, SHOWN)?);
    }
    all.sort_by_key(|refusal| std::cmp::Reverse((refusal.at, refusal.id)));
    all.dedup_by_key(|refusal| refusal.id);
    all.truncate(SHOWN as usize);
    Ok(all
        .into_iter()
        .map(|refusal| RefusalSummary {
            at: Time(refusal.at),
            by: if refusal.gateway.is_empty() {
                "core".to_owned()
            } else {
                format!("gateway {}", refusal.gateway)
            },
            reason: refusal.reason,
            serial: refusal.serial,
            source: Some(refusal.source),
            count: u64::try_from(refusal.count).unwrap_or(0),
        })
        .collect())
}

/// Its entries in the blocked list: a route's is its hash, a certificate's begins with its serial.
fn blocked(r: &mut Reader, row: &enrolments::Enrolment) -> Result<Vec<BlockedEntry>, StoreError> {
    let route = RouteId::from_bytes(row.route).hash().to_string();
    let serial = row.certificate_serial.clone();
    let mut found = Vec::new();
    let mut after = String::new();
    loop {
        let page = lists::entries(r, lists::List::Blocked, &after, 1000)?;
        let Some(last) = page.last() else { return Ok(found) };
        after.clone_from(&last.entry);
        found.extend(page.into_iter().filter_map(|entry| {
            let kind = if entry.entry.contains(&route) {
                "route"
            } else if serial.as_ref().is_some_and(|serial| entry.entry.contains(serial.as_str())) {
                "certificate"
            } else {
                return None;
            };
            Some(BlockedEntry {
                kind: kind.to_owned(),
                key: entry.entry,
                verdict: entry.verdict,
                since: Time(entry.at),
            })
        }));
    }
}

/// Why a pending command has not gone, or not been answered.
fn waits(command: &commands::Command, row: &enrolments::Enrolment, wipe: bool, now: UtcMillis) -> String {
    if command.generation != row.generation {
        return "It was for an earlier generation of this device and will never go.".to_owned();
    }
    if command.state == CommandState::Sent {
        let sent = command.sent_at.unwrap_or(command.created_at);
        return format!("It was sent at {sent}; the device has not answered yet.");
    }
    if wipe && command.kind != OperationKind::Wipe {
        return "A wipe is pending, which suspends all else.".to_owned();
    }
    if let Some(not_before) = command.not_before.filter(|at| *at > now) {
        return format!("It is not to be sent before {not_before}.");
    }
    match row.last_seen_at {
        None => "The device has not been seen since it was enrolled.".to_owned(),
        Some(seen) if seen < command.created_at => {
            format!(
                "The device was last seen at {seen}, before this was queued; it goes with the next session."
            )
        }
        Some(_) => "It goes with the next message of the device's session, in its turn.".to_owned(),
    }
}

pub(super) fn session(row: sessions::SessionRow) -> SessionSummary {
    SessionSummary {
        id: row.id.0,
        started_at: Time(row.opened_at),
        ended_at: row.closed_at.map(Time),
        outcome: row.outcome.unwrap_or_else(|| "open".to_owned()),
        proof_class: row.proof,
        messages: u32::try_from(row.messages).unwrap_or(u32::MAX),
        gateway: row.gateway,
        source: row.source,
    }
}
