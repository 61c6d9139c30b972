//! What goes on beside: last uses of tokens are written, what is past its time is purged, what is wrong raises alarms.

use std::{sync::Arc, time::Duration};

use postern_store::{
    Reader, Store, StoreError, Tx, WriteError,
    alarms::{self, Severity},
    approvals, attempts, commands, destructive, gateways, idempotency, notifications, outbox, recordings,
    sessions, tokens,
};
use postern_wire::terms::UtcMillis;

use crate::{admin::certificates, ca::DAY_MS, hiding, inside::Inside, logs, schedule::Eye, settings};

/// How often last uses are written.
const USES: Duration = Duration::from_secs(30);
/// How often old rows are looked for.
const PURGE: Duration = Duration::from_secs(600);
/// How often overdue devices are counted for the metrics.
const OVERDUE: Duration = Duration::from_secs(60);
/// How long a recorded session is kept: 30 days.
const RECORDINGS_MS: i64 = 30 * DAY_MS;
/// How often is looked for what changes by itself.
const LOOK: Duration = Duration::from_secs(5);
/// How often it is looked whether a gateway keeps devices from the core.
const HIDING: Duration = Duration::from_secs(300);
/// How often what follows from a gateway in other hands goes on.
const CAPTURES: Duration = Duration::from_secs(5);
/// What was destroyed, and what was approved, is kept for so long beside the audit log, in milliseconds.
const ACTS_MS: i64 = 400 * DAY_MS;
/// Rows that one purge takes away in a transaction: few enough that nobody waits for them.
const PURGED: i64 = 500;

/// Runs until it is dropped.
pub(crate) async fn keep_up(inside: Arc<Inside>) {
    let mut uses = tokio::time::interval(USES);
    let mut purge = tokio::time::interval(PURGE);
    let mut overdue = tokio::time::interval(OVERDUE);
    let mut look = tokio::time::interval(LOOK);
    let mut hiding = tokio::time::interval(HIDING);
    let mut captures = tokio::time::interval(CAPTURES);
    loop {
        let done = tokio::select! {
            _ = uses.tick() => write_uses(&inside).await,
            _ = look.tick() => look_around(&inside).await,
            _ = purge.tick() => purge_old(&inside).await,
            _ = overdue.tick() => {
                count_overdue(&inside).await;
                Ok(())
            }
            _ = hiding.tick() => {
                if let Err(error) = hiding::look(&inside).await {
                    tracing::warn!(%error, "it was not looked for hidden devices");
                }
                Ok(())
            }
            _ = captures.tick() => pursue_captures(&inside).await,
        };
        inside.supervisors.told("upkeep", inside.now(), &done);
        if let Err(error) = done {
            tracing::warn!(%error, "upkeep was put off");
        }
    }
}

/// Raises and clears the alarms about what changes by itself: clock, gateways' settings. Those about certificates are
/// the CAs' own (`ca/expiry.rs`) and the gateways' supervisor's.
async fn look_around(inside: &Inside) -> Result<(), WriteError> {
    if let Some(log) = logs::log() {
        log.expire(inside.now());
    }
    let Some(active) = inside.active.load_full() else { return Ok(()) };
    let mut troubles: Vec<Trouble> = Vec::new();
    troubles.push(Trouble {
        kind: "clock-jump",
        subject: "core".to_owned(),
        wrong: (!active.devices.clock_is_steady()).then(|| {
            let text = "the core's clock jumped: nothing expires until the new time has stood for 10 minutes";
            (Severity::Critical, text.to_owned())
        }),
    });
    // That one ends is told by `ca::expiry`, and by the gateways' supervisor.
    for certificate in certificates(inside, inside.now()) {
        let unreadable = certificate.state == "unreadable";
        troubles.push(Trouble {
            kind: "certificate-unreadable",
            subject: format!("certificate:{}", certificate.name),
            wrong: unreadable.then(|| {
                (Severity::Critical, format!("the certificate {} cannot be read", certificate.name))
            }),
        });
    }
    // Only what changed is written: a look finds the same as the one before, nearly always.
    let known = inside.store.read(move |r| changed(r, &troubles)).await;
    let Ok(changed) = known else { return Ok(()) };
    if !changed.is_empty() {
        inside.store.write(move |tx| changed.iter().try_for_each(|trouble| trouble.tell(tx))).await?;
    }
    adopt(inside).await
}

/// Something that may be wrong, and is or is not.
#[derive(Clone, Debug)]
struct Trouble {
    kind: &'static str,
    subject: String,
    wrong: Option<(Severity, String)>,
}

impl Trouble {
    fn tell(&self, tx: &mut Tx) -> Result<(), StoreError> {
        match &self.wrong {
            Some((severity, text)) => {
                alarms::raise(tx, *severity, self.kind, &self.subject, text)?;
            }
            None => {
                alarms::clear(tx, self.kind, &self.subject, "it is as it should be again")?;
            }
        }
        Ok(())
    }
}

/// Those of which the table does not say already what they say.
fn changed(r: &mut Reader, troubles: &[Trouble]) -> Result<Vec<Trouble>, StoreError> {
    let mut changed = Vec::new();
    for trouble in troubles {
        let open = alarms::open(r, trouble.kind, &trouble.subject)?;
        let same = match (&open, &trouble.wrong) {
            (Some(open), Some((_, text))) => open.text == *text,
            (None, None) => true,
            _ => false,
        };
        if !same {
            changed.push(trouble.clone());
        }
    }
    Ok(changed)
}

/// A gateway that holds settings which this core does not know keeps them: the core was restored from a backup.
async fn adopt(inside: &Inside) -> Result<(), WriteError> {
    let Some(active) = inside.active.load_full() else { return Ok(()) };
    let ahead = active.lists.ahead();
    if ahead.is_empty() {
        return Ok(());
    }
    inside
        .store
        .write(move |tx| {
            for (name, version) in &ahead {
                let at = i64::try_from(*version).unwrap_or(i64::MAX);
                if gateways::adopt_version(tx, name, at)? {
                    let text = format!(
                        "gateway {name} has settings version {version}, newer than this core's own: they stay in force; give it a new document when you have looked"
                    );
                    let subject = format!("gateway:{name}");
                    alarms::raise(tx, Severity::Warning, "gateway-settings-newer", &subject, &text)?;
                }
            }
            Ok(())
        })
        .await
}

/// Goes on with what follows from gateways in other hands.
async fn pursue_captures(inside: &Inside) -> Result<(), WriteError> {
    let Some(active) = inside.active.load_full() else { return Ok(()) };
    let given = active.devices.pursue_captures().await?;
    if given > 0 {
        tracing::info!(
            devices = given,
            "devices of a gateway in other hands were given new secrets or readings"
        );
    }
    Ok(())
}

/// Writes the tokens' last uses.
pub(crate) async fn write_uses(inside: &Inside) -> Result<(), WriteError> {
    let uses = inside.sign_ins.take_uses();
    if uses.is_empty() {
        return Ok(());
    }
    inside.store.write(move |tx| tokens::used(tx, &uses)).await
}

/// Metric: `postern_devices_overdue`.
#[expect(clippy::cast_precision_loss, reason = "a gauge of a count far below 2^52")]
async fn count_overdue(inside: &Inside) {
    let eye = Eye::of(inside);
    match inside.store.read(move |r| eye.count_overdue(r)).await {
        Ok(count) => metrics::gauge!("postern_devices_overdue").set(count as f64),
        Err(error) => tracing::debug!(%error, "overdue devices were not counted"),
    }
}

async fn purge_old(inside: &Inside) -> Result<(), WriteError> {
    let now = inside.now();
    let yesterday = now.plus(-DAY_MS);
    inside.store.write(move |tx| idempotency::purge(tx, yesterday)).await?;
    by_and_by(&inside.store, now.plus(-RECORDINGS_MS), recordings::purge).await?;
    let acts = now.plus(-ACTS_MS);
    inside.store.write(move |tx| Ok(destructive::purge(tx, acts)? + approvals::purge(tx, acts)?)).await?;
    let layers = inside.store.read(settings::global).await.unwrap_or_default();
    let keep = settings::resolve(settings::row("HistoryDuration"), &layers, &inside.config);
    // The configuration file's 0 means for ever, the setting's means not at all.
    if keep.value > 0 || keep.from != "configuration" {
        let before = now.plus(-keep.value * DAY_MS);
        by_and_by(&inside.store, before, commands::purge).await?;
        by_and_by(&inside.store, before, sessions::purge).await?;
        by_and_by(&inside.store, before, notifications::purge).await?;
        by_and_by(&inside.store, before, attempts::purge).await?;
        by_and_by(&inside.store, before, alarms::purge).await?;
        by_and_by(&inside.store, before, outbox::purge).await?;
    }
    Ok(())
}

type Purge = fn(&mut Tx, UtcMillis, i64) -> Result<usize, StoreError>;

async fn by_and_by(store: &Store, before: UtcMillis, purge: Purge) -> Result<(), WriteError> {
    while store.write(move |tx| purge(tx, before, PURGED)).await? > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
