//! The gateway's listening channel: a GET that is answered when there is a notification.

use postern_wire::push::Push;

use super::{Bearer, BearerError};
use crate::{origin::ServerUri, transport::Https};

/// The end of the path where a route is listened on.
const LISTEN: &str = "/listen";

/// Listens for the notifications of one account.
pub struct LongPoll {
    https: Https,
    uri: ServerUri,
}

impl LongPoll {
    /// For the account that checks in at `server`.
    #[must_use]
    pub fn new(https: Https, server: &ServerUri) -> Self {
        let path = server.target.split('?').next().unwrap_or_default();
        Self { https, uri: ServerUri { target: format!("{path}{LISTEN}"), ..server.clone() } }
    }
}

impl Bearer for LongPoll {
    async fn next(&mut self) -> Result<Push, BearerError> {
        loop {
            let answered = self.https.listen(&self.uri).await?;
            match answered.status {
                200 => return Ok(Push::notification(answered.body.to_vec())),
                204 => {}
                status => return Err(BearerError::Refused { status, retry_after: answered.retry_after }),
            }
        }
    }
}
