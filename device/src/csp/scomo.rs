//! ./SCOMO, `urn:oma:mo:oma-scomo:1.0`: software is fetched, installed, activated and removed. Node names and numbers are those
//! that registries and implementations have; `Ext/Digest` and `Ext/Version` below a Download are ours.
//!
//! Promise: an operation is answered 202, done in steps between sessions, and ends with one generic alert whose Data holds the
//! result code and the package's identifier. `kill -9` in between does the step again; an installation is there
//! whole or not at all. A package whose `Ext/Digest` (`sha-256:` and 64 hexadecimal digits) is not its own is never
//! installed.

mod archive;
mod fetch;
mod machine;
mod nodes;
mod shelf;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, path::PathBuf, sync::Arc};

use postern_wire::terms::{UtcMillis, Verb};
use serde::{Deserialize, Serialize};

use super::{Asker, Change, Completion, Exec, Executed, Ground, Mark, Provider, Working, path};
use crate::{
    codes::Code,
    event::Event,
    state::State,
    tree::{
        node::{Format, Node},
        path::Path,
    },
};
pub use fetch::{Fetch, FetchError, Fetching, Wanted, Web};
use machine::{Operation, Outcome, Place, Step, done, failed, running, steps};
use shelf::Shelf;

const NAME: &str = "scomo";
const ALERT: &str = "urn:oma:at:scomo:1.0:OperationComplete";
/// Packages that a server may describe, and that may lie in the inventory, each.
const PACKAGES: usize = 64;
/// Octets of one leaf at most.
const LEAF_OCTETS: usize = 4_096;

/// The provider.
pub struct Scomo {
    fetch: Arc<dyn Fetch>,
    shelf: Shelf,
    limit: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Memory {
    #[serde(default)]
    jobs: VecDeque<Job>,
}

/// An operation under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Job {
    place: Place,
    name: String,
    operation: Operation,
    /// Steps done.
    at: usize,
    asker: Asker,
}

impl Scomo {
    /// Software below `folder`, fetched by `fetch`; no package larger than `limit` octets, packed or unpacked.
    #[must_use]
    pub fn new(folder: PathBuf, fetch: Arc<dyn Fetch>, limit: u64) -> Self {
        Self { fetch, shelf: Shelf::new(folder), limit }
    }

    async fn perform(&self, state: &mut State, job: &Job, step: Step) -> Result<(), Outcome> {
        let name = &job.name;
        match step {
            Step::Fetch => {
                self.fetch(state, name).await?;
                self.shelf.deliver(name).map_err(|_| Outcome::DownloadFailed)?;
                nodes::delivered(state, name).map_err(|_| Outcome::NoRoomForDownload)
            }
            Step::Install { active } => {
                let from = nodes::entry(Place::Delivered, name);
                let env_type = nodes::text(state, &from.child("EnvType"));
                if !env_type.is_empty() && !env_type.eq_ignore_ascii_case(std::env::consts::OS) {
                    return Err(Outcome::OtherEnvironment);
                }
                let pkg_type = nodes::text(state, &from.child("PkgType"));
                self.shelf.install(name, &pkg_type, active, self.limit)?;
                nodes::deployed(state, name, active).map_err(|_| Outcome::NoRoomForInstall)
            }
            Step::RemovePackage => {
                self.shelf.remove_package(name).map_err(|_| Outcome::RemoveFailed)?;
                nodes::gone(state, Place::Delivered, name);
                Ok(())
            }
            Step::RemoveComponent => {
                self.shelf.remove_component(name).map_err(|_| Outcome::RemoveFailed)?;
                nodes::gone(state, Place::Deployed, name);
                nodes::set(state, &nodes::entry(Place::Delivered, name).child("State"), machine::DELIVERED);
                Ok(())
            }
            Step::Activate => {
                self.shelf.activate(name).map_err(|_| Outcome::ActivateFailed)?;
                nodes::set(state, &nodes::entry(Place::Deployed, name).child("State"), machine::ACTIVE);
                Ok(())
            }
            Step::Deactivate => {
                self.shelf.deactivate(name).map_err(|_| Outcome::DeactivateFailed)?;
                nodes::set(state, &nodes::entry(Place::Deployed, name).child("State"), machine::INACTIVE);
                Ok(())
            }
        }
    }

    async fn fetch(&self, state: &State, name: &str) -> Result<(), Outcome> {
        let from = nodes::entry(Place::Download, name);
        let url = nodes::text(state, &from.child("PkgURL"));
        let digest = nodes::text(state, &from.child("Ext").child("Digest"));
        let into = self.shelf.part(name).map_err(|_| Outcome::DownloadFailed)?;
        let wanted = Wanted { url: &url, into: &into, limit: self.limit, has_digest: !digest.is_empty() };
        let got = self.fetch.fetch(wanted).await.map_err(|error| {
            tracing::warn!(name, %error, "a package was not fetched");
            outcome_of(&error)
        });
        let outcome = match got {
            Ok(got) if digest.is_empty() || digest.eq_ignore_ascii_case(&shown(&got)) => return Ok(()),
            Ok(_) => Outcome::NotGenuine,
            Err(outcome) => outcome,
        };
        let _half = std::fs::remove_file(&into);
        Err(outcome)
    }
}

/// `sha-256:` and hexadecimal digits.
fn shown(digest: &[u8; 32]) -> String {
    format!("sha-256:{}", hex(digest))
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn outcome_of(error: &FetchError) -> Outcome {
    let no_room = |error: &std::io::Error| {
        matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
    };
    match error {
        FetchError::Status(401 | 403 | 407) => Outcome::DownloadRefused,
        FetchError::Status(500..) => Outcome::ServerError,
        FetchError::Unreachable(..) | FetchError::Timeout => Outcome::ServerUnavailable,
        FetchError::TooLarge(_) => Outcome::NoRoomForDownload,
        FetchError::Write(error) if no_room(error) => Outcome::NoRoomForDownload,
        FetchError::Url
        | FetchError::Source
        | FetchError::Status(_)
        | FetchError::Broken(_)
        | FetchError::Write(_)
        | FetchError::Read(_) => Outcome::DownloadFailed,
    }
}

impl Provider for Scomo {
    fn root(&self) -> Path {
        path(&["SCOMO"])
    }

    fn plant(&self, ground: &mut Ground<'_>) -> Result<(), Code> {
        let root = self.root();
        ground.interior(&root, Some("urn:oma:mo:oma-scomo:1.0"))?;
        let download = Node::interior().permanent(&[Verb::Add, Verb::Get]);
        ground.tree.insert(&root.child("Download"), download)?;
        let inventory = root.child("Inventory");
        for inner in
            [inventory.clone(), inventory.child("Delivered"), inventory.child("Deployed"), root.child("Ext")]
        {
            ground.interior(&inner, None)?;
        }
        Ok(())
    }

    fn exec(&self, state: &mut State, exec: &Exec<'_>, _events: &mut Vec<Event>) -> Result<Executed, Code> {
        let (place, name, operation) = nodes::operation(exec.path).ok_or(Code::UNSUPPORTED)?;
        let mut memory: Memory = state.memory(NAME);
        if memory.jobs.iter().any(|job| job.name == name) {
            return Err(Code::FAILED); // one thing after the other
        }
        let entry = nodes::entry(place, &name);
        let first = *steps(place, operation).first().ok_or(Code::UNSUPPORTED)?;
        if first == Step::Fetch && nodes::text(state, &entry.child("PkgURL")).is_empty() {
            return Err(Code::INCOMPLETE);
        }
        nodes::set(state, &entry.child("Status"), running(place, first));
        memory.jobs.push_back(Job { place, name, operation, at: 0, asker: Asker::of(exec) });
        state.remember(NAME, &memory);
        Ok(Executed::Accepted)
    }

    fn changed(&self, state: &mut State, change: &Change<'_>) -> Result<(), Code> {
        let Some((name, rest)) = nodes::in_download(change.path) else { return Ok(()) };
        if state.memory::<Memory>(NAME).jobs.iter().any(|job| job.name == name) {
            return Err(Code::FORBIDDEN);
        }
        if change.verb == Verb::Delete {
            return Ok(());
        }
        let node = state.tree.get(change.path).ok_or(Code::NOT_FOUND)?;
        match rest {
            [] if !node.is_interior() || !nodes::is_plain(name) => Err(Code::FORBIDDEN),
            [] => nodes::complete_download(state, name),
            _ if node.is_interior() || !nodes::is_downloads_leaf(rest) => Err(Code::NOT_ALLOWED),
            _ if node.value.len() > LEAF_OCTETS => Err(Code::TOO_LARGE),
            _ => Ok(()),
        }
    }

    fn work<'a>(&'a self, state: &'a mut State, _now: UtcMillis) -> Option<Working<'a>> {
        let mut memory: Memory = state.memory(NAME);
        let mut job = memory.jobs.pop_front()?;
        Some(Box::pin(async move {
            let entry = nodes::entry(job.place, &job.name);
            let identifier = nodes::text(state, &entry.child(nodes::identifier(job.place)));
            let all = steps(job.place, job.operation);
            let Some(step) = all.get(job.at).copied() else {
                state.remember(NAME, &memory); // of a version that knew more steps
                return;
            };
            let outcome = self.perform(state, &job, step).await;
            job.at += 1;
            let status = entry.child("Status");
            match (outcome, all.get(job.at)) {
                (Ok(()), Some(next)) => {
                    nodes::set(state, &status, running(job.place, *next));
                    memory.jobs.push_front(job);
                }
                (Ok(()), None) => {
                    nodes::set(state, &status, done(step));
                    state.complete(told(job, &identifier, Outcome::Success, Some(step)));
                }
                (Err(outcome), _) => {
                    let data = self.shelf.has_package(&job.name);
                    nodes::set(state, &status, failed(job.place, step, data));
                    state.complete(told(job, &identifier, outcome, None));
                }
            }
            state.remember(NAME, &memory);
        }))
    }
}

/// The end of a job. Target is the node of the inventory that came of it.
fn told(job: Job, identifier: &str, outcome: Outcome, last: Option<Step>) -> Completion {
    let target = match last {
        Some(Step::Fetch) => Some(Place::Delivered),
        Some(Step::Install { .. } | Step::Activate | Step::Deactivate) => Some(Place::Deployed),
        _ => None,
    };
    let target = target.map(|place| nodes::entry(place, &job.name).to_string());
    let identifier = escaped(identifier);
    let data = format!("<ResultCode>{}</ResultCode><Identifier>{identifier}</Identifier>", outcome as u32);
    Completion { target, ..job.asker.told(ALERT, Mark::Warning, data) }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
