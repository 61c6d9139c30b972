//! The exchange of a join on one connection, the gateway's side.

use std::{net::SocketAddr, path::Path, sync::Arc};

use postern_wire::link::{
    PortRole,
    join::{
        Bundle, CoreSays, GatewaySays, Grant, JOIN_ALPN, JOIN_EXPORTED, JOIN_EXPORTER, JoinError,
        JoinRefusal, JoinSide, frame, frame_length, read,
    },
};
use rustls::{ServerConfig, crypto::aws_lc_rs};
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Mutex,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{JoinModeError, JoinOptions, store};
use crate::{
    identity::next_key,
    keys::{KeysError, NewKey},
    shared::Clock,
};

/// A gateway that waits for its core.
pub(super) struct Joining {
    pub(super) bundle: Bundle,
    pub(super) options: JoinOptions,
    pub(super) link_listen: SocketAddr,
    pub(super) link_key: NewKey,
    pub(super) server_key: NewKey,
    tls: Arc<ServerConfig>,
    clock: Clock,
    /// One grant is stored at a time.
    storing: Mutex<()>,
}

/// Why a try did not come to an end.
#[derive(Debug, thiserror::Error)]
pub(super) enum TryError {
    #[error("TLS or the connection failed: {0}")]
    Connection(#[from] std::io::Error),
    #[error("no keying material: {0}")]
    Exporter(#[from] rustls::Error),
    #[error(transparent)]
    Message(#[from] JoinError),
    #[error("the other side has not proved the bundle's secret: {0}")]
    Unproven(JoinRefusal),
    #[error("the core refused: {0}")]
    Refused(JoinRefusal),
    #[error("the core said something else than was asked")]
    Unexpected,
    #[error("what the core granted does not fit: {0}")]
    Grant(#[from] KeysError),
    #[error(transparent)]
    Store(#[from] JoinModeError),
}

impl Joining {
    /// Makes or reads the keys.
    pub(super) fn new(
        bundle: Bundle,
        options: JoinOptions,
        link_listen: SocketAddr,
        clock: Clock,
    ) -> Result<Self, JoinModeError> {
        let key = |role| NewKey::at(&options.state.join(next_key(role)));
        let (link_key, server_key) = (key(PortRole::Link)?, key(PortRole::Server)?);
        let tls = Arc::new(tls(&link_key)?);
        let storing = Mutex::default();
        Ok(Self { bundle, options, link_listen, link_key, server_key, tls, clock, storing })
    }

    /// One try, from the accepted socket to the last message.
    pub(super) async fn talk(&self, stream: TcpStream) -> Result<(), TryError> {
        stream.set_nodelay(true)?;
        let mut stream = TlsAcceptor::from(Arc::clone(&self.tls)).accept(stream).await?;
        let exported = exported(&stream)?;
        let CoreSays::Hello { gateway, proof } = receive(&mut stream).await? else {
            return Err(TryError::Unexpected);
        };
        if let Err(reason) = self.judge(gateway, &proof, &exported) {
            send(&mut stream, &GatewaySays::Refused { reason }).await?;
            return Err(TryError::Unproven(reason));
        }
        let said = GatewaySays::Proof {
            proof: self.bundle.secret.proof(JoinSide::Gateway, self.bundle.id, &exported),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            link_request: self.link_key.request()?,
            server_request: self.server_key.request()?,
        };
        send(&mut stream, &said).await?;
        let grant = match receive(&mut stream).await? {
            CoreSays::Grant(grant) => grant,
            CoreSays::Refused { reason } => return Err(TryError::Refused(reason)),
            CoreSays::Hello { .. } => return Err(TryError::Unexpected),
        };
        self.store(&grant).await?;
        // The core finds out by itself when this one is lost: it dials the link.
        if let Err(error) = send(&mut stream, &GatewaySays::Stored).await {
            tracing::debug!(%error, "the core was not told that the grant is stored");
        }
        let _ = stream.shutdown().await;
        Ok(())
    }

    fn judge(
        &self,
        gateway: uuid::Uuid,
        proof: &str,
        exported: &[u8; JOIN_EXPORTED],
    ) -> Result<(), JoinRefusal> {
        if gateway != self.bundle.id {
            return Err(JoinRefusal::OtherGateway);
        }
        if self.bundle.expires_at <= (self.clock)() {
            return Err(JoinRefusal::Expired);
        }
        let holds = self.bundle.secret.holds(proof, JoinSide::Core, gateway, exported);
        if holds { Ok(()) } else { Err(JoinRefusal::WrongSecret) }
    }

    async fn store(&self, grant: &Grant) -> Result<(), TryError> {
        let _storing = self.storing.lock().await;
        self.link_key.check(&grant.link_certificate)?;
        self.server_key.check(&grant.server_certificate)?;
        Ok(store::write(self, grant)?)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.options.state
    }
}

/// TLS 1.3 with a certificate that proves nothing: the secret does.
fn tls(key: &NewKey) -> Result<ServerConfig, JoinModeError> {
    let wrong = |error: rustls::Error| KeysError::Key(error.to_string());
    let (certificate, key) = key.self_signed()?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(wrong)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .map_err(wrong)?;
    config.alpn_protocols = vec![JOIN_ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn exported(stream: &TlsStream<TcpStream>) -> Result<[u8; JOIN_EXPORTED], rustls::Error> {
    stream.get_ref().1.export_keying_material([0_u8; JOIN_EXPORTED], JOIN_EXPORTER, Some(&[]))
}

async fn send(stream: &mut TlsStream<TcpStream>, message: &GatewaySays) -> Result<(), TryError> {
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
