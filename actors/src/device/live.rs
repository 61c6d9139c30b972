//! What a device actor holds while it is active, and what is remembered of it while it is not.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use postern_engine::{
    account::{Account, Credential, Quirks, ServerAccount, ServerScheme},
    effect::{CloseReason, Effect},
    operations::account,
    queue::{PendingCommand, Queue},
    session::Session,
};
use postern_store::{
    StoreError,
    commands::{self, Command},
    credentials::Credentials,
    enrolments::{self, Enrolment},
    wipes::Wipe,
};
use postern_wire::{
    auth,
    route::RouteId,
    terms::{AuthType, CommandId, CommandState, EnrolmentId, EnrolmentState, OperationKind},
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{commit::Commit, proof::Window, record::OpenRecord};
use crate::{
    Refusal, RefusalCause,
    payload::{self, Content},
    safety::send::{self, Guarded},
    schedule::Waiting,
    shared::Shared,
    wipe,
};

/// What the shard's index keeps of a device while it is idle: 32 octets with its route. Devices that have not been
/// seen since the core's start have no entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// Client nonces used up ([`Session::nonce_counter`]).
    pub(crate) nonce_counter: u32,
    /// The beginning of the digest of the DevInfo last written.
    pub(crate) info: [u8; 8],
    /// `created` of the newest message signature, in seconds since 1970; 0 is none.
    pub(crate) signed_s: u32,
}

/// What is loaded of an active device.
pub(crate) struct Live {
    pub(crate) enrolment: EnrolmentId,
    pub(crate) auth: AuthType,
    pub(crate) fingerprint: Option<[u8; 32]>,
    /// The certificate that it was given and shows for the first time; the enrolled one when its session is proved.
    pub(crate) next: Option<[u8; 32]>,
    pub(crate) managed: bool,
    /// The settings epoch that its schedule was last compared at.
    pub(crate) settings_epoch: i64,
    /// The policy epoch that it was brought to; 0: it is to be compared.
    pub(crate) policy_epoch: i64,
    /// Rounds of policy in this session.
    pub(crate) policy_rounds: u32,
    pub(crate) session: Session,
    pub(crate) queue: Queue,
    /// What of the queue is destructive.
    pub(crate) guarded: Guarded,
    /// The rows changed since they were read.
    pub(crate) stale: bool,
    pub(crate) window: Window,
    pub(crate) info: [u8; 8],
    /// The record of the open session.
    pub(crate) record: Option<OpenRecord>,
}

/// The rows of one device, as one read gave them.
pub(crate) struct Rows {
    pub(crate) enrolment: Enrolment,
    pub(crate) commands: Vec<Command>,
    /// Of these, destructive ones that may not go now.
    kept: Vec<CommandId>,
    /// The wipe that suspends everything else.
    pub(crate) wipe: Option<Wipe>,
}

impl Rows {
    /// One read of a unique index, and a second only where something is pending.
    pub(crate) async fn read(shared: &Shared, route: RouteId) -> Result<Option<Self>, Refusal> {
        let cap = i64::try_from(shared.settings.pending_cap).unwrap_or(i64::MAX).saturating_add(16);
        let now = shared.now();
        let read = shared.store.look_up(move |reader| {
            let Some(enrolment) = enrolments::by_route(reader, route.as_bytes())? else { return Ok(None) };
            let commands: Vec<Command> = match enrolment.pending {
                0 => Vec::new(),
                // Nothing is sent to it until a person decides.
                _ if enrolment.state == EnrolmentState::Quarantined => Vec::new(),
                _ => commands::pending_of(reader, enrolment.id, cap)?,
            };
            let destructive: Vec<PendingCommand> = commands
                .iter()
                .filter(|row| send::may_destroy(row))
                .filter_map(|row| pending(row).ok())
                .collect();
            let kept = send::kept(reader, enrolment.id, &destructive, now)?;
            let wipe = match commands.is_empty() {
                true => None,
                false => wipe::suspends(reader, enrolment.id)?,
            };
            Ok(Some(Self { enrolment, commands, kept, wipe }))
        });
        read.await.map_err(|cause| shared.unread(&cause))
    }

    /// The queue, and what of it is destructive. A command that tells a new secret gets it here. While the core is held,
    /// what destroys stays behind, and while everything destructive is frozen.
    fn into_queue(self, shared: &Shared) -> (Queue, Guarded) {
        let next = match self.commands.iter().any(|row| row.kind == OperationKind::Account) {
            true => next_credentials(shared, &self.enrolment),
            false => None,
        };
        let secret = next.and_then(|next| next.password);
        let held = shared.held.load(Ordering::Relaxed);
        let may_leave = self
            .commands
            .iter()
            .filter(|row| !held || !postern_store::held::waits(row))
            .filter(|row| !self.kept.contains(&row.id))
            .filter(|row| row.kind != OperationKind::Wipe || self.is_ours(shared, row));
        let pending = may_leave.filter_map(|row| match pending(row) {
            Ok(command) if command.kind == OperationKind::Account => match &secret {
                Some(secret) => {
                    let body = account::with_secret(command.body, secret.expose_secret());
                    Some(PendingCommand { body, ..command })
                }
                None => {
                    tracing::error!(command = %row.id, "there is no new secret to be told, so nothing is sent");
                    None
                }
            },
            Ok(command) => Some(command),
            Err(cause) => {
                tracing::error!(command = %row.id, %cause, "a command's row is damaged and is not sent");
                None
            }
        });
        let pending: Vec<PendingCommand> = pending.collect();
        let mut guarded = Guarded::default();
        pending.iter().for_each(|command| guarded.note(command));
        let mut queue = Queue::load(pending, shared.settings.pending_cap);
        if self.wipe.is_some() {
            queue.suspend();
        }
        (queue, guarded)
    }

    /// Whether a wipe stands behind this command, and this server made the row.
    fn is_ours(&self, shared: &Shared, row: &Command) -> bool {
        let wanted = self.wipe.as_ref().is_some_and(|wipe| wipe.operation == Some(row.operation));
        let ours = wanted && wipe::seal::command_holds(&shared.sealer, row);
        if !ours {
            tracing::error!(command = %row.id, "no wipe of this server stands behind this row: it is not sent");
        }
        ours
    }
}

/// A pending command as the engine sees it.
pub(crate) fn pending(row: &Command) -> Result<PendingCommand, StoreError> {
    let damaged = |cause: crate::BadPayload| StoreError::Damaged(cause.to_string());
    let content = Content::from_payload(row.verb, &row.payload).map_err(damaged)?;
    let sent = match (row.session, &row.reference) {
        (Some(session), Some(column)) => Some(payload::sent_as(row.id, session, column).map_err(damaged)?),
        _ => None,
    };
    Ok(PendingCommand {
        id: row.id,
        operation: row.operation,
        kind: row.kind,
        lane: row.lane,
        ordered: content.ordered,
        created: row.created_at,
        deadline: row.deadline,
        body: content.body,
        redelivery: row.redelivery,
        state: row.state,
        sent,
        sends: u32::try_from(row.attempts).unwrap_or(u32::MAX),
        accepted: row.accepted_at.filter(|_| row.state == CommandState::Sent),
    })
}

impl Live {
    /// Loads a device.
    pub(crate) async fn load(
        shared: &Shared,
        route: RouteId,
        remembered: Remembered,
    ) -> Result<Box<Self>, Refusal> {
        let Some(rows) = Rows::read(shared, route).await? else {
            return Err(Refusal::new(RefusalCause::UnknownRoute, "no enrolment has this route"));
        };
        let enrolment = &rows.enrolment;
        let id = enrolment.id;
        let whose = |refusal: Refusal| Refusal { enrolment: Some(id), ..refusal };
        if enrolment.state == EnrolmentState::Retired {
            return Err(whose(Refusal::new(RefusalCause::Retired, "the enrolment is retired")));
        }
        let account = account_of(shared, enrolment, remembered).map_err(whose)?;
        let (auth, fingerprint) = (enrolment.auth, enrolment.certificate_fingerprint);
        let (managed, settings_epoch) = (is_settled(enrolment), compared(enrolment));
        let policy_epoch = enrolment.policy_epoch;
        let (queue, guarded) = rows.into_queue(shared);
        Ok(Box::new(Self {
            enrolment: id,
            auth,
            fingerprint,
            next: None,
            managed,
            settings_epoch,
            policy_epoch,
            policy_rounds: 0,
            session: Session::open(account, shared.standing.session(&shared.settings.session)),
            queue,
            guarded,
            stale: false,
            window: Window::new(remembered.signed_s, shared.started),
            info: remembered.info,
            record: None,
        }))
    }

    /// Reads the rows again after they changed: the session goes on with the new queue.
    pub(crate) async fn refresh(&mut self, shared: &Shared, route: RouteId) -> Result<(), Refusal> {
        let Some(rows) = Rows::read(shared, route).await? else {
            return Err(Refusal::new(RefusalCause::UnknownRoute, "the enrolment has another route now"));
        };
        let enrolment = &rows.enrolment;
        if enrolment.state == EnrolmentState::Retired {
            return Err(Refusal::new(RefusalCause::Retired, "the enrolment is retired"));
        }
        let remembered = self.remember();
        self.session.set_account(account_of(shared, enrolment, remembered)?);
        self.fingerprint = enrolment.certificate_fingerprint;
        self.settings_epoch = compared(enrolment);
        self.policy_epoch = enrolment.policy_epoch;
        self.managed = is_settled(enrolment);
        (self.queue, self.guarded) = rows.into_queue(shared);
        self.stale = false;
        Ok(())
    }

    /// How long the actor is wanted if nothing more comes.
    pub(crate) fn wanted_for(&self, shared: &Shared) -> Duration {
        match self.session.idle_at() {
            Some(at) => {
                Duration::from_millis(u64::try_from(at.since(shared.now())).unwrap_or(0))
                    + shared.settings.tick
            }
            None => shared.settings.linger,
        }
    }

    pub(crate) fn remember(&self) -> Remembered {
        Remembered {
            nonce_counter: self.session.nonce_counter(),
            info: self.info,
            signed_s: self.window.newest_s(),
        }
    }

    /// Ends an open session and settles what it left unanswered; the actor is about to leave. What cannot be
    /// committed is settled by the next session.
    pub(crate) async fn end(&mut self, shared: &Arc<Shared>) {
        if let Some(transcript) = shared.recordings.end(self.enrolment) {
            crate::recordings::keep(shared, self.enrolment, transcript).await;
        }
        let Some((session, _)) = self.session.current() else { return self.abandon(shared) };
        let waiting = Waiting::of(&self.queue);
        let effects = self.session.close(&mut self.queue, CloseReason::Idle, shared.now());
        let (durable, deferred): (Vec<_>, Vec<_>) = effects.into_iter().partition(Effect::is_durable);
        let commit = Commit::gather(self.enrolment, Some(session), durable, &[], &waiting);
        if !commit.is_empty()
            && let Err(cause) = commit.write(shared).await
        {
            tracing::debug!(device = %self.enrolment, %cause, "an idle session is settled by the next one");
        }
        for effect in deferred {
            super::commit::defer(self, shared, effect, None);
        }
    }

    /// Forgets an open session whose state is void: its commands are settled by the next one.
    pub(crate) fn abandon(&mut self, shared: &Shared) {
        if let Some(record) = self.record.take() {
            record.close(shared.now(), "abandoned", None);
        }
    }
}

/// Whether no first session is to be had: in quarantine there is none before a person has decided.
fn is_settled(row: &Enrolment) -> bool {
    matches!(row.state, EnrolmentState::Managed | EnrolmentState::Quarantined)
}

/// The settings epoch that it was compared at; one in quarantine is not compared.
fn compared(row: &Enrolment) -> i64 {
    if row.state == EnrolmentState::Quarantined { i64::MAX } else { row.settings_epoch }
}

/// What the device is being told in place of its credentials, where that can be opened.
fn next_credentials(shared: &Shared, row: &Enrolment) -> Option<Credentials> {
    match Credentials::open(&shared.sealer, row.id, row.next_credentials.as_ref()?) {
        Ok(next) => Some(next),
        Err(cause) => {
            tracing::error!(device = %row.id, %cause, "the new credentials cannot be opened");
            None
        }
    }
}

fn credential(user: String, password: &SecretString) -> Credential {
    let hash = SecretString::from(auth::user_password_hash(&user, password.expose_secret()));
    Credential { user, hash }
}

fn account_of(shared: &Shared, row: &Enrolment, remembered: Remembered) -> Result<Account, Refusal> {
    let Credentials { user, password, server_id, server_password } = match &row.credentials {
        None => Credentials::default(),
        Some(sealed) => Credentials::open(&shared.sealer, row.id, sealed).map_err(|cause| {
            Refusal::retry(
                RefusalCause::Unavailable,
                shared.settings.retry_after_s,
                format!("credentials: {cause}"),
            )
        })?,
    };
    let scheme = match row.auth {
        AuthType::Basic => ServerScheme::Basic,
        AuthType::Hmac => ServerScheme::Mac,
        AuthType::Md5 | AuthType::Certificate | AuthType::Signed => ServerScheme::Md5,
    };
    let server = server_password.map(|password| ServerAccount {
        server_id,
        password,
        scheme,
        nonce: row.server_nonce.clone().unwrap_or_default(),
    });
    let next = next_credentials(shared, row)
        .and_then(|next| next.password.map(|password| credential(next.user, &password)));
    let credential = password.map(|password| credential(user, &password));
    Ok(Account {
        enrolment: row.id,
        state: row.state,
        device_id: row.device_id.clone(),
        auth: row.auth,
        credential,
        next,
        server,
        floor: row.proof_floor,
        dialect: row.dialect,
        quirks: Quirks::default(),
        resync_until: row.resync_until,
        nonce_key: shared.nonce_key.clone(),
        nonce_counter: remembered.nonce_counter,
        device_info: None,
    })
}
