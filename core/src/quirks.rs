//! Operators' quirk profiles: read from the store, put in force beside the built-in ones.

use postern_actors::{Devices, Profiles};
use postern_store::{ReadError, Reader, StoreError, quirks};

use crate::inside::Inside;

/// The profiles that operators added, in order of name. A stored one that this release does not take counts for nothing.
///
/// # Errors
/// As the store's reads.
pub(crate) fn added(r: &mut Reader) -> Result<Profiles, StoreError> {
    let mut profiles = Profiles::default();
    for row in quirks::list(r)? {
        match Profiles::parse(&row.document) {
            Ok(read) => profiles.add(read),
            Err(error) => tracing::warn!(name = %row.name, %error, "a stored quirk profile cannot be taken"),
        }
    }
    Ok(profiles)
}

/// Puts what is stored in force, for the sessions that begin from now on.
///
/// # Errors
/// Where the database does not answer; what was in force before stays.
pub(crate) async fn tell(inside: &Inside, devices: &Devices) -> Result<(), ReadError> {
    devices.profiles_changed(inside.store.read(added).await?);
    Ok(())
}
