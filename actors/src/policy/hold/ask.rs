//! The request for a wide change: asked for once all that waits is written, decided by nobody who had a part in the change.
//!
//! Promise: nothing that waits is written over while an agreed change is on its way into force. Whoever changed what policy
//! is made of since it was last wholly in force counts as having asked; where there are more than can be told, nobody agrees.

use std::collections::{BTreeMap, BTreeSet};

use postern_engine::safety::approval::{ALONE_MS, Asker, Askers, Content, State};
use postern_store::{
    Reader, StoreError, Tx,
    alarms::{self, Severity},
    approvals::Approval,
    enrolments, movers,
    policies::{self, Hold},
};
use postern_wire::terms::EnrolmentId;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{super::Policies, CHANGE, FLEET, HELD, SERVICE};
use crate::{
    AuditActor,
    approvals::{self, After, Approved, KindHandler},
    orders::audit,
    safety,
};

/// Persons and tokens that are told apart.
const MOVERS: usize = 200;
/// Devices that a request names with their generations.
const NAMED: usize = 1_000;

/// What a change takes from whom: the device, and what it is to be.
pub(super) type Takes = BTreeMap<EnrolmentId, [u8; 32]>;

/// SHA-256 over it.
pub(super) fn digest(takes: &Takes) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"postern-policy-change-1");
    for (id, document) in takes {
        hash.update(id.0.as_bytes());
        hash.update(document);
    }
    hash.finalize().into()
}

/// All that waits, as it is written.
pub(super) fn written(r: &mut Reader) -> Result<Takes, StoreError> {
    let (mut takes, mut after) = (BTreeMap::new(), None);
    loop {
        let page = policies::held(r, after, 500)?;
        let Some(last) = page.last() else { return Ok(takes) };
        after = Some(last.enrolment);
        takes.extend(page.iter().filter_map(|row| Some((row.enrolment, row.waiting?))));
    }
}

/// Whether a change may take the place of what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It may.
    Free,
    /// Somebody said no to just this.
    Refused,
    /// Another was agreed to meanwhile: that comes first, and then everything is computed anew.
    Agreed,
}

/// Takes back the request of another change than `next`.
pub(super) fn clear(tx: &mut Tx, next: Option<[u8; 32]>) -> Result<Way, StoreError> {
    if policies::agreed(tx)?.is_some() {
        return Ok(Way::Agreed);
    }
    let stands = policies::hold(tx)?.map(|hold| hold.digest);
    if next.is_none() || stands != next {
        gone(tx)?;
    }
    match next {
        Some(digest) if policies::was_refused(tx, digest)? => Ok(Way::Refused),
        _ => Ok(Way::Free),
    }
}

/// What is asked for.
pub(super) struct Asked {
    pub(super) digest: [u8; 32],
    pub(super) devices: usize,
    pub(super) managed: usize,
    pub(super) settings: usize,
}

/// Asks for somebody to agree, once for the same change, when all of it is written. False: what is written is something else.
pub(super) fn ask(tx: &mut Tx, asked: &Asked) -> Result<bool, StoreError> {
    if policies::agreed(tx)?.is_some() || policies::was_refused(tx, asked.digest)? {
        return Ok(true);
    }
    let takes = written(tx)?;
    if digest(&takes) != asked.digest {
        return Ok(false);
    }
    if policies::hold(tx)?.is_some_and(|hold| hold.digest == asked.digest) {
        return Ok(true);
    }
    gone(tx)?;
    file(tx, asked, &takes)?;
    Ok(true)
}

fn file(tx: &mut Tx, asked: &Asked, takes: &Takes) -> Result<(), StoreError> {
    let (id, now) = (tx.fresh_id(), tx.now());
    let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let reason = format!(
        "a change of policy would alter or remove settings on {} of {} devices",
        asked.devices, asked.managed
    );
    let askers = askers(tx)?;
    let what = json!({
        "hold": id.to_string(),
        "digest": data_encoding::HEXLOWER.encode(&asked.digest),
        "devices": asked.devices,
        "managed": asked.managed,
        "settings": asked.settings,
        "askers": askers,
    });
    let mut targets = Vec::new();
    for device in takes.keys().take(NAMED) {
        targets.push((*device, enrolments::get(tx, *device)?.generation));
    }
    let content = Content::new(CHANGE, targets, json!({ "what": what }));
    let limits = safety::limits(tx)?;
    // Where all who may approve had a part in it, one of them gives it a day later.
    let names: BTreeSet<&str> = askers.known.iter().map(|asker| asker.name.as_str()).collect();
    let beside: Vec<&str> = names.into_iter().collect();
    let alone_from =
        (!beside.is_empty() && !safety::second_beside(tx, &beside, now)?).then(|| now.plus(ALONE_MS));
    let by = AuditActor::service(SERVICE);
    let approval = safety::wait_for(tx, &by, &content, &reason, &limits, 0, alone_from)?;
    policies::put_hold(
        tx,
        Hold {
            id,
            digest: asked.digest,
            state: "waiting".to_owned(),
            approval,
            devices: number(asked.devices),
            managed: number(asked.managed),
            settings: number(asked.settings),
            made_at: now,
            ended_at: None,
        },
    )?;
    let text =
        format!("{reason}; they keep what they have until somebody agrees (`posternctl approval list`)");
    alarms::raise(tx, Severity::Warning, HELD, FLEET, &text)?;
    audit(tx, &by, "policy.held", FLEET.to_owned(), &what)
}

/// Who changed what policy is made of since it was last wholly in force.
fn askers(r: &mut Reader) -> Result<Askers, StoreError> {
    let mut found = movers::list(r, i64::try_from(MOVERS + 1).unwrap_or(i64::MAX))?;
    let more = found.len() > MOVERS;
    found.truncate(MOVERS);
    let known = found.into_iter().map(|mover| Asker { name: mover.person, token: mover.token });
    Ok(Askers { known: known.collect(), more })
}

/// The same, as a request says it.
pub(super) fn told(content: &Content) -> Option<Askers> {
    let told = content.settings.get("what").and_then(|what| what.get("askers")).cloned();
    serde_json::from_value(told?).ok()
}

/// Another change, or none, takes the place of the one that waits: its request is taken back.
fn gone(tx: &mut Tx) -> Result<(), StoreError> {
    let Some(hold) = policies::hold(tx)? else { return Ok(()) };
    if let Some(approval) = hold.approval {
        let by = AuditActor::service(SERVICE);
        approvals::withdraw(tx, approval, &by, "the change of policy is another one now")?;
    }
    over(tx, "gone")
}

/// A change does not wait any longer.
fn over(tx: &mut Tx, state: &str) -> Result<(), StoreError> {
    let Some(hold) = policies::hold(tx)? else { return Ok(()) };
    let ended_at = (state != "agreed").then_some(tx.now());
    policies::put_hold(tx, Hold { state: state.to_owned(), ended_at, ..hold })?;
    alarms::clear(tx, HELD, FLEET, state)?;
    Ok(())
}

/// Lets a wide change of policy go out.
pub(in crate::policy) struct Handler(pub(in crate::policy) Policies);

impl KindHandler for Handler {
    fn kind(&self) -> &'static str {
        CHANGE
    }

    fn approved(&self, tx: &mut Tx, what: &Approved<'_>) -> Result<Result<After, String>, StoreError> {
        let text = |name: &str| what.what().get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
        let id = text("hold").parse::<Uuid>().ok();
        let hold = policies::hold(tx)?.filter(|hold| Some(hold.id) == id);
        let Some(hold) = hold else { return Ok(Err("another change took its place".to_owned())) };
        if digest(&written(tx)?) != hold.digest {
            return Ok(Err("what waits is not what was asked for".to_owned()));
        }
        if told(what.content).is_some_and(|askers| askers.has(&what.by.name)) {
            safety::loud(tx, what.by, "a wide change of policy", &what.approval.reason)?;
        }
        over(tx, "agreed")?;
        let policies = self.0.clone();
        Ok(Ok(Box::new(move |_| policies.inner.poke.notify_one())))
    }

    fn askers(&self, content: &Content) -> Askers {
        // A request that does not tell them was made by an older release: it expires, and is asked anew.
        told(content).unwrap_or(Askers { known: Vec::new(), more: true })
    }

    fn dropped(&self, tx: &mut Tx, approval: &Approval, state: State) -> Result<(), StoreError> {
        let waits = policies::hold(tx)?.is_some_and(|hold| hold.approval == Some(approval.id));
        match (waits, state) {
            (true, State::Rejected) => over(tx, "refused"),
            (true, _) => over(tx, "gone"),
            (false, _) => Ok(()),
        }
    }
}
