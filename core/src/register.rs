//! This core's row in the register of cores, active or standby, for as long as it runs.

use std::{
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use postern_store::{
    Activity, Options,
    cores::{Core, Register},
};

use crate::{
    admin::{certificates, problems},
    inside::Inside,
};

/// How often a core writes its row.
pub(crate) const EVERY: Duration = Duration::from_secs(10);

/// A thread that keeps the row.
pub(crate) struct Registered {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Registered {
    /// Starts it; the first row is written at once.
    pub(crate) fn start(inside: Arc<Inside>, options: Options, admin: String) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("postern-register".to_owned())
            .spawn(move || keep(&inside, options, &admin, &stopped))?;
        Ok(Self { stop, thread })
    }

    /// Takes the row away and ends the thread. Blocks.
    pub(crate) fn stop(self) {
        // A thread that has ended already needs no word.
        let _ = self.stop.send(());
        if self.thread.join().is_err() {
            tracing::error!("the register's thread had panicked");
        }
    }
}

fn keep(inside: &Inside, options: Options, admin: &str, stopped: &mpsc::Receiver<()>) {
    let mut register = Register::new(options);
    loop {
        let done = register.beat(&row(inside, admin));
        if let Err(error) = &done {
            tracing::debug!(%error, "this core's row was not written");
        }
        inside.supervisors.told("register", inside.now(), &done);
        if !matches!(stopped.recv_timeout(EVERY), Err(mpsc::RecvTimeoutError::Timeout)) {
            // A row that stays is forgotten in a day.
            let _ = register.leave(inside.store.holder());
            return;
        }
    }
}

fn row(inside: &Inside, admin: &str) -> Core {
    let (health, now) = (inside.store.health(), inside.now());
    let wrong = problems(inside, &health, &certificates(inside, now));
    Core {
        id: inside.store.holder(),
        core: inside.config.core.id.to_string(),
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        role: match health.activity {
            Activity::Active { .. } => "active",
            Activity::Standby => "standby",
            Activity::Lost | Activity::Stopped => "lost",
        }
        .to_owned(),
        started_at: inside.started_at,
        seen_at: now,
        admin: admin.to_owned(),
        problems: i64::try_from(wrong.len()).unwrap_or(i64::MAX),
        error: wrong.into_iter().next().unwrap_or_default(),
    }
}
