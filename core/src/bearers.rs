//! The bearers of pushes to telephone numbers, as the configuration has them.
//!
//! Promise: a bearer that cannot be set up does not keep the core from starting; it is
//! left out, and `status` says why.

use std::sync::{Arc, PoisonError};

use actix_web::dev::ServerHandle;
use postern_actors::{PushBearer, PushReports};
use postern_adapters::{
    OpenError,
    pap::{PapBearer, PapResults},
    smpp::SmppBearer,
};

use crate::{inside::Inside, pap_results};

/// Sets up what is configured, in the order in which attempts take them in turn.
pub(crate) fn set_up(inside: &Inside, reports: PushReports) -> Vec<Arc<dyn PushBearer>> {
    let (push, folder) = (&inside.config.push, &inside.config.folder);
    let mut bearers: Vec<Arc<dyn PushBearer>> = Vec::new();
    if let Some(pap) = &push.pap {
        bearers.extend(kept(inside, "pap", PapBearer::open(pap, folder)));
    }
    if let Some(smpp) = &push.smpp {
        let opened = SmppBearer::start(smpp, folder, Arc::clone(&inside.clock), reports);
        bearers.extend(kept(inside, "smpp", opened));
    }
    bearers
}

/// Takes what the push proxy gateway tells of pushes, where that is set up.
pub(crate) fn take_results(inside: &Inside, reports: PushReports) -> Option<ServerHandle> {
    let (pap, folder) = (inside.config.push.pap.as_ref()?, &inside.config.folder);
    let opened = PapResults::open(pap, folder, reports).map_err(|error| error.to_string());
    let started = match opened {
        Ok(None) => return None,
        Ok(Some(results)) => pap_results::start(results).map_err(|error| error.to_string()),
        Err(error) => Err(error),
    };
    started.map_err(|error| trouble(inside, format!("push.pap.notify_listen: {error}"))).ok()
}

fn trouble(inside: &Inside, trouble: String) {
    tracing::error!(%trouble, "a part of the push bearers cannot be set up");
    let mut troubles = inside.troubles.lock().unwrap_or_else(PoisonError::into_inner);
    if !troubles.contains(&trouble) {
        troubles.push(trouble);
    }
}

fn kept<B: PushBearer>(
    inside: &Inside,
    name: &str,
    opened: Result<B, OpenError>,
) -> Option<Arc<dyn PushBearer>> {
    match opened {
        Ok(bearer) => Some(Arc::new(bearer)),
        Err(error) => {
            trouble(inside, format!("push bearer {name}: {error}"));
            None
        }
    }
}
