//! The rules, and the ground that they are tried on.

pub(crate) mod alarms;
pub(crate) mod audits;
pub(crate) mod authorities;
pub(crate) mod captures;
pub(crate) mod commands;
pub(crate) mod documents;
pub(crate) mod enrolments;
pub(crate) mod epochs;
pub(crate) mod groups;
pub(crate) mod migrations;
pub(crate) mod notifications;
pub(crate) mod outbox;
pub(crate) mod people;
pub(crate) mod perimeter;
pub(crate) mod policies;
pub(crate) mod recovery;
pub(crate) mod safety;
pub(crate) mod secrets;
pub(crate) mod settings;
pub(crate) mod texts;
pub(crate) mod trees;
pub(crate) mod wipes;
pub(crate) mod writes;

use std::time::Duration;

use postern_store::{Ambient, Options, Place, Store, testkit::Cluster};
use postern_wire::terms::{AuthType, CommandId, EnrolmentId, Lane, OperationId, OperationKind, UtcMillis};
use uuid::Uuid;

/// An empty database of its own for one test.
pub(crate) struct Ground {
    place: Place,
    _dir: Option<tempfile::TempDir>,
}

impl Ground {
    pub(crate) fn sqlite() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let place = Place::Sqlite { path: dir.path().join("test.sqlite") };
        Self { place, _dir: Some(dir) }
    }

    pub(crate) fn postgres() -> Self {
        let place = Cluster::shared().database().expect("a database");
        Self { place: Place::Postgres(place), _dir: None }
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        matches!(self.place, Place::Sqlite { .. })
    }

    pub(crate) fn options(&self) -> Options {
        Options { readers: 2, ..Options::new(self.place.clone(), fresh()) }
    }

    pub(crate) fn open(&self) -> Store {
        open(self.options())
    }
}

pub(crate) fn open(options: Options) -> Store {
    Store::open(options, Ambient::system()).expect("the store opens")
}

/// Timings that let a test see a take-over soon.
pub(crate) fn brisk(options: Options) -> Options {
    Options {
        renew_every: Duration::from_millis(40),
        poll_every: Duration::from_millis(20),
        patience: Duration::from_millis(400),
        ..options
    }
}

pub(crate) fn fresh() -> Uuid {
    (Ambient::system().id)()
}

pub(crate) fn now() -> UtcMillis {
    (Ambient::system().now)()
}

/// An enrolment with a fresh id and route.
pub(crate) fn enrolment(device_id: &str) -> postern_store::enrolments::Enrolment {
    let route = *fresh().as_bytes();
    postern_store::enrolments::Enrolment::new(EnrolmentId(fresh()), route, device_id, AuthType::Md5, now())
}

/// A queued command with a fresh id.
pub(crate) fn command(enrolment: EnrolmentId, kind: OperationKind) -> postern_store::commands::Command {
    command_of(OperationId(fresh()), enrolment, kind, Lane::Normal)
}

pub(crate) fn command_of(
    operation: OperationId,
    enrolment: EnrolmentId,
    kind: OperationKind,
    lane: Lane,
) -> postern_store::commands::Command {
    use postern_wire::terms::{CommandState, Redelivery, Verb};
    postern_store::commands::Command {
        id: CommandId(fresh()),
        operation,
        enrolment,
        generation: 1,
        kind,
        lane,
        rank: postern_store::commands::rank(kind, lane),
        position: 0,
        verb: Verb::Get,
        uri: "./DevInfo/Mod".to_owned(),
        payload: b"{}".to_vec(),
        sealed: false,
        redelivery: Redelivery::Repeat,
        probe: None,
        mac: None,
        state: CommandState::Queued,
        attempts: 0,
        created_at: now(),
        not_before: None,
        deadline: None,
        sent_at: None,
        session: None,
        reference: None,
        accepted_at: None,
        finished_at: None,
        status: None,
        cause: "queued by a test".to_owned(),
        proof: None,
        revision: 1,
    }
}

/// Runs `futures` together on a runtime of this thread.
pub(crate) fn together<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let mut out = Vec::with_capacity(futures.len());
        for future in futures {
            out.push(future.await);
        }
        out
    })
}
