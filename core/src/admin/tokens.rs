//! Tokens: made with their text shown once, listed, revoked.

use actix_web::web;
use postern_api::{
    Permission, Time,
    devices::ReasonQuery,
    page::PageQuery,
    problem::Slug,
    tokens::{CreateToken, CreatedToken, Token},
};
use postern_store::{Reader, StoreError, admins, tokens};
use postern_wire::{link::Network, terms::UtcMillis};
use serde_json::json;
use uuid::Uuid;

use super::{
    admins::find,
    answer::{self, Answer, Window},
    auth::{self, Caller},
    devices::REASON,
    problem::Refused,
    write::{Done, Keep, Stop},
};
use crate::{ca::DAY_MS, init::new_token, inside::Inside};

const LIST: &str = "tokens";
/// Longest name, in characters.
const NAME: usize = 128;
/// Most networks of one token.
const NETWORKS: usize = 64;
/// How long a token holds when nobody says, in days.
const DAYS: i64 = 90;
/// The longest that a token may hold, in days.
const MOST_DAYS: i64 = 366;

pub(super) async fn list(inside: web::Data<Inside>, query: web::Query<PageQuery>, _: Caller) -> Answer {
    let window = Window::read(LIST, query.limit, query.cursor.as_deref())?;
    let before: Option<Uuid> = window.place()?;
    let fetch = usize::try_from(window.fetch()).unwrap_or(usize::MAX);
    let rows = inside
        .store
        .read(move |r| {
            let rows = tokens::list(r, None)?;
            let page = rows.into_iter().filter(|row| before.is_none_or(|before| row.id < before)).take(fetch);
            page.map(|row| view(r, row)).collect::<Result<Vec<_>, _>>()
        })
        .await?;
    answer::ok(&window.page(LIST, rows, |token| token.id.to_string(), |token| token))
}

fn view(r: &mut Reader, row: tokens::Token) -> Result<Token, StoreError> {
    let admin = admins::find(r, row.admin)?;
    Ok(Token {
        id: row.id,
        name: row.label,
        admin: row.admin,
        admin_name: admin.map(|admin| admin.name).unwrap_or_default(),
        created_at: Time(row.created_at),
        expires_at: row.expires_at.map(Time),
        last_used_at: row.last_used_at.map(Time),
        revoked_at: row.revoked_at.map(Time),
        scope: auth::scope(&row.scope),
        networks: row.networks.split(',').filter(|text| !text.is_empty()).map(str::to_owned).collect(),
    })
}

pub(super) async fn create(
    inside: web::Data<Inside>,
    body: web::Json<CreateToken>,
    caller: Caller,
) -> Answer {
    let body = body.into_inner();
    let name = answer::text("/name", &body.name, NAME)?;
    let expires_at = expiry(inside.now(), body.expires_at)?;
    let networks = networks(&body.networks)?;
    let scope = scope(&caller, body.scope)?;
    let whose = body.admin.unwrap_or_else(|| caller.admin.id.to_string());
    let own = caller.admin.id;
    let secret = new_token(inside.random.as_ref());
    let hash = tokens::hash(secret.as_bytes());
    let created = inside
        .change_once(&caller, Keep::Sealed(201), move |tx| {
            let admin = find(tx, &whose)?;
            let row = tokens::Token {
                id: tx.fresh_id(),
                admin: admin.id,
                label: name.clone(),
                hash,
                scope: scope.clone(),
                networks: networks.clone(),
                created_at: tx.now(),
                expires_at: Some(expires_at),
                revoked_at: None,
                last_used_at: None,
                last_used_from: None,
                // One that another made for an admin does not approve at once: it would be both persons.
                may_approve_from: if admin.id == own { tx.now() } else { tx.now().plus(DAY_MS) },
            };
            tokens::insert(tx, row.clone())?;
            let detail = json!({
                "name": name, "admin": admin.name, "expires_at": Time(expires_at), "scope": scope, "networks": networks,
            });
            let object = format!("token:{}", row.id);
            let value = CreatedToken { token: view(tx, row)?, secret: secret.clone() };
            Ok::<_, Stop>(Done { object, detail, value })
        })
        .await?;
    answer::json(201, &created)
}

fn expiry(now: UtcMillis, asked: Option<Time>) -> Result<UtcMillis, Refused> {
    let at = asked.map_or(now.plus(DAYS * DAY_MS), |time| time.0);
    if at <= now || at > now.plus(MOST_DAYS * DAY_MS) {
        return Err(Refused::invalid(
            "/expires_at",
            format!("a token holds from now on, {MOST_DAYS} days at most"),
        ));
    }
    Ok(at)
}

fn networks(asked: &[String]) -> Result<String, Refused> {
    if asked.len() > NETWORKS {
        return Err(Refused::invalid("/networks", format!("at most {NETWORKS} networks")));
    }
    let mut read = Vec::new();
    for (at, text) in asked.iter().enumerate() {
        let network: Network = text.parse().map_err(|_| {
            Refused::invalid(&format!("/networks/{at}"), "write a network as 192.0.2.0/24 or 2001:db8::/32")
        })?;
        read.push(network.to_string());
    }
    Ok(read.join(","))
}

/// The scope's column. Who has a narrowed token makes none that may more.
fn scope(caller: &Caller, asked: Option<Vec<Permission>>) -> Result<String, Refused> {
    let asked = match (asked, &caller.scope) {
        (None, None) => return Ok("*".to_owned()),
        (None, Some(own)) => own.clone(),
        (Some(asked), None) => asked,
        (Some(asked), Some(own)) => {
            if let Some(beyond) = asked.iter().find(|permission| !own.contains(permission)) {
                return Err(Refused::new(
                    Slug::Forbidden,
                    format!("your own token is narrowed and does not hold {}", beyond.as_str()),
                ));
            }
            asked
        }
    };
    if asked.is_empty() {
        return Err(Refused::invalid("/scope", "a scope names at least one permission"));
    }
    Ok(asked.iter().map(|permission| permission.as_str()).collect::<Vec<_>>().join(","))
}

pub(super) async fn revoke(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    query: web::Query<ReasonQuery>,
    caller: Caller,
) -> Answer {
    let reason = answer::optional_text("reason", query.reason.as_deref(), REASON)?;
    let text = path.into_inner();
    let id = Uuid::try_parse(&text).map_err(|_| Refused::not_found("token", &text))?;
    let token = inside
        .change(&caller, move |tx| {
            let known = |tx: &mut Reader| -> Result<tokens::Token, Stop> {
                let found = tokens::list(tx, None)?.into_iter().find(|row| row.id == id);
                found.ok_or_else(|| Refused::not_found("token", id).into())
            };
            known(tx)?;
            if !tokens::revoke(tx, id)? {
                return Err(Refused::new(Slug::WrongState, "the token is revoked already").into());
            }
            let row = known(tx)?;
            let detail = json!({"name": row.label, "reason": reason});
            Ok(Done { object: format!("token:{id}"), detail, value: view(tx, row)? })
        })
        .await?;
    answer::ok(&token)
}
