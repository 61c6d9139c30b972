//! The client of the admin API: HTTPS with a token, problem+json turned into failures.

use std::{path::Path, time::Duration};

use postern_api::{Page, Problem};
use reqwest::{Certificate, Method, RequestBuilder, Response, StatusCode, Url, header};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    args::Connection,
    failure::{Exit, Failure},
};

/// How long a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may take, beside what a long poll waits on purpose.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Items asked for at a time: what the API gives at most.
const PAGE_LIMIT: u32 = postern_api::page::MAX_LIMIT;

/// A client of one core.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    /// None before a sign-in.
    token: Option<SecretString>,
}

/// A value and the version that `If-Match` names to change it.
#[derive(Debug)]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// Its ETag, verbatim.
    pub etag: String,
}

impl Client {
    /// A client for the connection that the command line or the environment names.
    pub fn new(connection: &Connection) -> Result<Self, Failure> {
        let token_file = connection
            .token_file
            .as_deref()
            .ok_or_else(|| missing("--token-file or POSTERN_TOKEN_FILE", "the admin token"))?;
        // The address first: without it there is nothing that a token is for.
        let client = Self::without_token(connection)?;
        Ok(Self { token: Some(crate::files::secret(token_file)?), ..client })
    }

    /// The same for who has no token yet.
    pub fn without_token(connection: &Connection) -> Result<Self, Failure> {
        let url = connection
            .url
            .as_deref()
            .ok_or_else(|| missing("--url or POSTERN_URL", "the core's admin address"))?;
        let base = base(url)?;
        // The first provider that is installed stays; another caller in the same process may have been first.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none()) // a token is for the core that was named
            .user_agent(concat!("posternctl/", env!("CARGO_PKG_VERSION")));
        if connection.break_glass {
            let yes = header::HeaderMap::from_iter([(
                header::HeaderName::from_static("postern-break-glass"),
                header::HeaderValue::from_static("yes"),
            )]);
            builder = builder.default_headers(yes);
        }
        if let Some(ca_file) = connection.ca_file.as_deref() {
            builder = builder.tls_certs_only(certificates(ca_file)?);
        }
        let http = builder
            .build()
            .map_err(|error| Failure::usage(format!("no HTTPS client can be made: {}", causes(&error))))?;
        Ok(Self { http, base, token: None })
    }

    /// GET of one value.
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &impl Serialize,
    ) -> Result<T, Failure> {
        value(self.send(self.request_with(Method::GET, path, &pairs(query))).await?).await
    }

    /// GET that waits up to `wait` for a change.
    pub async fn poll<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &impl Serialize,
        wait: Duration,
    ) -> Result<T, Failure> {
        let request = self.request_with(Method::GET, path, &pairs(query)).timeout(wait + ANSWER_TIMEOUT);
        value(self.send(request).await?).await
    }

    /// GET of one value with its ETag.
    pub async fn get_versioned<T: DeserializeOwned>(&self, path: &[&str]) -> Result<Versioned<T>, Failure> {
        let response = self.send(self.request(Method::GET, path)).await?;
        let etag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        let etag = etag.ok_or_else(|| unexpected("an answer without an ETag"))?;
        Ok(Versioned { value: value(response).await?, etag })
    }

    /// GET of a list: page after page, until `most` items or its end.
    pub async fn list<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &impl Serialize,
        most: Option<usize>,
    ) -> Result<Vec<T>, Failure> {
        let most = most.unwrap_or(usize::MAX);
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let left = u32::try_from(most - items.len()).unwrap_or(u32::MAX).min(PAGE_LIMIT);
            let mut query = pairs(query);
            query.push(("limit".to_owned(), left.to_string()));
            query.extend(cursor.take().map(|cursor| ("cursor".to_owned(), cursor)));
            let page: Page<T> = value(self.send(self.request_with(Method::GET, path, &query)).await?).await?;
            items.extend(page.items);
            items.truncate(most);
            cursor = page.next_cursor;
            if cursor.is_none() || items.len() == most {
                return Ok(items);
            }
        }
    }

    /// POST, with an Idempotency-Key: a repeat after a lost answer does nothing twice.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let request =
            self.request(Method::POST, path).header("Idempotency-Key", idempotency_key()).json(body);
        value(self.send(request).await?).await
    }

    /// POST of what was decided on what was read under an ETag.
    pub async fn post_at<T: DeserializeOwned>(
        &self,
        path: &[&str],
        etag: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let request = self.request(Method::POST, path).header("Idempotency-Key", idempotency_key());
        value(self.send(request.header(header::IF_MATCH, etag).json(body)).await?).await
    }

    /// POST whose answer is kept for nobody: once, without an Idempotency-Key.
    pub async fn post_once<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        value(self.send(self.request(Method::POST, path).json(body)).await?).await
    }

    /// POST that answers nothing.
    pub async fn post_nothing(&self, path: &[&str], body: &impl Serialize) -> Result<(), Failure> {
        let request =
            self.request(Method::POST, path).header("Idempotency-Key", idempotency_key()).json(body);
        self.send(request).await.map(drop)
    }

    /// PUT or PATCH of what was read under an ETag.
    pub async fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        etag: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        value(self.send(self.request(method, path).header(header::IF_MATCH, etag).json(body)).await?).await
    }

    /// PUT without a body or an answer: a membership.
    pub async fn put(&self, path: &[&str]) -> Result<(), Failure> {
        self.send(self.request(Method::PUT, path)).await.map(drop)
    }

    /// PUT that answers nothing.
    pub async fn put_nothing(&self, path: &[&str], body: &impl Serialize) -> Result<(), Failure> {
        self.send(self.request(Method::PUT, path).json(body)).await.map(drop)
    }

    /// PUT of a whole thing that has no revision.
    pub async fn put_to<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        value(self.send(self.request(Method::PUT, path).json(body)).await?).await
    }

    /// DELETE that answers nothing.
    pub async fn delete(&self, path: &[&str], query: &impl Serialize) -> Result<(), Failure> {
        self.send(self.request_with(Method::DELETE, path, &pairs(query))).await.map(drop)
    }

    /// DELETE that answers with what became of it.
    pub async fn delete_to<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &impl Serialize,
    ) -> Result<T, Failure> {
        value(self.send(self.request_with(Method::DELETE, path, &pairs(query))).await?).await
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        self.request_with(method, path, &[])
    }

    /// A request below `/api/1/`; each segment is percent-encoded whole.
    fn request_with(&self, method: Method, path: &[&str], query: &[(String, String)]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "1"]).extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.http.request(method, url).timeout(ANSWER_TIMEOUT);
        match &self.token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(refusal(response).await) }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let host = self.base.authority();
        let sentence = if error.is_timeout() {
            format!("{host} does not answer in time")
        } else {
            format!("{host} cannot be reached: {}", causes(error))
        };
        Failure::new(Exit::Unreachable, "unreachable", sentence)
    }
}

/// The members of a query type that are set, as parameters.
fn pairs(query: &impl Serialize) -> Vec<(String, String)> {
    let Ok(serde_json::Value::Object(members)) = serde_json::to_value(query) else { return Vec::new() };
    let text = |value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    members
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name, text(value)))
        .collect()
}

/// One value out of a good answer.
async fn value<T: DeserializeOwned>(response: Response) -> Result<T, Failure> {
    let body = response.bytes().await.map_err(|error| {
        Failure::new(Exit::Unreachable, "unreachable", format!("the answer broke off: {}", causes(&error)))
    })?;
    serde_json::from_slice(&body)
        .map_err(|error| unexpected(&format!("an answer that is not of the admin API ({error})")))
}

/// A refusal as a failure; one that is no problem+json (a proxy in between) by its status alone.
async fn refusal(response: Response) -> Failure {
    let status = response.status();
    let body = response.bytes().await.unwrap_or_default();
    match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) => problem.into(),
        Err(_) => bare(status),
    }
}

fn bare(status: StatusCode) -> Failure {
    Failure::from(Problem {
        type_: "unexpected-answer".to_owned(),
        title: format!("what answered is not the admin API, or something in between refused: HTTP {status}"),
        status: status.as_u16(),
        detail: None,
        instance: None,
        errors: Vec::new(),
    })
}

fn unexpected(what: &str) -> Failure {
    Failure::new(Exit::Refused, "unexpected-answer", format!("the core gave {what}"))
}

fn missing(option: &str, what: &str) -> Failure {
    Failure::usage(format!("{option} is needed: {what}"))
}

/// An admin token crosses only TLS.
fn base(url: &str) -> Result<Url, Failure> {
    let base = Url::parse(url).map_err(|error| Failure::usage(format!("{url:?} is not a URL: {error}")))?;
    if base.scheme() != "https" || base.host_str().is_none() {
        return Err(Failure::usage(format!(
            "{url:?} is not an https:// URL; the admin token crosses only TLS"
        )));
    }
    Ok(base)
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, Failure> {
    let pem = std::fs::read(path).map_err(|error| Failure::file(path, &error))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(Failure::invalid("ca-file", format!("{} holds no certificate in PEM", path.display()))),
        Err(error) => Err(Failure::invalid("ca-file", format!("{}: {}", path.display(), causes(&error)))),
    }
}

/// An error and what caused it, outermost first, what repeats left out.
fn causes(error: &dyn std::error::Error) -> String {
    let mut parts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        source = cause.source();
    }
    parts.join(": ")
}

#[expect(clippy::disallowed_methods, reason = "the edge: a key that tells this request from all others")]
fn idempotency_key() -> String {
    uuid::Uuid::new_v4().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_sent_without_tls() {
        for url in ["http://core.example", "core.example:8443", "ftp://core.example", "https://"] {
            assert_eq!(base(url).unwrap_err().exit, Exit::Usage, "{url}");
        }
        assert!(base("https://core.example:8443").is_ok());
    }
}
