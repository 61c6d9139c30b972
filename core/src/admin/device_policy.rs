//! What policy wants of a device, and how each setting stands.

use actix_web::web;
use postern_actors::policy::Status;
use postern_api::{
    Time,
    device_policy::{DevicePolicy, PolicySetting, PolicySource, UnmappedSetting},
};
use postern_engine::policy::desired::{
    Desired, Homeless, Source,
    status::{Standing, standings},
};
use postern_store::{Reader, StoreError};
use postern_wire::terms::EnrolmentId;

use super::{
    answer::{self, Answer},
    auth::Caller,
    devices::resolve,
};
use crate::inside::Inside;

pub(super) async fn show(inside: web::Data<Inside>, path: web::Path<String>, _: Caller) -> Answer {
    let name = path.into_inner();
    let id = inside.store.read(move |r| Ok(resolve(r, &name))).await??.id;
    let shown = inside.store.read(move |r| read(r, id)).await?;
    answer::json(200, &shown)
}

/// How a device stands.
pub(super) fn read(r: &mut Reader, id: EnrolmentId) -> Result<DevicePolicy, StoreError> {
    let Some(status) = Status::read(r, id)? else { return Ok(nothing(id)) };
    let (state, because) = said(&status);
    let row = &status.row;
    Ok(DevicePolicy {
        device: id.0,
        state: state.to_owned(),
        because,
        hash: Some(status.desired.hash.to_string()),
        epoch: row.epoch,
        changed_at: Some(Time(row.changed_at)),
        settled_at: row.settled_at.map(Time),
        verify_at: row.verify_at.map(Time),
        operation: row.operation.map(|operation| operation.0),
        settings: status.standings.iter().map(|standing| setting(&status.desired, standing)).collect(),
        unmapped: unmapped(&status.desired),
    })
}

fn nothing(id: EnrolmentId) -> DevicePolicy {
    DevicePolicy {
        device: id.0,
        state: "none".to_owned(),
        because: "no policy was computed for it yet".to_owned(),
        hash: None,
        epoch: 0,
        changed_at: None,
        settled_at: None,
        verify_at: None,
        operation: None,
        settings: Vec::new(),
        unmapped: Vec::new(),
    }
}

/// The word for a device, and why.
pub(super) fn said(status: &Status) -> (&'static str, String) {
    let row = &status.row;
    if let Some(why) = &row.stale {
        return ("stale", format!("the last good state stays in force: {why}"));
    }
    if row.waiting.is_some() {
        return (
            "held",
            "a change that takes something from many devices waits until somebody agrees".to_owned(),
        );
    }
    let figures = format!(
        "{} compliant, {} pending, {} error, {} not supported, {} conflict",
        row.compliant, row.pending, row.failed, row.unsupported, row.conflicts
    );
    if row.settled == Some(row.desired) { ("settled", figures) } else { ("pending", figures) }
}

/// The settings of what is desired, with how each stands on the device.
pub(super) fn settings(desired: &Desired, status: Option<&Status>) -> Vec<PolicySetting> {
    let book = status.map(|status| status.book.clone()).unwrap_or_default();
    standings(desired, &book).iter().map(|standing| setting(desired, standing)).collect()
}

/// The settings that go nowhere.
pub(super) fn unmapped(desired: &Desired) -> Vec<UnmappedSetting> {
    let one = |one: &Homeless| UnmappedSetting {
        setting: one.setting.clone(),
        reason: one.reason.clone(),
        detail: one.detail.clone(),
        source: source(&one.source),
    };
    let more = desired.unmapped.last().filter(|_| desired.unnamed > 0).map(|last| UnmappedSetting {
        setting: format!("{} more", desired.unnamed),
        reason: "not-named".to_owned(),
        detail: "so many settings go nowhere that they are only counted".to_owned(),
        source: source(&last.source),
    });
    desired.unmapped.iter().map(one).chain(more).collect()
}

fn setting(desired: &Desired, standing: &Standing) -> PolicySetting {
    let desired = desired.get(&standing.uri).filter(|_| !standing.leaving);
    PolicySetting {
        uri: standing.uri.clone(),
        state: standing.state.word().to_owned(),
        code: standing.code,
        because: standing.why.clone(),
        format: desired.map(|one| one.format.clone()),
        value: desired.and_then(|one| one.data.clone()),
        deleted: desired.is_none_or(|one| one.data.is_none()),
        removal: desired.map(|one| one.removal.word().to_owned()),
        source: desired.map(|one| source(&one.source)),
        losers: desired.map(|one| one.losers.iter().map(source).collect()).unwrap_or_default(),
        confirmed_at: standing.confirmed_at.map(Time),
        drift: standing.drift,
        leaving: standing.leaving,
    }
}

pub(super) fn source(source: &Source) -> PolicySource {
    match source {
        Source::Gpo { dn, name, som, enforced, setting } => PolicySource {
            kind: "gpo".to_owned(),
            name: name.clone(),
            place: som.clone(),
            enforced: *enforced,
            dn: Some(dn.clone()),
            setting: Some(setting.clone()),
            version: None,
        },
        Source::Document { name, version, group, enforced } => PolicySource {
            kind: "document".to_owned(),
            name: name.clone(),
            place: group.clone(),
            enforced: *enforced,
            dn: None,
            setting: None,
            version: Some(*version),
        },
    }
}
