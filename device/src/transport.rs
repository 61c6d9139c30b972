//! How messages travel: one POST each (SyncML HTTP Binding 1.2.1), over TLS 1.2 or 1.3.
//!
//! Promise: an answer is bounded in size and time; nothing is ever followed to another origin (HTTP redirects are
//! errors). The trait lets tests and simulations stand in for the network.

mod https;
mod tls;

use std::{
    future::Future,
    io::{self, ErrorKind},
};

use bytes::Bytes;
use postern_wire::{
    signature::{Fields, FieldsReceived},
    syncml::MediaType,
};

use crate::origin::ServerUri;
pub use https::{Https, HttpsOptions};
pub use tls::{ClientTls, TlsError, TlsOptions};

/// One message on its way out.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where to.
    pub uri: ServerUri,
    /// Content-Type, and the type asked for in Accept.
    pub media: MediaType,
    /// The message's octets.
    pub body: Bytes,
    /// Its signature, if it has one.
    pub fields: Option<Fields>,
    /// x-syncml-hmac over the body, if it has one.
    pub hmac: Option<String>,
    /// An answer larger than this is refused, in octets.
    pub answer_limit: usize,
}

/// What came back.
#[derive(Clone, Debug, Default)]
pub struct Answered {
    /// The HTTP status.
    pub status: u16,
    /// Content-Type, verbatim.
    pub content_type: String,
    /// Content-Digest, Signature-Input and Signature.
    pub fields: [Option<String>; 3],
    /// x-syncml-hmac, verbatim.
    pub hmac: Option<String>,
    /// Retry-After in seconds.
    pub retry_after: Option<u64>,
    /// The body's octets.
    pub body: Bytes,
}

impl Answered {
    /// The signature fields, borrowed.
    #[must_use]
    pub fn signature_fields(&self) -> FieldsReceived<'_> {
        let [content_digest, signature_input, signature] = &self.fields;
        FieldsReceived {
            content_digest: content_digest.as_deref(),
            signature_input: signature_input.as_deref(),
            signature: signature.as_deref(),
        }
    }
}

/// An exchange that brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The host has no address.
    #[error("{host} has no address")]
    Resolve {
        /// The host.
        host: String,
    },
    /// No TCP connection.
    #[error("cannot connect to {authority}")]
    Connect {
        /// host:port.
        authority: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No TLS session: the server's certificate is not accepted, or this device's is not.
    #[error("TLS failed")]
    Tls(#[source] io::Error),
    /// The connection broke, or what came is not HTTP.
    #[error("the HTTP exchange broke off")]
    Http(#[source] hyper::Error),
    /// The request could not be written as HTTP.
    #[error("the request cannot be written as HTTP")]
    Request(#[source] http::Error),
    /// Nothing came in time.
    #[error("no {what} within {limit_ms} ms")]
    Timeout {
        /// What was waited for.
        what: &'static str,
        /// How long, in milliseconds.
        limit_ms: u64,
    },
    /// The answer is larger than announced as acceptable.
    #[error("the answer is larger than {limit} octets")]
    TooLarge {
        /// The bound.
        limit: usize,
    },
}

impl TransportError {
    /// Whether the same message may find its way on another connection.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Http(_) | Self::Timeout { .. } => true,
            // Closed before it stood, as by a server that has had enough of this address for now; a certificate or a
            // version that is not liked has another kind.
            Self::Tls(error) => matches!(
                error.kind(),
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
            ),
            Self::Resolve { .. } | Self::Request(_) | Self::TooLarge { .. } => false,
        }
    }

    /// A stable word for summaries.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Resolve { .. } => "resolve",
            Self::Connect { .. } => "connect",
            Self::Tls(_) => "tls",
            Self::Http(_) => "broken-off",
            Self::Request(_) => "request",
            Self::Timeout { .. } => "timeout",
            Self::TooLarge { .. } => "answer-too-large",
        }
    }
}

/// A way to the server.
pub trait Transport: Send {
    /// Sends one message and waits for its answer.
    fn exchange(&mut self, request: Request)
    -> impl Future<Output = Result<Answered, TransportError>> + Send;

    /// The session is over: nothing is kept open.
    fn close(&mut self);
}
