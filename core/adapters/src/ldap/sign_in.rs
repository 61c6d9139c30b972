//! People who sign in by the directory: one bind with what they gave, and whose token that gives.
//!
//! Promise: a name and a password are sent once, to one controller, over TLS only; whatever goes wrong after that is
//! not tried again. Who signed in is what the directory says of the connection (`tokenGroups` of the rootDSE), not
//! what was typed.

use std::{collections::BTreeSet, path::Path};

use futures_util::{FutureExt as _, future::BoxFuture};
use ldap3::{Scope, ldap_escape};
use postern_actors::{BindRefusal, DirectoryError, DirectoryPerson, DirectorySignIn, LogonName, Sid};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::timeout;

use super::{
    Controllers, LdapConfig,
    session::{Account, Question, Session},
};
use crate::OpenError;

/// Characters of a name at most.
const NAME: usize = 256;
/// Octets of a password at most.
const PASSWORD: usize = 1024;

/// Lets people in by the directory.
pub struct LdapSignIn {
    controllers: Controllers,
    /// What a name without a domain belongs to.
    domain: String,
}

impl std::fmt::Debug for LdapSignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LdapSignIn").field("peers", &self.controllers.peers).finish_non_exhaustive()
    }
}

impl LdapSignIn {
    /// By the controllers of these settings; `domain` is that of names without one (`corp.example`).
    ///
    /// # Errors
    /// [`OpenError`]: settings that cannot work.
    pub fn open(config: &LdapConfig, domain: &str, folder: &Path) -> Result<Self, OpenError> {
        if domain.is_empty() || domain.contains(['@', '\\', ' ']) {
            return Err(OpenError::setting("sign_in.domain", "a domain such as corp.example is needed"));
        }
        Ok(Self { controllers: Controllers::open(config, folder)?, domain: domain.to_owned() })
    }

    async fn let_in(&self, typed: String, password: SecretString) -> Result<DirectoryPerson, DirectoryError> {
        let wrong = || DirectoryError::Refused(BindRefusal::Credentials);
        let typed = typed.trim();
        // A bind without a password is one of nobody, and succeeds (RFC 4513 5.1.2).
        let octets = password.expose_secret().len();
        let fits = !typed.is_empty() && typed.chars().count() <= NAME && !typed.chars().any(char::is_control);
        if !fits || octets == 0 || octets > PASSWORD || password.expose_secret().contains('\0') {
            return Err(wrong());
        }
        let name = Typed::read(typed, &self.domain).ok_or_else(wrong)?;
        let mut session = self.controllers.connect().await?;
        session.sign_in(&Account { name: name.bind.clone(), password }).await?;
        let root = session.one("", &["defaultNamingContext", "tokenGroups"]).await?;
        let root = root.ok_or_else(|| half("no rootDSE"))?.entry;
        let token = sids(root.values("tokengroups")).ok_or_else(|| half("a token that cannot be read"))?;
        if token.is_empty() {
            return Err(half("no token"));
        }
        let domain = root.text("defaultnamingcontext").ok_or_else(|| half("no domain"))?.to_owned();
        self.person(&mut session, &domain, &name, token).await
    }

    /// The one of those who bear the name whose token the connection has.
    async fn person(
        &self,
        session: &mut Session,
        domain: &str,
        name: &Typed,
        token: BTreeSet<Sid>,
    ) -> Result<DirectoryPerson, DirectoryError> {
        let attributes = ["objectSid", "sAMAccountName", "userPrincipalName"].map(str::to_owned);
        let question = Question {
            base: domain,
            scope: Scope::Subtree,
            filter: &name.filter(),
            attributes: &attributes,
            security: false,
        };
        let mut people = session.ask(&question).await?.into_iter().filter_map(|found| {
            let sid = sids(found.entry.values("objectsid"))?.pop_first()?;
            token.contains(&sid).then_some((sid, found.entry))
        });
        match (people.next(), people.next()) {
            (Some((sid, entry)), None) => {
                let logon = entry.text("samaccountname").unwrap_or_default().to_owned();
                let principal = entry.text("userprincipalname").map(str::to_owned);
                let name = principal.unwrap_or_else(|| format!("{logon}@{}", self.domain));
                Ok(DirectoryPerson { sid, name, dn: entry.dn, groups: token })
            }
            _ => Err(half("nobody, or more than one, to whom the token belongs")),
        }
    }
}

impl DirectorySignIn for LdapSignIn {
    fn sign_in(
        &self,
        name: String,
        password: SecretString,
    ) -> BoxFuture<'_, Result<DirectoryPerson, DirectoryError>> {
        let limit = self.controllers.limits.answer + self.controllers.limits.connect;
        let sign_in = async move { timeout(limit, self.let_in(name, password)).await };
        sign_in.map(|done| done.unwrap_or(Err(DirectoryError::Slow))).boxed()
    }

    fn read(&self, typed: &str) -> Option<LogonName> {
        let Typed { bind, logon } = Typed::read(typed.trim(), &self.domain)?;
        Some(LogonName { principal: Some(bind).filter(|bind| !bind.contains('\\')), logon })
    }
}

/// What no name of a person has, so that no other form of name that a directory takes is one: distinguished names,
/// canonical names, service principal names.
const FOREIGN: [char; 10] = ['=', ',', '/', '"', '+', ';', '<', '>', '#', '*'];

/// A name as a person types it.
struct Typed {
    /// What is bound with.
    bind: String,
    /// The logon name in it.
    logon: Option<String>,
}

impl Typed {
    /// `NAME`, `NAME@SUFFIX` or `DOMAIN\NAME`; none for anything else.
    fn read(typed: &str, domain: &str) -> Option<Self> {
        if typed.contains(FOREIGN) {
            return None;
        }
        if let Some((of, logon)) = typed.split_once('\\') {
            let plain = |part: &str| !part.is_empty() && !part.contains(['\\', '@']);
            return (plain(of) && plain(logon))
                .then(|| Self { bind: typed.to_owned(), logon: Some(logon.to_owned()) });
        }
        match typed.rsplit_once('@') {
            Some((name, of)) if name.is_empty() || of.is_empty() => None,
            Some((name, of)) => {
                let logon = of.eq_ignore_ascii_case(domain).then(|| name.to_owned());
                Some(Self { bind: typed.to_owned(), logon })
            }
            None if typed.is_empty() => None,
            None => Some(Self { bind: format!("{typed}@{domain}"), logon: Some(typed.to_owned()) }),
        }
    }

    /// Who may bear the name: people, no computers.
    fn filter(&self) -> String {
        let logon =
            self.logon.as_ref().map(|logon| format!("(sAMAccountName={})", ldap_escape(logon.as_str())));
        format!(
            "(&(objectClass=user)(!(objectClass=computer))(|(userPrincipalName={}){}))",
            ldap_escape(self.bind.as_str()),
            logon.unwrap_or_default()
        )
    }
}

fn sids(values: &[Vec<u8>]) -> Option<BTreeSet<Sid>> {
    values.iter().map(|octets| Sid::read(octets).ok().map(|(sid, _)| sid)).collect()
}

fn half(why: &str) -> DirectoryError {
    DirectoryError::Half(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_bound_as_typed_and_counts_as_one_person_however_it_is_typed() {
        for (typed, bind, logon) in [
            ("alice", "alice@corp.example", Some("alice")),
            ("alice@CORP.example", "alice@CORP.example", Some("alice")),
            ("CORP\\alice", "CORP\\alice", Some("alice")),
            ("alice@elsewhere.example", "alice@elsewhere.example", None),
        ] {
            let name = Typed::read(typed, "corp.example").unwrap();
            assert_eq!((name.bind.as_str(), name.logon.as_deref()), (bind, logon), "{typed}");
        }
    }

    #[test]
    fn other_forms_of_name_that_a_directory_takes_are_nobodys() {
        for typed in [
            "",
            "@corp.example",
            "alice@",
            "\\alice",
            "CORP\\",
            "CORP\\x\\alice",
            "CORP\\alice@corp.example",
            "CN=alice,CN=Users,DC=corp,DC=example",
            "CN=\\41lice,CN=Users,DC=corp,DC=example",
            "corp.example/Users/alice",
            "host/alice",
        ] {
            assert!(Typed::read(typed, "corp.example").is_none(), "{typed}");
        }
    }

    #[test]
    fn a_name_is_no_filter() {
        let filter = Typed::read("a)(|(cn!x", "corp.example").unwrap().filter();
        assert!(filter.contains("(sAMAccountName=a\\29\\28|\\28cn!x)"), "{filter}");
    }
}
