//! Sessions that are taken down for `session save`: which devices' next ones, and where they go when they are over.
//!
//! Promise: what is asked for stands in the database and outlives a restart; a device that nobody asked for costs one look
//! at a counter. A transcript is without the enrolment's secrets before it leaves memory (`postern_engine::transcript`), is
//! sealed, and is written after the answer's own commit; when that fails the device is answered all the same.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use postern_engine::{
    effect::Outcome,
    queue::Queue,
    session::{Inbound, Random, Session},
    transcript::{Described, Heard, Recorder, Transcript},
};
use postern_store::recordings::{self, Recording};
use postern_wire::terms::{EnrolmentId, UtcMillis};

use crate::shared::Shared;

/// Whose next sessions are taken down.
#[derive(Debug, Default)]
pub(crate) struct Recordings {
    wanted: Mutex<HashMap<EnrolmentId, Wanted>>,
    /// How many there are, readable without the lock.
    count: AtomicUsize,
}

#[derive(Debug)]
struct Wanted {
    sessions: i64,
    until: UtcMillis,
    recorder: Recorder,
}

/// How a session stood before a message, and the random octets that it was given for it.
pub(crate) struct Before {
    pub(crate) session: Session,
    pub(crate) queue: Queue,
    pub(crate) random: Random,
}

impl Recordings {
    /// Asks for the next sessions of a device; 0 takes it back.
    pub(crate) fn want(&self, device: EnrolmentId, sessions: i64, until: UtcMillis, described: Described) {
        let mut wanted = self.lock();
        if sessions <= 0 {
            wanted.remove(&device);
        } else {
            wanted.insert(device, Wanted { sessions, until, recorder: Recorder::new(described) });
        }
        self.count.store(wanted.len(), Relaxed);
    }

    /// Whether a device's messages are taken down now.
    pub(crate) fn wants(&self, device: EnrolmentId, now: UtcMillis) -> bool {
        self.count.load(Relaxed) > 0
            && self
                .lock()
                .get(&device)
                .is_some_and(|wanted| now < wanted.until || wanted.recorder.is_recording())
    }

    /// Takes down a message whose effects are committed; gives the session when it is over with it.
    pub(crate) fn hear(
        &self,
        device: EnrolmentId,
        before: &Before,
        inbound: Inbound<'_>,
        now: UtcMillis,
        outcome: &Outcome,
    ) -> Option<Transcript> {
        let Before { session, queue, random } = before;
        let heard = Heard { before: session, queue, inbound, now, random: *random, outcome };
        self.lock().get_mut(&device).and_then(|wanted| wanted.recorder.hear(&heard))
    }

    /// The session of a device that ended without a message.
    pub(crate) fn end(&self, device: EnrolmentId) -> Option<Transcript> {
        if self.count.load(Relaxed) == 0 {
            return None;
        }
        self.lock().get_mut(&device).and_then(|wanted| wanted.recorder.end())
    }

    fn left(&self, device: EnrolmentId, sessions: i64) {
        let mut wanted = self.lock();
        match wanted.get_mut(&device) {
            Some(order) if sessions > 0 => order.sessions = sessions,
            _ => drop(wanted.remove(&device)),
        }
        self.count.store(wanted.len(), Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<EnrolmentId, Wanted>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a session that is over, and counts it.
pub(crate) async fn keep(shared: &Shared, device: EnrolmentId, transcript: Transcript) {
    let Some(session) = transcript.session else { return };
    let messages = i64::try_from(transcript.steps.len()).unwrap_or(i64::MAX);
    let sealed = transcript.to_json().map_err(|error| error.to_string()).and_then(|octets| {
        let sealed = shared.sealer.seal(device, &octets).map_err(|error| error.to_string())?;
        Ok((octets.len(), sealed.into_octets()))
    });
    let (octets, content) = match sealed {
        Ok((octets, content)) => (i64::try_from(octets).unwrap_or(i64::MAX), content),
        Err(error) => {
            tracing::warn!(%device, %session, %error, "a recorded session could not be sealed and is lost");
            return;
        }
    };
    let row = Recording { session, enrolment: device, at: shared.now(), octets, messages, content };
    let kept = shared.store.write(move |tx| {
        recordings::keep(tx, row.clone())?;
        recordings::recorded(tx, device)
    });
    match kept.await {
        Ok(left) => {
            tracing::info!(%device, %session, left, "a session was recorded");
            shared.recordings.left(device, left);
        }
        Err(error) => tracing::warn!(%device, %session, %error, "a recorded session could not be kept"),
    }
}
