//! What an enrolment and the core prove themselves with, sealed into one column of the enrolment's row.

use diesel::prelude::*;
use postern_wire::terms::EnrolmentId;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::enrolments::one;
use crate::{
    column::db,
    conn::each,
    errors::StoreError,
    seal::{KeyId, Sealer},
    tables::enrolments::dsl as t,
    tx::{Reader, Tx},
};

/// The secrets of one enrolment. Which parts are needed depends on its way of proof.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The name in the client's Cred (LocName).
    pub user: String,
    /// The client's password, for basic and md5.
    pub password: Option<SecretString>,
    /// The name in the server's Cred.
    pub server_id: String,
    /// The server's password, for the digest with which the core proves itself.
    pub server_password: Option<SecretString>,
}

/// How credentials rest inside their seal.
#[derive(Serialize, Deserialize)]
struct Resting {
    v: u8,
    user: String,
    password: Option<String>,
    server_id: String,
    server_password: Option<String>,
}

impl Credentials {
    /// These credentials sealed for one enrolment: the value of [`crate::enrolments::Enrolment::credentials`].
    pub fn seal(&self, sealer: &Sealer, id: EnrolmentId) -> Result<Vec<u8>, StoreError> {
        let open = |secret: &Option<SecretString>| secret.as_ref().map(|s| s.expose_secret().to_owned());
        let mut resting = Resting {
            v: 1,
            user: self.user.clone(),
            password: open(&self.password),
            server_id: self.server_id.clone(),
            server_password: open(&self.server_password),
        };
        let text = serde_json::to_vec(&resting)
            .map(Zeroizing::new)
            .map_err(|e| StoreError::Damaged(format!("credentials: {e}")))?;
        zeroize::Zeroize::zeroize(&mut resting.password);
        zeroize::Zeroize::zeroize(&mut resting.server_password);
        Ok(sealer.seal(id, &text)?.into_octets())
    }

    /// Opens the sealed value of an enrolment.
    pub fn open(sealer: &Sealer, id: EnrolmentId, sealed: &[u8]) -> Result<Self, StoreError> {
        let text = sealer.open(id, sealed)?;
        let resting: Resting =
            serde_json::from_slice(&text).map_err(|e| StoreError::Damaged(format!("credentials: {e}")))?;
        if resting.v != 1 {
            return Err(StoreError::Damaged(format!("credentials of version {}", resting.v)));
        }
        Ok(Self {
            user: resting.user,
            password: resting.password.map(SecretString::from),
            server_id: resting.server_id,
            server_password: resting.server_password.map(SecretString::from),
        })
    }
}

/// The sealed credentials of an enrolment, if it has any.
pub fn sealed(r: &mut Reader, id: EnrolmentId) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(super::enrolments::get(r, id)?.credentials)
}

/// Sets the sealed credentials of an enrolment.
pub fn set(tx: &mut Tx, id: EnrolmentId, sealed: Option<Vec<u8>>) -> Result<(), StoreError> {
    let changed = each!(tx.conn, c => diesel::update(t::enrolments.filter(t::id.eq(db(id))))
        .set(t::credentials.eq(sealed))
        .execute(c))?;
    one(changed)
}

/// Sets, or takes back, the sealed credentials that an enrolment's device is being told.
pub fn expect(tx: &mut Tx, id: EnrolmentId, sealed: Option<Vec<u8>>) -> Result<(), StoreError> {
    let changed = each!(tx.conn, c => diesel::update(t::enrolments.filter(t::id.eq(db(id))))
        .set(t::next_credentials.eq(sealed))
        .execute(c))?;
    one(changed)
}

/// The device has proved the credentials that it was told: they take the place of the old ones.
pub fn turn(tx: &mut Tx, id: EnrolmentId) -> Result<(), StoreError> {
    let next = super::enrolments::get(tx, id)?.next_credentials;
    if let Some(next) = next {
        set(tx, id, Some(next))?;
        expect(tx, id, None)?;
        super::captures::rotated(tx, id)?;
    }
    Ok(())
}

/// Seals anew, under the sealer's newest key, the credentials of up to `limit` enrolments after `after` that are
/// under an older one. Gives the last enrolment looked at (`None`: all done) and how many were sealed anew.
pub fn rotate(
    tx: &mut Tx,
    sealer: &Sealer,
    after: Option<EnrolmentId>,
    limit: i64,
) -> Result<(Option<EnrolmentId>, usize), StoreError> {
    let newest: KeyId = sealer.newest();
    let page = super::enrolments::list(tx, &super::enrolments::Filter::default(), after, limit)?;
    let last = page.last().map(|row| row.id);
    let mut done = 0;
    for row in page {
        let stale = |held: Option<Vec<u8>>| match held {
            Some(old) if Sealer::key_of(&old)? != newest => Ok::<_, StoreError>(Some(old)),
            _ => Ok(None),
        };
        let (current, next) = (stale(row.credentials)?, stale(row.next_credentials)?);
        done += usize::from(current.is_some() || next.is_some());
        if let Some(old) = current {
            let text = sealer.open(row.id, &old)?;
            set(tx, row.id, Some(sealer.seal(row.id, &text)?.into_octets()))?;
        }
        if let Some(old) = next {
            let text = sealer.open(row.id, &old)?;
            expect(tx, row.id, Some(sealer.seal(row.id, &text)?.into_octets()))?;
        }
    }
    Ok((last, done))
}
