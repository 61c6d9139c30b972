//! The audit log: rows, the last signed head, verification against heads that were kept elsewhere.

use actix_web::web;
use postern_api::{
    Time,
    audit::{self as api, AuditFault, AuditHead, AuditQuery, AuditRow, AuditVerified, VerifyAudit},
    problem::Slug,
};
use postern_store::{Reader, StoreError, audit, held};
use postern_wire::terms::UtcMillis;

use super::{
    answer::{self, Answer, Window},
    auth::Caller,
    problem::Refused,
};
use crate::inside::Inside;

const LIST: &str = "audit";
/// Rows that are checked in one read transaction.
const CHUNK: i64 = 5000;
/// Most heads in one request.
const HEADS: usize = 20_000;

pub(super) async fn list(inside: web::Data<Inside>, query: web::Query<AuditQuery>, _: Caller) -> Answer {
    let window = Window::read(LIST, query.limit, query.cursor.as_deref())?;
    let before: Option<i64> = window.place()?;
    let fetch = window.fetch();
    let filter = audit::Filter {
        object: query.object.clone(),
        actor: query.actor.clone(),
        action: query.action.clone(),
        since: query.since.map(|at| at.0),
        until: query.until.map(|at| at.0),
    };
    let rows = inside.store.read(move |r| audit::list_where(r, &filter, before, fetch)).await?;
    answer::ok(&window.page(LIST, rows, |row| row.seq.to_string(), row))
}

/// A row as the API shows it.
pub(super) fn row(entry: audit::Entry) -> AuditRow {
    AuditRow {
        seq: u64::try_from(entry.seq).unwrap_or(0),
        at: Time(entry.at),
        actor: entry.actor,
        action: entry.action,
        object: entry.object,
        outcome: entry.outcome,
        detail: entry.detail,
        source: entry.source,
        request: entry.request,
        previous: data_encoding::HEXLOWER.encode(&entry.previous),
        hash: data_encoding::HEXLOWER.encode(&entry.hash),
    }
}

/// A stored head as the API and the anchor file show it.
pub(crate) fn shown(head: audit::Head) -> AuditHead {
    AuditHead {
        seq: u64::try_from(head.seq).unwrap_or(0),
        hash: data_encoding::HEXLOWER.encode(&head.hash),
        at: Time(head.at),
        signature: data_encoding::BASE64.encode(&head.signature),
        key: head.key_id,
    }
}

pub(super) async fn head(inside: web::Data<Inside>, _: Caller) -> Answer {
    let last = inside.store.read(|r| audit::heads(r, None, 1)).await?.pop();
    let head = last
        .ok_or_else(|| Refused::new(Slug::NotFound, "no head has been signed yet; ask again in a minute"))?;
    answer::ok(&shown(head))
}

pub(super) async fn verify(inside: web::Data<Inside>, body: web::Json<VerifyAudit>, _: Caller) -> Answer {
    let VerifyAudit { heads, heads_only } = body.into_inner();
    if heads.len() > HEADS {
        return Err(Refused::invalid("/heads", format!("at most {HEADS} heads in one request")));
    }
    let mut verified = AuditVerified {
        ok: false,
        first: 0,
        last: 0,
        heads: 0,
        faults: Vec::new(),
        public_key_pem: inside.audit_key.public_pem().to_owned(),
    };
    if heads_only {
        verified.first =
            inside.store.read(audit::first).await?.and_then(|seq| u64::try_from(seq).ok()).unwrap_or(0);
    } else {
        chain(&inside, &mut verified).await?;
    }
    let restores = restores(&inside).await?;
    for part in heads.chunks(500) {
        let (part, first, pem) = (part.to_vec(), verified.first, verified.public_key_pem.clone());
        let checked = inside.store.read(move |r| check_heads(r, &part, first, &pem)).await?;
        verified.heads += checked.heads;
        verified.faults.extend(checked.faults);
    }
    for fault in
        verified.faults.iter_mut().filter(|fault| fault.kind == "head-hash" || fault.kind == "head-missing")
    {
        let Some(head) = heads.iter().find(|head| head.seq == fault.seq) else { continue };
        let lost = restores.iter().find(|(seq, at)| head.seq >= *seq && head.at.0 < *at);
        if let Some((seq, at)) = lost {
            fault.kind = "restored".to_owned();
            fault.detail = format!(
                "it was signed before the restore of {at}: rows {seq} to {} of that time are in the lost database only",
                head.seq
            );
        }
    }
    verified.ok = verified.faults.is_empty();
    answer::ok(&verified)
}

/// The markers of restores: where each stands, and when it was written.
async fn restores(inside: &Inside) -> Result<Vec<(u64, UtcMillis)>, Refused> {
    let action = Some(held::RESTORED.to_owned());
    let filter = audit::Filter { action, ..audit::Filter::default() };
    let rows = inside.store.read(move |r| audit::list_where(r, &filter, None, 100)).await?;
    Ok(rows.into_iter().map(|row| (u64::try_from(row.seq).unwrap_or(0), row.at)).collect())
}

/// Checks the whole chain, some thousand rows at a time.
async fn chain(inside: &Inside, verified: &mut AuditVerified) -> Result<(), Refused> {
    let (mut after, mut previous) = (0, None);
    loop {
        let verdict = inside.store.read(move |r| audit::verify(r, after, previous, CHUNK)).await?;
        match verdict {
            audit::Verdict::Broken { seq, why } => {
                let seq = u64::try_from(seq).unwrap_or(0);
                verified.faults.push(AuditFault { seq, kind: "chain".to_owned(), detail: why });
                return Ok(());
            }
            audit::Verdict::Whole { first: 0, .. } => return Ok(()),
            audit::Verdict::Whole { first, last, hash } => {
                if verified.first == 0 {
                    verified.first = u64::try_from(first).unwrap_or(0);
                }
                verified.last = u64::try_from(last).unwrap_or(0);
                (after, previous) = (last, Some(hash));
            }
        }
    }
}

/// Checks heads against their rows. One that is older than the first row that is kept cannot be checked and does
/// not count.
fn check_heads(
    r: &mut Reader,
    heads: &[AuditHead],
    first: u64,
    pem: &str,
) -> Result<AuditVerified, StoreError> {
    let mut all = api::verify(&[], &[], pem);
    for head in heads.iter().filter(|head| head.seq >= first) {
        let before = i64::try_from(head.seq).unwrap_or(i64::MAX - 1).saturating_add(1);
        let found = audit::list(r, None, Some(before), 1)?.into_iter().map(row);
        let rows: Vec<AuditRow> = found.filter(|row| row.seq == head.seq).collect();
        let checked = api::verify(&rows, std::slice::from_ref(head), pem);
        all.heads += checked.heads;
        all.faults.extend(checked.faults);
    }
    Ok(all)
}
