//! Which value of a setting holds, from what rests in the store and stands in the configuration file.
//!
//! Promise: the table and its rule are the API's ([`postern_api::settings`]); here they meet the rows. A row that the
//! table no longer takes (an older release wrote it) counts as not set.

use std::time::Duration;

use postern_actors::{
    DeviceRules, InForce, Interval, Rules,
    enrolment::{EnrolmentRules, EnrolmentSettings, silence},
    policy::inputs::Change,
    wipe::{WipeRules, WipeSettings, rules as wipe},
};
use postern_api::settings::{self, Row, Scope, Set, Unit};
use postern_store::{
    ReadError, Reader, StoreError,
    schedules::Overdue,
    settings::{self as rows, Layers, SettingRow},
};
use postern_wire::terms::{EnrolmentId, UtcMillis};

use crate::{ca::DAY_MS, config::Config, inside::Inside};

/// The value that holds, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub(crate) value: i64,
    /// The value of a name; empty of anything else.
    pub(crate) text: String,
    pub(crate) from: &'static str,
    pub(crate) because: String,
}

impl Resolved {
    /// The value as its setting writes it.
    pub(crate) fn written(&self, row: &Row) -> String {
        if self.text.is_empty() { row.write(self.value) } else { self.text.clone() }
    }

    /// Whether somebody set it.
    pub(crate) fn is_set(&self) -> bool {
        self.from != "default"
    }
}

/// The row of the table with this name.
pub(crate) fn row(name: &str) -> &'static Row {
    settings::find(name).expect("the core names rows that stand in the table, as each of its tests shows")
}

/// What holds for whom these layers are of.
pub(crate) fn resolve(row: &Row, layers: &Layers, config: &Config) -> Resolved {
    let set = sets(row, layers);
    if let Some(winner) = settings::effective(&set) {
        let losers = set.len() - 1;
        let besides = match losers {
            0 => String::new(),
            1 => "; it wins over 1 other value".to_owned(),
            more => format!("; it wins over {more} other values"),
        };
        let place = match (&winner.scope, &winner.group) {
            (Scope::Device, _) => "set for this device".to_owned(),
            (Scope::Group, Some((_, name))) if winner.depth > 0 => {
                format!("set for the group {name:?}, {} deep", winner.depth)
            }
            (Scope::Group, Some((_, name))) => format!("set for the group {name:?}"),
            (Scope::Group | Scope::Global, _) => "set for everything".to_owned(),
        };
        let because = format!("{place} by {}{besides}", winner.by);
        let text = winner.text.clone();
        return Resolved { value: winner.value, text, from: winner.scope.as_str(), because };
    }
    match configured(row, config) {
        Some(value) if value != row.default => Resolved {
            value,
            text: String::new(),
            from: "configuration",
            because: format!("{} of the configuration file", row.configuration.unwrap_or_default()),
        },
        _ => Resolved {
            value: row.default,
            text: String::new(),
            from: "default",
            because: "nobody set another value".to_owned(),
        },
    }
}

/// What is set for everything.
pub(crate) fn global(r: &mut Reader) -> Result<Layers, StoreError> {
    Ok(Layers { global: rows::of(r, rows::Scope::Global)?, ..Layers::default() })
}

impl Inside {
    /// The value of a global setting.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub(crate) async fn setting(&self, name: &str) -> Result<i64, ReadError> {
        let layers = self.store.look_up(global).await?;
        Ok(resolve(row(name), &layers, &self.config).value)
    }
}

/// The settings as the device actors ask for them.
pub(crate) struct CoreRules(pub(crate) Config);

impl Rules for CoreRules {
    fn of_device(&self, r: &mut Reader, device: EnrolmentId) -> Result<DeviceRules, StoreError> {
        let layers = rows::layers(r, device)?;
        let value = |name| resolve(row(name), &layers, &self.0).value;
        Ok(DeviceRules {
            interval: Interval::new(value("ConnectInterval"), value("ConnectJitter")),
            read_configuration: value("ReadConfiguration") != 0,
        })
    }
}

/// The settings as the enrolment supervisor asks for them.
pub(crate) struct CoreEnrolmentRules(pub(crate) Config);

impl EnrolmentRules for CoreEnrolmentRules {
    fn read(&self, r: &mut Reader) -> Result<EnrolmentSettings, StoreError> {
        let layers = global(r)?;
        let value = |name| resolve(row(name), &layers, &self.0).value;
        let everything = Everything::read(r, &self.0)?;
        Ok(EnrolmentSettings {
            request_life_ms: value("EnrolmentPasswordLife").saturating_mul(1000),
            wrong_passwords: value("EnrolmentWrongPasswords"),
            requests_an_owner: value("EnrolmentRequestsPerOwner"),
            devices_an_owner: value("EnrolledDevicesPerOwner"),
            silence: silence::Rules {
                enabled: value("EnableDisenroll") != 0,
                interval_ms: value("DisenrollInterval").saturating_mul(DAY_MS),
                warning_ms: value("DisenrollWarning").saturating_mul(DAY_MS),
            },
            overdue: everything.overdue(UtcMillis(0)),
            certificate_ms: i64::from(self.0.devices.certificate_days).saturating_mul(DAY_MS),
        })
    }
}

/// The settings as the wipe supervisor asks for them.
pub(crate) struct CoreWipeRules(pub(crate) Config);

impl WipeRules for CoreWipeRules {
    fn of_device(&self, r: &mut Reader, device: EnrolmentId) -> Result<WipeSettings, StoreError> {
        let layers = rows::layers(r, device)?;
        let value = |name| resolve(row(name), &layers, &self.0).value;
        let on = |name| value(name) != 0;
        let ms = |name| value(name).saturating_mul(1000);
        Ok(WipeSettings {
            settings: wipe::Settings {
                retries: u32::try_from(value("WipeRetry")).unwrap_or(0),
                retry_wait_ms: ms("WipeRetryWait"),
                expires_after_ms: on("WipeEnableExpiration").then(|| ms("WipeExpirationInterval")),
                unsuccessful: wipe::Unsuccessful::of(on("WipeStaysArmed"), on("DisenrollUnsuccessful")),
                silence_ms: ms("WipeSilence"),
                completion_ms: ms("WipeCompletion"),
            },
            allowed: wipe::Allowed {
                full: on("WipeAllowFull"),
                keep_user_data: on("WipeAllowKeepUserData"),
                keep_provisioning: on("WipeAllowKeepProvisioning"),
                protected: on("WipeAllowProtected"),
                selective: on("WipeAllowSelective"),
            },
        })
    }
}

/// What settings mean for everything: read once, used for many devices.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Everything {
    /// The interval of a device that was never compared.
    pub(crate) interval: Interval,
    /// How late is overdue, in milliseconds.
    pub(crate) grace_ms: i64,
}

impl Everything {
    pub(crate) fn read(r: &mut Reader, config: &Config) -> Result<Self, StoreError> {
        let layers = global(r)?;
        let value = |name| resolve(row(name), &layers, config).value;
        Ok(Self {
            interval: Interval::new(value("ConnectInterval"), value("ConnectJitter")),
            grace_ms: value("ConnectGrace").saturating_mul(1000),
        })
    }

    /// The store's rule for who is overdue at `now`.
    pub(crate) const fn overdue(self, now: UtcMillis) -> Overdue {
        let default_s = self.interval.every_s.saturating_add(self.interval.jitter_s);
        Overdue { now, grace_ms: self.grace_ms, default_s }
    }
}

/// Tells the devices' actors what stands now: after a change of settings, or of who is in which group.
pub(crate) async fn tell(inside: &Inside) {
    let Some(active) = inside.active.load_full() else { return };
    match in_force(inside).await {
        Ok(now) => active.devices.settings_changed(now),
        Err(error) => tracing::warn!(%error, "a change of settings is told with the next one"),
    }
    // Who is in which group says which documents count, too.
    active.policies.changed(Change::Documents);
}

/// What the actors are to know of the settings.
pub(crate) async fn in_force(inside: &Inside) -> Result<InForce, ReadError> {
    let config = inside.config.clone();
    let read = inside.store.read(move |r| {
        let layers = global(r)?;
        let idle_s = resolve(row("OMASessionTimeout"), &layers, &config).value;
        Ok(InForce {
            epoch: rows::epoch(r)?,
            session_idle: Duration::from_secs(u64::try_from(idle_s).unwrap_or(480)),
        })
    });
    read.await
}

/// Every value that is set, those of groups with their depth.
fn sets(row: &Row, layers: &Layers) -> Vec<Set> {
    let of = |rows: &[SettingRow], scope, group: Option<(uuid::Uuid, String)>, depth| {
        rows.iter()
            .filter(|set| set.name == row.name)
            .filter_map(|set| {
                let value = row.parse(&set.value).ok()?;
                let is_name = row.unit == Unit::Name && value != 0;
                let text = if is_name { set.value.clone() } else { String::new() };
                Some(Set { scope, group: group.clone(), depth, value, text, by: set.set_by.clone() })
            })
            .collect::<Vec<_>>()
    };
    let mut all = of(&layers.device, Scope::Device, None, 0);
    for group in &layers.groups {
        all.extend(of(&group.values, Scope::Group, Some((group.group, group.name.clone())), group.depth));
    }
    all.extend(of(&layers.global, Scope::Global, None, 0));
    all
}

/// What the configuration file says in the default's place.
fn configured(row: &Row, config: &Config) -> Option<i64> {
    match row.configuration? {
        "commands.keep_days" => Some(i64::from(config.commands.keep_days)),
        "commands.deadline_days" => Some(i64::from(config.commands.deadline_days)),
        "devices.read_configuration" => Some(i64::from(config.devices.read_configuration)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_that_the_table_names_is_one_of_the_configuration_file() {
        let config = crate::config::tests::example();
        for row in settings::TABLE {
            if let Some(key) = row.configuration {
                assert!(crate::config::KEYS.iter().any(|known| known.path == key), "{key}");
                assert!(configured(row, &config).is_some(), "{key}");
            }
        }
    }
}
