//! The supervisor's timers.

use std::time::Duration;

use super::{EnrolmentError, Enrolments, knock, leave, renew, requests, silent};

/// How often what waits for a device, or for its time, is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How often certificates that are due are looked for.
const CERTIFICATES: Duration = Duration::from_secs(60);
/// How often silent devices are.
const SILENCE: Duration = Duration::from_secs(300);

/// Runs until it is dropped.
pub(super) async fn run(enrolments: Enrolments) {
    let every = |period| {
        let mut timer = tokio::time::interval(period);
        timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        timer
    };
    let (mut look, mut certificates, mut quiet) = (every(LOOK), every(CERTIFICATES), every(SILENCE));
    loop {
        let done = tokio::select! {
            _ = look.tick() => look_at_all(&enrolments).await,
            _ = certificates.tick() => renew::look_for_due(&enrolments).await,
            _ = quiet.tick() => silent::look(&enrolments).await,
        };
        if let Err(error) = done {
            tracing::warn!(%error, "the enrolment supervisor put something off");
        }
    }
}

async fn look_at_all(enrolments: &Enrolments) -> Result<(), EnrolmentError> {
    knock::count(enrolments).await?;
    while requests::expire(enrolments).await? {}
    leave::look(enrolments).await?;
    renew::go_on(enrolments).await
}

#[cfg(test)]
impl Enrolments {
    /// One look at everything, now.
    pub(crate) async fn look_now(&self) -> Result<(), EnrolmentError> {
        look_at_all(self).await?;
        renew::look_for_due(self).await?;
        silent::look(self).await
    }
}
