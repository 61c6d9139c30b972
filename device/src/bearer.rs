//! Bearers: the ways that a push comes to this device when it holds no session.
//!
//! - [`Modem`]: short messages, or WDP datagrams, from a UDP or Unix socket or a spool folder.
//! - [`LongPoll`]: the gateway's listening channel (`GET /dm/1/<route>/listen`).
//!
//! Promise: what a bearer brings is a decoded push and nothing is thought of its sender yet: the push router and the
//! bootstrap intake judge it. What cannot be read is dropped and logged; bounds are those of the readers.

mod long_poll;
mod modem;

use std::{future::Future, io, time::Duration};

use postern_wire::push::Push;
use tokio::sync::mpsc;

pub use long_poll::LongPoll;
pub use modem::{Framing, Modem};

/// The first wait after a bearer failed; doubled up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// Why a bearer brings nothing for now.
#[derive(Debug, thiserror::Error)]
pub enum BearerError {
    /// The socket or the folder.
    #[error("{0} cannot be read")]
    Io(String, #[source] io::Error),
    /// The gateway cannot be reached.
    #[error(transparent)]
    Transport(#[from] crate::transport::TransportError),
    /// The gateway does not let this device listen.
    #[error("the gateway answered HTTP {status}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Retry-After in seconds.
        retry_after: Option<u64>,
    },
}

/// A way that pushes come.
pub trait Bearer: Send {
    /// Waits for the next push.
    fn next(&mut self) -> impl Future<Output = Result<Push, BearerError>> + Send;
}

/// Hands on what a bearer brings, until nobody takes it; after a failure it is asked again, later each time.
pub async fn forward(mut bearer: impl Bearer, to: mpsc::Sender<Push>) {
    let mut wait = FIRST_WAIT;
    loop {
        let asked = match bearer.next().await {
            Ok(push) => {
                wait = FIRST_WAIT;
                if to.send(push).await.is_err() {
                    return;
                }
                continue;
            }
            Err(error) => {
                tracing::warn!(%error, "a bearer brings nothing");
                match error {
                    BearerError::Refused { retry_after, .. } => retry_after.unwrap_or_default(),
                    _ => 0,
                }
            }
        };
        tokio::time::sleep(wait.max(Duration::from_secs(asked)).min(LONGEST_WAIT)).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}
