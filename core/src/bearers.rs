//! The bearers of pushes to telephone numbers, as the configuration has them.
//!
//! Promise (architecture, "Configuration"): a bearer that cannot be set up does not keep the core from starting; it is
//! left out, and `status` says why.

use std::sync::{Arc, PoisonError};

use postern_actors::{PushBearer, PushReports};
use postern_adapters::{OpenError, pap::PapBearer, smpp::SmppBearer};

use crate::inside::Inside;

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

fn kept<B: PushBearer>(
    inside: &Inside,
    name: &str,
    opened: Result<B, OpenError>,
) -> Option<Arc<dyn PushBearer>> {
    match opened {
        Ok(bearer) => Some(Arc::new(bearer)),
        Err(error) => {
            tracing::error!(bearer = name, %error, "a push bearer cannot be set up");
            let trouble = format!("push bearer {name}: {error}");
            let mut troubles = inside.troubles.lock().unwrap_or_else(PoisonError::into_inner);
            if !troubles.contains(&trouble) {
                troubles.push(trouble);
            }
            None
        }
    }
}
