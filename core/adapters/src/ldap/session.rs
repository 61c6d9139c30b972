//! One connection to a domain controller: encrypted first, then signed in, then asked.

use std::{collections::HashSet, io, sync::Arc};

use bytes::BytesMut;
use ldap3::{
    Ldap, LdapConnAsync, LdapConnSettings, LdapError, LdapResult, Mod, Scope, StdStream,
    controls::{MakeCritical as _, PagedResults, RawControl},
};
use postern_actors::{BindRefusal, DirectoryError};
use rustls::{ClientConfig, pki_types::ServerName};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    Limits, ber,
    entry::{self, Found},
    relay::{self, Trouble},
};

/// The extended request of RFC 4511 4.14, as message 1.
const START_TLS: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
/// Octets of the answer to it at most.
const START_TLS_ANSWER: usize = 4 * 1024;
/// Owner, group and DACL: not the SACL, which an ordinary account may not read. Without the control the whole
/// attribute stays away.
const SD_FLAGS: &str = "1.2.840.113556.1.4.801";
const SD_FLAGS_VALUE: &[u8] = b"\x30\x03\x02\x01\x07";
const PAGED_RESULTS: &str = "1.2.840.113556.1.4.319";
/// Results of LDAP (RFC 4511, appendix A).
pub(super) const SUCCESS: u32 = 0;
const OPERATIONS_ERROR: u32 = 1;
const STRONGER_AUTHENTICATION_REQUIRED: u32 = 8;
const CONFIDENTIALITY_REQUIRED: u32 = 13;
pub(super) const NO_SUCH_OBJECT: u32 = 32;
const INVALID_CREDENTIALS: u32 = 49;
pub(super) const INSUFFICIENT_ACCESS: u32 = 50;

/// A domain controller.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// `host:port`.
    pub(super) address: String,
    pub(super) name: ServerName<'static>,
    pub(super) starttls: bool,
}

/// Who signs in.
pub(super) struct Account {
    pub(super) name: String,
    pub(super) password: SecretString,
}

/// Which entries are asked for, and what of them.
pub(super) struct Question<'a> {
    pub(super) base: &'a str,
    pub(super) scope: Scope,
    pub(super) filter: &'a str,
    pub(super) attributes: &'a [String],
    /// With security descriptors.
    pub(super) security: bool,
}

/// What a controller says to a change.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// Its result (RFC 4511, appendix A).
    pub(super) code: u32,
    /// The same for people; hostile text, made harmless.
    pub(super) said: String,
}

/// A connection that is signed in. It ends with this value.
pub(super) struct Session {
    ldap: Ldap,
    trouble: Trouble,
    tasks: [JoinHandle<()>; 2],
    limits: Limits,
    /// Entries that may still come.
    left: usize,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Session {
    /// Connects and encrypts; nobody is signed in yet.
    pub(super) async fn connect(
        peer: &Peer,
        tls: &Arc<ClientConfig>,
        limits: Limits,
    ) -> Result<Self, DirectoryError> {
        let slow = |_| DirectoryError::Slow;
        let stream = timeout(limits.connect, encrypted(peer, tls)).await.map_err(slow)??;
        let (ours, theirs) = UnixStream::pair().map_err(down)?;
        let trouble = Trouble::default();
        let relay = tokio::spawn(relay::run(stream, ours, limits, trouble.clone()));
        let theirs = theirs.into_std().map_err(down)?;
        let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(theirs));
        let opened = LdapConnAsync::with_settings(settings, "ldapi://relay").await;
        let (connection, ldap) = opened.map_err(|error| DirectoryError::Down(error.to_string()))?;
        let drive = tokio::spawn(async move {
            if let Err(error) = connection.drive().await {
                tracing::debug!(%error, "the connection to the directory ended");
            }
        });
        Ok(Self { ldap, trouble, tasks: [relay, drive], limits, left: limits.entries })
    }

    /// Signs in, once.
    pub(super) async fn sign_in(&mut self, account: &Account) -> Result<(), DirectoryError> {
        let limit = self.limits.connect;
        timeout(limit, self.bind(account)).await.map_err(|_| DirectoryError::Slow)?
    }

    async fn bind(&mut self, account: &Account) -> Result<(), DirectoryError> {
        let bound = self.ldap.simple_bind(&account.name, account.password.expose_secret()).await;
        let result = bound.map_err(|error| match self.broken(&error) {
            // Nothing was asked yet.
            DirectoryError::Half(why) => DirectoryError::Down(why),
            error => error,
        })?;
        match result.rc {
            SUCCESS => Ok(()),
            INVALID_CREDENTIALS => Err(DirectoryError::Refused(BindRefusal::of_diagnostic(&result.text))),
            INSUFFICIENT_ACCESS => Err(DirectoryError::Refused(BindRefusal::NoRights)),
            STRONGER_AUTHENTICATION_REQUIRED | CONFIDENTIALITY_REQUIRED => {
                Err(DirectoryError::ClearText(said(&result)))
            }
            _ => Err(DirectoryError::Down(said(&result))),
        }
    }

    /// Everything that answers a question, page by page, attributes that come in pieces put together. A base that
    /// is not there is one that the account may not see: every domain has it.
    pub(super) async fn ask(&mut self, question: &Question<'_>) -> Result<Vec<Found>, DirectoryError> {
        let mut all = Vec::new();
        let mut cookie = Vec::new();
        loop {
            let page = PagedResults { size: self.limits.page, cookie };
            let mut controls = vec![RawControl::from(page.critical())];
            if question.security {
                controls.push(RawControl {
                    ctype: SD_FLAGS.to_owned(),
                    crit: true,
                    val: Some(SD_FLAGS_VALUE.to_vec()),
                });
            }
            let result = self.page(question, controls, &mut all).await?;
            let result = result.ok_or(DirectoryError::Refused(BindRefusal::NoRights))?;
            let control = result.ctrls.into_iter().map(|control| control.1);
            let answer = control.filter(|control| control.ctype == PAGED_RESULTS).find_map(|c| c.val);
            let answer = answer.ok_or_else(|| half("a page without a word of the next"))?;
            cookie = entry::cookie(&answer).map_err(|_| half("no cookie of a page"))?;
            if cookie.is_empty() {
                break;
            }
        }
        let mut whole = Vec::with_capacity(all.len());
        for found in all {
            whole.extend(self.completed(found).await?);
        }
        Ok(whole)
    }

    /// One search; `None` where its base is not there.
    async fn page(
        &mut self,
        question: &Question<'_>,
        controls: Vec<RawControl>,
        into: &mut Vec<Found>,
    ) -> Result<Option<LdapResult>, DirectoryError> {
        self.ldap.with_timeout(self.limits.answer);
        if !controls.is_empty() {
            self.ldap.with_controls(controls);
        }
        let attributes: Vec<&str> = question.attributes.iter().map(String::as_str).collect();
        let started =
            self.ldap.streaming_search(question.base, question.scope, question.filter, attributes).await;
        let mut stream = started.map_err(|error| self.broken(&error))?;
        while let Some(item) = stream.next().await.map_err(|error| self.broken(&error))? {
            // The entries of other servers: policy reads one domain.
            if item.is_ref() || item.is_intermediate() {
                continue;
            }
            self.left = self
                .left
                .checked_sub(1)
                .ok_or_else(|| DirectoryError::TooLarge(format!("{} entries", self.limits.entries)))?;
            into.push(entry::read(item.0).map_err(|_| half("an entry that is none"))?);
        }
        let result = stream.finish().await;
        match result.rc {
            SUCCESS => Ok(Some(result)),
            NO_SUCH_OBJECT => Ok(None),
            INSUFFICIENT_ACCESS => Err(DirectoryError::Refused(BindRefusal::NoRights)),
            OPERATIONS_ERROR if result.text.contains("authentication") => {
                Err(DirectoryError::Refused(BindRefusal::NoRights))
            }
            _ => Err(DirectoryError::Half(said(&result))),
        }
    }

    /// An entry with all values of the attributes that came as a piece. `None` when it went meanwhile.
    async fn completed(&mut self, mut found: Found) -> Result<Option<Found>, DirectoryError> {
        while let Some(piece) = found.pieces.pop() {
            let mut next = piece.next;
            while let Some(from) = next {
                let to = from.saturating_add(self.limits.range).saturating_sub(1);
                let attributes = [format!("{};range={from}-{to}", piece.attribute)];
                let question = Question {
                    base: &found.entry.dn,
                    scope: Scope::Base,
                    filter: "(objectClass=*)",
                    attributes: &attributes,
                    security: false,
                };
                let mut answer = Vec::new();
                if self.page(&question, Vec::new(), &mut answer).await?.is_none() {
                    return Ok(None);
                }
                let Some(mut more) = answer.pop() else { return Ok(None) };
                let values = more.entry.attributes.remove(&piece.attribute).unwrap_or_default();
                let came = more.pieces.iter().find(|p| p.attribute == piece.attribute && p.from == from);
                next = match came {
                    Some(piece) => piece.next,
                    // Exactly as many values as were asked for before, and none behind them.
                    None if values.is_empty() => None,
                    None => return Err(half("another range of values than was asked for")),
                };
                found.entry.attributes.entry(piece.attribute.clone()).or_default().extend(values);
            }
        }
        Ok(Some(found))
    }

    /// The only entry of a name, where it is there.
    pub(super) async fn one(
        &mut self,
        base: &str,
        attributes: &[&str],
    ) -> Result<Option<Found>, DirectoryError> {
        let attributes: Vec<String> = attributes.iter().map(|name| (*name).to_owned()).collect();
        let question = Question {
            base,
            scope: Scope::Base,
            filter: "(objectClass=*)",
            attributes: &attributes,
            security: false,
        };
        let mut found = Vec::new();
        self.page(&question, Vec::new(), &mut found).await?;
        Ok(found.pop())
    }

    /// Adds an entry.
    pub(super) async fn add(
        &mut self,
        dn: &str,
        attributes: Vec<(Vec<u8>, HashSet<Vec<u8>>)>,
    ) -> Result<Answer, DirectoryError> {
        self.ldap.with_timeout(self.limits.answer);
        let added = self.ldap.add(dn, attributes).await;
        self.answered(added)
    }

    /// Changes an entry.
    pub(super) async fn modify(
        &mut self,
        dn: &str,
        changes: Vec<Mod<Vec<u8>>>,
    ) -> Result<Answer, DirectoryError> {
        self.ldap.with_timeout(self.limits.answer);
        let changed = self.ldap.modify(dn, changes).await;
        self.answered(changed)
    }

    /// Moves an entry, under this relative name.
    pub(super) async fn rename(&mut self, dn: &str, name: &str, to: &str) -> Result<Answer, DirectoryError> {
        self.ldap.with_timeout(self.limits.answer);
        let moved = self.ldap.modifydn(dn, name, true, Some(to)).await;
        self.answered(moved)
    }

    /// Deletes an entry that nothing lies below.
    pub(super) async fn delete(&mut self, dn: &str) -> Result<Answer, DirectoryError> {
        self.ldap.with_timeout(self.limits.answer);
        let deleted = self.ldap.delete(dn).await;
        self.answered(deleted)
    }

    fn answered(&self, result: Result<LdapResult, LdapError>) -> Result<Answer, DirectoryError> {
        let result = result.map_err(|error| self.broken(&error))?;
        Ok(Answer { code: result.rc, said: said(&result) })
    }

    /// Why an operation did not come to its end.
    fn broken(&self, error: &LdapError) -> DirectoryError {
        match (self.trouble.take(), error) {
            (Some(trouble), _) => trouble,
            (None, LdapError::Timeout { .. }) => DirectoryError::Slow,
            (None, error) => DirectoryError::Half(error.to_string()),
        }
    }
}

async fn encrypted(peer: &Peer, tls: &Arc<ClientConfig>) -> Result<TlsStream<TcpStream>, DirectoryError> {
    let mut stream = TcpStream::connect(&peer.address).await.map_err(down)?;
    stream.set_nodelay(true).map_err(down)?;
    if peer.starttls {
        start_tls(&mut stream).await?;
    }
    let connector = TlsConnector::from(Arc::clone(tls));
    connector.connect(peer.name.clone(), stream).await.map_err(|error| {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match tls {
            Some(rustls::Error::InvalidCertificate(why)) => DirectoryError::Certificate(why.to_string()),
            Some(rustls::Error::InvalidMessage(_)) => DirectoryError::ClearText(error.to_string()),
            _ => down(error),
        }
    })
}

/// Asks for encryption. Not an octet may come behind the answer: it would have come unencrypted.
async fn start_tls(stream: &mut TcpStream) -> Result<(), DirectoryError> {
    let garbage = |_| DirectoryError::ClearText("its answer to StartTLS is no LDAP message".to_owned());
    stream.write_all(START_TLS).await.map_err(down)?;
    let mut answer = BytesMut::new();
    let length = loop {
        if let Some(length) = ber::length(&answer).map_err(garbage)?.filter(|length| answer.len() >= *length)
        {
            break length;
        }
        if answer.len() > START_TLS_ANSWER {
            return Err(garbage(ber::Garbage));
        }
        if stream.read_buf(&mut answer).await.map_err(down)? == 0 {
            return Err(DirectoryError::Down("the connection ended".to_owned()));
        }
    };
    ber::check(&answer[..length]).map_err(garbage)?;
    if length != answer.len() {
        return Err(DirectoryError::ClearText(
            "more came unencrypted than the answer to StartTLS".to_owned(),
        ));
    }
    match ber::result_code(&answer) {
        Some(0) => Ok(()),
        Some(code) => Err(DirectoryError::ClearText(format!("it refuses StartTLS with result {code}"))),
        None => Err(garbage(ber::Garbage)),
    }
}

/// A result for people: its number and what the server says, which is hostile text.
fn said(result: &LdapResult) -> String {
    let text: String = result.text.chars().filter(|c| !c.is_control()).take(200).collect();
    format!("result {}: {text}", result.rc)
}

fn half(why: &str) -> DirectoryError {
    DirectoryError::Half(why.to_owned())
}

fn down(error: io::Error) -> DirectoryError {
    DirectoryError::Down(error.to_string())
}
