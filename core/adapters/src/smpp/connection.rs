//! A connection to a short-message centre: TCP, TLS if wanted, the bind, and PDUs in both directions.

use std::{io, sync::Arc, time::Duration};

use bytes::{Buf as _, BytesMut};
use postern_wire::push::smpp::{
    Address, Bind, Body, CommandStatus, INTERFACE_VERSION, Pdu, Refused, StatusClass, frame_length,
};
use rustls::{ClientConfig, pki_types::ServerName};
use secrecy::SecretString;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// Where the centre is and how it is bound to.
pub(super) struct Peer {
    pub(super) address: String,
    pub(super) tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    pub(super) system_id: String,
    pub(super) password: SecretString,
    pub(super) system_type: String,
    pub(super) connect: Duration,
    pub(super) response: Duration,
}

/// Why a connection does not stand, or no longer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("the short-message centre cannot be reached: {0}")]
    Connect(io::Error),
    #[error("the short-message centre does not answer in time")]
    Time,
    #[error("the short-message centre refuses the bind: {0}")]
    Bind(CommandStatus),
    #[error("the short-message centre broke the connection off: {0}")]
    Io(io::Error),
    #[error("the short-message centre ended the connection")]
    End,
    #[error("what the short-message centre sends is not SMPP: {0}")]
    Garbage(String),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection that is bound.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    buffer: BytesMut,
    write: Duration,
}

/// What came.
pub(super) enum Incoming {
    Pdu(Box<Pdu>),
    /// A PDU whose body cannot be read; its header can.
    Unreadable(u32),
}

impl Connection {
    /// Connects and binds as a transceiver.
    pub(super) async fn bound(peer: &Peer) -> Result<Self, Broken> {
        let connect = async {
            let tcp = TcpStream::connect(&peer.address).await?;
            tcp.set_nodelay(true)?;
            let stream: Box<dyn Stream> = match &peer.tls {
                None => Box::new(tcp),
                Some((config, name)) => {
                    Box::new(TlsConnector::from(Arc::clone(config)).connect(name.clone(), tcp).await?)
                }
            };
            Ok(stream)
        };
        let stream =
            timeout(peer.connect, connect).await.map_err(|_| Broken::Time)?.map_err(Broken::Connect)?;
        let mut connection = Self { stream, buffer: BytesMut::with_capacity(4_096), write: peer.response };
        timeout(peer.connect, connection.bind(peer)).await.map_err(|_| Broken::Time)??;
        Ok(connection)
    }

    async fn bind(&mut self, peer: &Peer) -> Result<(), Broken> {
        let bind = Bind {
            system_id: peer.system_id.clone(),
            password: peer.password.clone(),
            system_type: peer.system_type.clone(),
            interface_version: INTERFACE_VERSION,
            range: Address::default(),
        };
        self.send(&Pdu::request(1, Body::BindTransceiver(bind))).await?;
        loop {
            let Incoming::Pdu(pdu) = self.next().await? else { continue };
            match pdu.body {
                Body::BindTransceiverResp { .. } | Body::GenericNack if pdu.sequence == 1 => {
                    let bound = pdu.status.class() == StatusClass::Ok
                        && pdu.body.command() != Body::GenericNack.command();
                    return if bound { Ok(()) } else { Err(Broken::Bind(pdu.status)) };
                }
                _ => {}
            }
        }
    }

    /// Sends one PDU whole.
    pub(super) async fn send(&mut self, pdu: &Pdu) -> Result<(), Broken> {
        let octets = pdu.encode().map_err(|error| Broken::Garbage(error.to_string()))?;
        let write = async {
            self.stream.write_all(&octets).await?;
            self.stream.flush().await
        };
        timeout(self.write, write).await.map_err(|_| Broken::Time)?.map_err(Broken::Io)
    }

    /// The next PDU. May be dropped while it waits: nothing is lost.
    pub(super) async fn next(&mut self) -> Result<Incoming, Broken> {
        loop {
            if let Some(incoming) = self.framed()? {
                return Ok(incoming);
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) => return Err(Broken::End),
                Ok(_) => {}
                Err(error) => return Err(Broken::Io(error)),
            }
        }
    }

    fn framed(&mut self) -> Result<Option<Incoming>, Broken> {
        let Some(start) = self.buffer.first_chunk::<4>() else { return Ok(None) };
        let length = frame_length(*start).map_err(|error| Broken::Garbage(error.to_string()))?;
        if self.buffer.len() < length {
            return Ok(None);
        }
        let decoded = Pdu::decode(&self.buffer[..length]);
        self.buffer.advance(length);
        match decoded {
            Ok(pdu) => Ok(Some(Incoming::Pdu(Box::new(pdu)))),
            Err(Refused { header: Some((_, sequence)), .. }) => Ok(Some(Incoming::Unreadable(sequence))),
            Err(refused) => Err(Broken::Garbage(refused.to_string())),
        }
    }
}
