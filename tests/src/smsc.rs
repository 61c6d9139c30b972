//! A short-message centre for tests: takes SMPP 3.4 on loopback, keeps what it was given, and misbehaves on demand.
//!
//! It reads and writes PDUs by itself, from the specification's tables, so that a mistake in postern-wire's codec does
//! not cancel itself out.

use std::{
    collections::{HashMap, VecDeque},
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

const SUBMIT_SM: u32 = 0x04;
const DELIVER_SM: u32 = 0x05;
const DATA_SM: u32 = 0x0103;
const UNBIND: u32 = 0x06;
const BIND_TRANSCEIVER: u32 = 0x09;
const ENQUIRE_LINK: u32 = 0x15;
const GENERIC_NACK: u32 = 0x8000_0000;
const RESPONSE: u32 = 0x8000_0000;

/// ESME_RTHROTTLED.
pub const THROTTLED: u32 = 0x58;
/// ESME_RINVDSTADR.
pub const INVALID_DESTINATION: u32 = 0x0B;
/// ESME_RSYSERR.
pub const SYSTEM_ERROR: u32 = 0x08;

/// A message that the centre was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// Its id.
    pub message_id: String,
    /// Type of number, numbering plan and address of the sender.
    pub source: (u8, u8, String),
    /// The same of the receiver.
    pub destination: (u8, u8, String),
    /// esm_class.
    pub esm_class: u8,
    /// validity_period.
    pub validity: String,
    /// registered_delivery.
    pub registered_delivery: u8,
    /// data_coding.
    pub data_coding: u8,
    /// short_message, its user data header among it.
    pub user_data: Vec<u8>,
}

/// When and how the centre sends delivery receipts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Receipts {
    /// Never by itself.
    #[default]
    None,
    /// By text, right after its response.
    Text,
    /// By optional parameters, right after its response.
    Parameters,
    /// By data_sm with the same parameters, right after its response.
    Data,
    /// By text, before its response.
    Early,
}

/// How the centre behaves.
#[derive(Debug)]
pub struct Behaviour {
    /// The password that a bind has to bear.
    pub password: String,
    /// What the next submissions are answered with, before all is well again.
    pub statuses: VecDeque<u32>,
    /// After so many more submissions that are taken, the next one is answered with this status, once.
    pub refuse_after: Option<(usize, u32)>,
    /// What submissions to a number are always answered with.
    pub numbers: HashMap<String, u32>,
    /// Delivery receipts.
    pub receipts: Receipts,
    /// Ids are given as hexadecimal numbers and come back in receipts as decimal ones.
    pub hex_ids: bool,
    /// Submissions are taken and never answered.
    pub silent: bool,
    /// enquire_link is never answered.
    pub deaf: bool,
    /// The connection is dropped after so many more submissions, before the last one's response.
    pub drop_after: Option<usize>,
}

#[derive(Debug)]
struct Inner {
    behaviour: Behaviour,
    submitted: Vec<Submitted>,
    /// Responses to our deliver_sm, by status.
    delivered: Vec<u32>,
    nacked: Vec<u32>,
    enquiries: usize,
    binds: usize,
    unbinds: usize,
    open: Vec<TcpStream>,
    next_id: u64,
}

/// A running centre. It ends when it is dropped.
#[derive(Debug)]
pub struct Smsc {
    address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
    ended: Arc<AtomicBool>,
}

impl Smsc {
    /// Starts a centre on a free loopback port, with the password `pw`.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let behaviour = Behaviour {
            password: "pw".to_owned(),
            statuses: VecDeque::new(),
            refuse_after: None,
            numbers: HashMap::new(),
            receipts: Receipts::default(),
            hex_ids: false,
            silent: false,
            deaf: false,
            drop_after: None,
        };
        let inner = Arc::new(Mutex::new(Inner {
            behaviour,
            submitted: Vec::new(),
            delivered: Vec::new(),
            nacked: Vec::new(),
            enquiries: 0,
            binds: 0,
            unbinds: 0,
            open: Vec::new(),
            next_id: 0xA0,
        }));
        let ended = Arc::new(AtomicBool::new(false));
        let (shared, stop) = (Arc::clone(&inner), Arc::clone(&ended));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::Acquire) {
                    return;
                }
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { address, inner, ended }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes how it behaves from now on.
    pub fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.lock().behaviour);
    }

    /// What it was given and took, in order.
    #[must_use]
    pub fn submitted(&self) -> Vec<Submitted> {
        self.lock().submitted.clone()
    }

    /// Statuses of the answers to its deliver_sm.
    #[must_use]
    pub fn delivered(&self) -> Vec<u32> {
        self.lock().delivered.clone()
    }

    /// Statuses of the generic_nack that it got.
    #[must_use]
    pub fn nacked(&self) -> Vec<u32> {
        self.lock().nacked.clone()
    }

    /// How often it was bound to, asked by enquire_link, and unbound from.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        let inner = self.lock();
        (inner.binds, inner.enquiries, inner.unbinds)
    }

    /// Breaks every connection off.
    pub fn disconnect(&self) {
        for stream in self.lock().open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Sends octets to whoever is bound, whatever they are.
    pub fn send_raw(&self, octets: &[u8]) {
        for stream in &mut self.lock().open {
            let _ = stream.write_all(octets);
        }
    }

    /// Sends a PDU to whoever is bound.
    pub fn send(&self, command: u32, sequence: u32, body: &[u8]) {
        self.send_raw(&pdu(command, 0, sequence, body));
    }

    /// Sends a delivery receipt by text for a message, in the state `stat`.
    pub fn send_receipt(&self, message_id: &str, stat: &str) {
        let text = format!(
            "id:{message_id} sub:001 dlvrd:001 submit date:2611220000 done date:2611220000 stat:{stat} err:000 text:"
        );
        self.send(DELIVER_SM, 9_000, &deliver(0x04, text.as_bytes(), &[]));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Smsc {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        let _ = TcpStream::connect(self.address);
        self.disconnect();
    }
}

fn serve(mut stream: TcpStream, shared: &Mutex<Inner>) {
    let lock = || shared.lock().unwrap_or_else(PoisonError::into_inner);
    let mut head = [0; 16];
    while stream.read_exact(&mut head).is_ok() {
        let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (length, command, status, sequence) = (word(0) as usize, word(4), word(8), word(12));
        let mut body = vec![0; length.saturating_sub(16).min(100_000)];
        if stream.read_exact(&mut body).is_err() {
            return;
        }
        let answers = match command {
            BIND_TRANSCEIVER => {
                let mut inner = lock();
                inner.binds += 1;
                let mut fields = body.split(|octet| *octet == 0);
                let password = fields.nth(1).unwrap_or_default();
                if password == inner.behaviour.password.as_bytes() {
                    inner.open.push(stream.try_clone().expect("a second handle on a socket"));
                    vec![pdu(command | RESPONSE, 0, sequence, b"stub\0")]
                } else {
                    vec![pdu(command | RESPONSE, 0x0E, sequence, b"")]
                }
            }
            SUBMIT_SM => match submit(&mut lock(), sequence, &body) {
                Some(answers) => answers,
                None => {
                    let _ = stream.shutdown(Shutdown::Both);
                    return;
                }
            },
            ENQUIRE_LINK => {
                let mut inner = lock();
                inner.enquiries += 1;
                if inner.behaviour.deaf {
                    Vec::new()
                } else {
                    vec![pdu(command | RESPONSE, 0, sequence, b"")]
                }
            }
            UNBIND => {
                lock().unbinds += 1;
                vec![pdu(command | RESPONSE, 0, sequence, b"")]
            }
            GENERIC_NACK => {
                lock().nacked.push(status);
                Vec::new()
            }
            _ if command == DELIVER_SM | RESPONSE || command == DATA_SM | RESPONSE => {
                lock().delivered.push(status);
                Vec::new()
            }
            _ => Vec::new(),
        };
        for answer in answers {
            if stream.write_all(&answer).is_err() {
                return;
            }
        }
    }
}

/// The answers to a submission; `None` drops the connection.
fn submit(inner: &mut Inner, sequence: u32, body: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut message = parse(body);
    let refused = |status| Some(vec![pdu(SUBMIT_SM | RESPONSE, status, sequence, b"")]);
    if let Some(left) = inner.behaviour.drop_after.as_mut() {
        *left = left.saturating_sub(1);
        if *left == 0 {
            inner.behaviour.drop_after = None;
            return None;
        }
    }
    if let Some(status) = inner.behaviour.statuses.pop_front() {
        return refused(status);
    }
    match inner.behaviour.refuse_after.take() {
        Some((0, status)) => return refused(status),
        Some((left, status)) => inner.behaviour.refuse_after = Some((left - 1, status)),
        None => {}
    }
    if let Some(status) = inner.behaviour.numbers.get(&message.destination.2) {
        return refused(*status);
    }
    inner.next_id += 1;
    let id = inner.next_id;
    let (given, receipted) = if inner.behaviour.hex_ids {
        (format!("{id:X}"), id.to_string())
    } else {
        (format!("m{id}"), format!("m{id}"))
    };
    message.message_id.clone_from(&given);
    inner.submitted.push(message.clone());
    if inner.behaviour.silent {
        return Some(Vec::new());
    }
    let response = pdu(SUBMIT_SM | RESPONSE, 0, sequence, &[given.as_bytes(), b"\0"].concat());
    if message.registered_delivery == 0 {
        return Some(vec![response]);
    }
    let text = format!(
        "id:{receipted} sub:001 dlvrd:001 submit date:2611220000 done date:2611220000 stat:DELIVRD err:000 text:"
    );
    let by_text = || pdu(DELIVER_SM, 0, sequence + 1_000, &deliver(0x04, text.as_bytes(), &[]));
    Some(match inner.behaviour.receipts {
        Receipts::None => vec![response],
        Receipts::Text => vec![response, by_text()],
        Receipts::Early => vec![by_text(), response],
        how @ (Receipts::Parameters | Receipts::Data) => {
            let id = [receipted.as_bytes(), b"\0"].concat();
            let tlvs = [&[0x00, 0x1E, 0, id.len() as u8][..], &id, &[0x04, 0x27, 0, 1, 2]].concat();
            let sequence = sequence + 1_000;
            vec![
                response,
                match how {
                    Receipts::Data => {
                        let head = b"\0\x01\x0115550100001\0\x00\x01100\0\x04\0\0";
                        pdu(DATA_SM, 0, sequence, &[&head[..], &tlvs].concat())
                    }
                    _ => pdu(DELIVER_SM, 0, sequence, &deliver(0x04, b"", &tlvs)),
                },
            ]
        }
    })
}

/// A PDU: length, command id, status, sequence number, body.
#[must_use]
pub fn pdu(command: u32, status: u32, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = body.len() as u32 + 16;
    [&length.to_be_bytes()[..], &command.to_be_bytes(), &status.to_be_bytes(), &sequence.to_be_bytes(), body]
        .concat()
}

/// The body of a deliver_sm.
#[must_use]
pub fn deliver(esm_class: u8, short_message: &[u8], tlvs: &[u8]) -> Vec<u8> {
    let head =
        [b"\0\x01\x0115550100001\0\x00\x01100\0".as_slice(), &[esm_class, 0, 0, 0, 0, 0, 0, 0, 0]].concat();
    [&head[..], &[short_message.len() as u8], short_message, tlvs].concat()
}

/// The fields of a submit_sm in their order (4.4.1).
fn parse(body: &[u8]) -> Submitted {
    let mut fields = Fields(body);
    let _service_type = fields.text();
    let source = (fields.octet(), fields.octet(), fields.text());
    let destination = (fields.octet(), fields.octet(), fields.text());
    let [esm_class, _protocol, _priority] = [fields.octet(), fields.octet(), fields.octet()];
    let [_schedule, validity] = [fields.text(), fields.text()];
    let [registered_delivery, _replace, data_coding, _default] =
        [fields.octet(), fields.octet(), fields.octet(), fields.octet()];
    let length = usize::from(fields.octet());
    Submitted {
        message_id: String::new(),
        source,
        destination,
        esm_class,
        validity,
        registered_delivery,
        data_coding,
        user_data: fields.0[..length].to_vec(),
    }
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn octet(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().expect("a submit_sm has all its fields");
        self.0 = rest;
        *first
    }

    fn text(&mut self) -> String {
        let end = self.0.iter().position(|octet| *octet == 0).expect("a C-octet string ends");
        let text = String::from_utf8(self.0[..end].to_vec()).expect("a text of submit_sm is ASCII");
        self.0 = &self.0[end + 1..];
        text
    }
}
