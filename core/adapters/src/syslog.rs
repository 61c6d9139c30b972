//! Events to a syslog server: RFC 5424 messages over TLS (RFC 5425), TCP with octet counting (RFC 6587 3.4.1) or UDP
//! (RFC 5426).
//!
//! Promise: whatever a device is called, an event stays one message with the structure that we gave it. Syslog has no
//! answers: what was written to the connection counts as taken, so that with a server that is going down the last
//! messages may be lost. For events that must not be lost use a webhook or the stream.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use postern_actors::{
    Carrier, CarryError, Parcel,
    mail::{letter, sink, words},
};
use postern_wire::terms::Channel;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
};
use tokio_rustls::TlsConnector;

use crate::files::{self, OpenError};

/// The only one of its name.
const NAME: &str = "syslog";
/// Facility 13, log audit (RFC 5424 6.2.1).
const FACILITY: u8 = 13;
/// Structured data of ours; 32473 is the number for examples (RFC 5612), as Postern has none of its own.
const SD_ID: &str = "postern@32473";
/// Octets of a message at most; receivers must take 480 and should take 2048 (RFC 5424 6.1).
const LONGEST: usize = 8 * 1024;
/// How long a connection and a message may take.
const LIMIT: Duration = Duration::from_secs(15);

/// How messages get there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyslogTransport {
    /// TLS over TCP.
    #[default]
    Tls,
    /// TCP, readable by anyone on the way.
    Tcp,
    /// UDP: a lost message is lost.
    Udp,
}

/// `[syslog]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is documented in KEYS, where the operator reads it")]
pub struct SyslogConfig {
    pub server: String,
    #[serde(default)]
    pub transport: SyslogTransport,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    #[serde(default = "host")]
    pub host: String,
}

fn host() -> String {
    "-".to_owned()
}

/// Every key of [`SyslogConfig`], with what an operator has to know of it.
pub const KEYS: &[(&str, &str)] = &[
    ("server", "The syslog server: HOST:PORT (6514 is usual with TLS, 514 or 601 without)."),
    ("transport", "tls (default), tcp or udp. Without TLS whoever is on the way can read and change events."),
    ("ca", "The CA (or CAs) of its certificate, PEM; needed with tls."),
    ("host", "The HOSTNAME of messages: this core's name. Default -."),
];

/// A syslog server.
pub struct SyslogCarrier {
    host: String,
    port: u16,
    transport: SyslogTransport,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    own: String,
}

impl SyslogCarrier {
    /// Reads the settings; nothing is connected.
    ///
    /// # Errors
    /// [`OpenError`], with the key.
    pub fn open(config: &SyslogConfig, folder: &Path) -> Result<Self, OpenError> {
        let wrong = |key: &'static str, why: &str| OpenError::setting(key, why);
        let parts = config.server.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let Some((host, port)) = parts.filter(|(host, _)| !host.is_empty()) else {
            return Err(wrong("syslog.server", "is not HOST:PORT"));
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if config.host.is_empty()
            || config.host.len() > 255
            || !config.host.bytes().all(|b| b.is_ascii_graphic())
        {
            return Err(wrong("syslog.host", "is no name: 1 to 255 printable characters"));
        }
        let tls = match (config.transport, &config.ca) {
            (SyslogTransport::Tls, None) => return Err(wrong("syslog.ca", "needed with tls")),
            (SyslogTransport::Tls, Some(ca)) => {
                let name = ServerName::try_from(host.clone())
                    .map_err(|error| wrong("syslog.server", &error.to_string()))?;
                Some((connector(&folder.join(ca))?, name))
            }
            (SyslogTransport::Tcp | SyslogTransport::Udp, _) => None,
        };
        Ok(Self { host, port, transport: config.transport, tls, own: config.host.clone() })
    }

    async fn send(&self, message: String) -> Result<String, CarryError> {
        let closed = |what: &str, error: &dyn std::fmt::Display| {
            CarryError::Closed(format!("the syslog server {what}: {error}"))
        };
        if self.transport == SyslogTransport::Udp {
            let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
            let address = found.map_err(|error| closed("is not found", &error))?.next();
            let address = address.ok_or_else(|| closed("is not found", &"its name has no address"))?;
            let own = match address {
                SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
                SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
            };
            let socket = UdpSocket::bind(own).await.map_err(|error| closed("is not reached", &error))?;
            let sent = socket.send_to(message.as_bytes(), address).await;
            return sent.map(|_| "sent".to_owned()).map_err(|error| closed("is not reached", &error));
        }
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await;
        let stream = stream.map_err(|error| closed("is not reached", &error))?;
        let frame = format!("{} {message}", message.len());
        let written = match &self.tls {
            None => written(stream, frame).await,
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await;
                written(stream.map_err(|error| closed("is not who it should be", &error))?, frame).await
            }
        };
        written.map(|()| "sent".to_owned()).map_err(|error| closed("breaks off", &error))
    }
}

/// Writes a frame, and waits for the other side to close: so a server that resets is seen.
async fn written<S>(mut stream: S, frame: String) -> std::io::Result<()>
where
    S: AsyncWrite + tokio::io::AsyncRead + Unpin,
{
    stream.write_all(frame.as_bytes()).await?;
    stream.flush().await?;
    stream.shutdown().await?;
    let mut rest = [0_u8; 1];
    match tokio::time::timeout(Duration::from_secs(1), stream.read(&mut rest)).await {
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionReset => Err(error),
        // Closed, silent, or talking to us: the message is on its way.
        _ => Ok(()),
    }
}

impl Carrier for SyslogCarrier {
    fn channel(&self) -> Channel {
        Channel::Syslog
    }

    fn name(&self) -> Option<&str> {
        Some(NAME)
    }

    fn carry(&self, parcel: Parcel) -> BoxFuture<'_, Result<String, CarryError>> {
        let message = message(&parcel, &self.own);
        async move {
            let sent = tokio::time::timeout(LIMIT, self.send(message)).await;
            sent.unwrap_or_else(|_| {
                Err(CarryError::Closed("the syslog server does not answer in time".to_owned()))
            })
        }
        .boxed()
    }

    fn probe(&self) -> BoxFuture<'_, Result<String, CarryError>> {
        async move {
            if self.transport == SyslogTransport::Udp {
                return Ok("UDP: nobody can tell whether it arrives".to_owned());
            }
            let connected =
                tokio::time::timeout(LIMIT, TcpStream::connect((self.host.as_str(), self.port))).await;
            match connected {
                Ok(Ok(_)) => Ok(format!("{}:{} takes connections", self.host, self.port)),
                Ok(Err(error)) => Err(CarryError::Closed(error.to_string())),
                Err(_) => Err(CarryError::Closed("no connection in time".to_owned())),
            }
        }
        .boxed()
    }
}

fn connector(ca: &Path) -> Result<TlsConnector, OpenError> {
    let mut roots = RootCertStore::empty();
    for der in files::certificates(ca)? {
        roots.add(der).map_err(|error| OpenError::setting("syslog.ca", error.to_string()))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| OpenError::setting("syslog.ca", error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// An event as an RFC 5424 message.
fn message(parcel: &Parcel, host: &str) -> String {
    let words = words::of(parcel.kind);
    let priority = FACILITY * 8 + words.severity;
    let mut out = format!(
        "<{priority}>1 {} {host} postern - {} [{SD_ID} id=\"{}\" subject=\"{}\"",
        parcel.at,
        parcel.kind,
        parcel.event,
        sink::syslog_value(&parcel.subject)
    );
    for (name, value) in letter::facts(parcel.document.get("data").unwrap_or(&serde_json::Value::Null)) {
        // PARAM-NAME is printable ASCII without = SP ] " (6.3.3); ours are words of our own.
        let param: String =
            name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(32).collect();
        let more = format!(" {param}=\"{}\"", sink::syslog_value(&value));
        if !param.is_empty() && param != "id" && param != "subject" && out.len() + more.len() < LONGEST {
            out.push_str(&more);
        }
    }
    out.push_str("] \u{FEFF}");
    out.push_str(words.title);
    out
}

#[cfg(test)]
mod tests {
    use postern_wire::terms::{EventKind, UtcMillis};
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_event_stays_one_message_whatever_a_device_is_called() {
        let parcel = Parcel {
            event: Uuid::nil(),
            kind: EventKind::Frozen,
            subject: "freeze:1".to_owned(),
            target: NAME.to_owned(),
            message_id: String::new(),
            at: UtcMillis(0),
            now: UtcMillis(1),
            document: json!({"data": {"device": "x\"] evil\n<13>1 - - - - - - forged", "a b=": "c", "id": "mine"}}),
            letter: None,
        };
        let made = message(&parcel, "core-1");
        let head = "<105>1 1970-01-01T00:00:00.000Z core-1 postern - frozen [postern@32473 id=\"00000000";
        assert!(made.starts_with(head), "{made}");
        assert!(made.contains("device=\"x\\\"\\] evil\u{FFFD}<13>1"), "{made}");
        assert!(made.contains(" ab=\"c\"") && !made.contains("mine"), "{made}");
        assert!(!made.contains('\n'), "{made}");
        assert!(made.ends_with("] \u{FEFF}Destructive orders are frozen"), "{made}");
    }

    #[test]
    fn settings_that_cannot_be_right_are_refused_by_their_key() {
        let open = |text: &str| {
            let config: SyslogConfig = toml::from_str(text).unwrap();
            SyslogCarrier::open(&config, Path::new("/"))
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default()
        };
        assert!(open("server = \"x\"").starts_with("syslog.server"));
        assert!(open("server = \"x:6514\"").starts_with("syslog.ca"));
        assert!(open("server = \"x:514\"\ntransport = \"udp\"\nhost = \"a b\"").starts_with("syslog.host"));
        assert_eq!(open("server = \"[::1]:514\"\ntransport = \"tcp\""), "");
    }
}
