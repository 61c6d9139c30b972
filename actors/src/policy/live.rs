//! Directory and SYSVOL as they were last read well, for the policy supervisor.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use postern_engine::policy::{
    binding::{Bound, Unbound},
    dn::Dn,
    rsop::{Options, World, settings::Folder},
};
use postern_store::{Reader, StoreError, enrolments::Enrolment};

use super::inputs::{PolicyBindings, PolicyWorld, Who, WorldNow};
use crate::{Bindings, DirectoryKeeper, sysvol::SysvolCache};

/// The folders of GPOs, by their names in the directory.
pub type Folders = BTreeMap<Dn, Arc<Folder>>;

/// Gives the folders of GPOs as last read well.
pub trait PolicyFolders: Send + Sync + 'static {
    /// A number that is another whenever they are, and they; none before they were looked at.
    fn folders(&self) -> Option<(u64, Arc<Folders>)>;
}

impl PolicyFolders for SysvolCache {
    fn folders(&self) -> Option<(u64, Arc<Folders>)> {
        self.status().at?;
        // The number first: folders that change in between are asked for again.
        let generation = *self.generation().borrow();
        Some((generation, Self::folders(self)))
    }
}

/// The directory with the folders of its GPOs.
pub struct DirectoryWorld {
    keeper: Arc<DirectoryKeeper>,
    folders: Arc<dyn PolicyFolders>,
    options: Options,
    made: Mutex<Option<Made>>,
}

/// A world, and what it was made of.
struct Made {
    directory: u64,
    folders: u64,
    world: Arc<World>,
}

impl DirectoryWorld {
    /// Of what these keep.
    #[must_use]
    pub fn new(keeper: Arc<DirectoryKeeper>, folders: Arc<dyn PolicyFolders>, options: Options) -> Self {
        Self { keeper, folders, options, made: Mutex::default() }
    }
}

impl PolicyWorld for DirectoryWorld {
    fn now(&self) -> WorldNow {
        let Some(view) = self.keeper.view() else {
            return WorldNow::Unread("the directory was not read yet".to_owned());
        };
        let Some((generation, folders)) = self.folders.folders() else {
            return WorldNow::Unread("SYSVOL was not read yet".to_owned());
        };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = &*made
            && (made.directory, made.folders) == (view.generation, generation)
        {
            return WorldNow::Good(Arc::clone(&made.world));
        }
        let world = Arc::new(World {
            directory: (*view.directory).clone(),
            folders: (*folders).clone(),
            options: self.options,
        });
        *made = Some(Made { directory: view.generation, folders: generation, world: Arc::clone(&world) });
        WorldNow::Good(world)
    }
}

/// Who devices are, by what binds them to the directory.
pub struct DirectoryWho<B> {
    bindings: B,
    site: Option<Dn>,
}

impl<B: Bindings> DirectoryWho<B> {
    /// By these; devices count to this site, or to none.
    #[must_use]
    pub const fn new(bindings: B, site: Option<Dn>) -> Self {
        Self { bindings, site }
    }
}

impl<B: Bindings> PolicyBindings for DirectoryWho<B> {
    fn who(&self, r: &mut Reader, device: &Enrolment) -> Result<Who, StoreError> {
        Ok(who(&self.bindings.of(r, device.id)?, self.site.as_ref()))
    }
}

/// Who a device is, of what it is bound to.
fn who(bound: &Bound, site: Option<&Dn>) -> Who {
    // What is not there for good is told apart from what cannot be said now.
    let doubt = [&bound.computer, &bound.user].into_iter().find_map(|found| match found {
        Err(why @ (Unbound::NoDirectory | Unbound::Gone | Unbound::Several(_) | Unbound::Namesakes)) => {
            Some(why.to_string())
        }
        Err(Unbound::NoOwner | Unbound::Nobody) | Ok(_) => None,
    });
    // A doubt about one of the two is one about the whole: the half of it would be taken from the device.
    match (bound.computer(), bound.user(), doubt) {
        (_, _, Some(why)) => Who::Unknown(why),
        (None, None, None) => Who::Nobody,
        (computer, user, None) => {
            Who::Accounts { computer: computer.cloned(), user: user.cloned(), site: site.cloned() }
        }
    }
}

#[cfg(test)]
mod tests {
    use postern_engine::policy::binding::How;

    use super::*;

    fn dn(text: &str) -> Dn {
        Dn::new(text).unwrap()
    }

    #[test]
    fn a_doubt_about_one_account_takes_nothing_from_the_device_though_the_other_is_known() {
        let computer = || Ok((dn("CN=phone1,DC=corp,DC=example"), How::Name));
        let user = || Ok((dn("CN=alice,DC=corp,DC=example"), How::Mail));
        for doubt in [Unbound::NoDirectory, Unbound::Gone, Unbound::Several(Vec::new()), Unbound::Namesakes] {
            let bound = Bound { computer: Err(doubt.clone()), user: user() };
            assert!(matches!(who(&bound, None), Who::Unknown(_)), "{doubt}");
            let bound = Bound { computer: computer(), user: Err(doubt.clone()) };
            assert!(matches!(who(&bound, None), Who::Unknown(_)), "{doubt}");
        }
        for none in [Unbound::NoOwner, Unbound::Nobody] {
            let bound = Bound { computer: computer(), user: Err(none.clone()) };
            assert!(
                matches!(who(&bound, None), Who::Accounts { computer: Some(_), user: None, .. }),
                "{none}"
            );
        }
        let bound = Bound { computer: Err(Unbound::Nobody), user: Err(Unbound::NoOwner) };
        assert!(matches!(who(&bound, None), Who::Nobody));
    }
}
