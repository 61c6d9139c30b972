//! Mutants: each alters what the peer under test says, so that one rule is broken.
//!
//! A mutant stands between a case and its peer, as a faulty peer would look from the case. It has no state of its
//! own; [`Passing::nth`] tells it how far the case has come. A case that passes with its mutant in between would
//! prove nothing, and the tests refuse it.

use postern_wire::{
    auth,
    syncml::{
        self, Command, DecodeError, DecodeErrorKind, Decoded, Item, Limits, Location, MediaType, Message,
        Meta, Place, Repairs, Request, Status, Style, SyncHdr, Version,
    },
};
use serde_json::Value;

use super::http::{self, HttpsUrl, Response, connect, field};

/// Alters one thing that passes.
pub type Tamper = fn(&mut Passing<'_>);

/// What passes between a case and its peer.
pub struct Passing<'a> {
    /// How many things of the same kind passed before in this case.
    pub nth: u32,
    /// The thing.
    pub thing: Thing<'a>,
}

/// The kinds of things.
pub enum Thing<'a> {
    /// An HTTP request, of a case to a server or of a client to a case.
    Request(&'a mut http::Request),
    /// An HTTP answer, of a server to a case or of a case to a client.
    Answer(&'a mut Response),
    /// What the operator of a server answered to a verb.
    Operator(&'a str, &'a mut Value),
    /// A message that the codec read.
    Read(&'a mut Result<Decoded, DecodeError>),
    /// Octets that the codec or another writer wrote.
    Written(&'a mut Vec<u8>),
    /// A text that the codec made or read.
    Text(&'a mut Result<String, String>),
    /// A media type that was read.
    Media(&'a mut Option<MediaType>),
    /// A yes or a no.
    Judged(&'a mut bool),
}

impl Passing<'_> {
    /// Alters a message that was read.
    pub fn read(&mut self, alter: impl FnOnce(&mut Message)) {
        if let Thing::Read(Ok(decoded)) = &mut self.thing {
            alter(&mut decoded.message);
        }
    }

    /// Lets a message be read that was refused, as if nothing were wrong with it.
    pub fn accept(&mut self) {
        if let Thing::Read(read) = &mut self.thing
            && read.is_err()
        {
            let style = Style::xml(Version::V1_2);
            let message = Message {
                version: Version::V1_2,
                header: SyncHdr::default(),
                body: Vec::new(),
                is_final: true,
            };
            **read = Ok(Decoded { message, style, repairs: Repairs::default() });
        }
    }

    /// Refuses a message that was read.
    pub fn refuse(&mut self) {
        if let Thing::Read(read) = &mut self.thing {
            **read = Err(DecodeError { kind: DecodeErrorKind::Empty, place: Place::default() });
        }
    }

    /// Alters octets that were written.
    pub fn written(&mut self, alter: impl FnOnce(&mut Vec<u8>)) {
        if let Thing::Written(octets) = &mut self.thing {
            alter(octets);
        }
    }

    /// Replaces a piece of what was written.
    pub fn replace(&mut self, from: &str, to: &str) {
        self.written(|octets| {
            let at = octets.windows(from.len()).position(|window| window == from.as_bytes());
            if let Some(at) = at {
                octets.splice(at..at + from.len(), to.bytes());
            }
        });
    }

    /// Alters a text.
    pub fn text(&mut self, alter: impl FnOnce(&mut String)) {
        if let Thing::Text(Ok(text)) = &mut self.thing {
            alter(text);
        }
    }

    /// Alters the message in an HTTP answer; what is no message stays.
    pub fn answer(&mut self, alter: impl FnOnce(&mut Message)) {
        if let Thing::Answer(answer) = &mut self.thing {
            rewrite(&answer.headers, &mut answer.body, alter);
        }
    }

    /// Alters the message in an HTTP request.
    pub fn request(&mut self, alter: impl FnOnce(&mut Message)) {
        if let Thing::Request(request) = &mut self.thing {
            rewrite(&request.headers, &mut request.body, alter);
        }
    }

    /// Alters an HTTP answer.
    pub fn http(&mut self, alter: impl FnOnce(&mut Response)) {
        if let Thing::Answer(answer) = &mut self.thing {
            alter(answer);
        }
    }

    /// Alters what the operator answered to `verb`.
    pub fn operator(&mut self, verb: &str, alter: impl FnOnce(&mut Value)) {
        if let Thing::Operator(asked, answer) = &mut self.thing
            && *asked == verb
        {
            alter(answer);
        }
    }
}

fn rewrite(headers: &[(String, String)], body: &mut Vec<u8>, alter: impl FnOnce(&mut Message)) {
    let media = field(headers, "content-type").and_then(MediaType::parse);
    let Some(media) = media else { return };
    let Ok(mut decoded) = syncml::decode(body, media.encoding(), &Limits::default()) else { return };
    alter(&mut decoded.message);
    if let Ok(octets) = syncml::encode(&decoded.message, &decoded.style) {
        *body = octets;
    }
}

/// Alters the Status for SyncHdr.
pub fn header(alter: impl Fn(&mut Status)) -> impl FnOnce(&mut Message) {
    move |message| {
        each_status(message, |status| {
            if status.cmd_ref == 0 {
                alter(status);
            }
        });
    }
}

/// Alters each Status.
pub fn each_status(message: &mut Message, alter: impl Fn(&mut Status)) {
    for command in &mut message.body {
        if let Command::Status(status) = command {
            alter(status);
        }
    }
}

/// A Get that no rule wants where a mutant puts it.
#[must_use]
pub fn a_get() -> Command {
    let target = Some(Location::uri("./DevInfo/Mod"));
    Command::Get(Request {
        cmd_id: 77,
        items: vec![Item { target, ..Item::default() }],
        ..Request::default()
    })
}

/// A challenge with a nonce that is always the same.
#[must_use]
pub fn challenge() -> Meta {
    Meta {
        format: Some("b64".to_owned()),
        type_: Some(auth::TYPE_MD5.to_owned()),
        next_nonce: Some(auth::encode_nonce(b"0123456789abcdef")),
        ..Meta::default()
    }
}

/// Connects to the RespURI of a request, as a server would that believes it.
pub fn call_back(passing: &mut Passing<'_>) {
    passing.request(|message| {
        let url = message.header.resp_uri.as_deref().and_then(HttpsUrl::parse);
        let _ = url.map(|url| connect(&url));
    });
}

/// Alters each item of each command.
pub fn each_item(message: &mut Message, alter: impl Fn(&mut Item)) {
    for command in &mut message.body {
        if let Command::Add(request) | Command::Replace(request) | Command::Get(request) = command {
            request.items.iter_mut().for_each(&alter);
        }
    }
}
