//! Events as mail, over SMTP (RFC 5321) with TLS (RFC 3207, or RFC 8314 from the first octet) and AUTH (RFC 4954).
//!
//! Promise: nothing is said to a server without TLS and its certificate checked, and no mail is given to one that did
//! not take our credentials. A mail that the server took, and whose answer was lost, goes again with the same
//! Message-ID and Date. What the server says about the connection, TLS or credentials is a closed door; what it says
//! after that is about the mail: 4xx is later, 5xx is never.

mod config;

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use futures_util::{FutureExt as _, future::BoxFuture};
use lettre::{
    Address, Message,
    address::Envelope,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
    transport::smtp::{
        Error,
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters},
        extension::ClientId,
    },
};
use postern_actors::{
    Carrier, CarryError, Parcel,
    mail::{address, sink},
};
use postern_wire::terms::{Channel, UtcMillis};
use secrecy::{ExposeSecret as _, SecretString};

pub use config::{KEYS, SmtpConfig, SmtpTls};

use crate::files::{self, OpenError};

/// How long the end of a conversation is waited for: the mail is taken, whatever comes.
const QUIT: Duration = Duration::from_secs(2);

/// A mail server that takes our mail.
pub struct SmtpCarrier {
    server: (String, u16),
    tls: TlsParameters,
    implicit: bool,
    hello: ClientId,
    user: String,
    password: SecretString,
    from: Mailbox,
    connect: Duration,
    answer: Duration,
}

impl SmtpCarrier {
    /// Reads the settings; nothing is connected.
    ///
    /// # Errors
    /// [`OpenError`], with the key.
    pub fn open(config: &SmtpConfig, folder: &Path) -> Result<Self, OpenError> {
        // The first provider that is installed stays; another part of the process may have been first.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let from: Mailbox =
            config.from.parse().map_err(|error| OpenError::setting("mail.from", format!("{error}")))?;
        if !address::is_address(from.email.as_ref()) {
            return Err(OpenError::setting("mail.from", "is no address"));
        }
        if let Some(wrong) = config.security.iter().find(|one| !address::is_address(one)) {
            return Err(OpenError::setting("mail.security", format!("{wrong:?} is no address")));
        }
        let mut tls = TlsParameters::builder(config.server.clone());
        if let Some(ca) = &config.ca {
            tls = tls.certificate_store(CertificateStore::None);
            for der in files::certificates(&folder.join(ca))? {
                let certificate = Certificate::from_der(der.to_vec());
                tls = tls.add_root_certificate(
                    certificate.map_err(|error| OpenError::setting("mail.ca", error.to_string()))?,
                );
            }
        }
        let tls = tls.build_rustls().map_err(|error| OpenError::setting("mail.ca", error.to_string()))?;
        let hello = config.hello.clone().unwrap_or_else(|| from.email.domain().to_owned());
        Ok(Self {
            server: (config.server.clone(), config.port),
            tls,
            implicit: config.tls == SmtpTls::Implicit,
            hello: ClientId::Domain(hello),
            user: config.user.clone(),
            password: files::secret(&folder.join(&config.password_file))?,
            from,
            connect: Duration::from_millis(config.connect_ms),
            answer: Duration::from_millis(config.answer_ms),
        })
    }

    /// A connection that is encrypted and signed in.
    async fn connection(&self) -> Result<AsyncSmtpConnection, CarryError> {
        let closed = |what: &'static str| move |error: Error| CarryError::Closed(said(what, &error));
        let server = (self.server.0.as_str(), self.server.1);
        let implicit = self.implicit.then(|| self.tls.clone());
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, Some(self.connect), &self.hello, implicit, None)
                .await
                .map_err(closed("the mail server cannot be reached"))?;
        if !self.implicit {
            if !connection.can_starttls() {
                connection.abort().await;
                return Err(CarryError::Closed(
                    "the mail server offers no STARTTLS: nothing was sent".to_owned(),
                ));
            }
            let upgraded = connection.starttls(self.tls.clone(), &self.hello).await;
            upgraded.map_err(closed("TLS with the mail server failed"))?;
        }
        if !connection.is_encrypted() {
            return Err(CarryError::Closed("the connection to the mail server is not encrypted".to_owned()));
        }
        let credentials = Credentials::new(self.user.clone(), self.password.expose_secret().to_owned());
        match connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await {
            Ok(_) => Ok(connection),
            Err(error) => {
                connection.abort().await;
                Err(CarryError::Closed(said("the mail server does not take our credentials", &error)))
            }
        }
    }

    async fn hand_over(&self, parcel: Parcel) -> Result<String, CarryError> {
        let to: Address =
            parcel.target.parse().map_err(|error| CarryError::Never(format!("no address: {error}")))?;
        let message = self.message(&parcel, to.clone())?;
        let envelope = Envelope::new(Some(self.from.email.clone()), vec![to])
            .map_err(|error| CarryError::Never(error.to_string()))?;
        let mut connection = self.connection().await?;
        let sent = connection.send(&envelope, &message).await;
        if sent.is_ok() {
            let _ = tokio::time::timeout(QUIT, connection.quit()).await;
        } else {
            let _ = tokio::time::timeout(QUIT, connection.abort()).await;
        }
        match sent {
            Ok(response) => {
                let text = sink::log_line(&response.message().collect::<Vec<_>>().join(" "));
                Ok(format!("{} {text}", response.code()))
            }
            Err(error) if error.is_permanent() => Err(CarryError::Never(said("refused", &error))),
            Err(error) => Err(CarryError::Later { reason: said("not taken", &error), after: None }),
        }
    }

    /// The mail as it goes out. Its Date is the event's, so that each try is the same mail.
    fn message(&self, parcel: &Parcel, to: Address) -> Result<Vec<u8>, CarryError> {
        let never =
            |error: &dyn std::fmt::Display| CarryError::Never(format!("no mail can be made: {error}"));
        let letter = parcel.letter.as_ref().ok_or_else(|| never(&"the letter is missing"))?;
        let raw = |name: &'static str, value: &str| {
            HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
        };
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(letter.subject.clone())
            .message_id(Some(parcel.message_id.clone()))
            .date(system_time(parcel.at))
            .raw_header(raw("Auto-Submitted", "auto-generated"))
            .raw_header(raw("X-Auto-Response-Suppress", "All"))
            .raw_header(raw("X-Postern-Event", parcel.kind.as_str()))
            .multipart(MultiPart::alternative_plain_html(letter.text.clone(), letter.html.clone()))
            .map_err(|error| never(&error))?;
        Ok(message.formatted())
    }
}

impl Carrier for SmtpCarrier {
    fn channel(&self) -> Channel {
        Channel::Mail
    }

    fn name(&self) -> Option<&str> {
        None
    }

    fn carry(&self, parcel: Parcel) -> BoxFuture<'_, Result<String, CarryError>> {
        async move {
            let handed = tokio::time::timeout(self.answer, self.hand_over(parcel)).await;
            handed.unwrap_or_else(|_| {
                Err(CarryError::Closed("the mail server does not answer in time".to_owned()))
            })
        }
        .boxed()
    }

    fn probe(&self) -> BoxFuture<'_, Result<String, CarryError>> {
        async move {
            let found = tokio::time::timeout(self.answer, self.connection()).await;
            let mut connection = found.unwrap_or_else(|_| {
                Err(CarryError::Closed("the mail server does not answer in time".to_owned()))
            })?;
            let _ = tokio::time::timeout(QUIT, connection.quit()).await;
            Ok(format!("{}:{} takes our mail: TLS and credentials are right", self.server.0, self.server.1))
        }
        .boxed()
    }
}

fn system_time(at: UtcMillis) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(at.0).unwrap_or(0))
}

/// What a server said, in one harmless line.
fn said(what: &str, error: &Error) -> String {
    sink::log_line(&format!("{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use postern_actors::mail::letter::Letter;
    use postern_wire::terms::EventKind;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn carrier() -> SmtpCarrier {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("password"), "secret\n").unwrap();
        let config = SmtpConfig::at("mail.example", "Postern <mdm@corp.example>", "mdm", "password");
        SmtpCarrier::open(&config, folder.path()).unwrap()
    }

    fn parcel(subject: &str) -> Parcel {
        Parcel {
            event: Uuid::nil(),
            kind: EventKind::WipeRequested,
            subject: "wipe:1".to_owned(),
            target: "ada@corp.example".to_owned(),
            message_id: "<1.2@corp.example>".to_owned(),
            at: UtcMillis(1_000),
            now: UtcMillis(9_000),
            document: json!({}),
            letter: Some(Letter {
                subject: subject.to_owned(),
                text: "Gerät\r\n.\r\nQUIT\r\n".to_owned(),
                html: "<p>Gerät</p>".to_owned(),
                troubles: Vec::new(),
            }),
        }
    }

    #[test]
    fn a_mail_bears_its_message_id_and_its_event_s_date_with_each_try() {
        let (carrier, to) = (carrier(), || "ada@corp.example".parse::<Address>().unwrap());
        let mail = String::from_utf8(carrier.message(&parcel("A wipe"), to()).unwrap()).unwrap();
        for line in [
            "Message-ID: <1.2@corp.example>\r\n",
            "Date: Thu, 01 Jan 1970 00:00:01 +0000\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "To: ada@corp.example\r\n",
            "multipart/alternative",
        ] {
            assert!(mail.contains(line), "{line:?} is not in {mail}");
        }
        assert!(mail.is_ascii(), "it needs no 8BITMIME");
    }

    #[test]
    fn no_subject_brings_another_header() {
        let to = "ada@corp.example".parse::<Address>().unwrap();
        let mail = carrier().message(&parcel("x\r\nBcc: thief@evil.example\r\n\r\nbody"), to).unwrap();
        let mail = String::from_utf8(mail).unwrap();
        assert!(!mail.contains("\nBcc:"), "{mail}");
    }

    #[test]
    fn settings_that_cannot_be_right_are_refused_by_their_key() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("password"), "secret\n").unwrap();
        let good = || SmtpConfig::at("mail.example", "mdm@corp.example", "mdm", "password");
        let open = |config: SmtpConfig| SmtpCarrier::open(&config, folder.path()).err().unwrap().to_string();
        assert!(open(SmtpConfig { from: "nobody".to_owned(), ..good() }).starts_with("mail.from"));
        let wrong = SmtpConfig { security: vec!["a b".to_owned()], ..good() };
        assert!(open(wrong).starts_with("mail.security"));
        assert!(open(SmtpConfig { password_file: "none".into(), ..good() }).contains("none"));
    }
}
