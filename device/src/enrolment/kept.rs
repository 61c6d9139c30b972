//! Where a renewed identity is kept, and what a session with it needs.

use std::sync::Arc;

use super::{Account, Enrolment, EnrolmentFolder, NextIdentity};
use crate::{
    device::Identities,
    transport::{ClientTls, Https, HttpsOptions, TlsOptions},
};

/// The identity of an enrolment, which its server renews.
pub struct KeptIdentity {
    enrolment: Enrolment,
    folder: Option<EnrolmentFolder>,
    options: Arc<HttpsOptions>,
}

impl KeptIdentity {
    /// Kept in a folder; without one, in memory.
    #[must_use]
    pub fn new(enrolment: Enrolment, folder: Option<EnrolmentFolder>, options: Arc<HttpsOptions>) -> Self {
        Self { enrolment, folder, options }
    }
}

impl Identities<Https> for KeptIdentity {
    fn with(&self, next: &NextIdentity) -> Result<(Account, Https), String> {
        let enrolment = self.enrolment.clone().with(next);
        let account = Account::new(&enrolment, None).map_err(|error| error.to_string())?;
        let tls = ClientTls::new(TlsOptions::default()).config(&enrolment, None);
        let tls = tls.map_err(|error| error.to_string())?;
        Ok((account, Https::new(tls, Arc::clone(&self.options))))
    }

    fn keep(&mut self, next: &NextIdentity) -> Result<(), String> {
        if let Some(folder) = &self.folder {
            folder.keep_renewed(&self.enrolment, next).map_err(|error| error.to_string())?;
        }
        self.enrolment = self.enrolment.clone().with(next);
        Ok(())
    }
}
