//! Admins and roles. Nobody changes their own.

use actix_web::{HttpRequest, web};
use postern_actors::safety::{self, ADMINS, Content};
use postern_api::{
    Page, Permission, Time,
    admins::{Admin, CreateAdmin, Me, RoleInfo, UpdateAdmin},
    page::PageQuery,
    permissions::granted,
    problem::Slug,
};
use postern_store::{Reader, StoreError, admins, roles};
use postern_wire::terms::Role;
use serde_json::json;
use uuid::Uuid;

use super::{
    answer::{self, Answer, IfMatch, Window},
    auth::Caller,
    devices::REASON,
    problem::{Refused, needs_approval},
    write::{Done, Keep, Stop},
};
use crate::{ca::DAY_MS, inside::Inside};

const LIST: &str = "admins";
/// Longest name, in characters.
const NAME: usize = 128;

pub(super) async fn me(caller: Caller) -> Answer {
    let permissions = Permission::ALL.iter().copied().filter(|permission| caller.may(*permission)).collect();
    let admin = shape(caller.admin.clone(), caller.roles.clone());
    answer::ok(&Me { admin, token: caller.token, permissions })
}

pub(super) async fn roles(_: Caller) -> Answer {
    let items: Vec<RoleInfo> =
        Role::ALL.iter().map(|role| RoleInfo { role: *role, permissions: granted(*role).to_vec() }).collect();
    answer::ok(&Page { items, next_cursor: None })
}

pub(super) async fn list(inside: web::Data<Inside>, query: web::Query<PageQuery>, _: Caller) -> Answer {
    let window = Window::read(LIST, query.limit, query.cursor.as_deref())?;
    let rows = inside
        .store
        .read(|r| {
            let rows = admins::list(r)?;
            rows.into_iter().map(|row| view(r, row)).collect::<Result<Vec<_>, _>>()
        })
        .await?;
    let rows =
        rows.into_iter().filter(|row| window.after.as_ref().is_none_or(|after| row.name > *after)).collect();
    answer::ok(&window.page(LIST, rows, |admin| admin.name.clone(), |admin| admin))
}

pub(super) async fn show(inside: web::Data<Inside>, path: web::Path<String>, _: Caller) -> Answer {
    let name = path.into_inner();
    let admin = inside.store.read(move |r| Ok(find(r, &name).map(|row| view(r, row)))).await???;
    answer::tagged(200, admin.revision, &admin)
}

/// The admin of this id or name.
pub(super) fn find(r: &mut Reader, name: &str) -> Result<admins::Admin, Refused> {
    let found = match Uuid::try_parse(name) {
        Ok(id) => admins::find(r, id)?,
        Err(_) => admins::by_name(r, name)?,
    };
    found.ok_or_else(|| Refused::not_found("admin", name))
}

fn view(r: &mut Reader, row: admins::Admin) -> Result<Admin, StoreError> {
    let roles = roles::of(r, row.id)?.into_iter().map(|grant| grant.role).collect();
    Ok(shape(row, roles))
}

fn shape(row: admins::Admin, roles: Vec<Role>) -> Admin {
    Admin {
        id: row.id,
        name: row.name,
        roles,
        created_at: Time(row.created_at),
        disabled: row.disabled_at.is_some(),
        revision: u64::try_from(row.revision).unwrap_or(0),
    }
}

pub(super) async fn create(
    inside: web::Data<Inside>,
    body: web::Json<CreateAdmin>,
    caller: Caller,
) -> Answer {
    let name = answer::text("/name", &body.name, NAME)?;
    if Uuid::try_parse(&name).is_ok() {
        return Err(Refused::invalid("/name", "a name does not look like an id"));
    }
    let mut wanted = body.into_inner().roles;
    wanted.sort_unstable();
    wanted.dedup();
    let by = caller.name();
    // Whoever gives roles gives power over devices, and approvers: another has to agree, where there is one.
    let content = Content::new(ADMINS, Vec::new(), json!({"create": name, "roles": wanted}));
    let (consenting, actor) = (content.clone(), caller.actor());
    let made = inside
        .change_once(&caller, Keep::Plain(201), move |tx| {
            if !wanted.is_empty() && !safety::consent(tx, &actor, &consenting, "")? {
                return Err(Refused::new(Slug::NeedsApproval, "another has to agree").into());
            }
            let now = tx.now();
            let row = admins::Admin {
                id: tx.fresh_id(),
                name: name.clone(),
                password: None,
                created_at: now,
                created_by: by.clone(),
                // A new admin cannot approve for 24 hours.
                may_approve_from: now.plus(DAY_MS),
                disabled_at: None,
                revision: 1,
            };
            admins::insert(tx, row.clone()).map_err(|error| match error {
                StoreError::Conflict(_) => Stop::Refused(Refused::new(
                    Slug::AlreadyExists,
                    format!("there is an admin {name:?} already"),
                )),
                other => other.into(),
            })?;
            for role in &wanted {
                roles::grant(tx, grant(row.id, *role, &by, now))?;
            }
            let detail = json!({"name": name, "roles": wanted});
            Ok(Done { object: format!("admin:{}", row.id), detail, value: view(tx, row)? })
        })
        .await;
    let admin = asked(&inside, &caller, made, content, "").await?;
    answer::tagged(201, admin.revision, &admin)
}

/// What another has to agree to is asked for, after the change that was refused was taken back.
async fn asked(
    inside: &Inside,
    caller: &Caller,
    made: Result<Admin, Refused>,
    content: Content,
    reason: &str,
) -> Result<Admin, Refused> {
    let refused = match made {
        Err(refused) if refused.slug() == Slug::NeedsApproval => refused,
        other => return other,
    };
    let (actor, reason) = (caller.actor(), reason.to_owned());
    let asked = inside.store.write(move |tx| safety::ask_consent(tx, &actor, &content, &reason)).await?;
    Err(asked.map_or(refused, needs_approval))
}

fn grant(admin: Uuid, role: Role, by: &str, at: postern_wire::terms::UtcMillis) -> roles::Grant {
    roles::Grant { admin, role, scope: None, granted_by: by.to_owned(), at }
}

pub(super) async fn update(
    inside: web::Data<Inside>,
    request: HttpRequest,
    path: web::Path<String>,
    body: web::Json<UpdateAdmin>,
    caller: Caller,
) -> Answer {
    let if_match = IfMatch::read(&request)?;
    let body = body.into_inner();
    let reason = answer::optional_text("/reason", body.reason.as_deref(), REASON)?;
    let (name, own, by) = (path.into_inner(), caller.admin.id, caller.name());
    let because = reason.clone().unwrap_or_default();
    let mut roles_wanted = body.roles.clone();
    if let Some(roles) = &mut roles_wanted {
        roles.sort_unstable();
        roles.dedup();
    }
    let content = Content::new(
        ADMINS,
        Vec::new(),
        json!({"change": name, "roles": roles_wanted, "disabled": body.disabled}),
    );
    let (consenting, actor) = (content.clone(), caller.actor());
    let made = inside
        .change(&caller, move |tx| {
            let row = find(tx, &name)?;
            if row.id == own {
                return Err(
                    Refused::new(Slug::OwnRoles, "another security admin has to change your roles").into()
                );
            }
            if_match.check(u64::try_from(row.revision).unwrap_or(0))?;
            let before: Vec<Role> = roles::of(tx, row.id)?.into_iter().map(|grant| grant.role).collect();
            let approves = |roles: &[Role]| roles.iter().any(|role| safety::APPROVING.contains(role));
            let gives =
                body.roles.as_ref().is_some_and(|wanted| wanted.iter().any(|role| !before.contains(role)));
            let takes = approves(&before)
                && (body.disabled == Some(true)
                    || body.roles.as_ref().is_some_and(|wanted| !approves(wanted)));
            let lets_in = body.disabled == Some(false) && row.disabled_at.is_some();
            // A role more, an approver less, or one who was shut out: another has to agree. To take a role that
            // approves nothing, or to shut its holder out, is done at once.
            if (gives || takes || lets_in)
                && !safety::consent(tx, &actor, &consenting, reason.as_deref().unwrap_or_default())?
            {
                return Err(Refused::new(Slug::NeedsApproval, "another has to agree").into());
            }
            if let Some(wanted) = &body.roles {
                for role in before.iter().filter(|role| !wanted.contains(role)) {
                    roles::revoke(tx, row.id, *role)?;
                }
                for role in wanted.iter().filter(|role| !before.contains(role)) {
                    let at = tx.now();
                    roles::grant(tx, grant(row.id, *role, &by, at))?;
                }
            }
            // Also when only roles change: the row's revision is what If-Match goes by.
            admins::set_disabled(tx, row.id, body.disabled.unwrap_or(row.disabled_at.is_some()))?;
            let row = find(tx, &row.id.to_string())?;
            let value = view(tx, row)?;
            let detail =
                json!({"before": before, "roles": value.roles, "disabled": value.disabled, "reason": reason});
            Ok(Done { object: format!("admin:{}", value.id), detail, value })
        })
        .await;
    let admin = asked(&inside, &caller, made, content, &because).await?;
    answer::tagged(200, admin.revision, &admin)
}
