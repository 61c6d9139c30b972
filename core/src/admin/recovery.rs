//! Recovery passwords: how they stand, one of them opened, renewals and the roll-over of the escrow key.
//!
//! Promise: a password leaves only after its audit row, its mail to the owner and its renewal are committed, in one transaction. The
//! private key is read inside the request that needs it, and wiped with it.

use actix_web::web;
use postern_actors::{
    recovery::{self as supervisor, Refused as Unfit, State},
    safety,
};
use postern_api::{
    Time,
    problem::Slug,
    recovery::{
        DeviceRecovery, REASON, RecoveryCount, RecoveryKey, RecoveryReason, RecoverySummary, ShowRecovery,
        ShownRecovery, StoredPassword,
    },
};
use postern_engine::safety::approval::Content;
use postern_store::{
    Reader, StoreError,
    recovery::{self as table, Password},
};
use postern_wire::{
    recovery::{KeyId, Sealed},
    terms::{EnrolmentId, RecoveryKind},
};
use serde_json::json;

use super::{
    answer::{self, Answer},
    auth::Caller,
    devices::resolve,
    passwords,
    problem::{Refused, internal, needs_approval},
    write::{Done, Stop},
};
use crate::{
    escrow::{Escrow, EscrowError},
    inside::Inside,
};

/// The kind of request that asks a second person before one is shown.
const SHOW: &str = "recovery-show";
/// The kind of request that asks a second person before the escrow key is replaced: every device seals to it then.
const ROLL: &str = "escrow-key";

pub(super) async fn status(inside: web::Data<Inside>, _: Caller) -> Answer {
    summary(&inside, 200).await
}

pub(super) async fn device(inside: web::Data<Inside>, path: web::Path<String>, _: Caller) -> Answer {
    let id = named(&inside, path.into_inner()).await?;
    shown_device(&inside, id, 200).await
}

pub(super) async fn show(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    body: web::Json<ShowRecovery>,
    caller: Caller,
) -> Answer {
    let ShowRecovery { reason, password, number } = body.into_inner();
    let reason = answer::text("/reason", &reason, REASON)?;
    inside.active()?;
    let id = named(&inside, path.into_inner()).await?;
    if inside.setting("RecoveryReauthenticate").await? != 0 {
        passwords::again(&inside, &caller, password).await?;
    }
    let stored = inside.store.read(move |r| table::passwords(r, id)).await?;
    let wanted = |one: &Password| number.is_none_or(|number| u64::try_from(one.number) == Ok(number));
    let stored =
        stored.into_iter().filter(|one| one.kind == RecoveryKind::DevicePassword).find(wanted).ok_or_else(
            || Refused::new(Slug::NotFound, "no such recovery password of this device has come yet"),
        )?;
    let after_ms = inside.setting("RecoveryRenewAfterShown").await?.saturating_mul(1_000);
    let sealed = Sealed::parse(&stored.sealed).map_err(|error| internal(&error))?;
    if inside.setting("RecoverySecondPerson").await? != 0 {
        let what = json!({ "number": stored.number, "kind": stored.kind });
        let content = Content::new(SHOW, vec![(id, stored.generation)], what);
        second_person(&inside, &caller, content, &reason).await?;
    }
    // Opened first, so that nothing says that it was shown when it could not be; it leaves after the commit.
    let escrow = inside.escrow();
    let opened = web::block(move || escrow.open(&sealed)).await.map_err(|error| internal(&error))?;
    let opened = opened.map_err(|error| unusable(&error))?;
    let (by, row) = (caller.name(), stored.clone());
    let due = inside
        .change(&caller, move |tx| {
            match supervisor::show(tx, id, &row, &by, &reason, after_ms)? {
                Ok(()) => {}
                Err(refused) => return Err(Stop::Refused(unfit(refused))),
            }
            let detail = json!({
                "number": row.number, "generation": row.generation, "key": row.key, "reason": reason,
            });
            let due = supervisor::standing(tx, id)?.and_then(|standing| standing.due);
            Ok(Done { object: format!("device:{id}"), detail, value: due })
        })
        .await?;
    answer::ok(&ShownRecovery {
        device: id.0,
        number: u64::try_from(stored.number).unwrap_or(0),
        password: opened.grouped().to_string(),
        proof: stored.proof,
        received_at: Time(stored.received_at),
        renewed_from: due.map(Time),
    })
}

pub(super) async fn rotate(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    body: web::Json<RecoveryReason>,
    caller: Caller,
) -> Answer {
    let reason = answer::text("/reason", &body.reason, REASON)?;
    inside.active()?;
    let id = named(&inside, path.into_inner()).await?;
    inside
        .change(&caller, move |tx| {
            if let Err(refused) = supervisor::want(tx, id, "an admin wants a new one")? {
                return Err(Stop::Refused(unfit(refused)));
            }
            Ok(Done { object: format!("device:{id}"), detail: json!({ "reason": reason }), value: () })
        })
        .await?;
    shown_device(&inside, id, 202).await
}

pub(super) async fn rotate_all(
    inside: web::Data<Inside>,
    body: web::Json<RecoveryReason>,
    caller: Caller,
) -> Answer {
    let reason = answer::text("/reason", &body.reason, REASON)?;
    inside.active()?;
    inside
        .change(&caller, move |tx| {
            table::renew_all(tx)?;
            Ok(Done { object: "recovery".to_owned(), detail: json!({ "reason": reason }), value: () })
        })
        .await?;
    summary(&inside, 202).await
}

pub(super) async fn roll_key(
    inside: web::Data<Inside>,
    body: web::Json<RecoveryReason>,
    caller: Caller,
) -> Answer {
    let reason = answer::text("/reason", &body.reason, REASON)?;
    inside.active()?;
    let old = inside.store.read(table::current_key).await?;
    let old = old.ok_or_else(|| Refused::new(Slug::WrongState, "there is no escrow key yet"))?;
    let content = Content::new(ROLL, Vec::new(), json!({ "replaces": old.id }));
    second_person(&inside, &caller, content, &reason).await?;
    let old_id: KeyId = old.id.parse().map_err(|error| internal(&error))?;
    let (escrow, now) = (inside.escrow(), inside.now());
    let made = web::block(move || {
        // Looked at first: where the old one cannot sign, nothing is left behind.
        escrow.look_at(old_id)?;
        let key = escrow.make()?;
        let change = escrow.sign_change(old_id, key.clone(), now)?;
        Ok::<_, EscrowError>((key, change))
    });
    let made = made.await.map_err(|error| internal(&error))?;
    let (key, change) = made.map_err(|error| unusable(&error))?;
    let by = caller.name();
    inside
        .change(&caller, move |tx| {
            supervisor::use_key(tx, &key, Some(change.clone()), &by)?;
            let detail = json!({ "key": key.id(), "replaces": old_id, "reason": reason });
            Ok(Done { object: "recovery".to_owned(), detail, value: () })
        })
        .await?;
    summary(&inside, 202).await
}

/// Another person's agreement to exactly this, which counts once; where it is missing it is asked for.
async fn second_person(
    inside: &Inside,
    caller: &Caller,
    content: Content,
    reason: &str,
) -> Result<(), Refused> {
    let (actor, reason) = (caller.actor(), reason.to_owned());
    let agreed = inside.store.write(move |tx| {
        if safety::consent(tx, &actor, &content, &reason)? {
            return Ok(Ok(()));
        }
        Ok(Err(safety::ask_consent(tx, &actor, &content, &reason)?))
    });
    agreed.await?.map_err(|asked| {
        let many = || Refused::new(Slug::NeedsApproval, "you have too many requests that wait for approval");
        asked.map_or_else(many, needs_approval)
    })
}

async fn named(inside: &Inside, name: String) -> Result<EnrolmentId, Refused> {
    Ok(inside.store.read(move |r| Ok(resolve(r, &name))).await??.id)
}

fn unfit(refused: Unfit) -> Refused {
    Refused::new(Slug::WrongState, refused.to_string())
}

fn unusable(error: &EscrowError) -> Refused {
    tracing::error!(%error, "an escrow key cannot be used");
    match error {
        EscrowError::DoesNotOpen | EscrowError::Provider => internal(error),
        _ => Refused::new(Slug::EscrowKey, error.to_string()),
    }
}

async fn shown_device(inside: &Inside, id: EnrolmentId, status: u16) -> Answer {
    let read = move |r: &mut Reader| -> Result<DeviceRecovery, StoreError> {
        let passwords = table::passwords(r, id)?.into_iter().map(stored).collect();
        Ok(match supervisor::standing(r, id)? {
            Some(standing) => DeviceRecovery {
                device: id.0,
                state: standing.state.as_str().to_owned(),
                because: standing.cause,
                since: Some(Time(standing.since)),
                due: standing.due.map(Time),
                passwords,
            },
            None => DeviceRecovery {
                device: id.0,
                state: "none".to_owned(),
                because: "nothing is known of it: the device is not managed yet, or escrows nothing"
                    .to_owned(),
                since: None,
                due: None,
                passwords,
            },
        })
    };
    let shown = inside.store.read(read).await?;
    answer::json(status, &shown)
}

fn stored(row: Password) -> StoredPassword {
    StoredPassword {
        number: u64::try_from(row.number).unwrap_or(0),
        kind: row.kind,
        generation: u32::try_from(row.generation).unwrap_or(0),
        key: row.key,
        cause: row.cause,
        proof: row.proof,
        made_at: Time(row.made_at),
        received_at: Time(row.received_at),
        shown: u64::try_from(row.shown).unwrap_or(0),
        shown_at: row.shown_at.map(Time),
        shown_by: row.shown_by,
    }
}

async fn summary(inside: &Inside, status: u16) -> Answer {
    let (keys, counts) = inside
        .store
        .read(|r| {
            let mut keys = Vec::new();
            for key in table::keys(r)? {
                let resting = table::resting(r, &key.id)?;
                keys.push((key, resting));
            }
            Ok((keys, table::counts(r)?))
        })
        .await?;
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    let newest = keys.last().map(|(key, _)| key.number);
    let escrow = inside.escrow();
    let keys = web::block(move || {
        let seen = keys.into_iter().map(|(key, resting)| RecoveryKey {
            current: Some(key.number) == newest,
            trouble: trouble(&escrow, &key.id),
            id: key.id,
            number: count(key.number),
            made_at: Time(key.made_at),
            made_by: key.made_by,
            devices: count(resting.devices),
            passwords: count(resting.passwords),
        });
        seen.collect()
    });
    let keys = keys.await.map_err(|error| internal(&error))?;
    let known = |state: &String| State::parse(state).is_some();
    let devices = counts
        .into_iter()
        .filter(|(state, _)| known(state))
        .map(|(state, devices)| RecoveryCount { state, devices: count(devices) })
        .collect();
    answer::json(status, &RecoverySummary { keys, devices })
}

fn trouble(escrow: &Escrow, id: &str) -> Option<String> {
    let id = id.parse::<KeyId>().ok()?;
    escrow.look_at(id).err().map(|error| error.to_string())
}
