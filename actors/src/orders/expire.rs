//! Ending commands whose deadline passed before they were sent.

use std::collections::BTreeSet;

use postern_engine::queue::Queue;
use postern_store::{ReadError, StoreError, Tx, WriteError, commands, commands::Command, enrolments};
use postern_wire::{
    route::RouteId,
    terms::{CommandId, CommandState},
};

use super::finish;
use crate::{device::pending, shared::Shared};

/// Commands that one transaction ends.
const BATCH: i64 = 512;

/// Why a sweep ended early; the next one tries again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unswept {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Ends what is past its deadline. Gives the routes of the devices concerned, and whether there may be more.
pub(crate) async fn sweep(shared: &Shared) -> Result<(BTreeSet<RouteId>, bool), Unswept> {
    let now = shared.now();
    if !shared.steady.holds(now, shared.clock.monotonic()) {
        return Ok((BTreeSet::new(), false));
    }
    let due = shared.store.look_up(move |reader| commands::past_deadline(reader, now, BATCH)).await?;
    let more = i64::try_from(due.len()).unwrap_or(0) == BATCH;
    if due.is_empty() {
        return Ok((BTreeSet::new(), false));
    }
    let completion_ms = shared.settings.session.completion_ms;
    let (ended, routes) = shared.store.write(move |tx| end(tx, &due, completion_ms)).await?;
    tracing::info!(commands = ended.len(), "commands expired");
    shared.watches.tell(ended);
    Ok((routes, more))
}

fn end(
    tx: &mut Tx,
    due: &[Command],
    completion_ms: i64,
) -> Result<(Vec<CommandId>, BTreeSet<RouteId>), StoreError> {
    let now = tx.now();
    let mut ends = Vec::new();
    let mut routes = BTreeSet::new();
    for row in due {
        // What was sent or ended since it was read is left alone.
        let Some(row) = commands::find(tx, row.id)?.filter(|row| row.state == CommandState::Queued) else {
            continue;
        };
        let mut queue = Queue::load(vec![pending(&row)?], 1);
        ends.extend(queue.expire(now, completion_ms).iter().filter_map(finish));
        routes.insert(RouteId::from_bytes(enrolments::get(tx, row.enrolment)?.route));
    }
    Ok((commands::finish(tx, &ends)?, routes))
}
