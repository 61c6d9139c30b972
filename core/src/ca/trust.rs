//! Who is told what to trust, whenever a CA changed.
//!
//! | party | learns | how |
//! |---|---|---|
//! | gateways | device CAs in use and retired, link CAs | the watch (`postern_wire::link::Trust`), kept on their disk |
//! | this core | link CAs | its own rows, at each dial |
//! | devices | server CAs | at enrolment, and by the operation of lane `certificate` |
//! | admins' clients | server CAs | `ca.pem` of the state folder, written anew |

use postern_store::ReadError;
use postern_wire::{
    link::{Trust, TrustedAuthorities},
    terms::{CaRole, CaState},
};
use rustls_pki_types::CertificateDer;

use super::{Authorities, authorities::TRUSTED, certificate_pem};
use crate::{files, inside::Inside};

impl Authorities {
    /// What gateways are to trust now.
    #[must_use]
    pub fn trust(&self) -> Trust {
        let authorities = TrustedAuthorities {
            device: self.certificates(CaRole::Device, TRUSTED),
            device_retired: self.certificates(CaRole::Device, &[CaState::Retired]),
            link: self.certificates(CaRole::Link, TRUSTED),
        };
        let issuer = |role| self.signing(role).map(|row| row.issuer).unwrap_or_default();
        Trust {
            link_issuer: issuer(CaRole::Link),
            server_issuer: issuer(CaRole::Server),
            ..Trust::new(u64::try_from(self.version()).unwrap_or(0), &authorities)
        }
    }

    /// The link CAs that this core trusts; empty before the rows were read.
    #[must_use]
    pub fn link_anchors(&self) -> Vec<CertificateDer<'static>> {
        self.certificates(CaRole::Link, TRUSTED).into_iter().map(CertificateDer::from).collect()
    }
}

/// Reads the rows again and tells everybody. After a commit that changed a CA.
///
/// # Errors
/// Where the rows cannot be read; everybody keeps what was told before.
pub(crate) async fn changed(inside: &Inside) -> Result<(), ReadError> {
    inside.authorities.refresh(&inside.store).await?;
    tell(inside);
    Ok(())
}

/// Tells everybody what is trusted now.
fn tell(inside: &Inside) {
    use postern_actors::Authority as _;
    let trust = inside.authorities.trust();
    if let Some(active) = inside.active.load().as_ref()
        && !trust.link.is_empty()
    {
        active.lists.publish_trust(trust);
    }
    let anchors: String =
        inside.authorities.anchors().server.iter().map(|der| certificate_pem(der)).collect();
    let path = inside.config.at(&inside.config.devices.server_ca);
    if !anchors.is_empty()
        && files::read(&path).is_ok_and(|text| text != anchors)
        && let Err(error) = files::replace_public(&path, &anchors)
    {
        tracing::error!(%error, "the file with the server CAs is not up to date");
    }
    inside.certificates_due.notify_one();
}
