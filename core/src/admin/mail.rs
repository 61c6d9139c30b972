//! The outbox over the API: what went out and what did not, letters as they would go out, and where people get mail.

use actix_web::web;
use postern_api::{
    Time,
    mail::{
        Address, AddressQuery, Delivery, OutboxQuery, Preview, PreviewQuery, PutAddress, REASON,
        RetryDelivery, TestMail, Told,
    },
};
use postern_engine::mail::address::is_address;
use postern_store::{
    Reader, StoreError, admins, mail_addresses,
    mail_addresses::MailAddress,
    outbox::{self, Event, Recipients},
};
use postern_wire::terms::EventKind;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    answer::{self, Answer, Window},
    auth::Caller,
    problem::Refused,
    write::{Done, Stop},
};
use crate::inside::Inside;

const LIST: &str = "outbox";
const ADDRESSES: &str = "mail-addresses";
/// Characters of an owner's name at most.
const OWNER: usize = 250;

pub(super) async fn outbox(inside: web::Data<Inside>, query: web::Query<OutboxQuery>, _: Caller) -> Answer {
    let window = Window::read(LIST, query.limit, query.cursor.as_deref())?;
    let before: Option<Uuid> = window.place()?;
    let filter =
        outbox::Filter { state: query.state, channel: query.channel, subject: query.subject.clone() };
    let fetch = window.fetch();
    let rows = inside.store.read(move |r| outbox::list(r, &filter, before, fetch)).await?;
    answer::ok(&window.page(LIST, rows, |(row, _)| row.id.to_string(), shown))
}

pub(super) async fn delivery(inside: web::Data<Inside>, path: web::Path<String>, _: Caller) -> Answer {
    let id = id_of(&path)?;
    let found = inside.store.read(move |r| outbox::delivery(r, id)).await?;
    answer::ok(&shown(found.ok_or_else(|| Refused::not_found("delivery", id))?))
}

pub(super) async fn retry(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    body: web::Json<RetryDelivery>,
    caller: Caller,
) -> Answer {
    let body = body.into_inner();
    let reason = body.reason.map(|reason| answer::text("/reason", &reason, REASON)).transpose()?;
    let (id, replay) = (id_of(&path)?, body.replay);
    let found = inside
        .change(&caller, move |tx| {
            if outbox::delivery(tx, id)?.is_none() {
                return Err(Stop::Refused(Refused::not_found("delivery", id)));
            }
            let row = outbox::again(tx, id, replay)?;
            let detail = json!({
                "event": row.event,
                "channel": row.channel,
                "target": row.target,
                "replay": replay,
                "reason": reason,
            });
            let found = outbox::delivery(tx, id)?.ok_or(StoreError::NotFound("delivery"))?;
            Ok(Done { object: format!("delivery:{id}"), detail, value: found })
        })
        .await?;
    answer::ok(&shown(found))
}

pub(super) async fn preview(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    query: web::Query<PreviewQuery>,
    _: Caller,
) -> Answer {
    let name = path.into_inner();
    let kind: EventKind = name.parse().map_err(|_| Refused::not_found("kind of event", &name))?;
    let active = inside.active()?;
    let made =
        active.mail.preview(kind, query.event).await.map_err(|error| super::problem::internal(&error))?;
    let letter = made.ok_or_else(|| Refused::not_found("event", query.event.unwrap_or_default()))?;
    answer::ok(&Preview {
        subject: letter.subject,
        text: letter.text,
        html: letter.html,
        troubles: letter.troubles,
    })
}

pub(super) async fn test(inside: web::Data<Inside>, body: web::Json<TestMail>, caller: Caller) -> Answer {
    let to = body.into_inner().to.trim().to_owned();
    if !is_address(&to) {
        return Err(Refused::invalid("/to", "to is no address"));
    }
    let active = inside.active()?;
    let id = inside.random.id(inside.now());
    let (by, now) = (caller.name(), inside.now());
    let told = inside
        .change(&caller, move |tx| {
            let subject = format!("test:{id}");
            let event = Event {
                kind: EventKind::Test,
                subject: subject.clone(),
                device: None,
                dedupe: subject.clone(),
                data: json!({"to": to, "by": by}),
                recipients: Recipients::default(),
                owner_held_until: None,
                at: now,
            };
            outbox::put(tx, &event)?;
            Ok(Done { object: subject.clone(), detail: json!({"to": to}), value: Told { subject } })
        })
        .await?;
    active.mail.look();
    answer::json(202, &told)
}

pub(super) async fn addresses(
    inside: web::Data<Inside>,
    query: web::Query<AddressQuery>,
    _: Caller,
) -> Answer {
    let window = Window::read(ADDRESSES, query.limit, query.cursor.as_deref())?;
    let after: Option<String> = window.place()?;
    let fetch = window.fetch();
    let rows = inside.store.read(move |r| mail_addresses::list(r, after.as_deref(), fetch)).await?;
    answer::ok(&window.page(
        ADDRESSES,
        rows,
        |row| row.subject.clone(),
        |row| Address {
            subject: row.subject,
            address: row.address,
            second: row.second,
            at: Time(row.at),
            set_by: row.set_by,
        },
    ))
}

pub(super) async fn put_address(
    inside: web::Data<Inside>,
    body: web::Json<PutAddress>,
    caller: Caller,
) -> Answer {
    let body = body.into_inner();
    for (field, address) in [("/address", &body.address), ("/second", &body.second)] {
        if address.as_deref().is_some_and(|address| !is_address(address)) {
            return Err(Refused::invalid(field, "this is no address"));
        }
    }
    if body.address.is_none() && body.second.is_some() {
        return Err(Refused::invalid("/second", "a second address needs a first one"));
    }
    let by = caller.name();
    let put = inside
        .change(&caller, move |tx| {
            let subject = subject(tx, &body.subject)?;
            let before = mail_addresses::find(tx, &subject)?;
            match &body.address {
                None => {
                    mail_addresses::remove(tx, &subject)?;
                }
                Some(address) => {
                    let row = MailAddress {
                        subject: subject.clone(),
                        address: address.clone(),
                        second: body.second.clone(),
                        at: tx.now(),
                        set_by: by.clone(),
                    };
                    mail_addresses::set(tx, row)?;
                }
            }
            let before = before.map(|row| json!({"address": row.address, "second": row.second}));
            let detail = json!({"address": body.address, "second": body.second, "before": before});
            let put = PutAddress { subject: subject.clone(), ..body.clone() };
            Ok(Done { object: subject, detail, value: put })
        })
        .await?;
    answer::ok(&put)
}

/// The subject that a person means: an admin by name or id, an owner by a name that some enrolment has.
fn subject(r: &mut Reader, text: &str) -> Result<String, Stop> {
    if let Some(name) = text.strip_prefix("admin:") {
        let found = match name.parse::<Uuid>() {
            Ok(id) => admins::find(r, id)?,
            Err(_) => admins::by_name(r, name)?,
        };
        let admin = found.ok_or_else(|| Stop::Refused(Refused::not_found("admin", name)))?;
        return Ok(mail_addresses::of_admin(admin.id));
    }
    if let Some(name) = text.strip_prefix("owner:") {
        let name = answer::text("/subject", name, OWNER)?;
        return Ok(mail_addresses::of_owner(&name));
    }
    Err(Stop::Refused(Refused::invalid("/subject", "subject is admin:NAME, admin:ID or owner:NAME")))
}

fn id_of(text: &str) -> Result<Uuid, Refused> {
    text.parse().map_err(|_| Refused::not_found("delivery", text))
}

fn shown((row, entry): (outbox::Delivery, outbox::Entry)) -> Delivery {
    Delivery {
        id: row.id,
        event: row.event,
        kind: entry.kind,
        subject: entry.subject,
        at: Time(entry.at),
        channel: row.channel,
        target: row.target,
        message_id: row.message_id,
        state: row.state,
        attempts: u64::try_from(row.attempts).unwrap_or(0),
        cause: row.cause,
        since: Time(row.created_at),
        next_at: row.next_at.map(Time),
        last_at: row.last_at.map(Time),
        finished_at: row.finished_at.map(Time),
        data: serde_json::from_str(&entry.data).unwrap_or(Value::Null),
    }
}
