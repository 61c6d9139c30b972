//! The core's side of a join: dial, prove, check, sign (the exchange is in `postern_wire::link::join`).
//!
//! Promise: a join is tried until it has succeeded or its secret has expired, with growing pauses; what a gateway is granted
//! is committed before it is told; nothing is signed for who has not proved the secret on this very connection.

use std::{collections::HashMap, io, sync::Arc, time::Duration};

use postern_actors::gcm::{Gcm, JoinAnswer, OpenJoin};
use postern_wire::link::join::{
    CoreSays, GatewaySays, JOIN_ALPN, JOIN_EXPORTED, JOIN_EXPORTER, JoinError, JoinRefusal, JoinSide, frame,
    frame_length, read,
};
use rustls::{ClientConfig, Error, client::Resumption, crypto::aws_lc_rs};
use rustls_pki_types::ServerName;
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use uuid::Uuid;

use crate::links::verify::Verifier;

/// How often it is looked which joins are under way.
const LOOK: Duration = Duration::from_millis(250);
/// One try, from the dial to the last message.
const LIMIT: Duration = Duration::from_secs(30);
/// The first pause after a failed try; it doubles.
const FIRST: Duration = Duration::from_millis(250);
/// The longest.
const MOST: Duration = Duration::from_secs(10);

/// Why a try failed.
#[derive(Debug, thiserror::Error)]
enum TryError {
    #[error("cannot connect to {address}: {source}")]
    Connect { address: String, source: io::Error },
    #[error("{address} is not a gateway that waits to join: {source}")]
    Handshake { address: String, source: io::Error },
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    #[error("TLS cannot be used: {0}")]
    Tls(#[from] Error),
    #[error(transparent)]
    Message(#[from] JoinError),
    #[error("who answered at {0} has not proved the bundle's secret")]
    Unproven(String),
    #[error("the gateway refused: {0}")]
    Refused(JoinRefusal),
    #[error("the gateway was refused: {0}")]
    NotGranted(JoinRefusal),
    #[error("the gateway said something else than was asked")]
    Unexpected,
    #[error("no answer in time")]
    TooSlow,
    #[error("the database: {0}")]
    Store(#[from] postern_store::WriteError),
}

impl TryError {
    /// Somebody without the secret answered, or stood in between.
    const fn is_unproved(&self) -> bool {
        matches!(self, Self::Unproven(_) | Self::Refused(JoinRefusal::WrongSecret))
    }
}

/// Tries the joins that are under way; runs until it is dropped.
pub(crate) async fn keep_joining(gcm: Gcm) {
    let mut trying = Trying::default();
    let mut look = tokio::time::interval(LOOK);
    loop {
        look.tick().await;
        let Ok(open) = gcm.joins().await else { continue };
        trying.0.retain(|id, task| {
            let stays = open.iter().any(|join| join.join.id == *id) && !task.is_finished();
            if !stays {
                task.abort();
            }
            stays
        });
        for join in open {
            let gcm = gcm.clone();
            trying.0.entry(join.join.id).or_insert_with(|| actix_rt::spawn(keep_trying(gcm, join)));
        }
    }
}

/// The tasks of the joins; they end with this.
#[derive(Default)]
struct Trying(HashMap<Uuid, JoinHandle<()>>);

impl Drop for Trying {
    fn drop(&mut self) {
        self.0.values().for_each(JoinHandle::abort);
    }
}

async fn keep_trying(gcm: Gcm, open: OpenJoin) {
    let name = &open.join.gateway;
    let mut pause = FIRST;
    loop {
        let tried = timeout(LIMIT, attempt(&gcm, &open)).await.unwrap_or(Err(TryError::TooSlow));
        match tried {
            Ok(()) => match gcm.joined(name).await {
                Ok(()) => return tracing::info!(gateway = %name, "gateway joined"),
                Err(error) => {
                    tracing::warn!(%error, gateway = %name, "the gateway's first link says the same")
                }
            },
            Err(error) => {
                tracing::info!(gateway = %name, %error, "not joined yet");
                gcm.join_failed(name, &error.to_string(), error.is_unproved()).await;
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MOST);
    }
}

async fn attempt(gcm: &Gcm, open: &OpenJoin) -> Result<(), TryError> {
    let (address, id) = (&open.address, open.join.id);
    let stream = TcpStream::connect(address)
        .await
        .map_err(|source| TryError::Connect { address: address.clone(), source })?;
    stream.set_nodelay(true)?;
    let nobody = ServerName::try_from("join.invalid").expect("a fixed DNS name");
    let connector = TlsConnector::from(Arc::new(tls()?));
    let mut stream = connector
        .connect(nobody, stream)
        .await
        .map_err(|source| TryError::Handshake { address: address.clone(), source })?;
    if stream.get_ref().1.alpn_protocol() != Some(JOIN_ALPN) {
        return Err(TryError::Unexpected);
    }
    let exported =
        stream.get_ref().1.export_keying_material([0_u8; JOIN_EXPORTED], JOIN_EXPORTER, Some(&[]))?;
    let proof = open.secret.proof(JoinSide::Core, id, &exported);
    send(&mut stream, &CoreSays::Hello { gateway: id, proof }).await?;
    let (link, server) = match receive(&mut stream).await? {
        GatewaySays::Proof { proof, link_request, server_request, .. } => {
            if !open.secret.holds(&proof, JoinSide::Gateway, id, &exported) {
                send(&mut stream, &CoreSays::Refused { reason: JoinRefusal::WrongSecret }).await?;
                return Err(TryError::Unproven(address.clone()));
            }
            (link_request, server_request)
        }
        GatewaySays::Refused { reason } => return Err(TryError::Refused(reason)),
        GatewaySays::Stored => return Err(TryError::Unexpected),
    };
    match gcm.grant(&open.join, &link, &server).await? {
        JoinAnswer::Granted(grant) => send(&mut stream, &CoreSays::Grant(*grant)).await?,
        JoinAnswer::Refused(reason) => {
            send(&mut stream, &CoreSays::Refused { reason }).await?;
            return Err(TryError::NotGranted(reason));
        }
    }
    match receive(&mut stream).await? {
        GatewaySays::Stored => Ok(()),
        GatewaySays::Proof { .. } | GatewaySays::Refused { .. } => Err(TryError::Unexpected),
    }
}

fn tls() -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    // Any certificate: it only carries TLS. Who answers is proved by the secret, over this connection's keying material.
    let anyone = Verifier::new(Arc::clone(&provider), Box::new(|_, _, _| Ok(())));
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(anyone))
        .with_no_client_auth();
    config.alpn_protocols = vec![JOIN_ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Ok(config)
}

async fn send(stream: &mut TlsStream<TcpStream>, message: &CoreSays) -> Result<(), TryError> {
    stream.write_all(&frame(message)?).await?;
    Ok(stream.flush().await?)
}

async fn receive<T: DeserializeOwned>(stream: &mut TlsStream<TcpStream>) -> Result<T, TryError> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let mut text = vec![0; frame_length(head)?];
    stream.read_exact(&mut text).await?;
    Ok(read(&text)?)
}
