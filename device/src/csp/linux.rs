//! ./Vendor/Linux, `urn:postern:mo:linux-host:1.0`: a real Linux machine. An object of our own.
//!
//! ```text
//! OS/{Id, Name, VersionId, PrettyName}  Hostname  Kernel/{Release, Version, Machine}  Uptime (s)
//! Memory/{TotalMiB, AvailableMiB}  Disks/<n>/{MountPoint, Device, Type, SizeMiB, FreeMiB}
//! PackageFormat  PackageCount  Packages/<name> = version
//! Services/{Allowed, Restart}           Exec of Restart, its Data the unit
//! Files/<n>/{Path, Data, Mode, Owner, Group, Digest, Write}   Exec of Write
//! ```
//!
//! Promise: everything is read when it is asked for. What changes the machine is done only where its owner allowed it, in the
//! device's configuration: any other unit or path is 425. Programs are run by their arguments, never by a shell.

mod drop;
mod facts;
mod packages;
mod rpm;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, path::PathBuf, time::Duration};

use postern_wire::terms::{UtcMillis, Verb};
use serde::{Deserialize, Serialize};

use super::{Asker, Change, Exec, Executed, Ground, Mark, Provider, Working, path, process};
use crate::{
    codes::Code,
    event::Event,
    state::State,
    tree::{
        node::{Access, Format, Node},
        path::Path,
    },
};
use facts::Host;

const NAME: &str = "linux";
const ALERT: &str = "urn:postern:at:linux-host:1.0:OperationComplete";
/// As LAWMO and SCOMO have it: success, and a failure of the client's own.
const SUCCESS: u32 = 1200;
const FAILURE: u32 = 1400;
const RESTART_LIMIT: Duration = Duration::from_secs(180);
/// Restarts accepted and not yet done, at most.
const WAITING: usize = 16;
/// File drops described, at most.
const FILES: usize = 32;
const FILE_LEAVES: [&str; 5] = ["Path", "Data", "Mode", "Owner", "Group"];

/// What the owner of the machine lets a server do with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Allow {
    /// Folders below which files may be written.
    pub files: Vec<PathBuf>,
    /// Units that may be restarted.
    pub units: Vec<String>,
}

impl Allow {
    /// What in it cannot be meant.
    pub fn check(&self) -> Result<(), String> {
        if let Some(folder) = self.files.iter().find(|folder| !drop::is_plain(folder)) {
            return Err(format!("{} is not an absolute path of plain names", folder.display()));
        }
        let clean = |c: char| c.is_ascii_alphanumeric() || "@._:-\\".contains(c);
        let bad = |unit: &&String| unit.is_empty() || unit.starts_with('-') || !unit.chars().all(clean);
        match self.units.iter().find(bad) {
            Some(unit) => Err(format!("{unit:?} is not the name of a unit")),
            None => Ok(()),
        }
    }
}

/// The provider.
pub struct Linux {
    host: Host,
    allow: Allow,
    systemctl: String,
    rpm: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Memory {
    #[serde(default)]
    restarts: VecDeque<(String, Asker)>,
}

impl Linux {
    /// This machine, within what its owner allows.
    #[must_use]
    pub fn new(allow: Allow) -> Self {
        Self { host: Host::this(), allow, systemctl: "systemctl".to_owned(), rpm: "rpm".to_owned() }
    }

    /// Model, firmware, software and hardware of this machine, for DevInfo and DevDetail.
    #[must_use]
    pub fn hardware() -> super::Hardware {
        Host::this().hardware()
    }

    fn restart(&self, state: &mut State, exec: &Exec<'_>) -> Result<Executed, Code> {
        let unit = std::str::from_utf8(exec.data).map_err(|_| Code::BAD_FORMAT)?.trim();
        if unit.is_empty() {
            return Err(Code::INCOMPLETE);
        }
        if !self.allow.units.iter().any(|allowed| allowed == unit) {
            return Err(Code::DENIED);
        }
        let mut memory: Memory = state.memory(NAME);
        if memory.restarts.len() >= WAITING {
            return Err(Code::FAILED);
        }
        memory.restarts.push_back((unit.to_owned(), Asker::of(exec)));
        state.remember(NAME, &memory);
        Ok(Executed::Accepted)
    }

    /// Writes a described file, and keeps its digest instead of its data.
    fn write(&self, state: &mut State, entry: &Path) -> Result<Executed, Code> {
        let node = |leaf: &str| state.tree.get(&entry.child(leaf));
        let text = |leaf: &str| node(leaf).and_then(Node::text).filter(|text| !text.is_empty());
        let wanted = drop::Wanted {
            path: text("Path").ok_or(Code::INCOMPLETE)?.into(),
            data: &node("Data").ok_or(Code::INCOMPLETE)?.value,
            mode: text("Mode").map(drop::mode).transpose()?.unwrap_or(0o644),
            owner: text("Owner").map(|name| self.host.id_of("etc/passwd", name)).transpose()?,
            group: text("Group").map(|name| self.host.id_of("etc/group", name)).transpose()?,
        };
        drop::write(&wanted, &self.allow.files).map_err(|error| {
            tracing::warn!(path = %wanted.path.display(), %error, "a file was not written");
            error.code()
        })?;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, wanted.data);
        let digest: String = digest.as_ref().iter().map(|octet| format!("{octet:02x}")).collect();
        state.tree.update(&entry.child("Digest"), |node| node.value = format!("sha-256:{digest}").into())?;
        state.tree.remove(&entry.child("Data"))?;
        Ok(Executed::Done(Code::OK))
    }
}

fn root() -> Path {
    path(&["Vendor", "Linux"])
}

/// The names below the object.
fn below(path: &Path) -> Vec<&str> {
    path.names()[root().names().len()..].iter().map(String::as_str).collect()
}

impl Provider for Linux {
    fn root(&self) -> Path {
        root()
    }

    fn plant(&self, ground: &mut Ground<'_>) -> Result<(), Code> {
        ground.interior(&root(), Some("urn:postern:mo:linux-host:1.0"))?;
        for (names, (format, value)) in self.host.facts() {
            let node = if format == Format::Node { Node::interior() } else { Node::leaf(format, value) };
            let path = names.iter().fold(root(), |path, name| path.child(name));
            ground.tree.insert(&path, node.permanent(&[Verb::Get]))?;
        }
        let services = root().child("Services");
        ground.interior(&services, None)?;
        ground.fact(&services.child("Allowed"), self.allow.units.join(" "))?;
        let restart = Node::leaf(Format::Null, "").permanent(&[Verb::Exec]);
        ground.tree.insert(&services.child("Restart"), restart)?;
        let files = Node::interior().permanent(&[Verb::Add, Verb::Get]);
        ground.tree.insert(&root().child("Files"), files)?;
        ground.interior(&root().child("Packages"), None)?;
        ground.interior(&root().child("Disks"), None)
    }

    fn exec(&self, state: &mut State, exec: &Exec<'_>, _events: &mut Vec<Event>) -> Result<Executed, Code> {
        match below(exec.path).as_slice() {
            ["Services", "Restart"] => self.restart(state, exec),
            ["Files", name, "Write"] => self.write(state, &root().child("Files").child(name)),
            _ => Err(Code::UNSUPPORTED),
        }
    }

    fn changed(&self, state: &mut State, change: &Change<'_>) -> Result<(), Code> {
        if change.verb == Verb::Delete {
            return Ok(());
        }
        let node = state.tree.get(change.path).ok_or(Code::NOT_FOUND)?;
        match (below(change.path).as_slice(), node.is_interior()) {
            (["Files", _], true) => {
                let count =
                    state.tree.get(&root().child("Files")).map_or(0, |node| node.child_names().count());
                if count > FILES {
                    return Err(Code::DEVICE_FULL);
                }
                let digest = Node::leaf(Format::Chr, "").limited(&[Verb::Get]);
                state.tree.insert(&change.path.child("Digest"), digest)?;
                let write = Node::leaf(Format::Null, "").limited(&[Verb::Exec]);
                state.tree.insert(&change.path.child("Write"), write)
            }
            // what is dropped may be a secret: it is not read back
            (["Files", _, "Data"], false) => state
                .tree
                .update(change.path, |node| node.access = Access::of(&[Verb::Replace, Verb::Delete])),
            (["Files", _, "Path"], false) => {
                let path = PathBuf::from(node.text().ok_or(Code::BAD_FORMAT)?);
                drop::allowed(&path, &self.allow.files).map(|_| ()).map_err(|error| error.code())
            }
            (["Files", _, "Mode"], false) => drop::mode(node.text().ok_or(Code::BAD_FORMAT)?).map(|_| ()),
            (["Files", _, leaf], false) if FILE_LEAVES.contains(leaf) => Ok(()),
            _ => Err(Code::NOT_ALLOWED),
        }
    }

    fn refresh(&self, state: &mut State, scope: &Path, _now: UtcMillis) -> Result<(), Code> {
        let concerns = |part: &[&str]| {
            let part = part.iter().fold(root(), |path, name| path.child(name));
            part.covers(scope) || scope.covers(&part)
        };
        for (names, value) in self.host.facts() {
            if concerns(names) {
                facts::show(state, &names.iter().fold(root(), |path, name| path.child(name)), value)?;
            }
        }
        if concerns(&["Disks"]) {
            facts::show_all(state, &root().child("Disks"), self.host.disks())?;
        }
        if concerns(&["Packages"]) || concerns(&["PackageFormat"]) || concerns(&["PackageCount"]) {
            packages::show_installed(state, &root(), &self.host, &self.rpm)?;
        }
        Ok(())
    }

    fn work<'a>(&'a self, state: &'a mut State, _now: UtcMillis) -> Option<Working<'a>> {
        let mut memory: Memory = state.memory(NAME);
        let (unit, asker) = memory.restarts.pop_front()?;
        Some(Box::pin(async move {
            // the list may be another than when it was accepted
            let result = if self.allow.units.contains(&unit) {
                let arguments = [self.systemctl.as_str(), "restart", "--", &unit].map(ToOwned::to_owned);
                process::run(&arguments, RESTART_LIMIT).await.map_err(|error| error.to_string())
            } else {
                Err("it is not allowed any more".to_owned())
            };
            if let Err(why) = &result {
                tracing::warn!(unit, why, "a unit was not restarted");
            }
            let (code, mark) = match result {
                Ok(()) => (SUCCESS, Mark::Informational),
                Err(_) => (FAILURE, Mark::Warning),
            };
            state.remember(NAME, &memory);
            state.complete(asker.told(ALERT, mark, code.to_string()));
        }))
    }
}
