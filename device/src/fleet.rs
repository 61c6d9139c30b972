//! The simulated fleet: many devices that check in at a rate, in memory.
//!
//! Promise: an open loop. Sessions start when the rate says so, whether or not earlier ones are over; one that cannot
//! start, because every device or every place is busy, is counted as late and not made up. Memory does not grow with the
//! number of sessions. Each device is in one session at a time.

mod enrol;
mod latency;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Serialize;
use tokio::task::JoinSet;

pub use enrol::{Candidate, EnrolSummary, enrol_all};
pub use latency::Latencies;

use crate::{
    device::{Device, DeviceError, SessionReport, Settings},
    edge,
    enrolment::{Account, Enrolment, EnrolmentError},
    event::Observer,
    state::Storage,
    transport::{ClientTls, Https, HttpsOptions, TlsError, TlsOptions, Transport},
};

/// How fast, how long and how many at once.
#[derive(Clone, Debug)]
pub struct FleetOptions {
    /// Sessions started each second; 0 is as fast as they end.
    pub rate: f64,
    /// No session starts after this.
    pub duration: Option<Duration>,
    /// No more sessions than this.
    pub sessions: Option<u64>,
    /// Sessions at the same time at most.
    pub in_flight: usize,
}

impl Default for FleetOptions {
    fn default() -> Self {
        Self { rate: 0.0, duration: None, sessions: None, in_flight: 512 }
    }
}

/// An enrolment that no device can be made of.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The enrolment.
    #[error(transparent)]
    Enrolment(#[from] EnrolmentError),
    /// Its certificates or key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The device.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// What a run came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// Devices in the fleet.
    pub devices: usize,
    /// Sessions that ended well.
    pub completed: u64,
    /// Sessions that failed.
    pub failed: u64,
    /// Starts that the rate asked for and that could not be made.
    pub late: u64,
    /// Failures by their kind.
    pub errors: BTreeMap<String, u64>,
    /// Commands answered.
    pub commands: u64,
    /// Messages sent.
    pub messages: u64,
    /// From the first start to the last end, in milliseconds.
    pub elapsed_ms: u64,
    /// Sessions that ended well, a second.
    pub per_second: f64,
    /// Of sessions that ended well, connection included, in microseconds; within 2 %.
    pub latency_us: Latencies,
}

/// Devices that check in together.
pub struct Fleet<T = Https> {
    idle: VecDeque<Device<T>>,
}

impl Fleet<Https> {
    /// A device in memory for each enrolment. Devices without a certificate share one TLS configuration for each CA.
    pub fn from_enrolments(
        enrolments: &[Enrolment],
        settings: &Settings,
        https: &Arc<HttpsOptions>,
        tls: TlsOptions,
    ) -> Result<Self, FleetError> {
        let mut tls = ClientTls::new(tls);
        let devices = enrolments.iter().map(|enrolment| {
            let account = Arc::new(Account::new(enrolment, None)?);
            let transport = Https::new(tls.config(enrolment, None)?, Arc::clone(https));
            Ok(Device::new(account, settings.clone(), Storage::Memory, transport)?)
        });
        Ok(Self { idle: devices.collect::<Result<_, FleetError>>()? })
    }
}

impl<T: Transport + 'static> Fleet<T> {
    /// A fleet of these devices.
    #[must_use]
    pub fn new(devices: Vec<Device<T>>) -> Self {
        Self { idle: devices.into() }
    }

    /// How many devices there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.idle.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.idle.is_empty()
    }

    /// Tells `observer` what happens on every device.
    #[must_use]
    pub fn observed_by(self, observer: &Observer) -> Self {
        let idle = self.idle.into_iter().map(|device| device.observed_by(Arc::clone(observer)));
        Self { idle: idle.collect() }
    }

    /// Runs until the options' end; `progress` is shown the running summary after each session.
    pub async fn run(&mut self, options: &FleetOptions, mut progress: impl FnMut(&Summary)) -> Summary {
        let mut summary = Summary { devices: self.idle.len(), ..Summary::default() };
        let mut running: JoinSet<Ended<T>> = JoinSet::new();
        let mut pace = Pace::new(options);
        loop {
            match pace.next(self.idle.len(), running.len()) {
                Next::Start => {
                    if let Some(device) = self.idle.pop_front() {
                        running.spawn(one_session(device));
                    }
                }
                Next::Late => summary.late += 1,
                Next::Wait(until) => {
                    tokio::select! {
                        Some(ended) = running.join_next() => self.take_back(ended, &mut summary, &mut progress),
                        () = tokio::time::sleep_until(until.into()) => {}
                    }
                }
                Next::WaitForOne => {
                    let Some(ended) = running.join_next().await else { break };
                    self.take_back(ended, &mut summary, &mut progress);
                }
            }
        }
        let elapsed = pace.began.elapsed();
        summary.elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        if !elapsed.is_zero() {
            summary.per_second = summary.completed as f64 / elapsed.as_secs_f64();
        }
        summary
    }

    fn take_back(
        &mut self,
        ended: Result<Ended<T>, tokio::task::JoinError>,
        summary: &mut Summary,
        progress: &mut impl FnMut(&Summary),
    ) {
        match ended {
            Ok(ended) => {
                summary.count(&ended.outcome, ended.took);
                self.idle.push_back(ended.device);
            }
            Err(error) => {
                tracing::error!(%error, "a simulated device was lost");
                summary.failed += 1;
                *summary.errors.entry("panic".to_owned()).or_default() += 1;
            }
        }
        progress(summary);
    }
}

impl Summary {
    fn count(&mut self, outcome: &Result<SessionReport, DeviceError>, took: Duration) {
        match outcome {
            Ok(report) => {
                self.completed += 1;
                self.commands += u64::from(report.commands);
                self.messages += u64::from(report.messages);
                self.latency_us.record(took);
            }
            Err(error) => {
                self.failed += 1;
                *self.errors.entry(error.kind()).or_default() += 1;
            }
        }
    }
}

struct Ended<T> {
    device: Device<T>,
    outcome: Result<SessionReport, DeviceError>,
    took: Duration,
}

async fn one_session<T: Transport>(mut device: Device<T>) -> Ended<T> {
    let start = edge::start();
    let outcome = device.check_in(edge::now(), &mut |octets| edge::random(octets)).await;
    if let Err(error) = &outcome {
        tracing::debug!(device_id = %device.account().device_id, %error, "session failed");
    }
    Ended { device, outcome, took: start.elapsed() }
}

/// When sessions start.
struct Pace {
    began: Instant,
    between: Option<Duration>,
    due: Instant,
    end: Option<Instant>,
    left: Option<u64>,
    places: usize,
}

enum Next {
    Start,
    Late,
    Wait(Instant),
    WaitForOne,
}

impl Pace {
    fn new(options: &FleetOptions) -> Self {
        let began = edge::start();
        Self {
            began,
            between: (options.rate > 0.0).then(|| Duration::from_secs_f64(1.0 / options.rate)),
            due: began,
            end: options.duration.map(|duration| began + duration),
            left: options.sessions,
            places: options.in_flight.max(1),
        }
    }

    fn next(&mut self, idle: usize, running: usize) -> Next {
        let now = edge::start();
        if self.left == Some(0) || self.end.is_some_and(|end| now >= end) {
            return Next::WaitForOne;
        }
        let free = idle > 0 && running < self.places;
        let Some(between) = self.between else {
            return if free { self.start() } else { Next::WaitForOne };
        };
        if self.due > now {
            return Next::Wait(self.end.map_or(self.due, |end| end.min(self.due)));
        }
        self.due += between;
        if free { self.start() } else { Next::Late }
    }

    fn start(&mut self) -> Next {
        self.left = self.left.map(|left| left - 1);
        Next::Start
    }
}
