//! Alarms: the list, and that somebody saw one.

use actix_web::web;
use postern_api::{
    Time,
    alarms::{AcknowledgeAlarm, Alarm, AlarmCounts, AlarmQuery, REASON},
};
use postern_store::alarms::{self, Severity, Which};
use serde_json::json;
use uuid::Uuid;

use super::{
    answer::{self, Answer, Window},
    auth::Caller,
    problem::Refused,
    write::{Done, Stop},
};
use crate::inside::Inside;

const LIST: &str = "alarms";

pub(super) async fn list(inside: web::Data<Inside>, query: web::Query<AlarmQuery>, _: Caller) -> Answer {
    let window = Window::read(LIST, query.limit, query.cursor.as_deref())?;
    let which = match query.state.as_deref() {
        None | Some("open") => Which::Open,
        Some("cleared") => Which::Cleared,
        Some("all") => Which::All,
        Some(_) => return Err(Refused::invalid("state", "state is open, cleared or all")),
    };
    let before: Option<Uuid> = window.place()?;
    let (kind, fetch) = (query.kind.clone(), window.fetch());
    let rows = inside.store.read(move |r| alarms::list(r, which, kind.as_deref(), before, fetch)).await?;
    answer::ok(&window.page(LIST, rows, |row| row.id.to_string(), shown))
}

pub(super) async fn acknowledge(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    body: web::Json<AcknowledgeAlarm>,
    caller: Caller,
) -> Answer {
    let body = body.into_inner();
    let reason = body.reason.map(|reason| answer::text("/reason", &reason, REASON)).transpose()?;
    let name = path.into_inner();
    let id = name.parse::<Uuid>().map_err(|_| Refused::not_found("alarm", &name))?;
    let (by, close) = (caller.name(), body.close);
    let alarm = inside
        .change(&caller, move |tx| {
            if alarms::find(tx, id)?.is_none() {
                return Err(Stop::Refused(Refused::not_found("alarm", id)));
            }
            let alarm = alarms::acknowledge(tx, id, &by, reason.as_deref(), close)?;
            let detail = json!({
                "kind": alarm.kind,
                "subject": alarm.subject,
                "reason": reason,
                "closed": close,
            });
            Ok(Done { object: format!("alarm:{id}"), detail, value: alarm })
        })
        .await?;
    answer::ok(&shown(alarm))
}

/// The open alarms in three figures.
pub(super) fn counted(counts: &[alarms::Count]) -> AlarmCounts {
    let mut all = AlarmCounts::default();
    for count in counts {
        let open = u64::try_from(count.open).unwrap_or(0);
        all.open += open;
        all.unacknowledged += u64::try_from(count.unacknowledged).unwrap_or(0);
        if count.severity == Severity::Critical {
            all.critical += open;
        }
    }
    all
}

fn shown(alarm: alarms::Alarm) -> Alarm {
    Alarm {
        id: alarm.id,
        kind: alarm.kind,
        subject: alarm.subject,
        severity: alarm.severity.as_str().to_owned(),
        text: alarm.text,
        since: Time(alarm.since),
        last: Time(alarm.last),
        count: u64::try_from(alarm.count).unwrap_or(0),
        acknowledged_by: alarm.acknowledged_by,
        acknowledged_at: alarm.acknowledged_at.map(Time),
        acknowledged_because: alarm.acknowledged_because,
        cleared_at: alarm.cleared_at.map(Time),
        cleared_because: alarm.cleared_because,
    }
}
