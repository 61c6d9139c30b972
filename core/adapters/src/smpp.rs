//! Pushes through a short-message centre, by SMPP 3.4 as a transceiver.
//!
//! - A push becomes the segments of a short message to the device's push port; they bear one reference, made of the
//!   order's id, so that the same push sent twice is one push for the device.
//! - One connection, kept by enquire_link, made again with growing pauses; a window of submissions; a centre that
//!   throttles is left alone and then gets the same submission again.
//! - Delivery receipts go to [`PushReports`]; [`PushReceipt::reference`] is the centre's id of the first segment. A
//!   receipt is acknowledged only when its report was taken.
//!
//! Promise: a push that was taken has every segment taken; nothing waits without a bound.

mod config;
mod connection;
mod receipts;
mod session;

use std::{collections::VecDeque, path::Path, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use postern_actors::{Clock, PushBearer, PushError, PushOrder, PushReceipt, PushReports};
use postern_wire::push::{
    smpp::{Address, ShortMessage, relative_validity},
    sms::{Ports, split},
    wsp,
};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};
use uuid::Uuid;

use crate::{OpenError, files};
pub use config::{IdForm, KEYS, SmppConfig};
use connection::Peer;
use receipts::Tracker;
use session::{Ask, Client, Pace, Submit};

/// Whether the centre can be submitted to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SmppState {
    /// The first connection is being made.
    #[default]
    Connecting,
    /// Bound.
    Bound,
    /// Not bound, and why.
    Down(String),
}

/// A short-message centre.
pub struct SmppBearer {
    asks: mpsc::Sender<Ask>,
    state: watch::Receiver<SmppState>,
    clock: Arc<dyn Clock>,
    source: Address,
    service_type: String,
    receipts: bool,
    limit: Duration,
}

impl std::fmt::Debug for SmppBearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SmppBearer").field("state", &*self.state.borrow()).finish_non_exhaustive()
    }
}

impl SmppBearer {
    /// Starts the client on the present runtime; relative paths are taken from `folder`. It ends, with an unbind, when
    /// the bearer is dropped.
    ///
    /// # Errors
    /// [`OpenError`]: settings that cannot work. An absent centre is none.
    pub fn start(
        config: &SmppConfig,
        folder: &Path,
        clock: Arc<dyn Clock>,
        reports: PushReports,
    ) -> Result<Self, OpenError> {
        let password = match &config.password_file {
            Some(file) => files::secret(&folder.join(file))?,
            None => SecretString::default(),
        };
        if password.expose_secret().len() > 8 {
            return Err(OpenError::setting(
                "push.smpp.password_file",
                "SMPP's passwords have at most 8 octets",
            ));
        }
        let ms = Duration::from_millis;
        let (asks, asked) = mpsc::channel(config.window.max(1));
        let (state, watched) = watch::channel(SmppState::default());
        let client = Client {
            name: "smpp".to_owned(),
            peer: Peer {
                address: config.address.clone(),
                tls: tls(config, folder)?,
                system_id: bounded("push.smpp.system_id", &config.system_id, 15)?,
                password,
                system_type: bounded("push.smpp.system_type", &config.system_type, 12)?,
                connect: ms(config.connect_ms),
                response: ms(config.response_ms),
            },
            pace: Pace {
                window: config.window.max(1),
                response: ms(config.response_ms),
                enquire: ms(config.enquire_link_ms),
                reconnect: ms(config.reconnect_ms.max(1)),
                reconnect_most: ms(config.reconnect_most_ms.max(config.reconnect_ms)),
                throttle: ms(config.throttle_ms),
            },
            response_ids: config.response_ids,
            receipt_ids: config.receipt_ids,
            asks: asked,
            reports,
            state,
            tracker: Tracker::new(ms(config.response_ms)),
            waiting: VecDeque::new(),
        };
        let bearer = Self {
            asks,
            state: watched,
            clock,
            source: source(config)?,
            service_type: bounded("push.smpp.service_type", &config.service_type, 5)?,
            receipts: config.receipts,
            limit: ms(config.push_ms),
        };
        tokio::spawn(client.run());
        Ok(bearer)
    }

    /// How the connection stands; changes can be waited for.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<SmppState> {
        self.state.clone()
    }

    async fn submit(&self, order: PushOrder) -> Result<PushReceipt, PushError> {
        let validity = order.valid_until.since(self.clock.wall());
        if validity <= 0 {
            return Err(PushError::refused("the push is worth nothing any more"));
        }
        let [.., reference] = order.id.into_bytes();
        let refused = |error: &dyn std::error::Error| PushError::refused(error.to_string());
        let pdu = wsp::encode(&order.content, reference).map_err(|error| refused(&error))?;
        let segments = split(&pdu, Ports::PUSH, reference).map_err(|error| refused(&error))?;
        let template = ShortMessage {
            service_type: self.service_type.clone(),
            source: self.source.clone(),
            destination: destination(&order.to)?,
            esm_class: ShortMessage::UDHI,
            validity: relative_validity(validity),
            registered_delivery: u8::from(self.receipts),
            data_coding: ShortMessage::OCTETS,
            ..ShortMessage::default()
        };
        match timeout(self.limit, self.submit_all(order.id, &template, segments)).await {
            Ok(Ok(reference)) => Ok(PushReceipt { reference, reported: self.receipts }),
            Ok(Err(error)) => {
                let _ = self.asks.try_send(Ask::Forget(order.id));
                Err(error)
            }
            Err(_) => {
                let _ = self.asks.try_send(Ask::Forget(order.id));
                Err(PushError::retry("the short-message centre did not take the push in time"))
            }
        }
    }

    /// One segment after the other, so that none goes out behind one that was refused.
    async fn submit_all(
        &self,
        push: Uuid,
        template: &ShortMessage,
        segments: Vec<Vec<u8>>,
    ) -> Result<String, PushError> {
        let gone = |()| PushError::retry("the SMPP client has ended");
        let total = segments.len();
        let mut first = None;
        for segment in segments {
            let message = ShortMessage { short_message: segment, ..template.clone() };
            let (reply, answer) = oneshot::channel();
            let submit = Box::new(Submit { push, total, first: first.is_none(), message, reply });
            self.asks.send(Ask::Submit(submit)).await.map_err(|_| gone(()))?;
            let message_id = answer.await.map_err(|_| gone(()))??;
            first.get_or_insert(message_id);
        }
        first.ok_or_else(|| PushError::refused("the push is empty"))
    }
}

impl PushBearer for SmppBearer {
    fn name(&self) -> &str {
        "smpp"
    }

    fn push(&self, order: PushOrder) -> BoxFuture<'_, Result<PushReceipt, PushError>> {
        self.submit(order).boxed()
    }
}

fn destination(number: &str) -> Result<Address, PushError> {
    let digits = number.strip_prefix('+').unwrap_or(number);
    if digits.is_empty() || digits.len() > 20 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(PushError::refused("a telephone number has 1 to 20 digits, with or without a leading +"));
    }
    // Centres expect numbers in international form; without a plus it is one all the same when it is long enough.
    let mut address = Address::number(number);
    address.ton = u8::from(number.starts_with('+') || digits.len() > 7);
    Ok(address)
}

fn source(config: &SmppConfig) -> Result<Address, OpenError> {
    let text = bounded("push.smpp.source", &config.source, 20)?;
    let is_name = text.bytes().any(|octet| !octet.is_ascii_digit() && octet != b'+');
    let mut address = match is_name {
        true => Address { ton: 5, npi: 0, address: text },
        false if text.is_empty() => Address::default(),
        false => Address::number(&text),
    };
    address.ton = config.source_ton.unwrap_or(address.ton);
    address.npi = config.source_npi.unwrap_or(address.npi);
    Ok(address)
}

fn bounded(key: &'static str, text: &str, most: usize) -> Result<String, OpenError> {
    if text.len() > most || !text.bytes().all(|octet| (0x20..0x7F).contains(&octet)) {
        return Err(OpenError::setting(key, format!("has to be at most {most} printable ASCII characters")));
    }
    Ok(text.to_owned())
}

fn tls(
    config: &SmppConfig,
    folder: &Path,
) -> Result<Option<(Arc<ClientConfig>, ServerName<'static>)>, OpenError> {
    let address = |why: &str| OpenError::setting("push.smpp.address", why);
    let (host, port) = config.address.rsplit_once(':').ok_or_else(|| address("has to be HOST:PORT"))?;
    if port.parse::<u16>().is_err() || host.is_empty() {
        return Err(address("has to be HOST:PORT"));
    }
    let Some(ca) = &config.ca else { return Ok(None) };
    let path = folder.join(ca);
    let refused = |why: String| OpenError::File { path: path.clone(), why };
    let mut roots = RootCertStore::empty();
    for certificate in files::certificates(&path)? {
        roots.add(certificate).map_err(|error| refused(error.to_string()))?;
    }
    let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(name).map_err(|_| address("names no host"))?;
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Some((Arc::new(config), name)))
}
