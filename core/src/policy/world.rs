//! Directory and SYSVOL, as policy is computed of them.

use std::sync::Arc;

use postern_actors::{
    DirectorySupervisor,
    policy::{
        Policies,
        inputs::{Change, PolicyWorld, WorldNow},
        live::DirectoryWorld,
    },
    sysvol::SysvolSupervisor,
};

use crate::inside::Inside;

/// A directory that is configured and cannot be used: what was computed last stays in force.
struct Unusable;

impl PolicyWorld for Unusable {
    fn now(&self) -> WorldNow {
        WorldNow::Unread("the configuration of [directory] or [sysvol] cannot be used".to_owned())
    }
}

/// What GPOs are read of; none where the configuration has no SYSVOL, whose directory then only says who is who.
pub(super) fn world(
    inside: &Inside,
    directory: Option<&DirectorySupervisor>,
    sysvol: Option<&SysvolSupervisor>,
) -> Option<Arc<dyn PolicyWorld>> {
    if inside.config.directory.is_none() || inside.config.sysvol.is_none() {
        return None;
    }
    let (Some(directory), Some(sysvol)) = (directory, sysvol) else { return Some(Arc::new(Unusable)) };
    let folders = Arc::clone(sysvol.cache());
    Some(Arc::new(DirectoryWorld::new(Arc::clone(directory.keeper()), folders)))
}

/// Says that the world is another, whenever it is. Runs until it is dropped.
pub(crate) async fn keep_telling(
    policies: Policies,
    directory: DirectorySupervisor,
    sysvol: Option<SysvolSupervisor>,
) {
    let mut of_directory = directory.keeper().generation();
    let mut of_sysvol = sysvol.map(|sysvol| sysvol.cache().generation());
    loop {
        let folders = async {
            match &mut of_sysvol {
                Some(generation) => generation.changed().await,
                None => std::future::pending().await,
            }
        };
        let changed = tokio::select! {
            changed = of_directory.changed() => changed,
            changed = folders => changed,
        };
        if changed.is_err() {
            return;
        }
        policies.changed(Change::World);
    }
}
