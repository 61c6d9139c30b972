//! A proposal becomes an enrolment.
//!
//! Promise: one transaction holds all of it; a device whose answer was lost gets the same one again, and nobody else does.
//! A refusal leaves the request as it was, with its reason in the log.

use std::sync::Arc;

use postern_engine::{
    command::Cause,
    enrolment::{
        proposal::{self, Expected, Proposal, Verdict},
        request::{self, Event, Step},
    },
};
use postern_store::{
    StoreError, Tx,
    attempts::{self, Attempt},
    credentials::Credentials,
    enrolments::{self, Enrolment},
    groups,
    lists::{self, Change, List},
    lives::{self, Life},
    requests::{self as requests_, Request},
};
use postern_wire::{
    enrol::{Admitted, Bootstrap, Der, Refusal, RequestCode},
    link::BlockedEntry,
    route::RouteId,
    terms::{AuthType, CommandId, EnrolmentId, EnrolmentState, ProofClass, RequestState},
};
use secrecy::SecretString;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, X509CertificationRequest};
use zeroize::Zeroizing;

use super::{Enrolments, requests, rows};
use crate::{
    AuditActor, AuthorityError, DeviceCsr, IssuedDevice,
    orders::{Unwritten, audit, drop_pending},
};

/// Who came, from where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Came {
    /// From which address.
    pub source: String,
    /// Through which gateway.
    pub gateway: String,
}

/// Why a device is not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmitError {
    /// What it is told, and why, for the log.
    #[error("{detail}")]
    Refused {
        /// What it is told.
        refusal: Refusal,
        /// Why.
        detail: String,
    },
    /// The database cannot be reached, it is overloaded, or no certificate can be issued: it is to come again.
    #[error("unavailable: {0}")]
    Unavailable(String),
}

impl From<Unwritten> for AdmitError {
    fn from(cause: Unwritten) -> Self {
        Self::Unavailable(super::EnrolmentError::from(cause).to_string())
    }
}

/// All that is fixed before the transaction.
struct Plan {
    code: RequestCode,
    proposal: Proposal,
    came: Came,
    /// What the device came with: a digest over its key and its hardware.
    with: [u8; 32],
    id: EnrolmentId,
    /// The generation that the enrolment gets.
    generation: i64,
    route: RouteId,
    issued: IssuedDevice,
    credentials: Vec<u8>,
    result: Vec<u8>,
    steady: bool,
}

/// What the transaction came to.
enum Decided {
    Admitted(Box<Done>),
    Again(Vec<u8>, uuid::Uuid),
    Refused(Refusal, String),
    /// The enrolment that is renewed got another generation meanwhile: once more.
    Moved,
}

/// Whom to tell afterwards.
#[derive(Default)]
struct Done {
    buried: Option<RouteId>,
    dropped: Vec<CommandId>,
    blocked: Vec<BlockedEntry>,
    quarantined: bool,
}

impl Enrolments {
    /// Admits a device that has proved the password of the request with this code.
    ///
    /// # Errors
    /// [`AdmitError`].
    pub async fn admit(
        &self,
        code: RequestCode,
        proposal: Proposal,
        came: Came,
    ) -> Result<Admitted, AdmitError> {
        let mut tries = 0;
        loop {
            tries += 1;
            if let Some(admitted) = self.try_admit(code, &proposal, &came).await? {
                return Ok(admitted);
            }
            if tries >= 3 {
                return Err(AdmitError::Unavailable("the enrolment changed at the same time".to_owned()));
            }
        }
    }

    async fn try_admit(
        &self,
        code: RequestCode,
        proposal: &Proposal,
        came: &Came,
    ) -> Result<Option<Admitted>, AdmitError> {
        let shared = self.shared();
        let found = shared.store.look_up(move |r| {
            let Some(request) = requests_::by_code(r, code.as_str())? else { return Ok(None) };
            let renewed = match request.renews {
                Some(id) => enrolments::find(r, id)?,
                None => None,
            };
            Ok(Some((request, renewed)))
        });
        let found = found.await.map_err(|error| AdmitError::Unavailable(error.to_string()))?;
        let Some((request, renewed)) = found else {
            let detail = "there is no such request".to_owned();
            return Err(AdmitError::Refused { refusal: Refusal::NotProved, detail });
        };
        let (plan, admitted) = match self.plan(code, &request, renewed.as_ref(), proposal, came) {
            Ok(planned) => planned,
            Err(AdmitError::Refused { refusal, detail }) => {
                self.log_refused(&request, came, refusal, &detail).await;
                return Err(AdmitError::Refused { refusal, detail });
            }
            Err(other) => return Err(other),
        };
        let plan = Arc::new(plan);
        let (deciding, rules) = (Arc::clone(&plan), Arc::clone(&self.inner.parts.rules));
        let written = shared.store.write(move |tx| decide(tx, rules.as_ref(), &deciding));
        match written.await.map_err(Unwritten::from)? {
            Decided::Moved => Ok(None),
            Decided::Refused(refusal, detail) => Err(AdmitError::Refused { refusal, detail }),
            Decided::Again(sealed, request) => self.again(&sealed, request).map(Some),
            Decided::Admitted(done) => {
                self.tell(&plan, *done);
                Ok(Some(admitted))
            }
        }
    }

    /// Makes what does not depend on the transaction: ids, secrets, the certificate, the answer.
    fn plan(
        &self,
        code: RequestCode,
        request: &Request,
        renewed: Option<&Enrolment>,
        proposal: &Proposal,
        came: &Came,
    ) -> Result<(Plan, Admitted), AdmitError> {
        let shared = self.shared();
        let site = &self.inner.parts.site;
        let bad = |detail: String| AdmitError::Refused { refusal: Refusal::BadRequest, detail };
        let sealing = |error: StoreError| AdmitError::Unavailable(format!("it cannot be sealed: {error}"));
        let with = digest(proposal).map_err(|why| bad(why.to_owned()))?;
        let id = request.renews.unwrap_or_else(|| self.inner.devices.next_enrolment_id());
        let generation = renewed.map_or(1, |row| row.generation + 1);
        let csr = DeviceCsr {
            der: &proposal.csr,
            enrolment: id,
            generation: u64::try_from(generation).unwrap_or(u64::MAX),
            dns_name: None,
        };
        let issued = self.inner.parts.authority.issue_device(csr, shared.now());
        let issued = issued.map_err(|error| match error {
            AuthorityError::Request(why) => bad(format!("the signing request {why}")),
            other => AdmitError::Unavailable(other.to_string()),
        })?;
        let by_password = matches!(request.auth, AuthType::Basic | AuthType::Md5 | AuthType::Hmac);
        let secret = || by_password.then(|| password(shared.random.as_ref()));
        let credentials = Credentials {
            // A colon would end the user in syncml:auth-basic.
            user: if by_password { proposal.device_id.replace(':', "-") } else { String::new() },
            password: secret(),
            server_id: site.server_id.clone(),
            server_password: secret(),
        };
        let sealed = credentials.seal(&shared.sealer, id).map_err(sealing)?;
        let route = shared.random_route();
        let life = issued.not_after.since(issued.not_before).max(0);
        let chain = std::iter::once(&issued.der).chain(&issued.chain_der).cloned().map(Der).collect();
        let admitted = Admitted {
            chain,
            bootstrap: Bootstrap {
                server_uri: format!("{}{}", site.url, route.path()),
                enrolment: id,
                generation: u32::try_from(generation).unwrap_or(u32::MAX),
                device_id: proposal.device_id.clone(),
                server_id: site.server_id.clone(),
                auth: request.auth,
                user: by_password.then(|| credentials.user.clone()),
                password: credentials.password.clone(),
                server_password: credentials.server_password.clone(),
                renew_from: issued.not_after.plus(-(life / 3)),
            },
        };
        let text = serde_json::to_vec(&admitted).map(Zeroizing::new);
        let text = text.map_err(|error| AdmitError::Unavailable(error.to_string()))?;
        let result = shared.sealer.seal(EnrolmentId(request.id), &text).map_err(sealing)?.into_octets();
        let plan = Plan {
            code,
            proposal: proposal.clone(),
            came: came.clone(),
            with,
            id,
            generation,
            route,
            issued,
            credentials: sealed,
            result,
            steady: self.inner.devices.clock_is_steady(),
        };
        Ok((plan, admitted))
    }

    /// The answer that was kept, for the device that got it.
    fn again(&self, sealed: &[u8], request: uuid::Uuid) -> Result<Admitted, AdmitError> {
        let open = self.shared().sealer.open(EnrolmentId(request), sealed);
        let open = open.map_err(|error| AdmitError::Unavailable(error.to_string()))?;
        serde_json::from_slice(&open)
            .map_err(|_| AdmitError::Unavailable("the answer that was kept cannot be read".to_owned()))
    }

    fn tell(&self, plan: &Plan, done: Done) {
        let shared = self.shared();
        shared.watches.tell(done.dropped);
        shared.announce.live(plan.route.hash());
        if let Some(old) = done.buried {
            shared.announce.gone(old.hash());
            self.inner.devices.tell_retired(old);
        }
        rows::announce(shared, done.blocked);
        metrics::counter!("postern_enrolments_total", "door" => plan.proposal.door.as_str()).increment(1);
        if done.quarantined {
            tracing::warn!(device = %plan.id, "an enrolment stands in quarantine: its hardware is enrolled already");
        }
    }

    async fn log_refused(&self, request: &Request, came: &Came, refusal: Refusal, detail: &str) {
        let (request, came, detail) = (request.id, came.clone(), detail.to_owned());
        let written = self.shared().store.write(move |tx| {
            let row = attempt(tx, request, &came, Some((refusal.slug(), &detail)), None);
            attempts::insert(tx, vec![row])
        });
        if let Err(error) = written.await {
            tracing::warn!(%error, "a refused enrolment does not stand in the log");
        }
    }
}

fn decide(tx: &mut Tx, rules: &dyn super::EnrolmentRules, plan: &Plan) -> Result<Decided, StoreError> {
    let Some(mut request) = requests_::by_code(tx, plan.code.as_str())? else {
        return Ok(Decided::Refused(Refusal::NotProved, "there is no such request".to_owned()));
    };
    let now = tx.now();
    let step = match request::step(&requests::seen(&request), Event::Came(plan.with), now, plan.steady) {
        Ok(step) => step,
        Err(refused) => {
            return refuse(tx, &request, plan, told(refused), refused.slug(), &refused.to_string());
        }
    };
    if step == Step::AnswerAgain {
        let row = attempt(tx, request.id, &plan.came, None, request.enrolment);
        attempts::insert(tx, vec![Attempt { step: "again".to_owned(), ..row }])?;
        return match request.result {
            Some(sealed) => Ok(Decided::Again(sealed, request.id)),
            None => Err(StoreError::Damaged("a used request without its answer".to_owned())),
        };
    }
    let expected = expect(tx, rules, &request, &plan.proposal)?;
    let verdict = match proposal::judge(&plan.proposal, &expected) {
        Ok(verdict) => verdict,
        Err(refused) => {
            let refusal = match refused {
                proposal::Refused::Quota => Refusal::Quota,
                proposal::Refused::Names => Refusal::BadRequest,
                _ => Refusal::OtherDevice,
            };
            return refuse(tx, &request, plan, refusal, refused.slug(), &refused.to_string());
        }
    };
    let mut done = Done::default();
    match verdict {
        Verdict::Renew(id) => {
            if enrolments::get(tx, id)?.generation + 1 != plan.generation {
                return Ok(Decided::Moved);
            }
            renew(tx, plan, &request, &mut done)?;
        }
        Verdict::Enrol => enrol(tx, plan, &request, EnrolmentState::New)?,
        Verdict::Quarantine(twin) => {
            enrol(tx, plan, &request, EnrolmentState::Quarantined)?;
            done.quarantined = true;
            rows::alarm(
                tx,
                rows::DUPLICATE,
                &format!("device:{}", plan.id),
                &format!(
                    "{} came with the DevId or the hardware of the enrolled device {twin}: release or reject it",
                    request.name
                ),
            )?;
        }
    }
    let facts = &plan.issued;
    enrolments::set_certificate(tx, plan.id, &facts.serial, facts.fingerprint, facts.not_after)?;
    rows::keep_certificate(tx, facts, plan.generation)?;
    rows::trusts_server(tx, plan.id)?;
    let mut life = Life::new(plan.id, plan.generation, plan.proposal.door.as_str(), now);
    life.request = Some(request.id);
    life.certificate_from = Some(facts.not_before);
    if let Verdict::Quarantine(twin) = verdict {
        life.twin = Some(twin);
    }
    lives::put(tx, life)?;
    let route = Change::Add { entry: plan.route.hash().to_string(), verdict: String::new() };
    lists::change(tx, List::Routes, &[route])?;
    join(tx, &request, plan.id)?;
    use_up(tx, &mut request, step, plan)?;
    note(tx, &request, plan, verdict)?;
    Ok(Decided::Admitted(Box::new(done)))
}

fn expect(
    tx: &mut Tx,
    rules: &dyn super::EnrolmentRules,
    request: &Request,
    proposal: &Proposal,
) -> Result<Expected, StoreError> {
    let renews = match request.renews {
        Some(id) => Some((id, enrolments::find(tx, id)?.map(|row| row.state))),
        None => None,
    };
    let hardware = proposal.hardware_id.as_deref();
    let twin = enrolments::twin(tx, &proposal.device_id, hardware, request.renews)?;
    let owned = match &request.owner {
        Some(owner) => requests_::devices_of(tx, owner)?,
        None => 0,
    };
    let quota = request.owner.as_ref().map_or(Ok(0), |_| rules.read(tx).map(|set| set.devices_an_owner))?;
    Ok(Expected {
        email_domain: request.email_domain.clone(),
        hardware_id: request.hardware_id.clone(),
        renews,
        twin,
        owned,
        quota,
    })
}

fn enrol(tx: &mut Tx, plan: &Plan, request: &Request, state: EnrolmentState) -> Result<(), StoreError> {
    let proposal = &plan.proposal;
    let fresh = Enrolment::new(plan.id, *plan.route.as_bytes(), &proposal.device_id, request.auth, tx.now());
    let row = Enrolment {
        name: request.name.clone(),
        owner: request.owner.clone(),
        hardware_id: proposal.hardware_id.clone(),
        proof_floor: floor(request.auth),
        dialect: request.dialect,
        state,
        credentials: Some(plan.credentials.clone()),
        ..fresh
    };
    enrolments::insert(tx, row)
}

/// A new generation: nothing of the old queue, the old route buried, the old certificate revoked.
fn renew(tx: &mut Tx, plan: &Plan, request: &Request, done: &mut Done) -> Result<(), StoreError> {
    let old = enrolments::get(tx, plan.id)?;
    crate::wipe::follow::ended(tx, plan.id, false, "the device was enrolled anew")?;
    done.dropped = drop_pending(tx, plan.id, Cause::Superseded)?;
    let route = RouteId::from_bytes(old.route);
    done.blocked = rows::revoke(tx, old.certificate_serial.as_deref(), rows::Because::Superseded)?;
    enrolments::next_generation(
        tx,
        plan.id,
        *plan.route.as_bytes(),
        request.auth,
        Some(plan.credentials.clone()),
    )?;
    enrolments::came_anew(
        tx,
        plan.id,
        &plan.proposal.device_id,
        plan.proposal.hardware_id.as_deref(),
        floor(request.auth),
    )?;
    crate::orders::retire::bury(tx, route)?;
    done.buried = Some(route);
    Ok(())
}

/// The groups of the request that still are.
fn join(tx: &mut Tx, request: &Request, id: EnrolmentId) -> Result<(), StoreError> {
    let member_of: Vec<uuid::Uuid> = serde_json::from_str(&request.member_of)
        .map_err(|error| StoreError::Damaged(format!("the groups of a request: {error}")))?;
    for group in member_of {
        if groups::find(tx, &group.to_string())?.is_some() {
            groups::add_device(tx, group, id)?;
        }
    }
    Ok(())
}

fn use_up(tx: &mut Tx, request: &mut Request, step: Step, plan: &Plan) -> Result<(), StoreError> {
    requests::take(request, step, &format!("device:{}", plan.id), "a device enrolled with it", tx.now());
    debug_assert_eq!(request.state, RequestState::Used);
    request.enrolment = Some(plan.id);
    request.generation = Some(plan.generation);
    request.csr_key = Some(plan.with);
    request.result = Some(plan.result.clone());
    requests_::update(tx, request)?;
    Ok(())
}

fn note(tx: &mut Tx, request: &Request, plan: &Plan, verdict: Verdict) -> Result<(), StoreError> {
    let row = attempt(tx, request.id, &plan.came, None, Some(plan.id));
    attempts::insert(tx, vec![row])?;
    let action = match verdict {
        Verdict::Enrol => "device.enrol",
        Verdict::Renew(_) => "device.re-enrol",
        Verdict::Quarantine(_) => "device.quarantine",
    };
    let proposal = &plan.proposal;
    let detail = json!({
        "door": proposal.door.as_str(), "request": request.id, "asked_by": request.created_by,
        "device_id": proposal.device_id, "hardware_id": proposal.hardware_id, "model": proposal.model,
        "platform": proposal.platform, "email": proposal.email, "auth": request.auth,
        "generation": plan.generation, "certificate": plan.issued.serial,
        "twin": if let Verdict::Quarantine(twin) = verdict { Some(twin) } else { None },
    });
    let actor = AuditActor { source: Some(plan.came.source.clone()), ..AuditActor::service("enrolment") };
    audit(tx, &actor, action, format!("device:{}", plan.id), &detail)
}

fn refuse(
    tx: &mut Tx,
    request: &Request,
    plan: &Plan,
    refusal: Refusal,
    slug: &str,
    detail: &str,
) -> Result<Decided, StoreError> {
    let row = attempt(tx, request.id, &plan.came, Some((slug, detail)), None);
    attempts::insert(tx, vec![row])?;
    Ok(Decided::Refused(refusal, detail.to_owned()))
}

fn attempt(
    tx: &mut Tx,
    request: uuid::Uuid,
    came: &Came,
    refused: Option<(&str, &str)>,
    enrolment: Option<EnrolmentId>,
) -> Attempt {
    let (reason, detail) = refused.unwrap_or_default();
    Attempt {
        id: tx.fresh_id(),
        at: tx.now(),
        request: Some(request),
        door: "air".to_owned(),
        step: "finish".to_owned(),
        outcome: if refused.is_some() { "refused" } else { "ok" }.to_owned(),
        reason: reason.to_owned(),
        detail: detail.to_owned(),
        source: came.source.clone(),
        gateway: came.gateway.clone(),
        enrolment,
        count: 1,
    }
}

const fn told(refused: request::Refused) -> Refusal {
    match refused {
        request::Refused::Used => Refusal::Used,
        request::Refused::Cancelled => Refusal::Cancelled,
        request::Refused::Expired => Refusal::Expired,
        request::Refused::Locked => Refusal::NotProved,
    }
}

/// What a device came with: its key and its hardware. A signing request that is made anew over the same key is the same.
fn digest(proposal: &Proposal) -> Result<[u8; 32], &'static str> {
    let (_, request) = X509CertificationRequest::from_der(&proposal.csr)
        .map_err(|_| "the signing request is not PKCS#10")?;
    let key = request.certification_request_info.subject_pki.raw;
    let hardware = proposal.hardware_id.as_deref().unwrap_or_default();
    let mut hash = Sha256::new();
    for part in [key, hardware.as_bytes(), proposal.device_id.as_bytes()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    Ok(hash.finalize().into())
}

/// The least proof that is accepted: what the way of proof gives.
const fn floor(auth: AuthType) -> ProofClass {
    match auth {
        AuthType::Basic => ProofClass::Basic,
        AuthType::Md5 => ProofClass::Md5,
        AuthType::Certificate => ProofClass::Certificate,
        AuthType::Hmac => ProofClass::Mac,
        AuthType::Signed => ProofClass::Signed,
    }
}

/// 128 random bits, in characters that every client's configuration takes.
fn password(random: &dyn crate::Randomness) -> SecretString {
    let mut bits = Zeroizing::new([0; 16]);
    random.fill(&mut *bits);
    SecretString::from(base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, *bits))
}
