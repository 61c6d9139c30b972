//! `posternctl bootstrap decode`: bootstrap documents in files, offline; bare or as a WSP push. Secrets are masked.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use postern_wire::{
    bootstrap::{
        cp::{Account, Characteristic, Credential, Document, Part},
        mac::{NetworkSecret, Secrets, verify},
        profile,
    },
    push::{Push, PushMedia, wsp},
    syncml::Encoding,
};
use serde::Serialize;

use crate::{
    commands::bootstrap::Make,
    failure::{Exit, Failure},
    files::{self, hex_or_octets},
    output::Output,
};

/// What can be done with bootstraps.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Read a bootstrap of either profile, and check its MAC when a PIN or an IMSI is given. Exit code 1 when the MAC is wrong, 2 when it is no bootstrap.
    Decode(Decode),
    /// Make a device's bootstrap document: write it to a file, or push it.
    Make(Make),
}

/// What to read.
#[derive(Debug, Args)]
pub struct Decode {
    /// A file whose first line is the user's PIN.
    #[arg(long, value_name = "FILE")]
    pub pin_file: Option<PathBuf>,
    /// A file whose first line is the device's IMSI.
    #[arg(long, value_name = "FILE")]
    pub imsi_file: Option<PathBuf>,
    /// A bootstrap: an OMA CP document, a DM message, or a WSP push of one; in octets or in hexadecimal digits. `-` is stdin.
    pub file: PathBuf,
}

#[derive(Debug, Serialize)]
struct Shown {
    profile: &'static str,
    media_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    security: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<String>,
    accounts: Vec<ShownAccount>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    document: Vec<ShownCharacteristic>,
}

#[derive(Debug, Serialize)]
struct ShownAccount {
    server_id: String,
    name: Option<String>,
    connections: Vec<String>,
    init: bool,
    addresses: Vec<ShownAddress>,
    credentials: Vec<ShownCredential>,
}

#[derive(Debug, Serialize)]
struct ShownAddress {
    address: String,
    ports: Vec<u16>,
}

#[derive(Debug, Serialize)]
struct ShownCredential {
    level: &'static str,
    r#type: Option<String>,
    name: Option<String>,
    secret: bool,
    nonce: bool,
}

#[derive(Debug, Serialize)]
struct ShownCharacteristic {
    r#type: String,
    parms: Vec<(String, Option<String>)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    inside: Vec<ShownCharacteristic>,
}

impl Decode {
    /// Does it.
    pub fn run(self, output: &mut Output<'_>) -> Result<Exit, Failure> {
        let decode = self;
        let octets = hex_or_octets(files::octets(&decode.file)?);
        let push = push_of(octets);
        let (accounts, document) = contents(&decode.file, &push)?;
        let verified = decode.verified(&push)?;
        let exit = if verified.as_deref().is_none_or(|verdict| verdict == "right") {
            Exit::Done
        } else {
            Exit::Refused
        };
        let security = push.security.as_ref();
        let shown = Shown {
            profile: if push.media.is_dm_profile() { "dm" } else { "cp" },
            media_type: push.media.name().to_owned(),
            security: security.map(|security| security.method.name(&push.media)),
            mac: security.and_then(|security| security.mac).map(|mac| mac.to_string()),
            verified,
            accounts: accounts.iter().map(account).collect(),
            document: document
                .iter()
                .flat_map(|document| &document.characteristics)
                .map(characteristic)
                .collect(),
        };
        output.document(&shown)?;
        Ok(exit)
    }
}

impl Decode {
    /// `right`, or why not; nothing when no secret was given.
    fn verified(&self, push: &Push) -> Result<Option<String>, Failure> {
        if self.pin_file.is_none() && self.imsi_file.is_none() {
            return Ok(None);
        }
        let secret = |file: &Option<PathBuf>| file.as_deref().map(files::secret).transpose();
        let network = secret(&self.imsi_file)?.map(NetworkSecret::Imsi);
        let secrets = Secrets { network, pin: secret(&self.pin_file)? };
        Ok(Some(match verify(push, &secrets) {
            Ok(()) => "right".to_owned(),
            Err(unproven) => unproven.to_string(),
        }))
    }
}

/// The push that the octets are, or the one that they would be the body of.
fn push_of(octets: Vec<u8>) -> Push {
    if let Ok(received) = wsp::decode(&octets) {
        return received.push;
    }
    let is_wbxml = matches!(octets.first(), Some(0x01..=0x03));
    let media = match (is_wbxml, Document::read(&octets).is_ok()) {
        (true, true) => PushMedia::ConnectivityWbxml,
        (true, false) => PushMedia::DmWbxml,
        (false, true) => PushMedia::ConnectivityXml,
        (false, false) => PushMedia::DmXml,
    };
    Push::bootstrap(media, None, octets)
}

fn contents(path: &Path, push: &Push) -> Result<(Vec<Account>, Option<Document>), Failure> {
    let wrong = |error: &dyn std::error::Error| {
        Failure::invalid("invalid-bootstrap", format!("{} is not a bootstrap: {error}", path.display()))
    };
    match &push.media {
        PushMedia::ConnectivityWbxml | PushMedia::ConnectivityXml => {
            let document = Document::read(&push.body).map_err(|error| wrong(&error))?;
            let accounts = Account::all_of(&document).map_err(|error| wrong(&error))?;
            Ok((accounts, Some(document)))
        }
        PushMedia::DmWbxml | PushMedia::DmXml => {
            let encoding = if push.media == PushMedia::DmXml { Encoding::Xml } else { Encoding::Wbxml };
            let mut accounts = Vec::new();
            for tree in profile::read(&push.body, encoding).map_err(|error| wrong(&error))? {
                accounts.extend(profile::accounts(&tree).map_err(|error| wrong(&error))?);
            }
            Ok((accounts, None))
        }
        other => {
            let sentence = format!("{} is a push of {}, not a bootstrap", path.display(), other.name());
            Err(Failure::invalid("invalid-bootstrap", sentence))
        }
    }
}

fn account(account: &Account) -> ShownAccount {
    let credential = |one: &Credential| ShownCredential {
        level: one.level.in_dmacc(),
        r#type: one.kind.clone(),
        name: one.name.clone(),
        secret: one.secret.is_some(),
        nonce: one.data.is_some(),
    };
    ShownAccount {
        server_id: account.server_id.clone(),
        name: account.name.clone(),
        connections: account.access_points.iter().chain(&account.proxies).cloned().collect(),
        init: account.init,
        addresses: account
            .addresses
            .iter()
            .map(|one| ShownAddress { address: one.address.clone(), ports: one.ports.clone() })
            .collect(),
        credentials: account.credentials.iter().map(credential).collect(),
    }
}

fn characteristic(one: &Characteristic) -> ShownCharacteristic {
    let mut shown = ShownCharacteristic { r#type: one.kind.clone(), parms: Vec::new(), inside: Vec::new() };
    for part in &one.parts {
        match part {
            Part::Characteristic(inner) => shown.inside.push(characteristic(inner)),
            Part::Parm(parm) if parm.is_secret() => {
                shown.parms.push((parm.name.clone(), parm.value.as_ref().map(|_| "…".to_owned())));
            }
            Part::Parm(parm) => shown.parms.push((parm.name.clone(), parm.value.clone())),
        }
    }
    shown
}
