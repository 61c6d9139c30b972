//! Whether this database is held: it was restored from a backup, and what it says of destructive orders may be
//! older than what people did since. A person looks at it and releases it.

use diesel::prelude::*;
use postern_wire::terms::{CommandId, CommandState, EnrolmentId, OperationKind, Redelivery, UtcMillis};
use serde::{Deserialize, Serialize};

use super::{
    alarms::{self, Severity},
    audit,
    commands::{self, Command, Finish},
    meta, recovery,
};
use crate::{
    column::{Db, db},
    conn::each,
    errors::StoreError,
    tables::commands_pending as pending,
    tx::{Reader, Tx},
};

/// The key in `meta`.
pub const KEY: &str = "held";
/// The kind of the alarm that stands while a database is held.
pub const ALARM: &str = "held";
/// Commands that are put into doubt in one transaction.
const SOME: i64 = 500;

/// Why a database is held, and since when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// When it was restored, UTC milliseconds.
    pub since: i64,
    /// Why, as the person said who restored it.
    pub reason: String,
    /// When the backup was made, UTC milliseconds.
    pub backup_at: i64,
    /// The last row of the audit log in the backup.
    pub audit_seq: i64,
    /// Whether the sent commands are in doubt already and the marker stands in the audit log.
    #[serde(default)]
    pub settled: bool,
}

/// Why this database is held; none when it is not.
pub fn of(r: &mut Reader) -> Result<Option<Held>, StoreError> {
    let Some(text) = meta::get(r, KEY)? else { return Ok(None) };
    // What cannot be read holds as well.
    Ok(Some(serde_json::from_str(&text).unwrap_or_else(|_| Held { reason: text, ..Held::default() })))
}

/// Whether a command waits while the database is held: it destroys something, changes who the device is, or its
/// repetition may do harm.
#[must_use]
pub fn waits(command: &Command) -> bool {
    command.redelivery == Redelivery::AtMostOnce
        || command.mac.is_some()
        || matches!(command.kind, OperationKind::Wipe | OperationKind::Lock | OperationKind::Certificate)
}

/// How many pending commands wait for the release.
pub fn waiting(r: &mut Reader) -> Result<i64, StoreError> {
    let kinds = [OperationKind::Wipe, OperationKind::Lock, OperationKind::Certificate].map(db);
    Ok(each!(r.conn, c => pending::table
        .filter(
            pending::redelivery
                .eq(db(Redelivery::AtMostOnce))
                .or(pending::mac.is_not_null())
                .or(pending::kind.eq_any(kinds.map(|kind| kind.0))),
        )
        .count()
        .get_result(c))?)
}

/// Puts some of the commands that the backup had as sent into doubt. True when none is left; then the marker stands
/// in the audit log, the alarm is raised, and nothing of this is done again.
pub fn settle(tx: &mut Tx) -> Result<bool, StoreError> {
    let Some(held) = of(tx)? else { return Ok(true) };
    if held.settled {
        return Ok(true);
    }
    let sent: Vec<Db<CommandId>> = each!(tx.conn, c => pending::table
        .filter(pending::state.eq(db(CommandState::Sent)))
        .limit(SOME)
        .select(pending::id)
        .load(c))?;
    if !sent.is_empty() {
        let ends: Vec<Finish> = sent
            .into_iter()
            .filter_map(|id| CommandId::try_from(id).ok())
            .map(|id| Finish {
                id,
                state: CommandState::InDoubt,
                status: None,
                cause: "restored from a backup: what the device did with it since is not known".to_owned(),
                proof: None,
                session: None,
            })
            .collect();
        commands::finish(tx, &ends)?;
        return Ok(false);
    }
    // What devices escrowed since is not in the backup.
    recovery::renew_all(tx)?;
    let waiting = waiting(tx)?;
    let parked = super::outbox::doubt(tx)?;
    let restored = UtcMillis(held.backup_at);
    audit::append(
        tx,
        audit::Act {
            actor: "service:restore".to_owned(),
            action: RESTORED.to_owned(),
            object: "database".to_owned(),
            outcome: "ok".to_owned(),
            detail: serde_json::json!({
                "backup_at": restored.to_string(),
                "last_row_of_the_backup": held.audit_seq,
                "reason": held.reason,
                "orders_held": waiting,
                "deliveries_parked": parked,
            })
            .to_string(),
            ..audit::Act::default()
        },
    )?;
    alarms::raise(
        tx,
        Severity::Critical,
        ALARM,
        "database",
        &format!(
            "this system was restored from the backup of {restored}: destructive orders wait until somebody looks and runs `posternctl server release`"
        ),
    )?;
    meta::set(tx, KEY, &serde_json::json!(Held { settled: true, ..held }).to_string())?;
    Ok(true)
}

/// What the marker of a restore is called in the audit log.
pub const RESTORED: &str = "server.restored";

/// A person looked: destructive orders go out again. `Refused` when the database is not held.
pub fn release(tx: &mut Tx) -> Result<Held, StoreError> {
    let held = of(tx)?.ok_or_else(|| StoreError::Refused("this system is not held".to_owned()))?;
    each!(tx.conn, c => diesel::delete(
        crate::tables::meta::table.filter(crate::tables::meta::key.eq(KEY)),
    )
    .execute(c))?;
    alarms::clear(tx, ALARM, "database", "released by a person")?;
    Ok(held)
}

/// The devices whose commands wait for the release, with their routes; at most `limit`.
pub fn waiting_devices(r: &mut Reader, limit: i64) -> Result<Vec<(EnrolmentId, [u8; 16])>, StoreError> {
    let kinds = [OperationKind::Wipe, OperationKind::Lock, OperationKind::Certificate].map(db);
    let ids: Vec<Db<EnrolmentId>> = each!(r.conn, c => pending::table
        .filter(
            pending::redelivery
                .eq(db(Redelivery::AtMostOnce))
                .or(pending::mac.is_not_null())
                .or(pending::kind.eq_any(kinds.map(|kind| kind.0))),
        )
        .select(pending::enrolment)
        .distinct()
        .limit(limit)
        .load(c))?;
    let mut devices = Vec::with_capacity(ids.len());
    for id in ids {
        let id = EnrolmentId::try_from(id).map_err(|error| StoreError::Damaged(error.to_string()))?;
        if let Some(device) = super::enrolments::find(r, id)? {
            devices.push((id, device.route));
        }
    }
    Ok(devices)
}
