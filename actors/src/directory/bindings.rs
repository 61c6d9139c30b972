//! Which computer and which user a device and its owner are: the engine's rules over the rows.

use std::sync::Arc;

use postern_engine::policy::{
    binding::{Bound, Known, Named},
    sid::Sid,
};
use postern_store::{Reader, StoreError, directory, enrolments};
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
    let created = named.is_some_and(|named| named.created);
    Ok(Known {
        has_namesake: enrolments::has_namesake(r, &row.name, device)?,
        name: row.name,
        owner: row.owner,
        certificate: row.certificate_fingerprint,
        computer: computer.map(|sid| Named { sid, created }),
        user: user.map(|sid| Named { sid, created: false }),
    })
}
