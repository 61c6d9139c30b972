//! Short messages: the user data header that addresses a port of the device, segments, and their reassembly
//! (3GPP TS 23.040, 9.2.3.24; OMA-TS-DM_Notification 1.2.1, 7.1).
//!
//! - [`split`] makes the user data of one push: one short message, or as many concatenated ones as it takes.
//! - [`UserData::decode`] reads one; [`Reassembly`] puts segments together, within bounds and a time that its
//!   caller tells.
//! - [`submit_tpdu`] is the SMS-SUBMIT of one segment, for a modem.

mod reassembly;

pub use reassembly::{Assembled, Reassembly, ReassemblyLimits};

/// The port of connectionless WAP push, where a device's push router listens.
pub const PUSH_PORT: u16 = 2948;
/// The port that a push is said to come from: 9200, connectionless WSP.
pub const SOURCE_PORT: u16 = 9200;
/// Octets of user data in one short message, its header among them.
pub const USER_DATA_OCTETS: usize = 140;
/// Short messages that one push may take.
pub const MOST_SEGMENTS: usize = 255;

const IE_CONCATENATION_8: u8 = 0x00;
const IE_PORTS_8: u8 = 0x04;
const IE_PORTS_16: u8 = 0x05;
const IE_CONCATENATION_16: u8 = 0x08;
/// Octets of the header that has ports only, its length octet among them.
const PORTS_OCTETS: usize = 7;
/// Octets of the header that has ports and a segment's place.
const SEGMENT_OCTETS: usize = 12;

/// Application ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ports {
    /// Of the receiver.
    pub destination: u16,
    /// Of the sender.
    pub source: u16,
}

impl Ports {
    /// To the push router.
    pub const PUSH: Self = Self { destination: PUSH_PORT, source: SOURCE_PORT };
}

/// The place of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Segment {
    /// What the segments of one message have in common; 8 bits unless `wide`.
    pub reference: u16,
    /// Whether the reference has 16 bits.
    pub wide: bool,
    /// How many there are.
    pub total: u8,
    /// Which one this is, from 1.
    pub number: u8,
}

/// Splits a datagram into user data of at most 140 octets each, header first. `reference` tells its segments from
/// those of other datagrams to the same device; a datagram of one short message does not use it.
///
/// # Errors
/// [`BadUserData::TooLong`] above [`MOST_SEGMENTS`], [`BadUserData::Empty`] for nothing.
pub fn split(datagram: &[u8], ports: Ports, reference: u8) -> Result<Vec<Vec<u8>>, BadUserData> {
    if datagram.is_empty() {
        return Err(BadUserData::Empty);
    }
    let [to, from] = [ports.destination.to_be_bytes(), ports.source.to_be_bytes()];
    let ports = [IE_PORTS_16, 4, to[0], to[1], from[0], from[1]];
    if datagram.len() + PORTS_OCTETS <= USER_DATA_OCTETS {
        return Ok(vec![[&[ports.len() as u8], &ports[..], datagram].concat()]);
    }
    let pieces = datagram.chunks(USER_DATA_OCTETS - SEGMENT_OCTETS);
    let total = u8::try_from(pieces.len()).map_err(|_| BadUserData::TooLong)?;
    let segment = |(number, piece): (u8, &[u8])| {
        let concatenation = [IE_CONCATENATION_8, 3, reference, total, number];
        [&[(SEGMENT_OCTETS - 1) as u8], &ports[..], &concatenation, piece].concat()
    };
    Ok((1..=total).zip(pieces).map(segment).collect())
}

/// The user data of one short message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserData<'a> {
    /// The ports, if it has any.
    pub ports: Option<Ports>,
    /// Its place among segments, if it is one.
    pub segment: Option<Segment>,
    /// What follows the header.
    pub body: &'a [u8],
}

impl<'a> UserData<'a> {
    /// Reads user data that begins with a header (TP-UDHI is set). Information elements that are not known are read
    /// over; of one that stands twice, the last counts (23.040, 9.2.3.24).
    ///
    /// # Errors
    /// [`BadUserData`].
    pub fn decode(octets: &'a [u8]) -> Result<Self, BadUserData> {
        if octets.len() > USER_DATA_OCTETS {
            return Err(BadUserData::TooLong);
        }
        let (length, rest) = octets.split_first().ok_or(BadUserData::Empty)?;
        let (mut header, body) = rest.split_at_checked(usize::from(*length)).ok_or(BadUserData::Header)?;
        let (mut ports, mut segment) = (None, None);
        while let [kind, length, rest @ ..] = header {
            let (value, rest) = rest.split_at_checked(usize::from(*length)).ok_or(BadUserData::Header)?;
            header = rest;
            match (*kind, value) {
                (IE_PORTS_16, [d1, d0, s1, s0]) => {
                    let destination = u16::from_be_bytes([*d1, *d0]);
                    ports = Some(Ports { destination, source: u16::from_be_bytes([*s1, *s0]) });
                }
                (IE_PORTS_8, [destination, source]) => {
                    ports = Some(Ports { destination: u16::from(*destination), source: u16::from(*source) });
                }
                (IE_CONCATENATION_8, [reference, total, number]) => {
                    segment = place(u16::from(*reference), false, *total, *number);
                }
                (IE_CONCATENATION_16, [r1, r0, total, number]) => {
                    segment = place(u16::from_be_bytes([*r1, *r0]), true, *total, *number);
                }
                (IE_PORTS_16 | IE_PORTS_8 | IE_CONCATENATION_8 | IE_CONCATENATION_16, _) => {
                    return Err(BadUserData::Header);
                }
                _ => {}
            }
        }
        if header.is_empty() { Ok(Self { ports, segment, body }) } else { Err(BadUserData::Header) }
    }
}

/// A place that cannot be is ignored, as 23.040, 9.2.3.24.1 wants it.
fn place(reference: u16, wide: bool, total: u8, number: u8) -> Option<Segment> {
    (number > 0 && number <= total).then_some(Segment { reference, wide, total, number })
}

/// An SMS-SUBMIT of user data to a number, 8-bit and with TP-UDHI, behind the octet 00 for the SIM's own service
/// centre: what a modem takes after AT+CMGS in PDU mode.
///
/// # Errors
/// [`BadUserData::Number`] for what is not 1 to 20 digits with or without `+`, [`BadUserData::TooLong`].
pub fn submit_tpdu(number: &str, user_data: &[u8], reference: u8) -> Result<Vec<u8>, BadUserData> {
    let (kind, digits) = match number.strip_prefix('+') {
        Some(digits) => (0x91, digits),
        None => (0x81, number),
    };
    if digits.is_empty() || digits.len() > 20 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(BadUserData::Number);
    }
    if user_data.len() > USER_DATA_OCTETS {
        return Err(BadUserData::TooLong);
    }
    let mut tpdu = vec![0x00, 0x41, reference, digits.len() as u8, kind];
    tpdu.extend(semi_octets(digits.bytes().map(|digit| digit - b'0')));
    tpdu.extend([0x00, 0xF5, user_data.len() as u8]);
    tpdu.extend_from_slice(user_data);
    Ok(tpdu)
}

/// Packs digits two an octet, the low half first; an odd last one is filled up with F (23.040, 9.1.2.3).
pub(crate) fn semi_octets(digits: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let mut packed = Vec::new();
    let mut digits = digits.into_iter();
    while let Some(low) = digits.next() {
        packed.push(digits.next().unwrap_or(0x0F) << 4 | low);
    }
    packed
}

/// User data that cannot be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUserData {
    /// There is none.
    #[error("the user data is empty")]
    Empty,
    /// More than 140 octets in one short message, or than 255 short messages.
    #[error(
        "the user data is longer than {USER_DATA_OCTETS} octets, or the datagram than {MOST_SEGMENTS} segments"
    )]
    TooLong,
    /// The header is malformed.
    #[error("the user data header is malformed")]
    Header,
    /// Not a telephone number.
    #[error("a telephone number has 1 to 20 digits, with or without a leading +")]
    Number,
    /// A segment that does not fit those that came before it.
    #[error("the segment does not fit the ones that came before it")]
    Segment,
}
