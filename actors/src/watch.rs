//! Watches: who waits for a change of a command is told, without a poll of the database.
//!
//! Promise: the number of watched commands is bounded; an entry lives only as long as somebody watches; a
//! notice says *that* a command changed, the truth is read from the store afterwards.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use postern_wire::terms::CommandId;
use tokio::sync::watch;

/// The open watches of one core.
#[derive(Clone, Debug)]
pub(crate) struct Watches {
    open: Arc<Mutex<HashMap<CommandId, watch::Sender<u64>>>>,
    cap: usize,
}

/// Somebody's wait for changes of one command. Dropped, it is forgotten.
#[derive(Debug)]
pub struct CommandWatch {
    command: CommandId,
    changes: Option<watch::Receiver<u64>>,
    watches: Watches,
}

impl Watches {
    pub(crate) fn new(cap: usize) -> Self {
        Self { open: Arc::default(), cap }
    }

    /// Opens a watch. `None` when as many commands are watched as may be.
    pub(crate) fn watch(&self, command: CommandId) -> Option<CommandWatch> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= self.cap && !open.contains_key(&command) {
            return None;
        }
        let changes = open.entry(command).or_insert_with(|| watch::channel(0).0).subscribe();
        Some(CommandWatch { command, changes: Some(changes), watches: self.clone() })
    }

    /// Tells the watchers of these commands, after the change was committed.
    pub(crate) fn tell(&self, commands: impl IntoIterator<Item = CommandId>) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.is_empty() {
            return;
        }
        for command in commands {
            if let Some(changes) = open.get(&command) {
                changes.send_modify(|count| *count += 1);
            }
        }
    }
}

impl CommandWatch {
    /// Waits until the command changed since the watch was opened or last returned. Many changes may be told once.
    pub async fn changed(&mut self) {
        match &mut self.changes {
            // The sender stands in the table as long as this receiver lives; a closed channel would mean that
            // nothing can change any more.
            Some(changes) => {
                if changes.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
            None => std::future::pending().await,
        }
    }
}

impl Drop for CommandWatch {
    fn drop(&mut self) {
        let mut open = self.watches.open.lock().unwrap_or_else(PoisonError::into_inner);
        self.changes = None;
        if open.get(&self.command).is_some_and(|changes| changes.receiver_count() == 0) {
            open.remove(&self.command);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(n: u128) -> CommandId {
        CommandId(uuid::Uuid::from_u128(n))
    }

    #[actix::test]
    async fn a_change_between_two_waits_is_not_missed() {
        let watches = Watches::new(2);
        let mut watch = watches.watch(command(1)).unwrap();
        watches.tell([command(1), command(2)]);
        watch.changed().await;
        assert!(tokio::time::timeout(std::time::Duration::from_millis(5), watch.changed()).await.is_err());
    }

    #[test]
    fn watched_commands_are_bounded_and_forgotten_with_their_last_watcher() {
        let watches = Watches::new(1);
        let first = watches.watch(command(1)).unwrap();
        let second = watches.watch(command(1)).unwrap();
        assert!(watches.watch(command(2)).is_none());
        drop(first);
        assert!(watches.watch(command(2)).is_none());
        drop(second);
        assert!(watches.watch(command(2)).is_some());
    }
}
