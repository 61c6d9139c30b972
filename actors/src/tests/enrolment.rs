//! The enrolment supervisor: how devices come in, stay, and go out.

mod admission;
mod living;
mod requests;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use postern_engine::enrolment::silence;
use postern_store::{
    Reader, StoreError, audit,
    enrolments::{self, Enrolment},
    facts,
    lives::{self, Life},
    requests::{self as rows, Request},
    schedules::Overdue,
};
use postern_wire::{
    enrol::{Admitted, OneTimePassword, RequestCode},
    route::RouteId,
    terms::{AuthType, Dialect, EnrolmentId, EnrolmentState, UtcMillis},
};
use secrecy::ExposeSecret as _;

use super::kit::{Core, Device, admin, quick, until};
use crate::{
    Anchors, Authority, AuthorityError, CertificateFacts, DeviceCsr, Enrolled, IssuedDevice,
    enrolment::{
        Came, Door, EnrolmentParts, EnrolmentRules, EnrolmentSettings, Enrolments, Made, NewRequest,
        OrderSigner, Proposal, Site, Terms,
    },
};

const DAY_MS: i64 = 86_400_000;
const DAY: Duration = Duration::from_secs(86_400);

const KEY_ONE: &[u8] = include_bytes!("fixtures/csr-of-key-one.der");
const KEY_ONE_AGAIN: &[u8] = include_bytes!("fixtures/csr-of-key-one-again.der");
const KEY_TWO: &[u8] = include_bytes!("fixtures/csr-of-key-two.der");

/// An authority without cryptography, which remembers what it issued.
#[derive(Default)]
struct Remembering {
    count: AtomicU64,
    issued: Mutex<Vec<CertificateFacts>>,
}

impl Authority for Remembering {
    fn issue_device(&self, request: DeviceCsr<'_>, now: UtcMillis) -> Result<IssuedDevice, AuthorityError> {
        let number = self.count.fetch_add(1, Relaxed) + 1;
        let mut fingerprint = [0; 32];
        fingerprint[..8].copy_from_slice(&number.to_be_bytes());
        let issued = IssuedDevice {
            dns_name: None,
            der: format!("certificate {number}").into_bytes(),
            chain_der: vec![b"device ca".to_vec()],
            serial: format!("40{number:08x}"),
            issuer: "00".repeat(16),
            authority: 1,
            enrolment: request.enrolment,
            fingerprint,
            not_before: now,
            not_after: now.plus(360 * DAY_MS),
        };
        self.issued.lock().unwrap().push(issued.facts());
        Ok(issued)
    }

    fn anchors(&self) -> Anchors {
        Anchors::default()
    }
}

struct NoKey;

impl OrderSigner for NoKey {
    fn sign(&self, _: &[u8]) -> Result<[u8; 64], String> {
        Ok([7; 64])
    }
}

/// Settings that a test changes.
struct Set(Mutex<EnrolmentSettings>);

impl EnrolmentRules for Set {
    fn read(&self, _: &mut Reader) -> Result<EnrolmentSettings, StoreError> {
        Ok(*self.0.lock().unwrap())
    }
}

/// A core with its enrolment supervisor, which looks only when it is told to.
struct Ground {
    core: Core,
    enrolments: Enrolments,
    authority: Arc<Remembering>,
    set: Arc<Set>,
    sources: AtomicI64,
}

/// An enrolment supervisor over an authority without cryptography.
pub(super) fn enrolments(core: &Core) -> Enrolments {
    set_up(core).0
}

fn set_up(core: &Core) -> (Enrolments, Arc<Remembering>, Arc<Set>) {
    let authority = Arc::new(Remembering::default());
    let set = Arc::new(Set(Mutex::new(EnrolmentSettings {
        request_life_ms: 8 * 3_600_000,
        wrong_passwords: 3,
        requests_an_owner: 0,
        devices_an_owner: 0,
        silence: silence::Rules { enabled: false, interval_ms: 100 * DAY_MS, warning_ms: 30 * DAY_MS },
        overdue: Overdue { now: UtcMillis(0), grace_ms: 0, default_s: 86_400 },
        certificate_ms: 360 * DAY_MS,
    })));
    let parts = EnrolmentParts {
        authority: authority.clone(),
        signer: Arc::new(NoKey),
        rules: set.clone(),
        site: Site { url: "https://dm.example".to_owned(), server_id: "postern".to_owned() },
    };
    (Enrolments::new(core.devices.clone(), parts), authority, set)
}

impl Ground {
    async fn start() -> Self {
        let core = Core::start(quick()).await;
        let (enrolments, authority, set) = set_up(&core);
        Self { core, enrolments, authority, set, sources: AtomicI64::new(0) }
    }

    fn set(&self, change: impl FnOnce(&mut EnrolmentSettings)) {
        change(&mut self.set.0.lock().unwrap());
    }

    async fn look(&self) {
        self.enrolments.look_now().await.unwrap();
    }

    async fn requested(&self, wanted: NewRequest) -> Made {
        self.enrolments.request(wanted, admin()).await.unwrap()
    }

    async fn admit(&self, made: &Made, proposal: Proposal) -> Result<Admitted, crate::enrolment::AdmitError> {
        let source = format!("192.0.2.{}", self.sources.fetch_add(1, Relaxed));
        let came = Came { source, gateway: "edge".to_owned() };
        self.enrolments.admit(code(made), proposal, came).await
    }

    /// A device that came over the air, with the hardware of this name.
    async fn device(&self, name: &str) -> Device {
        let made = self.requested(wanted(name)).await;
        let admitted = self.admit(&made, proposal(name, KEY_ONE)).await.unwrap();
        self.device_of(&admitted)
    }

    /// Has the device's first session, and waits until what it said of itself is written.
    async fn managed(&self, device: &mut Device) -> EnrolmentId {
        device.session(&self.core).await;
        let id = device.enrolled.enrolment;
        until("what it said of itself", async || {
            let facts = self.core.store.read(move |r| facts::of(r, id)).await.unwrap();
            facts.iter().any(|fact| fact.key == "./DevInfo/Man")
        })
        .await;
        id
    }

    fn device_of(&self, admitted: &Admitted) -> Device {
        let bootstrap = &admitted.bootstrap;
        let facts = self.authority.issued.lock().unwrap();
        let own = facts.iter().rfind(|facts| facts.enrolment == Some(bootstrap.enrolment)).cloned();
        let route = bootstrap.server_uri.rsplit('/').next().unwrap();
        let enrolled = Enrolled {
            enrolment: bootstrap.enrolment,
            generation: i64::from(bootstrap.generation),
            route: RouteId::parse(route).unwrap(),
        };
        Device::new(&bootstrap.device_id, AuthType::Certificate, enrolled, own)
    }

    async fn row(&self, id: EnrolmentId) -> Enrolment {
        self.core.store.read(move |r| enrolments::get(r, id)).await.unwrap()
    }

    async fn state(&self, id: EnrolmentId) -> EnrolmentState {
        self.row(id).await.state
    }

    async fn life(&self, id: EnrolmentId) -> Life {
        self.core.store.read(move |r| lives::find(r, id)).await.unwrap().unwrap()
    }

    async fn request(&self, made: &Made) -> Request {
        let id = made.request.id;
        self.core.store.read(move |r| rows::find(r, id)).await.unwrap().unwrap()
    }

    /// What the audit log says was done, in order.
    async fn audited(&self) -> Vec<String> {
        let rows = self.core.store.read(|r| audit::list(r, None, None, 500)).await.unwrap();
        let mut actions: Vec<_> = rows.into_iter().map(|row| row.action).collect();
        actions.reverse();
        actions
    }
}

fn wanted(name: &str) -> NewRequest {
    NewRequest {
        terms: Terms {
            name: name.to_owned(),
            owner: None,
            auth: AuthType::Certificate,
            dialect: Dialect::Classic,
            expires: None,
        },
        platform: None,
        email_domain: None,
        hardware_id: None,
        groups: Vec::new(),
        renews: None,
        reason: "a test".to_owned(),
    }
}

fn proposal(name: &str, csr: &[u8]) -> Proposal {
    Proposal {
        door: Door::Air,
        device_id: format!("id-{name}"),
        hardware_id: Some(format!("hw-{name}")),
        model: Some("Postern test".to_owned()),
        platform: Some("linux".to_owned()),
        email: None,
        csr: csr.to_vec(),
    }
}

fn code(made: &Made) -> RequestCode {
    OneTimePassword::parse(made.password.expose_secret()).unwrap().code()
}
