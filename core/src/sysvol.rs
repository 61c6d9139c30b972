//! SYSVOL, as the configuration has it: the supervisor of its reading, and what doctor finds.
//!
//! Promise: one that cannot be set up does not keep the core from starting; it is left
//! out, and `status` says why.

use std::{sync::Arc, time::Duration};

use postern_actors::{
    DirectorySupervisor,
    sysvol::{Dn, SysvolCache, SysvolGpo, SysvolParts, SysvolRules, SysvolSupervisor},
};
use postern_adapters::sysvol;
use postern_api::{
    Time,
    directory::{SysvolFolder, SysvolView},
    server::{Check, Verdict},
};
use postern_store::{Reader, StoreError};

use crate::{
    config::Config,
    directory::kept,
    doctor::{check, ok},
    inside::Inside,
    settings,
};

/// How often what is not good is tried again.
const AGAIN_EVERY: Duration = Duration::from_secs(60);
/// GPOs that doctor names.
const NAMED: usize = 5;

/// The supervisor of the SYSVOL that is configured, for the GPOs of a directory.
pub(crate) async fn set_up(
    inside: &Inside,
    directory: Option<&DirectorySupervisor>,
) -> Option<SysvolSupervisor> {
    let (config, directory) = (inside.config.sysvol.as_ref()?, directory?);
    let source = kept(inside, "sysvol", sysvol::open(config, &inside.config.folder))?;
    let supervisor = SysvolSupervisor::new(SysvolParts {
        cache: Arc::new(SysvolCache::new(source, Arc::clone(&inside.clock))),
        directory: Arc::clone(directory.keeper()),
        store: inside.store.clone(),
        sealer: Arc::clone(&inside.sealer),
        clock: Arc::clone(&inside.clock),
        random: Arc::clone(&inside.random),
        again_every: AGAIN_EVERY,
        rules: Arc::new(CoreSysvolRules(inside.config.clone())),
    });
    supervisor.restore().await;
    Some(supervisor)
}

/// The settings as SYSVOL's supervisor asks for them.
struct CoreSysvolRules(Config);

impl SysvolRules for CoreSysvolRules {
    fn whole_every(&self, r: &mut Reader) -> Result<Duration, StoreError> {
        let layers = settings::global(r)?;
        let seconds = settings::resolve(settings::row("SysvolRefreshInterval"), &layers, &self.0).value;
        Ok(Duration::from_secs(u64::try_from(seconds).unwrap_or(8 * 3600)))
    }
}

/// What `directory status` says of SYSVOL: how it stands, and each GPO whose folder is not what the directory says.
pub(crate) fn view(supervisor: &SysvolSupervisor) -> SysvolView {
    let status = supervisor.cache().status();
    let folder = |(dn, gpo): (&Dn, &SysvolGpo)| SysvolFolder {
        gpo: dn.to_string(),
        name: gpo.name.clone(),
        state: gpo.state.word().to_owned(),
        detail: gpo.said(),
        directory: gpo.directory,
        sysvol: gpo.sysvol,
        in_force: gpo.in_force,
        since: Time(gpo.since),
    };
    let state = match status.at {
        None => "unread",
        Some(_) if status.is_stale() => "stale",
        Some(_) => "good",
    };
    SysvolView {
        state: state.to_owned(),
        at: status.at.map(Time),
        restored: status.is_restored(),
        gpos: status.gpos.len() as u64,
        troubles: status.troubles().map(folder).collect(),
    }
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
