//! The proof of what became of a wipe: its steps, the hash of what was said, the rows of the audit log up to a signed
//! head, all signed by the audit key.

use actix_web::web;
use postern_adapters::anchor::FileAnchor;
use postern_api::{
    Time,
    problem::Slug,
    wipes::{WipeProof, WipeProofDocument},
};
use postern_store::{Reader, StoreError, audit, wipes};
use postern_wire::terms::WipeState;

use super::{find, view};
use crate::{
    admin::{
        answer::{self, Answer},
        audit as log,
        auth::Caller,
        problem::{Refused, internal},
    },
    inside::Inside,
    signer,
};

/// Rows of the audit log that one proof holds.
const ROWS: i64 = 20_000;

pub(in crate::admin) async fn proof(inside: web::Data<Inside>, path: web::Path<String>, _: Caller) -> Answer {
    let name = path.into_inner();
    let row = inside.store.read(move |r| find(r, &name)).await??;
    if row.state.is_outstanding() && row.state != WipeState::Armed {
        return Err(Refused::new(
            Slug::WrongState,
            format!("the wipe is {}: there is nothing to prove before it is over", row.state),
        ));
    }
    // The newest rows stand under a head at once, not only with the next minute.
    let mut sink = FileAnchor::at(&inside.config.at(&inside.config.audit.anchor));
    signer::sign(&inside, &mut sink).await.map_err(|error| {
        Refused::new(Slug::Unavailable, format!("the audit log's head cannot be signed: {error}"))
    })?;
    let (id, now) = (row.id, inside.now());
    let document = inside.store.read(move |r| Ok(gather(r, id, now))).await?.map_err(Refused::from)?;
    let Some(document) = document else {
        return Err(Refused::new(
            Slug::WrongState,
            "the rows of the audit log that belong to it are purged, or more than one proof holds",
        ));
    };
    let text = document.signed_text().map_err(|error| internal(&error))?;
    let signature = inside.audit_key.sign(text.as_bytes()).map_err(|error| internal(&error))?;
    let signature = data_encoding::BASE64.encode(&signature);
    answer::ok(&WipeProof { document, key: inside.audit_key.id().to_owned(), signature })
}

fn gather(
    r: &mut Reader,
    id: uuid::Uuid,
    now: postern_wire::terms::UtcMillis,
) -> Result<Option<WipeProofDocument>, StoreError> {
    let Some(row) = wipes::find(r, id)? else { return Ok(None) };
    let kept = wipes::steps(r, id)?;
    let (Some(first), Some(last)) = (kept.first().map(|step| step.audit), kept.last().map(|step| step.audit))
    else {
        return Ok(None);
    };
    let head = audit::heads(r, None, 1)?.pop().filter(|head| head.seq >= last);
    let Some(head) = head else { return Ok(None) };
    if head.seq - first >= ROWS {
        return Ok(None);
    }
    let mut rows = audit::list_where(r, &audit::Filter::default(), Some(head.seq + 1), head.seq - first + 1)?;
    rows.reverse();
    if rows.first().is_none_or(|row| row.seq != first) {
        return Ok(None);
    }
    let steps: Vec<_> = kept.iter().map(view::step).collect();
    Ok(Some(WipeProofDocument {
        wipe: view::with_stamps(r, &row, now)?,
        transcript: WipeProofDocument::transcript_of(&steps),
        claim: claim(&row),
        steps,
        audit: rows.into_iter().map(log::row).collect(),
        head: log::shown(head),
        made: Time(now),
    }))
}

/// What the proof says in a sentence; never that an erasure happened which nobody saw.
fn claim(row: &wipes::Wipe) -> String {
    let what = format!("The {} wipe {} of {}", row.kind, row.id, row.device_id);
    match row.state {
        WipeState::Succeeded => format!("{what} counts as done: {}", view::evidence(row.evidence)),
        WipeState::Cancelled => format!("{what} was taken back. The device was not wiped by it."),
        WipeState::InDoubt => format!("{what} is in doubt: the device may have been wiped or not."),
        _ => format!("{what} is {}: it is not proved that the device was wiped.", row.state),
    }
}
