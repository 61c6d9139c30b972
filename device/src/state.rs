//! What a device remembers from one session to the next: tree, nonces, orders obeyed and wipes done; and where
//! it rests.
//!
//! Promise: a save is atomic (temporary file, fsync, rename, fsync of the folder): whatever is interrupted, a
//! later start finds the state before or after it, never a part. A state file that cannot be read is refused,
//! not replaced: it says which orders were obeyed, and forgetting that would let them be replayed.

mod client_event;
mod nonces;
mod seen;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use postern_wire::terms::{OperationId, UtcMillis};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    csp::{COMPLETIONS_KEPT, Completion},
    tree::{SavedNode, SavedTreeError, Tree, path::Path as TreePath},
};
pub use client_event::ClientEvent;
pub use nonces::Nonces;
use nonces::SavedNonces;
use seen::Seen;

/// Orders remembered at least; beyond that, those that have expired are forgotten.
const ORDERS_KEPT: usize = 256;
/// Wipes remembered; older ones are forgotten.
const WIPES_KEPT: usize = 64;
const FILE: &str = "state.json";
const TEMPORARY: &str = "state.json.new";
/// Everything that a state writes into its folder.
pub(crate) const FILES: [&str; 2] = [FILE, TEMPORARY];
const VERSION: u32 = 1;

/// The memory of one device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The management tree.
    pub tree: Tree,
    /// The tree as the providers planted it: what a wipe goes back to.
    planted: Tree,
    /// How things ended that servers asked for, until they have answered the alert that says so.
    pub completions: Vec<Completion>,
    /// What the device tells servers of its own accord, until they have answered.
    pub client_events: Vec<ClientEvent>,
    /// What each provider remembers beyond its nodes, by the provider's name.
    memories: BTreeMap<String, serde_json::Value>,
    /// Of each account, by ServerID.
    nonces: BTreeMap<String, Nonces>,
    seen: Seen,
    obeyed: Vec<Obeyed>,
    wipes: Vec<Wipe>,
}

/// Tree and memories as they were: what an Atomic goes back to.
#[derive(Clone, Debug)]
pub struct Snapshot {
    tree: Tree,
    memories: BTreeMap<String, serde_json::Value>,
}

/// An order that was obeyed, and until when it could be shown again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Obeyed {
    order: OperationId,
    expires: UtcMillis,
}

/// A wipe that was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wipe {
    /// The operation that ordered it.
    pub order: OperationId,
    /// When, by the device's clock.
    pub at: UtcMillis,
}

impl State {
    /// The memory of a device that remembers nothing.
    #[must_use]
    pub fn new(planted: Tree) -> Self {
        Self { tree: planted.clone(), planted, ..Self::default() }
    }

    /// The nonces that were agreed on with a server.
    #[must_use]
    pub fn nonces(&self, server_id: &str) -> Option<&Nonces> {
        self.nonces.get(server_id)
    }

    /// The same, to be changed.
    pub fn nonces_mut(&mut self, server_id: &str) -> &mut Nonces {
        self.nonces.entry(server_id.to_owned()).or_default()
    }

    /// Whether a notification, or the session that it asks for, was had before.
    #[must_use]
    pub fn has_seen(&self, server_id: &str, session: u16, digest: &[u8]) -> bool {
        self.seen.has(server_id, session, digest)
    }

    /// Remembers the notification of a session that was held.
    pub fn see(&mut self, server_id: &str, session: u16, digest: &[u8]) {
        self.seen.add(server_id, session, digest);
    }

    /// How often the PIN of a bootstrap document was wrong.
    #[must_use]
    pub fn pin_failures(&self, document: &str) -> u8 {
        self.seen.pin_failures(document)
    }

    /// It was wrong once more.
    pub fn count_pin_failure(&mut self, document: &str) {
        self.seen.count_pin_failure(document);
    }

    /// It was right.
    pub fn forget_pin_failures(&mut self, document: &str) {
        self.seen.forget_pin_failures(document);
    }

    /// Whether this order was obeyed before.
    #[must_use]
    pub fn has_obeyed(&self, order: OperationId) -> bool {
        self.obeyed.iter().any(|known| known.order == order)
    }

    /// Remembers an order as obeyed.
    pub fn obey(&mut self, order: OperationId, expires: UtcMillis, now: UtcMillis) {
        if self.obeyed.len() >= ORDERS_KEPT {
            self.obeyed.retain(|known| known.expires > now);
        }
        self.obeyed.push(Obeyed { order, expires });
    }

    /// Keeps an end for the server that asked; the oldest is forgotten when there are too many.
    pub fn complete(&mut self, completion: Completion) {
        self.completions.push(completion);
        let surplus = self.completions.len().saturating_sub(COMPLETIONS_KEPT);
        self.completions.drain(..surplus);
    }

    /// What `provider` remembers; its default when there is nothing, or nothing that it understands.
    #[must_use]
    pub fn memory<T: Default + DeserializeOwned>(&self, provider: &str) -> T {
        let memory = self.memories.get(provider);
        memory.and_then(|memory| T::deserialize(memory).ok()).unwrap_or_default()
    }

    /// Lets `provider` remember this instead of what it did.
    pub fn remember<T: Serialize>(&mut self, provider: &str, memory: &T) {
        let memory = serde_json::to_value(memory).expect("a memory holds only text and numbers");
        self.memories.insert(provider.to_owned(), memory);
    }

    /// Keeps an event until its server has answered; beyond the bound the oldest is forgotten.
    pub fn raise(&mut self, event: ClientEvent) {
        self.client_events.push(event);
        let surplus = self.client_events.len().saturating_sub(client_event::KEPT);
        self.client_events.drain(..surplus);
    }

    /// Tree and memories as they are.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { tree: self.tree.clone(), memories: self.memories.clone() }
    }

    /// Takes tree and memories back.
    pub fn go_back(&mut self, to: Snapshot) {
        self.tree = to.tree;
        self.memories = to.memories;
    }

    /// Takes back what servers did to the tree and let providers remember, and records the wipe.
    pub fn wipe(&mut self, order: OperationId, at: UtcMillis) {
        self.tree = self.planted.clone();
        self.memories.clear();
        self.wipes.push(Wipe { order, at });
        let surplus = self.wipes.len().saturating_sub(WIPES_KEPT);
        self.wipes.drain(..surplus);
    }

    /// Takes back what servers did to the nodes below `path`.
    pub fn replant(&mut self, path: &TreePath) {
        let (mut added, mut changed) = (Vec::new(), Vec::new());
        let planted = &self.planted;
        self.tree.walk(path, &mut |path, node| match planted.get(path) {
            None => added.push(path.clone()),
            Some(was) if was.value != node.value => changed.push((path.clone(), was.value.clone())),
            Some(_) => {}
        });
        for path in added {
            let _gone_with_its_parent = self.tree.remove(&path);
        }
        for (path, value) in changed {
            // less room than the tree had when it was planted cannot be
            let _fits = self.tree.update(&path, |node| node.value = value);
        }
    }

    /// Lets `provider` forget what it remembers.
    pub fn forget(&mut self, provider: &str) {
        self.memories.remove(provider);
    }

    /// The wipes done, oldest first.
    #[must_use]
    pub fn wipes(&self) -> &[Wipe] {
        &self.wipes
    }
}

/// Why the state cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file system said no.
    #[error("{doing} {file}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        file: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file is not a state of a known version.
    #[error("{file} is damaged; move it away to start anew: {why}")]
    Damaged {
        /// The file.
        file: String,
        /// What is wrong.
        why: String,
    },
}

/// Where a state rests.
#[derive(Clone, Debug)]
pub enum Storage {
    /// Nowhere: simulated devices under load.
    Memory,
    /// In a folder.
    Folder(PathBuf),
}

#[derive(Serialize, Deserialize)]
struct Saved {
    version: u32,
    #[serde(default)]
    nonces: BTreeMap<String, SavedNonces>,
    #[serde(default)]
    seen: Seen,
    #[serde(default)]
    obeyed: Vec<Obeyed>,
    #[serde(default)]
    wipes: Vec<Wipe>,
    #[serde(default)]
    completions: Vec<Completion>,
    #[serde(default)]
    client_events: Vec<ClientEvent>,
    #[serde(default)]
    memories: BTreeMap<String, serde_json::Value>,
    tree: Vec<SavedNode>,
}

impl Storage {
    /// A folder, made if it is not there.
    pub fn folder(folder: &Path) -> Result<Self, StateError> {
        fs::create_dir_all(folder).map_err(io("cannot make", folder))?;
        Ok(Self::Folder(folder.to_owned()))
    }

    /// The state that rests here, upon a tree that is freshly planted. What an interrupted save left is ignored.
    pub fn load(&self, planted: Tree) -> Result<State, StateError> {
        let fresh = State::new(planted);
        let Self::Folder(folder) = self else { return Ok(fresh) };
        let file = folder.join(FILE);
        let text = match fs::read(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(fresh),
            Err(error) => return Err(io("cannot read", &file)(error)),
        };
        read(&text, fresh).map_err(|why| StateError::Damaged { file: file.display().to_string(), why })
    }

    /// Keeps `state`; on return it will be found again after a crash.
    pub fn save(&self, state: &State) -> Result<(), StateError> {
        let Self::Folder(folder) = self else { return Ok(()) };
        write_temporary(folder, &to_json(state))?;
        put_in_place(folder)
    }
}

/// First half of a save: the new state beside the old one, durable.
fn write_temporary(folder: &Path, json: &[u8]) -> Result<(), StateError> {
    let temporary = folder.join(TEMPORARY);
    let write = || -> io::Result<()> {
        let mut file = private_file(&temporary)?;
        file.write_all(json)?;
        file.sync_all()
    };
    write().map_err(io("cannot write", &temporary))
}

/// Second half: the new state takes the old one's name, durably.
fn put_in_place(folder: &Path) -> Result<(), StateError> {
    let (temporary, file) = (folder.join(TEMPORARY), folder.join(FILE));
    fs::rename(&temporary, &file).map_err(io("cannot replace", &file))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io("cannot sync", folder))
}

/// Creates or empties a file that only its owner reads.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn to_json(state: &State) -> Vec<u8> {
    let saved = Saved {
        version: VERSION,
        nonces: state.nonces.iter().map(|(server, nonces)| (server.clone(), nonces.into())).collect(),
        seen: state.seen.clone(),
        obeyed: state.obeyed.clone(),
        wipes: state.wipes.clone(),
        completions: state.completions.clone(),
        client_events: state.client_events.clone(),
        memories: state.memories.clone(),
        tree: state.tree.save(),
    };
    serde_json::to_vec(&saved).expect("a state holds only text and numbers")
}

fn read(json: &[u8], mut state: State) -> Result<State, String> {
    let saved: Saved = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    if saved.version != VERSION {
        return Err(format!("version {} is not known here", saved.version));
    }
    state.tree.restore(&saved.tree).map_err(|error: SavedTreeError| error.to_string())?;
    Ok(State {
        tree: state.tree,
        planted: state.planted,
        nonces: saved.nonces.into_iter().map(|(server, nonces)| (server, nonces.into())).collect(),
        seen: saved.seen,
        obeyed: saved.obeyed,
        wipes: saved.wipes,
        completions: saved.completions,
        client_events: saved.client_events,
        memories: saved.memories,
    })
}

fn io(doing: &'static str, file: &Path) -> impl FnOnce(io::Error) -> StateError {
    let file = file.display().to_string();
    move |source| StateError::Io { doing, file, source }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::tree::node::{Format, Node};

    #[test]
    fn a_state_is_found_again_as_it_was_saved() {
        let (folder, storage) = storage();
        storage.save(&a_state("one")).unwrap();
        assert_eq!(storage.load(Tree::default()).unwrap(), a_state("one"));
        drop(folder);
    }

    #[test]
    fn a_crash_between_write_and_rename_leaves_the_state_before() {
        let (folder, storage) = storage();
        storage.save(&a_state("one")).unwrap();
        write_temporary(folder.path(), &to_json(&a_state("two"))).unwrap();
        assert_eq!(storage.load(Tree::default()).unwrap(), a_state("one"));
        storage.save(&a_state("three")).unwrap();
        assert_eq!(storage.load(Tree::default()).unwrap(), a_state("three"));
    }

    #[test]
    fn a_crash_inside_the_write_leaves_the_state_before() {
        let (folder, storage) = storage();
        storage.save(&a_state("one")).unwrap();
        let json = to_json(&a_state("two"));
        for end in [0, 1, json.len() / 2, json.len() - 1] {
            write_temporary(folder.path(), &json[..end]).unwrap();
            assert_eq!(storage.load(Tree::default()).unwrap(), a_state("one"));
        }
    }

    #[test]
    fn a_damaged_state_is_refused_and_left_alone() {
        let (folder, storage) = storage();
        let file = folder.path().join(FILE);
        for text in [
            "",
            "{",
            "{\"version\":2,\"tree\":[]}",
            "{\"version\":1,\"tree\":[{\"uri\":\"./a/b\",\"format\":\"chr\"}]}",
        ] {
            fs::write(&file, text).unwrap();
            assert!(matches!(storage.load(Tree::default()), Err(StateError::Damaged { .. })), "{text}");
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
        }
    }

    #[test]
    fn expired_orders_are_forgotten_only_when_there_are_many() {
        let mut state = State::default();
        let order = |number: usize| OperationId(Uuid::from_u128(number as u128));
        for number in 0..ORDERS_KEPT {
            state.obey(order(number), UtcMillis(10), UtcMillis(0));
        }
        assert!(state.has_obeyed(order(0)));
        state.obey(order(ORDERS_KEPT), UtcMillis(30), UtcMillis(20));
        assert!(!state.has_obeyed(order(0)) && state.has_obeyed(order(ORDERS_KEPT)));
    }

    fn storage() -> (tempfile::TempDir, Storage) {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::folder(folder.path()).unwrap();
        (folder, storage)
    }

    fn a_state(value: &str) -> State {
        let mut state = State::default();
        state.nonces_mut("srv").client = Some(vec![1, 2]);
        state.nonces_mut("srv").issue(vec![3]);
        state.tree.insert(&TreePath::root().child("a"), Node::leaf(Format::Chr, value)).unwrap();
        state.obey(OperationId(Uuid::from_u128(1)), UtcMillis(10), UtcMillis(0));
        state.remember("jobs", &vec![value, "two"]);
        state.completions.push(Completion {
            server_id: "srv".into(),
            source: "./LAWMO".into(),
            target: None,
            alert_type: "urn:oma:at:lawmo:1.0:OperationComplete".into(),
            format: "chr".into(),
            mark: crate::csp::Mark::Warning,
            data: "1200".into(),
            correlator: Some(value.into()),
        });
        state.raise(ClientEvent {
            server_id: "srv".into(),
            event_type: "com.example/event".into(),
            format: "chr".into(),
            data: value.into(),
        });
        state
    }
}
