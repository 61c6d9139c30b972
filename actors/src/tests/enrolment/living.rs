//! A life after enrolment: leaving, silence, renewal.

use postern_engine::enrolment::{leaving, renewal};
use postern_store::alarms;
use postern_wire::syncml::{Alert, Command, Data, Item, Location, Meta};

use super::{
    super::kit::{get, until, uris},
    *,
};
use crate::enrolment::{EnrolmentError, Left};

#[actix::test]
async fn a_device_that_is_told_to_leave_is_retired_when_it_has_acknowledged_it() {
    let ground = Ground::start().await;
    let mut device = ground.device("a").await;
    let id = ground.managed(&mut device).await;
    let left = ground.enrolments.unenrol(id, false, admin(), "sold".to_owned()).await.unwrap();
    assert!(matches!(left, Left::Told(_)));
    let again = ground.enrolments.unenrol(id, false, admin(), String::new()).await;
    assert!(matches!(again, Err(EnrolmentError::Leaving(_))), "{again:?}");
    let came = device.session(&ground.core).await;
    assert_eq!(uris(&came), [leaving::NODE]);
    ground.look().await;
    let row = ground.row(id).await;
    assert_eq!(row.state, EnrolmentState::Retired);
    assert!(row.retired_because.is_some_and(|why| why.contains("sold") && why.contains("acknowledged")));
    assert!(device.begin(&ground.core).await.is_err());
    ground.core.stop().await;
}

#[actix::test]
async fn a_refused_order_leaves_the_device_enrolled_and_it_can_be_let_go_at_once() {
    let ground = Ground::start().await;
    let mut device = ground.device("a").await;
    let id = ground.managed(&mut device).await;
    ground.enrolments.unenrol(id, false, admin(), String::new()).await.unwrap();
    let reply = device.open(&ground.core).await;
    device.answer(&ground.core, &reply, 405).await.unwrap();
    ground.look().await;
    assert_eq!(ground.state(id).await, EnrolmentState::Managed);
    assert_eq!(ground.life(id).await.leaving.as_deref(), Some("refused"));
    let left = ground.enrolments.unenrol(id, true, admin(), "at once".to_owned()).await.unwrap();
    assert_eq!(left, Left::Retired);
    assert_eq!(ground.state(id).await, EnrolmentState::Retired);
    let again = ground.enrolments.unenrol(id, true, admin(), String::new()).await;
    assert!(matches!(again, Err(EnrolmentError::UnknownDevice(_))), "{again:?}");
    ground.core.stop().await;
}

#[actix::test]
async fn a_model_without_the_node_cannot_be_told() {
    let ground = Ground::start().await;
    let mut device = ground.device("a").await;
    device.man = "Somebody".to_owned();
    let id = ground.managed(&mut device).await;
    let refused = ground.enrolments.unenrol(id, false, admin(), String::new()).await;
    assert!(matches!(refused, Err(EnrolmentError::Leaving(leaving::Refused::CannotBeTold))), "{refused:?}");
    ground.core.stop().await;
}

#[actix::test]
async fn a_device_that_says_it_leaves_is_answered_and_retired_after_its_session() {
    let ground = Ground::start().await;
    let mut device = ground.device("a").await;
    let id = ground.managed(&mut device).await;
    let item = Item {
        source: Some(Location::uri(leaving::NODE)),
        meta: Meta { type_: Some(leaving::ALERT.into()), format: Some("chr".into()), ..Meta::default() },
        data: Some(Data::from("1")),
        ..Item::default()
    };
    let alert = Command::Alert(Alert { cmd_id: 3, code: 1226, items: vec![item], ..Alert::default() });
    device.says.push(alert);
    let reply = device.begin(&ground.core).await.unwrap();
    let leaving = ground.life(id).await.leaving;
    assert_eq!(leaving.as_deref(), Some("asked"), "before the answer left: {:?}", reply.message);
    until("its session is over", async || {
        ground.look().await;
        ground.state(id).await == EnrolmentState::Retired
    })
    .await;
    assert!(ground.row(id).await.retired_because.is_some_and(|why| why.contains("the device left")));
    ground.core.stop().await;
}

#[actix::test]
async fn a_silent_device_is_quiet_stale_and_un_enrolled_and_a_message_brings_it_back() {
    let ground = Ground::start().await;
    ground.set(|set| set.silence.enabled = true);
    let (mut lost, mut back) = (ground.device("a").await, ground.device("b").await);
    lost.session(&ground.core).await;
    back.session(&ground.core).await;
    let (lost, id) = (lost.enrolled.enrolment, back.enrolled.enrolment);
    for (days, standing) in [(2, "quiet"), (69, "stale")] {
        ground.core.clock.advance(days * DAY);
        ground.look().await;
        assert_eq!(ground.life(lost).await.standing, standing, "{days}");
    }
    let subject = format!("device:{lost}");
    let alarm = ground.core.store.read(move |r| alarms::open(r, "device-stale", &subject)).await.unwrap();
    assert!(alarm.is_some());

    back.session(&ground.core).await;
    until("it was seen", async || {
        let since = ground.life(id).await.standing_since;
        ground.row(id).await.last_seen_at.is_some_and(|at| at > since)
    })
    .await;
    ground.look().await;
    assert_eq!(ground.life(id).await.standing, "managed");

    ground.core.clock.advance(30 * DAY);
    ground.look().await;
    assert_eq!(ground.state(lost).await, EnrolmentState::Retired);
    assert_eq!(ground.state(id).await, EnrolmentState::Managed);
    ground.core.stop().await;
}

#[actix::test]
async fn a_certificate_is_renewed_before_a_third_of_its_life_is_left() {
    let ground = Ground::start().await;
    let mut device = ground.device("a").await;
    let id = ground.managed(&mut device).await;
    let first = ground.row(id).await.certificate_serial;
    ground.core.clock.advance(239 * DAY);
    ground.look().await;
    assert!(device.session(&ground.core).await.is_empty(), "a third is left");

    ground.core.clock.advance(2 * DAY);
    ground.look().await;
    let pem = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, KEY_TWO);
    device.values.push((format!("{}/Csr", renewal::NODE), pem));
    let came = device.session(&ground.core).await;
    assert_eq!(uris(&came), [format!("{}/Renew", renewal::NODE), format!("{}/Csr", renewal::NODE)]);
    ground.look().await;
    assert_eq!(ground.life(id).await.renewal, "issued");
    let came = device.session(&ground.core).await;
    assert_eq!(uris(&came), [format!("{}/Chain", renewal::NODE)]);
    ground.look().await;
    assert_eq!(ground.life(id).await.renewal, "taken");
    assert!(device.session(&ground.core).await.is_empty(), "the old one holds until the new one is shown");
    assert_eq!(ground.row(id).await.certificate_serial, first);

    let old = device.peer.certificate.clone();
    device.peer.certificate = ground.authority.issued.lock().unwrap().last().cloned();
    assert!(device.session(&ground.core).await.is_empty());
    let row = ground.row(id).await;
    assert_ne!(row.certificate_serial, first);
    assert_eq!(ground.life(id).await.renewal, "none");
    device.peer.certificate = old;
    let refused = device.begin(&ground.core).await;
    assert!(
        refused.as_ref().map_or(true, |reply| reply.header_status() >= 400),
        "the old one holds no more: {refused:?}"
    );
    ground.core.stop().await;
}

#[actix::test]
async fn a_certificate_of_a_model_that_cannot_be_told_is_shown_as_due_and_alarmed() {
    let ground = Ground::start().await;
    let mut device = ground.device("a").await;
    device.man = "Somebody".to_owned();
    let id = ground.managed(&mut device).await;
    ground.core.clock.advance(241 * DAY);
    ground.look().await;
    assert_eq!(ground.life(id).await.renewal, "due");
    ground.core.queue(&device, vec![get("./DevInfo/Mod")]).await;
    assert_eq!(device.session(&ground.core).await.len(), 1, "and it is managed as before");
    ground.core.clock.advance(90 * DAY);
    ground.look().await;
    let subject = format!("device:{id}");
    let alarm =
        ground.core.store.read(move |r| alarms::open(r, "certificate-expiring", &subject)).await.unwrap();
    assert!(alarm.is_some());
    ground.core.stop().await;
}
