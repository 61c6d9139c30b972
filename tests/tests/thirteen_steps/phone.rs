//! The phone: our device with its state folder, in this process or in one of its own that can be killed.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use postern_device::{
    Account, Device, DeviceError, Enrolment, SessionReport, Settings, edge,
    event::Event,
    interaction::{Reaction, Scripted},
    state::Storage,
    transport::{ClientTls, Https, HttpsOptions, TlsOptions},
    unit::Cause,
};

use crate::DEVICE;

/// The phone: its state folder, what its user sees and what it tells.
pub(crate) struct Phone {
    pub(crate) device: Device,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Phone {
    /// One that knows no server, and trusts the CA that its maker put in.
    pub(crate) fn new(state: &Path, enrolment: &Path, reactions: impl IntoIterator<Item = Reaction>) -> Self {
        Self::observed(state, enrolment, reactions, |_| {})
    }

    /// The same; `also` sees its events too.
    pub(crate) fn observed(
        state: &Path,
        enrolment: &Path,
        reactions: impl IntoIterator<Item = Reaction>,
        also: impl Fn(&Event) + Send + Sync + 'static,
    ) -> Self {
        let events = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&events);
        let device = Device::new(
            Arc::new(Account::nobody(DEVICE)),
            Settings::default(),
            Storage::folder(state).expect("a state folder"),
            https(enrolment),
        );
        let device = device.expect("a device").with_user(Scripted::new(reactions)).observed_by(Arc::new(
            move |event: &Event| {
                kept.lock().expect("not poisoned").push(event.clone());
                also(event);
            },
        ));
        Self { device, events }
    }

    /// Connects the account of this server, which a bootstrap put into the tree.
    pub(crate) fn connect(&mut self, server_id: &str, enrolment: &Path) {
        let accounts = self.device.accounts_in_tree().into_iter();
        let account = accounts.map(|(_, account)| account.expect("an account that can be used"));
        let account = account.into_iter().find(|account| account.server_id == server_id);
        self.device.connect(account.expect("the server's account"), https(enrolment));
    }

    /// A session of its own accord.
    pub(crate) async fn check_in(&mut self, server_id: &str) -> SessionReport {
        let random = &mut |octets: &mut [u8]| edge::random(octets);
        let report = self.device.check_in_as(server_id, Cause::Client, edge::now(), random).await;
        report.expect("a session")
    }

    /// The same phone with another person at it.
    pub(crate) fn answering(self, reactions: impl IntoIterator<Item = Reaction>) -> Self {
        let Self { device, events } = self;
        Self { device: device.with_user(Scripted::new(reactions)), events }
    }

    pub(crate) fn told(&self) -> Vec<String> {
        self.events.lock().expect("not poisoned").drain(..).map(|event| event.to_string()).collect()
    }

    pub(crate) async fn notified(&mut self, package0: &[u8]) -> Result<SessionReport, DeviceError> {
        self.device.notified(package0, edge::now(), &mut |octets| edge::random(octets)).await
    }
}

pub(crate) fn https(enrolment: &Path) -> Https {
    let enrolment = Enrolment::read(enrolment).expect("an enrolment file");
    let tls = ClientTls::new(TlsOptions::default()).config(&enrolment, None).expect("a CA");
    Https::new(tls, Arc::new(HttpsOptions::default()))
}

/// What stands for the moment at which the power fails.
const HALF_WAY: &str = "half way";

/// A phone that takes a notification in a process of its own, which is killed with `kill -9` while it is at the command of
/// this number.
pub(crate) fn killed_in_between(state: &Path, enrolment: &Path, server_id: &str, package0: &[u8], at: usize) {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["phone::child_that_is_a_phone", "--exact", "--nocapture"])
        .env("PHONE_STATE", state)
        .env("PHONE_ENROLMENT", enrolment)
        .env("PHONE_SERVER", server_id)
        .env("PHONE_PACKAGE_0", data_encoding::HEXLOWER.encode(package0))
        .env("PHONE_UNTIL", at.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the phone starts");
    let out = BufReader::new(child.stdout.take().expect("stdout was piped"));
    let half_way = out.lines().map_while(Result::ok).any(|line| line.contains(HALF_WAY));
    child.kill().expect("it runs");
    let status = child.wait().expect("its end");
    assert!(half_way && !status.success(), "it was killed in the middle: {status}");
}

/// No test of its own: the other process of [`killed_in_between`], which fails when this one does not do its part.
#[tokio::test(flavor = "multi_thread")]
async fn child_that_is_a_phone() {
    let given = |name: &str| std::env::var(name).ok();
    let (Some(state), Some(enrolment), Some(server_id), Some(package0), Some(until)) = (
        given("PHONE_STATE"),
        given("PHONE_ENROLMENT"),
        given("PHONE_SERVER"),
        given("PHONE_PACKAGE_0"),
        given("PHONE_UNTIL"),
    ) else {
        return;
    };
    let (enrolment, until) = (Path::new(&enrolment), until.parse::<usize>().expect("a number"));
    let commands = AtomicUsize::new(0);
    let mut phone = Phone::observed(Path::new(&state), enrolment, [], move |event| {
        if event.to_string().contains("SyncAcc") && commands.fetch_add(1, Ordering::Relaxed) + 1 == until {
            println!("{HALF_WAY}");
            loop {
                std::thread::park();
            }
        }
    });
    phone.connect(&server_id, enrolment);
    let package0 = data_encoding::HEXLOWER.decode(package0.as_bytes()).expect("hex digits");
    let ended = phone.notified(&package0).await;
    panic!("it went on to the end: {ended:?}");
}
