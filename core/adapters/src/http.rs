//! What every HTTP client here has in common: bounded waits, no proxy, no redirect, a CA of its own where one is set.

use std::{path::Path, time::Duration};

use reqwest::{Certificate, Client, ClientBuilder, Response, header, redirect::Policy};

use crate::files::{self, OpenError};

/// A server that asks for a longer pause than this gets this.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// What is set of a client.
pub(crate) struct Settings<'s> {
    /// How long a connection may take to stand, in milliseconds.
    pub(crate) connect_ms: u64,
    /// How long an answer may take, in milliseconds.
    pub(crate) answer_ms: u64,
    /// A PEM file, relative to the folder: trusted in place of the system's CAs.
    pub(crate) ca: Option<&'s Path>,
}

/// A client to be completed.
pub(crate) fn builder(settings: &Settings<'_>, folder: &Path) -> Result<ClientBuilder, OpenError> {
    // The first provider that is installed stays; another part of the process may have been first.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let builder = Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .connect_timeout(Duration::from_millis(settings.connect_ms))
        .timeout(Duration::from_millis(settings.answer_ms))
        .user_agent(concat!("Postern/", env!("CARGO_PKG_VERSION")));
    let Some(ca) = settings.ca else { return Ok(builder) };
    let path = folder.join(ca);
    let certificates: Result<Vec<_>, _> =
        files::certificates(&path)?.iter().map(|der| Certificate::from_der(der)).collect();
    match certificates {
        Ok(certificates) => Ok(builder.tls_certs_only(certificates)),
        Err(error) => Err(OpenError::File { path, why: error.to_string() }),
    }
}

/// What a failed request met, with its last cause. reqwest's own text holds the URL, which may have a secret in its
/// query.
pub(crate) fn failure(error: &reqwest::Error) -> String {
    let what = if error.is_timeout() {
        "does not answer in time"
    } else if error.is_connect() {
        "cannot be reached"
    } else {
        "breaks the connection off"
    };
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let why = causes.last().map_or_else(String::new, |cause| format!(": {cause}"));
    format!("{what}{why}")
}

/// The pause that an answer asks for, in seconds and never longer than an hour. A date is not taken: clocks differ.
pub(crate) fn retry_after(response: &Response) -> Option<Duration> {
    let asked = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    Some(Duration::from_secs(asked.trim().parse().ok()?).min(LONGEST_PAUSE))
}
