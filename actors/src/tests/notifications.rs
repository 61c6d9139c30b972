//! The notification supervisor on a real store, with a bearer that does what the test says.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use futures_util::future::BoxFuture;
use postern_store::{
    audit,
    notifications::{self, Notification, PushAddress, Step},
};
use postern_wire::{
    auth,
    notification::{NonceReading, Package0},
    route::RouteHash,
    terms::{AuthType, EnrolmentId, Lane, NotificationState as State},
};
use secrecy::SecretString;
use tokio::sync::mpsc;

use super::kit::{Core, Device, admin, get, order, quick, until};
use crate::{
    LISTEN, NotificationRules, Notifications, NotifyError, Order, PushBearer, PushError, PushOrder,
    PushOutcome, PushReceipt, PushReport, Wake, WantedNotification,
};

const PASSWORD: &str = "the server's password";
const NUMBER: &str = "+15550100001";

/// A bearer that keeps what it is given, and answers as it is told; without a word it takes everything.
#[derive(Default)]
pub(super) struct Bearer {
    name: &'static str,
    taken: Mutex<Vec<PushOrder>>,
    answers: Mutex<VecDeque<PushError>>,
}

impl Bearer {
    pub(super) fn new(name: &'static str) -> Arc<Self> {
        Arc::new(Self { name, ..Self::default() })
    }

    fn count(&self) -> usize {
        self.taken.lock().unwrap().len()
    }

    fn package0(&self, at: usize) -> Package0 {
        Package0::decode(&self.taken.lock().unwrap()[at].content.body).unwrap()
    }

    fn fails(&self, error: PushError) {
        self.answers.lock().unwrap().push_back(error);
    }
}

impl PushBearer for Bearer {
    fn name(&self) -> &str {
        self.name
    }

    fn push(&self, order: PushOrder) -> BoxFuture<'_, Result<PushReceipt, PushError>> {
        let answer = self.answers.lock().unwrap().pop_front();
        let mut taken = self.taken.lock().unwrap();
        taken.push(order);
        let reference = format!("{}-{}", self.name, taken.len());
        Box::pin(async move {
            match answer {
                Some(error) => Err(error),
                None => Ok(PushReceipt { reference, reported: true }),
            }
        })
    }
}

/// Whom a wake is for, the certificate it asks for, and package 0.
type Woken = (RouteHash, Option<[u8; 32]>, Vec<u8>);

/// The gateways: what was woken.
#[derive(Default)]
struct Gateways(Mutex<Vec<Woken>>);

impl Wake for Gateways {
    fn wake(&self, route: RouteHash, certificate: Option<[u8; 32]>, package0: &[u8]) {
        self.0.lock().unwrap().push((route, certificate, package0.to_vec()));
    }
}

/// A core that notifies at once, with the given bearers.
pub(super) struct Ground {
    pub(super) core: Core,
    gateways: Arc<Gateways>,
    reports: mpsc::Sender<PushReport>,
}

pub(super) fn rules() -> NotificationRules {
    NotificationRules { gather_ms: 0, apart_ms: 0, ..NotificationRules::default() }
}

impl Ground {
    pub(super) async fn start(bearers: &[Arc<Bearer>], rules: NotificationRules) -> Self {
        let core = Core::start(quick()).await;
        let (gateways, reports) = notify(&core, bearers, rules);
        Self { core, gateways, reports }
    }

    /// An enrolled device that is reached by these bearers.
    pub(super) async fn device(&self, name: &str, number: bool, bearer: Option<&str>) -> Device {
        let new = crate::NewEnrolment {
            server_password: Some(SecretString::from(PASSWORD)),
            ..self.core.enrolment(name, AuthType::Md5)
        };
        let device = self.core.enrol_as(new).await;
        self.reach(&device, number, bearer).await;
        device
    }

    async fn reach(&self, device: &Device, number: bool, bearer: Option<&str>) {
        let (enrolment, address) = (device.enrolled.enrolment, number.then(|| NUMBER.to_owned()));
        let bearer = bearer.map(str::to_owned);
        let write = move |tx: &mut postern_store::Tx| {
            let at = tx.now();
            let row = PushAddress { enrolment, address: address.clone(), bearer: bearer.clone(), at };
            notifications::set_address(tx, row)
        };
        self.core.store.write(write).await.unwrap();
    }

    pub(super) async fn jobs(&self, device: &Device) -> Vec<Notification> {
        let id = device.enrolled.enrolment;
        self.core.store.read(move |r| notifications::of(r, id, 20)).await.unwrap()
    }

    async fn last(&self, device: &Device) -> Notification {
        self.jobs(device).await.swap_remove(0)
    }

    async fn until_state(&self, device: &Device, state: State) {
        until(state.as_str(), async || self.jobs(device).await.first().is_some_and(|job| job.state == state))
            .await;
    }

    async fn steps(&self, job: &Notification) -> Vec<Step> {
        let id = job.id;
        self.core.store.read(move |r| notifications::steps(r, id)).await.unwrap()
    }

    fn wanted(&self, device: EnrolmentId) -> WantedNotification {
        WantedNotification { device, bearer: None, resync: false, actor: admin(), reason: "now".to_owned() }
    }
}

fn notify(
    core: &Core,
    bearers: &[Arc<Bearer>],
    rules: NotificationRules,
) -> (Arc<Gateways>, mpsc::Sender<PushReport>) {
    let gateways = Arc::new(Gateways::default());
    let (reports, received) = mpsc::channel(8);
    let bearers = bearers.iter().map(|bearer| Arc::clone(bearer) as Arc<dyn PushBearer>).collect();
    assert!(core.devices.start_notifications(Notifications {
        rules,
        per_minute: 6_000,
        automatic: true,
        bearers,
        gateways: gateways.clone(),
        reports: received,
    }));
    (gateways, reports)
}

fn urgent(device: &Device) -> Order {
    Order { lane: Lane::Urgent, ..order(device, vec![get("./A")]) }
}

fn hash() -> String {
    auth::user_password_hash("postern", PASSWORD)
}

#[actix::test]
async fn a_queued_command_brings_one_notification_about_and_its_session_answers_it() {
    let sms = Bearer::new("sms");
    let ground = Ground::start(std::slice::from_ref(&sms), rules()).await;
    let mut device = ground.device("d", true, Some("sms")).await;
    ground.core.queue(&device, vec![get("./A")]).await;
    ground.until_state(&device, State::Sent).await;
    ground.core.queue(&device, vec![get("./B")]).await;
    let job = ground.last(&device).await;
    let package0 = sms.package0(0);
    assert_eq!(i64::from(package0.trigger.session_id.number()), job.session_id);
    assert_eq!(package0.trigger.server_id, "postern");
    assert_eq!(package0.verify(&hash(), "", &[NonceReading::Decoded]), Some(NonceReading::Decoded));
    assert_eq!(sms.taken.lock().unwrap()[0].to, NUMBER);

    // SRV-02: a session with Alert 1200 and the id is bound to the job.
    device.triggered = Some(package0.trigger.session_id.to_string());
    let came = device.session(&ground.core).await;
    assert_eq!(came.len(), 2);
    ground.until_state(&device, State::Answered).await;
    let job = ground.last(&device).await;
    assert!(job.session.is_some());
    assert_eq!((sms.count(), ground.jobs(&device).await.len()), (1, 1));
    let causes: Vec<_> = ground.steps(&job).await.into_iter().map(|step| step.cause).collect();
    assert_eq!(causes, ["wanted", "handed-to-bearer", "session-came"]);
    ground.core.stop().await;
}

#[actix::test]
async fn a_device_that_comes_by_itself_needs_no_notification_and_answers_none() {
    let sms = Bearer::new("sms");
    let ground = Ground::start(std::slice::from_ref(&sms), rules()).await;
    let mut device = ground.device("d", true, Some("sms")).await;
    ground.core.queue(&device, vec![get("./A")]).await;
    ground.until_state(&device, State::Sent).await;
    device.session(&ground.core).await;
    ground.until_state(&device, State::Unneeded).await;
    assert_eq!(ground.last(&device).await.session, None);
    ground.core.stop().await;
}

#[actix::test]
async fn a_device_without_an_address_is_left_to_its_own_schedule() {
    let sms = Bearer::new("sms");
    let ground = Ground::start(std::slice::from_ref(&sms), rules()).await;
    let (silent, known) = (ground.core.enrol("s", AuthType::Md5).await, ground.device("d", true, None).await);
    ground.core.queue(&silent, vec![get("./A")]).await;
    ground.core.queue(&known, vec![get("./A")]).await;
    ground.until_state(&known, State::Sent).await;
    assert!(ground.jobs(&silent).await.is_empty());
    ground.core.stop().await;
}

#[actix::test]
async fn a_device_that_listens_is_woken_with_its_route_and_certificate() {
    let ground = Ground::start(&[], rules()).await;
    let new = crate::NewEnrolment {
        server_password: Some(SecretString::from(PASSWORD)),
        ..ground.core.enrolment("c", AuthType::Certificate)
    };
    let device = ground.core.enrol_as(new).await;
    ground.reach(&device, false, Some(LISTEN)).await;
    ground.core.queue(&device, vec![get("./A")]).await;
    ground.until_state(&device, State::Sent).await;
    let woken = ground.gateways.0.lock().unwrap().clone();
    let fingerprint = device.peer.certificate.as_ref().map(|facts| facts.fingerprint);
    assert_eq!((woken.len(), woken[0].0, woken[0].1), (1, device.route().hash(), fingerprint));
    assert!(Package0::decode(&woken[0].2).is_ok());
    ground.core.stop().await;
}

#[actix::test]
async fn not_11_an_urgent_command_sends_the_same_job_again_with_the_same_session_id() {
    let sms = Bearer::new("sms");
    let ground = Ground::start(std::slice::from_ref(&sms), rules()).await;
    let device = ground.device("d", true, Some("sms")).await;
    ground.core.queue(&device, vec![get("./A")]).await;
    ground.until_state(&device, State::Sent).await;
    ground.reach(&device, true, Some("sms")).await;
    ground.core.devices.submit(urgent(&device)).await.unwrap();
    until("a second attempt", async || ground.last(&device).await.handed == 2).await;
    let (jobs, woken) = (ground.jobs(&device).await, ground.gateways.0.lock().unwrap().clone());
    assert_eq!(jobs.len(), 1);
    let second = Package0::decode(&woken[0].2).unwrap();
    assert_eq!(second.trigger.session_id, sms.package0(0).trigger.session_id);
    ground.core.stop().await;
}

#[actix::test]
async fn a_new_job_has_another_session_id() {
    let sms = Bearer::new("sms");
    let ground = Ground::start(std::slice::from_ref(&sms), rules()).await;
    let mut device = ground.device("d", true, Some("sms")).await;
    for round in 0..2 {
        ground.core.queue(&device, vec![get("./A")]).await;
        until("the push", async || sms.count() == round + 1).await;
        ground.until_state(&device, State::Sent).await;
        device.triggered = Some(sms.package0(round).trigger.session_id.to_string());
        device.session(&ground.core).await;
        ground.until_state(&device, State::Answered).await;
    }
    let id = |at: usize| sms.package0(at).trigger.session_id;
    assert_ne!(id(0), id(1));
    ground.core.stop().await;
}

#[actix::test]
async fn a_receipt_shows_that_the_device_has_it_and_a_bad_one_that_it_has_not() {
    let sms = Bearer::new("sms");
    let ground = Ground::start(std::slice::from_ref(&sms), rules()).await;
    let (one, two) =
        (ground.device("one", true, Some("sms")).await, ground.device("two", true, Some("sms")).await);
    ground.core.queue(&one, vec![get("./A")]).await;
    ground.until_state(&one, State::Sent).await;
    ground.core.queue(&two, vec![get("./A")]).await;
    ground.until_state(&two, State::Sent).await;
    let report = |reference: &str, outcome| PushReport {
        bearer: "sms".to_owned(),
        reference: reference.to_owned(),
        outcome,
    };
    ground.reports.send(report("sms-1", PushOutcome::Delivered)).await.unwrap();
    ground.reports.send(report("sms-2", PushOutcome::Failed("absent".to_owned()))).await.unwrap();
    ground.reports.send(report("sms-9", PushOutcome::Delivered)).await.unwrap();
    ground.until_state(&one, State::Delivered).await;
    ground.until_state(&two, State::Wanted).await;
    ground.core.stop().await;
}

#[actix::test]
async fn a_bearer_that_refuses_is_followed_by_the_next_and_the_last_refusal_is_a_failure() {
    let (sms, pap) = (Bearer::new("sms"), Bearer::new("pap"));
    sms.fails(PushError::refused("no such number"));
    pap.fails(PushError::refused("no such number"));
    let ground = Ground::start(&[sms.clone(), pap.clone()], rules()).await;
    let device = ground.device("d", true, Some("sms")).await;
    ground.core.queue(&device, vec![get("./A")]).await;
    ground.until_state(&device, State::Sent).await;
    let job = ground.last(&device).await;
    assert_eq!((job.attempts, job.handed, job.bearer.as_deref()), (2, 1, Some(LISTEN)));

    let other = ground.device("o", true, None).await;
    let wanted =
        WantedNotification { bearer: Some("pap".to_owned()), ..ground.wanted(other.enrolled.enrolment) };
    ground.core.devices.notify(wanted).await.unwrap();
    ground.until_state(&other, State::Failed).await;
    assert_eq!((pap.count(), ground.last(&other).await.cause.as_str()), (1, "bearer-refused"));
    ground.core.stop().await;
}

#[actix::test]
async fn a_bearer_that_is_busy_is_tried_again_later() {
    let sms = Bearer::new("sms");
    sms.fails(PushError::retry("throttled"));
    let ground = Ground::start(std::slice::from_ref(&sms), rules()).await;
    let device = ground.device("d", true, None).await;
    let wanted =
        WantedNotification { bearer: Some("sms".to_owned()), ..ground.wanted(device.enrolled.enrolment) };
    ground.core.devices.notify(wanted).await.unwrap();
    until("the attempt", async || ground.last(&device).await.attempts == 1).await;
    let job = ground.last(&device).await;
    assert_eq!((job.state, job.handed, job.cause.as_str()), (State::Wanted, 0, "bearer-retry"));
    assert!(job.next_at.is_some_and(|at| at > job.created_at.plus(60_000)));
    ground.core.stop().await;
}

#[actix::test]
async fn a_person_may_ask_a_device_without_commands_to_come_and_it_is_audited() {
    let sms = Bearer::new("sms");
    let ground = Ground::start(std::slice::from_ref(&sms), rules()).await;
    let device = ground.device("d", true, Some("sms")).await;
    let id = device.enrolled.enrolment;
    let job = ground.core.devices.notify(ground.wanted(id)).await.unwrap();
    assert_eq!(job.asked_by.as_deref(), Some("test"));
    ground.until_state(&device, State::Sent).await;
    let rows = ground
        .core
        .store
        .read(move |r| audit::list(r, Some(&format!("device:{id}")), None, 10))
        .await
        .unwrap();
    assert!(rows.iter().any(|row| row.action == "device.notify"), "{rows:?}");
    ground.core.stop().await;
}

#[actix::test]
async fn what_cannot_be_asked_is_refused_with_its_reason() {
    let ground = Ground::start(&[Bearer::new("sms")], rules()).await;
    let device = ground.device("d", false, None).await;
    let id = device.enrolled.enrolment;
    let by = |device, bearer: Option<&str>| WantedNotification {
        bearer: bearer.map(str::to_owned),
        ..ground.wanted(device)
    };
    let nobody = ground.core.devices.next_enrolment_id();
    let silent = ground.core.enrol("no password of ours", AuthType::Md5).await.enrolled.enrolment;
    let ask = async |wanted| ground.core.devices.notify(wanted).await.unwrap_err();
    assert!(matches!(ask(by(id, Some("pigeon"))).await, NotifyError::NoBearer(..)));
    assert_eq!(ask(by(id, Some("sms"))).await, NotifyError::NoAddress);
    assert_eq!(ask(by(nobody, None)).await, NotifyError::Unknown(nobody));
    assert_eq!(ask(by(silent, None)).await, NotifyError::NoCredentials);
    ground.core.devices.retire(id, admin(), "gone".to_owned()).await.unwrap();
    assert_eq!(ask(by(id, None)).await, NotifyError::Retired(id));
    ground.core.stop().await;
}

#[actix::test]
async fn a_resynchronising_notification_bears_the_default_nonce() {
    let sms = Bearer::new("sms");
    let ground = Ground::start(std::slice::from_ref(&sms), rules()).await;
    let device = ground.device("d", true, Some("sms")).await;
    let id = device.enrolled.enrolment;
    let nonce = |tx: &mut postern_store::Tx, id| {
        postern_store::enrolments::set_server_nonce(tx, id, Some(b"a nonce of theirs"))
    };
    ground.core.store.write(move |tx| nonce(tx, id)).await.unwrap();
    let wanted = WantedNotification { resync: true, ..ground.wanted(id) };
    ground.core.devices.notify(wanted).await.unwrap();
    ground.until_state(&device, State::Sent).await;
    let readings = [NonceReading::Decoded, NonceReading::ZeroOctets];
    let stored = "YSBub25jZSBvZiB0aGVpcnM=";
    assert_eq!(sms.package0(0).verify(&hash(), stored, &readings), Some(NonceReading::ZeroOctets));
    ground.core.stop().await;
}

#[actix::test]
async fn a_command_that_a_core_which_died_did_not_notify_of_is_taken_up_by_the_next() {
    let core = Core::start(quick()).await;
    let ground = Ground { core, gateways: Arc::default(), reports: mpsc::channel(1).0 };
    let device = ground.device("d", true, Some("sms")).await;
    ground.core.queue(&device, vec![get("./A")]).await;
    assert!(ground.jobs(&device).await.is_empty(), "nobody notified");
    let core = ground.core.restart().await;
    let sms = Bearer::new("sms");
    let (gateways, reports) = notify(&core, std::slice::from_ref(&sms), rules());
    let ground = Ground { core, gateways, reports };
    ground.until_state(&device, State::Sent).await;
    assert_eq!(sms.count(), 1);
    ground.core.stop().await;
}

#[actix::test]
async fn a_retired_device_is_not_asked_any_more() {
    let ground = Ground::start(&[Bearer::new("sms")], rules()).await;
    let device = ground.device("d", true, Some("sms")).await;
    ground.core.queue(&device, vec![get("./A")]).await;
    ground.until_state(&device, State::Sent).await;
    ground.core.devices.retire(device.enrolled.enrolment, admin(), "gone".to_owned()).await.unwrap();
    ground.until_state(&device, State::Unneeded).await;
    ground.core.stop().await;
}
