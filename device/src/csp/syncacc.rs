//! ./SyncAcc, `urn:postern:mo:syncacc:1.0`: accounts of a sync server, for contacts, calendar and mail. The object and its
//! identifier are ours: the digest names no standard one that was read.
//!
//! ```text
//! ./SyncAcc/<x>/Name, Addr, UserName, Password            Password: Add and Replace only
//! ./SyncAcc/<x>/Contacts/URI, Calendar/URI, Mail/URI      the databases on that server, each optional
//! ```
//!
//! Promise: what is kept is usable or refused when it is written: Addr is an https URI, names are known, lengths bounded. The
//! password is given to the sign-in and never to a server. A device that is fully locked gives no account.

use std::fmt;

use postern_wire::terms::Verb;
use secrecy::{ExposeSecret as _, SecretString};

use super::{Change, Ground, Lawmo, LockState, Provider, path};
use crate::{
    codes::Code,
    origin::ServerUri,
    state::State,
    tree::{
        node::{Access, Node},
        path::Path,
    },
};

/// Accounts at most.
const ACCOUNTS: usize = 16;
/// Octets of one leaf at most.
const LEAF_OCTETS: usize = 1_024;
const LEAVES: [&str; 4] = ["Name", "Addr", "UserName", "Password"];

/// What is synchronised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// The address book.
    Contacts,
    /// Appointments.
    Calendar,
    /// Messages.
    Mail,
}

impl Database {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Contacts, Self::Calendar, Self::Mail];

    /// The node's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Contacts => "Contacts",
            Self::Calendar => "Calendar",
            Self::Mail => "Mail",
        }
    }
}

/// One account that has all a sign-in needs.
#[derive(Clone)]
pub struct SyncAccount {
    /// The node's name.
    pub id: String,
    /// For people; empty when none was given.
    pub name: String,
    /// The sync server.
    pub server: ServerUri,
    /// Who signs in.
    pub user: String,
    /// With what.
    pub password: SecretString,
    /// Where on the server each database is.
    pub databases: Vec<(Database, String)>,
}

impl fmt::Debug for SyncAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncAccount")
            .field("id", &self.id)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl SyncAccount {
    /// Every account that is complete, in the order of their names; none while the device is fully locked.
    #[must_use]
    pub fn configured(state: &State) -> Vec<Self> {
        if Lawmo::state_of(state) == LockState::FullyLocked {
            return Vec::new();
        }
        let ids = state.tree.get(&root()).into_iter().flat_map(Node::child_names);
        ids.filter_map(|id| Self::of(state, id)).collect()
    }

    fn of(state: &State, id: &str) -> Option<Self> {
        let own = root().child(id);
        let text = |path: Path| state.tree.get(&path)?.text().filter(|text| !text.is_empty());
        let database = |database: Database| {
            let uri = text(own.child(database.name()).child("URI"))?;
            Some((database, uri.to_owned()))
        };
        Some(Self {
            id: id.to_owned(),
            name: text(own.child("Name")).unwrap_or_default().to_owned(),
            server: ServerUri::parse(text(own.child("Addr"))?).ok()?,
            user: text(own.child("UserName"))?.to_owned(),
            password: text(own.child("Password"))?.to_owned().into(),
            databases: Database::ALL.into_iter().filter_map(database).collect(),
        })
    }

    /// The value of an Authorization field for the sign-in (RFC 7617).
    #[must_use]
    pub fn authorization(&self) -> SecretString {
        let basic = postern_wire::auth::basic(&self.user, self.password.expose_secret());
        format!("Basic {basic}").into()
    }
}

fn root() -> Path {
    path(&["SyncAcc"])
}

pub(super) struct SyncAcc;

impl Provider for SyncAcc {
    fn root(&self) -> Path {
        root()
    }

    fn plant(&self, ground: &mut Ground<'_>) -> Result<(), Code> {
        let node = Node::interior().permanent(&[Verb::Add, Verb::Get]);
        ground.tree.insert(&root(), node.of_type(Some("urn:postern:mo:syncacc:1.0".to_owned())))
    }

    fn changed(&self, state: &mut State, change: &Change<'_>) -> Result<(), Code> {
        if change.verb == Verb::Delete {
            return Ok(());
        }
        let node = state.tree.get(change.path).ok_or(Code::NOT_FOUND)?;
        let below = &change.path.names()[root().names().len()..];
        let below: Vec<&str> = below.iter().map(String::as_str).collect();
        if node.value.len() > LEAF_OCTETS {
            return Err(Code::TOO_LARGE);
        }
        let is_database = |name: &str| Database::ALL.iter().any(|database| database.name() == name);
        match (below.as_slice(), node.is_interior()) {
            ([_], true) => {
                let count = state.tree.get(&root()).map_or(0, |node| node.child_names().count());
                if count > ACCOUNTS { Err(Code::DEVICE_FULL) } else { Ok(()) }
            }
            ([_, database], true) if is_database(database) => Ok(()),
            ([_, database, "URI"], false) if is_database(database) => printable(node),
            ([_, "Password"], false) => {
                printable(node)?;
                let write_only = Access::of(&[Verb::Replace, Verb::Delete]);
                state.tree.update(change.path, |node| node.access = write_only)
            }
            ([_, "Addr"], false) => {
                let uri = node.text().and_then(|text| ServerUri::parse(text).ok());
                uri.map(|_| ()).ok_or(Code::BAD_FORMAT)
            }
            ([_, leaf], false) if LEAVES.contains(leaf) => printable(node),
            _ => Err(Code::NOT_ALLOWED),
        }
    }
}

/// Text without control characters.
fn printable(node: &Node) -> Result<(), Code> {
    let good = node.text().is_some_and(|text| !text.chars().any(char::is_control));
    if good { Ok(()) } else { Err(Code::BAD_FORMAT) }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Hardware, LawmoOperation, Providers, bench::Bench},
        *,
    };
    use crate::state::Storage;

    fn configured() -> Bench {
        let mut bench = Bench::new(Providers::default());
        for (leaf, value) in [
            ("Name", "Office"),
            ("Addr", "https://sync.test:8443/ds"),
            ("UserName", "ann"),
            ("Password", "s3cret"),
            ("Contacts/URI", "card"),
            ("Mail/URI", "mail"),
        ] {
            bench.add(&format!("./SyncAcc/office/{leaf}"), value).unwrap();
        }
        bench
    }

    #[test]
    fn what_a_server_configured_is_what_the_sync_client_signs_in_with() {
        let bench = configured();
        let accounts = SyncAccount::configured(&bench.state);
        let [account] = accounts.as_slice() else { panic!("{accounts:?}") };
        assert_eq!((account.id.as_str(), account.name.as_str()), ("office", "Office"));
        assert_eq!(account.server.to_string(), "https://sync.test:8443/ds");
        assert_eq!(account.authorization().expose_secret(), "Basic YW5uOnMzY3JldA==");
        assert_eq!(account.databases, [(Database::Contacts, "card".into()), (Database::Mail, "mail".into())]);
        assert!(!format!("{account:?}").contains("s3cret"));
    }

    #[test]
    fn no_server_reads_the_password_not_after_a_restart_either() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::folder(folder.path()).unwrap();
        let mut bench = configured();
        for _ in 0..2 {
            assert_eq!(bench.read("./SyncAcc/office/Password"), Err(Code::NOT_ALLOWED));
            let all = bench.manager().get("./SyncAcc?list=StructData").unwrap();
            assert!(!format!("{all:?}").contains("s3cret"));
            assert_eq!(
                bench.manager().copy("./SyncAcc/office/Password", "./Settings/x"),
                Err(Code::NOT_ALLOWED)
            );
            storage.save(&bench.state).unwrap();
            let planted = bench.csp.plant(&bench.account, &Hardware::default()).unwrap();
            bench.state = storage.load(planted).unwrap();
        }
        bench.replace("./SyncAcc/office/Password", "new").unwrap();
        assert_eq!(SyncAccount::configured(&bench.state)[0].password.expose_secret(), "new");
    }

    #[test]
    fn an_incomplete_account_is_none_and_a_deleted_one_is_gone() {
        for leaf in ["Addr", "UserName", "Password"] {
            let mut bench = configured();
            bench.delete(&format!("./SyncAcc/office/{leaf}")).unwrap();
            assert_eq!(SyncAccount::configured(&bench.state).len(), 0, "{leaf}");
        }
        let mut bench = configured();
        bench.delete("./SyncAcc/office").unwrap();
        assert_eq!(SyncAccount::configured(&bench.state).len(), 0);
    }

    #[test]
    fn what_no_sign_in_could_use_is_refused() {
        let mut bench = configured();
        let long = "x".repeat(LEAF_OCTETS + 1);
        for (leaf, value, code) in [
            ("a/Addr", "http://sync.test/", Code::BAD_FORMAT),
            ("a/Addr", "https://u:p@sync.test/", Code::BAD_FORMAT),
            ("a/Addr", "", Code::BAD_FORMAT),
            ("a/UserName", "ann\r\nX: y", Code::BAD_FORMAT),
            ("a/Password", "p\0", Code::BAD_FORMAT),
            ("a/UserName", long.as_str(), Code::TOO_LARGE),
            ("a/Other", "1", Code::NOT_ALLOWED),
            ("a/Tasks/URI", "1", Code::NOT_ALLOWED),
            ("a/Mail/URI/x", "1", Code::NOT_ALLOWED),
            ("a", "1", Code::NOT_ALLOWED),
        ] {
            assert_eq!(bench.add(&format!("./SyncAcc/{leaf}"), value), Err(code), "{leaf} {value:?}");
        }
        assert_eq!(bench.replace("./SyncAcc/office/Addr", "ftp://x/"), Err(Code::BAD_FORMAT));
        assert_eq!(bench.read("./SyncAcc"), Ok("office".into()));
        for number in 1..ACCOUNTS {
            bench.add(&format!("./SyncAcc/{number}/Name"), "x").unwrap();
        }
        assert_eq!(bench.add("./SyncAcc/more/Name", "x"), Err(Code::DEVICE_FULL));
    }

    #[test]
    fn a_fully_locked_device_gives_no_account() {
        let mut bench = configured();
        for (number, (operation, accounts)) in (1..).zip([
            (LawmoOperation::PartiallyLock, 1),
            (LawmoOperation::FullyLock, 0),
            (LawmoOperation::UnLock, 1),
        ]) {
            let uri = format!("./LAWMO/Operations/{}", operation.name());
            let order = bench.order(&uri, number, |_| {});
            bench.exec(&uri, &order).unwrap();
            bench.ended();
            assert_eq!(SyncAccount::configured(&bench.state).len(), accounts, "{operation:?}");
        }
    }
}
