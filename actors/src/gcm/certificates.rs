//! Certificates of gateways: signed for their own keys, given again when they were lost, brought in from other CAs.

use postern_store::{
    Reader, StoreError, Tx, WriteError, certificates as issued,
    gateway_certificates::{self as certificates, Certificate},
    gateways,
};
use postern_wire::{
    link::{
        CertificateName, CertificateRequest, CertificateSource, PortRole, Settings, WatchLine, gateway_uri,
    },
    terms::{CaRole, UtcMillis},
};
use serde_json::{Value, json};

use super::{Gcm, members::note};
use crate::GatewayCertificate;

impl Gcm {
    /// Keys of a gateway that want a certificate.
    ///
    /// # Errors
    /// Where the rows cannot be written; they come again.
    pub async fn take_requests(
        &self,
        gateway: &str,
        requests: Vec<CertificateRequest>,
    ) -> Result<(), WriteError> {
        let now = self.now();
        for CertificateRequest { role, request } in requests {
            let (gcm, name) = (self.clone(), gateway.to_owned());
            let made = self
                .parts()
                .store
                .write(move |tx| {
                    let gateway = gateways::find(tx, &name)?.ok_or(StoreError::NotFound("gateway"))?;
                    if role == PortRole::Server && gcm.is_external(tx, &gateway)? {
                        return gcm.keep_request(tx, &gateway, &request, now);
                    }
                    gcm.certify(tx, &gateway, role, &request, now).map(|made| made.map(Some))
                })
                .await?;
            match made {
                Ok(Some(made)) => {
                    self.parts().fleet.send(gateway, WatchLine::Certificate { role, chain: made.chain });
                }
                Ok(None) => {}
                Err(why) => {
                    tracing::warn!(gateway, port = role.as_str(), why, "no certificate for a gateway")
                }
            }
        }
        Ok(())
    }

    fn is_external(&self, r: &mut Reader, gateway: &gateways::Gateway) -> Result<bool, StoreError> {
        let wanted = gateways::settings(r, &gateway.name, Some(gateway.settings_wanted))?;
        let document = wanted.and_then(|row| serde_json::from_str::<Value>(&row.document).ok());
        let settings = document.and_then(|document| Settings::read(&document).ok());
        Ok(settings.is_some_and(|settings| settings.certificate == CertificateSource::External))
    }

    /// Keeps a request for an external CA; gives the chain if it has come already.
    fn keep_request(
        &self,
        tx: &mut Tx,
        gateway: &gateways::Gateway,
        request: &str,
        now: UtcMillis,
    ) -> Result<Result<Option<GatewayCertificate>, String>, StoreError> {
        let key = match self.parts().authority.key_of(request) {
            Ok(key) => key,
            Err(why) => return Ok(Err(why)),
        };
        match certificates::find(tx, &gateway.name, PortRole::Server.as_str(), &key)? {
            Some(kept) => Ok(Ok(made(kept))),
            None => {
                certificates::keep(tx, row(&gateway.name, PortRole::Server, key, request, now, None))?;
                Ok(Ok(None))
            }
        }
    }

    /// Takes the chain that an external CA made over the newest request of a gateway's device port, in `tx`; it is told
    /// with [`Gcm::renew`]'s line after the commit.
    ///
    /// # Errors
    /// One clause that says what is wrong with the chain.
    pub fn take_external(
        &self,
        tx: &mut Tx,
        gateway: &str,
        chain: &str,
    ) -> Result<Result<GatewayCertificate, String>, StoreError> {
        let now = tx.now();
        let authority = &self.parts().authority;
        let key = match authority.key_of_chain(chain) {
            Ok(key) => key,
            Err(why) => return Ok(Err(why)),
        };
        let server = PortRole::Server.as_str();
        let kept = certificates::find(tx, gateway, server, &key)?.filter(|kept| kept.revoked_at.is_none());
        let Some(kept) = kept else {
            let asked = certificates::of(tx, gateway)?.iter().any(|kept| kept.role == server);
            let why = if asked {
                "the chain's first certificate is over another key than the gateway's"
            } else {
                "there is no signing request: `gateway certificate request` makes one"
            };
            return Ok(Err(why.to_owned()));
        };
        let read = match authority.read_external(chain, &key, now) {
            Ok(read) => read,
            Err(why) => return Ok(Err(why)),
        };
        certificates::keep(tx, row(gateway, PortRole::Server, key, &kept.request, now, Some(&read)))?;
        Ok(Ok(read))
    }

    /// The certificate over a request's key: the one that was made for it, or a new one, kept.
    pub(super) fn certify(
        &self,
        tx: &mut Tx,
        gateway: &gateways::Gateway,
        role: PortRole,
        request: &str,
        now: UtcMillis,
    ) -> Result<Result<GatewayCertificate, String>, StoreError> {
        let authority = &self.parts().authority;
        let key = match authority.key_of(request) {
            Ok(key) => key,
            Err(why) => return Ok(Err(why)),
        };
        if let Some(made) = certificates::find(tx, &gateway.name, role.as_str(), &key)?.and_then(made) {
            return Ok(Ok(made));
        }
        let names = self.names_of(tx, gateway)?;
        let signed = match authority.sign(request, role, &gateway.name, &names, now) {
            Ok(signed) => signed,
            Err(why) => return Ok(Err(why)),
        };
        certificates::keep(tx, row(&gateway.name, role, key, request, now, Some(&signed)))?;
        issued::insert(tx, &of_port(&gateway.name, role, &signed))?;
        let detail = json!({"port": role.as_str(), "serial": signed.serial, "until": signed.not_after.0});
        note(tx, &gateway.name, "gateways.certificate", "issued", &detail)?;
        Ok(Ok(signed))
    }

    /// The names in the device port's certificate: of its settings, of its bundle, of the devices' URL.
    fn names_of(&self, r: &mut Reader, gateway: &gateways::Gateway) -> Result<Vec<String>, StoreError> {
        let wanted = gateways::settings(r, &gateway.name, Some(gateway.settings_wanted))?;
        let settings = wanted.and_then(|row| serde_json::from_str::<Value>(&row.document).ok());
        let mut names =
            settings.and_then(|document| Settings::read(&document).ok()).unwrap_or_default().device_names;
        if names.is_empty() {
            names = gateway.names.lines().map(str::to_owned).collect();
        }
        if names.is_empty() {
            names.clone_from(&self.parts().names);
        }
        Ok(names.iter().map(|name| without_port(name)).collect())
    }
}

fn made(kept: Certificate) -> Option<GatewayCertificate> {
    let live = kept.revoked_at.is_none();
    Some(GatewayCertificate {
        chain: kept.chain.filter(|_| live)?,
        serial: kept.serial?,
        issuer: kept.issuer?,
        not_before: kept.issued_at?,
        not_after: kept.not_after?,
        fingerprint: [0; 32],
    })
}

/// The row of a gateway's certificate among all that our CAs issued.
fn of_port(gateway: &str, role: PortRole, signed: &GatewayCertificate) -> issued::Issued {
    issued::Issued {
        name: CertificateName { serial: signed.serial.clone(), issuer: signed.issuer.clone() },
        role: match role {
            PortRole::Link => CaRole::Link,
            PortRole::Server => CaRole::Server,
        },
        subject: gateway_uri(gateway),
        subject_generation: 0,
        fingerprint: signed.fingerprint,
        not_before: signed.not_before,
        not_after: signed.not_after,
    }
}

fn row(
    gateway: &str,
    role: PortRole,
    key_hash: String,
    request: &str,
    now: UtcMillis,
    signed: Option<&GatewayCertificate>,
) -> Certificate {
    Certificate {
        gateway: gateway.to_owned(),
        role: role.as_str().to_owned(),
        key_hash,
        request: request.to_owned(),
        asked_at: now,
        chain: signed.map(|signed| signed.chain.clone()),
        serial: signed.map(|signed| signed.serial.clone()),
        issuer: signed.map(|signed| signed.issuer.clone()),
        not_after: signed.map(|signed| signed.not_after),
        issued_at: signed.map(|_| now),
        revoked_at: None,
    }
}

/// A device name may carry a port; a certificate's name does not.
fn without_port(name: &str) -> String {
    if let Some(end) = name.strip_prefix('[').and_then(|rest| rest.find(']')) {
        return name[1..=end].to_owned();
    }
    match name.split_once(':') {
        Some((host, port)) if !port.contains(':') => host.to_owned(),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::without_port;

    #[test]
    fn a_certificate_names_hosts_and_addresses_without_their_ports() {
        let cases = [
            ("a.example", "a.example"),
            ("a.example:8443", "a.example"),
            ("[::1]:443", "::1"),
            ("::1", "::1"),
        ];
        for (name, expected) in cases {
            assert_eq!(without_port(name), expected);
        }
    }
}
