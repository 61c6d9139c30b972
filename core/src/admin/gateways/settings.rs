//! Settings documents of one gateway.

use actix_web::{HttpRequest, web};
use postern_actors::gcm::{self, GatewaySettingsError, Gcm};
use postern_api::{
    Time,
    gateways::{
        FallenSettings, GatewaySettingValue, GatewaySettings, PutGatewaySettings, RollBackGatewaySettings,
    },
    page::PageQuery,
    problem::Slug,
};
use postern_store::{Reader, StoreError, gateways as rows};
use postern_wire::link::Settings;
use serde_json::{Value, json};

use super::{
    super::{
        answer::{self, Answer, IfMatch, Window},
        auth::Caller,
        devices::REASON,
        problem::Refused,
        write::{Done, Stop},
    },
    member,
};
use crate::inside::Inside;

const VERSIONS: &str = "settings-versions";

pub(in crate::admin) async fn show_settings(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    _: Caller,
) -> Answer {
    let name = path.into_inner();
    let settings =
        inside.store.read(move |r| Ok(member(r, &name).and_then(|row| Ok(current(r, &row)?)))).await??;
    answer::tagged(200, settings.newest, &settings)
}

/// The document that a gateway is to have; one without a document has the defaults, as version 0.
fn current(r: &mut Reader, row: &rows::Gateway) -> Result<GatewaySettings, StoreError> {
    let explained = gcm::explain(r, row)?;
    let newest = rows::settings(r, &row.name, Some(row.settings_newest))?;
    let mut view = match rows::settings(r, &row.name, Some(row.settings_wanted))? {
        Some(settings) => view(settings, row),
        None => GatewaySettings { created_at: Time(row.added_at), ..unset(row) },
    };
    view.values = explained
        .settings
        .into_iter()
        .map(|setting| GatewaySettingValue {
            key: setting.key,
            value: setting.value,
            from: setting.from.as_str().to_owned(),
        })
        .collect();
    view.fallen = newest
        .filter(|newest| newest.version != row.settings_wanted && newest.state == "rejected")
        .map(|newest| FallenSettings {
            version: number(newest.version),
            at: Time(newest.answered_at.unwrap_or(newest.at)),
            because: newest.answer.unwrap_or_default(),
        });
    Ok(view)
}

fn unset(row: &rows::Gateway) -> GatewaySettings {
    GatewaySettings {
        version: 0,
        newest: number(row.settings_newest),
        created_at: Time(row.added_at),
        created_by: "default".to_owned(),
        reason: None,
        sha256: Settings::default().digest(),
        state: "in-force".to_owned(),
        rejected: None,
        pushed_at: None,
        answered_at: None,
        good_at: None,
        in_force: number(row.settings_in_force),
        last_good: number(row.settings_good),
        fallen: None,
        document: serde_json::to_value(Settings::default()).unwrap_or_default(),
        own: json!({}),
        defaults: 0,
        values: Vec::new(),
    }
}

fn number(version: i64) -> u64 {
    u64::try_from(version).unwrap_or(0)
}

fn view(settings: rows::Settings, row: &rows::Gateway) -> GatewaySettings {
    let state = match settings.state.as_str() {
        "rejected" => "rejected",
        _ if row.settings_wanted != settings.version => "replaced",
        _ if row.settings_in_force == settings.version => "in-force",
        _ => "pending",
    };
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    GatewaySettings {
        version: number(settings.version),
        created_at: Time(settings.at),
        created_by: settings.actor,
        reason: settings.reason,
        sha256: data_encoding::HEXLOWER.encode(&settings.sha256),
        state: state.to_owned(),
        rejected: settings.answer,
        pushed_at: settings.pushed_at.map(Time),
        answered_at: settings.answered_at.map(Time),
        good_at: settings.good_at.map(Time),
        document: read(&settings.document),
        own: read(&settings.own),
        defaults: number(settings.defaults),
        ..unset(row)
    }
}

pub(in crate::admin) async fn put_settings(
    inside: web::Data<Inside>,
    request: HttpRequest,
    path: web::Path<String>,
    body: web::Json<PutGatewaySettings>,
    caller: Caller,
) -> Answer {
    let name = path.into_inner();
    let if_match = IfMatch::read(&request)?;
    let body = body.into_inner();
    let reason = answer::optional_text("/reason", body.reason.as_deref(), REASON)?;
    let own = gcm::checked(&body.document).map_err(refused)?;
    inside.active()?;
    let by = caller.name();
    let gateway = name.clone();
    inside
        .change(&caller, move |tx| {
            let row = member(tx, &gateway)?;
            if_match.check(number(row.settings_newest))?;
            let version = Gcm::set_own(tx, &gateway, &own, reason.as_deref(), &by).map_err(stop)?;
            let detail = json!({"version": version, "reason": reason});
            Ok::<_, Stop>(Done { object: format!("gateway:{gateway}"), detail, value: () })
        })
        .await?;
    publish(&inside, &name).await
}

pub(in crate::admin) async fn roll_back(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    body: web::Json<RollBackGatewaySettings>,
    caller: Caller,
) -> Answer {
    let name = path.into_inner();
    let body = body.into_inner();
    let reason = answer::optional_text("/reason", body.reason.as_deref(), REASON)?;
    inside.active()?;
    let by = caller.name();
    let gateway = name.clone();
    inside
        .change(&caller, move |tx| {
            let row = member(tx, &gateway)?;
            let to = match body.version {
                Some(version) => i64::try_from(version).unwrap_or(i64::MAX),
                None => before(tx, &row)?,
            };
            let own = match to {
                0 => json!({}),
                to => gcm::roll_back_own(tx, &gateway, to)?
                    .ok_or_else(|| Refused::not_found("settings version", to))?,
            };
            let version = Gcm::set_own(tx, &gateway, &own, reason.as_deref(), &by).map_err(stop)?;
            let detail = json!({"version": version, "back_to": to, "reason": reason});
            Ok::<_, Stop>(Done { object: format!("gateway:{gateway}"), detail, value: () })
        })
        .await?;
    publish(&inside, &name).await
}

/// The last version before the wanted one that had proved good; 0 when none had.
fn before(r: &mut Reader, row: &rows::Gateway) -> Result<i64, StoreError> {
    let history = rows::settings_history(r, &row.name, 1_000)?;
    let good =
        history.iter().find(|version| version.version < row.settings_wanted && version.good_at.is_some());
    Ok(good.map_or(0, |version| version.version))
}

async fn publish(inside: &Inside, name: &str) -> Answer {
    let gcm = inside.active()?.gcm.clone();
    gcm.publish(name).await?;
    gcm.wake();
    let name = name.to_owned();
    let settings =
        inside.store.read(move |r| Ok(member(r, &name).and_then(|row| Ok(current(r, &row)?)))).await??;
    answer::tagged(200, settings.newest, &settings)
}

pub(in crate::admin) async fn versions(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    query: web::Query<PageQuery>,
    _: Caller,
) -> Answer {
    let name = path.into_inner();
    let window = Window::read(VERSIONS, query.limit, query.cursor.as_deref())?;
    let before: Option<u64> = window.place()?;
    let rows = inside
        .store
        .read(move |r| {
            let row = match member(r, &name) {
                Ok(row) => row,
                Err(refused) => return Ok(Err(refused)),
            };
            let history = rows::settings_history(r, &name, 10_000)?;
            Ok(Ok(history.into_iter().map(|settings| view(settings, &row)).collect::<Vec<_>>()))
        })
        .await??;
    let rows = rows.into_iter().filter(|row| before.is_none_or(|before| row.version < before)).collect();
    answer::ok(&window.page(VERSIONS, rows, |row| row.version.to_string(), |row| row))
}

pub(super) fn refused(error: GatewaySettingsError) -> Refused {
    match error {
        GatewaySettingsError::Document(what) => Refused::invalid("/document", what),
        GatewaySettingsError::Store(error) => error.into(),
    }
}

pub(super) fn stop(error: GatewaySettingsError) -> Stop {
    match error {
        GatewaySettingsError::Document(what) => Refused::new(Slug::InvalidRequest, what).into(),
        GatewaySettingsError::Store(error) => error.into(),
    }
}
