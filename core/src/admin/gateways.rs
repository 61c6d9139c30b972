//! Gateways: what the core knows of each, and what is done with them.
//!
//! - [`settings`]: documents, versions, roll-back. [`defaults`]: what is set for all, and its roll-out.
//! - [`members`]: bundles, retirement, certificates.

mod defaults;
mod members;
mod settings;

use std::time::Duration;

use actix_web::web;
use postern_actors::gcm::GatewayBeat;
use postern_api::{
    Page, Time,
    gateways::{
        DocumentState, Gateway, GatewayCertificateInUse, GatewayHeartbeat, GatewayListState, GatewayLists,
    },
};
use postern_store::{
    Reader, StoreError, captures,
    gateways::{self as rows, JOINING, RETIRED},
};
use postern_wire::link::RefusalReason;
use serde::Deserialize;

use super::{
    answer::{self, Answer},
    auth::Caller,
    problem::Refused,
};
use crate::{inside::Inside, links::ListsAt};

pub(super) use defaults::{put_defaults, show_defaults as defaults, stop_roll_out};
pub(super) use members::{add, certificates, import, renew, retire};
pub(super) use settings::{put_settings, roll_back, show_settings as settings, versions};

/// The state of a gateway that is in other hands.
const COMPROMISED: &str = "compromised";
/// The longest that somebody may wait for acknowledgements, milliseconds.
const WAIT_MS: u64 = 30_000;

pub(super) async fn list(inside: web::Data<Inside>, _: Caller) -> Answer {
    answer::ok(&Page { items: all(&inside).await?, next_cursor: None })
}

pub(super) async fn show(inside: web::Data<Inside>, path: web::Path<String>, _: Caller) -> Answer {
    let name = path.into_inner();
    let found = every(&inside).await?.into_iter().find(|gateway| gateway.name == name);
    answer::ok(&found.ok_or_else(|| Refused::not_found("gateway", &name))?)
}

/// Every gateway that is not retired, in order of name.
pub(super) async fn all(inside: &Inside) -> Result<Vec<Gateway>, Refused> {
    Ok(every(inside).await?.into_iter().filter(|gateway| gateway.state != RETIRED).collect())
}

async fn every(inside: &Inside) -> Result<Vec<Gateway>, Refused> {
    let (rows, cut_off) = inside
        .store
        .read(|r| {
            let mut all = Vec::new();
            for row in rows::list(r)? {
                let fallen = fallen(r, &row)?;
                all.push((row, fallen));
            }
            Ok((all, captures::names(r)?))
        })
        .await?;
    let active = inside.active.load_full();
    let links = active.as_ref().map(|active| active.links.status()).unwrap_or_default();
    let lists = active.as_ref().map_or((0, 0), |active| active.lists.versions());
    let mut all: Vec<Gateway> = rows
        .into_iter()
        .map(|(row, fallen)| {
            let link = links.iter().find(|link| link.name == row.name);
            let beat = inside.beat(&row.name);
            let state = match (row.state.as_str(), link) {
                _ if cut_off.contains(&row.name) => COMPROMISED,
                (RETIRED, _) => RETIRED,
                (_, Some(link)) if link.watching => "connected",
                (JOINING, _) => JOINING,
                (_, Some(link)) if link.last_error.is_some() => "unreachable",
                (_, Some(_)) => "connecting",
                (_, None) if active.is_some() => "not dialed",
                (_, None) => "standby",
            };
            Gateway {
                address: row.address.clone(),
                origin: row.origin.clone(),
                state: state.to_owned(),
                since: link.and_then(|link| link.last_hello).filter(|_| state == "connected").map(Time),
                error: match state {
                    RETIRED | COMPROMISED => row.ended_because.clone(),
                    _ => link.and_then(|link| link.last_error.clone()),
                },
                version: link.and_then(|link| link.version.clone()),
                links: link.map_or(0, |link| link.request_links),
                documents: documents(&row, fallen, beat.as_ref(), lists),
                link_certificate_not_after: beat
                    .as_ref()
                    .map(|beat| Time(beat.heartbeat.link_certificate_not_after)),
                heartbeat: beat.map(heartbeat),
                name: row.name,
            }
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// Why the newest version of a gateway's settings is not wanted any more.
fn fallen(r: &mut Reader, row: &rows::Gateway) -> Result<Option<String>, StoreError> {
    if row.settings_newest == row.settings_wanted {
        return Ok(None);
    }
    let newest = rows::settings(r, &row.name, Some(row.settings_newest))?;
    let rejected = newest.filter(|newest| newest.state == "rejected");
    Ok(rejected.map(|newest| format!("{}: {}", newest.version, newest.answer.unwrap_or_default())))
}

fn documents(
    row: &rows::Gateway,
    fallen: Option<String>,
    beat: Option<&GatewayBeat>,
    (blocked, routes): (u64, u64),
) -> Vec<DocumentState> {
    let number = |n: i64| u64::try_from(n).unwrap_or(0);
    let wanted = number(row.settings_wanted);
    let in_force = number(row.settings_in_force);
    let state = |kind: &str, wanted: u64, in_force: Option<u64>, reason: Option<String>| DocumentState {
        kind: kind.to_owned(),
        wanted,
        in_force,
        state: match (&reason, in_force) {
            (Some(_), _) => "rejected",
            (None, Some(version)) if version == wanted => "in-sync",
            _ => "pending",
        }
        .to_owned(),
        reason,
    };
    vec![
        state("settings", wanted, Some(in_force), fallen),
        state("blocked", blocked, beat.map(|beat| beat.heartbeat.blocked), None),
        state("routes", routes, beat.map(|beat| beat.heartbeat.routes), None),
    ]
}

pub(super) fn heartbeat(beat: GatewayBeat) -> GatewayHeartbeat {
    let told = beat.heartbeat;
    let in_use = |known: postern_wire::link::CertificateState| GatewayCertificateInUse {
        port: known.role.as_str().to_owned(),
        serial: known.serial,
        not_after: Time(known.not_after),
        managed: known.managed,
    };
    let is_limit =
        |reason: &str| RefusalReason::ALL.iter().any(|known| known.as_str() == reason && known.is_limit());
    let limits_hit = told
        .refusals
        .iter()
        .filter(|(reason, _)| is_limit(reason))
        .map(|(reason, count)| (reason.clone(), *count))
        .collect();
    GatewayHeartbeat {
        at: Time(beat.at),
        clock_skew_ms: beat.skew_ms,
        clock_skew_error_ms: beat.skew_error_ms,
        uptime_s: told.uptime_s,
        listening: told.listening,
        settings_good: told.settings_good,
        certificates: told.certificates.into_iter().map(in_use).collect(),
        troubles: told.troubles,
        connections: told.connections,
        sessions: told.sessions,
        listeners: told.listeners,
        in_flight: told.in_flight,
        requests: told.relayed,
        refusals: told.refusals,
        limits_hit,
        resident_octets: told.rss,
        certificate_not_after: Some(Time(told.device_certificate_not_after)),
    }
}

/// The row of a gateway that is not retired.
fn member(r: &mut Reader, name: &str) -> Result<rows::Gateway, Refused> {
    match rows::find(r, name)? {
        Some(row) if row.state != RETIRED => Ok(row),
        _ => Err(Refused::not_found("gateway", name)),
    }
}

/// What may be asked of the lists.
#[derive(Deserialize)]
pub(super) struct ListsQuery {
    #[serde(default)]
    wait_ms: u64,
}

pub(super) async fn lists(inside: web::Data<Inside>, query: web::Query<ListsQuery>, _: Caller) -> Answer {
    if query.wait_ms > WAIT_MS {
        return Err(Refused::invalid("wait_ms", "at most 30000"));
    }
    let active = inside.active()?;
    let (blocked, routes) = active.lists.versions();
    let wanted = ListsAt { blocked, routes };
    let watching: Vec<String> =
        active.links.status().into_iter().filter(|link| link.watching).map(|link| link.name).collect();
    let limit = Duration::from_millis(query.wait_ms);
    active.lists.acknowledged_by_all(&watching, wanted, limit).await;
    let gateways: Vec<GatewayListState> = active
        .links
        .status()
        .into_iter()
        .map(|link| {
            let at = active.lists.at(&link.name);
            GatewayListState {
                gateway: link.name,
                connected: link.watching,
                blocked: at.blocked,
                routes: at.routes,
                lag: blocked.saturating_sub(at.blocked) + routes.saturating_sub(at.routes),
            }
        })
        .collect();
    let acknowledged_by_all = gateways.iter().all(|state| {
        !state.connected || ListsAt { blocked: state.blocked, routes: state.routes }.has(wanted)
    });
    answer::ok(&GatewayLists { blocked, routes, acknowledged_by_all, gateways })
}
