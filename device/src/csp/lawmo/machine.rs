//! The states, operations and result codes of LAWMO, as a table (as implementations of LAWMO 1.0 have them).

use serde::{Deserialize, Serialize};

/// The values of State.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockState {
    /// 10.
    FullyLocked,
    /// 20.
    PartiallyLocked,
    /// 30.
    #[default]
    Unlocked,
}

impl LockState {
    /// As State shows it.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::FullyLocked => 10,
            Self::PartiallyLocked => 20,
            Self::Unlocked => 30,
        }
    }
}

/// The nodes below Operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Nobody can use the device.
    FullyLock,
    /// The device can be used for some things.
    PartiallyLock,
    /// The device can be used.
    UnLock,
    /// Everything goes back to how the device came.
    FactoryReset,
    /// What ToBeWiped marks goes back to how the device came.
    Wipe,
}

/// 1402 and on: the operation failed.
pub(super) const WIPE_FAILED: u32 = 1405;
/// Nothing was marked.
pub(super) const WIPE_NOT_PERFORMED: u32 = 1406;
/// No code for a reset that failed is known; this says that the client failed.
pub(super) const RESET_FAILED: u32 = 1400;

impl Operation {
    /// In the order of the object.
    pub const ALL: [Self; 5] =
        [Self::FullyLock, Self::PartiallyLock, Self::UnLock, Self::FactoryReset, Self::Wipe];

    /// The node's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FullyLock => "FullyLock",
            Self::PartiallyLock => "PartiallyLock",
            Self::UnLock => "UnLock",
            Self::FactoryReset => "FactoryReset",
            Self::Wipe => "Wipe",
        }
    }

    /// The result code when it fails.
    pub(super) const fn failure(self) -> u32 {
        match self {
            Self::FullyLock => 1402,
            Self::PartiallyLock => 1403,
            Self::UnLock => 1404,
            Self::FactoryReset => RESET_FAILED,
            Self::Wipe => WIPE_FAILED,
        }
    }
}

/// The result code when it succeeds: 1201 says that data was wiped; the list keeps its items.
pub(super) const fn success(operation: Operation) -> u32 {
    match operation {
        Operation::Wipe => 1201,
        _ => 1200,
    }
}

/// The state after an operation, or the result code of its refusal: a full lock is not weakened by a partial one.
pub(super) const fn transition(state: LockState, operation: Operation) -> Result<LockState, u32> {
    match (state, operation) {
        (_, Operation::FullyLock) => Ok(LockState::FullyLocked),
        (LockState::FullyLocked, Operation::PartiallyLock) => Err(operation.failure()),
        (_, Operation::PartiallyLock) => Ok(LockState::PartiallyLocked),
        (_, Operation::UnLock) => Ok(LockState::Unlocked),
        (kept, Operation::FactoryReset | Operation::Wipe) => Ok(kept),
    }
}
