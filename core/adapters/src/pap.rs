//! Pushes through a push proxy gateway, by PAP over HTTP or HTTPS.
//!
//! Promise: one POST a push, never followed to another place; answers are bounded in time and size; what an answer
//! means is decided by its PAP code, and by its HTTP status where it has none. The push id is the order's, so a push
//! that is tried again after a lost answer goes out once ([`Code::DUPLICATE`]).

mod config;
mod results;

use std::{fmt, path::Path, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use postern_actors::{PushBearer, PushError, PushOrder, PushReceipt};
use postern_wire::push::pap::{Answer, PushMessage, ResultCode, Submission, Verdict, Version, plmn_address};
use reqwest::{Client, Response, StatusCode, Url, header};
use secrecy::{ExposeSecret as _, SecretString};

#[cfg(doc)]
use postern_wire::push::pap::Code;

use crate::{OpenError, files, http};
pub use config::{KEYS, PapConfig, PapVersion};
pub use results::{MOST_OCTETS, PapResults, Taken};

/// Most octets of an answer.
const MOST_ANSWER: usize = 65_536;
/// How long a gateway is left alone that refuses our credentials or does not know the path: somebody has to mend it.
const MISCONFIGURED: Duration = Duration::from_secs(60);

/// A push proxy gateway.
pub struct PapBearer {
    http: Client,
    url: Url,
    credentials: Option<(String, SecretString)>,
    gateway_host: String,
    version: Version,
    sms_required: bool,
    notify_url: Option<SecretString>,
}

impl fmt::Debug for PapBearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PapBearer").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

impl PapBearer {
    /// The gateway that the settings name; relative paths are taken from `folder`. Nothing is asked of it yet.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(config: &PapConfig, folder: &Path) -> Result<Self, OpenError> {
        let url =
            Url::parse(&config.url).map_err(|error| OpenError::setting("push.pap.url", error.to_string()))?;
        let named = matches!(url.scheme(), "http" | "https") && url.host_str().is_some();
        if !named || !url.username().is_empty() || url.password().is_some() {
            let why = "has to be http:// or https:// with a host and without a user";
            return Err(OpenError::setting("push.pap.url", why));
        }
        let credentials = match (&config.user, &config.password_file) {
            (None, None) => None,
            (Some(user), Some(file)) => Some((user.clone(), files::secret(&folder.join(file))?)),
            _ => {
                return Err(OpenError::setting(
                    "push.pap.user",
                    "needs push.pap.password_file, and the reverse",
                ));
            }
        };
        let host = url.host_str().unwrap_or_default();
        let gateway_host = config.gateway_host.clone().unwrap_or_else(|| host.to_owned());
        plmn_address("1", &gateway_host)
            .map_err(|error| OpenError::setting("push.pap.gateway_host", error.to_string()))?;
        Ok(Self {
            http: client(config, folder)?,
            url,
            credentials,
            gateway_host,
            version: match config.version {
                PapVersion::V1_0 => Version::V1_0,
                PapVersion::V2_0 => Version::V2_0,
            },
            sms_required: config.sms_required,
            notify_url: results::notify_url(config, folder)?,
        })
    }

    async fn submit(&self, order: PushOrder) -> Result<PushReceipt, PushError> {
        let push_id = format!("{}@{}", order.id, self.gateway_host);
        let address = plmn_address(&order.to, &self.gateway_host).map_err(|error| refused(&error))?;
        let message = PushMessage {
            push_id: push_id.clone(),
            address,
            deliver_before: Some(order.valid_until),
            notify_to: self.notify_url.as_ref().map(|url| url.expose_secret().to_owned()),
            sms_required: self.sms_required,
        };
        let submission =
            Submission::write(&message, &order.content, self.version).map_err(|error| refused(&error))?;
        let mut request = self
            .http
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, submission.content_type)
            .header(header::ACCEPT, "application/xml")
            .body(submission.body);
        if let Some((user, password)) = &self.credentials {
            request = request.basic_auth(user, Some(password.expose_secret()));
        }
        let response = request.send().await.map_err(|error| unreachable(&error))?;
        let reported = self.notify_url.is_some();
        self.judge(response, &push_id).await.map(|()| PushReceipt { reference: push_id, reported })
    }

    async fn judge(&self, response: Response, push_id: &str) -> Result<(), PushError> {
        let status = response.status();
        let after = http::retry_after(&response);
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                let reason =
                    format!("the push proxy gateway refuses our credentials (HTTP {})", status.as_u16());
                return Err(PushError::Retry { reason, after: Some(MISCONFIGURED) });
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                let reason = format!("the push proxy gateway is busy (HTTP {})", status.as_u16());
                return Err(PushError::Retry { reason, after });
            }
            _ => {}
        }
        match Answer::read(&body(response).await?) {
            Ok(Answer::Push { push_id: Some(other), .. }) if other != push_id => {
                Err(PushError::retry("the push proxy gateway answered another push than this one"))
            }
            Ok(Answer::Push { result, .. } | Answer::BadMessage(result)) => by_code(&result, after),
            Ok(Answer::ResultNotification { .. }) | Err(_) => Err(by_status(status, after)),
        }
    }
}

impl PushBearer for PapBearer {
    fn name(&self) -> &str {
        "pap"
    }

    fn push(&self, order: PushOrder) -> BoxFuture<'_, Result<PushReceipt, PushError>> {
        self.submit(order).boxed()
    }
}

fn client(config: &PapConfig, folder: &Path) -> Result<Client, OpenError> {
    let PapConfig { connect_ms, answer_ms, ca, .. } = config;
    let settings = http::Settings { connect_ms: *connect_ms, answer_ms: *answer_ms, ca: ca.as_deref() };
    let client = http::builder(&settings, folder)?.build();
    client.map_err(|error| OpenError::setting("push.pap", error.to_string()))
}

/// The body, as long as it stays within bounds.
async fn body(mut response: Response) -> Result<Vec<u8>, PushError> {
    let mut octets = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
        octets.extend_from_slice(&chunk);
        if octets.len() > MOST_ANSWER {
            return Err(PushError::retry("the push proxy gateway's answer is too long"));
        }
    }
    Ok(octets)
}

fn by_code(result: &ResultCode, after: Option<Duration>) -> Result<(), PushError> {
    let reason = || format!("the push proxy gateway says {} {}", result.code, result.description);
    match result.code.verdict() {
        Verdict::Accepted => Ok(()),
        Verdict::Retry => Err(PushError::Retry { reason: reason(), after }),
        Verdict::Refused => Err(PushError::refused(reason())),
    }
}

/// An answer that is no PAP: 2xx says nothing about the push, 4xx blames the request unless it is about the place.
fn by_status(status: StatusCode, after: Option<Duration>) -> PushError {
    let reason = format!("the push proxy gateway answers HTTP {} without PAP", status.as_u16());
    match status.as_u16() {
        400 | 413 | 415 | 422 => PushError::refused(reason),
        404 | 405 | 410 | 300..=399 => PushError::Retry { reason, after: Some(MISCONFIGURED) },
        _ => PushError::Retry { reason, after },
    }
}

fn refused(error: &dyn std::error::Error) -> PushError {
    PushError::refused(error.to_string())
}

fn unreachable(error: &reqwest::Error) -> PushError {
    PushError::retry(format!("the push proxy gateway {}", http::failure(error)))
}
