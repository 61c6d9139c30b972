//! Many devices that enrol at the same time.
//!
//! Promise: what each real device would do alone before (the key of its password, its own key) is done before the clock starts; the
//! rate and the latencies are those of the exchanges with the server.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::Serialize;
use tokio::{sync::Semaphore, task::JoinSet};

use super::Latencies;
use crate::{
    edge,
    enrolment::{
        Enrolment,
        air::{self, AirError, AirOptions, Applicant, Proof},
    },
    keys::NewRequest,
    origin::ServerUri,
};

/// A device about to enrol.
pub struct Candidate {
    /// Its password.
    pub proof: Proof,
    /// Who it says it is.
    pub applicant: Applicant,
    /// Its key.
    pub key: NewRequest,
}

/// What the enrolments came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct EnrolSummary {
    /// Devices that are enrolled.
    pub enrolled: u64,
    /// Devices that are not.
    pub failed: u64,
    /// Failures by their kind.
    pub errors: BTreeMap<String, u64>,
    /// From the first start to the last end, in milliseconds.
    pub elapsed_ms: u64,
    /// Devices enrolled a second.
    pub per_second: f64,
    /// Of each device that is enrolled, connection and tries included, in microseconds; within 2 %.
    pub latency_us: Latencies,
}

/// Enrols all with one server, so many at the same time.
pub async fn enrol_all(
    server: &ServerUri,
    candidates: Vec<Candidate>,
    in_flight: usize,
    options: &AirOptions,
    mut progress: impl FnMut(&EnrolSummary),
) -> (Vec<Enrolment>, EnrolSummary) {
    let places = Arc::new(Semaphore::new(in_flight.max(1)));
    let mut running: JoinSet<(Result<Enrolment, AirError>, Duration)> = JoinSet::new();
    let began = edge::start();
    for candidate in candidates {
        let (places, server, options) = (Arc::clone(&places), server.clone(), options.clone());
        running.spawn(async move {
            let _place = places.acquire_owned().await;
            let start = edge::start();
            let Candidate { proof, applicant, key } = &candidate;
            (air::enrol(&server, proof, applicant, key, &options).await, start.elapsed())
        });
    }
    let (mut enrolled, mut summary) = (Vec::new(), EnrolSummary::default());
    while let Some(ended) = running.join_next().await {
        match ended {
            Ok((Ok(enrolment), took)) => {
                enrolled.push(enrolment);
                summary.enrolled += 1;
                summary.latency_us.record(took);
            }
            Ok((Err(error), _)) => {
                tracing::debug!(%error, "an enrolment failed");
                summary.failed += 1;
                *summary.errors.entry(error.kind()).or_default() += 1;
            }
            Err(error) => {
                tracing::error!(%error, "a simulated device was lost");
                summary.failed += 1;
                *summary.errors.entry("panic".to_owned()).or_default() += 1;
            }
        }
        progress(&summary);
    }
    let elapsed = began.elapsed();
    summary.elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    if !elapsed.is_zero() {
        summary.per_second = summary.enrolled as f64 / elapsed.as_secs_f64();
    }
    (enrolled, summary)
}
