//! The bodies of bind_transceiver, submit_sm and deliver_sm, and optional parameters (4.1.1, 4.4.1, 4.6.1, 5.3).

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};

use super::{
    BadPdu,
    reader::{Reader, put_c_string},
};

const MOST_TLVS: usize = 64;

/// Tags of optional parameters.
pub mod tag {
    #![expect(missing_docs, reason = "the specification's own names")]
    pub const RECEIPTED_MESSAGE_ID: u16 = 0x001E;
    pub const SC_INTERFACE_VERSION: u16 = 0x0210;
    pub const MESSAGE_PAYLOAD: u16 = 0x0424;
    pub const MESSAGE_STATE: u16 = 0x0427;
}

/// The body of a bind.
#[derive(Clone, Default)]
pub struct Bind {
    /// Who binds.
    pub system_id: String,
    /// With which password: at most 8 octets.
    pub password: SecretString,
    /// What kind of system it is.
    pub system_type: String,
    /// interface_version.
    pub interface_version: u8,
    /// addr_ton, addr_npi and address_range.
    pub range: Address,
}

impl PartialEq for Bind {
    fn eq(&self, other: &Self) -> bool {
        let plain = |bind: &Self| (bind.system_id.clone(), bind.system_type.clone(), bind.interface_version);
        plain(self) == plain(other)
            && self.range == other.range
            && crate::auth::equal(
                self.password.expose_secret().as_bytes(),
                other.password.expose_secret().as_bytes(),
            )
    }
}

impl Eq for Bind {}

impl fmt::Debug for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bind").field("system_id", &self.system_id).finish_non_exhaustive()
    }
}

/// An address with its type of number and numbering plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// Type of number: 1 international, 0 unknown, 5 alphanumeric.
    pub ton: u8,
    /// Numbering plan: 1 ISDN, 0 unknown.
    pub npi: u8,
    /// The digits or characters.
    pub address: String,
}

impl Address {
    /// A telephone number: international with a leading `+`, else of an unknown type.
    #[must_use]
    pub fn number(number: &str) -> Self {
        match number.strip_prefix('+') {
            Some(digits) => Self { ton: 1, npi: 1, address: digits.to_owned() },
            None => Self { ton: 0, npi: 1, address: number.to_owned() },
        }
    }

    fn put(&self, name: &'static str, most: usize, out: &mut Vec<u8>) -> Result<(), BadPdu> {
        out.extend([self.ton, self.npi]);
        put_c_string(name, &self.address, most, out)
    }

    fn read(name: &'static str, most: usize, reader: &mut Reader<'_>) -> Result<Self, BadPdu> {
        Ok(Self { ton: reader.u8()?, npi: reader.u8()?, address: reader.c_string(name, most)? })
    }
}

impl Bind {
    pub(super) fn put(&self, out: &mut Vec<u8>) -> Result<(), BadPdu> {
        put_c_string("system_id", &self.system_id, 16, out)?;
        put_c_string("password", self.password.expose_secret(), 9, out)?;
        put_c_string("system_type", &self.system_type, 13, out)?;
        out.push(self.interface_version);
        self.range.put("address_range", 41, out)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, BadPdu> {
        Ok(Self {
            system_id: reader.c_string("system_id", 16)?,
            password: SecretString::from(reader.c_string("password", 9)?),
            system_type: reader.c_string("system_type", 13)?,
            interface_version: reader.u8()?,
            range: Address::read("address_range", 41, reader)?,
        })
    }
}

/// The body of submit_sm and deliver_sm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShortMessage {
    /// service_type.
    pub service_type: String,
    /// The sender.
    pub source: Address,
    /// The receiver.
    pub destination: Address,
    /// esm_class: [`ShortMessage::UDHI`], [`ShortMessage::RECEIPT`] …
    pub esm_class: u8,
    /// protocol_id.
    pub protocol_id: u8,
    /// priority_flag.
    pub priority: u8,
    /// schedule_delivery_time; empty is at once.
    pub schedule: String,
    /// validity_period; empty is the centre's own.
    pub validity: String,
    /// registered_delivery: 1 asks for a receipt at the end.
    pub registered_delivery: u8,
    /// replace_if_present_flag.
    pub replace_if_present: u8,
    /// data_coding: 4 is octets.
    pub data_coding: u8,
    /// sm_default_msg_id.
    pub default_message: u8,
    /// The user data, its header first if there is one: at most 254 octets.
    pub short_message: Vec<u8>,
    /// Optional parameters.
    pub tlvs: Vec<Tlv>,
}

impl ShortMessage {
    /// esm_class: the user data begins with a header.
    pub const UDHI: u8 = 0x40;
    /// esm_class of deliver_sm: a receipt of the centre's.
    pub const RECEIPT: u8 = 0x04;
    /// data_coding: octets.
    pub const OCTETS: u8 = 0x04;

    /// Whether it is a delivery receipt: bits 5 to 2 of esm_class say `0001`.
    #[must_use]
    pub fn is_receipt(&self) -> bool {
        self.esm_class & 0x3C == Self::RECEIPT
    }

    /// The user data: the short message, or message_payload in its place.
    #[must_use]
    pub fn user_data(&self) -> &[u8] {
        match self.tlv(tag::MESSAGE_PAYLOAD) {
            Some(payload) if self.short_message.is_empty() => payload,
            _ => &self.short_message,
        }
    }

    /// The value of an optional parameter.
    #[must_use]
    pub fn tlv(&self, tag: u16) -> Option<&[u8]> {
        self.tlvs.iter().find(|tlv| tlv.tag == tag).map(|tlv| tlv.value.as_slice())
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) -> Result<(), BadPdu> {
        put_c_string("service_type", &self.service_type, 6, out)?;
        self.source.put("source_addr", 21, out)?;
        self.destination.put("destination_addr", 21, out)?;
        out.extend([self.esm_class, self.protocol_id, self.priority]);
        put_c_string("schedule_delivery_time", &self.schedule, 17, out)?;
        put_c_string("validity_period", &self.validity, 17, out)?;
        out.extend([
            self.registered_delivery,
            self.replace_if_present,
            self.data_coding,
            self.default_message,
        ]);
        let length = u8::try_from(self.short_message.len()).ok().filter(|length| *length <= 254);
        out.push(length.ok_or(BadPdu::Text("short_message"))?);
        out.extend_from_slice(&self.short_message);
        put_tlvs(&self.tlvs, out)
    }

    /// As data_sm (4.7.1), which has fewer fields and longer addresses, and its text in message_payload only.
    pub(super) fn put_data(&self, out: &mut Vec<u8>) -> Result<(), BadPdu> {
        put_c_string("service_type", &self.service_type, 6, out)?;
        self.source.put("source_addr", 65, out)?;
        self.destination.put("destination_addr", 65, out)?;
        out.extend([self.esm_class, self.registered_delivery, self.data_coding]);
        put_tlvs(&self.tlvs, out)
    }

    pub(super) fn read_data(reader: &mut Reader<'_>) -> Result<Self, BadPdu> {
        Ok(Self {
            service_type: reader.c_string("service_type", 6)?,
            source: Address::read("source_addr", 65, reader)?,
            destination: Address::read("destination_addr", 65, reader)?,
            esm_class: reader.u8()?,
            registered_delivery: reader.u8()?,
            data_coding: reader.u8()?,
            tlvs: read_tlvs(reader)?,
            ..Self::default()
        })
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, BadPdu> {
        Ok(Self {
            service_type: reader.c_string("service_type", 6)?,
            source: Address::read("source_addr", 21, reader)?,
            destination: Address::read("destination_addr", 21, reader)?,
            esm_class: reader.u8()?,
            protocol_id: reader.u8()?,
            priority: reader.u8()?,
            schedule: reader.c_string("schedule_delivery_time", 17)?,
            validity: reader.c_string("validity_period", 17)?,
            registered_delivery: reader.u8()?,
            replace_if_present: reader.u8()?,
            data_coding: reader.u8()?,
            default_message: reader.u8()?,
            short_message: {
                let length = reader.u8()?;
                reader.take(usize::from(length))?.to_vec()
            },
            tlvs: read_tlvs(reader)?,
        })
    }
}

/// A validity_period relative to the moment that the centre gets it (7.1.1.2): at least one second, at most 30 days,
/// which is more than centres grant.
#[must_use]
pub fn relative_validity(ms: i64) -> String {
    let seconds = (ms / 1_000).clamp(1, 30 * 86_400);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    format!("0000{days:02}{:02}{:02}{:02}000R", rest / 3_600, rest / 60 % 60, rest % 60)
}

/// An optional parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tlv {
    /// Which one.
    pub tag: u16,
    /// Its value.
    pub value: Vec<u8>,
}

pub(super) fn put_tlvs(tlvs: &[Tlv], out: &mut Vec<u8>) -> Result<(), BadPdu> {
    if tlvs.len() > MOST_TLVS {
        return Err(BadPdu::Tlvs(MOST_TLVS));
    }
    for tlv in tlvs {
        let length = u16::try_from(tlv.value.len()).map_err(|_| BadPdu::Text("optional parameter"))?;
        out.extend_from_slice(&tlv.tag.to_be_bytes());
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&tlv.value);
    }
    Ok(())
}

pub(super) fn read_tlvs(reader: &mut Reader<'_>) -> Result<Vec<Tlv>, BadPdu> {
    let mut tlvs = Vec::new();
    while !reader.rest.is_empty() {
        if tlvs.len() == MOST_TLVS {
            return Err(BadPdu::Tlvs(MOST_TLVS));
        }
        let (tag, length) = (reader.u16()?, reader.u16()?);
        tlvs.push(Tlv { tag, value: reader.take(usize::from(length))?.to_vec() });
    }
    Ok(tlvs)
}
