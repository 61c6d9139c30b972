//! Enrolment over the air: a one-time password becomes an account, without any trust beforehand (docs/ENROLMENT.md).
//!
//! Promise: nothing that the server says is believed before it has proved the password, and nothing is handed out before the
//! certificate fits its key, its issuer and its enrolment. An exchange that broke off is begun again with the same key, which the
//! server answers with the same result.

mod check;
mod error;
mod http;

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use postern_wire::{
    enrol::{
        Admitted, Application, DISCOVER_PATH, Der, Discovery, FINISH_PATH, Hello, Initiator, KeyType, Psk,
        RequestCode, START_PATH, Welcome,
    },
    recovery::EscrowKey,
    terms::UtcMillis,
};
use rustls_pki_types::CertificateDer;
use secrecy::SecretString;
use zeroize::Zeroizing;

pub use error::AirError;
use http::Exchange;

use super::{Account, Enrolment, identity};
use crate::{edge, keys::NewRequest, origin::ServerUri};

/// Who the device says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applicant {
    /// DevId.
    pub device_id: String,
    /// What stays the same when the device is set up anew.
    pub hardware_id: String,
    /// DevInfo/Man.
    pub manufacturer: String,
    /// DevInfo/Mod.
    pub model: String,
    /// The system that it runs on.
    pub platform: String,
    /// Whose it is, where the person said so.
    pub email: Option<String>,
}

/// How the server is reached.
#[derive(Clone, Debug)]
pub struct AirOptions {
    /// Dial these addresses for these hosts, instead of asking DNS.
    pub resolve: BTreeMap<String, SocketAddr>,
    /// For TCP and TLS together.
    pub connect_timeout: Duration,
    /// From a request's first octet to its answer's last.
    pub answer_timeout: Duration,
    /// An exchange that broke off, or that the server is too busy for, is begun again so often.
    pub retries: u32,
    /// Before the first of these; doubled each time.
    pub retry_wait: Duration,
}

impl Default for AirOptions {
    fn default() -> Self {
        Self {
            resolve: BTreeMap::new(),
            connect_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(30),
            retries: 4,
            retry_wait: Duration::from_millis(500),
        }
    }
}

/// No wait is longer, whatever Retry-After says.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The password, as its code and the key that was made of it.
#[derive(Clone, Debug)]
pub struct Proof {
    /// Its public part.
    pub code: RequestCode,
    /// Its key.
    pub psk: Psk,
}

/// Asks the hosts of an e-mail address's domain which server to go to. Nothing of the answer is proved.
///
/// # Errors
/// [`AirError::Discovery`] for an address that is none, else what the last host did.
pub async fn discover(email: &str, options: &AirOptions) -> Result<ServerUri, AirError> {
    let mut last = None;
    for host in Discovery::hosts(email)? {
        let uri = ServerUri { host, port: 443, target: DISCOVER_PATH.to_owned() };
        match ask(&uri, options).await {
            Ok(server) => return Ok(server),
            Err(error) => {
                tracing::debug!(host = %uri.host, %error, "no discovery here");
                last = Some(error);
            }
        }
    }
    Err(last.unwrap_or(AirError::Unavailable))
}

async fn ask(uri: &ServerUri, options: &AirOptions) -> Result<ServerUri, AirError> {
    let mut exchange = Exchange::new(uri, options)?;
    let body = exchange.get(DISCOVER_PATH).await?;
    let found = Discovery::read(&body)?;
    Ok(ServerUri::parse(&format!("https://{}/", found.server))?)
}

/// Enrols with `server`; tries again what broke off. `now` and the randomness come from the edge.
///
/// # Errors
/// [`AirError`].
pub async fn enrol(
    server: &ServerUri,
    proof: &Proof,
    applicant: &Applicant,
    key: &NewRequest,
    options: &AirOptions,
) -> Result<Enrolment, AirError> {
    let mut wait = options.retry_wait;
    let mut left = options.retries;
    loop {
        let error = match once(server, proof, applicant, key, options).await {
            Ok(enrolment) => return Ok(enrolment),
            Err(error) => error,
        };
        let Some(asked) = error.retry().filter(|_| left > 0) else { return Err(error) };
        left -= 1;
        tracing::info!(%error, "the enrolment is begun again");
        tokio::time::sleep(spread(wait.max(asked)).min(LONGEST_WAIT)).await;
        wait *= 2;
    }
}

/// Up to half as long again: those who were sent away together do not come back together.
fn spread(wait: Duration) -> Duration {
    let mut random = [0; 2];
    edge::random(&mut random);
    wait + wait * u32::from(u16::from_be_bytes(random)) / (2 * u32::from(u16::MAX))
}

async fn once(
    server: &ServerUri,
    proof: &Proof,
    applicant: &Applicant,
    key: &NewRequest,
    options: &AirOptions,
) -> Result<Enrolment, AirError> {
    let mut exchange = Exchange::new(server, options)?;
    let mut ephemeral = Zeroizing::new([0; 32]);
    edge::random(&mut *ephemeral);
    let started = Initiator::start(proof.code, &proof.psk, &hello(applicant), ephemeral);
    let (device, body) = started.map_err(AirError::of_own_words)?;
    let (device, welcome) = device.welcomed(&exchange.post(START_PATH, body).await?)?;
    // from here on it is the core that speaks, whoever carries its words
    check::welcome(&welcome)?;
    let KeyType::EcdsaP256 = welcome.key_type;
    let (device, body) = device.apply(&application(applicant, key)).map_err(AirError::of_own_words)?;
    let admitted = device.admitted(&exchange.post(FINISH_PATH, body).await?)?;
    let enrolment = account(&welcome, admitted, proof.code, key)?;
    let issued = identity::certificates(enrolment.certificate_pem.as_deref().unwrap_or_default())?;
    let anchors: Vec<_> = welcome.device_cas.iter().map(|ca| CertificateDer::from(ca.0.clone())).collect();
    identity::fits(&issued, &anchors, &key.key_pem, enrolment.enrolment, edge::now())?;
    Account::new(&enrolment, None)?;
    Ok(enrolment)
}

fn hello(applicant: &Applicant) -> Hello {
    Hello {
        software: concat!("postern-device/", env!("CARGO_PKG_VERSION")).to_owned(),
        platform: applicant.platform.clone(),
    }
}

fn application(applicant: &Applicant, key: &NewRequest) -> Application {
    Application {
        csr: Der(key.csr_der.clone()),
        device_id: applicant.device_id.clone(),
        hardware_id: applicant.hardware_id.clone(),
        manufacturer: applicant.manufacturer.clone(),
        model: applicant.model.clone(),
        platform: applicant.platform.clone(),
        email: applicant.email.clone(),
    }
}

/// The account, as an enrolment by hand would have brought it.
fn account(
    welcome: &Welcome,
    admitted: Admitted,
    code: RequestCode,
    key: &NewRequest,
) -> Result<Enrolment, AirError> {
    let given = admitted.bootstrap;
    let pem = |all: &[Der]| all.iter().map(|one| check::pem("CERTIFICATE", &one.0)).collect::<String>();
    Ok(Enrolment {
        server_uri: given.server_uri,
        enrolment: given.enrolment,
        generation: given.generation,
        device_id: given.device_id,
        server_id: given.server_id,
        auth: given.auth,
        user: given.user,
        password: given.password,
        server_password: given.server_password,
        server_auth: None,
        certificate_pem: Some(pem(&admitted.chain)),
        key_pem: Some(SecretString::from(key.key_pem.as_str())),
        ca_pem: pem(&welcome.server_cas),
        device_ca_pem: Some(pem(&welcome.device_cas)),
        escrow_key: welcome.escrow_key.as_ref().and_then(|key| EscrowKey::from_der(key.0.clone()).ok()),
        message_key_pem: Some(check::pem("PUBLIC KEY", &welcome.message_key.0)),
        order_key_pem: Some(check::pem("PUBLIC KEY", &welcome.order_key.0)),
        request: Some(code),
        renew_from: Some(given.renew_from).filter(|moment| *moment != UtcMillis(0)),
    })
}
