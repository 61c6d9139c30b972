//! The schedule and the first session, through devices, store and engine.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use postern_store::{
    Reader, StoreError, commands, enrolments, facts,
    schedules::{self, ScheduleRow},
    settings::{self, Scope},
};
use postern_wire::terms::{AuthType, EnrolmentId, EnrolmentState};

use super::kit::{Core, Device, quick, uris};
use crate::{DeviceRules, InForce, Interval, Rules};

const INTERVAL: &str = "./Vendor/Postern/Schedule/Interval";
const JITTER: &str = "./Vendor/Postern/Schedule/Jitter";

/// Rules whose interval a test sets.
struct Fixed {
    every_s: AtomicI64,
    read: bool,
}

impl Rules for Fixed {
    fn of_device(&self, _: &mut Reader, _: EnrolmentId) -> Result<DeviceRules, StoreError> {
        let interval = Interval { every_s: self.every_s.load(Relaxed), jitter_s: 6 };
        Ok(DeviceRules { interval, read_configuration: self.read })
    }
}

async fn core(read: bool) -> (Core, Arc<Fixed>) {
    let rules = Arc::new(Fixed { every_s: AtomicI64::new(3600), read });
    let core = Core::with_rules(quick(), rules.clone()).await;
    tell(&core).await;
    (core, rules)
}

async fn tell(core: &Core) {
    let epoch = core.store.read(settings::epoch).await.unwrap();
    core.devices.settings_changed(InForce { epoch, session_idle: Duration::from_secs(480) });
}

async fn change(core: &Core, rules: &Fixed, every_s: i64) {
    rules.every_s.store(every_s, Relaxed);
    let revision = core.store.read(|r| settings::revision(r, Scope::Global)).await.unwrap();
    let values = vec![("ConnectInterval".to_owned(), Some(format!("{every_s}s")))];
    core.store.write(move |tx| settings::change(tx, Scope::Global, revision, &values, "test")).await.unwrap();
    tell(core).await;
}

async fn state(core: &Core, device: &Device) -> EnrolmentState {
    let id = device.enrolled.enrolment;
    core.store.read(move |r| enrolments::get(r, id)).await.unwrap().state
}

async fn schedule(core: &Core, device: &Device) -> ScheduleRow {
    let id = device.enrolled.enrolment;
    core.store.read(move |r| schedules::find(r, id)).await.unwrap().unwrap()
}

#[actix::test]
async fn a_new_device_is_told_its_interval_and_read_in_its_first_session_and_is_managed_after_it() {
    for auth in [AuthType::Basic, AuthType::Md5, AuthType::Certificate] {
        let (core, _) = core(true).await;
        let mut device = core.enrol("d", auth).await;
        let reply = device.open(&core).await;
        assert_eq!(
            uris(&reply.commands()),
            [INTERVAL, JITTER, "./DevInfo/DevId", "./DevDetail/DevTyp"],
            "{auth}"
        );
        assert_eq!(state(&core, &device).await, EnrolmentState::New, "its first session has work to do");
        assert_eq!(schedule(&core, &device).await.told, "ordered");

        device.answer(&core, &reply, 200).await.unwrap();

        assert_eq!(state(&core, &device).await, EnrolmentState::Managed, "at once");
        let row = schedule(&core, &device).await;
        assert_eq!((row.told.as_str(), row.interval_s, row.jitter_s), ("acknowledged", 3600, 6));
        let id = device.enrolled.enrolment;
        let facts = core.store.read(move |r| facts::of(r, id)).await.unwrap();
        assert!(facts.iter().any(|fact| fact.key == "./DevDetail/DevTyp"), "what was read stands as a fact");
        assert!(device.session(&core).await.is_empty(), "nothing is sent twice");
        core.stop().await;
    }
}

#[actix::test]
async fn a_first_session_that_breaks_off_goes_on_with_the_next() {
    let (core, _) = core(true).await;
    let mut device = core.enrol("d", AuthType::Basic).await;
    device.open(&core).await;
    assert_eq!(device.session(&core).await.len(), 4);
    assert_eq!(state(&core, &device).await, EnrolmentState::Managed);
    core.stop().await;
}

#[actix::test]
async fn a_changed_interval_is_sent_once_at_the_next_session() {
    let (core, rules) = core(false).await;
    let mut device = core.enrol("d", AuthType::Md5).await;
    assert_eq!(uris(&device.session(&core).await), [INTERVAL, JITTER]);
    assert!(device.session(&core).await.is_empty());

    change(&core, &rules, 60).await;
    let reply = device.open(&core).await;
    let before = schedule(&core, &device).await;
    assert_eq!(
        (before.told.as_str(), before.interval_s),
        ("ordered", 3600),
        "held to the old one until it knows"
    );
    device.answer(&core, &reply, 200).await.unwrap();
    assert_eq!(schedule(&core, &device).await.interval_s, 60);

    // A change that means nothing to the device sends nothing.
    change(&core, &rules, 60).await;
    assert!(device.session(&core).await.is_empty());
    core.stop().await;
}

#[actix::test]
async fn an_interval_that_was_not_sent_yet_gives_way_to_a_newer_one() {
    let (core, rules) = core(false).await;
    let mut device = core.enrol("d", AuthType::Basic).await;
    device.session(&core).await;
    change(&core, &rules, 60).await;
    // It opens a session and goes away before it answers; then the setting changes again.
    device.open(&core).await;
    change(&core, &rules, 120).await;
    device.session(&core).await;
    let row = schedule(&core, &device).await;
    assert_eq!((row.told.as_str(), row.interval_s), ("acknowledged", 120));
    core.stop().await;
}

#[actix::test]
async fn a_device_that_knows_no_node_is_only_expected() {
    let (core, _) = core(false).await;
    let mut device = core.enrol("d", AuthType::Basic).await;
    device.man = "Other".to_owned();
    assert!(device.session(&core).await.is_empty());
    let row = schedule(&core, &device).await;
    assert_eq!((row.told.as_str(), row.interval_s, row.operation), ("expected", 3600, None));
    assert_eq!(state(&core, &device).await, EnrolmentState::Managed);
    core.stop().await;
}

#[actix::test]
async fn a_refused_interval_is_recorded_and_not_sent_again() {
    let (core, _) = core(false).await;
    let mut device = core.enrol("d", AuthType::Basic).await;
    let reply = device.open(&core).await;
    device.answer(&core, &reply, 404).await.unwrap();
    let row = schedule(&core, &device).await;
    assert_eq!((row.told.as_str(), row.status), ("refused", Some(404)));
    assert!(device.session(&core).await.is_empty());
    assert_eq!(state(&core, &device).await, EnrolmentState::Managed);
    core.stop().await;
}

#[actix::test]
async fn an_unproved_message_brings_nothing_about() {
    let (core, _) = core(true).await;
    let mut device = core.enrol("d", AuthType::Basic).await;
    device.password = "another".to_owned();
    let _ = device.begin(&core).await;
    let id = device.enrolled.enrolment;
    let row = core.store.read(move |r| enrolments::get(r, id)).await.unwrap();
    assert_eq!((row.settings_epoch, row.pending, row.state), (0, 0, EnrolmentState::New));
    assert!(core.store.read(move |r| commands::pending_of(r, id, 10)).await.unwrap().is_empty());
    core.stop().await;
}

#[actix::test]
async fn after_a_restart_a_device_that_was_told_is_told_nothing() {
    let (core, _) = core(true).await;
    let mut device = core.enrol("d", AuthType::Basic).await;
    device.session(&core).await;
    let core = core.restart().await;
    tell(&core).await;
    assert!(device.session(&core).await.is_empty());
    core.stop().await;
}
