//! Active Directory over LDAP: what of it policy needs, read whole or since a mark.
//!
//! - LDAPS or StartTLS, always verified; an address without encryption is refused when the reader is opened.
//! - Domain controllers are tried in turn. One that refuses the account ends the attempt: asking the others as well
//!   would lock it out.
//! - What changed is found by `uSNChanged`, what went by the names that are left: neither needs more rights than an
//!   ordinary account has, as DirSync and the container of deleted objects would.
//! - Referrals are not followed.
//!
//! Promise: an answer is whole or an error; nothing waits without a bound, and nothing that a server sends takes more
//! memory than the limits say or ends the process.

mod ber;
mod config;
mod entry;
mod privileged;
mod relay;
mod session;
mod sign_in;
mod writer;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use ldap3::Scope;
use postern_actors::{
    BindRefusal, DirectoryChanges, DirectoryEntry as Entry, DirectoryError, DirectoryMark, DirectoryReader,
    DirectorySnapshot, Dn,
};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName};
use tokio::time::timeout;

use crate::{OpenError, files};
pub use config::{KEYS, LdapConfig};
use session::{Account, Peer, Question, Session};
pub use sign_in::LdapSignIn;
pub use writer::{AfterWipe, LdapWriter, LdapWriterConfig, WRITER_KEYS};

const LDAPS: u16 = 636;
const LDAP: u16 = 389;

/// What a reading may take.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// For connection and encryption, and again for the sign-in.
    connect: Duration,
    /// For each entry of an answer.
    answer: Duration,
    /// For a whole reading.
    pass: Duration,
    message_octets: usize,
    octets: u64,
    entries: usize,
    page: i32,
    range: usize,
}

/// Reads a domain of Active Directory.
pub struct LdapReader {
    controllers: Controllers,
    account: Account,
}

impl std::fmt::Debug for LdapReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LdapReader").field("peers", &self.controllers.peers).finish_non_exhaustive()
    }
}

/// The domain controllers.
struct Controllers {
    peers: Vec<Peer>,
    tls: Arc<ClientConfig>,
    limits: Limits,
    /// The one that answered last.
    last: AtomicUsize,
}

/// A kind of entry that policy needs.
struct Kind {
    /// Below the configuration instead of the domain.
    configuration: bool,
    filter: &'static str,
    attributes: &'static [&'static str],
    security: bool,
}

const KINDS: &[Kind] = &[
    Kind {
        configuration: true,
        filter: "(objectClass=site)",
        attributes: &["objectClass", "gPLink", "gPOptions"],
        security: false,
    },
    Kind {
        configuration: false,
        filter: "(objectClass=groupPolicyContainer)",
        attributes: &[
            "objectClass",
            "cn",
            "displayName",
            "flags",
            "versionNumber",
            "gPCFunctionalityVersion",
            "gPCMachineExtensionNames",
            "gPCUserExtensionNames",
            "gPCWQLFilter",
            "nTSecurityDescriptor",
        ],
        security: true,
    },
    Kind {
        configuration: false,
        filter: "(objectClass=computer)",
        attributes: &[
            "objectClass",
            "sAMAccountName",
            "userPrincipalName",
            "objectSid",
            "primaryGroupID",
            "dNSHostName",
            "userCertificate",
        ],
        security: false,
    },
    // A computer is a user as well.
    Kind {
        configuration: false,
        filter: "(|(objectClass=domainDNS)(objectClass=organizationalUnit)(objectClass=msWMI-Som)\
                 (&(objectClass=user)(!(objectClass=computer)))(objectClass=group))",
        attributes: &[
            "objectClass",
            "gPLink",
            "gPOptions",
            "msWMI-ID",
            "msWMI-Name",
            "msWMI-Parm2",
            "sAMAccountName",
            "userPrincipalName",
            "objectSid",
            "primaryGroupID",
            "mail",
            "member",
            "lockoutThreshold",
        ],
        security: false,
    },
];

/// Where a domain is in its forest.
struct Root {
    domain: String,
    configuration: String,
    mark: DirectoryMark,
}

impl Controllers {
    fn open(config: &LdapConfig, folder: &Path) -> Result<Self, OpenError> {
        let peers: Vec<Peer> =
            config.servers.iter().map(|server| peer(server, config.starttls)).collect::<Result<_, _>>()?;
        if peers.is_empty() {
            return Err(OpenError::setting("directory.servers", "at least one server is needed"));
        }
        let within = |key, value: u32, most: u32| {
            if (1..=most).contains(&value) {
                Ok(value)
            } else {
                Err(OpenError::setting(key, format!("1 to {most}")))
            }
        };
        let page = within("directory.page", config.page, 1_000)?;
        let range = within("directory.range", config.range, 1_500)?;
        let ms = |value: u64| Duration::from_millis(value.max(1));
        let limits = Limits {
            connect: ms(config.connect_ms),
            answer: ms(config.answer_ms),
            pass: ms(config.pass_ms),
            message_octets: 16 << 20,
            octets: config.octets,
            entries: config.entries,
            page: i32::try_from(page).unwrap_or(1_000),
            range: range as usize,
        };
        Ok(Self { peers, tls: tls(&folder.join(&config.ca))?, limits, last: AtomicUsize::new(0) })
    }

    /// How long one thing may take altogether: each controller is waited for, and `answers` questions are asked.
    fn within(&self, answers: u32) -> Duration {
        let controllers = u32::try_from(self.peers.len()).unwrap_or(1);
        self.limits.connect * 2 * controllers + self.limits.answer * answers
    }

    /// A connection to the first controller that takes one, the one that answered last before the others. Nobody is
    /// signed in yet.
    async fn connect(&self) -> Result<Session, DirectoryError> {
        self.first(None).await
    }

    /// The same, signed in. One that refuses the account ends the attempt.
    async fn session(&self, account: &Account) -> Result<Session, DirectoryError> {
        self.first(Some(account)).await
    }

    async fn first(&self, account: Option<&Account>) -> Result<Session, DirectoryError> {
        let last = self.last.load(Ordering::Relaxed);
        let mut first_error = None;
        for turn in 0..self.peers.len() {
            let place = (last + turn) % self.peers.len();
            match self.at(place, account).await {
                Ok(session) => {
                    self.last.store(place, Ordering::Relaxed);
                    return Ok(session);
                }
                Err(error @ DirectoryError::Refused(_)) => return Err(error),
                Err(error) => {
                    tracing::debug!(server = self.peers[place].address, %error, "a domain controller was passed over");
                    first_error.get_or_insert(error);
                }
            }
        }
        Err(first_error.unwrap_or_else(|| DirectoryError::Down("no server".to_owned())))
    }

    async fn at(&self, place: usize, account: Option<&Account>) -> Result<Session, DirectoryError> {
        let mut session = Session::connect(&self.peers[place], &self.tls, self.limits).await?;
        if let Some(account) = account {
            session.sign_in(account).await?;
        }
        Ok(session)
    }
}

/// Who signs in, by the configuration.
fn account(key: &'static str, name: &str, password_file: &Path) -> Result<Account, OpenError> {
    // A bind without a name is one of nobody.
    if name.trim().is_empty() {
        return Err(OpenError::setting(key, "an account is needed"));
    }
    Ok(Account { name: name.to_owned(), password: files::secret(password_file)? })
}

impl LdapReader {
    /// A reader; relative paths are taken from `folder`. Nothing is connected to yet.
    ///
    /// # Errors
    /// [`OpenError`]: settings that cannot work, an address without encryption among them.
    pub fn open(config: &LdapConfig, folder: &Path) -> Result<Self, OpenError> {
        let controllers = Controllers::open(config, folder)?;
        let account = account("directory.account", &config.account, &folder.join(&config.password_file))?;
        Ok(Self { controllers, account })
    }

    async fn session(&self) -> Result<Session, DirectoryError> {
        self.controllers.session(&self.account).await
    }

    async fn read_all(&self) -> Result<DirectorySnapshot, DirectoryError> {
        let mut session = self.session().await?;
        let root = Root::read(&mut session).await?;
        let mut entries = BTreeMap::new();
        for kind in KINDS {
            for entry in kind.read(&mut session, &root, &self.controllers.limits, kind.filter).await? {
                entries.insert(name(&entry)?, entry);
            }
        }
        root.is_visible(|dn| entries.contains_key(dn))?;
        Ok(DirectorySnapshot { mark: root.mark, entries })
    }

    async fn read_changes(&self, since: &DirectoryMark) -> Result<DirectoryChanges, DirectoryError> {
        let mut session = self.session().await?;
        let root = Root::read(&mut session).await?;
        let mark = &root.mark;
        if (&mark.server, &mark.database) != (&since.server, &since.database) || mark.usn < since.usn {
            return Ok(DirectoryChanges::Unknown);
        }
        if mark.usn == since.usn {
            return Ok(DirectoryChanges::Nothing(root.mark));
        }
        let mut entries = Vec::new();
        let mut present = BTreeSet::new();
        for kind in KINDS {
            let filter = format!("(&(uSNChanged>={}){})", since.usn.saturating_add(1), kind.filter);
            entries.extend(kind.read(&mut session, &root, &self.controllers.limits, &filter).await?);
            let names = Question {
                base: kind.base(&root),
                scope: Scope::Subtree,
                filter: kind.filter,
                // No attributes (RFC 4511 4.5.1.8).
                attributes: &["1.1".to_owned()],
                security: false,
            };
            for found in session.ask(&names).await? {
                present.insert(name(&found.entry)?);
            }
        }
        root.is_visible(|dn| present.contains(dn))?;
        Ok(DirectoryChanges::Some { entries, present, mark: root.mark })
    }
}

impl DirectoryReader for LdapReader {
    fn snapshot(&self) -> BoxFuture<'_, Result<DirectorySnapshot, DirectoryError>> {
        // The timer is made where it runs: outside a runtime there is none.
        let reading = async move { timeout(self.controllers.limits.pass, self.read_all()).await };
        reading.map(|read| read.unwrap_or(Err(DirectoryError::Slow))).boxed()
    }

    fn changes(&self, since: DirectoryMark) -> BoxFuture<'_, Result<DirectoryChanges, DirectoryError>> {
        let reading = async move { timeout(self.controllers.limits.pass, self.read_changes(&since)).await };
        reading.map(|read| read.unwrap_or(Err(DirectoryError::Slow))).boxed()
    }
}

impl Kind {
    fn base<'r>(&self, root: &'r Root) -> &'r str {
        if self.configuration { &root.configuration } else { &root.domain }
    }

    async fn read(
        &self,
        session: &mut Session,
        root: &Root,
        limits: &Limits,
        filter: &str,
    ) -> Result<Vec<Entry>, DirectoryError> {
        let asked = |attribute: &&str| match *attribute {
            // Groups of any size; a server that is not asked for a piece gives its first without more ado.
            "member" => format!("member;range=0-{}", limits.range - 1),
            attribute => attribute.to_owned(),
        };
        let attributes: Vec<String> = self.attributes.iter().map(asked).collect();
        let question = Question {
            base: self.base(root),
            scope: Scope::Subtree,
            filter,
            attributes: &attributes,
            security: self.security,
        };
        Ok(session.ask(&question).await?.into_iter().map(|found| found.entry).collect())
    }
}

impl Root {
    /// Where the domain is, and how far its changes have come.
    async fn read(session: &mut Session) -> Result<Self, DirectoryError> {
        let none = |what: &str| DirectoryError::Half(format!("it is no Active Directory: no {what}"));
        let asked =
            ["defaultNamingContext", "configurationNamingContext", "highestCommittedUSN", "dsServiceName"];
        let root = session.one("", &asked).await?.ok_or_else(|| none("rootDSE"))?.entry;
        let text =
            |what: &str| root.text(&what.to_ascii_lowercase()).map(str::to_owned).ok_or_else(|| none(what));
        let server = text("dsServiceName")?;
        let usn = text("highestCommittedUSN")?.parse().map_err(|_| none("highestCommittedUSN"))?;
        let service = session.one(&server, &["invocationId"]).await?.map(|found| found.entry);
        let database = service.as_ref().and_then(|entry| entry.values("invocationid").first());
        let database = database.ok_or_else(|| none("invocationId"))?;
        let database = database.iter().map(|octet| format!("{octet:02x}")).collect();
        Ok(Self {
            domain: text("defaultNamingContext")?,
            configuration: text("configurationNamingContext")?,
            mark: DirectoryMark { server, database, usn },
        })
    }

    /// An account that does not even see the domain would seem to read an empty one.
    fn is_visible(&self, seen: impl Fn(&Dn) -> bool) -> Result<(), DirectoryError> {
        match Dn::new(&self.domain) {
            Ok(domain) if seen(&domain) => Ok(()),
            _ => Err(DirectoryError::Refused(BindRefusal::NoRights)),
        }
    }
}

fn name(entry: &Entry) -> Result<Dn, DirectoryError> {
    Dn::new(&entry.dn).map_err(|_| DirectoryError::Half("an entry without a name".to_owned()))
}

fn peer(server: &str, starttls: bool) -> Result<Peer, OpenError> {
    let refused = |why: &str| OpenError::setting("directory.servers", format!("{server:?}: {why}"));
    let (rest, starttls, port) = match (server.strip_prefix("ldaps://"), server.strip_prefix("ldap://")) {
        (Some(rest), _) => (rest, false, LDAPS),
        (_, Some(rest)) if starttls => (rest, true, LDAP),
        (_, Some(_)) => return Err(refused("a sign-in in clear is refused: set starttls, or use ldaps://")),
        _ => return Err(refused("ldaps://host[:port] or ldap://host[:port]")),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let behind_bracket = rest.rfind(']').map_or(0, |at| at + 1);
    let (host, port) = match rest[behind_bracket..].rsplit_once(':') {
        Some((_, digits)) => {
            let port = digits.parse::<u16>().map_err(|_| refused("its port is no number"))?;
            (&rest[..rest.len() - digits.len() - 1], port)
        }
        None => (rest, port),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let name = ServerName::try_from(bare.to_owned()).map_err(|_| refused("its host is no name"))?;
    Ok(Peer { address: format!("{host}:{port}"), name, starttls })
}

fn tls(ca: &Path) -> Result<Arc<ClientConfig>, OpenError> {
    let mut roots = RootCertStore::empty();
    for certificate in files::certificates(ca)? {
        roots.add(certificate).map_err(|error| OpenError::setting("directory.ca", error.to_string()))?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| OpenError::setting("directory.ca", error.to_string()))?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_how_it_is_encrypted() {
        for (server, starttls, address) in [
            ("ldaps://dc1.corp.example", false, "dc1.corp.example:636"),
            ("ldaps://dc1.corp.example:3269/", true, "dc1.corp.example:3269"),
            ("ldap://10.0.0.1", true, "10.0.0.1:389"),
            ("ldaps://[::1]", false, "[::1]:636"),
            ("ldaps://[::1]:1636", false, "[::1]:1636"),
        ] {
            let peer = peer(server, starttls).unwrap();
            assert_eq!(
                (peer.address.as_str(), peer.starttls),
                (address, server.starts_with("ldap:")),
                "{server}"
            );
        }
    }

    #[test]
    fn an_address_without_encryption_is_refused() {
        for server in ["ldap://dc1", "dc1", "http://dc1", "ldaps://", "ldaps://a:b", "ldaps://a:99999"] {
            let error = peer(server, false).unwrap_err().to_string();
            assert!(error.starts_with("directory.servers: "), "{error}");
        }
        assert!(peer("ldap://dc1", false).unwrap_err().to_string().contains("in clear is refused"));
    }
}
