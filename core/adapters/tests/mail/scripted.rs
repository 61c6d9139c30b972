//! A mail server that misbehaves on demand, over real sockets and TLS.

use std::sync::{Arc, Mutex};

use postern_actors::Carrier;
use postern_adapters::smtp::{SmtpCarrier, SmtpConfig};
use rustls::{ServerConfig, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

/// What goes wrong.
#[derive(Clone, Copy, Default)]
pub(crate) struct Script {
    /// So many mails are read whole and not answered: the connection breaks.
    pub(crate) drop_after_data: usize,
    pub(crate) no_starttls: bool,
    pub(crate) no_auth: bool,
}

#[derive(Default)]
struct Seen {
    said: Vec<String>,
    mails: Vec<String>,
}

pub(crate) struct Scripted {
    port: u16,
    folder: tempfile::TempDir,
    seen: Arc<Mutex<Seen>>,
}

impl Scripted {
    pub(crate) async fn start(script: Script) -> Self {
        let folder = tempfile::tempdir().unwrap();
        crate::rig::certificates(folder.path());
        std::fs::write(folder.path().join("password"), "secret\n").unwrap();
        let acceptor = acceptor(folder.path());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let notes = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, notes) = (acceptor.clone(), notes.clone());
                tokio::spawn(async move {
                    let _ = serve(stream, acceptor, script, notes).await;
                });
            }
        });
        Self { port, folder, seen }
    }

    pub(crate) fn carrier(&self) -> Arc<dyn Carrier> {
        let config = SmtpConfig {
            port: self.port,
            ca: Some("ca.pem".into()),
            ..SmtpConfig::at("127.0.0.1", "mdm@corp.example", "mdm", "password")
        };
        Arc::new(SmtpCarrier::open(&config, self.folder.path()).unwrap())
    }

    pub(crate) fn said(&self) -> Vec<String> {
        self.seen.lock().unwrap().said.clone()
    }

    pub(crate) fn mails(&self) -> Vec<String> {
        self.seen.lock().unwrap().mails.clone()
    }
}

/// TLS with the certificate of [`crate::rig::certificates`].
pub(crate) fn acceptor(folder: &std::path::Path) -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(folder.join("server.pem")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            chain.map(Result::unwrap).collect(),
            PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap(),
        )
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    script: Script,
    seen: Arc<Mutex<Seen>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 mail.test ESMTP\r\n").await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        seen.lock().unwrap().said.push(line.trim_end().to_owned());
        if line.starts_with("EHLO") {
            let offer: &[u8] =
                if script.no_starttls { b"250 mail.test\r\n" } else { b"250-mail.test\r\n250 STARTTLS\r\n" };
            stream.write_all(offer).await?;
        } else if line.starts_with("STARTTLS") {
            stream.write_all(b"220 go on\r\n").await?;
            let stream = acceptor.accept(stream.into_inner()).await?;
            return talk(BufReader::new(stream), script, seen).await;
        } else {
            stream.write_all(b"221 bye\r\n").await?;
            return Ok(());
        }
    }
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: BufReader<S>,
    script: Script,
    seen: Arc<Mutex<Seen>>,
) -> std::io::Result<()> {
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        seen.lock().unwrap().said.push(line.trim_end().to_owned());
        let word: String = line.chars().take(4).collect();
        let answer: &[u8] = match word.as_str() {
            "EHLO" if script.no_auth => b"250 mail.test\r\n",
            "EHLO" => b"250-mail.test\r\n250 AUTH PLAIN\r\n",
            "AUTH" => b"235 ok\r\n",
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                let mut mail = String::new();
                loop {
                    let mut line = String::new();
                    stream.read_line(&mut line).await?;
                    if line == ".\r\n" {
                        break;
                    }
                    mail.push_str(&line);
                }
                let count = {
                    let mut seen = seen.lock().unwrap();
                    seen.mails.push(mail);
                    seen.mails.len()
                };
                if count <= script.drop_after_data {
                    return Ok(());
                }
                b"250 taken\r\n"
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return stream.shutdown().await;
            }
            _ => b"250 ok\r\n",
        };
        stream.write_all(answer).await?;
    }
}
