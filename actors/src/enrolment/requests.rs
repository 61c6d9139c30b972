//! Requests: made by a person, cancelled, expired.
//!
//! Promise: the password is derived before the transaction, off the threads that serve; only the sealed key is kept.

use std::sync::Arc;

use postern_engine::enrolment::{
    proposal,
    request::{self, Event, Step},
};
use postern_store::{
    StoreError, Tx, enrolments, groups,
    requests::{self as rows, Request},
};
use postern_wire::{
    enrol::OneTimePassword,
    terms::{EnrolmentId, EnrolmentState, RequestState, UtcMillis},
};
use secrecy::SecretString;
use serde_json::json;
use uuid::Uuid;

use super::{EnrolmentError, EnrolmentRules, Enrolments, Terms, name_fits};
use crate::{
    AuditActor,
    orders::{Unwritten, audit},
    safety::{self, Admitted, Ask, Class},
    shared::Shared,
};

/// The longest life of a request, and the shortest, in milliseconds.
const LIFE_MS: std::ops::RangeInclusive<i64> = 60_000..=30 * 86_400_000;
/// Requests that are looked at together when their time may have passed.
const PAGE: i64 = 200;

/// A request that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRequest {
    /// What it says of the enrolment.
    pub terms: Terms,
    /// What kind of device is expected.
    pub platform: Option<String>,
    /// The domain that the person's e-mail address has to have.
    pub email_domain: Option<String>,
    /// The mark of the hardware that has to come.
    pub hardware_id: Option<String>,
    /// Groups that it joins, by id or name.
    pub groups: Vec<String>,
    /// The enrolment that gets a new generation.
    pub renews: Option<EnrolmentId>,
    /// Why.
    pub reason: String,
}

/// A request that was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// Its row.
    pub request: Request,
    /// The one-time password, to be shown once.
    pub password: SecretString,
}

/// A password with its key sealed.
#[derive(Clone)]
struct Drawn {
    id: Uuid,
    code: String,
    psk: Vec<u8>,
    password: SecretString,
}

pub(super) async fn make(
    enrolments: &Enrolments,
    wanted: Vec<NewRequest>,
    actor: AuditActor,
    all_or_none: bool,
) -> Result<Vec<Result<Made, EnrolmentError>>, EnrolmentError> {
    let shared = Arc::clone(enrolments.shared());
    let rules = Arc::clone(&enrolments.inner.parts.rules);
    let count = wanted.len();
    let drawing = Arc::clone(&shared);
    // Some 10 ms each: off the threads that serve.
    let drawn = tokio::task::spawn_blocking(move || draw(&drawing, count)).await;
    let drawn = drawn
        .map_err(|_| EnrolmentError::Unavailable("the passwords were not made".to_owned()))?
        .map_err(|error| EnrolmentError::Unavailable(format!("a key cannot be sealed: {error}")))?;
    let kept = drawn.clone();
    let written = shared.store.write(move |tx| {
        let mut rows = Vec::with_capacity(wanted.len());
        let mut good = Vec::new();
        let mut reserved: Vec<&str> = Vec::new();
        for (one, drawn) in wanted.iter().zip(&kept) {
            let checked = check(tx, rules.as_ref(), one, drawn, &actor, &reserved)?;
            if let Ok(row) = &checked {
                reserved.extend(one.terms.owner.as_deref());
                good.push(row.clone());
            }
            rows.push(checked);
        }
        if all_or_none && good.len() < wanted.len() {
            return Ok(rows.into_iter().map(|row| row.and(Err(EnrolmentError::NotMade))).collect());
        }
        for row in good {
            let detail = json!({
                "code": row.code, "name": row.name, "owner": row.owner, "auth": row.auth,
                "expires": row.expires_at, "renews": row.renews, "hardware_id": row.hardware_id,
                "email_domain": row.email_domain, "reason": row.reason,
            });
            audit(tx, &actor, "enrolment.request", format!("enrolment-request:{}", row.id), &detail)?;
            rows::insert(tx, row)?;
        }
        Ok(rows)
    });
    let rows = written.await.map_err(Unwritten::from)?;
    let with_password = |(row, drawn): (Result<Request, EnrolmentError>, Drawn)| {
        row.map(|request| Made { request, password: drawn.password })
    };
    Ok(rows.into_iter().zip(drawn).map(with_password).collect())
}

fn draw(shared: &Shared, count: usize) -> Result<Vec<Drawn>, StoreError> {
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        let mut octets = zeroize::Zeroizing::new([0; OneTimePassword::RANDOM_OCTETS]);
        shared.random.fill(&mut *octets);
        let password = OneTimePassword::from_random(&octets);
        let id = shared.random.id(shared.now());
        let psk = shared.sealer.seal(EnrolmentId(id), password.psk().as_bytes())?.into_octets();
        all.push(Drawn { id, code: password.code().to_string(), psk, password: password.to_text() });
    }
    Ok(all)
}

/// The row of a request that may be made. `reserved` are the owners of those that are made with it.
fn check(
    tx: &mut Tx,
    rules: &dyn EnrolmentRules,
    wanted: &NewRequest,
    drawn: &Drawn,
    actor: &AuditActor,
    reserved: &[&str],
) -> Result<Result<Request, EnrolmentError>, StoreError> {
    let Terms { name, owner, auth, dialect, expires } = &wanted.terms;
    let set = rules.read(tx)?;
    let now = tx.now();
    let texts = [
        ("name", Some(name)),
        ("owner", owner.as_ref()),
        ("platform", wanted.platform.as_ref()),
        ("email_domain", wanted.email_domain.as_ref()),
        ("hardware_id", wanted.hardware_id.as_ref()),
    ];
    for (field, text) in texts {
        if text.is_some_and(|text| !name_fits(text)) {
            let rule = format!("1 to {} octets without control characters", proposal::NAME_OCTETS);
            return Ok(Err(EnrolmentError::Invalid(field, rule)));
        }
    }
    let expires = expires.unwrap_or_else(|| now.plus(set.request_life_ms));
    if !LIFE_MS.contains(&expires.since(now)) {
        let rule = "a one-time password holds for a minute to 30 days".to_owned();
        return Ok(Err(EnrolmentError::Invalid("expires", rule)));
    }
    let mut member_of = Vec::new();
    for group in &wanted.groups {
        match groups::find(tx, group)? {
            Some(group) => member_of.push(group.id),
            None => return Ok(Err(EnrolmentError::UnknownGroup(group.clone()))),
        }
    }
    if let Some(id) = wanted.renews {
        let there = enrolments::find(tx, id)?;
        let live =
            |row: &enrolments::Enrolment| matches!(row.state, EnrolmentState::New | EnrolmentState::Managed);
        if !there.as_ref().is_some_and(live) {
            return Ok(Err(EnrolmentError::UnknownDevice(id)));
        }
        if let Some(open) = rows::open_renewal(tx, id)? {
            return Ok(Err(EnrolmentError::RenewalOpen(open.id)));
        }
    }
    if let Some(owner) = owner {
        let together = i64::try_from(reserved.iter().filter(|one| *one == owner).count()).unwrap_or(0);
        let quotas = [
            ("open requests", rows::open_of(tx, owner)? + together, set.requests_an_owner, true),
            ("devices", rows::devices_of(tx, owner)?, set.devices_an_owner, wanted.renews.is_none()),
        ];
        for (what, has, most, counts) in quotas {
            if counts && proposal::over(has, most) {
                return Ok(Err(EnrolmentError::Quota { owner: owner.clone(), what, has, most }));
            }
        }
    }
    if let Some(id) = wanted.renews {
        // Whoever redeems it takes the device's place.
        let ask = Ask {
            kind: safety::RE_ENROL,
            class: Class::Identity,
            by: actor,
            targets: &[id],
            reason: &wanted.reason,
            settings: json!({ "request": { "name": name, "auth": auth } }),
        };
        match safety::admit(tx, &ask)? {
            Admitted::Go(_) => {}
            Admitted::NeedsApproval(request) => return Ok(Err(EnrolmentError::NeedsApproval(request))),
            Admitted::Held(held) => return Ok(Err(held.into())),
        }
    }
    Ok(Ok(Request {
        id: drawn.id,
        code: drawn.code.clone(),
        psk: Some(drawn.psk.clone()),
        state: RequestState::Open,
        name: name.clone(),
        owner: owner.clone(),
        platform: wanted.platform.clone(),
        email_domain: wanted.email_domain.clone(),
        hardware_id: wanted.hardware_id.clone(),
        auth: *auth,
        dialect: *dialect,
        member_of: json!(member_of).to_string(),
        renews: wanted.renews,
        reason: wanted.reason.clone(),
        created_by: who(actor),
        created_at: now,
        expires_at: expires,
        failures: 0,
        last_failure_at: None,
        last_failure_source: None,
        finished_at: None,
        finished_by: None,
        cause: "made".to_owned(),
        enrolment: None,
        generation: None,
        csr_key: None,
        result: None,
        revision: 1,
    }))
}

pub(super) async fn cancel(
    enrolments: &Enrolments,
    id: Uuid,
    actor: AuditActor,
    reason: String,
) -> Result<(), EnrolmentError> {
    let shared = enrolments.shared();
    let steady = enrolments.inner.devices.clock_is_steady();
    let written = shared.store.write(move |tx| {
        let Some(mut row) = rows::find(tx, id)? else { return Ok(Err(EnrolmentError::UnknownRequest(id))) };
        let step = match request::step(&seen(&row), Event::Cancel, tx.now(), steady) {
            Ok(step) => step,
            Err(refused) => return Ok(Err(refused.into())),
        };
        take(&mut row, step, &who(&actor), "taken back", tx.now());
        rows::update(tx, &row)?;
        let detail = json!({ "code": row.code, "name": row.name, "reason": reason });
        audit(tx, &actor, "enrolment.cancel", format!("enrolment-request:{id}"), &detail)?;
        Ok(Ok(()))
    });
    written.await.map_err(Unwritten::from)?
}

/// Ends requests whose time has passed. Whether there may be more.
pub(super) async fn expire(enrolments: &Enrolments) -> Result<bool, EnrolmentError> {
    let shared = enrolments.shared();
    let steady = enrolments.inner.devices.clock_is_steady();
    let now = shared.now();
    if !steady {
        return Ok(false);
    }
    let due = shared.store.look_up(move |r| rows::past(r, now, PAGE)).await;
    let due = due.map_err(|error| EnrolmentError::Unavailable(error.to_string()))?;
    if due.is_empty() {
        return Ok(false);
    }
    let more = i64::try_from(due.len()) == Ok(PAGE);
    let written = shared.store.write(move |tx| {
        for mut row in rows::past(tx, now, PAGE)? {
            let Ok(step) = request::step(&seen(&row), Event::Look, now, steady) else { continue };
            if step == Step::Keep {
                continue;
            }
            if step == Step::Become(RequestState::Expired) {
                let detail = json!({ "code": row.code, "name": row.name, "expires": row.expires_at });
                let actor = AuditActor::service("enrolment");
                audit(tx, &actor, "enrolment.expire", format!("enrolment-request:{}", row.id), &detail)?;
            }
            take(&mut row, step, "service:enrolment", "its time passed", now);
            rows::update(tx, &row)?;
        }
        Ok(())
    });
    written.await.map_err(Unwritten::from)?;
    Ok(more)
}

/// A row as the rules see it.
pub(super) fn seen(row: &Request) -> request::Request {
    request::Request {
        state: row.state,
        failures: row.failures,
        expires: row.expires_at,
        used_by: row.csr_key,
    }
}

/// What a step makes of a row: a key that no device can come with any more is wiped.
pub(super) fn take(row: &mut Request, step: Step, by: &str, cause: &str, now: UtcMillis) {
    match step {
        Step::Become(state) => {
            row.state = state;
            row.finished_at = Some(now);
            row.finished_by = Some(by.to_owned());
            row.cause = cause.to_owned();
            if !request::proves(state) {
                row.psk = None;
                row.result = None;
            }
        }
        Step::Wipe => {
            row.psk = None;
            row.result = None;
        }
        Step::Count => row.failures += 1,
        Step::Keep | Step::AnswerAgain => {}
    }
}

/// Who acts, as rows name them.
pub(super) fn who(actor: &AuditActor) -> String {
    actor.said()
}
