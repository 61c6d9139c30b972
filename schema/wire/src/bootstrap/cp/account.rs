//! The application characteristic w7: a DM account, with the access point that it goes through.
//!
//! AAUTHLEVEL says who proves itself with the credential: `APPSRV` is the client to the server (CLCRED in the DMAcc
//! object), `CLIENT` the server to the client (SRVCRED). They are easily swapped (BOO-01).

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};

use super::{Characteristic, Document};

/// The application id of DM.
const APPID: &str = "w7";
const MOST_ACCOUNTS: usize = 16;
const MOST_TEXT_OCTETS: usize = 2_048;

/// A DM account.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// PROVIDER-ID: the ServerID.
    pub server_id: String,
    /// NAME: what the user sees.
    pub name: Option<String>,
    /// AAuthPref of the DM profile: the type that the server wants first. OMA CP cannot say it.
    pub preferred: Option<String>,
    /// TO-PROXY: ids of proxies that lead to the server.
    pub proxies: Vec<String>,
    /// TO-NAPID: ids of access points that lead to the server; in the DM profile, the URIs of their nodes (ConRef).
    pub access_points: Vec<String>,
    /// INIT: the device opens a session at once.
    pub init: bool,
    /// APPADDR: where the server is.
    pub addresses: Vec<Address>,
    /// APPAUTH.
    pub credentials: Vec<Credential>,
}

/// APPADDR.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// ADDR.
    pub address: String,
    /// ADDRTYPE; URI when it is missing.
    pub kind: Option<String>,
    /// PORT/PORTNBR.
    pub ports: Vec<u16>,
}

/// AAUTHLEVEL: who proves itself to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// `APPSRV`: the client to the server; CLCRED.
    ClientToServer,
    /// `CLIENT`: the server to the client; SRVCRED.
    ServerToClient,
    /// `OBEX`.
    Obex,
}

impl Level {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ClientToServer, Self::ServerToClient, Self::Obex];

    /// The value of AAUTHLEVEL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientToServer => "APPSRV",
            Self::ServerToClient => "CLIENT",
            Self::Obex => "OBEX",
        }
    }

    /// The value of AAuthLevel in the DMAcc object.
    #[must_use]
    pub fn in_dmacc(self) -> &'static str {
        match self {
            Self::ClientToServer => "CLCRED",
            Self::ServerToClient => "SRVCRED",
            Self::Obex => "OBEX",
        }
    }
}

/// APPAUTH.
#[derive(Clone)]
pub struct Credential {
    /// AAUTHLEVEL.
    pub level: Level,
    /// AAUTHTYPE: `BASIC`, `DIGEST`, `HMAC` …
    pub kind: Option<String>,
    /// AAUTHNAME.
    pub name: Option<String>,
    /// AAUTHSECRET.
    pub secret: Option<SecretString>,
    /// AAUTHDATA: the first nonce, base64.
    pub data: Option<SecretString>,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("level", &self.level)
            .field("kind", &self.kind)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// NAPDEF: an access point of the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessPoint {
    /// NAPID.
    pub id: String,
    /// NAME.
    pub name: Option<String>,
    /// BEARER: `GSM-GPRS` …
    pub bearer: Option<String>,
    /// NAP-ADDRESS.
    pub address: String,
    /// NAP-ADDRTYPE: `APN` …
    pub kind: Option<String>,
}

impl AccessPoint {
    fn characteristic(&self) -> Characteristic {
        Characteristic::new("NAPDEF")
            .with("NAPID", &self.id)
            .with_some("NAME", self.name.as_deref())
            .with_some("BEARER", self.bearer.as_deref())
            .with("NAP-ADDRESS", &self.address)
            .with_some("NAP-ADDRTYPE", self.kind.as_deref())
    }
}

impl Account {
    /// The document, version 1.1, that gives this account to a device.
    #[must_use]
    pub fn document(&self, access_points: &[AccessPoint]) -> Document {
        let mut characteristics: Vec<_> = access_points.iter().map(AccessPoint::characteristic).collect();
        characteristics.push(self.characteristic());
        Document { version: Some("1.1".to_owned()), characteristics }
    }

    fn characteristic(&self) -> Characteristic {
        let mut account = Characteristic::new("APPLICATION")
            .with("APPID", APPID)
            .with("PROVIDER-ID", &self.server_id)
            .with_some("NAME", self.name.as_deref());
        for proxy in &self.proxies {
            account = account.with("TO-PROXY", proxy);
        }
        for access_point in &self.access_points {
            account = account.with("TO-NAPID", access_point);
        }
        if self.init {
            account = account.with_flag("INIT");
        }
        for address in &self.addresses {
            let mut inner = Characteristic::new("APPADDR")
                .with("ADDR", &address.address)
                .with_some("ADDRTYPE", address.kind.as_deref());
            for port in &address.ports {
                inner = inner.containing(Characteristic::new("PORT").with("PORTNBR", &port.to_string()));
            }
            account = account.containing(inner);
        }
        for credential in &self.credentials {
            account = account.containing(
                Characteristic::new("APPAUTH")
                    .with("AAUTHLEVEL", credential.level.as_str())
                    .with_some("AAUTHTYPE", credential.kind.as_deref())
                    .with_some("AAUTHNAME", credential.name.as_deref())
                    .with_some("AAUTHSECRET", exposed(credential.secret.as_ref()))
                    .with_some("AAUTHDATA", exposed(credential.data.as_ref())),
            );
        }
        account
    }

    /// The DM accounts of a document.
    ///
    /// # Errors
    /// [`BadAccount`]: one that no device could use, or too many.
    pub fn all_of(document: &Document) -> Result<Vec<Self>, BadAccount> {
        let applications = document.characteristics.iter().filter(|one| one.kind == "APPLICATION");
        let accounts: Vec<_> = applications.filter(|one| one.value("APPID") == Some(APPID)).collect();
        if accounts.len() > MOST_ACCOUNTS {
            return Err(BadAccount::TooMany);
        }
        accounts.into_iter().map(Self::of).collect()
    }

    fn of(application: &Characteristic) -> Result<Self, BadAccount> {
        let texts = |name: &str| -> Result<Vec<String>, BadAccount> {
            application.parms(name).filter_map(|parm| parm.value.as_deref()).map(checked).collect()
        };
        let server_id = text(application, "PROVIDER-ID")?.filter(|id| !id.is_empty());
        Ok(Self {
            server_id: server_id.ok_or(BadAccount::Missing("PROVIDER-ID"))?,
            name: text(application, "NAME")?,
            preferred: None,
            proxies: texts("TO-PROXY")?,
            access_points: texts("TO-NAPID")?,
            init: application.parms("INIT").next().is_some(),
            addresses: addresses(application)?,
            credentials: application.inner("APPAUTH").map(credential).collect::<Result<_, _>>()?,
        })
    }
}

fn exposed(secret: Option<&SecretString>) -> Option<&str> {
    secret.map(|secret| secret.expose_secret())
}

/// APPADDR, or the short form: a parm ADDR of the application itself.
fn addresses(application: &Characteristic) -> Result<Vec<Address>, BadAccount> {
    let mut addresses: Vec<_> = application.inner("APPADDR").map(address).collect::<Result<_, _>>()?;
    for parm in application.parms("ADDR") {
        if let Some(value) = &parm.value {
            addresses.push(Address { address: checked(value)?, ..Address::default() });
        }
    }
    if addresses.is_empty() { Err(BadAccount::Missing("ADDR")) } else { Ok(addresses) }
}

fn address(characteristic: &Characteristic) -> Result<Address, BadAccount> {
    let port = |port: &Characteristic| {
        port.value("PORTNBR").and_then(|number| number.trim().parse().ok()).ok_or(BadAccount::Port)
    };
    Ok(Address {
        address: text(characteristic, "ADDR")?.ok_or(BadAccount::Missing("ADDR"))?,
        kind: text(characteristic, "ADDRTYPE")?,
        ports: characteristic.inner("PORT").map(port).collect::<Result<_, _>>()?,
    })
}

fn credential(characteristic: &Characteristic) -> Result<Credential, BadAccount> {
    let level = characteristic.value("AAUTHLEVEL").ok_or(BadAccount::Missing("AAUTHLEVEL"))?;
    let known = Level::ALL.into_iter().find(|known| known.as_str() == level.trim());
    Ok(Credential {
        level: known.ok_or(BadAccount::Level)?,
        kind: text(characteristic, "AAUTHTYPE")?,
        name: text(characteristic, "AAUTHNAME")?,
        secret: text(characteristic, "AAUTHSECRET")?.map(SecretString::from),
        data: text(characteristic, "AAUTHDATA")?.map(SecretString::from),
    })
}

fn text(characteristic: &Characteristic, name: &str) -> Result<Option<String>, BadAccount> {
    characteristic.value(name).map(checked).transpose()
}

fn checked(text: &str) -> Result<String, BadAccount> {
    if text.len() > MOST_TEXT_OCTETS { Err(BadAccount::TooLong) } else { Ok(text.to_owned()) }
}

/// A w7 application that is no account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAccount {
    /// A parm that has to be there is not.
    #[error("the account lacks {0}")]
    Missing(&'static str),
    /// AAUTHLEVEL is unknown.
    #[error("the account's AAUTHLEVEL is neither APPSRV nor CLIENT nor OBEX")]
    Level,
    /// PORTNBR is no port.
    #[error("the account's PORTNBR is not a port number")]
    Port,
    /// A value is too long.
    #[error("a value of the account is longer than {MOST_TEXT_OCTETS} octets")]
    TooLong,
    /// There are too many.
    #[error("the document has more than {MOST_ACCOUNTS} DM accounts")]
    TooMany,
}
