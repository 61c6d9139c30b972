//! An outbox with its supervisor, and a clock that stands until a test sets it forward.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use postern_actors::{
    BuiltInTemplates, Carrier, Clock,
    mail::{Mail, MailParts, delivery::Rules},
};
use postern_store::{
    Ambient, Options, Place, Store,
    alarms::{self, Which},
    enrolments::{self, Enrolment},
    outbox::{self, Delivery, Entry, Event, Filter, Recipients},
};
use postern_wire::terms::{AuthType, EnrolmentId, EventKind, UtcMillis};
use serde_json::{Value, json};

/// 2027-01-15.
const START: UtcMillis = UtcMillis(1_800_000_000_000);

#[derive(Clone, Default)]
pub(crate) struct TestClock(Arc<Mutex<Duration>>);

impl Clock for TestClock {
    fn wall(&self) -> UtcMillis {
        START.plus(i64::try_from(self.monotonic().as_millis()).unwrap())
    }
    fn monotonic(&self) -> Duration {
        *self.0.lock().unwrap()
    }
}

pub(crate) struct Rig {
    pub(crate) store: Store,
    pub(crate) clock: TestClock,
    pub(crate) mail: Mail,
    _folder: tempfile::TempDir,
}

impl Rig {
    pub(crate) async fn with(carriers: Vec<Arc<dyn Carrier>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = TestClock::default();
        let wall = clock.clone();
        let ambient = Ambient::with_clock(Arc::new(move || wall.wall()));
        let id = (ambient.id)();
        let place = Place::Sqlite { path: folder.path().join("test.sqlite") };
        let options = Options { readers: 1, ..Options::new(place, id) };
        let store =
            tokio::task::spawn_blocking(move || Store::open(options, ambient).unwrap()).await.unwrap();
        assert!(store.active().await);
        let mail = supervisor(&store, &clock, carriers);
        Self { store, clock, mail, _folder: folder }
    }

    /// Another supervisor on the same rows, as after a crash: it knows nothing of the one before.
    pub(crate) fn after_a_crash(&self, carriers: Vec<Arc<dyn Carrier>>) -> Mail {
        supervisor(&self.store, &self.clock, carriers)
    }

    pub(crate) fn advance(&self, seconds: u64) {
        *self.clock.0.lock().unwrap() += Duration::from_secs(seconds);
    }

    /// Plans and sends once; how many tries there were.
    pub(crate) async fn step(&self) -> usize {
        self.mail.step().await.unwrap()
    }

    /// Puts an event for the security list.
    pub(crate) async fn put(&self, dedupe: &str, data: Value) {
        let recipients = Recipients { security_list: true, ..Recipients::default() };
        self.put_for(dedupe, data, recipients, None).await;
    }

    pub(crate) async fn put_for(
        &self,
        dedupe: &str,
        data: Value,
        recipients: Recipients,
        owner_held_until: Option<&str>,
    ) {
        let event = Event {
            kind: EventKind::WipeRequested,
            subject: format!("wipe:{dedupe}"),
            device: recipients.owner,
            dedupe: dedupe.to_owned(),
            data,
            recipients,
            owner_held_until: owner_held_until.map(str::to_owned),
            at: self.clock.wall(),
        };
        self.store.write(move |tx| outbox::put(tx, &event)).await.unwrap();
    }

    /// A test mail to this address.
    pub(crate) async fn put_to(&self, to: &str) {
        let event = Event {
            kind: EventKind::Test,
            subject: format!("test:{to}"),
            device: None,
            dedupe: format!("test:{to}"),
            data: json!({"to": to}),
            recipients: Recipients::default(),
            owner_held_until: None,
            at: self.clock.wall(),
        };
        self.store.write(move |tx| outbox::put(tx, &event)).await.unwrap();
    }

    pub(crate) async fn device(&self, owner: &str) -> EnrolmentId {
        let id = EnrolmentId((Ambient::system().id)());
        let mut row = Enrolment::new(id, *id.0.as_bytes(), "IMEI:1", AuthType::Md5, self.clock.wall());
        row.owner = Some(owner.to_owned());
        row.name = "Ada's <phone>".to_owned();
        self.store.write(move |tx| enrolments::insert(tx, row.clone())).await.unwrap();
        id
    }

    pub(crate) async fn rows(&self) -> Vec<(Delivery, Entry)> {
        self.store.read(|r| outbox::list(r, &Filter::default(), None, 500)).await.unwrap()
    }

    pub(crate) async fn only(&self) -> Delivery {
        let mut rows = self.rows().await;
        assert_eq!(rows.len(), 1, "{rows:#?}");
        rows.remove(0).0
    }

    pub(crate) async fn retry(&self, row: &Delivery, replay: bool) {
        let id = row.id;
        self.store.write(move |tx| outbox::again(tx, id, replay)).await.unwrap();
    }

    /// The kinds of alarms that are open.
    pub(crate) async fn alarms(&self) -> Vec<String> {
        let all = self.store.read(|r| alarms::list(r, Which::Open, None, None, 100)).await.unwrap();
        all.into_iter().map(|alarm| alarm.kind).collect()
    }

    pub(crate) async fn end(self) {
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || store.shutdown()).await.unwrap();
    }
}

fn supervisor(store: &Store, clock: &TestClock, carriers: Vec<Arc<dyn Carrier>>) -> Mail {
    Mail::new(MailParts {
        store: store.clone(),
        clock: Arc::new(clock.clone()),
        rules: Rules::default(),
        carriers,
        templates: Arc::new(BuiltInTemplates),
        security: vec!["security@corp.example".to_owned()],
        domain: "corp.example".to_owned(),
        sign_in: Some("https://console.corp.example/sign-in".to_owned()),
    })
}

/// Writes `ca.pem`, `server.pem` and `server.key` for 127.0.0.1 and localhost.
pub(crate) fn certificates(folder: &Path) {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::<String>::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "test authority");
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    let leaf_pem = leaf.signed_by(&key, &issuer).unwrap().pem();
    for (name, text) in [("ca.pem", ca_pem), ("server.pem", leaf_pem), ("server.key", key.serialize_pem())] {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

/// Polls until something holds.
pub(crate) fn until(what: &str, holds: impl Fn() -> bool, logs: impl Fn() -> String) {
    for _ in 0..2_000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("not in time: {what}\n{}", logs());
}
