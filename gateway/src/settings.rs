//! The settings document in force, and on disk.
//!
//! Promise: a document is in force only after it was read, checked and written to disk; one that fails leaves the last
//! good one in force, and the reason goes to the core. After a restart the last good one holds.

use std::{path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;
use postern_wire::link::Settings;
use serde_json::Value;

use crate::disk;

/// The settings in force.
pub(crate) struct SettingsInForce {
    current: ArcSwap<Settings>,
    file: PathBuf,
}

impl SettingsInForce {
    /// What `file` holds, or the defaults; with the trouble, if it could not be read.
    pub(crate) fn load(file: PathBuf) -> (Self, Option<String>) {
        let (settings, trouble) = match read(&file) {
            Ok(settings) => (settings.unwrap_or_default(), None),
            Err(error) => {
                (Settings::default(), Some(format!("{}: {error}; the defaults hold", file.display())))
            }
        };
        (Self { current: ArcSwap::from_pointee(settings), file }, trouble)
    }

    /// The settings in force now.
    pub(crate) fn now(&self) -> arc_swap::Guard<Arc<Settings>> {
        self.current.load()
    }

    /// Applies an announced document.
    ///
    /// # Errors
    /// One sentence that says why it is rejected; nothing has changed then.
    pub(crate) fn apply(&self, version: u64, sha256: &str, document: &Value) -> Result<(), String> {
        let settings =
            Settings::read_announced(version, sha256, document).map_err(|error| error.to_string())?;
        let text = serde_json::to_vec_pretty(&settings).map_err(|error| error.to_string())?;
        disk::write_whole(&self.file, &text)
            .map_err(|error| format!("{} cannot be written: {error}", self.file.display()))?;
        self.current.store(Arc::new(settings));
        Ok(())
    }
}

fn read(file: &std::path::Path) -> Result<Option<Settings>, String> {
    let Some(octets) = disk::read_if_there(file).map_err(|error| error.to_string())? else { return Ok(None) };
    let document: Value = serde_json::from_slice(&octets).map_err(|error| error.to_string())?;
    Settings::read(&document).map(Some).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejected_document_leaves_the_last_good_one_in_force_also_after_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("settings.json");
        let (settings, trouble) = SettingsInForce::load(file.clone());
        assert_eq!((settings.now().version, trouble), (0, None));
        let good = Settings { version: 3, retry_after_s: 7, ..Settings::default() };
        let value = serde_json::to_value(&good).expect("JSON");
        settings.apply(3, &good.digest(), &value).expect("applied");
        let bad = Settings { version: 4, message_octets: 1, ..Settings::default() };
        let error = settings.apply(4, &bad.digest(), &serde_json::to_value(&bad).expect("JSON"));
        assert!(error.expect_err("rejected").starts_with("message_octets is 1"));
        assert_eq!(settings.now().retry_after_s, 7);
        assert_eq!(SettingsInForce::load(file).0.now().version, 3);
    }

    #[test]
    fn a_broken_file_is_told_and_the_defaults_hold() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("settings.json");
        std::fs::write(&file, "{").expect("written");
        let (settings, trouble) = SettingsInForce::load(file);
        assert_eq!(**settings.now(), Settings::default());
        assert!(trouble.is_some());
    }
}
