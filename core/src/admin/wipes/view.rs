//! A wipe as the API shows it: its stamps from its steps, and where it is in sentences.

use postern_actors::wipe::rules::{Settings, Way, may_cancel, may_disarm};
use postern_api::{
    Time,
    wipes::{GatewayStamp, Wipe, WipeExplanation, WipeSettings, WipeStamps, WipeStep},
};
use postern_store::{
    Reader, StoreError, commands, enrolments, held, notifications, schedules,
    wipes::{self, Wipe as Row},
};
use postern_wire::terms::{CommandState, UtcMillis, WipeEvidence, WipeState};

/// Notifications of a device that are looked through for its stamps.
const ALERTS: i64 = 200;

pub(super) fn wipe(row: &Row, now: UtcMillis) -> Wipe {
    let settings = settings_of(row);
    let awaits = Way::parse(&row.way).map(|way| way.awaited().to_vec()).unwrap_or_default();
    let armed_now = row.armed_at.filter(|_| row.state.is_outstanding());
    Wipe {
        id: row.id,
        enrolment: row.enrolment,
        generation: u32::try_from(row.generation).unwrap_or(u32::MAX),
        device_id: row.device_id.clone(),
        state: row.state,
        kind: row.kind,
        way: row.way.clone(),
        awaits,
        evidence: row.evidence,
        status: row.status,
        proof_class: row.proof,
        cause: row.cause.clone(),
        asked_for: row.asked_for.clone(),
        reason: row.reason.clone(),
        lost: row.lost,
        requested_by: row.requested_by.clone(),
        requested: Time(row.requested_at),
        approval: row.approval,
        expires: row.expires_at.map(Time),
        armed: row.armed_at.map(Time),
        armed_age_s: armed_now.map(|at| now.since(at).max(0) / 1000),
        disarm_asked_by: row.disarm_by.clone(),
        tries: u32::try_from(row.tries).unwrap_or(u32::MAX),
        next: row.next_at.map(Time),
        settings: WipeSettings {
            retries: settings.retries,
            retry_wait_s: settings.retry_wait_ms / 1000,
            expires_after_s: settings.expires_after_ms.map(|ms| ms / 1000),
            unsuccessful: settings.unsuccessful.as_str().to_owned(),
            silence_s: settings.silence_ms / 1000,
            completion_s: settings.completion_ms / 1000,
        },
        revision: u64::try_from(row.revision).unwrap_or(0),
        stamps: None,
    }
}

fn settings_of(row: &Row) -> Settings {
    serde_json::from_str(&row.settings).unwrap_or_default()
}

pub(super) fn with_stamps(r: &mut Reader, row: &Row, now: UtcMillis) -> Result<Wipe, StoreError> {
    let steps = wipes::steps(r, row.id)?;
    let stamps = stamps(r, row, &steps)?;
    Ok(Wipe { stamps: Some(stamps), ..wipe(row, now) })
}

pub(super) fn step(row: &wipes::WipeStep) -> WipeStep {
    WipeStep {
        revision: u64::try_from(row.revision).unwrap_or(0),
        state: row.state,
        event: row.event.clone(),
        cause: row.cause.clone(),
        actor: row.actor.clone(),
        status: row.status,
        session: row.session.map(|session| session.0),
        exchange: row.exchange.map(|hash| data_encoding::HEXLOWER.encode(&hash)),
        audit: u64::try_from(row.audit).unwrap_or(0),
        at: Time(row.at),
    }
}

/// What happened when.
fn stamps(r: &mut Reader, row: &Row, steps: &[wipes::WipeStep]) -> Result<WipeStamps, StoreError> {
    let first = |wanted: &[&str]| {
        steps.iter().find(|step| wanted.contains(&step.event.as_str())).map(|step| Time(step.at))
    };
    let last = |wanted: &[&str]| {
        steps.iter().rev().find(|step| wanted.contains(&step.event.as_str())).map(|step| Time(step.at))
    };
    let until = row.finished_at.unwrap_or(UtcMillis(i64::MAX));
    let alerts: Vec<_> = notifications::of(r, row.enrolment, ALERTS)?
        .into_iter()
        .filter(|alert| alert.created_at >= row.requested_at && alert.created_at <= until)
        .collect();
    let handed = alerts.iter().filter(|alert| alert.handed > 0);
    let revoked = match row.state {
        WipeState::Succeeded => enrolments::find(r, row.enrolment)?
            .and_then(|device| device.retired_at)
            .filter(|at| *at >= row.requested_at),
        _ => None,
    };
    Ok(WipeStamps {
        requested: Some(Time(row.requested_at)),
        approved: first(&["admit", "approve"]),
        alert_first: handed.clone().map(|alert| alert.created_at).min().map(Time),
        alert_last: handed.clone().filter_map(|alert| alert.last_at).max().map(Time),
        alerts: handed.map(|alert| u64::try_from(alert.handed).unwrap_or(0)).sum(),
        delivered: first(&["send"]),
        device_ack: last(&["acknowledge", "accept"]),
        retried: steps
            .iter()
            .filter(|step| {
                step.state == WipeState::Retrying
                    && matches!(step.event.as_str(), "refuse" | "give-up" | "come-back" | "overrun")
            })
            .map(|step| Time(step.at))
            .collect(),
        ended: row.finished_at.map(Time),
        armed: row.armed_at.map(Time),
        revoked: revoked.map(Time),
        gateways: steps.iter().filter_map(gateway).collect(),
    })
}

fn gateway(step: &wipes::WipeStep) -> Option<GatewayStamp> {
    let verdict = match step.event.as_str() {
        "gateway-blocked" => "refuse",
        "gateway-armed" => "wipe-only",
        _ => return None,
    };
    Some(GatewayStamp { gateway: step.cause.clone(), verdict: verdict.to_owned(), at: Time(step.at) })
}

pub(super) fn explain(r: &mut Reader, row: &Row, now: UtcMillis) -> Result<WipeExplanation, StoreError> {
    let steps = wipes::steps(r, row.id)?;
    let shown = Wipe { stamps: Some(stamps(r, row, &steps)?), ..wipe(row, now) };
    let mut findings = vec![headline(row, now)];
    if row.state.is_outstanding() {
        waits(r, row, now, &mut findings)?;
    }
    if let Some(status) = row.status.filter(|status| !(200..300).contains(status)) {
        findings.push(format!("The device answered {status} ({}).", row.cause));
    }
    if row.armed_at.is_some() && row.state.is_outstanding() {
        findings.push(
            "It is armed: the gateways and the core let the device reach nothing but this wipe, whatever its \
             certificate says."
                .to_owned(),
        );
    }
    if held::of(r)?.is_some() {
        findings.push(
            "This system was restored from a backup and is held: nothing destructive is sent until `posternctl server release`."
                .to_owned(),
        );
    }
    let steps = steps.iter().map(step).collect();
    Ok(WipeExplanation { possible: possible(row), wipe: shown, findings, steps })
}

fn headline(row: &Row, now: UtcMillis) -> String {
    match row.state {
        WipeState::Requested => "It was asked for.".to_owned(),
        WipeState::AwaitingApproval => {
            format!("It waits for a second person to agree: {} asked for it.", row.requested_by)
        }
        WipeState::Pending => "It waits for the device's next session.".to_owned(),
        WipeState::Sent => "It is in a reply to the device, which has not answered yet.".to_owned(),
        WipeState::Accepted => match Way::parse(&row.way).is_some_and(|way| way.evidence().silence) {
            true => format!(
                "The device acknowledged it. It counts as done when the device is not seen for {} s after that; nobody \
                 will have seen the erasure.",
                settings_of(row).silence_ms / 1000
            ),
            false => "The device accepted it; its result is awaited.".to_owned(),
        },
        WipeState::Retrying => format!("Try {} failed; the next one waits.", row.tries),
        WipeState::Succeeded => format!("It is done: {}", evidence(row.evidence)),
        WipeState::Failed => format!("It failed after {} tries: treat the data as not wiped.", row.tries),
        WipeState::Expired => "It was not delivered in time: treat the data as not wiped.".to_owned(),
        WipeState::Armed => {
            let age = row.armed_at.map_or(0, |at| now.since(at) / 1000);
            format!("It is not proved done, and armed for {age} s: treat the data as not wiped.")
        }
        WipeState::Cancelled => format!("It was taken back: {}", row.cause),
        WipeState::InDoubt => format!("The device may have been wiped or not: {}.", row.cause),
    }
}

/// What a kind of evidence means, in words that claim no more than was seen.
pub(super) fn evidence(evidence: Option<WipeEvidence>) -> &'static str {
    match evidence {
        Some(WipeEvidence::Acknowledged) => "the device acknowledged that it was done.",
        Some(WipeEvidence::Result) => "the device reported the result of the wipe.",
        Some(WipeEvidence::Silent) => {
            "the device acknowledged the order and was not seen since; nobody saw the erasure."
        }
        Some(WipeEvidence::Left) => "the device left its enrolment.",
        None => "nothing was said of the evidence.",
    }
}

/// What an outstanding wipe waits for.
fn waits(r: &mut Reader, row: &Row, now: UtcMillis, findings: &mut Vec<String>) -> Result<(), StoreError> {
    let Some(device) = enrolments::find(r, row.enrolment)? else { return Ok(()) };
    match device.last_seen_at {
        Some(seen) => findings.push(format!("The device was last seen at {seen}.")),
        None => findings.push("The device was never seen.".to_owned()),
    }
    match schedules::find(r, row.enrolment)? {
        Some(schedule) => findings.push(format!(
            "It comes every {} s by its schedule: that bounds the delivery where nothing wakes it.",
            schedule.interval_s.saturating_add(schedule.jitter_s)
        )),
        None => findings.push("Its schedule is not known.".to_owned()),
    }
    if let Some(alert) =
        notifications::of(r, row.enrolment, 1)?.pop().filter(|alert| alert.created_at >= row.requested_at)
    {
        findings.push(format!(
            "It was asked to come {} times, the last by {} ({}).",
            alert.handed,
            alert.bearer.as_deref().unwrap_or("no bearer"),
            alert.cause
        ));
    }
    if let Some(command) = row.command {
        let text = match commands::find(r, command)? {
            Some(found) if found.state == CommandState::Queued => {
                format!("Command {command} stands first in its queue, alone.")
            }
            Some(found) => format!("Command {command} is {} ({}).", found.state, found.cause),
            None => format!("Command {command} is not there any more."),
        };
        findings.push(text);
    }
    if let Some(expires) = row.expires_at.filter(|_| row.armed_at.is_none()) {
        findings.push(format!("It expires at {expires}, in {} s.", expires.since(now).max(0) / 1000));
    }
    Ok(())
}

fn possible(row: &Row) -> Vec<String> {
    let id = row.id;
    let mut possible = Vec::new();
    if row.state == WipeState::AwaitingApproval {
        possible.push(format!("posternctl wipe approve {id}"));
    }
    if may_cancel(row.state, settings_of(row).unsuccessful).is_ok() {
        possible.push(format!("posternctl wipe cancel {id}"));
    }
    if may_disarm(row.state) {
        possible.push(format!("posternctl wipe disarm {id}  # two persons"));
    }
    if !row.state.is_outstanding() && row.state != WipeState::Succeeded {
        possible.push(format!("posternctl wipe request {} --kind {} --reason …", row.enrolment, row.kind));
    }
    if !row.state.is_outstanding() {
        possible.push(format!("posternctl wipe proof {id}"));
    }
    possible
}
