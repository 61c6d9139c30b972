//! For who looks into this core: log levels that change for a time, and the support bundle.

use std::{str::FromStr as _, sync::Arc};

use actix_web::web;
use postern_api::{
    Page, Permission, Time,
    problem::Slug,
    server::{LOG_MOST_S, LOG_S, LogLevel, SetLogLevel, SupportPart, SupportQuery},
};
use postern_store::enrolments;
use serde_json::{Value, json};
use tracing::Level;

use super::{
    answer::{self, Answer},
    auth::Caller,
    devices::resolve,
    problem::{Refused, internal},
    server, status,
    write::{Done, Stop},
};
use crate::{
    config::Config,
    inside::Inside,
    logs::{self, Change, Log, Whose},
    observe,
    redact::Redactor,
};

/// Characters of a module's name at most.
const MODULE: usize = 100;
/// Devices whose names are looked for in a bundle.
const DEVICES: usize = 200_000;
/// Devices that are read at once.
const READ: i64 = 2_000;

pub(super) async fn log_levels(_: Caller) -> Answer {
    answer::ok(&shown(log()?))
}

pub(super) async fn set_log_level(
    inside: web::Data<Inside>,
    body: web::Json<SetLogLevel>,
    caller: Caller,
) -> Answer {
    let log = log()?;
    let SetLogLevel { device, module, level, for_s } = body.into_inner();
    if device.is_some() && module.is_some() {
        return Err(Refused::invalid("/module", "name a device or a module, not both"));
    }
    let level = level
        .map(|text| {
            Level::from_str(&text)
                .map_err(|_| Refused::invalid("/level", "error, warn, info, debug or trace"))
        })
        .transpose()?;
    let for_s = for_s.unwrap_or(LOG_S);
    if !(1..=LOG_MOST_S).contains(&for_s) {
        return Err(Refused::invalid("/for_s", format!("1 to {LOG_MOST_S} seconds")));
    }
    let module = module.map(|module| answer::text("/module", &module, MODULE)).transpose()?;
    let until = inside.now().plus(i64::from(for_s) * 1_000);
    let whose = inside
        .change(&caller, move |tx| {
            let whose = match (&device, &module) {
                (Some(device), _) => Whose::Device(resolve(tx, device)?.id.to_string()),
                (None, module) => Whose::Module(module.clone().unwrap_or_default()),
            };
            let detail = json!({"level": level.map(|level| level.to_string()), "for_s": for_s});
            Ok::<_, Stop>(Done { object: subject(&whose), detail, value: whose })
        })
        .await?;
    match level {
        Some(level) => log
            .change(Change { whose, level, until })
            .map_err(|error| Refused::new(Slug::WrongState, error.to_string()))?,
        None => {
            log.end(&whose);
        }
    }
    answer::ok(&shown(log))
}

fn log() -> Result<&'static Arc<Log>, Refused> {
    let none = || Refused::new(Slug::WrongState, "this core shares its process with another log");
    logs::log().ok_or_else(none)
}

fn shown(log: &Log) -> Page<LogLevel> {
    let level = |change: Change| LogLevel {
        subject: subject(&change.whose),
        level: change.level.to_string().to_lowercase(),
        until: Time(change.until),
    };
    Page { items: log.changes().into_iter().map(level).collect(), next_cursor: None }
}

fn subject(whose: &Whose) -> String {
    match whose {
        Whose::Device(id) => format!("device:{id}"),
        Whose::Module(module) if module.is_empty() => "all".to_owned(),
        Whose::Module(module) => format!("module:{module}"),
    }
}

pub(super) async fn bundle(
    inside: web::Data<Inside>,
    query: web::Query<SupportQuery>,
    caller: Caller,
) -> Answer {
    let names = query.names.unwrap_or(false);
    if names {
        caller.require(Permission::DevicesRead)?;
    }
    // Who took what out stands in the audit before it is given.
    inside
        .change(&caller, move |_| {
            Ok::<_, Stop>(Done { object: "server".to_owned(), detail: json!({ "names": names }), value: () })
        })
        .await?;
    let inside: Arc<Inside> = inside.into_inner();
    let mut parts = parts(&inside).await?;
    if !names {
        let redactor = redactor(&inside).await?;
        for part in &mut parts {
            part.content = redactor.json(&part.content);
        }
    }
    answer::ok(&Page { items: parts, next_cursor: None })
}

async fn parts(inside: &Arc<Inside>) -> Result<Vec<SupportPart>, Refused> {
    let part = |name: &str, content: Value| SupportPart { part: name.to_owned(), content };
    let json = |value: Result<Value, serde_json::Error>| value.map_err(|error| internal(&error));
    let lines: Vec<Value> = logs::log()
        .map(|log| log.lines())
        .unwrap_or_default()
        .into_iter()
        .map(|line| serde_json::from_str(&line).unwrap_or(Value::String(line)))
        .collect();
    let figures = observe::figures(inside).await;
    Ok(vec![
        part(
            "about",
            json!({
                "version": env!("CARGO_PKG_VERSION"),
                "made_at": Time(inside.now()),
                "started_at": Time(inside.started_at),
                "machine": rustix::system::uname().release().to_string_lossy(),
            }),
        ),
        part("status", json(serde_json::to_value(status::status(inside).await?))?),
        part("doctor", json(serde_json::to_value(server::checks(inside).await?))?),
        part("servers", json(serde_json::to_value(server::all(inside).await?))?),
        // Secrets are in the configuration as file names, and in what stands behind a webhook's host.
        part("configuration", json(serde_json::to_value(without_paths(&inside.config)))?),
        part("metrics", figures.lines().filter(|line| !line.starts_with('#')).collect()),
        part("log", lines.into()),
    ])
}

/// Knows the names of all devices and their owners, and forgets its key with the bundle.
async fn redactor(inside: &Inside) -> Result<Redactor, Refused> {
    let mut known = Vec::new();
    let mut after = None;
    while known.len() < DEVICES * 3 {
        let page = inside
            .store
            .read(move |r| enrolments::list(r, &enrolments::Filter::default(), after, READ))
            .await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        for device in page {
            known.extend([Some(device.device_id), Some(device.name), device.owner, device.hardware_id]);
        }
    }
    let mut key = [0; 32];
    inside.random.fill(&mut key);
    Ok(Redactor::new(key, known.into_iter().flatten()))
}

/// The configuration, without the paths of webhooks: other systems put their secrets there.
fn without_paths(config: &Config) -> Config {
    let mut config = config.clone();
    for webhook in &mut config.webhooks {
        let host = webhook.url.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
        webhook.url = format!("https://{}/…", host.unwrap_or_default());
    }
    config
}
