//! Devices' management trees: read, show, compare.

use std::time::Duration;

use actix_web::web;
use postern_actors::trees as readings;
use postern_api::{
    Page, Time,
    trees::{
        ReadTree, ReadingQuery, Tree, TreeChange, TreeDiff, TreeDiffQuery, TreeNode, TreeQuery, TreeReading,
        TreeSnapshot,
    },
};
use postern_store::{
    Reader, StoreError,
    trees::{self, SnapshotHead, StoredReading},
};
use postern_wire::{
    terms::{EnrolmentId, EnrolmentState, UtcMillis},
    tree::{ChangeKind, How, Kept, KeptValue, Snapshot, diff, overlay},
    uri::TreeUri,
};
use serde_json::json;
use uuid::Uuid;

use super::{
    answer::{self, Answer},
    auth::Caller,
    devices::{REASON, resolve},
    problem::Refused,
    write::{Done, Keep},
};
use crate::inside::Inside;
use postern_api::problem::Slug;

/// The deepest level that may be asked for; no address is deeper.
const LEVELS: u32 = 64;
/// The longest wait of a long poll, in seconds.
const WAIT_S: u32 = 60;
/// Snapshots that are laid over each other.
const OVERLAID: usize = 12;

fn node_of(at: &str, uri: Option<&str>) -> Result<TreeUri, Refused> {
    let uri = TreeUri::parse(uri.unwrap_or(".")).map_err(|error| Refused::invalid(at, error.to_string()))?;
    if uri.query().is_some() {
        return Err(Refused::invalid(at, "name a node, without a query"));
    }
    Ok(uri)
}

pub(super) async fn read(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    body: web::Json<ReadTree>,
    caller: Caller,
) -> Answer {
    let body = body.into_inner();
    let root = node_of("/uri", body.uri.as_deref())?;
    let how = match (body.whole, body.levels.unwrap_or(1)) {
        (true, _) if body.levels.is_some() => {
            return Err(Refused::invalid("/levels", "give whole or levels, not both"));
        }
        (true, _) => How::Whole,
        (false, levels) if (1..=LEVELS).contains(&levels) => How::Levels(levels),
        (false, _) => return Err(Refused::invalid("/levels", format!("levels is 1 to {LEVELS}"))),
    };
    let reason = answer::optional_text("/reason", body.reason.as_deref(), REASON)?.unwrap_or_default();
    let active = inside.active()?;
    let (name, objects, asked_by) = (path.into_inner(), inside.objects.clone(), caller.admin.name.clone());
    let reading = inside
        .change_once(&caller, Keep::Plain(202), move |tx| {
            let device = resolve(tx, &name)?;
            if device.state == EnrolmentState::Retired {
                return Err(Refused::new(Slug::WrongState, format!("device {} is retired", device.id)).into());
            }
            let begun = readings::begin(tx, &objects, device.id, &root, how)?;
            let now = tx.now();
            let row = StoredReading {
                id: tx.fresh_id(),
                asked_by: asked_by.clone(),
                reason: reason.clone(),
                created_at: now,
                updated_at: now,
                ..begun
            };
            trees::begin(tx, row.clone())?;
            let detail = json!({"uri": row.uri, "levels": row.levels, "reason": reason});
            Ok(Done { object: format!("device:{}", device.id), detail, value: shown_reading(&row) })
        })
        .await?;
    active.trees.go_on(reading.id).await;
    answer::json(202, &reading)
}

fn shown_reading(row: &StoredReading) -> TreeReading {
    TreeReading {
        id: row.id,
        device: row.enrolment,
        uri: row.uri.clone(),
        whole: row.levels == 0,
        levels: u32::try_from(row.levels).ok().filter(|levels| *levels > 0),
        state: row.state.clone(),
        cause: row.cause.clone(),
        asked: u64::try_from(row.asked).unwrap_or(0),
        operation: row.operation,
        snapshot: row.snapshot,
        requested_by: row.asked_by.clone(),
        created_at: Time(row.created_at),
        updated_at: Time(row.updated_at),
    }
}

pub(super) async fn reading(
    inside: web::Data<Inside>,
    path: web::Path<(String, String)>,
    query: web::Query<ReadingQuery>,
    _: Caller,
) -> Answer {
    let (device, text) = path.into_inner();
    let id: Uuid = text.parse().map_err(|_| Refused::not_found("reading", &text))?;
    let wait = query.wait.unwrap_or(0);
    if wait > WAIT_S {
        return Err(Refused::invalid("wait", format!("wait is at most {WAIT_S} seconds")));
    }
    let until = tokio::time::Instant::now() + Duration::from_secs(u64::from(wait));
    loop {
        let name = device.clone();
        let found = inside
            .store
            .read(move |r| {
                let device = match resolve(r, &name) {
                    Ok(device) => device,
                    Err(refused) => return Ok(Err(refused)),
                };
                Ok(Ok(trees::reading(r, id)?.filter(|row| row.enrolment == device.id)))
            })
            .await??;
        let row = found.ok_or_else(|| Refused::not_found("reading", id))?;
        if row.state != trees::STATE_OPEN || tokio::time::Instant::now() >= until {
            return answer::ok(&shown_reading(&row));
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

pub(super) async fn snapshots(inside: web::Data<Inside>, path: web::Path<String>, _: Caller) -> Answer {
    let name = path.into_inner();
    let heads = inside.store.read(move |r| Ok(of_device(r, &name))).await??.1;
    answer::ok(&Page { items: heads.iter().map(head).collect(), next_cursor: None })
}

fn of_device(r: &mut Reader, name: &str) -> Result<(EnrolmentId, Vec<SnapshotHead>), Refused> {
    let device = resolve(r, name)?;
    Ok((device.id, trees::snapshots(r, device.id)?))
}

fn head(head: &SnapshotHead) -> TreeSnapshot {
    TreeSnapshot {
        id: head.id,
        uri: head.uri.clone(),
        whole: head.whole,
        nodes: u64::try_from(head.nodes).unwrap_or(0),
        octets: u64::try_from(head.octets).unwrap_or(0),
        at: Time(head.at),
    }
}

pub(super) async fn forget(
    inside: web::Data<Inside>,
    path: web::Path<(String, String)>,
    caller: Caller,
) -> Answer {
    let (name, text) = path.into_inner();
    let id: Uuid = text.parse().map_err(|_| Refused::not_found("snapshot", &text))?;
    inside
        .change(&caller, move |tx| {
            let device = resolve(tx, &name)?;
            if !trees::remove(tx, device.id, id)? {
                return Err(Refused::not_found("snapshot", id).into());
            }
            Ok(Done { object: format!("device:{}", device.id), detail: json!({"snapshot": id}), value: () })
        })
        .await?;
    answer::nothing()
}

pub(super) async fn show(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    query: web::Query<TreeQuery>,
    _: Caller,
) -> Answer {
    let (name, query) = (path.into_inner(), query.into_inner());
    let root = node_of("uri", query.uri.as_deref())?;
    let tree = inside.store.read(move |r| Ok(shown(r, &name, &root, query.snapshot))).await??;
    answer::ok(&tree)
}

fn shown(r: &mut Reader, name: &str, root: &TreeUri, wanted: Option<Uuid>) -> Result<Tree, Refused> {
    let (device, heads) = of_device(r, name)?;
    let chosen: Vec<SnapshotHead> = match wanted {
        Some(id) => heads.into_iter().filter(|head| head.id == id).collect(),
        None => heads.into_iter().filter(|head| touches(&head.uri, root)).take(OVERLAID).collect(),
    };
    if wanted.is_some() && chosen.is_empty() {
        return Err(Refused::not_found("snapshot", wanted.unwrap_or_default()));
    }
    let mut layers = Vec::new();
    for head in chosen.iter().rev() {
        layers.extend(opened(r, device, head.id)?.map(|snapshot| (snapshot, head.at)));
    }
    let mut known: Vec<_> = overlay(&layers).into_iter().filter(|(uri, _)| root.is_prefix_of(uri)).collect();
    known.sort_by(|(left, _), (right, _)| left.segments().cmp(right.segments()));
    let nodes = known.into_iter().map(|(uri, known)| node(&uri, known.kept, known.at)).collect();
    let snapshot = wanted.and_then(|_| chosen.first()).map(head);
    Ok(Tree { device, uri: root.path().to_owned(), snapshot, nodes })
}

/// Whether a snapshot of `of` says something of what is at or below `root`.
fn touches(of: &str, root: &TreeUri) -> bool {
    TreeUri::parse(of).is_ok_and(|of| of.is_prefix_of(root) || root.is_prefix_of(&of))
}

fn opened(r: &mut Reader, device: EnrolmentId, id: Uuid) -> Result<Option<Snapshot>, StoreError> {
    let Some(row) = trees::snapshot(r, device, id)? else { return Ok(None) };
    serde_json::from_slice(&row.document)
        .map(Some)
        .map_err(|error| StoreError::Damaged(format!("the tree snapshot {id}: {error}")))
}

fn node(uri: &TreeUri, kept: Kept, at: UtcMillis) -> TreeNode {
    let (value, value_base64) = match kept.value {
        Some(KeptValue::Text(text)) => (Some(text), None),
        Some(KeptValue::Base64(text)) => (None, Some(text)),
        None => (None, None),
    };
    TreeNode {
        uri: uri.path().to_owned(),
        format: kept.format.map(|format| format.as_str().to_owned()),
        type_: kept.type_,
        value,
        value_base64,
        acl: kept.acl,
        title: kept.title,
        size: kept.size,
        t_stamp: kept.t_stamp,
        ver_no: kept.ver_no,
        explored: kept.explored,
        secret: kept.secret,
        too_long: kept.too_long,
        refused: kept.refused,
        at: Some(Time(at)),
    }
}

pub(super) async fn compare(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    query: web::Query<TreeDiffQuery>,
    _: Caller,
) -> Answer {
    let (name, query) = (path.into_inner(), query.into_inner());
    let root = query.uri.as_deref().map(|uri| node_of("uri", Some(uri))).transpose()?;
    let diff = inside.store.read(move |r| Ok(compared(r, &name, root.as_ref(), &query))).await??;
    answer::ok(&diff)
}

fn compared(
    r: &mut Reader,
    name: &str,
    root: Option<&TreeUri>,
    query: &TreeDiffQuery,
) -> Result<TreeDiff, Refused> {
    let (device, heads) = of_device(r, name)?;
    let named = |id: Uuid| {
        let found = heads.iter().position(|head| head.id == id);
        found.ok_or_else(|| Refused::not_found("snapshot", id))
    };
    let nothing = |what: &str| Refused::new(Slug::WrongState, format!("there is no {what} to compare"));
    let to = match query.to {
        Some(id) => named(id)?,
        None => heads
            .iter()
            .position(|head| root.is_none_or(|root| touches(&head.uri, root)))
            .ok_or_else(|| nothing("snapshot"))?,
    };
    let from = match query.from {
        Some(id) => named(id)?,
        // One of the same node is what people mean; one that has that node in it will do.
        None => {
            let older = || heads.iter().enumerate().skip(to + 1);
            let same = older().find(|(_, head)| head.uri == heads[to].uri);
            let node = node_of("uri", Some(&heads[to].uri))?;
            let found = same.or_else(|| older().find(|(_, head)| touches(&head.uri, &node)));
            found.map(|(at, _)| at).ok_or_else(|| nothing("older snapshot"))?
        }
    };
    let (old, new) = (opened(r, device, heads[from].id)?, opened(r, device, heads[to].id)?);
    let (Some(old), Some(new)) = (old, new) else { return Err(nothing("snapshot")) };
    let changes = diff(&old, &new)
        .into_iter()
        .filter(|change| root.is_none_or(|root| root.is_prefix_of(&change.uri)))
        .map(|change| TreeChange {
            uri: change.uri.path().to_owned(),
            kind: match change.kind {
                ChangeKind::Added => "added",
                ChangeKind::Removed => "removed",
                ChangeKind::Changed => "changed",
            }
            .to_owned(),
            what: change.what,
            before: change.before,
            after: change.after,
        })
        .collect();
    Ok(TreeDiff { from: head(&heads[from]), to: head(&heads[to]), changes })
}
