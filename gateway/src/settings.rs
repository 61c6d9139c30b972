//! The settings document in force, on trial, and on disk.
//!
//! Promise: a document is in force only after it was read, checked, tried out (addresses bound, TLS made) and written to
//! disk; one that fails leaves the last good one in force, and the reason goes to the core. For a while
//! (`Settings::trial_s`) a new document is on trial: is the core out of reach so long, or the program started too often,
//! the last good one comes back by itself. After a restart the last good one holds, or the trial goes on.

mod apply;
mod trial;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::ArcSwap;
use postern_wire::link::Settings;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::disk;

pub(crate) use apply::{judge, look};

/// So many starts on one trial are taken for bad luck.
const STARTS: u32 = 3;

/// The settings in force.
pub(crate) struct SettingsInForce {
    current: ArcSwap<Settings>,
    state: Mutex<State>,
    good_file: PathBuf,
    trial_file: PathBuf,
}

struct State {
    good: Arc<Settings>,
    /// Since when what is in force is on trial, monotonic milliseconds.
    trial_since_ms: Option<u64>,
    /// The version that did not pass its trial, and why; it is rejected if it comes again.
    fallen: Option<(u64, String)>,
}

/// What rests of a document on trial.
#[derive(Serialize, Deserialize)]
struct TrialFile {
    starts: u32,
    settings: Settings,
}

impl SettingsInForce {
    /// What `folder` holds, or the defaults; with the trouble, if it could not be read.
    pub(crate) fn load(folder: &Path) -> (Self, Option<String>) {
        let (good_file, trial_file) = (folder.join("settings.json"), folder.join("settings.trial.json"));
        let (good, trouble) = match read(&good_file) {
            Ok(settings) => (Arc::new(settings.unwrap_or_default()), None),
            Err(error) => {
                let trouble = format!("{}: {error}; the defaults hold", good_file.display());
                (Arc::default(), Some(trouble))
            }
        };
        let state = State { good: Arc::clone(&good), trial_since_ms: None, fallen: None };
        let settings = Self { current: ArcSwap::new(good), state: Mutex::new(state), good_file, trial_file };
        settings.go_on_with_trial();
        (settings, trouble)
    }

    /// The settings in force now.
    pub(crate) fn now(&self) -> arc_swap::Guard<Arc<Settings>> {
        self.current.load()
    }

    /// The version that passed its trial last.
    pub(crate) fn good(&self) -> Arc<Settings> {
        Arc::clone(&self.lock().good)
    }

    /// Why this version is not to be tried again.
    fn fallen(&self, version: u64) -> Option<String> {
        let state = self.lock();
        state.fallen.as_ref().filter(|(fallen, _)| *fallen == version).map(|(_, reason)| reason.clone())
    }

    /// Since when what is in force is on trial.
    fn on_trial_since(&self) -> Option<u64> {
        self.lock().trial_since_ms
    }

    /// Puts `settings` in force, on trial.
    ///
    /// # Errors
    /// One sentence; nothing has changed then.
    fn begin_trial(&self, settings: Settings, now_ms: u64) -> Result<(), String> {
        self.write_trial(0, &settings)?;
        let mut state = self.lock();
        state.trial_since_ms = Some(now_ms);
        self.current.store(Arc::new(settings));
        Ok(())
    }

    /// What is in force has passed its trial.
    fn pass(&self) -> Result<(), String> {
        let settings = self.current.load_full();
        let text = serde_json::to_vec_pretty(&*settings).map_err(|error| error.to_string())?;
        let failed =
            |error: std::io::Error| format!("{} cannot be written: {error}", self.good_file.display());
        disk::write_whole(&self.good_file, &text).map_err(failed)?;
        disk::remove(&self.trial_file).map_err(failed)?;
        let mut state = self.lock();
        state.good = settings;
        state.trial_since_ms = None;
        Ok(())
    }

    /// Goes back to the last good settings.
    fn fall_back(&self, reason: String) {
        let mut state = self.lock();
        state.fallen = Some((self.current.load().version, reason));
        state.trial_since_ms = None;
        self.current.store(Arc::clone(&state.good));
        if let Err(error) = disk::remove(&self.trial_file) {
            tracing::error!(%error, "the settings on trial cannot be removed from disk");
        }
    }

    /// A restart while settings were on trial: they may be the reason.
    fn go_on_with_trial(&self) {
        let trial = disk::read_if_there(&self.trial_file).ok().flatten();
        let Some(trial) = trial.and_then(|octets| serde_json::from_slice::<TrialFile>(&octets).ok()) else {
            return;
        };
        let version = trial.settings.version;
        self.current.store(Arc::new(trial.settings.clone()));
        if trial.starts >= STARTS || self.write_trial(trial.starts + 1, &trial.settings).is_err() {
            tracing::warn!(version, "settings fell back: the gateway was started again and again under them");
            self.fall_back(format!("the gateway was started {STARTS} times while they were on trial"));
        } else {
            self.lock().trial_since_ms = Some(0);
        }
    }

    fn write_trial(&self, starts: u32, settings: &Settings) -> Result<(), String> {
        let trial = TrialFile { starts, settings: settings.clone() };
        let text = serde_json::to_vec_pretty(&trial).map_err(|error| error.to_string())?;
        disk::write_whole(&self.trial_file, &text)
            .map_err(|error| format!("{} cannot be written: {error}", self.trial_file.display()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(file: &Path) -> Result<Option<Settings>, String> {
    let Some(octets) = disk::read_if_there(file).map_err(|error| error.to_string())? else { return Ok(None) };
    let document: Value = serde_json::from_slice(&octets).map_err(|error| error.to_string())?;
    Settings::read(&document).map(Some).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(version: u64) -> Settings {
        Settings { version, retry_after_s: 7, ..Settings::default() }
    }

    #[test]
    fn settings_that_pass_their_trial_hold_after_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let (settings, trouble) = SettingsInForce::load(folder.path());
        assert_eq!((settings.now().version, trouble), (0, None));
        settings.begin_trial(version(3), 10).expect("written");
        assert_eq!((settings.now().version, settings.good().version), (3, 0));
        settings.pass().expect("written");
        let (again, _) = SettingsInForce::load(folder.path());
        assert_eq!((again.now().version, again.good().version, again.on_trial_since()), (3, 3, None));
    }

    #[test]
    fn settings_that_fall_leave_the_last_good_ones_and_are_not_tried_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let (settings, _) = SettingsInForce::load(folder.path());
        settings.begin_trial(version(3), 10).expect("written");
        settings.pass().expect("written");
        settings.begin_trial(version(4), 20).expect("written");
        settings.fall_back("the link was lost".to_owned());
        assert_eq!((settings.now().version, settings.fallen(4).as_deref()), (3, Some("the link was lost")));
        assert_eq!(SettingsInForce::load(folder.path()).0.now().version, 3);
    }

    #[test]
    fn a_restart_goes_on_with_the_trial_and_too_many_end_it() {
        let folder = tempfile::tempdir().expect("a folder");
        SettingsInForce::load(folder.path()).0.begin_trial(version(5), 10).expect("written");
        for _ in 0..STARTS {
            let (settings, _) = SettingsInForce::load(folder.path());
            assert_eq!((settings.now().version, settings.on_trial_since()), (5, Some(0)));
        }
        let (settings, _) = SettingsInForce::load(folder.path());
        assert_eq!(settings.now().version, 0);
        assert!(settings.fallen(5).is_some_and(|reason| reason.contains("started")));
        assert_eq!(SettingsInForce::load(folder.path()).0.now().version, 0);
    }

    #[test]
    fn a_broken_file_is_told_and_the_defaults_hold() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("settings.json"), "{").expect("written");
        let (settings, trouble) = SettingsInForce::load(folder.path());
        assert_eq!(**settings.now(), Settings::default());
        assert!(trouble.is_some());
    }
}
