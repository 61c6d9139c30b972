//! SYSVOL, as policy needs it.
//!
//! - [`folder`]: a folder of this machine: a mounted share, or a copy that something else keeps up to date.
//! - `readings`: the threads that readings may hang on, a few at most.
//! - `smb`: a domain controller's share itself, where this was built with the feature `smb`.

mod config;
pub mod folder;
mod readings;
#[cfg(feature = "smb")]
pub mod smb;

use std::{path::Path, sync::Arc};

use postern_actors::SysvolSource;

pub use config::{KEYS, SysvolConfig, SysvolKind};

use crate::OpenError;

/// The source that a configuration asks for; relative paths are taken from `folder`.
///
/// # Errors
/// A setting that cannot be right, a file that cannot be read, or a way of reading that this was built without.
pub fn open(config: &SysvolConfig, folder: &Path) -> Result<Arc<dyn SysvolSource>, OpenError> {
    config.check()?;
    match config.kind {
        SysvolKind::Folder => Ok(Arc::new(folder::FolderSysvol::of(config, folder)?)),
        #[cfg(feature = "smb")]
        SysvolKind::Smb => Ok(Arc::new(smb::SmbSysvol::of(config, folder)?)),
        #[cfg(not(feature = "smb"))]
        SysvolKind::Smb => Err(OpenError::setting(
            "sysvol.kind",
            "this program was built without SMB (feature `smb`): mount the share and use `folder`",
        )),
    }
}
