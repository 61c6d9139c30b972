//! The message model: what a SyncML message says, whatever its encoding and the order of its elements.
//!
//! Promise: decoding either encoding of the same message gives equal values; encoding writes DTD order.
//! Names are those of OMA-TS-SyncML-RepPro 1.2.2; what OMA DM does not use (Archive, SftDel, Map, Sync …)
//! is read over and counted as an unknown element.

/// The generation of SyncML that a message is written in. A reply uses the request's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// OMA DM 1.1.2: `1.1`, `DM/1.1`, `SYNCML:SYNCML1.1`.
    V1_1,
    /// OMA DM 1.2: `1.2`, `DM/1.2`, `SYNCML:SYNCML1.2`.
    V1_2,
}

/// One SyncML message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The representation that the namespace or public identifier named; where neither is given, VerDTD tells.
    pub version: Version,
    /// SyncHdr.
    pub header: SyncHdr,
    /// The commands of SyncBody in the order sent.
    pub body: Vec<Command>,
    /// Whether SyncBody ends with Final: the last message of its package.
    pub is_final: bool,
}

/// SyncHdr: who speaks to whom, in which session and message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncHdr {
    /// VerDTD as sent; a server refuses what it does not know with 505.
    pub ver_dtd: String,
    /// VerProto as sent; a server refuses what it does not know with 513.
    pub ver_proto: String,
    /// SessionID: opaque text, compared as text.
    pub session_id: String,
    /// MsgID: from 1, rising by 1 in each direction.
    pub msg_id: u32,
    /// Target.
    pub target: Location,
    /// Source.
    pub source: Location,
    /// RespURI: where the answer is to be sent.
    pub resp_uri: Option<String>,
    /// NoResp is present. OMA DM does not use it.
    pub no_resp: bool,
    /// Cred.
    pub cred: Option<Cred>,
    /// Meta: MaxMsgSize and MaxObjSize are the parts in use.
    pub meta: Meta,
}

/// Target or Source: LocURI and LocName.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Location {
    /// LocURI, verbatim.
    pub uri: String,
    /// LocName: a user name or server id beside credentials.
    pub name: Option<String>,
}

impl Location {
    /// A location without LocName.
    pub fn uri(uri: impl Into<String>) -> Self {
        Self { uri: uri.into(), name: None }
    }
}

/// Cred: credentials of the sender. Debug never prints the data.
#[derive(Clone, PartialEq, Eq)]
pub struct Cred {
    /// Format (usually `b64`) and Type (`syncml:auth-basic`, `syncml:auth-md5`).
    pub meta: Meta,
    /// Data, verbatim.
    pub data: Data,
}

impl std::fmt::Debug for Cred {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cred").field("type", &self.meta.type_).field("data", &"…").finish()
    }
}

/// Meta with the MetInf elements that OMA DM uses, whether or not they came inside a MetInf wrapper.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Format as sent (`chr`, `b64`, `int`, `node` …); compare without case.
    pub format: Option<String>,
    /// Type: a MIME type, an authentication type or a management object identifier.
    pub type_: Option<String>,
    /// Mark of a generic alert.
    pub mark: Option<String>,
    /// Size in octets as carried.
    pub size: Option<u64>,
    /// NextNonce in base64, verbatim; may be empty.
    pub next_nonce: Option<String>,
    /// Version.
    pub version: Option<String>,
    /// MaxMsgSize in octets.
    pub max_msg_size: Option<u64>,
    /// MaxObjSize in octets.
    pub max_obj_size: Option<u64>,
    /// EMI elements, verbatim.
    pub emi: Vec<String>,
}

impl Meta {
    /// Whether nothing is set: such a Meta is not written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The content of a Data element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// Character data; from XML always, from WBXML when the octets are UTF-8 text.
    Text(String),
    /// Octets that are not text: only WBXML can carry them; XML writes them as base64 under Format `b64`.
    Binary(Vec<u8>),
    /// Markup inside Data (a TNDS or DevInf tree): kept as a well-formed XML fragment.
    Markup(String),
}

impl Default for Data {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl Data {
    /// The text, when it is text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) | Self::Markup(_) => None,
        }
    }
}

impl From<&str> for Data {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Data {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// One command, status or result of a SyncBody.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "Status is the most frequent one: a box each would cost more than it saves"
)]
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
    /// An element of SyncBody that OMA DM does not know: answered 406 or 501, never a crash.
    Unknown {
        /// The element's local name.
        name: String,
        /// Its CmdID when it had one.
        cmd_id: Option<u32>,
    },
}

/// The content of Add, Replace, Get, Delete, Copy and Exec.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// CmdID; 0 where the sender gave none.
    pub cmd_id: u32,
    /// NoResp is present.
    pub no_resp: bool,
    /// Meta that holds for every Item without its own.
    pub meta: Meta,
    /// Correlator (Exec only, 1.2).
    pub correlator: Option<String>,
    /// Item elements.
    pub items: Vec<Item>,
}

/// Alert.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alert {
    /// CmdID; 0 where the sender gave none.
    pub cmd_id: u32,
    /// NoResp is present.
    pub no_resp: bool,
    /// Data: the alert code; 0 where it is missing or no number, which no rule knows.
    pub code: u32,
    /// Correlator of the Exec that this alert completes.
    pub correlator: Option<String>,
    /// Item elements.
    pub items: Vec<Item>,
}

/// Atomic or Sequence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// CmdID; 0 where the sender gave none.
    pub cmd_id: u32,
    /// NoResp is present.
    pub no_resp: bool,
    /// Meta.
    pub meta: Meta,
    /// The commands inside, in order.
    pub commands: Vec<Command>,
}

/// Results.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Results {
    /// CmdID; 0 where the sender gave none.
    pub cmd_id: u32,
    /// MsgRef; missing means the message that is being answered.
    pub msg_ref: Option<u32>,
    /// CmdRef.
    pub cmd_ref: u32,
    /// Meta that holds for every Item without its own.
    pub meta: Meta,
    /// TargetRef.
    pub target_ref: Option<String>,
    /// SourceRef.
    pub source_ref: Option<String>,
    /// Item elements.
    pub items: Vec<Item>,
}

/// Status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// CmdID; 0 where the sender gave none.
    pub cmd_id: u32,
    /// MsgRef; missing (real clients leave it out) means the message that is being answered.
    pub msg_ref: Option<u32>,
    /// CmdRef; 0, also where it is missing, is SyncHdr.
    pub cmd_ref: u32,
    /// Cmd: the name of the command that this answers.
    pub cmd: String,
    /// TargetRef elements.
    pub target_refs: Vec<String>,
    /// SourceRef elements.
    pub source_refs: Vec<String>,
    /// Cred (kept for completeness; OMA DM does not use it here).
    pub cred: Option<Cred>,
    /// Chal: the Meta inside it (Format, Type, NextNonce).
    pub chal: Option<Meta>,
    /// Data: the status code; 0 where it is missing or no number, which counts as a failure.
    pub code: u32,
    /// Item elements.
    pub items: Vec<Item>,
}

/// Item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// Target.
    pub target: Option<Location>,
    /// Source.
    pub source: Option<Location>,
    /// Meta of this item; overrides the command's.
    pub meta: Meta,
    /// Data; `None` is no element, which is not the same as an empty one.
    pub data: Option<Data>,
    /// MoreData is present: the object goes on in the next message.
    pub more_data: bool,
}
