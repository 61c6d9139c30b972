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

use super::inputs::{PolicyBindings, PolicySites, PolicyWorld, SiteSet, Who, WorldNow};
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
    options: Mutex<Options>,
    made: Mutex<Option<Made>>,
}

/// A world, and what it was made of.
struct Made {
    directory: u64,
    folders: u64,
    world: Arc<World>,
}

impl DirectoryWorld {
    /// Of what these keep; with the default choices until others are told.
    #[must_use]
    pub fn new(keeper: Arc<DirectoryKeeper>, folders: Arc<dyn PolicyFolders>) -> Self {
        Self { keeper, folders, options: Mutex::default(), made: Mutex::default() }
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
        let options = *self.options.lock().unwrap_or_else(PoisonError::into_inner);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = &*made
            && (made.directory, made.folders, made.world.options) == (view.generation, generation, options)
        {
            return WorldNow::Good(Arc::clone(&made.world));
        }
        let world =
            Arc::new(World { directory: (*view.directory).clone(), folders: (*folders).clone(), options });
        *made = Some(Made { directory: view.generation, folders: generation, world: Arc::clone(&world) });
        WorldNow::Good(world)
    }

    fn is_old(&self) -> Option<String> {
        let good = self.keeper.status().good.filter(|good| good.restored)?;
        Some(format!(
            "the directory was not read since the start; what is known of it was read at {}",
            good.at
        ))
    }

    fn choose(&self, options: Options) {
        *self.options.lock().unwrap_or_else(PoisonError::into_inner) = options;
    }
}

/// Who devices are, by what binds them to the directory.
pub struct DirectoryWho<B> {
    bindings: B,
    keeper: Arc<DirectoryKeeper>,
    sites: Arc<dyn PolicySites>,
}

impl<B: Bindings> DirectoryWho<B> {
    /// By these; devices count to the site that is set for them, else to the directory's only one.
    #[must_use]
    pub fn new(bindings: B, keeper: Arc<DirectoryKeeper>, sites: Arc<dyn PolicySites>) -> Self {
        Self { bindings, keeper, sites }
    }

    /// The site with why it is that one; an `Err` says why it cannot be said, so that what was desired stays.
    fn site(&self, set: SiteSet) -> Result<(Option<Dn>, String), String> {
        let directory = self.keeper.directory();
        let sites: Vec<&Dn> =
            directory.iter().flat_map(|directory| directory.sites()).map(|site| &site.dn).collect();
        site_of(&sites, set)
    }
}

/// Which of these sites a device counts to.
fn site_of(sites: &[&Dn], set: SiteSet) -> Result<(Option<Dn>, String), String> {
    match set {
        SiteSet::None(because) => Ok((None, because)),
        SiteSet::Named(name, because) => {
            let found = sites.iter().find(|site| site.name().to_lowercase() == name.to_lowercase());
            match found {
                Some(site) => Ok((Some((*site).clone()), because)),
                None => Err(format!("the directory has no site {name:?} ({because})")),
            }
        }
        SiteSet::Nothing => Ok(match sites {
            [] => (None, "the directory has none".to_owned()),
            [only] => (Some((*only).clone()), "the directory's only one".to_owned()),
            [..] => (None, format!("the directory has {}, and none is set", sites.len())),
        }),
    }
}

impl<B: Bindings> PolicyBindings for DirectoryWho<B> {
    fn who(&self, r: &mut Reader, device: &Enrolment) -> Result<Who, StoreError> {
        let bound = self.bindings.of(r, device.id)?;
        if let Some(why) = doubt(&bound) {
            return Ok(Who::Unknown(why));
        }
        Ok(match (bound.computer(), bound.user()) {
            (None, None) => Who::Nobody,
            (computer, user) => match self.site(self.sites.of(r, device.id)?) {
                Ok((site, site_because)) => {
                    Who::Accounts { computer: computer.cloned(), user: user.cloned(), site, site_because }
                }
                Err(why) => Who::Unknown(why),
            },
        })
    }
}

/// What cannot be said now of either account, told apart from what is not there for good. A doubt about one of the two
/// is one about the whole: the half of it would be taken from the device.
fn doubt(bound: &Bound) -> Option<String> {
    [&bound.computer, &bound.user].into_iter().find_map(|found| match found {
        Err(
            why @ (Unbound::NoDirectory
            | Unbound::Gone
            | Unbound::Several(_)
            | Unbound::Namesakes
            | Unbound::SharedHost),
        ) => Some(why.to_string()),
        Err(Unbound::NoOwner | Unbound::Nobody) | Ok(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use postern_engine::policy::binding::{Found, How};

    use super::*;

    #[test]
    fn a_doubt_about_one_account_takes_nothing_from_the_device_though_the_other_is_known() {
        let known = |name: &str| Ok((Dn::new(name).unwrap(), How::Name));
        let (computer, user) = (known("CN=phone1,DC=corp,DC=example"), known("CN=alice,DC=corp,DC=example"));
        let found =
            |computer: &Found, user: &Found| doubt(&Bound { computer: computer.clone(), user: user.clone() });
        for why in [
            Unbound::NoDirectory,
            Unbound::Gone,
            Unbound::Several(Vec::new()),
            Unbound::Namesakes,
            Unbound::SharedHost,
        ] {
            let text = Some(why.to_string());
            let none = Err(why);
            assert_eq!((found(&none, &user), found(&computer, &none)), (text.clone(), text));
        }
        for why in [Unbound::NoOwner, Unbound::Nobody] {
            let none = Err(why);
            assert_eq!((found(&none, &user), found(&computer, &none)), (None, None));
        }
    }

    #[test]
    fn a_device_counts_to_the_site_that_is_set_else_to_the_only_one_and_a_wrong_name_is_doubt() {
        let dn = |name: &str| Dn::new(&format!("CN={name},CN=Sites,CN=Configuration,DC=t")).unwrap();
        let (berlin, rome) = (dn("Berlin"), dn("Rome"));
        let named = |name: &str| SiteSet::Named(name.to_owned(), "by a".to_owned());
        let site = |sites: &[&Dn], set| site_of(sites, set).map(|(site, _)| site);

        assert_eq!(site(&[], SiteSet::Nothing), Ok(None));
        assert_eq!(site(&[&berlin], SiteSet::Nothing), Ok(Some(berlin.clone())));
        assert_eq!(site(&[&berlin, &rome], SiteSet::Nothing), Ok(None));
        assert_eq!(site(&[&berlin, &rome], named("rome")), Ok(Some(rome.clone())));
        assert_eq!(site(&[&berlin], SiteSet::None("by a".to_owned())), Ok(None));
        assert_eq!(
            site(&[&berlin], named("Paris")),
            Err("the directory has no site \"Paris\" (by a)".to_owned()),
            "what was desired stays"
        );
    }
}
