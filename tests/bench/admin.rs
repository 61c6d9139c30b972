//! A client of the admin API.

use std::path::Path;

use anyhow::bail;
use reqwest::{RequestBuilder, header};
use serde_json::Value;

/// A client of the admin API, with a token.
#[derive(Clone)]
pub(crate) struct Admin {
    client: reqwest::Client,
    base: String,
    token: String,
}

impl Admin {
    /// A client that trusts the CAs of a file and shows the token of another.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(crate) fn new(base: String, ca: &Path, token: &Path) -> anyhow::Result<Self> {
        let ca = reqwest::Certificate::from_pem(&std::fs::read(ca)?)?;
        let client = reqwest::Client::builder().tls_certs_only([ca]).build()?;
        Ok(Self { client, base, token: std::fs::read_to_string(token)?.trim().to_owned() })
    }

    /// Asks.
    ///
    /// # Errors
    /// The API refused, with its problem, or was not reached.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.answer(self.client.get(self.at(path))).await
    }

    /// Orders.
    ///
    /// # Errors
    /// The API refused, with its problem, or was not reached.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.answer(self.client.post(self.at(path)).json(body)).await
    }

    /// Puts in place of a version.
    ///
    /// # Errors
    /// The API refused, with its problem, or was not reached.
    pub(crate) async fn put(&self, path: &str, version: u64, body: &Value) -> anyhow::Result<Value> {
        let request = self.client.put(self.at(path)).header(header::IF_MATCH, format!("\"{version}\""));
        self.answer(request.json(body)).await
    }

    /// Takes away.
    ///
    /// # Errors
    /// The API refused, with its problem, or was not reached.
    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.answer(self.client.delete(self.at(path))).await
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    async fn answer(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        let answer = request.bearer_auth(&self.token).send().await?;
        let (status, url) = (answer.status(), answer.url().path().to_owned());
        let text = answer.text().await?;
        if !status.is_success() {
            bail!("{url}: {status} {text}");
        }
        Ok(if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? })
    }
}
