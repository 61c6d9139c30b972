//! A device's message with other secrets: it proves as much as before, to a session that has those.
//!
//! Octets stay what they were but for what is put in other words; where that cannot be done in place (a value of another
//! length in WBXML, a secret in the body) the message is written again from what was understood of it, in its own style.

use postern_wire::{
    auth::{self, HmacHeader},
    recovery::Sealed,
    route::RouteId,
    syncml::{self, Command, Data, Decoded, Limits, MediaType, Message, Meta},
    terms::{AuthType, UtcMillis},
};
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};

use super::PASSWORD;
use crate::{
    account::Peer,
    mask,
    nonce::DEFAULT_NONCES,
    queue::{Body, BodyItem, PendingCommand},
    session::{
        Inbound, Session,
        over::{self, Over},
    },
};

/// What stands in the place of a message that cannot be read, because its secrets cannot be found.
const UNREADABLE: &[u8] = b"(a message that cannot be read is not kept)";
/// A text of fewer characters may stand in a message by chance.
const SHORT: usize = 8;
/// Characters of a route.
const ROUTE: usize = 26;

/// Takes the secrets out of what a true session hears, and puts a transcript's in.
#[derive(Clone, Copy)]
pub(super) struct Rekey<'a> {
    pub(super) truth: &'a Session,
    pub(super) play: &'a Session,
    pub(super) described: mask::Described<'a>,
    pub(super) now: UtcMillis,
}

/// What is put in the place of what.
type Swaps = Vec<(String, String)>;

impl Rekey<'_> {
    /// The message and its sender as the transcript has them.
    pub(super) fn inbound(&self, inbound: &Inbound<'_>) -> (Vec<u8>, Peer) {
        let mut peer = inbound.peer.clone();
        let media = MediaType::parse(inbound.content_type);
        let decoded = media.and_then(|media| {
            let decoded = syncml::decode(inbound.body, media.encoding(), &Limits::default()).ok()?;
            Some(Decoded { style: decoded.style.with_family(media.family()), ..decoded })
        });
        let Some(decoded) = decoded else {
            peer.hmac = peer.hmac.map(|_| unreadable_mac());
            return (UNREADABLE.to_vec(), peer);
        };
        let body = self.body(inbound, &decoded);
        if let Some(hmac) = &inbound.peer.hmac {
            peer.hmac = Some(self.hmac(hmac, inbound, &decoded, &body));
        }
        (body, peer)
    }

    fn body(&self, inbound: &Inbound<'_>, decoded: &Decoded) -> Vec<u8> {
        let mut message = decoded.message.clone();
        let mut swaps = Swaps::new();
        let mut in_place = true;
        let new_cred = self.cred(inbound, decoded);
        if let (Some(cred), Some(new)) = (&mut message.header.cred, new_cred) {
            let old = text(&cred.data).trim().to_owned();
            in_place &= old.len() >= SHORT;
            swaps.push((old, new.clone()));
            cred.data = Data::Text(new);
        }
        for command in &mut message.body {
            let Command::Status(status) = command else { continue };
            let Some(Meta { next_nonce: Some(old), .. }) = &mut status.chal else { continue };
            let Some(octets) = auth::decode_nonce(old) else { continue };
            let new = auth::encode_nonce(&nonce(&octets));
            if *old != new {
                in_place &= old.len() >= SHORT;
                swaps.push((old.trim().to_owned(), new.clone()));
                *old = new;
            }
        }
        mask::for_each_secret(&mut message, self.described, &mut |data| {
            in_place = false;
            *data = filler(data);
        });
        let route = route_of(&decoded.message.header.target.uri);
        swaps.extend(route.iter().map(|route| (route.clone(), test_route())));
        let patched = in_place.then(|| patch(inbound.body, &swaps));
        let fits = |octets: &Vec<u8>| {
            let read = syncml::decode(octets, decoded.style.encoding, &Limits::default());
            read.is_ok_and(|read| same(&read.message, &message, route.as_deref()))
        };
        if let Some(patched) = patched.filter(fits) {
            return patched;
        }
        let swaps: Swaps = route.into_iter().map(|route| (route, test_route())).collect();
        match syncml::encode(&message, &decoded.style) {
            Ok(octets) => patch(&octets, &swaps),
            Err(_) => UNREADABLE.to_vec(),
        }
    }

    /// The data of Cred in the transcript's words.
    fn cred(&self, inbound: &Inbound<'_>, decoded: &Decoded) -> Option<String> {
        let cred = decoded.message.header.cred.as_ref()?;
        let over = self.truth.credentials_over(decoded, inbound.body, inbound.peer, self.now);
        let user = self.play.account().credential.as_ref().map_or("", |credential| &credential.user);
        Some(match over::scheme_of(cred.meta.type_.as_deref(), self.truth.account().auth) {
            Some(AuthType::Basic) if over == Over::Password => auth::basic(user, PASSWORD),
            Some(AuthType::Basic) => auth::basic(user, "another-password"),
            Some(AuthType::Md5) => {
                let nonce = self.play.nonce_of(over, decoded, inbound.peer, self.now);
                auth::md5_digest(&self.hash(), &nonce.unwrap_or_else(wrong_nonce))
            }
            _ => "x".repeat(text(&cred.data).len()),
        })
    }

    fn hmac(&self, given: &HmacHeader, inbound: &Inbound<'_>, decoded: &Decoded, body: &[u8]) -> HmacHeader {
        if given.mac.is_empty() {
            return unreadable_mac();
        }
        let over = self.truth.mac_over(decoded, inbound.body, inbound.peer, self.now);
        let nonce = self.play.nonce_of(over, decoded, inbound.peer, self.now);
        let mac = auth::mac(&self.hash(), &nonce.unwrap_or_else(wrong_nonce), body);
        HmacHeader { username: given.username.clone(), mac }
    }

    fn hash(&self) -> String {
        let credential = self.play.account().credential.as_ref();
        credential.map_or_else(String::new, |credential| credential.hash.expose_secret().to_owned())
    }
}

fn unreadable_mac() -> HmacHeader {
    HmacHeader { username: String::new(), mac: String::new() }
}

fn wrong_nonce() -> Vec<u8> {
    b"a nonce that nobody gave".to_vec()
}

/// A nonce that the device gave, in other words of the same length; the default ones are known to everybody.
pub(super) fn nonce(given: &[u8]) -> Vec<u8> {
    if given.is_empty() || DEFAULT_NONCES.contains(&given) {
        return given.to_vec();
    }
    let mut made = Vec::with_capacity(given.len() + 32);
    while made.len() < given.len() {
        let mut hash = Sha256::new();
        hash.update(b"nonce of a transcript");
        hash.update((made.len() as u64).to_be_bytes());
        hash.update(given);
        made.extend_from_slice(&hash.finalize());
    }
    made.truncate(given.len());
    made
}

/// What was pending, without the values of secret nodes, and with the transcript's route.
pub(super) fn commands<'a>(
    queue: impl Iterator<Item = &'a PendingCommand>,
    route: Option<&str>,
    described: mask::Described<'_>,
) -> Vec<PendingCommand> {
    let mut all: Vec<_> = queue.cloned().collect();
    for command in &mut all {
        self::command(&mut command.body, route, described);
    }
    all
}

fn command(body: &mut Body, route: Option<&str>, described: mask::Described<'_>) {
    match body {
        Body::Plain { items, .. } => items.iter_mut().for_each(|item| self::item(item, route, described)),
        Body::Atomic(children) | Body::Sequence(children) => {
            children.iter_mut().for_each(|child| command(child, route, described));
        }
        Body::UserAlert { .. } => {}
    }
}

fn item(item: &mut BodyItem, route: Option<&str>, described: mask::Described<'_>) {
    let Some(data) = &mut item.data else { return };
    if mask::is_secret(&[&item.target], data, item.type_.as_deref(), described) {
        *data = filler(data);
    }
    if let (Some(route), Data::Text(text) | Data::Markup(text)) = (route, data)
        && text.contains(route)
    {
        *text = text.replace(route, &test_route());
    }
}

fn filler(data: &Data) -> Data {
    match data {
        // The engine refuses a sealed password that it cannot read: it stays one, of nothing.
        Data::Text(text) if Sealed::parse(text).is_ok() => {
            let (header, parts) = text.split_once('.').unwrap_or_default();
            let blank = |one: char| if one == '.' { '.' } else { 'A' };
            Data::Text(format!("{header}.{}", parts.chars().map(blank).collect::<String>()))
        }
        Data::Text(text) => Data::Text("x".repeat(text.len())),
        // Inside a tree nothing says how long the one value was.
        Data::Markup(_) => Data::Text("x".to_owned()),
        Data::Binary(octets) => Data::Binary(vec![b'x'; octets.len()]),
    }
}

/// The route that an address of ours names.
pub(super) fn route_of(uri: &str) -> Option<String> {
    let at = uri.find("/dm/1/")? + "/dm/1/".len();
    let route = uri.get(at..at + ROUTE)?;
    RouteId::parse(route).is_ok().then(|| route.to_owned())
}

fn test_route() -> String {
    RouteId::from_bytes(*b"transcript-route").to_string()
}

fn text(data: &Data) -> &str {
    data.as_text().unwrap_or_default()
}

/// Whether a message that was changed in place says what it is to say.
fn same(read: &Message, wanted: &Message, route: Option<&str>) -> bool {
    let cred =
        |message: &Message| message.header.cred.as_ref().map(|cred| text(&cred.data).trim().to_owned());
    let gone = |text: &str| route.is_none_or(|route| !text.contains(route));
    let nonces = |message: &Message| -> Vec<Option<String>> {
        let statuses = message.body.iter().filter_map(|command| match command {
            Command::Status(status) => Some(status.chal.as_ref().and_then(|chal| chal.next_nonce.clone())),
            _ => None,
        });
        statuses.collect()
    };
    cred(read) == cred(wanted)
        && nonces(read) == nonces(wanted)
        && read.body.len() == wanted.body.len()
        && gone(&format!("{read:?}"))
}

fn patch(octets: &[u8], swaps: &Swaps) -> Vec<u8> {
    let mut octets = octets.to_vec();
    for (old, new) in swaps.iter().filter(|(old, _)| !old.is_empty()) {
        octets = replace(&octets, old.as_bytes(), new.as_bytes());
    }
    octets
}

fn replace(octets: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut made = Vec::with_capacity(octets.len());
    let mut rest = octets;
    while !rest.is_empty() {
        match rest.strip_prefix(old) {
            Some(after) => {
                made.extend_from_slice(new);
                rest = after;
            }
            None => {
                made.push(rest[0]);
                rest = &rest[1..];
            }
        }
    }
    made
}
