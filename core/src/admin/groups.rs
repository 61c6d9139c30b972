//! Groups: static, nested; a cycle is refused.

use actix_web::{HttpRequest, web};
use postern_api::{
    devices::ReasonQuery,
    groups::{CreateGroup, DeviceRef, Group, GroupDetail, GroupRef, MEMBERS_SHOWN, UpdateGroup},
    page::PageQuery,
    problem::Slug,
};
use postern_store::{Reader, StoreError, documents, enrolments, groups};
use serde_json::json;

use super::{
    answer::{self, Answer, IfMatch, Window},
    auth::Caller,
    devices::{REASON, resolve},
    problem::Refused,
    write::{Done, Keep, Stop},
};
use crate::{inside::Inside, settings};

const LIST: &str = "groups";
/// Longest name, in characters.
const NAME: usize = 128;
/// Longest description, in characters.
const DESCRIPTION: usize = 1000;

pub(super) async fn list(inside: web::Data<Inside>, query: web::Query<PageQuery>, _: Caller) -> Answer {
    let window = Window::read(LIST, query.limit, query.cursor.as_deref())?;
    let (after, fetch) = (window.after.clone(), window.fetch());
    let rows = inside
        .store
        .read(move |r| {
            let rows = groups::list(r, after.as_deref(), fetch)?;
            rows.into_iter().map(|row| view(r, row)).collect::<Result<Vec<_>, _>>()
        })
        .await?;
    answer::ok(&window.page(LIST, rows, |group| group.name.clone(), |group| group))
}

fn view(r: &mut Reader, row: groups::Group) -> Result<Group, StoreError> {
    Ok(Group {
        device_count: u64::try_from(groups::count_members(r, row.id)?).unwrap_or(0),
        group_count: groups::children(r, row.id)?.len() as u64,
        id: row.id,
        name: row.name,
        description: (!row.description.is_empty()).then_some(row.description),
        revision: u64::try_from(row.revision).unwrap_or(0),
    })
}

fn find(r: &mut Reader, name: &str) -> Result<groups::Group, Refused> {
    groups::find(r, name)?.ok_or_else(|| Refused::not_found("group", name))
}

pub(super) async fn show(inside: web::Data<Inside>, path: web::Path<String>, _: Caller) -> Answer {
    let name = path.into_inner();
    let detail = inside.store.read(move |r| Ok(detail(r, &name))).await??;
    answer::tagged(200, detail.group.revision, &detail)
}

fn detail(r: &mut Reader, name: &str) -> Result<GroupDetail, Refused> {
    let row = find(r, name)?;
    let mut devices = Vec::new();
    for id in groups::members(r, row.id, None, i64::from(MEMBERS_SHOWN))? {
        let device = enrolments::get(r, id)?;
        let name = (device.name != device.device_id).then_some(device.name);
        devices.push(DeviceRef { id, device_id: device.device_id, name });
    }
    let inner = groups::children(r, row.id)?;
    let outer = groups::parents(r, row.id)?;
    let groups = refs(r, &inner)?;
    let member_of = refs(r, &outer)?;
    Ok(GroupDetail { group: view(r, row)?, devices, groups, member_of })
}

fn refs(r: &mut Reader, ids: &[uuid::Uuid]) -> Result<Vec<GroupRef>, StoreError> {
    let mut refs = Vec::new();
    for id in ids {
        refs.extend(
            groups::find(r, &id.to_string())?.map(|group| GroupRef { id: group.id, name: group.name }),
        );
    }
    Ok(refs)
}

pub(super) async fn create(
    inside: web::Data<Inside>,
    body: web::Json<CreateGroup>,
    caller: Caller,
) -> Answer {
    let name = group_name("/name", &body.name)?;
    let description = answer::optional_text("/description", body.description.as_deref(), DESCRIPTION)?;
    let group = inside
        .change_once(&caller, Keep::Plain(201), move |tx| {
            let row = groups::Group {
                id: tx.fresh_id(),
                name: name.clone(),
                description: description.clone().unwrap_or_default(),
                created_at: tx.now(),
                revision: 1,
            };
            taken(groups::insert(tx, row.clone()), &name)?;
            let detail = json!({"name": row.name});
            Ok(Done { object: format!("group:{}", row.id), detail, value: view(tx, row)? })
        })
        .await?;
    answer::tagged(201, group.revision, &group)
}

/// A group's name; one that reads as an id could never be named.
fn group_name(at: &str, name: &str) -> Result<String, Refused> {
    let name = answer::text(at, name, NAME)?;
    if uuid::Uuid::try_parse(&name).is_ok() {
        return Err(Refused::invalid(at, "a name does not look like an id"));
    }
    Ok(name)
}

fn taken<T>(done: Result<T, StoreError>, name: &str) -> Result<T, Stop> {
    done.map_err(|error| match error {
        StoreError::Conflict(_) => {
            Stop::Refused(Refused::new(Slug::AlreadyExists, format!("there is a group {name:?} already")))
        }
        other => other.into(),
    })
}

pub(super) async fn update(
    inside: web::Data<Inside>,
    request: HttpRequest,
    path: web::Path<String>,
    body: web::Json<UpdateGroup>,
    caller: Caller,
) -> Answer {
    let if_match = IfMatch::read(&request)?;
    let new_name = body.name.as_deref().map(|name| group_name("/name", name)).transpose()?;
    let description = answer::optional_text("/description", body.description.as_deref(), DESCRIPTION)?;
    let described = body.description.is_some();
    let name = path.into_inner();
    let group = inside
        .change(&caller, move |tx| {
            let row = find(tx, &name)?;
            if_match.check(u64::try_from(row.revision).unwrap_or(0))?;
            let new_name = new_name.clone().unwrap_or_else(|| row.name.clone());
            let description =
                if described { description.clone().unwrap_or_default() } else { row.description.clone() };
            taken(groups::update(tx, row.id, row.revision, &new_name, &description), &new_name)?;
            let row = find(tx, &row.id.to_string())?;
            let detail = json!({"name": row.name, "description": row.description});
            Ok(Done { object: format!("group:{}", row.id), detail, value: view(tx, row)? })
        })
        .await?;
    answer::tagged(200, group.revision, &group)
}

pub(super) async fn delete(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    query: web::Query<ReasonQuery>,
    caller: Caller,
) -> Answer {
    let reason = answer::optional_text("reason", query.reason.as_deref(), REASON)?;
    let name = path.into_inner();
    inside
        .change(&caller, move |tx| {
            let row = find(tx, &name)?;
            let assigned = documents::of_group(tx, row.id)?;
            if !assigned.is_empty() {
                // Its devices would lose what these set, and nobody would have said so.
                let detail = format!("policy documents are assigned to it: {}", assigned.join(", "));
                return Err(Refused::new(Slug::WrongState, detail).into());
            }
            groups::remove(tx, row.id)?;
            let detail = json!({"name": row.name, "reason": reason});
            Ok(Done { object: format!("group:{}", row.id), detail, value: () })
        })
        .await?;
    // Who is in which group may change what holds for a device.
    settings::tell(&inside).await;
    answer::nothing()
}

#[derive(Clone, Copy)]
enum Membership {
    In,
    Out,
}

pub(super) async fn add_device(
    inside: web::Data<Inside>,
    path: web::Path<(String, String)>,
    caller: Caller,
) -> Answer {
    device(&inside, path.into_inner(), &caller, Membership::In).await
}

pub(super) async fn remove_device(
    inside: web::Data<Inside>,
    path: web::Path<(String, String)>,
    caller: Caller,
) -> Answer {
    device(&inside, path.into_inner(), &caller, Membership::Out).await
}

async fn device(inside: &Inside, path: (String, String), caller: &Caller, way: Membership) -> Answer {
    let (group, device) = path;
    inside
        .change(caller, move |tx| {
            let row = find(tx, &group)?;
            let member = resolve(tx, &device)?;
            match way {
                Membership::In => groups::add_device(tx, row.id, member.id)?,
                Membership::Out => {
                    groups::remove_device(tx, row.id, member.id)?;
                }
            }
            let detail = json!({"group": row.name, "device": member.id.to_string()});
            Ok(Done { object: format!("group:{}", row.id), detail, value: () })
        })
        .await?;
    // Who is in which group may change what holds for a device.
    settings::tell(inside).await;
    answer::nothing()
}

pub(super) async fn add_group(
    inside: web::Data<Inside>,
    path: web::Path<(String, String)>,
    caller: Caller,
) -> Answer {
    group(&inside, path.into_inner(), &caller, Membership::In).await
}

pub(super) async fn remove_group(
    inside: web::Data<Inside>,
    path: web::Path<(String, String)>,
    caller: Caller,
) -> Answer {
    group(&inside, path.into_inner(), &caller, Membership::Out).await
}

async fn group(inside: &Inside, path: (String, String), caller: &Caller, way: Membership) -> Answer {
    let (group, member) = path;
    inside
        .change(caller, move |tx| {
            let row = find(tx, &group)?;
            let member = find(tx, &member)?;
            match way {
                Membership::In => groups::add_group(tx, row.id, member.id).map_err(|error| match error {
                    StoreError::Refused(reason) => Stop::Refused(Refused::new(Slug::GroupCycle, reason)),
                    other => other.into(),
                })?,
                Membership::Out => {
                    groups::remove_group(tx, row.id, member.id)?;
                }
            }
            let detail = json!({"group": row.name, "member": member.name});
            Ok(Done { object: format!("group:{}", row.id), detail, value: () })
        })
        .await?;
    // Who is in which group may change what holds for a device.
    settings::tell(inside).await;
    answer::nothing()
}
