//! A request for wipes, of one device or of many: all or none, in one transaction.

use postern_engine::wipe::{self as rules, Event};
use postern_store::{StoreError, Tx, enrolments, wipes, wipes::Wipe};
use postern_wire::terms::{EnrolmentId, EnrolmentState, WipeKind, WipeState};
use serde_json::json;
use uuid::Uuid;

use super::{
    WipeError, WipeRules, Wipes,
    issue::{Tools, issue, model},
    moves::{After, Said, entry},
    seal, tell,
};
use crate::{
    AuditActor,
    orders::Unwritten,
    safety::{self, Admission, Admitted, Ask, Class},
};

/// Devices that one request may name.
const TARGETS: usize = 1_000;
/// The kind of request that asks for wipes.
pub(super) const KIND: &str = "wipe";

/// A wipe that somebody asks for.
#[derive(Clone, Debug)]
pub struct NewWipe {
    /// The devices, with what the request called each; none twice.
    pub targets: Vec<(EnrolmentId, String)>,
    /// What is taken away.
    pub kind: WipeKind,
    /// Why; it has to be said.
    pub reason: String,
    /// The devices are lost or stolen.
    pub lost: bool,
    /// Only say what would be hit, and how.
    pub dry_run: bool,
    /// In spite of a freeze; audited and told loudly.
    pub break_glass: bool,
    /// Who asks.
    pub actor: AuditActor,
    /// The admin, and the token that they came with.
    pub admin: Uuid,
    /// The token.
    pub token: Uuid,
}

/// What became of a request.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The wipes, in the order of the request; of a dry run as they would be.
    pub wipes: Vec<Wipe>,
    /// The approval that they wait for.
    pub approval: Option<Uuid>,
}

/// What the limits say.
enum Gate {
    Go(Admission),
    Approval(Uuid),
}

pub(super) async fn request(all: &Wipes, wanted: NewWipe) -> Result<Asked, WipeError> {
    check(&wanted)?;
    let shared = all.shared();
    let (inner, handle) = (all.clone(), shared.clone());
    let dry = wanted.dry_run;
    let work = move |tx: &mut Tx| {
        let parts = &inner.inner.parts;
        let tools =
            Tools { signer: parts.signer.as_ref(), sealer: &handle.sealer, settings: &handle.settings };
        take(tx, &tools, parts.rules.as_ref(), &wanted)
    };
    let written = shared.store.write_urgent(work).await;
    let (asked, mut after) = written.map_err(Unwritten::from)??;
    if !dry {
        for route in std::mem::take(&mut after.routes) {
            all.inner.devices.changed(route);
        }
        after.tell(shared);
        all.look();
    }
    Ok(asked)
}

fn check(wanted: &NewWipe) -> Result<(), WipeError> {
    if wanted.reason.trim().is_empty() {
        return Err(WipeError::Invalid("/reason", "say why: it stands in the audit log".to_owned()));
    }
    if wanted.targets.is_empty() || wanted.targets.len() > TARGETS {
        return Err(WipeError::Invalid("/devices", format!("a request is for 1 to {TARGETS} devices")));
    }
    let mut ids: Vec<_> = wanted.targets.iter().map(|(id, _)| *id).collect();
    ids.sort_unstable();
    if ids.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(WipeError::Invalid("/devices", "a device is named twice".to_owned()));
    }
    Ok(())
}

fn take(
    tx: &mut Tx,
    tools: &Tools<'_>,
    rules: &dyn WipeRules,
    wanted: &NewWipe,
) -> Result<Result<(Asked, After), WipeError>, StoreError> {
    let mut rows = Vec::with_capacity(wanted.targets.len());
    for (id, called) in &wanted.targets {
        match plan(tx, tools, rules, wanted, *id, called)? {
            Ok(row) => rows.push(row),
            Err(refused) => return Ok(Err(refused)),
        }
    }
    if wanted.dry_run {
        return Ok(Ok((Asked { wipes: rows, approval: None }, After::default())));
    }
    let gate = match admit(tx, wanted)? {
        Ok(gate) => gate,
        Err(refused) => return Ok(Err(refused)),
    };
    let mut asked = Asked::default();
    let mut after = After::default();
    for row in rows {
        let (row, more) = begin(tx, tools, wanted, row, &gate)?;
        asked.wipes.push(row);
        after.extend(more);
    }
    if let Gate::Approval(id) = gate {
        asked.approval = Some(id);
    }
    Ok(Ok((asked, after)))
}

/// Counts the request against the limits. What is refused is committed all the same: it leaves its trace.
fn admit(tx: &mut Tx, wanted: &NewWipe) -> Result<Result<Gate, WipeError>, StoreError> {
    let targets: Vec<EnrolmentId> = wanted.targets.iter().map(|(id, _)| *id).collect();
    let by =
        AuditActor { token: Some(wanted.token), break_glass: wanted.break_glass, ..wanted.actor.clone() };
    let ask = Ask {
        kind: KIND,
        class: class(wanted.kind),
        by: &by,
        targets: &targets,
        reason: wanted.reason.trim(),
        settings: json!({ "kind": wanted.kind, "lost": wanted.lost }),
    };
    Ok(match safety::admit(tx, &ask)? {
        Admitted::Go(admission) => Ok(Gate::Go(admission)),
        Admitted::NeedsApproval(id) => Ok(Gate::Approval(id)),
        Admitted::Held(held) => Err(held.into()),
    })
}

/// What a kind is counted as.
pub(super) const fn class(kind: WipeKind) -> Class {
    match kind {
        WipeKind::Selective => Class::Unenrol,
        _ => Class::Wipe,
    }
}

/// One device's wipe as it is asked for, not yet stored.
fn plan(
    tx: &mut Tx,
    tools: &Tools<'_>,
    rules: &dyn WipeRules,
    wanted: &NewWipe,
    id: EnrolmentId,
    called: &str,
) -> Result<Result<Wipe, WipeError>, StoreError> {
    let kind = wanted.kind;
    let Some(device) = enrolments::find(tx, id)? else { return Ok(Err(WipeError::UnknownDevice(id))) };
    match device.state {
        EnrolmentState::Retired => return Ok(Err(WipeError::Retired(id))),
        EnrolmentState::Quarantined => return Ok(Err(WipeError::Quarantined(id))),
        EnrolmentState::New | EnrolmentState::Managed => {}
    }
    let set = rules.of_device(tx, id)?;
    if !set.allowed.allows(kind) {
        return Ok(Err(WipeError::NotAllowed { device: id, kind }));
    }
    let model = model(tx, &device)?;
    let way = match rules::way(kind, &model) {
        Ok(way) => way,
        Err(why) => return Ok(Err(WipeError::Cannot { device: id, why: why.to_string() })),
    };
    if let Some(open) = wipes::outstanding(tx, id)? {
        return Ok(Err(WipeError::Outstanding { device: id, wipe: open.id, state: open.state }));
    }
    let now = tx.now();
    let settings =
        serde_json::to_string(&set.settings).map_err(|error| StoreError::Refused(error.to_string()))?;
    let row = Wipe {
        id: tx.fresh_id(),
        enrolment: id,
        generation: device.generation,
        device_id: device.device_id,
        route: device.route,
        state: WipeState::Requested,
        kind,
        way: way.as_str().to_owned(),
        asked_for: called.to_owned(),
        reason: wanted.reason.trim().to_owned(),
        lost: wanted.lost,
        requested_by: wanted.actor.said(),
        requester: Some(wanted.admin),
        requested_at: now,
        settings,
        approval: None,
        armed_at: None,
        expires_at: set.settings.expires_after_ms.map(|ms| now.plus(ms)),
        next_at: Some(now),
        operation: None,
        command: None,
        tries: 0,
        accepted_at: None,
        finished_at: None,
        status: None,
        evidence: None,
        proof: None,
        cause: "asked for".to_owned(),
        perimeter: None,
        disarm_by: None,
        mark: Vec::new(),
        revision: 1,
    };
    let mark = seal::of_wipe(tools.sealer, &row)?;
    Ok(Ok(Wipe { mark, ..row }))
}

/// Stores a wipe, and issues its first try unless a second person has to agree.
fn begin(
    tx: &mut Tx,
    tools: &Tools<'_>,
    wanted: &NewWipe,
    row: Wipe,
    gate: &Gate,
) -> Result<(Wipe, After), StoreError> {
    let (event, approval) = match gate {
        Gate::Go(_) => (Event::Admit, None),
        Gate::Approval(id) => (Event::AskApproval, Some(*id)),
    };
    let next = rules::transition(row.state, event, &rules::Ground::default())
        .map_err(|refused| StoreError::Refused(refused.to_string()))?;
    let row = Wipe { state: next, approval, ..row };
    let said = Said::because(row.reason.clone());
    let step = entry(tx, &row, event.as_str(), &wanted.actor, &said)?;
    wipes::insert(tx, row.clone(), step)?;
    tell::step(tx, &row, event)?;
    match gate {
        Gate::Go(admission) => issue(tx, tools, row, Some(*admission)),
        Gate::Approval(_) => Ok((row, After::default())),
    }
}
