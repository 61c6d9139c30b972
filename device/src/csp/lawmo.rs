//! ./LAWMO, `urn:oma:mo:oma-lawmo:1.0`: lock, unlock, wipe, factory reset. Node names, states and result codes are
//! those that implementations of LAWMO 1.0 use; access types are ours.
//!
//! Promise: nothing is done without a signed order for that very operation, each once. An operation is answered 202,
//! done after the session, and ends with one generic alert whose Data is the result code; `kill -9` in between only delays it. Only
//! UnLock unlocks: neither a weaker lock nor a wipe nor a reset does. An order names the operation, not the items
//! that ToBeWiped marks.

mod machine;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    fs, io,
    path::PathBuf,
    time::Duration,
};

use postern_wire::terms::{OperationId, UtcMillis, Verb};
use serde::{Deserialize, Serialize};

use super::{Asker, Exec, Executed, Ground, Mark, Provider, Working, obey, path, process};
use crate::{
    codes::Code,
    event::Event,
    state::State,
    tree::{
        acl::Acl,
        node::{Format, Node},
        path::Path,
    },
};
pub use machine::{LockState, Operation};
use machine::{RESET_FAILED, WIPE_FAILED, WIPE_NOT_PERFORMED, success, transition};

const NAME: &str = "lawmo";
const ALERT: &str = "urn:oma:at:lawmo:1.0:OperationComplete";
/// Operations accepted and not yet done, at most.
const WAITING: usize = 16;
/// For a program of the operator's that locks or resets.
const PROGRAM_LIMIT: Duration = Duration::from_secs(120);

/// One entry of AvailableWipeList.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WipeItem {
    /// Its node's name, and ListItemName.
    pub name: String,
    /// What of the tree goes back to how it was planted.
    pub subtree: Path,
    /// Whose memory is forgotten with it.
    pub memory: Option<String>,
    /// The folder that is emptied with it.
    pub folder: Option<PathBuf>,
}

/// The provider.
pub struct Lawmo {
    items: Vec<WipeItem>,
    programs: BTreeMap<Operation, Vec<String>>,
}

impl Default for Lawmo {
    /// A device with ./Settings to wipe.
    fn default() -> Self {
        let settings = WipeItem {
            name: "Settings".to_owned(),
            subtree: path(&["Settings"]),
            memory: None,
            folder: None,
        };
        Self { items: vec![settings], programs: BTreeMap::new() }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Memory {
    #[serde(default)]
    state: LockState,
    #[serde(default)]
    jobs: VecDeque<Job>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Job {
    operation: Operation,
    asker: Asker,
    order: OperationId,
}

impl Lawmo {
    /// This provider with one more thing to wipe.
    #[must_use]
    pub fn with_item(mut self, item: WipeItem) -> Self {
        self.items.push(item);
        self
    }

    /// This provider running a program, by its arguments, before it counts an operation as done.
    #[must_use]
    pub fn with_program(mut self, operation: Operation, arguments: Vec<String>) -> Self {
        self.programs.insert(operation, arguments);
        self
    }

    /// How far the device is locked.
    #[must_use]
    pub fn state_of(state: &State) -> LockState {
        state.memory::<Memory>(NAME).state
    }

    async fn perform(&self, state: &mut State, memory: &mut Memory, job: &Job, now: UtcMillis) -> u32 {
        let next = match transition(memory.state, job.operation) {
            Ok(next) => next,
            Err(result) => return result,
        };
        if let Some(arguments) = self.programs.get(&job.operation)
            && let Err(error) = process::run(arguments, PROGRAM_LIMIT).await
        {
            tracing::warn!(operation = job.operation.name(), %error, "the operation's program failed");
            return job.operation.failure();
        }
        match job.operation {
            Operation::FullyLock | Operation::PartiallyLock | Operation::UnLock => {
                memory.state = next;
                success(job.operation)
            }
            Operation::FactoryReset => {
                let emptied = self.items.iter().all(|item| empty(item).is_ok());
                state.wipe(job.order, now);
                if emptied { success(job.operation) } else { RESET_FAILED }
            }
            Operation::Wipe => self.wipe(state),
        }
    }

    fn wipe(&self, state: &mut State) -> u32 {
        let marked: Vec<_> = self
            .items
            .iter()
            .filter(|item| {
                let mark = state.tree.get(&to_be_wiped(item));
                mark.is_some_and(|node| node.value == b"true")
            })
            .collect();
        if marked.is_empty() {
            return WIPE_NOT_PERFORMED;
        }
        let mut result = success(Operation::Wipe);
        for item in marked {
            if let Err(error) = empty(item) {
                tracing::warn!(item = item.name, %error, "a folder could not be emptied");
                result = WIPE_FAILED;
                continue; // it stays marked
            }
            state.replant(&item.subtree);
            item.memory.iter().for_each(|provider| state.forget(provider));
            // a permanent leaf of the same length or shorter always fits
            let _fits = state.tree.update(&to_be_wiped(item), |node| node.value = b"false".to_vec());
        }
        result
    }
}

impl Provider for Lawmo {
    fn root(&self) -> Path {
        path(&["LAWMO"])
    }

    fn plant(&self, ground: &mut Ground<'_>) -> Result<(), Code> {
        let root = self.root();
        let server = &ground.account.server_id;
        // whoever else is let in: no change of a list keeps the enrolled server from a lock
        let acl = Acl::default().granting_any(&[Verb::Get]).granting(server, &[Verb::Exec, Verb::Replace]);
        let top = Node::interior().permanent(&[Verb::Get]).of_type(Some("urn:oma:mo:oma-lawmo:1.0".into()));
        ground.tree.insert(&root, top.with_fixed_acl(acl))?;
        let state = Node::leaf(Format::Int, LockState::default().number().to_string());
        ground.tree.insert(&root.child("State"), state.permanent(&[Verb::Get]))?;

        let list = root.child("AvailableWipeList");
        ground.interior(&list, None)?;
        for item in &self.items {
            ground.interior(&list.child(&item.name), None)?;
            ground.fact(&list.child(&item.name).child("ListItemName"), item.name.as_str())?;
            let mark = Node::leaf(Format::Bool, "false").permanent(&[Verb::Get, Verb::Replace]);
            ground.tree.insert(&to_be_wiped(item), mark)?;
        }
        let config = root.child("LAWMOConfig");
        ground.interior(&config, None)?;
        let notify = Node::leaf(Format::Bool, "false").permanent(&[Verb::Get, Verb::Replace]);
        ground.tree.insert(&config.child("NotifyUser"), notify)?;

        let operations = root.child("Operations");
        ground.interior(&operations, None)?;
        for operation in Operation::ALL {
            let node = Node::leaf(Format::Null, "").permanent(&[Verb::Exec]);
            ground.tree.insert(&operations.child(operation.name()), node)?;
        }
        ground.interior(&root.child("Ext"), None)
    }

    fn exec(&self, state: &mut State, exec: &Exec<'_>, events: &mut Vec<Event>) -> Result<Executed, Code> {
        let operation = Operation::ALL
            .into_iter()
            .find(|operation| exec.path.name() == Some(operation.name()))
            .ok_or(Code::UNSUPPORTED)?;
        let mut memory: Memory = state.memory(NAME);
        if memory.jobs.len() >= WAITING {
            return Err(Code::FAILED);
        }
        let order = obey(state, exec, events)?;
        memory.jobs.push_back(Job { operation, asker: Asker::of(exec), order: order.order });
        state.remember(NAME, &memory);
        Ok(Executed::Accepted)
    }

    fn refresh(&self, state: &mut State, _scope: &Path, _now: UtcMillis) -> Result<(), Code> {
        let number = Self::state_of(state).number().to_string();
        state.tree.update(&self.root().child("State"), |node| node.value = number.into_bytes())
    }

    fn work<'a>(&'a self, state: &'a mut State, now: UtcMillis) -> Option<Working<'a>> {
        let mut memory: Memory = state.memory(NAME);
        let job = memory.jobs.pop_front()?;
        Some(Box::pin(async move {
            let result = self.perform(state, &mut memory, &job, now).await;
            state.remember(NAME, &memory);
            state.complete(job.asker.told(ALERT, Mark::Warning, result.to_string()));
        }))
    }
}

fn to_be_wiped(item: &WipeItem) -> Path {
    path(&["LAWMO", "AvailableWipeList", &item.name, "ToBeWiped"])
}

/// Takes everything in the item's folder away; a link in it is removed, not followed.
fn empty(item: &WipeItem) -> io::Result<()> {
    let Some(folder) = &item.folder else { return Ok(()) };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
