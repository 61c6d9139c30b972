//! The two standing tasks of the actors: writing what may be written later, and ending what is past its deadline.

use std::sync::{Arc, Weak};

use postern_wire::route::RouteId;
use tokio::sync::watch;

use crate::{orders::expire, shared::Shared};

/// Tells active devices that their rows changed.
pub(crate) trait Tell: Send + Sync + 'static {
    fn changed(&self, route: RouteId);
}

/// Writes deferred effects in batches, until the stop.
pub(crate) async fn flush(shared: Arc<Shared>, mut stopping: watch::Receiver<bool>) {
    let mut every = tokio::time::interval(shared.settings.flush_every);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = shared.later.full() => {}
            _ = stopping.changed() => return,
        }
        shared.later.flush(&shared.store).await;
    }
}

/// Looks for commands past their deadline, until the stop.
pub(crate) async fn sweep<T: Tell>(shared: Arc<Shared>, tell: Weak<T>, mut stopping: watch::Receiver<bool>) {
    let mut every = tokio::time::interval(shared.settings.sweep_every);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            _ = stopping.changed() => return,
        }
        loop {
            match expire::sweep(&shared).await {
                Ok((routes, more)) => {
                    let Some(tell) = tell.upgrade() else { return };
                    routes.into_iter().for_each(|route| tell.changed(route));
                    if !more {
                        break;
                    }
                }
                Err(cause) => {
                    tracing::debug!(%cause, "the search for expired commands did not end");
                    break;
                }
            }
        }
    }
}
