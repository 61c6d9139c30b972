//! Signs the audit log's head and sends it out of the database's reach (docs/THREATS.md, "Who may attack").
//!
//! Promise: every signed head is in the anchor before it is in the database, so that the database never claims a
//! head that nobody outside can show.

use std::{sync::Arc, time::Duration};

use postern_adapters::anchor::AnchorSink;
use postern_api::{Time, audit::AuditHead};
use postern_store::audit;

use crate::inside::Inside;

/// Signs until it is dropped: at once, then every `every_s` seconds, when there are new rows.
pub(crate) async fn keep_signing(inside: Arc<Inside>, mut sink: impl AnchorSink) {
    let mut ticks = tokio::time::interval(Duration::from_secs(inside.config.audit.every_s));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let done = sign(&inside, &mut sink).await;
        inside.supervisors.told("audit-signer", inside.now(), &done);
        if let Err(error) = done {
            tracing::error!(%error, "the audit log's head was not signed");
        }
    }
}

/// Signs the head when it is newer than the last signed one. True when it did.
pub(crate) async fn sign(inside: &Inside, sink: &mut impl AnchorSink) -> anyhow::Result<bool> {
    let (last, signed) =
        inside.store.read(|r| Ok((audit::last(r)?, audit::heads(r, None, 1)?.pop()))).await?;
    let Some((seq, hash)) = last.filter(|(seq, _)| signed.is_none_or(|head| head.seq < *seq)) else {
        return Ok(false);
    };
    let mut head = AuditHead {
        seq: u64::try_from(seq)?,
        hash: data_encoding::HEXLOWER.encode(&hash),
        at: Time(inside.now()),
        signature: String::new(),
        key: inside.audit_key.id().to_owned(),
    };
    let signature = inside.audit_key.sign(head.signed_text().as_bytes())?.to_vec();
    head.signature = data_encoding::BASE64.encode(&signature);
    sink.keep(&serde_json::to_string(&head)?)?;
    let row = audit::Head { seq, hash, at: head.at.0, key_id: head.key, signature };
    inside.store.write(move |tx| audit::add_head(tx, row.clone())).await?;
    Ok(true)
}
