//! The resultant sets of many targets, kept up to date.
//!
//! Promise: after a change only the targets that it can concern are computed again, and what stands then is equal to a full
//! computation. What changed is found by comparing the two worlds, not by being told: a caller cannot forget
//! an object.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Error, Rsop, Target, World, links::path, resultant};
use crate::policy::{
    directory::{Account, Directory},
    dn::Dn,
    gpo::FilterRef,
    sid::Sid,
};

/// The resultant sets of many targets, each under a key of the caller.
#[derive(Clone, Debug, Default)]
pub struct Fleet<K> {
    world: World,
    members: BTreeMap<K, Member>,
    by_som: Index<K>,
    by_gpo: Index<K>,
    by_account: Index<K>,
}

type Index<K> = BTreeMap<Dn, BTreeSet<K>>;

#[derive(Clone, Debug)]
struct Member {
    target: Arc<Target>,
    result: Result<Arc<Rsop>, Error>,
    gpos: BTreeSet<Dn>,
}

impl<K: Ord + Clone> Fleet<K> {
    /// Computes everything.
    #[must_use]
    pub fn new(world: World, targets: BTreeMap<K, Arc<Target>>) -> Self {
        let mut fleet = Self {
            world,
            members: BTreeMap::new(),
            by_som: BTreeMap::new(),
            by_gpo: BTreeMap::new(),
            by_account: BTreeMap::new(),
        };
        for (key, target) in targets {
            fleet.compute(key, target);
        }
        fleet
    }

    /// The world that the results were computed of.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// A target's resultant set.
    #[must_use]
    pub fn result(&self, key: &K) -> Option<&Result<Arc<Rsop>, Error>> {
        self.members.get(key).map(|member| &member.result)
    }

    /// All resultant sets.
    pub fn results(&self) -> impl Iterator<Item = (&K, &Result<Arc<Rsop>, Error>)> {
        self.members.iter().map(|(key, member)| (key, &member.result))
    }

    /// Takes a new world, with the same targets; gives those that were computed again.
    pub fn set_world(&mut self, world: World) -> BTreeSet<K> {
        let before = std::mem::replace(&mut self.world, world);
        let concerned = self.concerned(&before);
        for key in &concerned {
            self.recompute(key);
        }
        concerned
    }

    /// Sets a target; gives whether it was computed (again).
    pub fn set_target(&mut self, key: K, target: Arc<Target>) -> bool {
        if self.members.get(&key).is_some_and(|member| member.target == target) {
            return false;
        }
        self.remove(&key);
        self.compute(key, target);
        true
    }

    /// Takes a target away.
    pub fn remove(&mut self, key: &K) {
        let Some(member) = self.members.remove(key) else { return };
        for dn in paths(&member.target) {
            forget(&mut self.by_som, &dn, key);
        }
        for dn in &member.gpos {
            forget(&mut self.by_gpo, dn, key);
        }
        for dn in accounts(&member.target) {
            forget(&mut self.by_account, dn, key);
        }
    }

    fn recompute(&mut self, key: &K) {
        if let Some(target) = self.members.get(key).map(|member| member.target.clone()) {
            self.remove(key);
            self.compute(key.clone(), target);
        }
    }

    fn compute(&mut self, key: K, target: Arc<Target>) {
        let result = resultant(&self.world, &target).map(Arc::new);
        let passes = result.iter().flat_map(|rsop| rsop.computer.iter().chain(&rsop.user));
        let gpos: BTreeSet<Dn> =
            passes.flat_map(|pass| &pass.links).filter_map(|link| Dn::new(&link.gpo_dn).ok()).collect();
        for dn in paths(&target) {
            self.by_som.entry(dn).or_default().insert(key.clone());
        }
        for dn in &gpos {
            self.by_gpo.entry(dn.clone()).or_default().insert(key.clone());
        }
        for dn in accounts(&target) {
            self.by_account.entry(dn.clone()).or_default().insert(key.clone());
        }
        self.members.insert(key, Member { target, result, gpos });
    }

    /// The targets that the way from one world to the present one can concern.
    fn concerned(&self, before: &World) -> BTreeSet<K> {
        let (old, new) = (&before.directory, &self.world.directory);
        if before.options != self.world.options {
            return self.members.keys().cloned().collect();
        }
        let mut gpos: BTreeSet<&Dn> = differing(old.gpos(), new.gpos()).collect();
        gpos.extend(differing(&before.folders, &self.world.folders));
        let filters: BTreeSet<_> = differing(old.filters(), new.filters()).collect();
        for (dn, gpo) in new.gpos() {
            if matches!(&gpo.filter, Some(FilterRef::Id(id)) if filters.contains(id)) {
                gpos.insert(dn);
            }
        }
        let by_som = differing(old.soms(), new.soms()).filter_map(|dn| self.by_som.get(dn));
        let by_account = differing(old.accounts(), new.accounts()).filter_map(|dn| self.by_account.get(dn));
        let by_gpo = gpos.into_iter().filter_map(|dn| self.by_gpo.get(dn));
        let mut concerned: BTreeSet<K> = by_som.chain(by_account).chain(by_gpo).flatten().cloned().collect();
        if differing(old.groups(), new.groups()).next().is_some() {
            concerned.extend(self.with_another_token(new));
        }
        concerned
    }

    /// A change of groups concerns those whose token is another.
    fn with_another_token(&self, directory: &Directory) -> Vec<K> {
        let differs = |member: &Member| {
            let Ok(rsop) = &member.result else { return true };
            let passes = rsop.computer.iter().chain(&rsop.user);
            let own = |account: &Arc<Account>, token: &[Sid]| directory.token(account) == token;
            passes.into_iter().any(|pass| {
                directory.accounts().get(&pass.dn).is_none_or(|account| !own(account, &pass.token))
            })
        };
        self.members.iter().filter(|(_, member)| differs(member)).map(|(key, _)| key.clone()).collect()
    }
}

/// The keys of what is in one map only, or differs.
fn differing<'m, K: Ord, V: PartialEq>(
    old: &'m BTreeMap<K, Arc<V>>,
    new: &'m BTreeMap<K, Arc<V>>,
) -> impl Iterator<Item = &'m K> {
    let gone = old.keys().filter(|key| !new.contains_key(*key));
    let here = new.iter().filter(|(key, value)| {
        old.get(*key).is_none_or(|before| !Arc::ptr_eq(before, value) && before != *value)
    });
    gone.chain(here.map(|(key, _)| key))
}

/// The containers that a target's policy can come from, whether the directory shows them or not.
fn paths(target: &Target) -> BTreeSet<Dn> {
    accounts(target).flat_map(path).chain(target.site.clone()).collect()
}

fn accounts(target: &Target) -> impl Iterator<Item = &Dn> {
    target.computer.iter().chain(&target.user)
}

fn forget<K: Ord>(index: &mut Index<K>, dn: &Dn, key: &K) {
    if let Some(keys) = index.get_mut(dn) {
        keys.remove(key);
        if keys.is_empty() {
            index.remove(dn);
        }
    }
}
