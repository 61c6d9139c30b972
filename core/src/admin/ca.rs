//! CAs: shown, rolled over, certified from outside.

use actix_web::web;
use postern_api::{
    Page, Permission, Time,
    ca::{CaRequest, CaStatus, CertificateAuthority, ImportCa, RequestCa, RollOver, RollOverStep, Straggler},
    problem::Slug,
};
use postern_store::authorities::{self as rows, Authority};
use postern_wire::terms::{CaRole, CaState};
use serde_json::json;

use super::{
    answer::{self, Answer},
    auth::Caller,
    cut_off,
    devices::REASON,
    problem::{Refused, internal},
    write::{Done, Stop},
};
use crate::{
    ca::{
        self, certificate_pem, chain_of,
        external::BadChain,
        pem,
        roll::{self, RollError},
        stragglers,
    },
    inside::Inside,
};

/// Longest common name of a CA, in characters (RFC 5280, ub-common-name).
const NAME: usize = 64;

pub(super) async fn list(inside: web::Data<Inside>, _: Caller) -> Answer {
    let all = inside.store.read(rows::list).await?;
    answer::ok(&Page { items: all.iter().map(view).collect(), next_cursor: None })
}

pub(super) async fn show(inside: web::Data<Inside>, path: web::Path<String>, _: Caller) -> Answer {
    answer::ok(&status(&inside, role(&path)?).await?)
}

fn role(text: &str) -> Result<CaRole, Refused> {
    text.parse().map_err(|_| Refused::not_found("CA", text))
}

fn number(n: i64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn view(row: &Authority) -> CertificateAuthority {
    CertificateAuthority {
        role: row.role,
        generation: number(row.generation),
        state: row.state,
        name: row.name.clone(),
        issuer: row.issuer.clone(),
        chain_pem: chain_of(row).iter().map(|der| certificate_pem(der)).collect(),
        not_before: Time(row.not_before),
        not_after: Time(row.not_after),
        made_at: Time(row.made_at),
        made_by: row.made_by.clone(),
        retired_at: row.retired_at.map(Time),
        bridged: row.bridge.is_some(),
        crl_number: u64::try_from(row.crl_number).unwrap_or(0),
        crl_at: row.crl_at.map(Time),
        crl_next: row.crl_next.map(Time),
    }
}

async fn status(inside: &Inside, role: CaRole) -> Result<CaStatus, Refused> {
    let now = inside.now();
    let (all, rolling, mut found, mut more) = inside
        .store
        .read(move |r| {
            let all: Vec<Authority> = rows::list(r)?.into_iter().filter(|row| row.role == role).collect();
            let rolling = roll::under_way(r, role)?;
            let (found, more) = match &rolling {
                Some(rolling) => roll::stragglers(r, role, rolling.new.generation, now)?,
                None => (Vec::new(), false),
            };
            Ok((all, rolling, found, more))
        })
        .await?;
    if let Some(rolling) = &rolling {
        found.extend(stragglers::of_parties(inside, role, &rolling.new));
    }
    let listed = usize::try_from(roll::LISTED).unwrap_or(usize::MAX);
    more |= found.len() > listed;
    found.truncate(listed);
    let requested = all.iter().find(|row| row.state == CaState::Requested);
    Ok(CaStatus {
        role,
        roll_over: match (&rolling, requested) {
            (Some(_), _) => "rolling",
            (None, Some(_)) => "requested",
            (None, None) => "none",
        }
        .to_owned(),
        from: rolling.as_ref().map(|rolling| number(rolling.old.generation)),
        to: rolling.as_ref().map(|rolling| &rolling.new).or(requested).map(|row| number(row.generation)),
        generations: all.iter().map(view).collect(),
        stragglers: found.into_iter().map(shown).collect(),
        more_stragglers: more,
        troubles: inside
            .authorities
            .troubles()
            .into_iter()
            .filter(|trouble| trouble.contains(&format!("{role} CA")))
            .collect(),
    })
}

fn shown(straggler: roll::Straggler) -> Straggler {
    Straggler {
        kind: straggler.kind.to_owned(),
        id: straggler.id,
        name: straggler.name,
        generation: number(straggler.generation),
        why: straggler.why,
    }
}

pub(super) async fn roll_over(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    body: web::Json<RollOver>,
    caller: Caller,
) -> Answer {
    let (role, body) = (role(&path)?, body.into_inner());
    let reason = answer::optional_text("/reason", body.reason.as_deref(), REASON)?;
    if body.force {
        caller.require(Permission::CaForce)?;
    }
    inside.active()?;
    match body.step {
        RollOverStep::Start => start(&inside, role, &caller, reason).await?,
        RollOverStep::Finish | RollOverStep::Abort => {
            end(&inside, role, &caller, body.step, body.force, reason).await?;
        }
    }
    ca::changed(&inside).await?;
    answer::ok(&status(&inside, role).await?)
}

async fn start(
    inside: &Inside,
    role: CaRole,
    caller: &Caller,
    reason: Option<String>,
) -> Result<(), Refused> {
    let (generation, waiting) = inside
        .store
        .read(move |r| {
            let waiting = roll::under_way(r, role)?.is_some()
                || rows::list(r)?.iter().any(|row| row.role == role && row.state == CaState::Requested);
            Ok((roll::next_generation(r, role)?, waiting))
        })
        .await?;
    if waiting {
        return Err(Refused::new(
            Slug::WrongState,
            format!(
                "a roll-over of the {role} CA is under way or requested already: finish or abort it first"
            ),
        ));
    }
    if inside.authorities.signing(role).is_none() {
        return Err(refused(RollError::NoCa(role)));
    }
    let mut next = roll::prepare(&inside.authorities, role, generation, inside.now())
        .map_err(|error| refused(error.into()))?;
    next.made_by = caller.name();
    let made = next.clone();
    let done = inside
        .change(caller, move |tx| {
            let rolling = roll::start(tx, &next).map_err(refused)?;
            Ok(Done {
                object: format!("ca:{role}"),
                detail: json!({
                    "step": "start", "from": rolling.old.generation, "to": rolling.new.generation,
                    "name": rolling.new.name, "reason": reason,
                }),
                value: (),
            })
        })
        .await;
    if done.is_err() {
        inside.authorities.forget_key(&made);
    }
    done
}

async fn end(
    inside: &Inside,
    role: CaRole,
    caller: &Caller,
    step: RollOverStep,
    force: bool,
    reason: Option<String>,
) -> Result<(), Refused> {
    // Gateways and cores tell what they use: the rows do not know it.
    let rolling = inside.store.read(move |r| roll::under_way(r, role)).await?;
    let held_back = match (&rolling, step) {
        (Some(rolling), RollOverStep::Finish) => stragglers::of_parties(inside, role, &rolling.new),
        (Some(rolling), _) => stragglers::of_parties(inside, role, &rolling.old),
        (None, _) => Vec::new(),
    };
    let goes = rolling.as_ref().filter(|_| role == CaRole::Device && force).map(|rolling| match step {
        RollOverStep::Finish => rolling.old.generation,
        _ => rolling.new.generation,
    });
    if let Some(goes) = goes {
        // Whoever has not followed by now loses its access: it is counted like any other device that is taken away.
        let devices = inside.store.read(move |r| cut_off::devices_of_generation(r, goes)).await?;
        let what = json!({ "ca": role, "step": step, "generation": goes });
        cut_off::admitted(inside, caller, devices, what, reason.as_deref().unwrap_or_default()).await?;
    }
    let withdrawn = inside
        .change(caller, move |tx| {
            let requested = rows::list(tx)?
                .into_iter()
                .find(|row| row.role == role && row.state == CaState::Requested && rolling.is_none());
            let (detail, withdrawn) = match (step, requested) {
                (RollOverStep::Abort, Some(row)) => {
                    rows::withdraw(tx, role, row.generation)?;
                    (json!({"step": "abort", "requested": row.generation, "reason": reason}), Some(row))
                }
                _ => {
                    let ended = match step {
                        RollOverStep::Finish => roll::finish(tx, role, force, &held_back),
                        _ => roll::abort(tx, role, force, &held_back),
                    };
                    let ended = ended.map_err(refused)?;
                    let detail = json!({
                        "step": step, "from": ended.old.generation, "to": ended.new.generation,
                        "force": force, "reason": reason,
                    });
                    (detail, None)
                }
            };
            Ok::<_, Stop>(Done { object: format!("ca:{role}"), detail, value: withdrawn })
        })
        .await?;
    if let Some(row) = withdrawn {
        inside.authorities.forget_key(&row);
    }
    Ok(())
}

pub(super) async fn request(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    body: web::Json<RequestCa>,
    caller: Caller,
) -> Answer {
    let (role, body) = (role(&path)?, body.into_inner());
    let name = answer::optional_text("/name", body.name.as_deref(), NAME)?;
    let reason = answer::optional_text("/reason", body.reason.as_deref(), REASON)?;
    inside.active()?;
    let (all, rolling, generation) = inside
        .store
        .read(move |r| Ok((rows::list(r)?, roll::under_way(r, role)?, roll::next_generation(r, role)?)))
        .await?;
    let answer = |generation: i64, der: &[u8]| {
        answer::ok(&CaRequest {
            role,
            generation: number(generation),
            request_pem: pem("CERTIFICATE REQUEST", der),
        })
    };
    if let Some(waiting) = all.iter().find(|row| row.role == role && row.state == CaState::Requested) {
        let der = inside.authorities.request_again(waiting).map_err(|error| refused(error.into()))?;
        return answer(waiting.generation, &der);
    }
    if let Some(rolling) = rolling {
        let (old, new) = (rolling.old.generation, rolling.new.generation);
        return Err(refused(RollError::Rolling { role, old, new }));
    }
    let (mut row, der) = inside
        .authorities
        .request_next(role, generation, name.as_deref())
        .map_err(|error| refused(error.into()))?;
    row.made_by = caller.name();
    let made = row.clone();
    let done = inside
        .change(&caller, move |tx| {
            rows::insert(tx, Authority { made_at: tx.now(), ..row.clone() })?;
            let detail = json!({"generation": row.generation, "name": row.name, "reason": reason});
            Ok(Done { object: format!("ca:{role}"), detail, value: () })
        })
        .await;
    if let Err(error) = done {
        inside.authorities.forget_key(&made);
        return Err(error);
    }
    ca::changed(&inside).await?;
    answer(generation, &der)
}

pub(super) async fn import(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    body: web::Json<ImportCa>,
    caller: Caller,
) -> Answer {
    let (role, body) = (role(&path)?, body.into_inner());
    let reason = answer::optional_text("/reason", body.reason.as_deref(), REASON)?;
    inside.active()?;
    let all = inside.store.read(rows::list).await?;
    let requested = all.iter().find(|row| row.role == role && row.state == CaState::Requested);
    let requested = requested.ok_or_else(|| {
        Refused::new(
            Slug::WrongState,
            format!(
                "no {role} CA waits for a certificate: ask for one first (`ca external {role} --request`)"
            ),
        )
    })?;
    let next = inside
        .authorities
        .certified_next(requested, &body.chain_pem, &all, inside.now())
        .map_err(|error| refused(error.into()))?
        .map_err(bad_chain)?;
    inside
        .change(&caller, move |tx| {
            let rolling = roll::start(tx, &next).map_err(refused)?;
            Ok(Done {
                object: format!("ca:{role}"),
                detail: json!({
                    "step": "start", "from": rolling.old.generation, "to": rolling.new.generation,
                    "name": rolling.new.name, "external": true, "bridged": rolling.new.bridge.is_some(),
                    "reason": reason,
                }),
                value: (),
            })
        })
        .await?;
    ca::changed(&inside).await?;
    answer::ok(&status(&inside, role).await?)
}

fn bad_chain(bad: BadChain) -> Refused {
    Refused::new(Slug::InvalidChain, bad.to_string()).item("/chain_pem", bad.to_string())
}

fn refused(error: RollError) -> Refused {
    match error {
        RollError::Store(error) => error.into(),
        RollError::Ca(error) => internal(&error),
        stragglers @ RollError::Stragglers { .. } => Refused::new(
            Slug::Stragglers,
            format!(
                "{stragglers}: `ca roll-over … status` lists them; force it (`ca.force`) to leave them behind"
            ),
        ),
        other => Refused::new(Slug::WrongState, other.to_string()),
    }
}
