//! A server message as it grows: header, Status, commands, never above the limit.

use std::{collections::VecDeque, mem};

use postern_wire::{
    auth,
    syncml::{
        self, Alert, Command, Cred, Data, EncodeError, Encoding, Item, Location, Message, Meta, Status,
        Style, SyncHdr, Version,
    },
};
use secrecy::ExposeSecret;

use super::{Reply, SessionConfig, Turn, build};
use crate::account::{Quirks, ServerAccount, ServerScheme};

/// A message being put together.
#[derive(Debug)]
pub(super) struct Composer {
    style: Style,
    header: SyncHdr,
    body: Vec<Command>,
    limit: usize,
    /// Octets of the frame and of the Status for SyncHdr.
    base: usize,
    used: usize,
    next: u32,
}

impl Composer {
    /// An empty reply to the turn's message.
    pub(super) fn reply(
        turn: &Turn<'_>,
        msg_id: u32,
        server: Option<&ServerAccount>,
        config: &SessionConfig,
        limit: u64,
    ) -> Self {
        let request = &turn.decoded.message.header;
        let version = version(request).unwrap_or(turn.decoded.style.version);
        let style = Style { version, ..turn.decoded.style };
        let header = SyncHdr {
            ver_dtd: version.ver_dtd().to_owned(),
            ver_proto: version.ver_proto().to_owned(),
            session_id: request.session_id.clone(),
            msg_id,
            target: Location::uri(request.source.uri.clone()),
            source: Location {
                uri: request.target.uri.clone(),
                name: server.map(|server| server.server_id.clone()),
            },
            cred: server.and_then(credentials),
            meta: Meta {
                max_msg_size: Some(config.max_msg_size),
                max_obj_size: Some(config.max_obj_size),
                ..Meta::default()
            },
            ..SyncHdr::default()
        };
        let base = syncml::frame_len(&header, true, &style);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Self { style, header, body: Vec::new(), limit, base, used: base, next: 1 }
    }

    /// The CmdID that the next command gets.
    pub(super) const fn next_id(&self) -> u32 {
        self.next
    }

    /// Adds commands that carry [`Self::next_id`] and those after it, if all of them fit.
    pub(super) fn push_all(&mut self, commands: Vec<Command>, octets: usize) -> bool {
        let used = self.used.saturating_add(octets);
        let fits = used <= self.limit;
        if fits {
            self.used = used;
            self.next += commands.iter().map(build::ids).sum::<u32>();
            if self.body.is_empty() {
                self.base = used;
            }
            self.body.extend(commands);
        }
        fits
    }

    fn push(&mut self, command: Command) -> bool {
        let octets = syncml::command_len(&command, &self.style);
        self.push_all(vec![command], octets)
    }

    /// Adds a Status, if it fits.
    pub(super) fn status(&mut self, status: &Status) -> bool {
        self.push(Command::Status(Status { cmd_id: self.next, ..status.clone() }))
    }

    /// Adds an Alert without Items, if it fits.
    pub(super) fn alert(&mut self, code: u32) -> bool {
        self.push(Command::Alert(Alert { cmd_id: self.next, code, ..Alert::default() }))
    }

    /// Tells that the object at `uri` was broken off (Alert 1225), if it fits.
    pub(super) fn broken_off(&mut self, uri: &str) -> bool {
        let item = Item { source: Some(Location::uri(uri)), ..Item::default() };
        self.push(Command::Alert(Alert {
            cmd_id: self.next,
            code: 1225,
            items: vec![item],
            ..Alert::default()
        }))
    }

    /// Octets that are left.
    pub(super) const fn room(&self) -> usize {
        self.limit.saturating_sub(self.used)
    }

    /// The encoding that the message goes out in.
    pub(super) const fn encoding(&self) -> Encoding {
        self.style.encoding
    }

    /// Takes back everything after the first `len` commands; Status goes to the front of `backlog`.
    pub(super) fn truncate(&mut self, len: usize, backlog: &mut VecDeque<Status>) {
        while self.body.len() > len {
            let Some(command) = self.body.pop() else { return };
            self.used = self.used.saturating_sub(syncml::command_len(&command, &self.style));
            self.next -= build::ids(&command);
            if let Command::Status(status) = command {
                backlog.push_front(status);
            }
        }
    }

    /// How many commands there are, Status counted.
    pub(super) const fn len(&self) -> usize {
        self.body.len()
    }

    /// Whether so many octets would fit beside nothing but the Status for SyncHdr.
    pub(super) const fn could_ever_fit(&self, octets: usize) -> bool {
        self.base.saturating_add(octets) <= self.limit
    }

    /// Octets of these commands in this message's style.
    pub(super) fn octets(&self, commands: &[Command]) -> usize {
        commands.iter().map(|command| syncml::command_len(command, &self.style)).sum()
    }

    /// Whether these commands can be written at all in this message's encoding.
    pub(super) fn can_encode(&self, commands: Vec<Command>) -> bool {
        let message = Message {
            version: self.style.version,
            header: self.header.clone(),
            body: commands,
            is_final: true,
        };
        syncml::encode(&message, &self.style).is_ok()
    }

    /// The encoded reply. After an error everything is as it was.
    pub(super) fn finish(&mut self, is_final: bool, close: bool) -> Result<Reply, EncodeError> {
        let style = self.style;
        let (header, body) = (mem::take(&mut self.header), mem::take(&mut self.body));
        let message = Message { version: style.version, header, body, is_final };
        let encoded = syncml::encode(&message, &style);
        Message { header: self.header, body: self.body, .. } = message;
        let body = encoded?;
        debug_assert!(body.len() <= self.used, "the sizes of wire are exact");
        Ok(Reply::Message { body, content_type: style.media_type().header_value(), hmac: None, close })
    }
}

/// The version that a header names, when VerDTD and VerProto are a known pair.
pub(super) fn version(header: &SyncHdr) -> Option<Version> {
    [Version::V1_2, Version::V1_1].into_iter().find(|version| {
        header.ver_dtd.trim() == version.ver_dtd() && header.ver_proto.trim() == version.ver_proto()
    })
}

/// The largest message that the device takes, in octets.
pub(super) fn limit(announced: Option<u64>, quirks: Quirks, config: &SessionConfig) -> u64 {
    let model = quirks.max_message_octets.map(u64::from);
    let known = match (announced.filter(|&octets| octets > 0), model) {
        (Some(announced), Some(model)) => announced.min(model),
        (Some(octets), None) | (None, Some(octets)) => octets,
        (None, None) => config.reply_octets,
    };
    known.min(config.largest_reply_octets)
}

/// The Status for SyncHdr of the turn's message.
pub(super) fn header_status(turn: &Turn<'_>, code: u32, chal: Option<Meta>) -> Status {
    let header = &turn.decoded.message.header;
    Status {
        msg_ref: Some(header.msg_id),
        cmd: "SyncHdr".to_owned(),
        target_refs: vec![header.target.uri.clone()],
        source_refs: vec![header.source.uri.clone()],
        chal,
        code,
        ..Status::default()
    }
}

/// A challenge: Format, Type and, for schemes that have one, the nonce.
pub(super) fn challenge(type_: &str, nonce: Option<&[u8]>) -> Meta {
    Meta {
        format: Some("b64".to_owned()),
        type_: Some(type_.to_owned()),
        next_nonce: nonce.map(auth::encode_nonce),
        ..Meta::default()
    }
}

/// An Item that holds text only.
pub(super) fn text_item(text: &str) -> Item {
    Item { data: Some(Data::from(text)), ..Item::default() }
}

/// Our credentials towards the device, in every message (AM-10); a MAC is a header, never Cred.
fn credentials(server: &ServerAccount) -> Option<Cred> {
    let password = server.password.expose_secret();
    let (type_, data) = match server.scheme {
        ServerScheme::Basic => (auth::TYPE_BASIC, auth::basic(&server.server_id, password)),
        ServerScheme::Md5 => {
            let hash = auth::user_password_hash(&server.server_id, password);
            (auth::TYPE_MD5, auth::md5_digest(&hash, &server.nonce))
        }
        ServerScheme::Mac => return None,
    };
    Some(Cred { meta: challenge(type_, None), data: Data::Text(data) })
}
