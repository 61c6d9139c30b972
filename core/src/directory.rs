//! The directory, as the configuration has it: the supervisor of its reading, signing in by it, what doctor finds.
//!
//! Promise: one that cannot be set up does not keep the core from starting; it is left
//! out, and `status` says why. What was read before the start is in force until it is read again.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use postern_actors::{
    DirectoryKeeper, DirectoryPace, DirectoryParts, DirectoryRules, DirectorySignIn, DirectorySupervisor,
    DirectoryTaskParts, DirectoryTasks, Dn, TakeOut,
};
use postern_adapters::{
    OpenError,
    ldap::{AfterWipe, LdapReader, LdapSignIn, LdapWriter},
};
use postern_api::server::{Check, Verdict};
use postern_store::{Reader, StoreError};

use crate::{
    config::Config,
    doctor::{check, ok},
    inside::Inside,
    settings,
};

/// The supervisor of the directory that is configured, with what was read before the start in force.
pub(crate) async fn set_up(inside: &Inside) -> Option<DirectorySupervisor> {
    let config = inside.config.directory.as_ref()?;
    let opened = LdapReader::open(config, &inside.config.folder).and_then(|reader| {
        let below = config.devices_below.as_deref().map(Dn::new).transpose();
        let below = below.map_err(|_| not_a_name("directory.devices_below"))?;
        Ok((reader, below))
    });
    let (reader, below) = kept(inside, "directory", opened)?;
    let pace = DirectoryPace::default();
    let keeper =
        DirectoryKeeper::new(Arc::new(reader), Arc::clone(&inside.clock), pace).with_devices_below(below);
    let supervisor = DirectorySupervisor::new(DirectoryParts {
        keeper: Arc::new(keeper),
        store: inside.store.clone(),
        sealer: Arc::clone(&inside.sealer),
        clock: Arc::clone(&inside.clock),
        random: Arc::clone(&inside.random),
        rules: Arc::new(CoreDirectoryRules(inside.config.clone())),
        look_every: Duration::from_secs(config.look_s.clamp(5, 3600)),
    });
    supervisor.restore().await;
    Some(supervisor)
}

/// What is written into the directory.
pub(crate) fn tasks(inside: &Inside, supervisor: &DirectorySupervisor) -> Option<DirectoryTasks> {
    let (config, writer) = (inside.config.directory.as_ref()?, inside.config.directory_writer.as_ref()?);
    let opened = LdapWriter::open(config, writer, &inside.config.folder);
    let ldap = kept(inside, "directory-writer", opened)?;
    Some(DirectoryTasks::new(DirectoryTaskParts {
        store: inside.store.clone(),
        clock: Arc::clone(&inside.clock),
        random: Arc::clone(&inside.random),
        supervisor: supervisor.clone(),
        writer: Arc::new(ldap),
        after_wipe: match writer.after_wipe {
            AfterWipe::Nothing => None,
            AfterWipe::Disable => Some(TakeOut::Disable),
            AfterWipe::Move => Some(TakeOut::Move),
            AfterWipe::Delete => Some(TakeOut::Delete),
        },
        creates: writer.create_in.is_some(),
    }))
}

/// Without `[directory_writer]` it is forgotten that anything was ever written: what happens until it is set again is left alone.
pub(crate) async fn is_written(inside: &Inside) {
    if inside.config.directory_writer.is_none()
        && let Err(error) = DirectoryTasks::switched_off(&inside.store).await
    {
        tracing::warn!(%error, "the database does not take that nothing is written into the directory");
    }
}

/// What people sign in by.
pub(crate) fn sign_in(inside: &Inside) -> Option<Arc<dyn DirectorySignIn>> {
    let (config, sign_in) = (inside.config.directory.as_ref()?, inside.config.sign_in.as_ref()?);
    let domain = sign_in.domain.clone().or_else(|| domain_of(&config.account));
    let opened = LdapSignIn::open(config, &domain.unwrap_or_default(), &inside.config.folder);
    kept(inside, "sign-in", opened).map(|sign_in| Arc::new(sign_in) as Arc<dyn DirectorySignIn>)
}

/// The domain of `name@domain`, or of a distinguished name.
fn domain_of(account: &str) -> Option<String> {
    if let Some((_, domain)) = account.rsplit_once('@') {
        return Some(domain.to_owned());
    }
    let mut at = Dn::new(account).ok()?.domain();
    let mut parts = Vec::new();
    while let Some(dn) = at {
        parts.push(dn.name());
        at = dn.parent();
    }
    Some(parts.join("."))
}

fn not_a_name(key: &'static str) -> OpenError {
    OpenError::setting(key, "it is no distinguished name")
}

pub(crate) fn kept<T>(inside: &Inside, name: &str, opened: Result<T, OpenError>) -> Option<T> {
    match opened {
        Ok(opened) => Some(opened),
        Err(error) => {
            let trouble = format!("{name}: {error}");
            tracing::error!(%trouble, "the core runs without this");
            let mut troubles = inside.troubles.lock().unwrap_or_else(PoisonError::into_inner);
            if !troubles.contains(&trouble) {
                troubles.push(trouble);
            }
            None
        }
    }
}

/// The settings as the directory's supervisor asks for them.
struct CoreDirectoryRules(Config);

impl DirectoryRules for CoreDirectoryRules {
    fn whole_every(&self, r: &mut Reader) -> Result<Duration, StoreError> {
        let layers = settings::global(r)?;
        let seconds = settings::resolve(settings::row("PolicyRefreshInterval"), &layers, &self.0).value;
        Ok(Duration::from_secs(u64::try_from(seconds).unwrap_or(8 * 3600)))
    }
}

/// What doctor finds of the directory.
pub(crate) fn checks(inside: &Inside, supervisor: Option<&DirectorySupervisor>) -> Vec<Check> {
    const NAME: &str = "directory";
    let Some(config) = &inside.config.directory else { return Vec::new() };
    let subject = config.servers.join(", ");
    let Some(supervisor) = supervisor else {
        let finding = "its configuration cannot be used: `posternctl status` says why";
        return vec![check(NAME, subject, Verdict::Fail, finding, "correct [directory] (docs/DIRECTORY.md)")];
    };
    let status = supervisor.keeper().status();
    let remedy = "docs/DIRECTORY.md, \"The connection\"; then `posternctl directory refresh`";
    vec![match (status.trouble, status.good) {
        (None, Some(good)) if !good.restored => {
            ok(NAME, subject, format!("{} entries, read at {}", good.entries, good.at))
        }
        (Some(trouble), Some(good)) => check(
            NAME,
            subject,
            Verdict::Warn,
            format!("{}; what was read at {} is in force", trouble.error, good.at),
            remedy,
        ),
        (Some(trouble), None) => check(NAME, subject, Verdict::Fail, trouble.error.to_string(), remedy),
        (None, _) => check(NAME, subject, Verdict::Warn, "it was not read since the start", remedy),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_of_an_account_is_found_in_each_spelling() {
        assert_eq!(domain_of("svc@corp.example").as_deref(), Some("corp.example"));
        assert_eq!(domain_of("CN=svc,CN=Users,DC=corp,DC=example").as_deref(), Some("corp.example"));
        assert_eq!(domain_of("CORP\\svc"), None);
    }
}
