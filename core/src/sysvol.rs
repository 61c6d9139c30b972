//! SYSVOL, as the configuration has it: the supervisor of its reading, and what doctor finds.
//!
//! Promise: one that cannot be set up does not keep the core from starting; it is left
//! out, and `status` says why.

use std::{sync::Arc, time::Duration};

use postern_actors::{
    DirectorySupervisor,
    sysvol::{SysvolCache, SysvolGpo, SysvolParts, SysvolSupervisor},
};
use postern_adapters::sysvol;
use postern_api::server::{Check, Verdict};

use crate::{
    directory::kept,
    doctor::{check, ok},
    inside::Inside,
};

/// How often what is not good is tried again.
const AGAIN_EVERY: Duration = Duration::from_secs(60);
/// How long after a whole look the next one is due.
const WHOLE_EVERY: Duration = Duration::from_secs(8 * 3600);
/// GPOs that doctor names.
const NAMED: usize = 5;

/// The supervisor of the SYSVOL that is configured, for the GPOs of a directory.
pub(crate) fn set_up(inside: &Inside, directory: Option<&DirectorySupervisor>) -> Option<SysvolSupervisor> {
    let (config, directory) = (inside.config.sysvol.as_ref()?, directory?);
    let source = kept(inside, "sysvol", sysvol::open(config, &inside.config.folder))?;
    Some(SysvolSupervisor::new(SysvolParts {
        cache: Arc::new(SysvolCache::new(source, Arc::clone(&inside.clock))),
        directory: Arc::clone(directory.keeper()),
        store: inside.store.clone(),
        clock: Arc::clone(&inside.clock),
        again_every: AGAIN_EVERY,
        whole_every: WHOLE_EVERY,
    }))
}

/// What `directory status` says of SYSVOL: each GPO whose folder is not what the directory says.
pub(crate) fn remarks(supervisor: &SysvolSupervisor) -> Vec<String> {
    let status = supervisor.cache().status();
    let remark = |(_, gpo): (_, &SysvolGpo)| {
        let held = gpo.in_force.map_or("nothing".to_owned(), |version| format!("version {version}"));
        format!("SYSVOL of {:?}: {}; {held} is in force", gpo.name, gpo.said())
    };
    status.troubles().map(remark).collect()
}

/// What doctor finds of SYSVOL.
pub(crate) fn checks(inside: &Inside, supervisor: Option<&SysvolSupervisor>) -> Vec<Check> {
    const NAME: &str = "sysvol";
    const REMEDY: &str = "docs/POLICY.md, \"SYSVOL\"";
    let Some(config) = &inside.config.sysvol else {
        if inside.config.directory.is_none() {
            return Vec::new();
        }
        let finding = "a [directory] is set up and no [sysvol]: no settings come from its GPOs";
        return vec![check(NAME, String::new(), Verdict::Warn, finding, REMEDY)];
    };
    let path = config.path.as_ref().map(|path| path.display().to_string());
    let subject = path.unwrap_or_else(|| config.servers.join(", "));
    let Some(supervisor) = supervisor else {
        let finding =
            "its configuration cannot be used, or there is no [directory]: `posternctl status` says why";
        return vec![check(NAME, subject, Verdict::Fail, finding, REMEDY)];
    };
    let status = supervisor.cache().status();
    if status.at.is_none() {
        return vec![check(NAME, subject, Verdict::Warn, "it was not read since the start", REMEDY)];
    }
    let troubles: Vec<String> =
        status.troubles().take(NAMED).map(|(_, gpo)| format!("{:?}: {}", gpo.name, gpo.said())).collect();
    vec![match troubles.len() {
        0 => ok(NAME, subject, format!("{} GPOs, as the directory says", status.gpos.len())),
        _ => check(NAME, subject, Verdict::Warn, troubles.join(", "), REMEDY),
    }]
}
