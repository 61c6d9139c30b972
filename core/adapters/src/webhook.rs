//! Events to another system: a signed HTTP POST, in the form of Standard Webhooks 1.0 (`webhook-id`,
//! `webhook-timestamp`, `webhook-signature: v1,BASE64(HMAC-SHA256(secret, "ID.TIMESTAMP.BODY"))`).
//!
//! Promise: the receiver can tell that it is from us, how old it is, and whether it has seen it before: `webhook-id` is
//! the event's id with each try and each replay. No redirect is followed. No connection is made to a loopback,
//! link-local or otherwise special address: the address that the name resolved to is looked at, and that very address
//! is connected to, so that a name that answers differently the second time gains nothing. `allow_local` lifts that for
//! tests and says so wherever it can.

mod config;
mod places;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
};

use aws_lc_rs::hmac;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures_util::{FutureExt as _, future::BoxFuture};
use postern_actors::{Carrier, CarryError, Parcel, mail::sink};
use postern_wire::terms::Channel;
use reqwest::{
    Client, Response, StatusCode, Url,
    dns::{Name, Resolve, Resolving},
    header,
};
use secrecy::ExposeSecret as _;

pub use config::{KEYS, WebhookConfig};
pub use places::is_special;

use crate::{
    files::{self, OpenError},
    http,
};

/// Octets of a secret at least (Standard Webhooks asks for 24 to 64).
const SECRET: usize = 24;

/// Another system that is told of events.
pub struct WebhookCarrier {
    name: String,
    url: Url,
    key: hmac::Key,
    client: Client,
}

/// The address that the name resolved to is not one that events are sent to.
#[derive(Debug)]
struct Special(SocketAddr);

impl fmt::Display for Special {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is a loopback, link-local or special address", self.0.ip())
    }
}

impl std::error::Error for Special {}

/// Gives addresses that may be connected to, and only these are connected to.
struct Guarded {
    allow_local: bool,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_local = self.allow_local;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if let Some(special) = found.iter().find(|address| !allow_local && is_special(address.ip())) {
                // One such address among others is no accident either.
                return Err(Special(*special).into());
            }
            Ok(Box::new(found.into_iter()) as Box<dyn Iterator<Item = SocketAddr> + Send>)
        })
    }
}

impl WebhookCarrier {
    /// Reads the settings; nothing is connected.
    ///
    /// # Errors
    /// [`OpenError`], with the key.
    pub fn open(config: &WebhookConfig, folder: &Path) -> Result<Self, OpenError> {
        let wrong =
            |key: &'static str, why: &str| Err(OpenError::setting(key, format!("{}: {why}", config.name)));
        if config.name.is_empty()
            || config.name.len() > 63
            || !config.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        {
            return wrong("webhook.name", "lower-case letters, digits and hyphens, at most 63");
        }
        let Ok(url) = Url::parse(&config.url) else { return wrong("webhook.url", "is no URL") };
        if url.scheme() != "https" && !(config.allow_local && url.scheme() == "http") {
            return wrong("webhook.url", "has to begin with https://");
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return wrong("webhook.url", "must hold neither user nor password nor fragment");
        }
        // An address in place of a name is never resolved.
        let Some(host) = url.host_str() else { return wrong("webhook.url", "has no host") };
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        if address.is_some_and(is_special) && !config.allow_local {
            return wrong("webhook.url", "is a loopback, link-local or special address");
        }
        let secret = files::secret(&folder.join(&config.secret_file))?;
        let text = secret.expose_secret();
        let octets = match text.strip_prefix("whsec_") {
            Some(coded) => BASE64_STANDARD
                .decode(coded)
                .map_err(|_| OpenError::setting("webhook.secret_file", "what follows whsec_ is no base64"))?,
            None => text.as_bytes().to_vec(),
        };
        let octets = zeroize::Zeroizing::new(octets);
        if octets.len() < SECRET {
            return wrong("webhook.secret_file", "a secret is at least 24 octets long");
        }
        Ok(Self {
            name: config.name.clone(),
            url,
            key: hmac::Key::new(hmac::HMAC_SHA256, &octets),
            client: client(config, folder)?,
        })
    }

    /// The value of `webhook-signature` for a body.
    fn signature(&self, id: &str, timestamp: i64, body: &str) -> String {
        let tag = hmac::sign(&self.key, format!("{id}.{timestamp}.{body}").as_bytes());
        format!("v1,{}", BASE64_STANDARD.encode(tag.as_ref()))
    }

    async fn post(&self, parcel: Parcel) -> Result<String, CarryError> {
        let body = parcel.document.to_string();
        let timestamp = parcel.now.0.div_euclid(1_000);
        let signature = self.signature(&parcel.message_id, timestamp, &body);
        let answer = self
            .client
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", &parcel.message_id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(body)
            .send()
            .await
            .map_err(|error| CarryError::Closed(unreachable(&error)))?;
        judge(&answer)
    }
}

impl Carrier for WebhookCarrier {
    fn channel(&self) -> Channel {
        Channel::Webhook
    }

    fn name(&self) -> Option<&str> {
        Some(&self.name)
    }

    fn carry(&self, parcel: Parcel) -> BoxFuture<'_, Result<String, CarryError>> {
        self.post(parcel).boxed()
    }

    /// Whether the name resolves to addresses that events may go to; nothing is sent.
    fn probe(&self) -> BoxFuture<'_, Result<String, CarryError>> {
        async move {
            let answer = self.client.head(self.url.clone()).send().await;
            match answer {
                Ok(answer) => Ok(format!("it answers (HTTP {})", answer.status().as_u16())),
                Err(error) => Err(CarryError::Closed(unreachable(&error))),
            }
        }
        .boxed()
    }
}

fn client(config: &WebhookConfig, folder: &Path) -> Result<Client, OpenError> {
    let WebhookConfig { connect_ms, answer_ms, ca, allow_local, .. } = config;
    let settings = http::Settings { connect_ms: *connect_ms, answer_ms: *answer_ms, ca: ca.as_deref() };
    let guarded = Arc::new(Guarded { allow_local: *allow_local });
    let client = http::builder(&settings, folder)?.dns_resolver(guarded).build();
    client.map_err(|error| OpenError::setting("webhook.url", error.to_string()))
}

/// 2xx is taken; 3xx, 410 and what is wrong with the body itself is never; everything else is later.
fn judge(answer: &Response) -> Result<String, CarryError> {
    let status = answer.status();
    let said = format!("HTTP {}", status.as_u16());
    if status.is_success() {
        return Ok(said);
    }
    if status.is_redirection() {
        return Err(CarryError::Never(format!("{said}: redirects are not followed; correct the URL")));
    }
    if matches!(status, StatusCode::GONE | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNSUPPORTED_MEDIA_TYPE)
    {
        return Err(CarryError::Never(said));
    }
    Err(CarryError::Later { reason: said, after: http::retry_after(answer) })
}

fn unreachable(error: &reqwest::Error) -> String {
    sink::log_line(&format!("it {}", http::failure(error)))
}

#[cfg(test)]
mod tests;
