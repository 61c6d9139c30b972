//! Applying documents: read, held against what is known, compared with what stands, and done all at once or not at all.
//!
//! Promise: what a change comes to is computed by a reader, however many devices there are; the one writer only sees that nobody
//! changed a document meanwhile, and writes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use actix_web::{HttpRequest, web};
use postern_actors::{
    documents::{Reach, held, reach, stored, tables},
    policy::inputs::Change as InputChange,
};
use postern_api::{
    Permission,
    policy::{
        ApplyPolicies, MAX_FILES, PolicyChange, PolicyDifference, PolicyPlan, PolicyWarning, RollBackPolicy,
        UnknownNodes,
    },
    problem::Slug,
};
use postern_engine::policy::documents::{
    Assign, Checker, Document, Held, Limits, Unknown, diff::differences, read,
};
use postern_store::{
    Reader, StoreError, Tx,
    documents::{self, Change},
    groups,
};
use postern_wire::mo::Registry;
use serde_json::json;
use uuid::Uuid;

use super::{
    super::{
        answer::{self, Answer, IfMatch},
        auth::Caller,
        devices::REASON,
        problem::Refused,
        write::{Done, Keep, Stop},
    },
    number,
};
use crate::inside::Inside;

/// How often a change that is to be made at whatever state there is is planned anew, because another came in between.
const AGAIN: u32 = 3;
/// Refusals that one answer names.
const ERRORS: usize = 100;

/// What the documents are to be, read and judged.
#[derive(Clone)]
struct Wanted {
    documents: Vec<Document>,
    prune: bool,
    warnings: Vec<PolicyWarning>,
    reason: String,
}

pub(in crate::admin) async fn plan(
    inside: web::Data<Inside>,
    body: web::Json<ApplyPolicies>,
    _: Caller,
) -> Answer {
    let wanted = wanted(&inside, body.into_inner()).await?;
    let plan = inside.store.read(move |r| Ok(planned(r, &wanted))).await??;
    answer::tagged(200, plan.revision, &plan)
}

pub(in crate::admin) async fn apply(
    inside: web::Data<Inside>,
    request: HttpRequest,
    body: web::Json<ApplyPolicies>,
    caller: Caller,
) -> Answer {
    let if_match = IfMatch::read(&request)?;
    let wanted = wanted(&inside, body.into_inner()).await?;
    done(&inside, &caller, if_match, "policy:documents", wanted, None).await
}

pub(in crate::admin) async fn roll_back(
    inside: web::Data<Inside>,
    request: HttpRequest,
    path: web::Path<String>,
    body: web::Json<RollBackPolicy>,
    caller: Caller,
) -> Answer {
    let if_match = IfMatch::read(&request)?;
    let (name, body) = (path.into_inner(), body.into_inner());
    let reason = answer::optional_text("/reason", body.reason.as_deref(), REASON)?.unwrap_or_default();
    let wanted_name = name.clone();
    let (row, back) = inside
        .store
        .read(move |r| {
            let row = match super::find(r, &wanted_name) {
                Ok(row) => row,
                Err(refused) => return Ok(Err(refused)),
            };
            let back = match body.version.map(i64::try_from) {
                Some(Ok(version)) => documents::version(r, &row.name, version)?,
                Some(Err(_)) => None,
                None => documents::versions(r, &row.name, Some(row.version), 1)?.pop(),
            };
            Ok(Ok((row, back)))
        })
        .await??;
    let back = back.ok_or_else(|| Refused::not_found("version to go back to of", &name))?;
    if_match.check(number(row.version))?;
    if back.document.is_empty() {
        let detail =
            format!("version {} took {name} away: apply the others with --prune instead", back.version);
        return Err(Refused::new(Slug::WrongState, detail));
    }
    let document = stored(&back.document).map_err(|error| invalid(&name, &error.to_string()))?;
    let wanted = Wanted { documents: vec![document], prune: false, warnings: Vec::new(), reason };
    // The document's own version was what the caller decided on; what it is checked against in the transaction is
    // that it is still the newest.
    let object = format!("policy:{name}");
    done(&inside, &caller, IfMatch::Any, &object, wanted, Some((row.version, back.version))).await
}

/// Reads the files and holds the documents against what is known of the nodes.
async fn wanted(inside: &Inside, body: ApplyPolicies) -> Result<Wanted, Refused> {
    if body.files.is_empty() && !body.prune {
        return Err(Refused::invalid("/files", "no file: with prune that would take every document away"));
    }
    if body.files.len() > MAX_FILES {
        return Err(Refused::invalid("/files", format!("at most {MAX_FILES} files")));
    }
    let reason = answer::optional_text("/reason", body.reason.as_deref(), REASON)?.unwrap_or_default();
    let known = inside.objects.clone();
    let registry = inside.store.read(move |r| known.registry(r)).await?;
    let unknown = match body.unknown_nodes {
        UnknownNodes::Warn => Unknown::Warn,
        UnknownNodes::Refuse => Unknown::Refuse,
    };
    let mut refused = Refused::new(Slug::InvalidPolicy, "no document was applied");
    let (mut errors, mut warnings, mut documents) = (0, Vec::new(), Vec::new());
    let mut names = BTreeSet::new();
    for file in &body.files {
        match read::documents(file.text.as_bytes(), &Limits::default()) {
            Ok(read) => {
                for document in read {
                    if !names.insert(document.name.clone()) {
                        errors += 1;
                        refused =
                            refused.item(&file.name, format!("there are two documents {:?}", document.name));
                    }
                    judge(&registry, unknown, &document, &file.name, &mut |is_refused, at, word, detail| {
                        if !is_refused {
                            warnings.push(PolicyWarning { at, word: word.to_owned(), detail });
                        } else if errors < ERRORS {
                            errors += 1;
                            refused.add(at, detail);
                        }
                    });
                    documents.push(document);
                }
            }
            Err(error) => {
                errors += 1;
                if errors <= ERRORS {
                    refused = refused.item(&file.name, error.to_string());
                }
            }
        }
    }
    if errors > 0 { Err(refused) } else { Ok(Wanted { documents, prune: body.prune, warnings, reason }) }
}

fn judge(
    registry: &Registry,
    unknown: Unknown,
    document: &Document,
    file: &str,
    say: &mut dyn FnMut(bool, String, &'static str, String),
) {
    let checker = Checker { registry, tables: tables(), unknown };
    for finding in checker.check(document) {
        let at = format!("{file}: {} /settings/{}", document.name, finding.setting);
        let detail = format!("{}: {}", finding.subject, finding.rule);
        say(finding.refused, at, finding.rule.word(), detail);
    }
}

fn invalid(at: &str, detail: &str) -> Refused {
    Refused::new(Slug::InvalidPolicy, detail).item(at, detail)
}

/// What stands, with the documents as they are applied: assignments go by what the store has, under today's names.
fn planned(r: &mut Reader, wanted: &Wanted) -> Result<PolicyPlan, Refused> {
    for document in &wanted.documents {
        groups_of(r, document)?;
    }
    let before = held(r)?;
    let after = after(&before, wanted);
    let reach: Reach = reach(r, &before, &after)?;
    let mut changes = Vec::new();
    let names: BTreeSet<&str> = after.iter().chain(&before).map(|held| held.document.name.as_str()).collect();
    let find = |all: &[Held], name: &str| all.iter().find(|held| held.document.name == name).map(current);
    for name in names {
        let is_named = wanted.documents.iter().any(|document| document.name == name);
        let (old, new) = (find(&before, name), find(&after, name));
        if !is_named && new.is_some() {
            continue;
        }
        let differences = differences(old.as_ref(), new.as_ref());
        let stands = documents::find(r, name)?.map_or(0, |row| number(row.version));
        let action = match (&old, &new) {
            (None, _) => "create",
            (Some(_), None) => "remove",
            _ if differences.is_empty() => "unchanged",
            _ => "change",
        };
        let version = if action == "unchanged" { stands } else { stands + 1 };
        changes.push(PolicyChange {
            name: name.to_owned(),
            action: action.to_owned(),
            version,
            differences: differences.into_iter().map(difference).collect(),
            devices: reach.each.get(name).copied().unwrap_or(0),
        });
    }
    Ok(PolicyPlan {
        applied: false,
        revision: number(documents::revision(r)?),
        changes,
        devices: reach.devices,
        warnings: wanted.warnings.clone(),
    })
}

fn difference(difference: postern_engine::policy::documents::diff::Difference) -> PolicyDifference {
    PolicyDifference {
        kind: difference.kind.word().to_owned(),
        what: difference.what,
        before: difference.before,
        after: difference.after,
    }
}

/// What would be in force.
fn after(before: &[Held], wanted: &Wanted) -> Vec<Held> {
    let is_wanted =
        |held: &&Held| wanted.documents.iter().any(|document| document.name == held.document.name);
    let kept = before.iter().filter(|held| !wanted.prune && !is_wanted(held)).cloned();
    kept.chain(wanted.documents.iter().cloned().map(Held::draft)).collect()
}

/// A document with its assignments as they stand today: a group may have been renamed since.
fn current(held: &Held) -> Document {
    let mut document = (*held.document).clone();
    document.assign = held
        .assignments
        .iter()
        .map(|assignment| Assign {
            group: assignment.group.clone(),
            order: Some(assignment.order),
            enforced: Some(assignment.enforced),
        })
        .collect();
    document
}

/// The groups of a document's assignments, which have to be there.
fn groups_of(r: &mut Reader, document: &Document) -> Result<Vec<(Uuid, i64, bool)>, Refused> {
    let mut found = Vec::new();
    for assignment in document.assignments() {
        // A name that is an id would find the group of that id.
        let group = groups::find(r, &assignment.group)?.filter(|group| group.name == assignment.group);
        let group = group.ok_or_else(|| {
            let detail = format!("there is no group {:?}: make it first", assignment.group);
            invalid(&format!("{} /assign", document.name), &detail)
        })?;
        found.push((group.id, i64::from(assignment.order), assignment.enforced));
    }
    Ok(found)
}

/// Makes the change; where any state will do and another change came in between, it is planned anew.
async fn done(
    inside: &Inside,
    caller: &Caller,
    if_match: IfMatch,
    object: &str,
    wanted: Wanted,
    back: Option<(i64, i64)>,
) -> Answer {
    let wanted = Arc::new(wanted);
    let mut tries = 0;
    let plan = loop {
        tries += 1;
        match once(inside, caller, if_match, object, &wanted, back).await {
            Err(refused)
                if refused.slug() == Slug::PreconditionFailed
                    && matches!(if_match, IfMatch::Any)
                    && tries < AGAIN => {}
            other => break other?,
        }
    };
    if let Ok(active) = inside.active() {
        active.policies.changed(InputChange::Documents);
    }
    let changed = plan.changes.iter().filter(|change| change.action != "unchanged").count();
    tracing::info!(documents = changed, devices = plan.devices, "policy documents were applied");
    answer::tagged(200, plan.revision, &plan)
}

/// Plans with a reader, then writes versions, assignments and audit in one transaction, where the documents are as they were planned on.
async fn once(
    inside: &Inside,
    caller: &Caller,
    if_match: IfMatch,
    object: &str,
    wanted: &Arc<Wanted>,
    back: Option<(i64, i64)>,
) -> Result<PolicyPlan, Refused> {
    let (by, object, may_assign) = (caller.name(), object.to_owned(), caller.may(Permission::PolicyAssign));
    let asked = Arc::clone(wanted);
    let plan = inside.store.read(move |r| Ok(planned(r, &asked))).await??;
    let wanted = Arc::clone(wanted);
    inside
        .change_once(caller, Keep::Plain(200), move |tx| {
            let stands = number(documents::revision(tx)?);
            if_match.check(stands)?;
            if let Some((newest, _)) = back {
                let name = &wanted.documents[0].name;
                let stands = super::find(tx, name)?.version;
                IfMatch::Revision(number(newest)).check(number(stands))?;
            }
            IfMatch::Revision(plan.revision).check(stands)?;
            if !may_assign && assigns(tx, &plan, &wanted)? {
                let detail =
                    format!("an assignment changes: that needs {}", Permission::PolicyAssign.as_str());
                return Err(Refused::new(Slug::Forbidden, detail).into());
            }
            let plan = plan.clone();
            let changed = write(tx, &plan, &wanted, &by, back)?;
            let detail = json!({
                "documents": changed,
                "prune": wanted.prune,
                "reason": wanted.reason,
                "devices": plan.devices,
            });
            let plan = PolicyPlan { applied: true, revision: number(documents::revision(tx)?), ..plan };
            Ok(Done { object: object.clone(), detail, value: plan })
        })
        .await
}

/// Whether an assignment changes. By what the groups are now: one may have got another's name since it was planned.
fn assigns(r: &mut Reader, plan: &PolicyPlan, wanted: &Wanted) -> Result<bool, Refused> {
    let named = |difference: &PolicyDifference| difference.what.starts_with("assignment ");
    for change in &plan.changes {
        let document = wanted.documents.iter().find(|document| document.name == change.name);
        let mut becomes = match document {
            Some(document) => groups_of(r, document)?,
            None => Vec::new(),
        };
        let stand = documents::assignments(r, &change.name)?.into_iter();
        let mut stand: Vec<_> = stand.map(|(_, row)| (row.group_id, row.place, row.enforced)).collect();
        becomes.sort_unstable();
        stand.sort_unstable();
        if becomes != stand || change.differences.iter().any(named) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Writes what is another; gives each document's version and hash for the audit log.
fn write(
    tx: &mut Tx,
    plan: &PolicyPlan,
    wanted: &Wanted,
    by: &str,
    back: Option<(i64, i64)>,
) -> Result<BTreeMap<String, serde_json::Value>, Stop> {
    let mut changed = BTreeMap::new();
    for change in &plan.changes {
        let document = wanted.documents.iter().find(|document| document.name == change.name);
        let (text, hash, assignments) = match document {
            Some(document) => (document.canonical(), document.hash(), groups_of(tx, document)?),
            None => (String::new(), [0; 32], Vec::new()),
        };
        let row = Change {
            name: change.name.clone(),
            document: text,
            hash,
            of_version: back.map(|(_, version)| version),
            reason: wanted.reason.clone(),
            by: by.to_owned(),
            assignments,
        };
        let (version, is_new) = documents::put(tx, &row).map_err(|error: StoreError| Stop::from(error))?;
        if is_new {
            let sha256 = data_encoding::HEXLOWER.encode(&hash);
            changed.insert(
                change.name.clone(),
                json!({"action": change.action, "version": version, "sha256": sha256, "differences": change.differences}),
            );
        }
    }
    Ok(changed)
}
