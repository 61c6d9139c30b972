//! The change of policy that waits, shown to whoever decides.

use actix_web::web;
use postern_actors::policy::{HeldChange, HeldSetting};
use postern_api::{
    Time,
    policy_held::{
        HeldPolicy, HeldPolicyChange, HeldPolicyDevice, HeldPolicyQuery, HeldPolicySetting, VALUE_SHOWN,
    },
};
use postern_store::{Reader, StoreError, enrolments};

use super::super::{
    answer::{self, Answer, Window},
    auth::Caller,
    device_policy,
    problem::Refused,
};
use super::number;
use crate::inside::Inside;

const LIST: &str = "policy-held";

pub(in crate::admin) async fn held(
    inside: web::Data<Inside>,
    query: web::Query<HeldPolicyQuery>,
    _: Caller,
) -> Answer {
    let query = query.into_inner();
    let window = Window::read(LIST, query.limit, query.cursor.as_deref())?;
    let from = window.place::<usize>()?.unwrap_or(0);
    let which = query.change;
    let shown = inside
        .store
        .read(move |r| {
            let Some(held) = HeldChange::read(r, which)? else { return Ok(None) };
            let change = change(&held);
            let rows: Vec<(usize, HeldSetting)> =
                held.settings.into_iter().enumerate().skip(from).take(window.limit + 1).collect();
            let page = window.page(LIST, rows, |(place, _)| (place + 1).to_string(), |(_, row)| row);
            let settings = page.items.into_iter().map(|row| setting(r, row)).collect::<Result<_, _>>()?;
            Ok(Some(HeldPolicy { change: Some(change), settings, next_cursor: page.next_cursor }))
        })
        .await?;
    match (shown, which) {
        (Some(shown), _) => answer::ok(&shown),
        (None, Some(which)) => Err(Refused::not_found("change of policy that waits", which)),
        (None, None) => answer::ok(&HeldPolicy { change: None, settings: Vec::new(), next_cursor: None }),
    }
}

fn change(held: &HeldChange) -> HeldPolicyChange {
    let hold = &held.hold;
    HeldPolicyChange {
        id: hold.id,
        approval: hold.approval,
        digest: data_encoding::HEXLOWER.encode(&hold.digest),
        devices: number(hold.devices),
        managed: number(hold.managed),
        settings: number(hold.settings),
        since: Time(hold.made_at),
        askers: held.askers.iter().cloned().collect(),
        left_out: held.left_out as u64,
    }
}

fn setting(r: &mut Reader, row: HeldSetting) -> Result<HeldPolicySetting, StoreError> {
    let mut examples = Vec::new();
    for id in row.examples {
        let name = enrolments::find(r, id)?.map(|device| device.name).unwrap_or_default();
        examples.push(HeldPolicyDevice { id, name });
    }
    Ok(HeldPolicySetting {
        kind: row.kind.word().to_owned(),
        uri: row.uri,
        before: row.before.map(shown),
        after: row.after.map(shown),
        source: device_policy::source(&row.source),
        devices: row.devices as u64,
        examples,
    })
}

/// A value as far as it is shown.
fn shown(value: String) -> String {
    match value.char_indices().nth(VALUE_SHOWN) {
        Some((at, _)) => format!("{}…", &value[..at]),
        None => value,
    }
}
