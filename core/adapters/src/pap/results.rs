//! Result notifications: what a push proxy gateway tells of a push later (WAP-247-PAP, 9.5).
//!
//! Promise: who does not know the secret end of the address is told nothing and changes nothing; what is read is bounded by
//! who serves it and by wire's reader; a report that nobody has room for is not acknowledged, so the gateway sends it again.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
};

use postern_actors::{PushOutcome, PushReport, PushReports};
use postern_wire::{
    auth,
    push::pap::{Answer, MessageState, Version, notification_response},
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::mpsc::error::TrySendError;

use super::{PapConfig, PapVersion};
use crate::{OpenError, files};

/// Most octets of a notification.
pub const MOST_OCTETS: usize = 65_536;
/// Characters that the secret end of the address has at least.
const SECRET: usize = 32;

/// Takes result notifications.
pub struct PapResults {
    listen: SocketAddr,
    path: SecretString,
    version: Version,
    reports: PushReports,
}

/// What a gateway is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// HTTP status.
    pub status: u16,
    /// A PAP document, or nothing.
    pub body: String,
}

impl PapResults {
    /// Where and how notifications are taken; `None` when the settings say that they are not.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(config: &PapConfig, folder: &Path, reports: PushReports) -> Result<Option<Self>, OpenError> {
        let Some(listen) = config.notify_listen else { return Ok(None) };
        if !is_inside(listen.ip()) {
            let why =
                format!("{listen} is no loopback or private address; what comes there is not encrypted");
            return Err(OpenError::setting("push.pap.notify_listen", why));
        }
        let url = notify_url(config, folder)?;
        let (Some(url), Some(_)) = (url, &config.notify_secret_file) else {
            let why = "needs push.pap.notify_url and push.pap.notify_secret_file";
            return Err(OpenError::setting("push.pap.notify_listen", why));
        };
        let path = url.expose_secret().splitn(4, '/').nth(3).unwrap_or_default();
        let path = SecretString::from(format!("/{path}"));
        let version = match config.version {
            PapVersion::V1_0 => Version::V1_0,
            PapVersion::V2_0 => Version::V2_0,
        };
        Ok(Some(Self { listen, path, version, reports }))
    }

    /// Where it listens.
    #[must_use]
    pub const fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Whether a request's path is the one that the gateway was told. Takes as long for a wrong one as for a right one.
    #[must_use]
    pub fn is_for(&self, path: &str) -> bool {
        auth::equal(path.as_bytes(), self.path.expose_secret().as_bytes())
    }

    /// Takes a notification.
    #[must_use]
    pub fn take(&self, body: &[u8]) -> Taken {
        let none = |status| Taken { status, body: String::new() };
        let Ok(Answer::ResultNotification { push_id, state, result }) = Answer::read(body) else {
            return none(400);
        };
        let outcome = match state {
            MessageState::Pending => None,
            MessageState::Delivered => Some(PushOutcome::Delivered),
            MessageState::Failed => Some(PushOutcome::Failed(format!(
                "the push proxy gateway says {} {}",
                result.code, result.description
            ))),
        };
        if let Some(outcome) = outcome {
            let report = PushReport { bearer: "pap".to_owned(), reference: push_id.clone(), outcome };
            match self.reports.try_send(report) {
                Ok(()) => {}
                Err(TrySendError::Full(_) | TrySendError::Closed(_)) => return none(503),
            }
        }
        match notification_response(&push_id, self.version) {
            Ok(body) => Taken { status: 200, body },
            Err(_) => none(400),
        }
    }
}

impl std::fmt::Debug for PapResults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PapResults").field("listen", &self.listen).finish_non_exhaustive()
    }
}

/// The address that a gateway is told: the configured one, with the secret as its last segment where there is one.
pub(super) fn notify_url(config: &PapConfig, folder: &Path) -> Result<Option<SecretString>, OpenError> {
    let Some(url) = &config.notify_url else { return Ok(None) };
    let Some(file) = &config.notify_secret_file else { return Ok(Some(SecretString::from(url.clone()))) };
    let secret = files::secret(&folder.join(file))?;
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    if secret.expose_secret().len() < SECRET || !secret.expose_secret().bytes().all(plain) {
        let why = format!("needs {SECRET} or more of A-Z a-z 0-9 - _ on its first line");
        return Err(OpenError::setting("push.pap.notify_secret_file", why));
    }
    Ok(Some(SecretString::from(format!("{}/{}", url.trim_end_matches('/'), secret.expose_secret()))))
}

fn is_inside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_private(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    use postern_wire::push::pap::Code;
    use tokio::sync::mpsc;

    use super::*;

    const SECRET_TEXT: &str = "0123456789abcdefghijklmnopqrstuvwxyz";

    fn config(folder: &Path) -> PapConfig {
        std::fs::write(folder.join("secret"), SECRET_TEXT).unwrap();
        PapConfig {
            notify_url: Some("http://core.inside:8085/pap/".to_owned()),
            notify_secret_file: Some("secret".into()),
            notify_listen: Some(([127, 0, 0, 1], 0).into()),
            ..PapConfig::at("http://ppg.inside/")
        }
    }

    fn notification(state: &str, code: u16) -> String {
        format!(
            "<?xml version=\"1.0\"?><!DOCTYPE pap PUBLIC \"-//WAPFORUM//DTD PAP 2.0//EN\" \
             \"http://www.wapforum.org/DTD/pap_2.0.dtd\"><pap><resultnotification-message push-id=\"one@ppg\" \
             message-state=\"{state}\" code=\"{code}\" desc=\"so\"><address address-value=\"WAPPUSH=1/TYPE=PLMN@ppg\"/>\
             </resultnotification-message></pap>"
        )
    }

    fn open(room: usize) -> (PapResults, mpsc::Receiver<PushReport>) {
        let folder = tempfile::tempdir().unwrap();
        let (sender, receiver) = mpsc::channel(room);
        (PapResults::open(&config(folder.path()), folder.path(), sender).unwrap().unwrap(), receiver)
    }

    #[test]
    fn a_delivered_push_and_one_that_never_arrives_are_reported_and_a_pending_one_is_not() {
        let (results, mut reports) = open(8);
        for (state, code, outcome) in [
            ("delivered", 1000, Some(PushOutcome::Delivered)),
            ("pending", 1001, None),
            (
                "undeliverable",
                2007,
                Some(PushOutcome::Failed(format!("the push proxy gateway says {} so", Code(2007)))),
            ),
        ] {
            let taken = results.take(notification(state, code).as_bytes());
            assert_eq!(taken.status, 200, "{state}");
            assert!(taken.body.contains("resultnotification-response") && taken.body.contains("one@ppg"));
            let report = reports.try_recv().ok();
            assert_eq!(report.as_ref().map(|report| &report.outcome), outcome.as_ref());
            assert!(report.is_none_or(|report| report.bearer == "pap" && report.reference == "one@ppg"));
        }
    }

    #[test]
    fn what_is_no_notification_or_finds_no_room_is_not_acknowledged() {
        let (results, _reports) = open(1);
        assert_eq!(results.take(b"<pap/>").status, 400);
        assert_eq!(results.take(b"").status, 400);
        assert_eq!(results.take(notification("delivered", 1000).as_bytes()).status, 200);
        assert_eq!(results.take(notification("delivered", 1000).as_bytes()).status, 503);
    }

    #[test]
    fn only_the_secret_path_is_the_address() {
        let (results, _reports) = open(1);
        assert!(results.is_for(&format!("/pap/{SECRET_TEXT}")));
        for path in
            ["/pap/", "/pap", "/", &format!("/pap/{}", &SECRET_TEXT[1..]), &format!("/pap/{SECRET_TEXT}/")]
        {
            assert!(!results.is_for(path), "{path}");
        }
        assert!(!format!("{results:?}").contains(SECRET_TEXT));
    }

    #[test]
    fn settings_that_would_open_it_to_anybody_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let good = config(folder.path());
        std::fs::write(folder.path().join("short"), "short").unwrap();
        let open = |config: PapConfig| PapResults::open(&config, folder.path(), mpsc::channel(1).0);
        assert!(open(good.clone()).unwrap().is_some());
        assert!(open(PapConfig { notify_listen: None, ..good.clone() }).unwrap().is_none());
        for bad in [
            PapConfig { notify_listen: Some(([203, 0, 113, 1], 80).into()), ..good.clone() },
            PapConfig { notify_listen: Some(([0, 0, 0, 0], 80).into()), ..good.clone() },
            PapConfig { notify_secret_file: None, ..good.clone() },
            PapConfig { notify_url: None, ..good.clone() },
            PapConfig { notify_secret_file: Some("short".into()), ..good },
        ] {
            assert!(open(bad).is_err());
        }
    }
}
