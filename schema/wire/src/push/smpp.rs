//! PDUs of SMPP 3.4 (Short Message Peer to Peer Protocol Specification v3.4): what an ESME and a short-message centre
//! say to each other.
//!
//! - [`frame_length`] tells how many octets the next PDU has; [`Pdu::decode`] reads one, [`Pdu::encode`] writes one.
//! - [`Body`] knows the bind as transceiver, submit_sm, deliver_sm, enquire_link, unbind, generic_nack and their
//!   responses; any other command is kept as [`Body::Other`], so that it can be answered with generic_nack.
//! - [`receipt`]: delivery receipts, by TLV and by text.
//!
//! Promise: a PDU has at most [`MOST_OCTETS`]; every text is bounded as 3.4 bounds it; what is written is read back the
//! same. Passwords never reach Debug.

mod message;
mod reader;
pub mod receipt;
mod status;

pub use message::{Address, Bind, ShortMessage, Tlv, relative_validity, tag};
pub use status::{CommandStatus, StatusClass};

use reader::{Reader, put_c_string};

/// Most octets of a PDU: a message payload of 64 KiB and what stands around it.
pub const MOST_OCTETS: usize = 70_000;
/// Octets of a header.
pub const HEADER_OCTETS: usize = 16;
/// interface_version of SMPP 3.4.
pub const INTERFACE_VERSION: u8 = 0x34;

/// The command ids that are known here; a response has the highest bit set.
pub mod command {
    #![expect(missing_docs, reason = "the specification's own names")]
    pub const GENERIC_NACK: u32 = 0x8000_0000;
    pub const SUBMIT_SM: u32 = 0x0000_0004;
    pub const DELIVER_SM: u32 = 0x0000_0005;
    pub const UNBIND: u32 = 0x0000_0006;
    pub const BIND_TRANSCEIVER: u32 = 0x0000_0009;
    pub const ENQUIRE_LINK: u32 = 0x0000_0015;
    pub const DATA_SM: u32 = 0x0000_0103;
    pub const RESPONSE: u32 = 0x8000_0000;
}

/// One PDU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pdu {
    /// command_status; zero in requests.
    pub status: CommandStatus,
    /// sequence_number: a response bears its request's.
    pub sequence: u32,
    /// The command and its body.
    pub body: Body,
}

/// A command with its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// bind_transceiver.
    BindTransceiver(Bind),
    /// bind_transceiver_resp.
    BindTransceiverResp {
        /// The centre's name; missing when the bind failed.
        system_id: String,
        /// sc_interface_version and others.
        tlvs: Vec<Tlv>,
    },
    /// submit_sm.
    SubmitSm(ShortMessage),
    /// submit_sm_resp.
    SubmitSmResp {
        /// The centre's name of the message; empty when it refused.
        message_id: String,
    },
    /// deliver_sm: a message from a device, or a delivery receipt.
    DeliverSm(ShortMessage),
    /// deliver_sm_resp.
    DeliverSmResp,
    /// data_sm: what some centres send instead of deliver_sm. What it has no field for is zero or empty.
    DataSm(ShortMessage),
    /// data_sm_resp.
    DataSmResp,
    /// enquire_link.
    EnquireLink,
    /// enquire_link_resp.
    EnquireLinkResp,
    /// unbind.
    Unbind,
    /// unbind_resp.
    UnbindResp,
    /// generic_nack.
    GenericNack,
    /// Another command.
    Other {
        /// command_id.
        command: u32,
        /// Its body, unread.
        body: Vec<u8>,
    },
}

impl Body {
    /// command_id.
    #[must_use]
    pub fn command(&self) -> u32 {
        use command::{
            BIND_TRANSCEIVER, DATA_SM, DELIVER_SM, ENQUIRE_LINK, GENERIC_NACK, RESPONSE, SUBMIT_SM, UNBIND,
        };
        match self {
            Self::BindTransceiver(_) => BIND_TRANSCEIVER,
            Self::BindTransceiverResp { .. } => BIND_TRANSCEIVER | RESPONSE,
            Self::SubmitSm(_) => SUBMIT_SM,
            Self::SubmitSmResp { .. } => SUBMIT_SM | RESPONSE,
            Self::DeliverSm(_) => DELIVER_SM,
            Self::DeliverSmResp => DELIVER_SM | RESPONSE,
            Self::DataSm(_) => DATA_SM,
            Self::DataSmResp => DATA_SM | RESPONSE,
            Self::EnquireLink => ENQUIRE_LINK,
            Self::EnquireLinkResp => ENQUIRE_LINK | RESPONSE,
            Self::Unbind => UNBIND,
            Self::UnbindResp => UNBIND | RESPONSE,
            Self::GenericNack => GENERIC_NACK,
            Self::Other { command, .. } => *command,
        }
    }

    /// Whether it answers a request.
    #[must_use]
    pub fn is_response(&self) -> bool {
        self.command() & command::RESPONSE != 0
    }
}

/// How many octets the PDU has whose first four these are.
///
/// # Errors
/// [`BadPdu::Length`]: the connection cannot be followed any more.
pub fn frame_length(start: [u8; 4]) -> Result<usize, BadPdu> {
    let length = u32::from_be_bytes(start);
    match usize::try_from(length) {
        Ok(octets @ HEADER_OCTETS..=MOST_OCTETS) => Ok(octets),
        _ => Err(BadPdu::Length(length)),
    }
}

impl Pdu {
    /// A request.
    #[must_use]
    pub fn request(sequence: u32, body: Body) -> Self {
        Self { status: CommandStatus::OK, sequence, body }
    }

    /// A response.
    #[must_use]
    pub fn response(sequence: u32, status: CommandStatus, body: Body) -> Self {
        Self { status, sequence, body }
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`BadPdu::Text`], [`BadPdu::Length`]: what its fields cannot hold.
    pub fn encode(&self) -> Result<Vec<u8>, BadPdu> {
        let mut octets = vec![0; 4];
        octets.extend_from_slice(&self.body.command().to_be_bytes());
        octets.extend_from_slice(&self.status.0.to_be_bytes());
        octets.extend_from_slice(&self.sequence.to_be_bytes());
        match &self.body {
            Body::BindTransceiver(bind) => bind.put(&mut octets)?,
            // A refused bind and a refused submit carry no body (4.1.4, 4.4.2).
            Body::BindTransceiverResp { .. } | Body::SubmitSmResp { .. }
                if self.status != CommandStatus::OK => {}
            Body::BindTransceiverResp { system_id, tlvs } => {
                put_c_string("system_id", system_id, 16, &mut octets)?;
                message::put_tlvs(tlvs, &mut octets)?;
            }
            Body::SubmitSmResp { message_id } => put_c_string("message_id", message_id, 65, &mut octets)?,
            Body::SubmitSm(message) | Body::DeliverSm(message) => message.put(&mut octets)?,
            Body::DataSm(message) => message.put_data(&mut octets)?,
            Body::DeliverSmResp | Body::DataSmResp => octets.push(0),
            Body::Other { body, .. } => octets.extend_from_slice(body),
            Body::EnquireLink
            | Body::EnquireLinkResp
            | Body::Unbind
            | Body::UnbindResp
            | Body::GenericNack => {}
        }
        let length = u32::try_from(octets.len()).unwrap_or(u32::MAX);
        if octets.len() > MOST_OCTETS {
            return Err(BadPdu::Length(length));
        }
        octets[..4].copy_from_slice(&length.to_be_bytes());
        Ok(octets)
    }

    /// Reads one whole PDU.
    ///
    /// # Errors
    /// [`BadPdu`], with the command and sequence number where the header could be read.
    pub fn decode(octets: &[u8]) -> Result<Self, Refused> {
        let refused = |why| Refused { why, header: None };
        let start = octets.first_chunk().ok_or_else(|| refused(BadPdu::Truncated))?;
        let length = frame_length(*start).map_err(refused)?;
        if octets.len() != length {
            return Err(refused(BadPdu::Truncated));
        }
        let mut reader = Reader { rest: &octets[4..] };
        let mut word = || reader.u32().map_err(refused);
        let (command, status, sequence) = (word()?, CommandStatus(word()?), word()?);
        match body(command, status, &mut reader) {
            Ok(body) => Ok(Self { status, sequence, body }),
            Err(why) => Err(Refused { why, header: Some((command, sequence)) }),
        }
    }
}

fn body(command: u32, status: CommandStatus, reader: &mut Reader<'_>) -> Result<Body, BadPdu> {
    use command::{
        BIND_TRANSCEIVER, DATA_SM, DELIVER_SM, ENQUIRE_LINK, GENERIC_NACK, RESPONSE, SUBMIT_SM, UNBIND,
    };
    const DATA_RESP: u32 = DATA_SM | RESPONSE;
    const BIND_RESP: u32 = BIND_TRANSCEIVER | RESPONSE;
    const SUBMIT_RESP: u32 = SUBMIT_SM | RESPONSE;
    const DELIVER_RESP: u32 = DELIVER_SM | RESPONSE;
    const ENQUIRE_RESP: u32 = ENQUIRE_LINK | RESPONSE;
    const UNBIND_RESP: u32 = UNBIND | RESPONSE;
    Ok(match command {
        BIND_TRANSCEIVER => Body::BindTransceiver(Bind::read(reader)?),
        // Some centres leave the body of a response away even when all is well.
        BIND_RESP if reader.rest.is_empty() => {
            Body::BindTransceiverResp { system_id: String::new(), tlvs: Vec::new() }
        }
        BIND_RESP => {
            let system_id = reader.c_string("system_id", 16)?;
            Body::BindTransceiverResp { system_id, tlvs: message::read_tlvs(reader)? }
        }
        SUBMIT_SM => Body::SubmitSm(ShortMessage::read(reader)?),
        SUBMIT_RESP if reader.rest.is_empty() || status != CommandStatus::OK => {
            Body::SubmitSmResp { message_id: String::new() }
        }
        SUBMIT_RESP => Body::SubmitSmResp { message_id: reader.c_string("message_id", 65)? },
        DELIVER_SM => Body::DeliverSm(ShortMessage::read(reader)?),
        DELIVER_RESP => Body::DeliverSmResp,
        DATA_SM => Body::DataSm(ShortMessage::read_data(reader)?),
        DATA_RESP => Body::DataSmResp,
        ENQUIRE_LINK => Body::EnquireLink,
        ENQUIRE_RESP => Body::EnquireLinkResp,
        UNBIND => Body::Unbind,
        UNBIND_RESP => Body::UnbindResp,
        GENERIC_NACK => Body::GenericNack,
        command => Body::Other { command, body: reader.rest.to_vec() },
    })
}

/// A PDU that was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Refused {
    /// What is wrong.
    pub why: BadPdu,
    /// Its command id and sequence number, if the header could be read: it can be answered.
    pub header: Option<(u32, u32)>,
}

/// What is wrong with a PDU.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPdu {
    /// Too short for a header, or longer than any PDU.
    #[error("the PDU says that it has {0} octets, not {HEADER_OCTETS} to {MOST_OCTETS}")]
    Length(u32),
    /// It ends too early.
    #[error("the PDU ends too early")]
    Truncated,
    /// A text that is too long, has no end, or is not ASCII.
    #[error("the PDU's {0} is too long, without an end, or not ASCII")]
    Text(&'static str),
    /// There are too many TLVs.
    #[error("the PDU has more than {0} optional parameters")]
    Tlvs(usize),
}
