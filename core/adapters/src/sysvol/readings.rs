//! The threads that readings of SYSVOL run on: a share that hangs holds its own, and no more than a few.
//!
//! Promise: a reading that takes longer than it may is given up by who asked for it; its thread is not, so [`HANGING`] at a time is all
//! there is, and a further reading is refused without a thread until one of them comes back.

use std::{sync::Arc, time::Duration};

use postern_actors::{SysvolError, SysvolRead};
use tokio::sync::Semaphore;

/// Readings under way, those that hang among them.
pub(super) const HANGING: usize = 4;

/// Where readings run.
#[derive(Clone, Debug)]
pub(super) struct Readings {
    places: Arc<Semaphore>,
    answer: Duration,
}

impl Readings {
    /// Each may take so long.
    pub(super) fn new(answer: Duration) -> Self {
        Self { places: Arc::new(Semaphore::new(HANGING)), answer }
    }

    /// Runs a reading that may block.
    ///
    /// # Errors
    /// Its own, or that it takes too long, or that too many hang already.
    pub(super) async fn run(
        &self,
        read: impl FnOnce() -> Result<SysvolRead, SysvolError> + Send + 'static,
    ) -> Result<SysvolRead, SysvolError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| SysvolError::Slow)?;
        let reading = tokio::task::spawn_blocking(move || {
            let read = read();
            drop(place);
            read
        });
        match tokio::time::timeout(self.answer, reading).await {
            Ok(Ok(read)) => read,
            Ok(Err(error)) => Err(SysvolError::Down(error.to_string())),
            Err(_) => Err(SysvolError::Slow),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    use super::*;

    #[tokio::test]
    async fn readings_that_hang_are_given_up_and_hold_no_more_than_their_places() {
        let readings = Readings::new(Duration::from_millis(1));
        let begun = Arc::new(AtomicUsize::new(0));
        let mut hanging = Vec::new();
        for _ in 0..HANGING + 3 {
            let (release, hangs) = mpsc::channel::<()>();
            let begun = Arc::clone(&begun);
            let read = move || {
                begun.fetch_add(1, Ordering::SeqCst);
                let _ = hangs.recv();
                Ok(SysvolRead::Same)
            };
            assert_eq!(readings.run(read).await, Err(SysvolError::Slow));
            hanging.push(release);
        }
        assert!(begun.load(Ordering::SeqCst) <= HANGING, "the rest never had a thread");

        drop(hanging);
        let all = u32::try_from(HANGING).unwrap();
        drop(readings.places.acquire_many(all).await.unwrap());
        assert_eq!(begun.load(Ordering::SeqCst), HANGING);
        let patient = Readings { answer: Duration::from_secs(60), ..readings };
        assert_eq!(
            patient.run(|| Ok(SysvolRead::Same)).await,
            Ok(SysvolRead::Same),
            "what came back serves again"
        );
    }

    #[tokio::test]
    async fn a_reading_that_panics_costs_itself_alone() {
        let readings = Readings::new(Duration::from_secs(60));
        for _ in 0..=HANGING {
            let ended = readings.run(|| panic!("hostile")).await;
            assert!(matches!(ended, Err(SysvolError::Down(_))), "{ended:?}");
        }
    }
}
