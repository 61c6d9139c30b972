//! A device's account with a server: what a person would type into the device, from a TOML file or an operator.

use std::path::Path;

use postern_wire::terms::AuthType;
use secrecy::SecretString;
use serde::Deserialize;

use super::http::Identity;

/// An account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Where the device connects.
    pub server_uri: String,
    /// The DevId: the Source of every message.
    pub device_id: String,
    /// The ServerID.
    pub server_id: String,
    /// How the device proves itself.
    pub auth: AuthType,
    /// The device's user name.
    pub user: Option<String>,
    /// The device's password.
    pub password: Option<SecretString>,
    /// The server's password.
    pub server_password: Option<SecretString>,
    /// The device's certificate and key.
    pub identity: Option<Identity>,
    /// The CA of the server's certificate.
    pub ca_pem: String,
}

/// An account as it is written: the enrolment file of Postern, or TOML with the same names.
#[derive(Clone, Deserialize)]
pub struct AccountFile {
    server_uri: String,
    device_id: String,
    #[serde(default)]
    server_id: String,
    auth: AuthType,
    user: Option<String>,
    password: Option<SecretString>,
    server_password: Option<SecretString>,
    certificate_pem: Option<String>,
    #[serde(default)]
    key_pem: Option<SecretString>,
    #[serde(default)]
    ca_pem: String,
}

impl Account {
    /// An account as an operator or a file gives it; `key` is the private key of a certificate that was asked for.
    #[must_use]
    pub fn new(file: AccountFile, key: Option<&SecretString>) -> Self {
        use secrecy::ExposeSecret as _;
        let key = file.key_pem.as_ref().or(key);
        let identity = file.certificate_pem.zip(key).map(|(certificate_pem, key)| Identity {
            certificate_pem,
            key_pem: key.expose_secret().to_owned(),
        });
        Self {
            server_uri: file.server_uri,
            device_id: file.device_id,
            server_id: file.server_id,
            auth: file.auth,
            user: file.user,
            password: file.password,
            server_password: file.server_password,
            identity,
            ca_pem: file.ca_pem,
        }
    }

    /// Reads TOML.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_toml(text: &str) -> Result<Self, String> {
        toml::from_str::<AccountFile>(text)
            .map(|file| Self::new(file, None))
            .map_err(|error| error.to_string())
    }

    /// Reads a file: JSON where it begins with a brace, TOML otherwise.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        match text.trim_start().starts_with('{') {
            true => serde_json::from_str::<AccountFile>(&text)
                .map(|file| Self::new(file, None))
                .map_err(|error| error.to_string()),
            false => Self::from_toml(&text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_read_from_toml_and_never_shows_its_secrets() {
        let text = "server_uri = 'https://a.example/dm'\ndevice_id = 'IMEI:1'\nserver_id = 'a'\nauth = 'md5'\n\
            user = 'Bruce2'\npassword = 'OhBehave'\nserver_password = 'srvsecret'\n";
        let account = Account::from_toml(text).unwrap();
        assert_eq!((account.auth, account.user.as_deref()), (AuthType::Md5, Some("Bruce2")));
        let shown = format!("{account:?}");
        assert!(!shown.contains("OhBehave") && !shown.contains("srvsecret"), "{shown}");
    }
}
