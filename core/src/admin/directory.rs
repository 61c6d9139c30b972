//! The directory over the API: how its reading stands, and who devices and their owners are in it.

use actix_web::web;
use postern_actors::{
    Bindings, Bound, BoundBy, DirectoryEntry, DirectoryLook, DirectorySupervisor, DirectoryView, Dn, Sid,
    Unbound, policy::inputs::Change,
};
use postern_api::{
    Time,
    devices::ReasonQuery,
    directory::{
        BindDevice, BindingQuery, BoundAccount, DeviceBinding, DirectoryState, DirectoryTask,
        DirectoryTrouble, RefreshDirectory, RefreshedDirectory,
    },
    problem::Slug,
};
use postern_store::{Reader, StoreError, directory as table, enrolments};
use postern_wire::terms::{EnrolmentId, EnrolmentState};
use serde_json::json;

use super::{
    answer::{self, Answer, Window},
    auth::Caller,
    devices::{REASON, resolve},
    problem::Refused,
    write::{Done, Stop},
};
use crate::{inside::Inside, sysvol};

const LIST: &str = "directory-bindings";
/// Remarks that are shown.
const REMARKS: usize = 50;
/// Devices that are looked at for one page.
const PAGE: i64 = 500;
/// Characters of an account's name.
const NAME: usize = 2_000;

pub(super) async fn show(inside: web::Data<Inside>, _: Caller) -> Answer {
    answer::ok(&state(&inside).await?)
}

pub(super) async fn refresh(
    inside: web::Data<Inside>,
    body: web::Json<RefreshDirectory>,
    caller: Caller,
) -> Answer {
    let whole = body.into_inner().whole;
    let supervisor = supervisor(&inside)?;
    let active = inside.active()?;
    let writes = active.directory_tasks.is_some();
    inside
        .change(&caller, move |tx| {
            let again = if writes { table::unpark(tx)? } else { 0 };
            let detail = json!({ "whole": whole, "tasks": again });
            Ok(Done { object: "directory".to_owned(), detail, value: () })
        })
        .await?;
    if let Some(tasks) = &active.directory_tasks {
        tasks.wake();
    }
    let look = match supervisor.refresh(whole).await {
        Ok(DirectoryLook::Whole) => "whole",
        Ok(DirectoryLook::Changed) => "changed",
        Ok(DirectoryLook::Same) => "same",
        Err(_) => "failed",
    };
    if let Some(sysvol) = active.sysvol.as_ref() {
        sysvol.refresh(whole).await;
    }
    answer::ok(&RefreshedDirectory { look: look.to_owned(), directory: state(&inside).await? })
}

async fn state(inside: &Inside) -> Result<DirectoryState, Refused> {
    let active = inside.active()?;
    let keeper = active.directory.as_ref().map(DirectorySupervisor::keeper);
    let (status, view) = (keeper.map(|keeper| keeper.status()), keeper.and_then(|keeper| keeper.view()));
    let (counts, parked_because) =
        inside.store.read(|r| Ok((table::task_counts(r)?, table::parked_because(r)?))).await?;
    let tasks = |state: &str| {
        let found = counts.iter().find(|(known, _)| known == state);
        found.map_or(0, |(_, count)| u64::try_from(*count).unwrap_or(0))
    };
    let good = status.as_ref().and_then(|status| status.good.as_ref());
    let word = match (&status, good) {
        (None, _) => "off",
        (Some(_), None) => "unread",
        (Some(status), Some(_)) if status.is_stale() => "stale",
        (Some(_), Some(_)) => "good",
    };
    let having = |class: &str| {
        let entries = view.iter().flat_map(|view| view.snapshot.entries.values());
        entries.filter(|entry| entry.has("objectclass", class)).count() as u64
    };
    let (computers, users) = (having("computer"), having("user"));
    let of = |count: fn(&DirectoryView) -> usize| view.as_ref().map_or(0, count) as u64;
    Ok(DirectoryState {
        state: word.to_owned(),
        servers: inside.config.directory.as_ref().map(|config| config.servers.clone()).unwrap_or_default(),
        server: good.map(|good| good.mark.server.clone()),
        good_at: good.map(|good| Time(good.at)),
        whole_at: good.map(|good| Time(good.whole_at)),
        restored: good.is_some_and(|good| good.restored),
        generation: view.as_ref().map_or(0, |view| view.generation),
        entries: good.map_or(0, |good| good.entries as u64),
        containers: of(|view| view.directory.soms().len()),
        gpos: of(|view| view.directory.gpos().len()),
        computers,
        // A computer is a user as well.
        users: users.saturating_sub(computers),
        groups: of(|view| view.directory.groups().len()),
        trouble: status.as_ref().and_then(|status| status.trouble.as_ref()).map(|trouble| DirectoryTrouble {
            error: trouble.error.to_string(),
            since: Time(trouble.since),
            looks: trouble.looks,
        }),
        remarks: view
            .iter()
            .flat_map(|view| view.remarks.iter())
            .map(ToString::to_string)
            .take(REMARKS)
            .collect(),
        waiting: tasks("waiting"),
        parked: tasks("parked"),
        parked_because,
        given_up: tasks("given-up"),
        writes: active.directory_tasks.is_some(),
        sign_in: active.sign_in.is_some(),
        sysvol: active.sysvol.as_ref().map(sysvol::view),
    })
}

fn supervisor(inside: &Inside) -> Result<DirectorySupervisor, Refused> {
    let none = || Refused::new(Slug::WrongState, "no directory is set up ([directory], docs/DIRECTORY.md)");
    inside.active()?.directory.clone().ok_or_else(none)
}

pub(super) async fn bindings(
    inside: web::Data<Inside>,
    query: web::Query<BindingQuery>,
    _: Caller,
) -> Answer {
    let window = Window::read(LIST, query.limit, query.cursor.as_deref())?;
    let after: Option<EnrolmentId> = window.place()?;
    let (fetch, unbound) = (window.fetch(), query.unbound == Some(true));
    let bindings = supervisor(&inside)?.bindings();
    let rows = inside
        .store
        .read(move |r| {
            let (mut found, mut after) = (Vec::new(), after);
            while i64::try_from(found.len()).is_ok_and(|count| count < fetch) {
                let page = enrolments::list(r, &enrolments::Filter::default(), after, PAGE)?;
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                for row in page.into_iter().filter(|row| row.state != EnrolmentState::Retired) {
                    let bound = bindings.of(r, row.id)?;
                    let without =
                        bound.computer.is_err() || !matches!(bound.user, Ok(_) | Err(Unbound::NoOwner));
                    if !unbound || without {
                        found.push(shown(r, row, bound)?);
                    }
                }
            }
            Ok(found)
        })
        .await?;
    answer::ok(&window.page(LIST, rows, |binding| binding.device.to_string(), |binding| binding))
}

pub(super) async fn binding(inside: web::Data<Inside>, path: web::Path<String>, _: Caller) -> Answer {
    let (name, bindings) = (path.into_inner(), supervisor(&inside)?.bindings());
    let found = inside
        .store
        .read(move |r| {
            let row = match resolve(r, &name) {
                Ok(row) => row,
                Err(refused) => return Ok(Err(refused)),
            };
            let bound = bindings.of(r, row.id)?;
            shown(r, row, bound).map(Ok)
        })
        .await??;
    answer::ok(&found)
}

pub(super) async fn bind(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    body: web::Json<BindDevice>,
    caller: Caller,
) -> Answer {
    let BindDevice { computer, user, reason } = body.into_inner();
    let reason = answer::optional_text("/reason", reason.as_deref(), REASON)?;
    let computer = answer::optional_text("/computer", computer.as_deref(), NAME)?;
    let user = answer::optional_text("/user", user.as_deref(), NAME)?;
    if computer.is_none() && user.is_none() {
        return Err(Refused::invalid("/computer", "name a computer, a user, or both"));
    }
    let supervisor = supervisor(&inside)?;
    let view = supervisor.keeper().view();
    let view = view.ok_or_else(|| Refused::new(Slug::WrongState, "the directory was not read yet"))?;
    let computer = computer.map(|name| account(&view, true, &name)).transpose()?;
    let user = user.map(|name| account(&view, false, &name)).transpose()?;
    let (name, by, bindings) = (path.into_inner(), caller.name(), supervisor.bindings());
    let bound = inside
        .change(&caller, move |tx| {
            let row = resolve(tx, &name)?;
            if row.state == EnrolmentState::Retired {
                return Err(Refused::new(Slug::WrongState, "the device is retired").into());
            }
            if let Some((sid, dn)) = &computer
                && let Some(other) = table::bound_to(tx, &sid.to_string(), row.id)?
            {
                let why = format!("{dn} was named for the device {other} already");
                return Err(Refused::new(Slug::AlreadyExists, why).into());
            }
            let before = table::binding(tx, row.id)?;
            // The computer that was made for it stays its own, unless another one is named.
            let made = before.clone().filter(|before| before.created && computer.is_none());
            let of = |account: &Option<(Sid, Dn)>| account.as_ref().map(|(sid, _)| sid.to_string());
            let called = |account: &Option<(Sid, Dn)>| account.as_ref().map(|(_, dn)| dn.to_string());
            table::bind(
                tx,
                table::Binding {
                    enrolment: row.id,
                    computer: of(&computer).or(made.as_ref().and_then(|made| made.computer.clone())),
                    computer_dn: called(&computer).or(made.as_ref().and_then(|made| made.computer_dn.clone())),
                    created: made.is_some(),
                    person: of(&user),
                    person_dn: called(&user),
                    set_by: by.clone(),
                    at: tx.now(),
                },
            )?;
            let detail = json!({
                "computer": called(&computer), "user": called(&user), "reason": reason,
                "before": before.map(|before| json!({"computer": before.computer_dn, "user": before.person_dn})),
            });
            let (object, bound) = (format!("device:{}", row.id), bindings.of(tx, row.id)?);
            Ok::<_, Stop>(Done { object, detail, value: shown(tx, row, bound)? })
        })
        .await?;
    recomputed(&inside, &bound);
    answer::ok(&bound)
}

pub(super) async fn unbind(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    query: web::Query<ReasonQuery>,
    caller: Caller,
) -> Answer {
    let reason = answer::optional_text("reason", query.reason.as_deref(), REASON)?;
    let (name, bindings) = (path.into_inner(), supervisor(&inside)?.bindings());
    let bound = inside
        .change(&caller, move |tx| {
            let row = resolve(tx, &name)?;
            let had = table::unbind(tx, row.id)?;
            let detail = json!({ "had": had, "reason": reason });
            let (object, bound) = (format!("device:{}", row.id), bindings.of(tx, row.id)?);
            Ok::<_, Stop>(Done { object, detail, value: shown(tx, row, bound)? })
        })
        .await?;
    recomputed(&inside, &bound);
    answer::ok(&bound)
}

/// Another account, another policy.
fn recomputed(inside: &Inside, bound: &DeviceBinding) {
    if let Ok(active) = inside.active() {
        active.policies.changed(Change::Devices(vec![EnrolmentId(bound.device)]));
    }
}

/// The one account that a person means.
fn account(view: &DirectoryView, is_computer: bool, name: &str) -> Result<(Sid, Dn), Refused> {
    let place = if is_computer { "/computer" } else { "/user" };
    let found = view.named(is_computer, name).map_err(|why| Refused::invalid(place, why))?;
    let sid = |entry: &DirectoryEntry| {
        entry.values("objectsid").first().and_then(|octets| Sid::read(octets).ok()).map(|(sid, _)| sid)
    };
    let sid = view.snapshot.entries.get(&found).and_then(sid);
    sid.map(|sid| (sid, found)).ok_or_else(|| Refused::invalid(place, "the directory gives no SID of it"))
}

fn shown(r: &mut Reader, row: enrolments::Enrolment, bound: Bound) -> Result<DeviceBinding, StoreError> {
    let tasks = table::tasks_of(r, row.id)?.into_iter().map(|task| DirectoryTask {
        act: task.act,
        state: task.state,
        computer: task.computer_dn,
        cause: task.cause,
        tries: u64::try_from(task.tries).unwrap_or(0),
        due_at: task.due_at.map(Time),
        made_at: Time(task.made_at),
    });
    Ok(DeviceBinding {
        device: row.id.0,
        name: row.name,
        owner: row.owner,
        computer: said(bound.computer),
        user: said(bound.user),
        tasks: tasks.collect(),
    })
}

fn said(found: Result<(Dn, BoundBy), Unbound>) -> BoundAccount {
    match found {
        Ok((dn, how)) => BoundAccount {
            dn: Some(dn.to_string()),
            how: Some(how.as_str().to_owned()),
            ..BoundAccount::default()
        },
        Err(why) => BoundAccount {
            reason: Some(why.to_string()),
            candidates: match why {
                Unbound::Several(all) => all.iter().map(ToString::to_string).collect(),
                _ => Vec::new(),
            },
            ..BoundAccount::default()
        },
    }
}
