//! Wipes: from the request to what a device says of it, and back through crashes.

mod edges;

use std::{sync::Arc, time::Duration};

use postern_engine::wipe::{Allowed, RUN, Settings as Set, Unsuccessful};
use postern_store::{
    StoreError, alarms, audit, commands, enrolments,
    facts::{self, Fact},
    lists::{self, List},
    outbox, wipes,
};
use postern_wire::{
    order::Order as Signed,
    syncml::Command,
    terms::{
        AuthType, CommandState, EnrolmentId, EnrolmentState, Role, UtcMillis, WipeEvidence, WipeKind,
        WipeState,
    },
};
use uuid::Uuid;

use super::{
    kit::{Core, Device, admin, get, order, quick, uris},
    safety::person,
};
use crate::{
    AuditActor, RefusalCause, RetireError, Standing,
    enrolment::OrderSigner,
    wipe::{Disarmed, NewWipe, Perimeter, Wipe, WipeError, WipeParts, WipeRules, WipeSettings, Wipes},
};

struct Key;

impl OrderSigner for Key {
    fn sign(&self, _: &[u8]) -> Result<[u8; 64], String> {
        Ok([7; 64])
    }
}

/// What is set, for every device alike.
#[derive(Clone, Copy)]
pub(super) struct Rules(pub(super) WipeSettings);

impl WipeRules for Rules {
    fn of_device(&self, _: &mut postern_store::Reader, _: EnrolmentId) -> Result<WipeSettings, StoreError> {
        Ok(self.0)
    }
}

struct Gateways;

impl Perimeter for Gateways {
    fn holders(&self) -> Vec<(String, bool)> {
        vec![("edge".to_owned(), true)]
    }
}

pub(super) fn usual() -> WipeSettings {
    let settings = Set { retry_wait_ms: 0, ..Set::default() };
    WipeSettings { settings, allowed: Allowed::ALL }
}

pub(super) fn wipes_of(core: &Core, set: WipeSettings) -> Wipes {
    let parts =
        WipeParts { signer: Arc::new(Key), rules: Arc::new(Rules(set)), perimeter: Arc::new(Gateways) };
    Wipes::new(core.devices.clone(), parts)
}

pub(super) fn wanted(device: &Device, kind: WipeKind) -> NewWipe {
    NewWipe {
        targets: vec![(device.enrolled.enrolment, device.name.clone())],
        kind,
        reason: "left in a taxi".to_owned(),
        lost: true,
        dry_run: false,
        break_glass: false,
        actor: admin(),
        admin: Uuid::from_u128(1),
        token: Uuid::from_u128(2),
    }
}

async fn ask(wipes: &Wipes, device: &Device) -> Wipe {
    wipes.request(wanted(device, WipeKind::Full)).await.unwrap().wipes.remove(0)
}

pub(super) async fn row(core: &Core, id: Uuid) -> Wipe {
    core.store.read(move |r| wipes::find(r, id)).await.unwrap().unwrap()
}

/// A device of ours: its manufacturer is known from a session before.
pub(super) async fn ours(core: &Core, name: &str) -> Device {
    let device = core.enrol(name, AuthType::Md5).await;
    fact(core, &device, "./DevInfo/Man", "Postern").await;
    device
}

async fn fact(core: &Core, device: &Device, key: &str, value: &str) {
    let row = Fact {
        enrolment: device.enrolled.enrolment,
        key: key.to_owned(),
        value: value.to_owned(),
        source: "device".to_owned(),
        at: core.store_now(),
    };
    core.store.write(move |tx| facts::set(tx, std::slice::from_ref(&row)).map(|_| ())).await.unwrap();
}

impl Core {
    fn store_now(&self) -> postern_wire::terms::UtcMillis {
        use crate::Clock as _;
        self.clock.wall()
    }
}

async fn state_of(core: &Core, device: &Device) -> EnrolmentState {
    let id = device.enrolled.enrolment;
    core.store.read(move |r| enrolments::get(r, id)).await.unwrap().state
}

#[actix::test]
async fn a_wipe_goes_first_and_alone_and_ends_the_enrolment_when_the_device_acknowledges_it() {
    let core = Core::start(quick()).await;
    let wipes = wipes_of(&core, usual());
    let mut device = ours(&core, "one").await;
    core.queue(&device, vec![get("./A"), get("./B")]).await;
    let asked = ask(&wipes, &device).await;
    assert_eq!((asked.state, asked.tries), (WipeState::Pending, 1));

    let reply = device.open(&core).await;
    assert_eq!(uris(&reply.commands()), [RUN], "alone");
    assert_eq!(row(&core, asked.id).await.state, WipeState::Sent);
    let after = device.answer(&core, &reply, 200).await.unwrap();
    assert!(!after.has_commands(), "a device that was wiped is not sent the rest");

    let done = row(&core, asked.id).await;
    assert_eq!((done.state, done.evidence), (WipeState::Succeeded, Some(WipeEvidence::Acknowledged)));
    assert_eq!(done.status, Some(200));
    assert_eq!(state_of(&core, &device).await, EnrolmentState::Retired);
    let refused = device.begin(&core).await.unwrap_err();
    assert_eq!(refused.cause, RefusalCause::Retired);
    wipes.look_now().await.unwrap();
    core.clock.advance(Duration::from_secs(2));
    wipes.look_now().await.unwrap();
    let steps = core.store.read(move |r| wipes::steps(r, asked.id)).await.unwrap();
    let told: Vec<_> = steps.iter().map(|step| step.event.as_str()).collect();
    assert_eq!(
        told,
        ["admit", "issue", "send", "acknowledge", "gateway-blocked", "gateway-blocked-everywhere"]
    );
    assert!(steps[2].exchange.is_some() && steps[3].exchange.is_some());
    let kinds = told_of(&core, asked.id).await;
    assert_eq!(kinds, ["wipe-requested", "wipe-succeeded"]);
    core.stop().await;
}

async fn told_of(core: &Core, id: Uuid) -> Vec<String> {
    let rows = core.store.read(move |r| outbox::about(r, &format!("wipe:{id}"), 50)).await.unwrap();
    let mut kinds: Vec<_> = rows.into_iter().map(|entry| entry.kind.to_string()).collect();
    kinds.sort();
    kinds
}

#[actix::test]
async fn the_order_names_enrolment_generation_and_node_and_expires_with_the_wipe() {
    let core = Core::start(quick()).await;
    let wipes = wipes_of(&core, usual());
    let mut device = ours(&core, "one").await;
    let asked = ask(&wipes, &device).await;

    let reply = device.open(&core).await;
    let Some(Command::Exec(exec)) = reply.commands().pop() else { panic!() };
    let text = exec.items[0].data.as_ref().and_then(|data| data.as_text()).unwrap().to_owned();
    let order = Signed::open(&text, |_, signature| *signature == [7; 64]).unwrap();
    assert_eq!(order.enrolment, device.enrolled.enrolment);
    assert_eq!(order.generation, 1);
    assert_eq!(order.uri, RUN);
    assert_eq!(Some(order.expires), asked.expires_at);
    core.stop().await;
}

#[actix::test]
async fn a_second_wipe_for_the_same_device_is_refused_and_so_is_one_without_a_reason() {
    let core = Core::start(quick()).await;
    let wipes = wipes_of(&core, usual());
    let device = ours(&core, "one").await;
    let first = ask(&wipes, &device).await;

    let second = wipes.request(wanted(&device, WipeKind::Full)).await;
    assert!(matches!(second, Err(WipeError::Outstanding { wipe, .. }) if wipe == first.id), "{second:?}");
    let silent = NewWipe { reason: "  ".to_owned(), ..wanted(&device, WipeKind::Full) };
    assert!(matches!(wipes.request(silent).await, Err(WipeError::Invalid("/reason", _))));
    let retired = core.devices.retire(device.enrolled.enrolment, admin(), String::new()).await;
    assert_eq!(retired, Err(RetireError::Wiping(first.id)), "nothing could reach it then");
    core.stop().await;
}

#[actix::test]
async fn two_admins_who_ask_at_once_get_one_wipe() {
    let core = Core::start(quick()).await;
    let wipes = wipes_of(&core, usual());
    let device = ours(&core, "one").await;
    let (one, two) = tokio::join!(
        wipes.request(wanted(&device, WipeKind::Full)),
        wipes.request(wanted(&device, WipeKind::Full))
    );
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    core.stop().await;
}

#[actix::test]
async fn what_a_device_or_its_groups_cannot_have_is_refused_with_the_reason() {
    let core = Core::start(quick()).await;
    let private = Allowed {
        full: false,
        keep_user_data: false,
        keep_provisioning: false,
        protected: false,
        selective: true,
    };
    let wipes = wipes_of(&core, WipeSettings { allowed: private, ..usual() });
    let device = ours(&core, "one").await;
    let refused = wipes.request(wanted(&device, WipeKind::Full)).await;
    assert!(matches!(refused, Err(WipeError::NotAllowed { .. })), "{refused:?}");
    let dry = NewWipe { dry_run: true, ..wanted(&device, WipeKind::Selective) };
    let would = wipes.request(dry).await.unwrap();
    assert_eq!(would.wipes[0].way, "postern-unenrol");
    let id = device.enrolled.enrolment;
    assert_eq!(core.store.read(move |r| wipes::outstanding(r, id)).await.unwrap(), None, "nothing was done");

    let free = wipes_of(&core, usual());
    let refused = free.request(wanted(&device, WipeKind::Protected)).await;
    assert!(matches!(refused, Err(WipeError::Cannot { .. })), "{refused:?}");
    core.stop().await;
}

#[actix::test]
async fn a_device_that_answers_500_is_shown_as_that_at_once_and_gets_another_try() {
    let core = Core::start(quick()).await;
    let wipes = wipes_of(&core, usual());
    let mut device = ours(&core, "one").await;
    let asked = ask(&wipes, &device).await;
    let reply = device.open(&core).await;
    device.answer(&core, &reply, 500).await.unwrap();

    let failed = row(&core, asked.id).await;
    assert_eq!((failed.state, failed.status), (WipeState::Retrying, Some(500)));
    let subject = format!("device:{}", device.enrolled.enrolment);
    let alarm = core.store.read(move |r| alarms::open(r, "wipe-failed", &subject)).await.unwrap();
    assert!(alarm.is_some_and(|alarm| alarm.text.contains("500")));
    wipes.look_now().await.unwrap();
    assert_eq!(row(&core, asked.id).await.tries, 2);
    let came = device.session(&core).await;
    assert_eq!(uris(&came), [RUN]);
    assert_eq!(row(&core, asked.id).await.state, WipeState::Succeeded);
    core.stop().await;
}

#[actix::test]
async fn one_that_fails_for_good_is_armed_and_only_two_persons_disarm_it() {
    let core = Core::start(quick()).await;
    let set = Set { retries: 0, ..usual().settings };
    let wipes = wipes_of(&core, WipeSettings { settings: set, ..usual() });
    let mut device = ours(&core, "one").await;
    let asked = ask(&wipes, &device).await;
    let reply = device.open(&core).await;
    device.answer(&core, &reply, 500).await.unwrap();

    let armed = row(&core, asked.id).await;
    assert_eq!(armed.state, WipeState::Armed);
    let listed = core.store.read(|r| lists::entries(r, List::Blocked, "", 10)).await.unwrap();
    assert_eq!(listed.iter().map(|entry| entry.verdict.as_str()).collect::<Vec<_>>(), ["wipe-only"]);
    let taken = wipes.cancel(asked.id, admin(), String::new()).await;
    assert!(matches!(taken, Err(WipeError::Cancel(_))), "{taken:?}");
    let soon = core.store_now().plus(86_400_000);
    person(&core, "test", Role::DeviceAdmin, UtcMillis(0)).await;
    person(&core, "other", Role::SecurityAdmin, UtcMillis(0)).await;
    person(&core, "new", Role::SecurityAdmin, soon).await;
    person(&core, "help", Role::Support, UtcMillis(0)).await;
    let by = |name| wipes.disarm(asked.id, AuditActor::admin(name, None), "found".into());
    for nobody in ["new", "help", "stranger"] {
        let refused = by(nobody).await;
        assert!(matches!(refused, Err(WipeError::Approval(_))), "{nobody} is not the first: {refused:?}");
    }
    assert!(matches!(by("test").await, Ok(Disarmed::First(_))));
    let again = by("test").await;
    assert!(matches!(again, Err(WipeError::SamePerson(_))), "{again:?}");
    for nobody in ["new", "help", "stranger"] {
        let refused = by(nobody).await;
        assert!(matches!(refused, Err(WipeError::Approval(_))), "{nobody} is not the second: {refused:?}");
    }
    let done = by("other").await;
    assert!(matches!(&done, Ok(Disarmed::Done(row)) if row.state == WipeState::Cancelled), "{done:?}");
    assert_eq!(core.store.read(|r| lists::entries(r, List::Blocked, "", 10)).await.unwrap(), []);
    assert_eq!(
        told_of(&core, asked.id).await,
        ["wipe-armed", "wipe-cancelled", "wipe-failed", "wipe-requested"]
    );
    core.stop().await;
}

#[actix::test]
async fn an_armed_device_reaches_its_wipe_and_nothing_else() {
    let core = Core::start(quick()).await;
    let wipes = wipes_of(&core, usual());
    let mut device = ours(&core, "one").await;
    core.queue(&device, vec![get("./A")]).await;
    let asked = ask(&wipes, &device).await;
    core.clock.advance(Duration::from_secs(31 * 86_400));
    wipes.look_now().await.unwrap();
    assert_eq!(row(&core, asked.id).await.state, WipeState::Armed, "expired, and armed at once");
    wipes.look_now().await.unwrap();

    device.peer.standing = Standing::WipeOnly;
    let came = device.session(&core).await;
    assert_eq!(uris(&came), [RUN]);
    assert_eq!(row(&core, asked.id).await.state, WipeState::Succeeded);
    let told = told_of(&core, asked.id).await;
    assert_eq!(told, ["wipe-armed", "wipe-expired", "wipe-requested", "wipe-succeeded"]);
    core.stop().await;
}

#[actix::test]
async fn with_the_originals_settings_one_that_expires_loses_its_enrolment_or_nothing() {
    for (unsuccessful, state) in
        [(Unsuccessful::Disenroll, EnrolmentState::Retired), (Unsuccessful::Keep, EnrolmentState::New)]
    {
        let core = Core::start(quick()).await;
        let set = Set { unsuccessful, ..usual().settings };
        let wipes = wipes_of(&core, WipeSettings { settings: set, ..usual() });
        let device = ours(&core, "one").await;
        let asked = ask(&wipes, &device).await;
        core.clock.advance(Duration::from_secs(31 * 86_400));
        wipes.look_now().await.unwrap();

        assert_eq!(row(&core, asked.id).await.state, WipeState::Expired, "{unsuccessful:?}");
        assert_eq!(state_of(&core, &device).await, state, "{unsuccessful:?}");
        let taken = wipes.cancel(asked.id, admin(), String::new()).await;
        assert_eq!(taken.is_ok(), unsuccessful == Unsuccessful::Keep, "{taken:?}");
        core.stop().await;
    }
}

#[actix::test]
async fn a_wipe_that_passed_its_time_while_nobody_ran_expires_right_after_the_start_and_is_told_once() {
    let core = Core::start(quick()).await;
    let device = ours(&core, "one").await;
    let asked = ask(&wipes_of(&core, usual()), &device).await;
    core.clock.advance(Duration::from_secs(40 * 86_400));
    let core = core.restart().await;
    let wipes = wipes_of(&core, usual());
    wipes.look_now().await.unwrap();
    wipes.look_now().await.unwrap();
    let told = told_of(&core, asked.id).await;
    assert_eq!(told.iter().filter(|kind| *kind == "wipe-expired").count(), 1, "{told:?}");
    core.stop().await;
}

#[actix::test]
async fn a_later_change_of_settings_does_not_touch_a_request() {
    let core = Core::start(quick()).await;
    let device = ours(&core, "one").await;
    let asked = ask(&wipes_of(&core, usual()), &device).await;
    let other = Set { retries: 99, expires_after_ms: Some(1), ..usual().settings };
    let wipes = wipes_of(&core, WipeSettings { settings: other, ..usual() });
    core.clock.advance(Duration::from_secs(60));
    wipes.look_now().await.unwrap();
    let kept = row(&core, asked.id).await;
    assert_eq!(kept.state, WipeState::Pending);
    assert_eq!(kept.settings, asked.settings);
    core.stop().await;
}

#[actix::test]
async fn a_wipe_taken_back_in_time_is_never_sent() {
    let core = Core::start(quick()).await;
    let wipes = wipes_of(&core, usual());
    let mut device = ours(&core, "one").await;
    core.queue(&device, vec![get("./A")]).await;
    let asked = ask(&wipes, &device).await;
    wipes.cancel(asked.id, admin(), "found".to_owned()).await.unwrap();

    let came = device.session(&core).await;
    assert_eq!(uris(&came), ["./A"], "the rest goes on");
    assert_eq!(row(&core, asked.id).await.state, WipeState::Cancelled);
    core.stop().await;
}

#[actix::test]
async fn a_lawmo_device_that_accepts_and_comes_back_was_not_wiped_and_one_that_stays_away_was() {
    let core = Core::start(quick()).await;
    let wipes = wipes_of(&core, usual());
    let mut device = core.enrol("lawmo", AuthType::Md5).await;
    device.man = "Else".to_owned();
    let asked = ask(&wipes, &device).await;
    assert_eq!(asked.way, "lawmo-factory-reset");
    let reply = device.open(&core).await;
    assert_eq!(uris(&reply.commands()), ["./LAWMO/Operations/FactoryReset"]);
    device.answer(&core, &reply, 202).await.unwrap();
    assert_eq!(row(&core, asked.id).await.state, WipeState::Accepted);

    core.clock.advance(Duration::from_secs(600));
    device.session(&core).await;
    core.clock.advance(Duration::from_secs(600));
    super::kit::until("the session is recorded and seen", async || {
        wipes.look_now().await.unwrap();
        core.clock.advance(Duration::from_secs(10));
        matches!(row(&core, asked.id).await.state, WipeState::Retrying | WipeState::Sent)
    })
    .await;

    wipes.look_now().await.unwrap();
    let reply = device.open(&core).await;
    assert_eq!(uris(&reply.commands()), ["./LAWMO/Operations/FactoryReset"], "again");
    device.answer(&core, &reply, 202).await.unwrap();
    core.clock.advance(Duration::from_secs(2 * 86_400));
    wipes.look_now().await.unwrap();
    let done = row(&core, asked.id).await;
    assert_eq!((done.state, done.evidence), (WipeState::Succeeded, Some(WipeEvidence::Silent)));
    core.stop().await;
}

#[actix::test]
async fn an_armed_device_that_acknowledged_and_comes_back_was_not_wiped_and_gets_the_next_try() {
    let core = Core::start(quick()).await;
    let wipes = wipes_of(&core, usual());
    let mut device = core.enrol("lawmo", AuthType::Md5).await;
    device.man = "Else".to_owned();
    let asked = ask(&wipes, &device).await;
    core.clock.advance(Duration::from_secs(31 * 86_400));
    wipes.look_now().await.unwrap();
    wipes.look_now().await.unwrap();
    assert_eq!(row(&core, asked.id).await.state, WipeState::Armed);
    device.peer.standing = Standing::WipeOnly;
    let came = device.session(&core).await;
    assert_eq!(uris(&came), ["./LAWMO/Operations/FactoryReset"]);
    assert_eq!(row(&core, asked.id).await.state, WipeState::Accepted);

    core.clock.advance(Duration::from_secs(600));
    assert_eq!(uris(&device.session(&core).await), Vec::<String>::new(), "it is heard, and told nothing");
    super::kit::until("the session is recorded and seen", async || {
        wipes.look_now().await.unwrap();
        core.clock.advance(Duration::from_secs(10));
        row(&core, asked.id).await.state == WipeState::Armed
    })
    .await;
    wipes.look_now().await.unwrap();
    let reply = device.open(&core).await;
    assert_eq!(uris(&reply.commands()), ["./LAWMO/Operations/FactoryReset"], "again");
    core.stop().await;
}

#[actix::test]
async fn a_row_that_somebody_wrote_into_the_database_is_not_sent() {
    let core = Core::start(quick()).await;
    let wipes = wipes_of(&core, usual());
    let mut device = ours(&core, "one").await;
    let asked = ask(&wipes, &device).await;
    let command = asked.command.unwrap();
    core.store.write(move |tx| commands::set_mac(tx, command, &[1; 61])).await.unwrap();
    assert_eq!(uris(&device.session(&core).await), Vec::<String>::new());
    assert_eq!(core.command(command).await.state, CommandState::Queued);
    core.stop().await;
}

#[actix::test]
async fn after_a_restore_nothing_of_the_backup_is_wiped_again() {
    let core = Core::start(quick()).await;
    let wipes = wipes_of(&core, usual());
    let mut device = ours(&core, "one").await;
    let asked = ask(&wipes, &device).await;
    core.clock.advance(Duration::from_secs(1));
    let since = core.store_now();
    assert_eq!(wipes.restored(since).await, Ok(1));
    assert_eq!(wipes.restored(since).await, Ok(0));

    assert_eq!(row(&core, asked.id).await.state, WipeState::InDoubt);
    assert_eq!(uris(&device.session(&core).await), Vec::<String>::new());
    let later = ask(&wipes, &device).await;
    assert_eq!(wipes.restored(since).await, Ok(0), "what was asked for after the restore is wanted");
    assert_eq!(row(&core, later.id).await.state, WipeState::Pending);
    core.stop().await;
}

#[actix::test]
async fn a_device_enrolled_anew_never_inherits_a_wipe() {
    let core = Core::start(quick()).await;
    let wipes = wipes_of(&core, usual());
    let device = ours(&core, "one").await;
    let asked = ask(&wipes, &device).await;
    let mut again = core.enrolment("one", AuthType::Md5);
    again.id = device.enrolled.enrolment;
    again.replace = true;
    let mut anew = core.enrol_as(again).await;

    assert_eq!(row(&core, asked.id).await.state, WipeState::Cancelled);
    assert_eq!(uris(&anew.session(&core).await), Vec::<String>::new());
    wipes.look_now().await.unwrap();
    assert_eq!(uris(&anew.session(&core).await), Vec::<String>::new());
    core.stop().await;
}

#[actix::test]
async fn a_raw_order_for_a_suspended_device_waits_behind_its_wipe() {
    let core = Core::start(quick()).await;
    let wipes = wipes_of(&core, usual());
    let mut device = ours(&core, "one").await;
    let asked = ask(&wipes, &device).await;
    core.devices.submit(order(&device, vec![get("./A")])).await.unwrap();
    let reply = device.open(&core).await;
    assert_eq!(uris(&reply.commands()), [RUN]);
    device.answer(&core, &reply, 500).await.unwrap();
    // Between two tries nothing else goes either.
    assert_eq!(uris(&device.session(&core).await), Vec::<String>::new());
    assert_eq!(row(&core, asked.id).await.state, WipeState::Retrying);
    core.stop().await;
}

/// The audit log hangs together, whatever was killed.
pub(super) async fn audit_is_whole(core: &Core) {
    let verdict = core.store.read(|r| audit::verify(r, 0, None, 100_000)).await.unwrap();
    assert!(matches!(verdict, audit::Verdict::Whole { .. }), "{verdict:?}");
}
