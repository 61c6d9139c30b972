//! Reading a directory: all that policy asks of it, and what changed since.
//!
//! Promise: a reader never changes anything in the directory. What it gives is whole, or it is an error that says
//! what is wrong with the directory; a caller that keeps its last good [`DirectorySnapshot`] loses nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use futures_util::future::BoxFuture;
use postern_engine::policy::{
    directory::{Directory, Remark},
    dn::Dn,
    ldif::Entry,
    sid::Sid,
};
use secrecy::SecretString;

/// Reads a directory. It bounds its own waits and what it takes.
pub trait DirectoryReader: Send + Sync + 'static {
    /// Everything that policy asks for.
    fn snapshot(&self) -> BoxFuture<'_, Result<DirectorySnapshot, DirectoryError>>;

    /// What changed since a mark.
    fn changes(&self, since: DirectoryMark) -> BoxFuture<'_, Result<DirectoryChanges, DirectoryError>>;
}

/// Lets people in by a directory.
pub trait DirectorySignIn: Send + Sync + 'static {
    /// Asks the directory, once, whether the password is this person's, and what they are in. A wrong password is
    /// never tried again.
    fn sign_in(
        &self,
        name: String,
        password: SecretString,
    ) -> BoxFuture<'_, Result<DirectoryPerson, DirectoryError>>;

    /// Reads a name as it may be typed; none: no person is called so. The directory would take more (distinguished
    /// names, canonical names, each with escapes): under those one person would be many.
    fn read(&self, typed: &str) -> Option<LogonName>;
}

/// A name that was typed for signing in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogonName {
    /// The principal name, where one was typed or follows from the domain.
    pub principal: Option<String>,
    /// The logon name (`sAMAccountName`), where it is in our domain.
    pub logon: Option<String>,
}

/// Who signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryPerson {
    /// The SID: stays when the person is renamed.
    pub sid: Sid,
    /// `userPrincipalName`, or the logon name with its domain.
    pub name: String,
    /// The distinguished name.
    pub dn: String,
    /// The SIDs of the person's token: all groups, those in groups included.
    pub groups: BTreeSet<Sid>,
}

/// Up to where a directory was read. It counts on the server that gave it only, and only while that server's
/// database is the same: numbers of one server mean nothing to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryMark {
    /// The server's name in its directory.
    pub server: String,
    /// Which life of the server's database it is (`invocationId`, in hexadecimal).
    pub database: String,
    /// `highestCommittedUSN`.
    pub usn: u64,
}

/// What a directory held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectorySnapshot {
    /// What was there when the reading began: what changed while it went on counts as a change after it.
    pub mark: DirectoryMark,
    /// The entries, with the attributes that policy needs.
    pub entries: BTreeMap<Dn, Entry>,
}

/// What changed in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectoryChanges {
    /// Nothing that policy asks for.
    Nothing(DirectoryMark),
    /// Some entries.
    Some {
        /// The entries that are new or have changed, whole.
        entries: Vec<Entry>,
        /// All that are there: the others are gone.
        present: BTreeSet<Dn>,
        /// The new mark.
        mark: DirectoryMark,
    },
    /// Nobody can tell: another server answers, or its database was put back. A whole reading is needed.
    Unknown,
}

impl DirectorySnapshot {
    /// A directory of the entries, for the engine, and what in them was passed over.
    #[must_use]
    pub fn directory(&self) -> (Directory, Vec<Remark>) {
        Directory::from_entries(self.entries.values().cloned())
    }

    /// The snapshot after changes. `None` where only a whole reading gives it: nobody can tell what changed; an entry
    /// bears a name that was not seen before without having changed itself, as those below a renamed one do; or a
    /// group that has not changed itself names one that is gone, which may bear another name now.
    #[must_use]
    pub fn after(&self, changes: DirectoryChanges) -> Option<Self> {
        match changes {
            DirectoryChanges::Unknown => None,
            DirectoryChanges::Nothing(mark) => Some(Self { mark, entries: self.entries.clone() }),
            DirectoryChanges::Some { entries, present, mark } => {
                let gone: BTreeSet<&Dn> = self.entries.keys().filter(|dn| !present.contains(*dn)).collect();
                let mut all = self.entries.clone();
                let mut changed = BTreeSet::new();
                for entry in entries {
                    let dn = Dn::new(&entry.dn).ok()?;
                    changed.insert(dn.clone());
                    all.insert(dn, entry);
                }
                all.retain(|dn, _| present.contains(dn));
                let names_gone = |entry: &Entry| {
                    let members =
                        entry.values("member").iter().filter_map(|name| std::str::from_utf8(name).ok());
                    !gone.is_empty()
                        && members.filter_map(|name| Dn::new(name).ok()).any(|dn| gone.contains(&dn))
                };
                let is_known = present.iter().all(|dn| all.contains_key(dn));
                let is_whole = all.iter().all(|(dn, entry)| changed.contains(dn) || !names_gone(entry));
                if is_known && is_whole { Some(Self { mark, entries: all }) } else { None }
            }
        }
    }
}

/// Why a directory could not be read. No text of it holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// No connection, or it broke before anything was asked.
    #[error("the directory cannot be reached: {0}")]
    Down(String),
    /// An answer did not come in time.
    #[error("the directory does not answer in time")]
    Slow,
    /// The server showed no certificate that can be trusted for its name. Nothing was sent to it.
    #[error("the directory's certificate is not to be trusted: {0}")]
    Certificate(String),
    /// The server does not encrypt. No account and no password were sent to it.
    #[error("the directory does not encrypt, and nothing is read in clear: {0}")]
    ClearText(String),
    /// The account may not sign in.
    #[error("the directory refuses the account: {0}")]
    Refused(BindRefusal),
    /// The answer ended too early, or is not what a directory says.
    #[error("the directory gave half an answer: {0}")]
    Half(String),
    /// The answer is larger than a limit.
    #[error("the directory's answer is larger than {0}")]
    TooLarge(String),
}

/// Why an account may not sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindRefusal {
    /// Name or password is wrong; which one the directory does not tell everyone.
    Credentials,
    /// The account is disabled.
    Disabled,
    /// The account is locked out.
    Locked,
    /// Account or password has expired, or has to be changed first.
    Expired,
    /// Not now, or not from here.
    Restricted,
    /// It signed in, and may not read.
    NoRights,
}

impl BindRefusal {
    /// What a directory's diagnostic text (`… data 52e, v…`) says; wrong credentials where it says nothing.
    #[must_use]
    pub fn of_diagnostic(text: &str) -> Self {
        let code = text.split("data ").nth(1).and_then(|rest| rest.split([',', ' ', '\0']).next());
        match code.map(str::to_ascii_lowercase).as_deref() {
            Some("530" | "531") => Self::Restricted,
            Some("532" | "701" | "773") => Self::Expired,
            Some("533") => Self::Disabled,
            Some("775") => Self::Locked,
            _ => Self::Credentials,
        }
    }
}

impl fmt::Display for BindRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Credentials => "wrong name or password",
            Self::Disabled => "it is disabled",
            Self::Locked => "it is locked out",
            Self::Expired => "it or its password has expired",
            Self::Restricted => "it may not sign in now or from here",
            Self::NoRights => "it may not read what policy needs",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(dn: &str, link: &str) -> Entry {
        let attributes = [("gplink".to_owned(), vec![link.as_bytes().to_vec()])].into();
        Entry { dn: dn.to_owned(), attributes }
    }

    fn mark(usn: u64) -> DirectoryMark {
        DirectoryMark { server: "CN=DC1".to_owned(), database: "00".to_owned(), usn }
    }

    fn names(of: &[&str]) -> BTreeSet<Dn> {
        of.iter().map(|dn| Dn::new(dn).unwrap()).collect()
    }

    fn snapshot(usn: u64, entries: &[Entry]) -> DirectorySnapshot {
        let entries = entries.iter().map(|entry| (Dn::new(&entry.dn).unwrap(), entry.clone())).collect();
        DirectorySnapshot { mark: mark(usn), entries }
    }

    #[test]
    fn changes_replace_add_and_take_away() {
        let before =
            snapshot(1, &[entry("OU=A,DC=x", "1"), entry("OU=B,DC=x", "1"), entry("OU=C,DC=x", "1")]);
        let changes = DirectoryChanges::Some {
            entries: vec![entry("ou=a,dc=x", "2"), entry("OU=D,DC=x", "1")],
            present: names(&["OU=A,DC=x", "OU=B,DC=x", "OU=D,DC=x"]),
            mark: mark(2),
        };

        let after = before.after(changes).unwrap();

        let expected = [entry("ou=a,dc=x", "2"), entry("OU=B,DC=x", "1"), entry("OU=D,DC=x", "1")];
        assert_eq!(after, snapshot(2, &expected));
        assert_eq!(before.after(DirectoryChanges::Nothing(mark(3))).unwrap().mark, mark(3));
    }

    #[test]
    fn what_nobody_can_tell_needs_a_whole_reading() {
        let before = snapshot(1, &[entry("OU=A,OU=Old,DC=x", "1"), entry("OU=Old,DC=x", "1")]);
        let renamed = DirectoryChanges::Some {
            entries: vec![entry("OU=New,DC=x", "1")],
            present: names(&["OU=New,DC=x", "OU=A,OU=New,DC=x"]),
            mark: mark(2),
        };

        assert_eq!(before.after(renamed), None);
        let mut group = entry("CN=G,DC=x", "");
        group.attributes = [("member".to_owned(), vec![b"cn=m,dc=x".to_vec()])].into();
        let with_member = snapshot(1, &[group.clone(), entry("CN=M,DC=x", "")]);
        let gone = |entries: Vec<Entry>| {
            let present = names(&["CN=G,DC=x"]);
            with_member.after(DirectoryChanges::Some { entries, present, mark: mark(2) })
        };
        assert_eq!(gone(Vec::new()), None);
        group.attributes.clear();
        assert_eq!(gone(vec![group.clone()]), Some(snapshot(2, &[group])));
        assert_eq!(before.after(DirectoryChanges::Unknown), None);
    }

    #[test]
    fn a_refused_account_says_why() {
        let text = |code: &str| format!("80090308: LdapErr: DSID-0C0903A9, comment: x, data {code}, v1db1\0");
        for (code, refusal) in [
            ("52e", BindRefusal::Credentials),
            ("525", BindRefusal::Credentials),
            ("530", BindRefusal::Restricted),
            ("533", BindRefusal::Disabled),
            ("701", BindRefusal::Expired),
            ("775", BindRefusal::Locked),
        ] {
            assert_eq!(BindRefusal::of_diagnostic(&text(code)), refusal, "{code}");
        }
        assert_eq!(BindRefusal::of_diagnostic(""), BindRefusal::Credentials);
    }
}
