//! command_status (5.1.3), and what it means for whoever submitted.

use std::fmt;

/// command_status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandStatus(pub u32);

/// What a status says about trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusClass {
    /// Done.
    Ok,
    /// The centre asks for less: the same again, later and slower.
    Throttled,
    /// It may pass.
    Retry,
    /// The same will never go.
    Refused,
}

impl CommandStatus {
    /// ESME_ROK.
    pub const OK: Self = Self(0x00);
    /// ESME_RINVCMDLEN: the PDU's length does not fit.
    pub const INVALID_LENGTH: Self = Self(0x02);
    /// ESME_RINVCMDID: the command is unknown.
    pub const INVALID_COMMAND: Self = Self(0x03);
    /// ESME_RSYSERR: an error of the centre.
    pub const SYSTEM_ERROR: Self = Self(0x08);
    /// ESME_RINVDSTADR: the destination is no address.
    pub const INVALID_DESTINATION: Self = Self(0x0B);
    /// ESME_RINVPASWD.
    pub const INVALID_PASSWORD: Self = Self(0x0E);
    /// ESME_RMSGQFUL: the centre's queue is full.
    pub const QUEUE_FULL: Self = Self(0x14);
    /// ESME_RTHROTTLED.
    pub const THROTTLED: Self = Self(0x58);
    /// ESME_RX_T_APPN: an error of the receiver that may pass.
    pub const TEMPORARY: Self = Self(0x64);

    /// Its class. A status that nobody defined is taken as one that may pass: vendors have their own for load.
    #[must_use]
    pub fn class(self) -> StatusClass {
        match self.0 {
            0x00 => StatusClass::Ok,
            0x14 | 0x58 => StatusClass::Throttled,
            // Bind states, system error, bind and submit failed, query failed, temporary, unknown error.
            0x04 | 0x05 | 0x08 | 0x0D | 0x45 | 0x64 | 0xFF => StatusClass::Retry,
            0x01..=0xFF => StatusClass::Refused,
            _ => StatusClass::Retry,
        }
    }

    /// The specification's name, for those that are met.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0x00 => "ESME_ROK",
            0x01 => "ESME_RINVMSGLEN",
            0x02 => "ESME_RINVCMDLEN",
            0x03 => "ESME_RINVCMDID",
            0x04 => "ESME_RINVBNDSTS",
            0x05 => "ESME_RALYBND",
            0x08 => "ESME_RSYSERR",
            0x0A => "ESME_RINVSRCADR",
            0x0B => "ESME_RINVDSTADR",
            0x0C => "ESME_RINVMSGID",
            0x0D => "ESME_RBINDFAIL",
            0x0E => "ESME_RINVPASWD",
            0x0F => "ESME_RINVSYSID",
            0x14 => "ESME_RMSGQFUL",
            0x43 => "ESME_RINVESMCLASS",
            0x45 => "ESME_RSUBMITFAIL",
            0x58 => "ESME_RTHROTTLED",
            0x61 => "ESME_RINVSCHED",
            0x62 => "ESME_RINVEXPIRY",
            0x64 => "ESME_RX_T_APPN",
            0x65 => "ESME_RX_P_APPN",
            0x66 => "ESME_RX_R_APPN",
            0xFF => "ESME_RUNKNOWNERR",
            _ => return None,
        })
    }
}

impl fmt::Display for CommandStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} (0x{:08X})", self.0),
            None => write!(f, "status 0x{:08X}", self.0),
        }
    }
}
