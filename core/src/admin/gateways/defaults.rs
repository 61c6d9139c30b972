//! What is set for all gateways, and its roll-out.

use actix_web::{HttpRequest, web};
use postern_actors::gcm;
use postern_api::{
    Time,
    gateways::{GatewayDefaults, PutGatewaySettings, RollOutStep},
    problem::Slug,
};
use postern_store::{
    Reader, StoreError, gateway_defaults as rows,
    gateways::{self, ACTIVE},
};
use serde_json::{Value, json};

use super::{
    super::{
        answer::{self, Answer, IfMatch},
        auth::Caller,
        devices::REASON,
        problem::Refused,
        write::{Done, Stop},
    },
    settings::refused,
};
use crate::inside::Inside;

pub(in crate::admin) async fn show_defaults(inside: web::Data<Inside>, _: Caller) -> Answer {
    answered(&inside).await
}

async fn answered(inside: &Inside) -> Answer {
    let view = inside.store.read(view).await?;
    answer::tagged(200, view.version, &view)
}

fn view(r: &mut Reader) -> Result<GatewayDefaults, StoreError> {
    let number = |version: i64| u64::try_from(version).unwrap_or(0);
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let counts = rows::in_force(r)?;
    let in_force = counts.as_ref().map_or(0, |row| number(row.version));
    let in_force_document = counts.map_or(json!({}), |row| read(&row.document));
    let Some(newest) = rows::newest(r)? else {
        return Ok(GatewayDefaults {
            version: 0,
            in_force: 0,
            state: rows::IN_FORCE.to_owned(),
            because: None,
            created_at: None,
            created_by: None,
            reason: None,
            document: json!({}),
            in_force_document,
            steps: Vec::new(),
        });
    };
    let step = |step: rows::Step| RollOutStep {
        gateway: step.gateway,
        state: step.state,
        version: (step.version > 0).then(|| number(step.version)),
        because: step.because,
        at: Time(step.at),
    };
    Ok(GatewayDefaults {
        steps: rows::steps(r, newest.version)?.into_iter().map(step).collect(),
        version: number(newest.version),
        in_force,
        state: newest.state,
        because: newest.because,
        created_at: Some(Time(newest.at)),
        created_by: Some(newest.actor),
        reason: newest.reason,
        document: read(&newest.document),
        in_force_document,
    })
}

pub(in crate::admin) async fn put_defaults(
    inside: web::Data<Inside>,
    request: HttpRequest,
    body: web::Json<PutGatewaySettings>,
    caller: Caller,
) -> Answer {
    let if_match = IfMatch::read(&request)?;
    let body = body.into_inner();
    let reason = answer::optional_text("/reason", body.reason.as_deref(), REASON)?;
    let document = gcm::checked(&body.document).map_err(refused)?;
    let active = inside.active()?;
    let by = caller.name();
    // Who is connected goes first: a roll-out that begins with an absent gateway has nothing to go by.
    let connected: Vec<String> =
        active.links.status().into_iter().filter(|link| link.watching).map(|link| link.name).collect();
    inside
        .change(&caller, move |tx| {
            let newest = rows::newest(tx)?;
            if_match.check(newest.as_ref().map_or(0, |row| u64::try_from(row.version).unwrap_or(0)))?;
            if newest.is_some_and(|row| row.state == rows::RUNNING) {
                return Err(Refused::new(
                    Slug::WrongState,
                    "a roll-out is running: wait for its end, or stop it with `gateway settings stop`",
                )
                .into());
            }
            let members = gateways::list(tx)?.into_iter().filter(|row| row.state == ACTIVE);
            let mut names: Vec<String> = members.map(|row| row.name).collect();
            names.sort_by_key(|name| !connected.contains(name));
            let version = rows::add(tx, &document.to_string(), &by, reason.as_deref(), &names)?;
            let detail = json!({"version": version, "gateways": names, "reason": reason});
            Ok::<_, Stop>(Done { object: format!("gateway-defaults:{version}"), detail, value: () })
        })
        .await?;
    active.gcm.wake();
    answered(&inside).await
}

pub(in crate::admin) async fn stop_roll_out(inside: web::Data<Inside>, caller: Caller) -> Answer {
    let active = inside.active()?;
    let by = caller.name();
    inside
        .change(&caller, move |tx| {
            let running = rows::newest(tx)?.filter(|row| row.state == rows::RUNNING);
            let running = running.ok_or_else(|| Refused::new(Slug::WrongState, "no roll-out is running"))?;
            rows::end(tx, running.version, rows::STOPPED, Some(&format!("stopped by {by}")))?;
            let object = format!("gateway-defaults:{}", running.version);
            Ok::<_, Stop>(Done { object, detail: Value::Null, value: () })
        })
        .await?;
    active.gcm.wake();
    answered(&inside).await
}
