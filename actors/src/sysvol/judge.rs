//! What of a reading counts: whether it takes the place of the last good folder.

use std::sync::Arc;

use postern_engine::policy::{
    gpo::{Extension, Gpo, Half},
    registry_pol,
    rsop::settings::Folder,
    sysvol::{Contents, Refused},
};

use super::{Good, Held, SysvolState};
use crate::abilities::{SysvolError, SysvolRead};

impl Held {
    /// Takes what a reading gave. `most` octets are left of `all`.
    pub(super) fn take(
        &mut self,
        gpo: &Gpo,
        read: Result<SysvolRead, SysvolError>,
        limits: &registry_pol::Limits,
        most: u64,
        all: u64,
    ) {
        let judged = match (read, &self.good) {
            (Ok(SysvolRead::Same), Some(good)) => Ok((good.clone(), None)),
            (Ok(SysvolRead::Same), None) => Err(SysvolError::NoFolder),
            (Ok(SysvolRead::Contents(contents)), good) => {
                self.sysvol = None;
                judge(gpo, &contents, limits, good.is_some()).and_then(|judged| {
                    if judged.octets > most {
                        Err(SysvolError::TooLarge(all))
                    } else {
                        Ok((judged, Some(contents)))
                    }
                })
            }
            (Err(error), _) => Err(error),
        };
        self.state = match judged {
            Err(error) => SysvolState::Refused(error),
            Ok((judged, contents)) => {
                self.sysvol = Some(judged.version);
                let state = compare(gpo.version, judged.version);
                let went_back = self.good.as_ref().is_some_and(|good| is_older(judged.version, good.version));
                if state != SysvolState::Older || !went_back {
                    let is_other = self.good.as_ref().is_none_or(|good| good.folder != judged.folder);
                    if let Some(contents) = contents.filter(|_| is_other) {
                        self.unkept = Some(Arc::new(*contents));
                    }
                    self.good = Some(judged);
                }
                state
            }
        };
    }
}

/// How a folder's version stands to the directory's.
fn compare(directory: u32, sysvol: u32) -> SysvolState {
    if directory == sysvol {
        SysvolState::Same
    } else if is_older(sysvol, directory) {
        SysvolState::Older
    } else {
        SysvolState::Newer
    }
}

/// Whether a version is behind another in a half: each half counts for itself.
fn is_older(version: u32, than: u32) -> bool {
    [Half::Computer, Half::User].iter().any(|half| half.of_version(version) < half.of_version(than))
}

/// A folder that counts. Without a last good one a folder counts that lacks the settings of a half: who needs them is told so by
/// the resultant set.
fn judge(
    gpo: &Gpo,
    contents: &Contents,
    limits: &registry_pol::Limits,
    has_good: bool,
) -> Result<Good, SysvolError> {
    let folder = contents.folder(limits);
    let version = match (&contents.gpt_ini, &folder.version) {
        (Err(refused), _) => return Err(SysvolError::Hostile(refused.clone())),
        (Ok(_), Err(why)) => return Err(SysvolError::Damaged(why.to_string())),
        (Ok(_), Ok(version)) => *version,
    };
    let mut octets = 0;
    for half in [Half::Computer, Half::User] {
        match (contents.half(half), folder.half(half)) {
            (Ok(read), Ok(_)) => octets += read.len() as u64,
            (Ok(_), Err(why)) => return Err(SysvolError::Damaged(format!("{}: {why}", half.folder()))),
            (Err(Refused::Missing(_)), _) if !(has_good && needs(gpo, half, version)) => {}
            (Err(refused), _) => return Err(SysvolError::Hostile(refused.clone())),
        }
    }
    Ok(Good { folder: Arc::<Folder>::new(folder), version, octets })
}

/// A folder that counted before the start; none where it does not count any longer.
pub(super) fn of_before(contents: &Contents, limits: &registry_pol::Limits) -> Option<Good> {
    let folder = contents.folder(limits);
    let version = *folder.version.as_ref().ok()?;
    let files = [&contents.computer, &contents.user];
    let octets = files.into_iter().filter_map(|file| file.as_ref().ok()).map(|file| file.len() as u64).sum();
    let is_damaged = |half| contents.half(half).is_ok() && folder.half(half).is_err();
    if [Half::Computer, Half::User].into_iter().any(is_damaged) {
        return None;
    }
    Some(Good { folder: Arc::<Folder>::new(folder), version, octets })
}

/// Whether a half must have settings: what is missing has not come yet.
fn needs(gpo: &Gpo, half: Half, version: u32) -> bool {
    !gpo.is_off(half) && half.of_version(version) != 0 && gpo.registry_extension(half) == Extension::Present
}
