//! The headers that the endpoint reads, and nothing of any other.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{HeaderName, HeaderValue},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use uuid::Uuid;

use postern_wire::link::CLIENT_CERT;
pub(super) use postern_wire::link::{ADMISSION, REQUEST_ID, SOURCE, TLS};

use super::certificate::{BadCertificate, Certificate, Known};

/// A header's value when it is there once and is text.
pub(super) fn text<'a>(http: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let mut values = http.headers().get_all(name);
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// A header's lines joined with `, `, as a structured field is read.
pub(super) fn joined(http: &HttpRequest, name: &str) -> Option<String> {
    let lines = http.headers().get_all(name).map(HeaderValue::to_str).collect::<Result<Vec<_>, _>>().ok()?;
    (!lines.is_empty()).then(|| lines.join(", "))
}

pub(super) fn request_id(http: &HttpRequest) -> Option<Uuid> {
    text(http, REQUEST_ID).and_then(|id| Uuid::try_parse(id).ok())
}

/// Repeats the request's id as it was written.
pub(super) fn echo_request_id(http: &HttpRequest, response: &mut HttpResponse) {
    if let Some(value) = http.headers().get(REQUEST_ID) {
        response.headers_mut().insert(HeaderName::from_static(REQUEST_ID), value.clone());
    }
}

/// The certificate of the Client-Cert field, when there is one.
pub(super) fn client_certificate(
    http: &HttpRequest,
    known: &Known,
) -> Result<Option<Arc<Certificate>>, BadCertificate> {
    if !http.headers().contains_key(CLIENT_CERT) {
        return Ok(None);
    }
    let value = text(http, CLIENT_CERT).ok_or(BadCertificate::Field)?;
    let read = || {
        let inner = value.trim().strip_prefix(':').and_then(|rest| rest.strip_suffix(':'));
        let der = BASE64.decode(inner.ok_or(BadCertificate::Field)?).map_err(|_| BadCertificate::Field)?;
        Certificate::read(&der)
    };
    known.find(value, read).map(Some)
}
