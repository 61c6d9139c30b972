//! Bootstrap: the document that gives a device its account with this server.
//!
//! Promise: that somebody reads a device's credentials is in the audit log before they are used; neither they nor the
//! PIN stand in any log; what is not proven by a MAC is not pushed.

use std::time::Duration;

use actix_web::web;
use postern_actors::{PushError, PushOrder};
use postern_api::{
    notifications::{Bootstrap, BootstrapProfile, BootstrapSecurity, BootstrapTo, MakeBootstrap},
    problem::Slug,
};
use postern_store::{credentials::Credentials, enrolments, notifications as rows};
use postern_wire::{
    bootstrap::{
        cp::{self, Account, Address, Credential, Level},
        mac::{self, NetworkSecret, Secrets},
        profile,
    },
    push::{Push, PushMedia, SecurityMethod},
    route::RouteId,
    terms::{AuthType, EnrolmentState},
};
use secrecy::SecretString;
use serde_json::json;

use super::{
    answer::{self, Answer},
    auth::Caller,
    devices::{REASON, resolve},
    notifications::retired,
    problem::{Refused, internal},
    write::Done,
};
use crate::inside::Inside;

/// Octets of the first nonce of the server's credentials.
const NONCE: usize = 16;
/// Longest account name, in characters.
const NAME: usize = 64;
/// A pushed bootstrap is worth nothing after so long, in milliseconds.
const VALID_MS: i64 = 48 * 3_600_000;
/// The bearer has so long.
const PUSH_LIMIT: Duration = Duration::from_secs(30);

pub(super) async fn make(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    body: web::Json<MakeBootstrap>,
    caller: Caller,
) -> Answer {
    let asked = body.into_inner();
    if asked.security == BootstrapSecurity::None && asked.to != BootstrapTo::File {
        return Err(Refused::invalid("/security", "a document without a MAC is not pushed"));
    }
    let name = answer::optional_text("/name", asked.name.as_deref(), NAME)?;
    let read = read_enrolment(&inside, &caller, path.into_inner(), &asked).await?;
    let account = account(&inside, &read, name)?;
    let push = document(&asked, &account, &read.enrolment.device_id)?;
    let made = match asked.to {
        BootstrapTo::File => Bootstrap {
            content_type: push.content_type(),
            document_base64: Some(data_encoding::BASE64.encode(&push.body)),
            bearer: None,
            reference: None,
        },
        BootstrapTo::Sms => pushed(&inside, "smpp", push, read.number).await?,
        BootstrapTo::Pap => pushed(&inside, "pap", push, read.number).await?,
    };
    answer::ok(&made)
}

/// What a document is made from.
struct Read {
    enrolment: enrolments::Enrolment,
    nonce: Vec<u8>,
    number: Option<String>,
}

/// Writes to the audit log that the credentials are read, and gives what the document needs. The first nonce of the
/// server's credentials is made where the device has none: both sides begin with it.
async fn read_enrolment(
    inside: &Inside,
    caller: &Caller,
    name: String,
    asked: &MakeBootstrap,
) -> Result<Read, Refused> {
    let reason = answer::optional_text("/reason", asked.reason.as_deref(), REASON)?;
    let mut fresh = [0; NONCE];
    inside.random.fill(&mut fresh);
    let detail = json!({
        "profile": asked.profile,
        "security": asked.security,
        "to": asked.to,
        "reads": "credentials",
        "reason": reason,
    });
    inside
        .change(caller, move |tx| {
            let enrolment = resolve(tx, &name)?;
            if enrolment.state == EnrolmentState::Retired {
                return Err(retired(enrolment.id).into());
            }
            let nonce = match &enrolment.server_nonce {
                Some(nonce) => nonce.clone(),
                None => {
                    enrolments::set_server_nonce(tx, enrolment.id, Some(&fresh))?;
                    fresh.to_vec()
                }
            };
            let number = rows::address(tx, enrolment.id)?.and_then(|row| row.address);
            let object = format!("device:{}", enrolment.id);
            Ok(Done { object, detail: detail.clone(), value: Read { enrolment, nonce, number } })
        })
        .await
}

fn account(inside: &Inside, read: &Read, name: Option<String>) -> Result<Account, Refused> {
    let enrolment = &read.enrolment;
    let held = match &enrolment.credentials {
        Some(sealed) => Credentials::open(&inside.sealer, enrolment.id, sealed)?,
        None => Credentials::default(),
    };
    let url = format!("{}{}", inside.config.devices.url, RouteId::from_bytes(enrolment.route).path());
    let kind = match enrolment.auth {
        AuthType::Basic => "BASIC",
        AuthType::Md5 => "DIGEST",
        AuthType::Hmac => "HMAC",
        AuthType::Certificate | AuthType::Signed => "TRANSPORT",
    };
    let mut credentials = vec![Credential {
        level: Level::ClientToServer,
        kind: Some(kind.to_owned()),
        name: Some(held.user.clone()).filter(|user| !user.is_empty()),
        secret: held.password,
        data: None,
    }];
    if let Some(password) = held.server_password {
        credentials.push(Credential {
            level: Level::ServerToClient,
            kind: Some(if kind == "HMAC" { "HMAC" } else { "DIGEST" }.to_owned()),
            name: Some(held.server_id.clone()),
            secret: Some(password),
            data: Some(SecretString::from(data_encoding::BASE64.encode(&read.nonce))),
        });
    }
    let server_id = Some(held.server_id).filter(|id| !id.is_empty());
    Ok(Account {
        server_id: server_id.unwrap_or_else(|| inside.config.devices.server_id.clone()),
        name,
        init: true,
        preferred: Some(kind.to_owned()),
        addresses: vec![Address { ports: vec![port(&url)], address: url, kind: None }],
        credentials,
        ..Account::default()
    })
}

/// The port that a URL names, or its scheme's.
fn port(url: &str) -> u16 {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    let scheme = if url.starts_with("http://") { 80 } else { 443 };
    authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(scheme)
}

fn document(asked: &MakeBootstrap, account: &Account, device_id: &str) -> Result<Push, Refused> {
    let push = match asked.profile {
        BootstrapProfile::Cp => {
            let document = account.document(&[]).to_wbxml(cp::AuthTypes::default());
            Push::bootstrap(PushMedia::ConnectivityWbxml, None, document.map_err(|error| internal(&error))?)
        }
        BootstrapProfile::Dm => {
            let tree = profile::tree(account, "account").map_err(|error| internal(&error))?;
            let message = profile::message(device_id, &account.server_id, &tree);
            Push::bootstrap(PushMedia::DmWbxml, None, message.map_err(|error| internal(&error))?)
        }
    };
    let method = match asked.security {
        BootstrapSecurity::UserPin => SecurityMethod::UserPin,
        BootstrapSecurity::NetwPin => SecurityMethod::NetworkPin,
        BootstrapSecurity::UserNetwPin => SecurityMethod::UserNetworkPin,
        BootstrapSecurity::None => return Ok(push),
    };
    let secrets = Secrets {
        network: asked.imsi.clone().map(|imsi| NetworkSecret::Imsi(SecretString::from(imsi))),
        pin: asked.pin.clone().map(SecretString::from),
    };
    mac::seal(push, method, &secrets).map_err(|error| {
        let at = if matches!(error, mac::BadSecret::Pin) { "/pin" } else { "/security" };
        Refused::invalid(at, error.to_string())
    })
}

async fn pushed(
    inside: &Inside,
    name: &str,
    push: Push,
    number: Option<String>,
) -> Result<Bootstrap, Refused> {
    let active = inside.active()?;
    let bearer = active.bearers.iter().find(|bearer| bearer.name() == name).ok_or_else(|| {
        Refused::invalid("/to", format!("the bearer {name} is not set up in this core's configuration"))
    })?;
    let to = number.ok_or_else(|| {
        Refused::new(Slug::WrongState, "the device has no push address: set one with `device address set`")
    })?;
    let now = inside.now();
    let content_type = push.content_type();
    let order = PushOrder { id: inside.random.id(now), to, content: push, valid_until: now.plus(VALID_MS) };
    let taken = tokio::time::timeout(PUSH_LIMIT, bearer.push(order)).await;
    match taken.unwrap_or_else(|_| Err(PushError::retry("it gave no answer in time"))) {
        Ok(receipt) => Ok(Bootstrap {
            content_type,
            document_base64: None,
            bearer: Some(name.to_owned()),
            reference: Some(receipt.reference),
        }),
        Err(PushError::Retry { reason, .. }) => {
            Err(Refused::new(Slug::Unavailable, format!("{name} does not take it now: {reason}")))
        }
        Err(PushError::Refused { reason }) => {
            Err(Refused::new(Slug::WrongState, format!("{name} refuses it: {reason}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::port;

    #[test]
    fn the_port_is_the_urls_or_its_schemes() {
        let cases = [
            ("https://a/dm", 443),
            ("https://a:8443/dm", 8443),
            ("http://a/x:1", 80),
            ("https://[::1]:9/", 9),
        ];
        for (url, expected) in cases {
            assert_eq!(port(url), expected, "{url}");
        }
    }
}
