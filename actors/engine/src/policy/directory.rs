//! What the directory holds, as far as policy asks for it: containers with links, GPOs, WMI filters, accounts
//! and groups.
//!
//! Promise: what is held is shared ([`Arc`]), so a copy that differs in one object costs little, and two copies
//! are told apart object by object.

mod entries;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use uuid::Uuid;

use super::{dn::Dn, fold, gplink, gpo::Gpo, sid::Sid, wql::Filter};

pub use entries::Remark;

/// A directory, or the part of it that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    soms: BTreeMap<Dn, Arc<Som>>,
    gpos: BTreeMap<Dn, Arc<Gpo>>,
    filters: BTreeMap<Uuid, Arc<Filter>>,
    accounts: BTreeMap<Dn, Arc<Account>>,
    groups: BTreeMap<Dn, Arc<Group>>,
    /// The groups that an object is directly in.
    groups_of: BTreeMap<Dn, BTreeSet<Dn>>,
    group_of_sid: BTreeMap<Sid, Dn>,
}

/// A container that GPOs are linked to: a scope of management.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Som {
    /// Its name.
    pub dn: Dn,
    /// What it is.
    pub kind: SomKind,
    /// Its links in the order of the attribute; the last has link order 1.
    pub links: Result<Vec<SomLink>, gplink::Error>,
    /// `gPOptions` is 1: inheritance is blocked. Of a site it means nothing.
    pub blocks: bool,
}

/// What a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SomKind {
    /// A site.
    Site,
    /// A domain.
    Domain,
    /// An organizational unit.
    Unit,
}

/// A link of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SomLink {
    /// The GPO; `Err` is the text that is no name.
    pub gpo: Result<Dn, String>,
    /// The link is off.
    pub disabled: bool,
    /// The link is enforced.
    pub enforced: bool,
}

/// A computer or a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub dn: Dn,
    /// What it is.
    pub kind: AccountKind,
    /// `sAMAccountName`.
    pub logon_name: Option<String>,
    /// `userPrincipalName`.
    pub principal_name: Option<String>,
    /// Its SID.
    pub sid: Option<Sid>,
    /// `tokenGroups`: all groups, those in groups and the primary one included; `None` where it was not read.
    pub token_groups: Option<Vec<Sid>>,
    /// The relative identifier of its primary group.
    pub primary_group: Option<u32>,
}

/// What an account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountKind {
    /// A computer.
    Computer,
    /// A user.
    User,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub dn: Dn,
    /// Its SID.
    pub sid: Option<Sid>,
    /// Its direct members.
    pub members: Vec<Dn>,
}

/// No account by a name, or several.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unnamed {
    /// None.
    #[error("the directory holds no {0} {1:?}")]
    None(&'static str, String),
    /// Several.
    #[error("{0:?} could be several")]
    Several(String, Vec<Dn>),
}

impl Directory {
    /// The containers with their links.
    #[must_use]
    pub fn soms(&self) -> &BTreeMap<Dn, Arc<Som>> {
        &self.soms
    }

    /// The GPOs.
    #[must_use]
    pub fn gpos(&self) -> &BTreeMap<Dn, Arc<Gpo>> {
        &self.gpos
    }

    /// The WMI filters by their id.
    #[must_use]
    pub fn filters(&self) -> &BTreeMap<Uuid, Arc<Filter>> {
        &self.filters
    }

    /// Computers and users.
    #[must_use]
    pub fn accounts(&self) -> &BTreeMap<Dn, Arc<Account>> {
        &self.accounts
    }

    /// The groups.
    #[must_use]
    pub fn groups(&self) -> &BTreeMap<Dn, Arc<Group>> {
        &self.groups
    }

    /// The sites.
    pub fn sites(&self) -> impl Iterator<Item = &Arc<Som>> {
        self.soms.values().filter(|som| som.kind == SomKind::Site)
    }

    /// Sets a container.
    pub fn set_som(&mut self, som: Som) {
        self.soms.insert(som.dn.clone(), Arc::new(som));
    }

    /// Sets a GPO.
    pub fn set_gpo(&mut self, gpo: Gpo) {
        self.gpos.insert(gpo.dn.clone(), Arc::new(gpo));
    }

    /// Takes a GPO away.
    pub fn remove_gpo(&mut self, dn: &Dn) {
        self.gpos.remove(dn);
    }

    /// Sets a WMI filter.
    pub fn set_filter(&mut self, id: Uuid, filter: Filter) {
        self.filters.insert(id, Arc::new(filter));
    }

    /// Sets an account.
    pub fn set_account(&mut self, account: Account) {
        self.accounts.insert(account.dn.clone(), Arc::new(account));
    }

    /// Sets a group.
    pub fn set_group(&mut self, group: Group) {
        if let Some(before) = self.groups.get(&group.dn).cloned() {
            for member in &before.members {
                if let Some(groups) = self.groups_of.get_mut(member) {
                    groups.remove(&group.dn);
                }
            }
            if let Some(sid) = &before.sid {
                self.group_of_sid.remove(sid);
            }
        }
        for member in &group.members {
            self.groups_of.entry(member.clone()).or_default().insert(group.dn.clone());
        }
        if let Some(sid) = &group.sid {
            self.group_of_sid.insert(sid.clone(), group.dn.clone());
        }
        self.groups.insert(group.dn.clone(), Arc::new(group));
    }

    /// The one account by a name: a distinguished name, `sAMAccountName` (a computer's with or without its `$`),
    /// `userPrincipalName` or the object's own name.
    pub fn account(&self, kind: AccountKind, name: &str) -> Result<&Arc<Account>, Unnamed> {
        let word = match kind {
            AccountKind::Computer => "computer",
            AccountKind::User => "user",
        };
        if let Ok(dn) = Dn::new(name) {
            let account = self.accounts.get(&dn).filter(|account| account.kind == kind);
            return account.ok_or_else(|| Unnamed::None(word, name.to_owned()));
        }
        let mut found =
            self.accounts.values().filter(|account| account.kind == kind && account.is_named(name));
        let Some(first) = found.next() else { return Err(Unnamed::None(word, name.to_owned())) };
        let others: Vec<Dn> = found.map(|account| account.dn.clone()).collect();
        if others.is_empty() {
            return Ok(first);
        }
        let all = [first.dn.clone()].into_iter().chain(others).collect();
        Err(Unnamed::Several(name.to_owned(), all))
    }

    /// The token of an account, sorted by text: its SID, its groups, and those that everyone has who signed in.
    /// `tokenGroups` counts as the directory computed it; without it the groups that were read are followed up.
    #[must_use]
    pub fn token(&self, account: &Account) -> Vec<Sid> {
        let mut sids: BTreeSet<Sid> =
            [Sid::everyone(), Sid::authenticated_users(), Sid::this_organization()].into();
        sids.extend(account.sid.clone());
        match &account.token_groups {
            Some(groups) => sids.extend(groups.iter().cloned()),
            None => self.follow_groups(account, &mut sids),
        }
        let mut token: Vec<(String, Sid)> = sids.into_iter().map(|sid| (sid.to_string(), sid)).collect();
        token.sort();
        token.into_iter().map(|(_, sid)| sid).collect()
    }

    fn follow_groups(&self, account: &Account, sids: &mut BTreeSet<Sid>) {
        let primary = account.sid.as_ref().zip(account.primary_group).and_then(|(sid, rid)| sid.sibling(rid));
        let mut open: Vec<&Dn> = self.groups_of.get(&account.dn).into_iter().flatten().collect();
        if let Some(primary) = primary {
            open.extend(self.group_of_sid.get(&primary));
            sids.insert(primary);
        }
        let mut seen: BTreeSet<&Dn> = BTreeSet::new();
        while let Some(dn) = open.pop() {
            if !seen.insert(dn) {
                continue;
            }
            sids.extend(self.groups.get(dn).and_then(|group| group.sid.clone()));
            open.extend(self.groups_of.get(dn).into_iter().flatten());
        }
    }
}

impl Account {
    /// Whether a name is this account's.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        let logon = self.logon_name.as_deref().is_some_and(|logon| {
            let of_computer = self.kind == AccountKind::Computer;
            fold::same(logon, name)
                || of_computer && logon.strip_suffix('$').is_some_and(|logon| fold::same(logon, name))
        });
        logon
            || self.principal_name.as_deref().is_some_and(|principal| fold::same(principal, name))
            || fold::same(&self.dn.name(), name)
    }
}
