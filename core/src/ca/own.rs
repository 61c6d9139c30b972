//! This core's own certificates (admin port, links) and the chores of the CAs.
//!
//! Promise: a certificate of this core that one of our CAs issued is renewed, over a new key, before a third of its life
//! is left and whenever its CA signs no more; the ports take it up without a restart. One of another CA is left alone:
//! it is told that it ends. Nothing is renewed twice at once, and a failure leaves the old certificate in use.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use postern_store::certificates;
use postern_wire::terms::{CaState, UtcMillis};
use x509_parser::{
    extensions::{GeneralName, ParsedExtension},
    prelude::{FromDer as _, X509Certificate},
};

use super::{OWN_DAYS, Subject, authorities::certificates_of, crl, expiry};
use crate::{files, inside::Inside};

/// How often it is looked what is due, beside being told.
const LOOK: Duration = Duration::from_secs(60);
/// How often alarms about what ends are looked after.
const TELL: Duration = Duration::from_secs(3600);

/// Makes due CRLs and renews this core's own certificates, until it is dropped.
pub(crate) async fn keep_certificates(inside: Arc<Inside>) {
    let mut told = None;
    loop {
        if let Err(error) = crl::make_due(&inside).await {
            tracing::warn!(%error, "CRLs were put off");
        }
        for own in of(&inside) {
            renew_if_due(&inside, &own).await;
        }
        let now = inside.clock.monotonic();
        if told.is_none_or(|at| now.saturating_sub(at) >= TELL) {
            told = Some(now);
            if let Err(error) = expiry::look(&inside).await {
                tracing::warn!(%error, "alarms about certificates were put off");
            }
        }
        tokio::select! {
            () = inside.certificates_due.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// One certificate of this core.
struct Own {
    certificate: PathBuf,
    key: PathBuf,
    subject: Subject,
}

fn of(inside: &Inside) -> Vec<Own> {
    let config = &inside.config;
    let own = |certificate: &Path, key: &Path, subject| Own {
        certificate: config.at(certificate),
        key: config.at(key),
        subject,
    };
    let server = Subject::Server { role: "core", id: config.core.id.to_string(), names: Vec::new() };
    vec![
        own(&config.admin.certificate, &config.admin.key, server),
        own(&config.links.certificate, &config.links.key, Subject::CoreLink(config.core.id)),
    ]
}

/// What is read of a certificate in use.
pub(crate) struct InUse {
    /// Its issuer, as the blocked list names it.
    pub(crate) issuer: String,
    /// Not before.
    pub(crate) not_before: UtcMillis,
    /// Not after.
    pub(crate) not_after: UtcMillis,
    /// Its names and addresses.
    pub(crate) names: Vec<String>,
}

/// Reads the first certificate of a file.
pub(crate) fn in_use(path: &Path) -> Option<InUse> {
    let text = files::read(path).ok()?;
    let chain = certificates_of(&text);
    let (_, read) = X509Certificate::from_der(chain.first()?).ok()?;
    let millis = |time: x509_parser::time::ASN1Time| UtcMillis(time.timestamp().saturating_mul(1000));
    Some(InUse {
        issuer: postern_wire::link::issuer_hash(read.issuer().as_raw()),
        not_before: millis(read.validity().not_before),
        not_after: millis(read.validity().not_after),
        names: names(&read),
    })
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let all = certificate.extensions().iter().filter_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
        _ => None,
    });
    all.flatten()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(octets) => address(octets),
            _ => None,
        })
        .collect()
}

fn address(octets: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(octets).map(|octets| std::net::IpAddr::from(octets).to_string());
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(|octets| std::net::IpAddr::from(octets).to_string())).ok()
}

async fn renew_if_due(inside: &Arc<Inside>, own: &Own) {
    let Some(used) = in_use(&own.certificate) else { return };
    let now = inside.now();
    let issuer = used.issuer.clone();
    let found = inside.store.read(move |r| postern_store::authorities::by_issuer(r, &issuer)).await;
    let Ok(Some(authority)) = found else { return };
    if !is_due(&used, authority.state, now) {
        return;
    }
    if let Err(reason) = renew(inside, own, used, authority.state, now).await {
        tracing::error!(certificate = %own.certificate.display(), reason, "the certificate was not renewed");
    }
}

fn is_due(used: &InUse, state: CaState, now: UtcMillis) -> bool {
    let life = used.not_after.since(used.not_before).max(0);
    now >= used.not_after.plus(-(life / 3)) || state != CaState::Signing
}

async fn renew(
    inside: &Arc<Inside>,
    own: &Own,
    used: InUse,
    issuer: CaState,
    now: UtcMillis,
) -> Result<(), String> {
    let before = used.issuer.clone();
    let subject = match &own.subject {
        Subject::Server { role, id, .. } => Subject::Server { role, id: id.clone(), names: used.names },
        other => other.clone(),
    };
    let (made, key) =
        inside.authorities.certify_new(&subject, OWN_DAYS, now).map_err(|error| error.to_string())?;
    let row = made.row(0);
    if issuer != CaState::Signing && row.name.issuer == before {
        // A roll-over is on disk and about to be in force; its end wakes this look again.
        return Ok(());
    }
    inside.store.write(move |tx| certificates::insert(tx, &row)).await.map_err(|error| error.to_string())?;
    // The ports look at both files and take them up when they fit.
    files::replace_secret(&own.key, &key).map_err(|error| error.to_string())?;
    files::replace_public(&own.certificate, &made.chain_pem()).map_err(|error| error.to_string())?;
    tracing::info!(
        certificate = %own.certificate.display(),
        serial = made.name.serial,
        generation = made.authority,
        not_after = %made.issued.not_after,
        "own certificate renewed"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_when_a_third_of_its_life_is_left_or_its_ca_signs_no_more() {
        let used = InUse {
            issuer: String::new(),
            not_before: UtcMillis(0),
            not_after: UtcMillis(300),
            names: Vec::new(),
        };
        assert!(!is_due(&used, CaState::Signing, UtcMillis(199)));
        assert!(is_due(&used, CaState::Signing, UtcMillis(200)));
        assert!(is_due(&used, CaState::Trusted, UtcMillis(1)));
        assert!(is_due(&used, CaState::Retired, UtcMillis(1)));
    }
}
