//! Suppositions: a device moved to another container, in one more group, a GPO linked elsewhere, a device that is not there yet.
//!
//! Promise: pure. A supposition makes another world and another target of those that are given, and touches neither.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    directory::{Account, AccountKind, Directory, SomLink},
    dn::Dn,
    fold,
    gpo::{Gpo, GpoId},
    rsop::{Target, World},
    sid::Sid,
};

/// The relative identifier of a device that is only supposed: the largest that an account can have.
const SUPPOSED_RID: u32 = 0x3fff_ffff;

/// What is supposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Supposition {
    /// The computer object lies in this container.
    MoveTo(Dn),
    /// The computer object is in this group of the directory: its name, or its distinguished name.
    AddGroup(String),
    /// A GPO is linked to a container: as its last link, the weakest there.
    Link {
        /// The GPO: its display name, its GUID or its distinguished name.
        gpo: String,
        /// The container.
        som: Dn,
        /// Whether the link is enforced.
        enforced: bool,
    },
}

/// Why something cannot be supposed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    /// The device has no computer object.
    #[error("the device has no computer object")]
    NoComputer,
    /// The directory does not hold it.
    #[error("the directory holds no {what} {name:?}")]
    None {
        /// What.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The name could be several.
    #[error("{name:?} could be several: {}", .all.join("; "))]
    Several {
        /// The name.
        name: String,
        /// Their distinguished names.
        all: Vec<String>,
    },
}

/// The world and the target in which it is so.
///
/// # Errors
/// [`Impossible`] where the directory does not hold what is named.
pub fn suppose(
    world: &World,
    target: &Target,
    supposition: &Supposition,
) -> Result<(World, Target), Impossible> {
    let (mut world, mut target) = (world.clone(), target.clone());
    match supposition {
        Supposition::MoveTo(container) => {
            let computer = computer(&world.directory, &target)?.clone();
            container_of(&world.directory, container)?;
            let name =
                computer.dn.as_str().strip_suffix(computer.dn.parent().as_ref().map_or("", Dn::as_str));
            let dn = name.and_then(|name| Dn::new(&format!("{name}{container}")).ok());
            let dn = dn.ok_or_else(|| none("container", container.as_str()))?;
            let moved = with_token(&world.directory, &computer, dn.clone(), []);
            world.directory.set_account(moved);
            target.computer = Some(dn);
        }
        Supposition::AddGroup(name) => {
            let computer = computer(&world.directory, &target)?.clone();
            let more = with_holders(&world.directory, group(&world.directory, name)?);
            let same = with_token(&world.directory, &computer, computer.dn.clone(), more);
            world.directory.set_account(same);
        }
        Supposition::Link { gpo: name, som, enforced } => {
            let gpo = gpo(&world.directory, name)?.dn.clone();
            let container = world.directory.soms().get(som).ok_or_else(|| none("container", som.as_str()))?;
            let mut changed = (**container).clone();
            let links = changed.links.as_mut().map_err(|_| none("readable link list at", som.as_str()))?;
            // New links come first in the attribute, which is last in the order, as the console makes them.
            links.insert(0, SomLink { gpo: Ok(gpo), disabled: false, enforced: *enforced });
            world.directory.set_som(changed);
        }
    }
    Ok((world, target))
}

/// A device that is not there: a computer object in a container, in groups of the directory.
///
/// # Errors
/// As [`suppose`].
pub fn place(
    world: &World,
    target: &Target,
    container: &Dn,
    groups: &[String],
) -> Result<(World, Target), Impossible> {
    let (mut world, mut target) = (world.clone(), target.clone());
    container_of(&world.directory, container)?;
    let dn = Dn::new(&format!("CN=supposed-device,{container}"))
        .map_err(|_| none("container", container.as_str()))?;
    let of_domain = |account: &Arc<Account>| Some(account.sid.as_ref()?.in_domain()?.0);
    let same_domain = |account: &&Arc<Account>| account.dn.domain() == container.domain();
    let mut domains = world.directory.accounts().values().filter(same_domain).filter_map(of_domain);
    let of_groups = world.directory.groups().values().filter(|group| group.dn.domain() == container.domain());
    let domain = domains
        .next()
        .or_else(|| of_groups.filter_map(|group| Some(group.sid.as_ref()?.in_domain()?.0)).next());
    let mut tokens = BTreeSet::new();
    for name in groups {
        tokens.extend(with_holders(&world.directory, group(&world.directory, name)?));
    }
    let primary = |rid| domain.as_ref().and_then(|domain: &Sid| in_domain(domain, rid));
    tokens.extend(primary(515)); // Domain Computers
    world.directory.set_account(Account {
        dn: dn.clone(),
        kind: AccountKind::Computer,
        logon_name: None,
        principal_name: None,
        sid: Some(primary(SUPPOSED_RID).unwrap_or_else(|| Sid::new(5, &[21, 0, 0, 0, SUPPOSED_RID]))),
        token_groups: Some(tokens.into_iter().collect()),
        primary_group: None,
    });
    target.computer = Some(dn);
    Ok((world, target))
}

fn in_domain(domain: &Sid, rid: u32) -> Option<Sid> {
    format!("{domain}-{rid}").parse().ok()
}

fn none(what: &'static str, name: &str) -> Impossible {
    Impossible::None { what, name: name.to_owned() }
}

fn computer<'w>(directory: &'w Directory, target: &Target) -> Result<&'w Account, Impossible> {
    let dn = target.computer.as_ref().ok_or(Impossible::NoComputer)?;
    directory.accounts().get(dn).map(AsRef::as_ref).ok_or_else(|| none("computer", dn.as_str()))
}

/// A container that links could hang on. One of the other kind (`CN=`) cannot be told from none, so it is taken where its domain is
/// there.
fn container_of<'w>(directory: &'w Directory, dn: &Dn) -> Result<&'w super::directory::Som, Impossible> {
    let mut at = Some(dn.clone());
    while let Some(here) = at {
        if let Some(som) = directory.soms().get(&here) {
            return Ok(som);
        }
        if !here.is_a("CN") {
            break;
        }
        at = here.parent();
    }
    Err(none("container", dn.as_str()))
}

/// The account under a name, with the groups that it has now and some more: what it is in is said by its old name.
fn with_token(
    directory: &Directory,
    account: &Account,
    dn: Dn,
    more: impl IntoIterator<Item = Sid>,
) -> Account {
    let own = account.sid.clone();
    let token = directory.token(account).into_iter().filter(|sid| Some(sid) != own.as_ref());
    Account { dn, token_groups: Some(token.chain(more).collect()), ..account.clone() }
}

fn group<'w>(directory: &'w Directory, name: &str) -> Result<&'w Dn, Impossible> {
    if let Ok(dn) = Dn::new(name) {
        let found = directory.groups().get_key_value(&dn);
        return found.map(|(dn, _)| dn).ok_or_else(|| none("group", name));
    }
    one("group", name, directory.groups().keys().filter(|dn| fold::same(&dn.name(), name)).collect())
}

fn one<'w>(what: &'static str, name: &str, found: Vec<&'w Dn>) -> Result<&'w Dn, Impossible> {
    match found.as_slice() {
        [] => Err(none(what, name)),
        [one] => Ok(one),
        several => {
            let all = several.iter().map(ToString::to_string).collect();
            Err(Impossible::Several { name: name.to_owned(), all })
        }
    }
}

/// The SIDs of a group and of all groups that hold it.
fn with_holders(directory: &Directory, group: &Dn) -> Vec<Sid> {
    let mut seen: BTreeSet<&Dn> = BTreeSet::new();
    let mut open = vec![group];
    let mut sids = Vec::new();
    while let Some(dn) = open.pop() {
        if !seen.insert(dn) {
            continue;
        }
        sids.extend(directory.groups().get(dn).and_then(|group| group.sid.clone()));
        let holders = directory.groups().iter().filter(|(_, other)| other.members.contains(dn));
        open.extend(holders.map(|(dn, _)| dn));
    }
    sids
}

fn gpo<'w>(directory: &'w Directory, name: &str) -> Result<&'w Gpo, Impossible> {
    let by_dn = Dn::new(name).ok();
    let by_id = GpoId::read(name);
    let is = |gpo: &&Arc<Gpo>| {
        by_dn.as_ref() == Some(&gpo.dn) || by_id.is_some() && gpo.id == by_id || fold::same(&gpo.name, name)
    };
    let found: Vec<&Dn> = directory.gpos().values().filter(is).map(|gpo| &gpo.dn).collect();
    let dn = one("GPO", name, found)?;
    directory.gpos().get(dn).map(AsRef::as_ref).ok_or_else(|| none("GPO", name))
}
