//! Gateways come and go: bundles, retirement, certificates.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use actix_web::web;
use postern_actors::gcm::{Gcm, NewJoin};
use postern_api::{
    Page, Time,
    gateways::{
        AddGateway, GatewayBundle, GatewayCertificate, ImportGatewayCertificate, RenewGatewayCertificate,
        RetireGateway, RetiredGateway, RevokedGatewayCertificate,
    },
    problem::Slug,
};
use postern_store::{Reader, captures, gateway_certificates as rows, gateways};
use postern_wire::link::{
    BlockedEntry, PortRole, Settings, WatchLine,
    join::{BUNDLE_FORMAT, BUNDLE_HOURS, Bundle, JoinSecret},
};
use serde_json::json;

use super::{
    super::{
        answer::{self, Answer},
        auth::Caller,
        devices::REASON,
        problem::{Refused, internal},
        write::{Done, Keep, Stop},
    },
    heartbeat, member,
};
use crate::{
    config,
    inside::{Active, Inside},
};

/// The longest address, in characters.
const ADDRESS: usize = 300;
/// The longest chain, in octets.
const CHAIN: usize = 64 * 1024;
/// A gateway that is retired has so long to put its things away.
const PUT_AWAY: Duration = Duration::from_secs(10);
/// A bundle holds a minute at least and 30 days at most.
const MINUTES: std::ops::RangeInclusive<u32> = 1..=43_200;

pub(in crate::admin) async fn add(
    inside: web::Data<Inside>,
    body: web::Json<AddGateway>,
    caller: Caller,
) -> Answer {
    let asked = body.into_inner();
    let reason = answer::optional_text("/reason", asked.reason.as_deref(), REASON)?;
    let (new, link_port) = check(&inside, &asked)?;
    let active = inside.active()?;
    let mut octets = [0; 32];
    inside.random.fill(&mut octets);
    let secret = JoinSecret::new(octets);
    let link_authority = crate::files::read(&inside.config.at(&inside.config.links.ca))
        .map_err(|error| Refused::new(Slug::Unavailable, error.to_string()))?;
    let (gcm, by) = (active.gcm.clone(), caller.name());
    let name = new.name.clone();
    // What the commit blocks; the answer that is kept does not hold it.
    let blocked: Arc<Mutex<Vec<BlockedEntry>>> = Arc::default();
    let slot = Arc::clone(&blocked);
    let bundle = inside
        .change_once(&caller, Keep::Sealed(201), move |tx| {
            if captures::find(tx, &new.name)?.is_some() {
                let why = "a gateway of this name was in other hands: a new one needs another name";
                return Err(Refused::new(Slug::WrongState, why).into());
            }
            let known = gateways::find(tx, &new.name)?;
            if known.as_ref().is_some_and(|row| row.state != gateways::RETIRED) && !asked.replace {
                return Err(Refused::new(
                    Slug::AlreadyExists,
                    format!("there is a gateway {:?}; to put a new one in its place: --replace", new.name),
                )
                .into());
            }
            if known
                .is_some_and(|row| row.origin == gateways::CONFIGURATION && row.state != gateways::RETIRED)
            {
                let why = "it stands in the core's configuration: retire it, or take it out there first";
                return Err(Refused::new(Slug::WrongState, why).into());
            }
            let (id, blocked) = gcm.expect(tx, &new, &secret, &by)?;
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = blocked;
            let bundle = Bundle {
                bundle: BUNDLE_FORMAT,
                gateway: new.name.clone(),
                id,
                link_port,
                link_authority: link_authority.clone(),
                secret: secret.clone(),
                expires_at: new.expires_at,
            };
            let detail = json!({
                "address": new.address, "names": new.names, "expires_at": Time(new.expires_at),
                "replace": asked.replace, "reason": reason,
            });
            let value = GatewayBundle {
                gateway: new.name.clone(),
                expires_at: Time(new.expires_at),
                bundle: serde_json::to_value(bundle).map_err(|error| internal(&error))?,
            };
            Ok::<_, Stop>(Done { object: format!("gateway:{}", new.name), detail, value })
        })
        .await?;
    let blocked = std::mem::take(&mut *blocked.lock().unwrap_or_else(PoisonError::into_inner));
    block(&inside, &active, blocked);
    active.gcm.hang_up(&name).await;
    active.gcm.wake();
    answer::json(201, &bundle)
}

fn check(inside: &Inside, asked: &AddGateway) -> Result<(NewJoin, u16), Refused> {
    if !config::is_gateway_name(&asked.name) {
        return Err(Refused::invalid("/name", "use lower-case letters, digits and hyphens, at most 63"));
    }
    let address = answer::text("/address", &asked.address, ADDRESS)?;
    let port = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    let link_port = match port {
        Some((host, port)) if !host.is_empty() && port > 0 => port,
        _ => return Err(Refused::invalid("/address", "HOST:PORT of the gateway's link port")),
    };
    let names = Settings { device_names: asked.names.clone(), ..Settings::default() };
    names.check().map_err(|error| Refused::invalid("/names", error.to_string()))?;
    let minutes = asked.minutes.unwrap_or(BUNDLE_HOURS * 60);
    if !MINUTES.contains(&minutes) {
        return Err(Refused::invalid("/minutes", "1 to 43200"));
    }
    let expires_at = inside.now().plus(i64::from(minutes) * 60_000);
    Ok((NewJoin { name: asked.name.clone(), address, names: asked.names.clone(), expires_at }, link_port))
}

pub(in crate::admin) async fn retire(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    body: web::Json<RetireGateway>,
    caller: Caller,
) -> Answer {
    let name = path.into_inner();
    let reason = answer::text("/reason", &body.reason, REASON)?;
    let active = inside.active()?;
    let beat = inside.beat(&name);
    let gateway = name.clone();
    let leaving = active.gcm.leaving(&name);
    let retired = inside
        .change(&caller, move |tx| {
            member(tx, &gateway)?;
            let retired = Gcm::retire(tx, &gateway, &reason)?;
            let detail = json!({"reason": reason, "revoked": retired.revoked});
            Ok::<_, Stop>(Done { object: format!("gateway:{gateway}"), detail, value: retired })
        })
        .await?;
    block(&inside, &active, retired.blocked);
    let put_away = active.gcm.let_go(leaving, PUT_AWAY).await;
    active.gcm.wake();
    answer::ok(&RetiredGateway {
        gateway: name,
        put_away,
        revoked: retired
            .revoked
            .into_iter()
            .map(|(port, serial)| RevokedGatewayCertificate { port, serial })
            .collect(),
        heartbeat: beat.map(heartbeat),
    })
}

/// Tells of certificates that were revoked, and has the CRLs made anew.
fn block(inside: &Inside, active: &Active, blocked: Vec<BlockedEntry>) {
    if !blocked.is_empty() {
        active.told.block(blocked, Vec::new());
    }
    inside.certificates_due.notify_one();
}

pub(in crate::admin) async fn certificates(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    _: Caller,
) -> Answer {
    let name = path.into_inner();
    let kept =
        inside.store.read(move |r| Ok(known(r, &name).and_then(|name| Ok(rows::of(r, &name)?)))).await??;
    answer::ok(&Page { items: kept.into_iter().map(view).collect::<Vec<_>>(), next_cursor: None })
}

fn known(r: &mut Reader, name: &str) -> Result<String, Refused> {
    match gateways::find(r, name)? {
        Some(row) => Ok(row.name),
        None => Err(Refused::not_found("gateway", name)),
    }
}

fn view(kept: rows::Certificate) -> GatewayCertificate {
    let state = match (&kept.revoked_at, &kept.chain) {
        (Some(_), _) => "revoked",
        (None, Some(_)) => "issued",
        (None, None) => "waiting",
    };
    GatewayCertificate {
        port: kept.role,
        key_hash: kept.key_hash,
        asked_at: Time(kept.asked_at),
        state: state.to_owned(),
        request: kept.request,
        serial: kept.serial,
        not_after: kept.not_after.map(Time),
    }
}

pub(in crate::admin) async fn renew(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    body: web::Json<RenewGatewayCertificate>,
    caller: Caller,
) -> Answer {
    let name = path.into_inner();
    let role = match body.port.as_str() {
        "link" => PortRole::Link,
        "server" => PortRole::Server,
        _ => return Err(Refused::invalid("/port", "link or server")),
    };
    let active = inside.active()?;
    if !active.links.status().iter().any(|link| link.name == name && link.watching) {
        return Err(Refused::new(Slug::WrongState, format!("gateway {name:?} is not connected")));
    }
    let gateway = name.clone();
    inside
        .change(&caller, move |tx| {
            member(tx, &gateway)?;
            let detail = json!({"port": role.as_str()});
            Ok::<_, Stop>(Done { object: format!("gateway:{gateway}"), detail, value: () })
        })
        .await?;
    active.gcm.tell(&name, WatchLine::Renew { role });
    answer::nothing()
}

pub(in crate::admin) async fn import(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    body: web::Json<ImportGatewayCertificate>,
    caller: Caller,
) -> Answer {
    let name = path.into_inner();
    let chain = body.into_inner().chain;
    if chain.len() > CHAIN {
        return Err(Refused::invalid("/chain", "at most 64 KiB"));
    }
    let active = inside.active()?;
    let (gcm, gateway) = (active.gcm.clone(), name.clone());
    let text = chain.clone();
    let kept = inside
        .change(&caller, move |tx| {
            member(tx, &gateway)?;
            let read =
                gcm.take_external(tx, &gateway, &text)?.map_err(|why| Refused::invalid("/chain", why))?;
            let kept =
                rows::of(tx, &gateway)?.into_iter().find(|kept| kept.serial.as_ref() == Some(&read.serial));
            let kept = kept.ok_or_else(|| Refused::not_found("certificate", &read.serial))?;
            let detail = json!({"serial": read.serial, "until": Time(read.not_after)});
            Ok::<_, Stop>(Done { object: format!("gateway:{gateway}"), detail, value: kept })
        })
        .await?;
    active.gcm.tell(&name, WatchLine::Certificate { role: PortRole::Server, chain });
    answer::ok(&view(kept))
}
