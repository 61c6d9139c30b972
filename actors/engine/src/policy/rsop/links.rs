//! The containers above an account, their links, and the order in which these apply.

use std::sync::Arc;

use super::{
    Link, Pass, Unread,
    filters::Filters,
    reason::{Detail, Reason},
};
use crate::policy::{
    directory::{Directory, Som, SomKind},
    dn::Dn,
};

/// The containers above an account, the nearest first, the site last.
pub(super) struct Scope {
    soms: Vec<Arc<Som>>,
    unseen: Vec<Dn>,
}

/// The names of the containers above an account: OUs and its domain. Other containers (`CN=Computers`) carry no
/// links; domains above the domain are not inherited from.
pub(super) fn path(account: &Dn) -> impl Iterator<Item = Dn> {
    let mut next = account.parent();
    let above = std::iter::from_fn(move || {
        let at = next.take()?;
        next = if at.is_a("DC") { None } else { at.parent() };
        Some(at)
    });
    above.filter(|at| at.is_a("OU") || at.is_a("DC"))
}

impl Scope {
    pub(super) fn of(directory: &Directory, account: &Dn, site: Option<&Arc<Som>>) -> Self {
        let mut scope = Self { soms: Vec::new(), unseen: Vec::new() };
        for dn in path(account) {
            match directory.soms().get(&dn) {
                Some(som) => scope.soms.push(som.clone()),
                None => scope.unseen.push(dn),
            }
        }
        scope.soms.extend(site.cloned());
        scope
    }

    /// Judges every link and appends those that apply, in their order.
    pub(super) fn walk(&self, filters: &mut Filters<'_>, pass: &mut Pass) {
        pass.unseen.extend(self.unseen.iter().cloned());
        let mut blocked_by: Option<&Arc<Som>> = None;
        // For each container: its links that apply, highest link order number first.
        let mut normal: Vec<Vec<usize>> = Vec::new();
        let mut enforced: Vec<Vec<usize>> = Vec::new();
        for som in &self.soms {
            let mut here = (Vec::new(), Vec::new());
            let links = som.links.as_deref().unwrap_or_default();
            if som.links.is_err() {
                pass.unread.push(Unread::Links(som.dn.clone()));
            }
            for (place, link) in links.iter().enumerate() {
                let gpo = link.gpo.as_ref().ok().and_then(|dn| filters.gpo(dn));
                let mut mismatch = false;
                let (reason, detail, taken) = if link.disabled {
                    (Reason::LinkDisabled, Detail::None, false)
                } else if let Some(som) = blocked_by.filter(|_| !link.enforced) {
                    (Reason::BlockedInheritance, Detail::Blocks(som.dn.clone()), false)
                } else {
                    let verdict = filters.judge(gpo.as_ref());
                    mismatch = verdict.version_mismatch;
                    pass.unread.extend(verdict.unread.filter(|unread| !pass.unread.contains(unread)));
                    (verdict.reason, verdict.detail, verdict.taken)
                };
                if taken {
                    let list = if link.enforced { &mut here.1 } else { &mut here.0 };
                    list.push(pass.links.len());
                }
                pass.links.push(Link {
                    gpo_dn: match &link.gpo {
                        Ok(dn) => dn.as_str().to_owned(),
                        Err(text) => text.clone(),
                    },
                    gpo,
                    som: som.clone(),
                    link_order: links.len() - place,
                    enforced: link.enforced,
                    reason,
                    detail,
                    version_mismatch: mismatch,
                });
            }
            normal.push(here.0);
            enforced.push(here.1);
            if som.blocks && som.kind != SomKind::Site && blocked_by.is_none() {
                blocked_by = Some(som);
            }
        }
        pass.order.extend(normal.into_iter().rev().flatten());
        pass.order.extend(enforced.into_iter().flatten());
    }
}
