//! Which computer and which user a device and its owner are: the engine's rules over the rows.

use std::sync::Arc;

use postern_engine::policy::{
    binding::{self, Bound, Host, Known, Named},
    dn::Dn,
    fold,
    sid::Sid,
};
use postern_store::{
    Reader, StoreError, certificates, directory,
    enrolments::{self, Enrolment},
    tokens,
};
use postern_wire::terms::EnrolmentId;

use super::DirectoryKeeper;

/// Says who a device is in the directory.
pub trait Bindings: Send + Sync + 'static {
    /// The device's computer and its owner's user, or why there is none.
    ///
    /// # Errors
    /// Where the rows cannot be read.
    fn of(&self, r: &mut Reader, device: EnrolmentId) -> Result<Bound, StoreError>;
}

/// By the directory that is in force, and what people named.
#[derive(Clone, Debug)]
pub struct StoredBindings {
    keeper: Arc<DirectoryKeeper>,
}

impl StoredBindings {
    /// By this keeper's directory.
    #[must_use]
    pub const fn new(keeper: Arc<DirectoryKeeper>) -> Self {
        Self { keeper }
    }
}

impl StoredBindings {
    /// The SID of an account of the directory that is in force.
    pub(super) fn sid(&self, dn: &Dn) -> Option<Sid> {
        let view = self.keeper.view()?;
        let octets = view.snapshot.entries.get(dn)?.values("objectsid").first()?;
        Sid::read(octets).ok().map(|(sid, _)| sid)
    }

    /// A device other than `except`, not retired, whose computer is the one with this SID.
    pub(super) fn other_device(
        &self,
        r: &mut Reader,
        sid: &Sid,
        except: EnrolmentId,
    ) -> Result<Option<EnrolmentId>, StoreError> {
        if let Some(other) = directory::bound_to(r, &sid.to_string(), except)? {
            return Ok(Some(other));
        }
        let Some(view) = self.keeper.view() else { return Ok(None) };
        let Some(dn) = view.accounts.by_sid(sid) else { return Ok(None) };
        let Some(entry) = view.snapshot.entries.get(dn) else { return Ok(None) };
        let host = entry.text("dnshostname").map(binding::host_key).filter(|host| !host.is_empty());
        let digests: Vec<[u8; 32]> =
            entry.values("usercertificate").iter().map(|octets| tokens::hash(octets)).collect();
        let mut may_be = certificates::devices_by(r, host.as_deref(), &digests, except)?;
        for name in binding::computer_names(dn, entry) {
            may_be.extend(namesakes(r, &name, except)?.into_iter().map(|row| row.id));
        }
        for id in may_be {
            if self.of(r, id)?.computer() == Some(dn) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }
}

impl Bindings for StoredBindings {
    fn of(&self, r: &mut Reader, device: EnrolmentId) -> Result<Bound, StoreError> {
        let Some(view) = self.keeper.view() else { return Ok(Bound::unread()) };
        Ok(view.accounts.bind(&known(r, device)?))
    }
}

/// What the rows know of a device.
fn known(r: &mut Reader, device: EnrolmentId) -> Result<Known, StoreError> {
    let row = enrolments::get(r, device)?;
    let named = directory::binding(r, device)?;
    let sid = |text: Option<&String>| {
        text.map(|text| text.parse::<Sid>().map_err(|error| StoreError::Damaged(error.to_string())))
            .transpose()
    };
    let computer = sid(named.as_ref().and_then(|named| named.computer.as_ref()))?;
    let user = sid(named.as_ref().and_then(|named| named.person.as_ref()))?;
    let host = match certificates::dns_name(r, device)? {
        Some(name) => Some(Host { is_shared: certificates::shares_dns_name(r, &name, device)?, name }),
        None => None,
    };
    let created = named.is_some_and(|named| named.created);
    Ok(Known {
        has_namesake: !namesakes(r, &row.name, device)?.is_empty(),
        name: row.name,
        owner: row.owner,
        certificate: row.certificate_fingerprint,
        host,
        computer: computer.map(|sid| Named { sid, created }),
        user: user.map(|sid| Named { sid, created: false }),
    })
}

/// Devices other than `except`, not retired, with this name, as a directory compares names: without case.
fn namesakes(r: &mut Reader, name: &str, except: EnrolmentId) -> Result<Vec<Enrolment>, StoreError> {
    let mut found = enrolments::called(r, name, except)?;
    found.retain(|row| fold::same(row.name.trim(), name.trim()));
    Ok(found)
}
