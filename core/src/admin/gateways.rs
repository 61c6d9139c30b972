//! Gateways: what the core knows of each, and their settings documents.

use actix_web::{HttpRequest, web};
use postern_api::{
    Page, Time,
    gateways::{DocumentState, Gateway, GatewayHeartbeat, GatewaySettings, PutGatewaySettings},
    page::PageQuery,
};
use postern_store::{Reader, StoreError, gateways};
use postern_wire::link::Settings;
use serde_json::json;

use super::{
    answer::{self, Answer, IfMatch, Window},
    auth::Caller,
    devices::REASON,
    problem::{Refused, internal},
    write::{Done, Stop},
};
use crate::inside::Inside;

const VERSIONS: &str = "settings-versions";

pub(super) async fn list(inside: web::Data<Inside>, _: Caller) -> Answer {
    answer::ok(&Page { items: all(&inside).await?, next_cursor: None })
}

pub(super) async fn show(inside: web::Data<Inside>, path: web::Path<String>, _: Caller) -> Answer {
    let name = path.into_inner();
    let found = all(&inside).await?.into_iter().find(|gateway| gateway.name == name);
    answer::ok(&found.ok_or_else(|| Refused::not_found("gateway", &name))?)
}

/// Every configured gateway, in order of name.
pub(super) async fn all(inside: &Inside) -> Result<Vec<Gateway>, Refused> {
    let rows = inside.store.read(gateways::list).await?;
    let active = inside.active.load_full();
    let links = active.as_ref().map(|active| active.links.status()).unwrap_or_default();
    let mut all: Vec<Gateway> = inside
        .config
        .gateways
        .iter()
        .map(|configured| {
            let row = rows.iter().find(|row| row.name == configured.name);
            let link = links.iter().find(|link| link.name == configured.name);
            let beat = inside.beat(&configured.name);
            let state = match link {
                None => "standby",
                Some(link) if link.watching => "connected",
                Some(link) if link.last_error.is_some() => "unreachable",
                Some(_) => "connecting",
            };
            let lists = active.as_ref().map_or((0, 0), |active| active.lists.versions());
            Gateway {
                name: configured.name.clone(),
                address: configured.address.clone(),
                state: state.to_owned(),
                since: link.and_then(|link| link.last_hello).filter(|_| state == "connected").map(Time),
                error: link.and_then(|link| link.last_error.clone()),
                version: link.and_then(|link| link.version.clone()),
                links: link.map_or(0, |link| link.request_links),
                documents: documents(row, beat.as_ref(), lists),
                link_certificate_not_after: beat
                    .as_ref()
                    .map(|beat| Time(beat.heartbeat.link_certificate_not_after)),
                heartbeat: beat.map(heartbeat),
            }
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

fn documents(
    row: Option<&gateways::Gateway>,
    beat: Option<&crate::inside::Beat>,
    (blocked, routes): (u64, u64),
) -> Vec<DocumentState> {
    let number = |n: i64| u64::try_from(n).unwrap_or(0);
    let wanted = row.map_or(0, |row| number(row.settings_wanted));
    let settings_in_force = row.map(|row| number(row.settings_in_force));
    let rejected = row.and_then(|row| row.settings_rejected.clone());
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
        state("settings", wanted, settings_in_force, rejected),
        state("blocked", blocked, beat.map(|beat| beat.heartbeat.blocked), None),
        state("routes", routes, beat.map(|beat| beat.heartbeat.routes), None),
    ]
}

fn heartbeat(beat: crate::inside::Beat) -> GatewayHeartbeat {
    let told = beat.heartbeat;
    GatewayHeartbeat {
        at: Time(beat.at),
        clock_skew_ms: told.clock.since(beat.at),
        connections: told.connections,
        in_flight: told.in_flight,
        requests: told.relayed,
        refusals: told.refusals,
        resident_octets: told.rss,
        certificate_not_after: Some(Time(told.device_certificate_not_after)),
    }
}

fn known(inside: &Inside, name: &str) -> Result<(), Refused> {
    if inside.config.gateways.iter().any(|gateway| gateway.name == name) {
        return Ok(());
    }
    Err(Refused::not_found("gateway", name))
}

pub(super) async fn settings(inside: web::Data<Inside>, path: web::Path<String>, _: Caller) -> Answer {
    let name = path.into_inner();
    known(&inside, &name)?;
    let settings = inside.store.read(move |r| current(r, &name)).await?;
    answer::tagged(200, settings.version, &settings)
}

/// The newest document; a gateway without one has the defaults, as version 0.
fn current(r: &mut Reader, name: &str) -> Result<GatewaySettings, StoreError> {
    let row = gateways::find(r, name)?;
    match gateways::settings(r, name, None)? {
        Some(settings) => Ok(view(settings, row.as_ref())),
        None => Ok(GatewaySettings {
            version: 0,
            created_at: Time(row.map_or_else(Default::default, |row| row.added_at)),
            created_by: "default".to_owned(),
            sha256: Settings::default().digest(),
            state: "in-force".to_owned(),
            rejected: None,
            document: serde_json::to_value(Settings::default()).unwrap_or_default(),
        }),
    }
}

fn view(settings: gateways::Settings, row: Option<&gateways::Gateway>) -> GatewaySettings {
    let rejected = row
        .and_then(|row| row.settings_rejected.as_deref()?.strip_prefix(&format!("{}: ", settings.version)))
        .map(str::to_owned);
    let state = match row {
        Some(row) if row.settings_in_force == settings.version => "in-force",
        Some(row) if row.settings_wanted != settings.version => "replaced",
        _ if rejected.is_some() => "rejected",
        _ => "pending",
    };
    GatewaySettings {
        version: u64::try_from(settings.version).unwrap_or(0),
        created_at: Time(settings.at),
        created_by: settings.actor,
        sha256: data_encoding::HEXLOWER.encode(&settings.sha256),
        state: state.to_owned(),
        rejected,
        document: serde_json::from_str(&settings.document).unwrap_or_default(),
    }
}

pub(super) async fn put_settings(
    inside: web::Data<Inside>,
    request: HttpRequest,
    path: web::Path<String>,
    body: web::Json<PutGatewaySettings>,
    caller: Caller,
) -> Answer {
    let name = path.into_inner();
    known(&inside, &name)?;
    let if_match = IfMatch::read(&request)?;
    let body = body.into_inner();
    let reason = answer::optional_text("/reason", body.reason.as_deref(), REASON)?;
    // Checked once before the transaction, so that a bad document is refused whatever its version is.
    read(&body.document, 1)?;
    let active = inside.active()?;
    let by = caller.name();
    let gateway = name.clone();
    let (settings, document) = inside
        .change(&caller, move |tx| {
            let row = gateways::find(tx, &gateway)?.ok_or_else(|| Refused::not_found("gateway", &gateway))?;
            if_match.check(u64::try_from(row.settings_wanted).unwrap_or(0))?;
            let settings = read(&body.document, u64::try_from(row.settings_wanted).unwrap_or(0) + 1)?;
            let text = serde_json::to_string(&settings).map_err(|error| internal(&error))?;
            let digest = data_encoding::HEXLOWER
                .decode(settings.digest().as_bytes())
                .ok()
                .and_then(|octets| octets.try_into().ok())
                .ok_or_else(|| internal(&"a digest that is not 32 octets"))?;
            gateways::add_settings(tx, &gateway, &text, digest, &by)?;
            let detail = json!({"version": settings.version, "reason": reason});
            let value = (current(tx, &gateway)?, settings);
            Ok::<_, Stop>(Done { object: format!("gateway:{gateway}"), detail, value })
        })
        .await?;
    active.lists.publish_settings(&name, &document).map_err(|error| internal(&error))?;
    answer::tagged(200, settings.version, &settings)
}

/// Reads and checks a document, as the gateway will, under the version that it gets.
fn read(document: &serde_json::Value, version: u64) -> Result<Settings, Refused> {
    let mut document = document.clone();
    match document.as_object_mut() {
        Some(fields) => fields.insert("version".to_owned(), version.into()),
        None => return Err(Refused::invalid("/document", "a settings document is a JSON object")),
    };
    Settings::read(&document).map_err(|error| Refused::invalid("/document", error.to_string()))
}

pub(super) async fn versions(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    query: web::Query<PageQuery>,
    _: Caller,
) -> Answer {
    let name = path.into_inner();
    known(&inside, &name)?;
    let window = Window::read(VERSIONS, query.limit, query.cursor.as_deref())?;
    let before: Option<u64> = window.place()?;
    let rows = inside
        .store
        .read(move |r| {
            let row = gateways::find(r, &name)?;
            let history = gateways::settings_history(r, &name, 10_000)?;
            Ok(history.into_iter().map(|settings| view(settings, row.as_ref())).collect::<Vec<_>>())
        })
        .await?;
    let rows = rows.into_iter().filter(|row| before.is_none_or(|before| row.version < before)).collect();
    answer::ok(&window.page(VERSIONS, rows, |row| row.version.to_string(), |row| row))
}
