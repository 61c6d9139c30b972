//! A person decides on an enrolment in quarantine.

use postern_engine::enrolment::quarantine::{Decision, Step, decide as rule};
use postern_store::{StoreError, Tx, enrolments, lives};
use postern_wire::{
    route::RouteId,
    terms::{EnrolmentId, EnrolmentState},
};
use serde_json::json;

use super::{
    EnrolmentError, Enrolments,
    rows::{self, Ended},
};
use crate::{
    AuditActor,
    orders::{Unwritten, audit},
    safety::{self, Admitted, Ask, Class},
};

pub(super) async fn decide(
    enrolments: &Enrolments,
    id: EnrolmentId,
    decision: Decision,
    actor: AuditActor,
    reason: String,
) -> Result<(), EnrolmentError> {
    let shared = enrolments.shared();
    let written = shared.store.write(move |tx| within(tx, id, decision, &actor, &reason));
    let (ended, begun) = written.await.map_err(Unwritten::from)??;
    if let Some(ended) = ended {
        ended.tell(&enrolments.inner.devices);
    }
    if let Some(route) = begun {
        enrolments.inner.devices.changed(route);
    }
    Ok(())
}

type Decided = Result<(Option<Ended>, Option<RouteId>), EnrolmentError>;

fn within(
    tx: &mut Tx,
    id: EnrolmentId,
    decision: Decision,
    actor: &AuditActor,
    reason: &str,
) -> Result<Decided, StoreError> {
    let Some(row) = enrolments::find(tx, id)? else { return Ok(Err(EnrolmentError::UnknownDevice(id))) };
    let mut life = rows::life(tx, &row)?;
    let twin = match life.twin {
        Some(twin) => enrolments::find(tx, twin)?,
        None => None,
    };
    match rule(row.state, twin.as_ref().map(|twin| twin.state), decision) {
        Err(refused) => Ok(Err(refused.into())),
        Ok(Step::Retire) => {
            if let Err(refused) = admitted(tx, id, actor, reason)? {
                return Ok(Err(refused));
            }
            let ended = rows::end(tx, &row, actor, "device.reject", reason)?;
            Ok(Ok((Some(ended), None)))
        }
        Ok(Step::Begin { retire_twin }) => {
            let because = format!("device {id} took its place: {reason}");
            let twin = twin.filter(|twin| retire_twin && twin.state != EnrolmentState::Retired);
            if let Some(twin) = &twin
                && let Err(refused) = admitted(tx, twin.id, actor, reason)?
            {
                return Ok(Err(refused));
            }
            let ended = match twin {
                Some(twin) => Some(rows::end(tx, &twin, actor, "device.retire", &because)?),
                None => None,
            };
            enrolments::release(tx, id)?;
            let detail = json!({ "device_id": row.device_id, "twin": life.twin, "reason": reason });
            life.twin = None;
            lives::put(tx, life)?;
            rows::clear_alarms(tx, &format!("device:{id}"), "released by a person")?;
            audit(tx, actor, "device.release", format!("device:{id}"), &detail)?;
            Ok(Ok((ended, Some(RouteId::from_bytes(row.route)))))
        }
    }
}

/// The end of an enrolment, whose ever, goes through the limits.
fn admitted(
    tx: &mut Tx,
    id: EnrolmentId,
    actor: &AuditActor,
    reason: &str,
) -> Result<Result<(), EnrolmentError>, StoreError> {
    let ask = Ask {
        kind: safety::RETIRE,
        class: Class::Retire,
        by: actor,
        targets: &[id],
        reason,
        settings: serde_json::Value::Null,
    };
    Ok(match safety::admit(tx, &ask)? {
        Admitted::Go(_) => Ok(()),
        Admitted::NeedsApproval(request) => Err(EnrolmentError::NeedsApproval(request)),
        Admitted::Held(held) => Err(held.into()),
    })
}
