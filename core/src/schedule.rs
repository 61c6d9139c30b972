//! When devices are expected, as the API shows it, and how many are overdue.
//!
//! Promise: the rules are [`postern_engine::schedule`]'s; here they meet rows and the clock. While the clock is in doubt
//! (docs/OPERATIONS.md, "clock.steady") nobody is overdue.

use postern_api::{
    Time,
    devices::{Device, DeviceSchedule},
};
use postern_engine::schedule::{self, Interval, Standing};
use postern_store::{Reader, StoreError, schedules};
use postern_wire::terms::{EnrolmentId, EnrolmentState, UtcMillis};

use crate::{
    config::Config,
    inside::Inside,
    settings::{self, Everything},
};

/// What somebody who looks at devices sees of the time.
#[derive(Clone, Debug)]
pub(crate) struct Eye {
    now: UtcMillis,
    steady: bool,
    config: Config,
}

impl Eye {
    /// At this moment. A standby does not judge its clock; it shows nobody as overdue.
    pub(crate) fn of(inside: &Inside) -> Self {
        let active = inside.active.load();
        let steady = active.as_ref().is_some_and(|active| active.devices.clock_is_steady());
        Self { now: inside.now(), steady, config: inside.config.clone() }
    }

    /// The settings for everything, read once for many devices.
    pub(crate) fn everything(&self, r: &mut Reader) -> Result<Everything, StoreError> {
        Everything::read(r, &self.config)
    }

    /// How many devices are overdue.
    pub(crate) fn count_overdue(&self, r: &mut Reader) -> Result<i64, StoreError> {
        if !self.steady {
            return Ok(0);
        }
        let rule = self.everything(r)?.overdue(self.now);
        schedules::count_overdue(r, rule)
    }

    /// Each gateway's devices that came or fell silent within a window, and the grace that they have, in milliseconds.
    pub(crate) fn by_gateway(
        &self,
        r: &mut Reader,
        window_ms: i64,
    ) -> Result<(Vec<schedules::OfGateway>, i64), StoreError> {
        let everything = self.everything(r)?;
        Ok((schedules::by_gateway(r, everything.overdue(self.now), window_ms)?, everything.grace_ms))
    }

    /// A page of those that are.
    pub(crate) fn overdue(
        &self,
        r: &mut Reader,
        after: Option<EnrolmentId>,
        limit: i64,
    ) -> Result<Vec<EnrolmentId>, StoreError> {
        if !self.steady {
            return Ok(Vec::new());
        }
        let rule = self.everything(r)?.overdue(self.now);
        schedules::overdue(r, rule, after, limit)
    }

    /// The device with its schedule.
    pub(crate) fn scheduled(
        &self,
        r: &mut Reader,
        everything: &Everything,
        device: Device,
    ) -> Result<Device, StoreError> {
        if device.state == EnrolmentState::Retired {
            return Ok(device);
        }
        let row = schedules::find(r, device.id)?;
        let held = row
            .as_ref()
            .map_or(everything.interval, |row| Interval { every_s: row.interval_s, jitter_s: row.jitter_s });
        let seen = device.last_seen.unwrap_or(device.created_at);
        let (from, until) = (seen.0.plus(held.every_s.saturating_mul(1000)), seen.0.plus(held.longest_ms()));
        let overdue_since = match schedule::standing(self.now, seen.0, held, everything.grace_ms, self.steady)
        {
            Standing::Overdue { since } => Some(Time(since)),
            Standing::Expected { .. } => None,
        };
        let wanted = row.as_ref().filter(|row| row.wanted_s != row.interval_s).map(|row| span(row.wanted_s));
        let schedule = DeviceSchedule {
            interval: span(held.every_s),
            jitter: span(held.jitter_s),
            wanted,
            told: row.as_ref().map_or("not-yet", |row| row.told.as_str()).to_owned(),
            status: row
                .as_ref()
                .and_then(|row| u16::try_from(row.status?).ok())
                .filter(|_| row.as_ref().is_some_and(|row| row.told == "refused")),
            acknowledged_at: row.as_ref().and_then(|row| row.acknowledged_at).map(Time),
            next_expected: Time(from),
            next_expected_until: Time(until),
            overdue_since,
        };
        Ok(Device { schedule: Some(schedule), ..device })
    }
}

/// Seconds as the settings write them.
fn span(seconds: i64) -> String {
    settings::row("ConnectInterval").write(seconds)
}
