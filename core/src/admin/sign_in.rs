//! Signing in by the directory: a name and a password become a token that holds for a while.
//!
//! Promise: the password goes to the directory, once, and nowhere else. Who fails hears one sentence, whatever was
//! wrong; the audit log has the reason. Before the directory's own lock-out would begin, the directory is not asked any
//! more ([`Tries`]), so that nobody locks an admin out through us. Roles are what the person's groups give at that
//! moment; a role that is new does not approve for a day. Without a directory, tokens work as ever.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};

use actix_web::web;
use postern_actors::{DirectoryError, DirectoryPerson, DirectoryView, Dn, Sid};
use postern_api::{
    Time,
    directory::{SignIn, SignOut, SignedIn},
    problem::Slug,
};
use postern_store::{StoreError, Tx, admins, audit, directory, roles, tokens};
use postern_wire::terms::{Role, UtcMillis};
use secrecy::SecretString;
use serde_json::json;
use uuid::Uuid;

use super::{
    answer::{self, Answer},
    auth::{Caller, Stranger},
    problem::Refused,
    write::Done,
};
use crate::{
    ca::DAY_MS,
    config::{self, SignInRoles},
    init::new_token,
    inside::Inside,
};

/// People whose tries are remembered.
const PEOPLE: usize = 10_000;
/// Characters of a name that are kept in the audit log.
const NAME: usize = 256;
const MINUTE_MS: i64 = 60_000;

/// Tries of late, by person. A success forgets them.
#[derive(Debug, Default)]
pub struct Tries(Mutex<HashMap<String, Vec<UtcMillis>>>);

impl Tries {
    /// Counts a try before it is made, so that many at once are no way around. Seconds to wait where there were too many.
    fn begin(&self, person: &str, now: UtcMillis, most: usize, window_ms: i64) -> Result<(), u32> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= PEOPLE && !all.contains_key(person) {
            all.retain(|_, tries| tries.iter().any(|at| now.since(*at) < window_ms));
            if all.len() >= PEOPLE {
                return Err(60);
            }
        }
        let tries = all.entry(person.to_owned()).or_default();
        tries.retain(|at| now.since(*at) < window_ms);
        if tries.len() >= most {
            let wait = tries.first().map_or(window_ms, |at| window_ms - now.since(*at));
            return Err(u32::try_from(wait / 1000).unwrap_or(60).max(1));
        }
        tries.push(now);
        Ok(())
    }

    /// The person is let in.
    fn succeeded(&self, person: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(person);
    }

    /// The directory was not asked: the try does not count.
    fn take_back(&self, person: &str) {
        if let Some(tries) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(person) {
            tries.pop();
        }
    }
}

pub(super) async fn open(inside: web::Data<Inside>, body: web::Json<SignIn>, stranger: Stranger) -> Answer {
    let SignIn { user, password } = body.into_inner();
    let password = SecretString::from(password);
    let active = inside.active()?;
    let (Some(by), Some(config)) = (active.sign_in.clone(), inside.config.sign_in.as_ref()) else {
        return Err(Refused::new(Slug::WrongState, "nobody signs in by a directory here; use a token"));
    };
    let now = inside.now();
    let view = active.directory.as_ref().and_then(|directory| directory.keeper().view());
    inside.sign_ins.may_reauthenticate(stranger.source, now, inside.config.admin.failures_per_minute)?;
    let counted = by.read(&user).and_then(|name| {
        let view = view.as_ref()?;
        view.accounts
            .user_called(name.principal.as_deref(), name.logon.as_deref())
            .map(|dn| dn.key().to_owned())
    });
    // Who is not in the last reading may be anybody, spelt in a way that the directory takes and we do not know: all of
    // those are counted as one.
    let person = counted.unwrap_or_default();
    let window_ms = i64::from(config.window_minutes) * MINUTE_MS;
    let most = most(config, view.as_ref());
    inside.tries.begin(&person, now, most, window_ms).map_err(|wait| {
        tracing::warn!(source = %stranger.source, "a person had too many wrong passwords; the directory is not asked");
        Refused::new(Slug::RateLimited, "too many tries for this name; wait").retry_after(wait)
    })?;
    match by.sign_in(user.clone(), password).await {
        Ok(found) => {
            inside.tries.succeeded(&person);
            let roles = roles_of(&found, &config.roles, view.as_ref());
            if roles.is_empty() {
                return Err(refuse(&inside, &stranger, &user, "no group of this person gives a role").await);
            }
            let minutes = i64::from(config.minutes);
            match let_in(&inside, &stranger, found, roles, now.plus(minutes * MINUTE_MS)).await? {
                Ok(signed_in) => answer::json(201, &signed_in),
                Err(why) => Err(refuse(&inside, &stranger, &user, why).await),
            }
        }
        Err(DirectoryError::Refused(why)) => Err(refuse(&inside, &stranger, &user, &why.to_string()).await),
        Err(error) => {
            if matches!(
                error,
                DirectoryError::Down(_) | DirectoryError::Certificate(_) | DirectoryError::ClearText(_)
            ) {
                inside.tries.take_back(&person);
            }
            tracing::warn!(%error, "nobody can sign in by the directory");
            Err(Refused::new(
                Slug::Unavailable,
                "the directory cannot be asked now; a token of a local admin works",
            ))
        }
    }
}

/// Below the domain's own threshold, where that was read: a wrong password elsewhere counts there too.
fn most(config: &config::SignIn, view: Option<&DirectoryView>) -> usize {
    let of_domain = view.and_then(|view| {
        let domain = view.snapshot.entries.values().find(|entry| entry.has("objectclass", "domaindns"))?;
        domain.text("lockoutthreshold")?.trim().parse::<usize>().ok()
    });
    let own = config.failures as usize;
    // 0: it locks nobody out.
    of_domain.filter(|most| *most > 0).map_or(own, |most| own.min(most.saturating_sub(1))).max(1)
}

/// The roles that a person's groups give. A group that is named by its distinguished name is looked up in the last
/// reading; one that is not there gives nothing.
fn roles_of(person: &DirectoryPerson, wanted: &SignInRoles, view: Option<&DirectoryView>) -> Vec<Role> {
    let sid = |group: &String| -> Option<Sid> {
        group.parse().ok().or_else(|| {
            let dn = Dn::new(group).ok()?;
            view?.directory.groups().get(&dn)?.sid.clone()
        })
    };
    let gives =
        |role: &Role| wanted.groups(*role).iter().filter_map(sid).any(|group| person.groups.contains(&group));
    Role::ALL.iter().copied().filter(gives).collect()
}

/// One sentence for all, after a time that tells nothing; the reason is for the audit log.
async fn refuse(inside: &Inside, stranger: &Stranger, user: &str, why: &str) -> Refused {
    inside.sign_ins.failed(stranger.source, inside.now());
    tracing::warn!(source = %stranger.source, reason = why, "a sign-in by the directory was refused");
    let typed: String = user.chars().filter(|c| !c.is_control()).take(NAME).collect();
    let act = audit::Act {
        actor: format!("user:{typed}"),
        action: stranger.operation.to_owned(),
        object: "sign-in".to_owned(),
        outcome: "refused".to_owned(),
        detail: json!({ "reason": why }).to_string(),
        source: stranger.source.to_string(),
        request: stranger.request.to_string(),
    };
    let written = inside.store.write(move |tx| audit::append(tx, act.clone()).map(drop)).await;
    if let Err(error) = written {
        tracing::error!(%error, "a refused sign-in was not audited");
    }
    Refused::new(Slug::Unauthenticated, "name or password is wrong, or this person may not sign in")
}

/// The person's admin with its roles and a token, in one transaction; why not.
async fn let_in(
    inside: &Inside,
    stranger: &Stranger,
    person: DirectoryPerson,
    roles: Vec<Role>,
    expires_at: UtcMillis,
) -> Result<Result<SignedIn, &'static str>, Refused> {
    let secret = new_token(inside.random.as_ref());
    let hash = tokens::hash(secret.as_bytes());
    let stranger = stranger.clone();
    let done = inside
        .store
        .write(move |tx| {
            let admin = match admin_of(tx, &person)? {
                Ok(admin) => admin,
                Err(why) => return Ok(Err(why)),
            };
            let known = directory::admin_by_sid(tx, &person.sid.to_string())?;
            let gained = hold(tx, admin.id, &roles)?;
            let now = tx.now();
            let roles_since = known.filter(|_| !gained).map_or(now, |known| known.roles_since);
            directory::put_admin(
                tx,
                directory::DirectoryAdmin {
                    admin: admin.id,
                    sid: person.sid.to_string(),
                    roles: roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(","),
                    roles_since,
                    signed_in_at: now,
                },
            )?;
            let token = tokens::Token {
                id: tx.fresh_id(),
                admin: admin.id,
                label: "sign-in".to_owned(),
                hash,
                scope: "*".to_owned(),
                networks: String::new(),
                created_at: now,
                expires_at: Some(expires_at),
                revoked_at: None,
                last_used_at: None,
                last_used_from: None,
                // Whoever changes groups of the directory gives roles: a new one does not approve at once.
                may_approve_from: now.max(roles_since.plus(DAY_MS)),
            };
            tokens::insert(tx, token.clone())?;
            let detail = json!({
                "name": person.name, "dn": person.dn, "sid": person.sid.to_string(), "roles": roles,
                "token": token.id, "expires_at": Time(expires_at),
            });
            audit::append(
                tx,
                audit::Act {
                    actor: format!("admin:{}", admin.name),
                    action: stranger.operation.to_owned(),
                    object: format!("admin:{}", admin.id),
                    outcome: "ok".to_owned(),
                    detail: detail.to_string(),
                    source: stranger.source.to_string(),
                    request: stranger.request.to_string(),
                },
            )?;
            Ok(Ok((admin.name, roles.clone(), token.id)))
        })
        .await?;
    Ok(done.map(|(admin, roles, token)| SignedIn {
        admin,
        roles,
        token,
        secret,
        expires_at: Time(expires_at),
    }))
}

/// The admin of a person; a new one where there is none.
fn admin_of(
    tx: &mut Tx,
    person: &DirectoryPerson,
) -> Result<Result<admins::Admin, &'static str>, StoreError> {
    if let Some(known) = directory::admin_by_sid(tx, &person.sid.to_string())? {
        let admin = admins::find(tx, known.admin)?.ok_or(StoreError::NotFound("admin"))?;
        let out = admin.disabled_at.is_some();
        return Ok(if out { Err("the admin is disabled here") } else { Ok(admin) });
    }
    // A local admin of this name is somebody else as far as anyone knows.
    if Uuid::try_parse(&person.name).is_ok() || admins::by_name(tx, &person.name)?.is_some() {
        return Ok(Err("a local admin has this name"));
    }
    let now = tx.now();
    let admin = admins::Admin {
        id: tx.fresh_id(),
        name: person.name.clone(),
        password: None,
        created_at: now,
        created_by: format!("directory:{}", person.sid),
        may_approve_from: now.plus(DAY_MS),
        disabled_at: None,
        revision: 1,
    };
    admins::insert(tx, admin.clone())?;
    Ok(Ok(admin))
}

/// The admin holds exactly these roles from now on. Whether it gained one.
fn hold(tx: &mut Tx, admin: Uuid, wanted: &[Role]) -> Result<bool, StoreError> {
    let before: BTreeSet<Role> = roles::of(tx, admin)?.into_iter().map(|grant| grant.role).collect();
    for role in before.iter().filter(|role| !wanted.contains(role)) {
        roles::revoke(tx, admin, *role)?;
    }
    let mut gained = false;
    for role in wanted.iter().filter(|role| !before.contains(role)) {
        let at = tx.now();
        let grant = roles::Grant { admin, role: *role, scope: None, granted_by: "directory".to_owned(), at };
        roles::grant(tx, grant)?;
        gained = true;
    }
    Ok(gained)
}

pub(super) async fn close(inside: web::Data<Inside>, _: web::Json<SignOut>, caller: Caller) -> Answer {
    let token = caller.token;
    inside
        .change(&caller, move |tx| {
            tokens::revoke(tx, token)?;
            Ok(Done { object: format!("token:{token}"), detail: serde_json::Value::Null, value: () })
        })
        .await?;
    answer::nothing()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_asked_for_so_often_and_no_more_until_the_window_has_passed() {
        let (tries, now) = (Tries::default(), UtcMillis(1_000_000));
        for _ in 0..3 {
            assert!(tries.begin("alice", now, 3, 60_000).is_ok());
        }
        assert_eq!(tries.begin("alice", now.plus(30_000), 3, 60_000), Err(30));
        assert!(tries.begin("bob", now, 3, 60_000).is_ok());
        assert!(tries.begin("alice", now.plus(60_000), 3, 60_000).is_ok());
        tries.succeeded("alice");
        tries.take_back("bob");
        for _ in 0..3 {
            assert!(tries.begin("alice", now, 3, 60_000).is_ok());
            assert!(tries.begin("bob", now, 3, 60_000).is_ok());
        }
    }

    #[test]
    fn roles_come_from_groups_by_sid() {
        let group: Sid = "S-1-5-21-1-2-3-1104".parse().unwrap();
        let person = DirectoryPerson {
            sid: "S-1-5-21-1-2-3-1103".parse().unwrap(),
            name: "alice@corp.example".to_owned(),
            dn: String::new(),
            groups: BTreeSet::from([group.clone()]),
        };
        let wanted = SignInRoles {
            auditor: vec![group.to_string()],
            device_admin: vec!["S-1-5-21-1-2-3-1105".to_owned(), "CN=x,DC=y".to_owned()],
            ..SignInRoles::default()
        };
        assert_eq!(roles_of(&person, &wanted, None), [Role::Auditor]);
    }
}
