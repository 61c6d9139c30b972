//! What a GPO has to pass, in this order: its functionality version, its half switched on, the right to read
//! and to apply it, a version, the registry extension, its WMI filter, its folder in SYSVOL (MS-GPOL 3.2.5.1.6).

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Unread, WmiUnknown, World,
    reason::{Denial, Detail, Reason},
    settings::Folder,
};
use crate::policy::{
    dn::Dn,
    gpo::{Extension, FilterRef, Gpo, Half},
    security_descriptor::access::{Access, Right},
    sid::Sid,
    wql::{Verdict as Found, facts::Facts},
};

/// What was found of a GPO for one token.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    pub reason: Reason,
    pub detail: Detail,
    /// Whether it takes part.
    pub taken: bool,
    pub version_mismatch: bool,
    pub unread: Option<Unread>,
}

/// The filters of one pass; what was found of a GPO is kept, for it may be linked more than once.
pub(super) struct Filters<'w> {
    world: &'w World,
    half: Half,
    token: &'w [Sid],
    reader: Option<&'w [Sid]>,
    facts: &'w Facts,
    found: BTreeMap<Dn, Verdict>,
}

impl<'w> Filters<'w> {
    /// `reader` is the token of the computer that has to be able to read its user's GPOs, too.
    pub(super) fn new(
        world: &'w World,
        half: Half,
        token: &'w [Sid],
        reader: Option<&'w [Sid]>,
        facts: &'w Facts,
    ) -> Self {
        Self { world, half, token, reader, facts, found: BTreeMap::new() }
    }

    pub(super) fn gpo(&self, dn: &Dn) -> Option<Arc<Gpo>> {
        self.world.directory.gpos().get(dn).cloned()
    }

    /// Judges a GPO, once.
    pub(super) fn judge(&mut self, gpo: Option<&Arc<Gpo>>) -> Verdict {
        let Some(gpo) = gpo else {
            return denied(Reason::NotReadableByService, Detail::NotReturned);
        };
        if let Some(found) = self.found.get(&gpo.dn) {
            return found.clone();
        }
        let verdict = self.judge_anew(gpo);
        self.found.insert(gpo.dn.clone(), verdict.clone());
        verdict
    }

    fn judge_anew(&self, gpo: &Arc<Gpo>) -> Verdict {
        if gpo.functionality != Some(2) {
            return denied(Reason::BadFunctionalityVersion, Detail::Functionality(gpo.functionality));
        }
        if gpo.is_off(self.half) {
            return denied(Reason::GpoDisabled, Detail::Half(self.half));
        }
        if let Some(verdict) = self.refused(gpo) {
            return verdict;
        }
        let folder = self.world.folders.get(&gpo.dn);
        let in_directory = self.half.of_version(gpo.version);
        let in_sysvol = folder.and_then(|folder| folder.version.as_ref().ok());
        let in_sysvol = in_sysvol.map(|version| self.half.of_version(*version));
        if (in_directory, in_sysvol) == (0, Some(0)) {
            return denied(Reason::EmptyVersion, Detail::Half(self.half));
        }
        let extension = gpo.registry_extension(self.half);
        if extension != Extension::Present {
            return denied(Reason::NoExtension, Detail::Extension(extension));
        }
        let (reason, detail) = match self.filtered(gpo) {
            Ok(passed) => passed,
            Err(verdict) => return verdict,
        };
        if let Some(why) = unusable(folder, self.half) {
            let mut verdict = denied(Reason::SysvolUnreadable, Detail::Folder(why));
            verdict.unread = Some(Unread::Folder(gpo.dn.clone()));
            return verdict;
        }
        let version_mismatch = in_sysvol.is_some_and(|in_sysvol| in_sysvol != in_directory);
        Verdict { reason, detail, taken: true, version_mismatch, unread: None }
    }

    /// Read, then Apply.
    fn refused(&self, gpo: &Arc<Gpo>) -> Option<Verdict> {
        let security = match &gpo.security {
            Ok(security) => security,
            Err(why) => {
                let mut verdict = denied(Reason::NotReadableByService, Detail::Security(*why));
                verdict.unread = Some(Unread::Security(gpo.dn.clone()));
                return Some(verdict);
            }
        };
        let check = |right, token: &[Sid]| security.check(right, &|sid| token.contains(sid));
        let denial = |ace| Denial { gpo: gpo.clone(), ace };
        for (whose, token) in [(self.half, Some(self.token)), (Half::Computer, self.reader)] {
            match token.map(|token| check(Right::Read, token)) {
                None | Some(Access::Granted) => {}
                Some(Access::NotGranted) => {
                    return Some(denied(Reason::DeniedRead, Detail::Read(whose, None)));
                }
                Some(Access::Denied { ace }) => {
                    return Some(denied(Reason::DeniedRead, Detail::Read(whose, Some(denial(ace)))));
                }
            }
        }
        match check(Right::Apply, self.token) {
            Access::Granted => None,
            Access::NotGranted => Some(denied(Reason::DeniedNotGranted, Detail::None)),
            Access::Denied { ace } => Some(denied(Reason::DeniedExplicit, Detail::Denied(denial(ace)))),
        }
    }

    /// The WMI filter: what to write of a GPO that passes it.
    fn filtered(&self, gpo: &Gpo) -> Result<(Reason, Detail), Verdict> {
        let unevaluated = |text: &str| {
            let unknown = self.world.options.wmi_unknown;
            let detail = Detail::Unevaluated(text.into(), unknown);
            match unknown {
                WmiUnknown::Allow => Ok((Reason::WmiFilterUnevaluated, detail)),
                WmiUnknown::Deny => Err(denied(Reason::WmiFilterUnevaluated, detail)),
            }
        };
        let id = match &gpo.filter {
            None => return Ok((Reason::Applied, Detail::None)),
            Some(FilterRef::Unreadable(text)) => return unevaluated(text),
            Some(FilterRef::Id(id)) => id,
        };
        let Some(filter) = self.world.directory.filters().get(id) else {
            return Ok((Reason::Applied, Detail::NoFilter(id.to_string().into())));
        };
        match filter.evaluate(self.facts) {
            Found::True => Ok((Reason::Applied, Detail::None)),
            Found::Unknown => unevaluated(&filter.text),
            Found::False => {
                let detail = Detail::Finds(filter.text.as_str().into(), filter.values_used(self.facts));
                Err(denied(Reason::WmiFilterFalse, detail))
            }
        }
    }
}

fn denied(reason: Reason, detail: Detail) -> Verdict {
    Verdict { reason, detail, taken: false, version_mismatch: false, unread: None }
}

/// Why a folder cannot be used.
fn unusable(folder: Option<&Arc<Folder>>, half: Half) -> Option<Arc<str>> {
    match folder {
        None => Some("SYSVOL holds no folder of it".into()),
        Some(folder) => folder.version.as_ref().err().or_else(|| folder.half(half).err()).cloned(),
    }
}
