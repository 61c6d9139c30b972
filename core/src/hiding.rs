//! Looks for a gateway that keeps devices from the core while it serves others, and raises the alarm.
//!
//! Promise: the rule is [`postern_engine::hiding`]'s; here it meets rows, links and the clock. What it remembers is kept
//! with the database, so that a restart neither forgets an alarm nor suspects anybody. Alarm: `gateway-hiding`, about
//! `gateway:NAME`; it clears itself when the gateway's devices come again.

use std::collections::BTreeMap;

use postern_engine::hiding::{Figures, Finding, Gateway, Rule, Suspicion, Watch};
use postern_store::{
    ReadError, WriteError,
    alarms::{self, Severity},
    meta,
};

use crate::{inside::Inside, schedule::Eye};

/// The alarm's kind.
pub(crate) const KIND: &str = "gateway-hiding";
/// Where what is remembered lies.
const MEMORY: &str = "hiding";

/// Why a look was put off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error("what is remembered of gateways cannot be written: {0}")]
    Memory(#[from] serde_json::Error),
}

/// Looks once.
pub(crate) async fn look(inside: &Inside) -> Result<(), LookError> {
    let Some(active) = inside.active.load_full() else { return Ok(()) };
    let window_s = inside.setting("HidingWindow").await?;
    let least = u64::try_from(inside.setting("HidingDevices").await?).unwrap_or(u64::MAX);
    if window_s == 0 {
        return Ok(());
    }
    let (eye, window_ms) = (Eye::of(inside), window_s.saturating_mul(1000));
    let (counted, grace_ms, memory) = inside
        .store
        .read(move |r| {
            let (rows, grace_ms) = eye.by_gateway(r, window_ms)?;
            Ok((rows, grace_ms, meta::get(r, MEMORY)?))
        })
        .await?;
    let count = |rows: i64| u64::try_from(rows).unwrap_or(0);
    let gateways: BTreeMap<String, Gateway> = active
        .links
        .status()
        .into_iter()
        .map(|link| {
            let row = counted.iter().find(|row| row.gateway == link.name);
            let figures = row.map_or_else(Figures::default, |row| Figures {
                seen: count(row.seen),
                silent: count(row.silent),
            });
            (link.name, Gateway { figures, reached: link.watching })
        })
        .collect();
    // What cannot be read is begun anew: it costs a window in which old rates are not known.
    let before = memory.unwrap_or_default();
    let mut watch: Watch = serde_json::from_str(&before).unwrap_or_default();
    let (now, steady) = (inside.now(), active.devices.clock_is_steady());
    let found = watch.look(now, Rule { window_ms, least, grace_ms }, &gateways, steady);
    let after = serde_json::to_string(&watch)?;
    for (name, finding) in &found {
        match finding {
            Finding::Hiding(suspicion) => tracing::warn!(gateway = name, ?suspicion, "devices are hidden"),
            Finding::Honest => tracing::info!(gateway = name, "its devices come again"),
        }
    }
    inside
        .store
        .write(move |tx| {
            meta::set(tx, MEMORY, &after)?;
            for (name, finding) in &found {
                let subject = format!("gateway:{name}");
                match finding {
                    Finding::Hiding(suspicion) => {
                        alarms::raise(tx, Severity::Critical, KIND, &subject, &text(name, suspicion))?;
                    }
                    Finding::Honest => {
                        alarms::clear(tx, KIND, &subject, "its devices come as usual again")?;
                    }
                }
            }
            Ok(())
        })
        .await?;
    Ok(())
}

fn text(name: &str, Suspicion { figures, usual, chance }: &Suspicion) -> String {
    format!(
        "{} of {} devices whose last session the gateway {name} carried have fallen silent, where {:.1} % would be usual (chance \
         {chance:.0e}): it may be keeping them from the core, or its line to the outside is down. `device list --state overdue` \
         names them; if it may be in other hands, `gateway compromised {name}`.",
        figures.silent,
        figures.expected(),
        usual * 100.0,
    )
}
