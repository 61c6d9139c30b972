//! Devices that are asked to come because their policy changed, where that is set.
//!
//! Promise: a change for many devices is no storm: so many a minute are asked, those that wait longest first, each once for what changed
//! last, after everything that is asked for by commands and people has its own share of the pushes (docs/POLICY.md, "Desired state: from a resultant set to confirmed settings").
//! Nothing is kept of it: whom it concerns stands in the rows, so a restart forgets nobody.

use std::sync::PoisonError;

use postern_engine::notification::Pace;
use postern_store::policies;

use super::{Policies, supervise::LookError};

/// Devices of one look.
const TOGETHER: i64 = 200;

/// What may still be asked for.
#[derive(Debug, Default)]
pub(super) struct Wakes(Option<(u32, Pace)>);

/// Asks for devices that a change waits for; `per_minute` of 0 asks for none.
pub(super) async fn ask(policies: &Policies, per_minute: u32) -> Result<(), LookError> {
    if per_minute == 0 {
        return Ok(());
    }
    let shared = policies.shared();
    let mut devices = shared.store.look_up(|r| policies::to_wake(r, TOGETHER)).await?;
    let now = shared.now();
    {
        let mut wakes = policies.inner.wakes.lock().unwrap_or_else(PoisonError::into_inner);
        if wakes.0.as_ref().is_none_or(|(set, _)| *set != per_minute) {
            wakes.0 = Some((per_minute, Pace::new(per_minute, now)));
        }
        let allowed = match &mut wakes.0 {
            Some((_, pace)) => devices.iter().take_while(|_| pace.take(now)).count(),
            None => 0,
        };
        devices.truncate(allowed);
    }
    shared.notices.policy(devices);
    Ok(())
}
