//! The JSON form of a SyncML message: wire's message model, one JSON member for each element.
//!
//! Promise: message → form → JSON → form → message gives an equal message (tested over every shape), and
//! what is absent in the message is absent in the JSON. Names are the elements' own in snake_case. Character
//! data is a JSON string; octets that are not text are `{"base64": …}`, markup inside Data is
//! `{"markup": …}`. Unknown members are refused, so that a typing error is not lost.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use postern_wire::syncml::model;
use serde::{Deserialize, Serialize};

/// A whole message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// `1.1` or `1.2`.
    pub version: Version,
    /// SyncHdr.
    pub header: Header,
    /// The commands of SyncBody in the order sent.
    pub body: Vec<Command>,
    /// Whether SyncBody ends with Final.
    #[serde(rename = "final")]
    pub is_final: bool,
}

/// The generation of SyncML.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Version {
    /// OMA DM 1.1.2.
    #[serde(rename = "1.1")]
    V1_1,
    /// OMA DM 1.2.
    #[serde(rename = "1.2")]
    V1_2,
}

/// SyncHdr.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// VerDTD.
    pub ver_dtd: String,
    /// VerProto.
    pub ver_proto: String,
    /// SessionID.
    pub session_id: String,
    /// MsgID.
    pub msg_id: u32,
    /// Target.
    pub target: Location,
    /// Source.
    pub source: Location,
    /// RespURI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resp_uri: Option<String>,
    /// NoResp.
    #[serde(default, skip_serializing_if = "is_false")]
    pub no_resp: bool,
    /// Cred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cred: Option<Cred>,
    /// Meta.
    #[serde(default, skip_serializing_if = "Meta::is_empty")]
    pub meta: Meta,
}

/// Target or Source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Location {
    /// LocURI.
    pub uri: String,
    /// LocName.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Cred.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cred {
    /// Meta.
    #[serde(default, skip_serializing_if = "Meta::is_empty")]
    pub meta: Meta,
    /// Data.
    pub data: Data,
}

/// Meta.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Meta {
    /// Format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Type.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// Mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
    /// Size in octets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// NextNonce.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_nonce: Option<String>,
    /// Version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// MaxMsgSize in octets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_msg_size: Option<u64>,
    /// MaxObjSize in octets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_obj_size: Option<u64>,
    /// EMI elements.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub emi: Vec<String>,
}

impl Meta {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The content of a Data element.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Data {
    /// Character data.
    Text(String),
    /// Octets that are not text.
    Binary {
        /// In standard base64 with padding.
        base64: Octets,
    },
    /// Markup inside Data.
    Markup {
        /// A well-formed XML fragment.
        markup: String,
    },
}

/// Octets, in base64 in JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Octets(pub Vec<u8>);

impl Serialize for Octets {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// One command, status or result; the member `command` names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
#[expect(clippy::large_enum_variant, reason = "short-lived values of a command-line tool")]
pub enum Command {
    /// Alert.
    Alert(Alert),
    /// Add.
    Add(Request),
    /// Replace.
    Replace(Request),
    /// Get.
    Get(Request),
    /// Delete.
    Delete(Request),
    /// Copy.
    Copy(Request),
    /// Exec.
    Exec(Request),
    /// Atomic.
    Atomic(Group),
    /// Sequence.
    Sequence(Group),
    /// Results.
    Results(Results),
    /// Status.
    Status(Status),
    /// An element that OMA DM does not know.
    Unknown {
        /// Its local name.
        name: String,
        /// Its CmdID.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cmd_id: Option<u32>,
    },
}

/// The content of Add, Replace, Get, Delete, Copy and Exec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// CmdID.
    pub cmd_id: u32,
    /// NoResp.
    #[serde(default, skip_serializing_if = "is_false")]
    pub no_resp: bool,
    /// Meta.
    #[serde(default, skip_serializing_if = "Meta::is_empty")]
    pub meta: Meta,
    /// Correlator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlator: Option<String>,
    /// Item elements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Item>,
}

/// Alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// CmdID.
    pub cmd_id: u32,
    /// NoResp.
    #[serde(default, skip_serializing_if = "is_false")]
    pub no_resp: bool,
    /// Data: the alert code.
    pub code: u32,
    /// Correlator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlator: Option<String>,
    /// Item elements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Item>,
}

/// Atomic or Sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// CmdID.
    pub cmd_id: u32,
    /// NoResp.
    #[serde(default, skip_serializing_if = "is_false")]
    pub no_resp: bool,
    /// Meta.
    #[serde(default, skip_serializing_if = "Meta::is_empty")]
    pub meta: Meta,
    /// The commands inside.
    pub commands: Vec<Command>,
}

/// Results.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Results {
    /// CmdID.
    pub cmd_id: u32,
    /// MsgRef.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub msg_ref: Option<u32>,
    /// CmdRef.
    pub cmd_ref: u32,
    /// Meta.
    #[serde(default, skip_serializing_if = "Meta::is_empty")]
    pub meta: Meta,
    /// TargetRef.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_ref: Option<String>,
    /// SourceRef.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_ref: Option<String>,
    /// Item elements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Item>,
}

/// Status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// CmdID.
    pub cmd_id: u32,
    /// MsgRef.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub msg_ref: Option<u32>,
    /// CmdRef.
    pub cmd_ref: u32,
    /// Cmd.
    pub cmd: String,
    /// TargetRef elements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target_refs: Vec<String>,
    /// SourceRef elements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_refs: Vec<String>,
    /// Cred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cred: Option<Cred>,
    /// The Meta inside Chal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chal: Option<Meta>,
    /// Data: the status code.
    pub code: u32,
    /// Item elements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Item>,
}

/// Item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Location>,
    /// Source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Location>,
    /// Meta.
    #[serde(default, skip_serializing_if = "Meta::is_empty")]
    pub meta: Meta,
    /// Data; absent is no element, which is not the same as an empty one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Data>,
    /// MoreData.
    #[serde(default, skip_serializing_if = "is_false")]
    pub more_data: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if gives a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Conversions both ways between a form and the model where the members have the same names. Each side is
/// taken apart completely, so a member that one of them lacks does not compile.
macro_rules! same_members {
    ($($form:ident = $model:path { $($member:ident),+ $(,)? })+) => { $(
        impl From<$model> for $form {
            fn from(value: $model) -> Self {
                let $model { $($member),+ } = value;
                Self { $($member: $member.convert()),+ }
            }
        }
        impl From<$form> for $model {
            fn from(value: $form) -> Self {
                let $form { $($member),+ } = value;
                Self { $($member: $member.convert()),+ }
            }
        }
    )+ };
}

same_members! {
    Message = model::Message { version, header, body, is_final }
    Header = model::SyncHdr { ver_dtd, ver_proto, session_id, msg_id, target, source, resp_uri, no_resp, cred, meta }
    Location = model::Location { uri, name }
    Cred = model::Cred { meta, data }
    Meta = model::Meta { format, type_, mark, size, next_nonce, version, max_msg_size, max_obj_size, emi }
    Request = model::Request { cmd_id, no_resp, meta, correlator, items }
    Alert = model::Alert { cmd_id, no_resp, code, correlator, items }
    Group = model::Group { cmd_id, no_resp, meta, commands }
    Results = model::Results { cmd_id, msg_ref, cmd_ref, meta, target_ref, source_ref, items }
    Status = model::Status { cmd_id, msg_ref, cmd_ref, cmd, target_refs, source_refs, cred, chal, code, items }
    Item = model::Item { target, source, meta, data, more_data }
}

/// The same for enumerations whose variants have the same names.
macro_rules! same_variants {
    ($form:ident = $model:path { $($variant:ident),+ $(,)? } ) => {
        impl From<model::Command> for $form {
            fn from(value: model::Command) -> Self {
                match value {
                    $(model::Command::$variant(inner) => Self::$variant(inner.convert()),)+
                    model::Command::Unknown { name, cmd_id } => Self::Unknown { name, cmd_id },
                }
            }
        }
        impl From<$form> for model::Command {
            fn from(value: $form) -> Self {
                match value {
                    $($form::$variant(inner) => Self::$variant(inner.convert()),)+
                    $form::Unknown { name, cmd_id } => Self::Unknown { name, cmd_id },
                }
            }
        }
    };
}

same_variants!(
    Command =
        model::Command { Alert, Add, Replace, Get, Delete, Copy, Exec, Atomic, Sequence, Results, Status }
);

impl From<model::Version> for Version {
    fn from(value: model::Version) -> Self {
        match value {
            model::Version::V1_1 => Self::V1_1,
            model::Version::V1_2 => Self::V1_2,
        }
    }
}

impl From<Version> for model::Version {
    fn from(value: Version) -> Self {
        match value {
            Version::V1_1 => Self::V1_1,
            Version::V1_2 => Self::V1_2,
        }
    }
}

impl From<model::Data> for Data {
    fn from(value: model::Data) -> Self {
        match value {
            model::Data::Text(text) => Self::Text(text),
            model::Data::Binary(octets) => Self::Binary { base64: Octets(octets) },
            model::Data::Markup(markup) => Self::Markup { markup },
        }
    }
}

impl From<Data> for model::Data {
    fn from(value: Data) -> Self {
        match value {
            Data::Text(text) => Self::Text(text),
            Data::Binary { base64: Octets(octets) } => Self::Binary(octets),
            Data::Markup { markup } => Self::Markup(markup),
        }
    }
}

/// `Into` that also goes through `Option` and `Vec`, which the standard library cannot offer.
trait Convert<T> {
    fn convert(self) -> T;
}

macro_rules! convert_with_into {
    ($($from:ty => $to:ty),+ $(,)?) => { $(
        impl Convert<$to> for $from { fn convert(self) -> $to { self.into() } }
        impl Convert<$from> for $to { fn convert(self) -> $from { self.into() } }
    )+ };
}

convert_with_into! {
    Version => model::Version, Header => model::SyncHdr, Location => model::Location, Cred => model::Cred,
    Meta => model::Meta, Data => model::Data, Command => model::Command, Request => model::Request,
    Alert => model::Alert, Group => model::Group, Results => model::Results, Status => model::Status,
    Item => model::Item,
}

macro_rules! convert_as_is {
    ($($same:ty),+) => { $(impl Convert<$same> for $same { fn convert(self) -> $same { self } })+ };
}

convert_as_is!(bool, u32, u64, String);

impl<T: Convert<U>, U> Convert<Option<U>> for Option<T> {
    fn convert(self) -> Option<U> {
        self.map(Convert::convert)
    }
}

impl<T: Convert<U>, U> Convert<Vec<U>> for Vec<T> {
    fn convert(self) -> Vec<U> {
        self.into_iter().map(Convert::convert).collect()
    }
}
