//! How a device is admitted: once, with its answer again; duplicates; new generations.

use postern_engine::enrolment::quarantine::Decision;
use postern_store::{alarms, commands};
use postern_wire::{
    enrol::Refusal,
    terms::{CommandState, RequestState},
};

use super::{super::kit::get, *};
use crate::enrolment::{AdmitError, EnrolmentError};

fn refusal(result: Result<Admitted, AdmitError>) -> Refusal {
    match result {
        Err(AdmitError::Refused { refusal, .. }) => refusal,
        other => panic!("{other:?}"),
    }
}

#[actix::test]
async fn a_device_enrols_once_has_its_first_session_and_gets_a_lost_answer_again() {
    let ground = Ground::start().await;
    let made = ground.requested(wanted("a")).await;
    let admitted = ground.admit(&made, proposal("a", KEY_ONE)).await.unwrap();
    let id = admitted.bootstrap.enrolment;
    let row = ground.request(&made).await;
    assert_eq!((row.state, row.enrolment, row.generation), (RequestState::Used, Some(id), Some(1)));

    let again = ground.admit(&made, proposal("a", KEY_ONE_AGAIN)).await.unwrap();
    assert_eq!(again.bootstrap.server_uri, admitted.bootstrap.server_uri, "the same key, the same answer");
    assert_eq!(again.chain, admitted.chain);
    for other in [proposal("a", KEY_TWO), proposal("b", KEY_ONE)] {
        assert_eq!(refusal(ground.admit(&made, other).await), Refusal::Used);
    }

    let mut device = ground.device_of(&admitted);
    assert!(device.session(&ground.core).await.is_empty());
    assert_eq!(ground.state(id).await, EnrolmentState::Managed);
    assert_eq!(ground.life(id).await.door, "air");
    assert_eq!(ground.audited().await, ["enrolment.request", "device.enrol"]);
    ground.core.stop().await;
}

#[actix::test]
async fn a_core_that_was_killed_after_the_commit_gives_the_same_answer() {
    let ground = Ground::start().await;
    let made = ground.requested(wanted("a")).await;
    let admitted = ground.admit(&made, proposal("a", KEY_ONE)).await.unwrap();
    let Ground { core, enrolments: _, authority, set, .. } = ground;
    let core = core.restart().await;
    let parts = EnrolmentParts {
        authority: authority.clone(),
        signer: Arc::new(NoKey),
        rules: set.clone(),
        site: Site { url: "https://dm.example".to_owned(), server_id: "postern".to_owned() },
    };
    let enrolments = Enrolments::new(core.devices.clone(), parts);
    let ground = Ground { core, enrolments, authority, set, sources: AtomicI64::new(0) };
    let again = ground.admit(&made, proposal("a", KEY_ONE)).await.unwrap();
    assert_eq!(again.bootstrap.server_uri, admitted.bootstrap.server_uri);
    ground.core.stop().await;
}

#[actix::test]
async fn the_same_hardware_twice_stands_in_quarantine_until_a_person_decides() {
    for decision in [Decision::Release, Decision::Reject] {
        let ground = Ground::start().await;
        let mut first = ground.device("a").await;
        first.session(&ground.core).await;
        let made = ground.requested(wanted("b")).await;
        let twin = Proposal { hardware_id: Some("hw-a".to_owned()), ..proposal("b", KEY_TWO) };
        let admitted = ground.admit(&made, twin).await.unwrap();
        let (old, new) = (first.enrolled.enrolment, admitted.bootstrap.enrolment);
        assert_eq!(ground.state(new).await, EnrolmentState::Quarantined);
        assert_eq!(ground.life(new).await.twin, Some(old));
        let subject = format!("device:{new}");
        let open = |subject: String| {
            let store = ground.core.store.clone();
            async move { store.read(move |r| alarms::open(r, "duplicate-hardware", &subject)).await.unwrap() }
        };
        assert!(open(subject.clone()).await.is_some());

        let mut second = ground.device_of(&admitted);
        ground.core.queue(&second, vec![get("./DevInfo/Mod")]).await;
        assert!(second.session(&ground.core).await.is_empty(), "answered, and nothing is sent");
        assert_eq!(ground.state(new).await, EnrolmentState::Quarantined);

        ground.enrolments.decide(new, decision, admin(), "looked at it".to_owned()).await.unwrap();
        assert!(open(subject).await.is_none());
        if decision == Decision::Release {
            assert_eq!(second.session(&ground.core).await.len(), 1, "now its queue is sent");
            assert_eq!(ground.state(new).await, EnrolmentState::Managed);
            assert_eq!(ground.state(old).await, EnrolmentState::Retired);
            assert!(first.begin(&ground.core).await.is_err());
        } else {
            assert_eq!(ground.state(new).await, EnrolmentState::Retired);
            assert_eq!(ground.state(old).await, EnrolmentState::Managed);
            assert!(second.begin(&ground.core).await.is_err());
        }
        let again = ground.enrolments.decide(new, decision, admin(), String::new()).await;
        assert!(matches!(again, Err(EnrolmentError::Quarantine(_))), "{again:?}");
        ground.core.stop().await;
    }
}

#[actix::test]
async fn a_renewed_enrolment_is_a_new_generation_that_receives_nothing_of_the_old_queue() {
    let ground = Ground::start().await;
    let mut old = ground.device("a").await;
    old.session(&ground.core).await;
    let id = old.enrolled.enrolment;
    let queued = ground.core.queue(&old, vec![get("./DevInfo/Mod")]).await;
    let renews = NewRequest { renews: Some(id), ..wanted("a") };
    let made = ground.requested(renews.clone()).await;
    let second = ground.enrolments.request(renews, admin()).await;
    assert!(matches!(second, Err(EnrolmentError::RenewalOpen(_))), "{second:?}");

    let admitted = ground.admit(&made, proposal("a", KEY_TWO)).await.unwrap();
    assert_eq!((admitted.bootstrap.enrolment, admitted.bootstrap.generation), (id, 2));
    let command = ground.core.command(queued.commands[0].1).await;
    assert_eq!((command.state, command.cause.as_str()), (CommandState::Cancelled, "superseded"));
    assert!(old.begin(&ground.core).await.is_err(), "its old route is no more");
    let mut new = ground.device_of(&admitted);
    assert!(new.session(&ground.core).await.is_empty(), "nothing of the old queue");
    assert_eq!(ground.state(id).await, EnrolmentState::Managed);
    let history = ground.core.store.read(move |r| commands::finished_of(r, id, None, 10)).await.unwrap();
    assert_eq!(history.len(), 1, "the history is kept");
    ground.core.stop().await;
}

#[actix::test]
async fn a_renewal_is_for_its_own_device_only() {
    let ground = Ground::start().await;
    let (one, _two) = (ground.device("a").await, ground.device("b").await);
    let renews = NewRequest { renews: Some(one.enrolled.enrolment), ..wanted("a") };
    let made = ground.requested(renews).await;
    assert_eq!(refusal(ground.admit(&made, proposal("b", KEY_TWO)).await), Refusal::OtherDevice);
    assert_eq!(ground.request(&made).await.state, RequestState::Open, "the right device may still come");
    assert!(ground.admit(&made, proposal("a", KEY_TWO)).await.is_ok());
    ground.core.stop().await;
}

#[actix::test]
async fn what_the_request_names_has_to_come_and_an_owner_has_a_quota() {
    let ground = Ground::start().await;
    ground.set(|set| set.devices_an_owner = 1);
    let of_ann = |name: &str| {
        let mut new = wanted(name);
        new.terms.owner = Some("ann".to_owned());
        new
    };
    let mut both = vec![of_ann("a"), of_ann("b")];
    both[0].hardware_id = Some("hw-a".to_owned());
    both[0].email_domain = Some("example.com".to_owned());
    let mut made = ground.enrolments.request_all(both, admin()).await.unwrap();
    let (second, first) = (made.pop().unwrap().unwrap(), made.pop().unwrap().unwrap());
    let mail = |text: &str| Proposal { email: Some(text.to_owned()), ..proposal("a", KEY_ONE) };
    assert_eq!(refusal(ground.admit(&first, proposal("a", KEY_ONE)).await), Refusal::OtherDevice);
    let other = Proposal { email: Some("ann@example.com".to_owned()), ..proposal("b", KEY_ONE) };
    assert_eq!(refusal(ground.admit(&first, other).await), Refusal::OtherDevice);
    assert!(ground.admit(&first, mail("ann@example.com")).await.is_ok());
    assert_eq!(refusal(ground.admit(&second, proposal("b", KEY_TWO)).await), Refusal::Quota);
    let bad = ground.requested(wanted("c")).await;
    assert_eq!(refusal(ground.admit(&bad, proposal("c", b"no request")).await), Refusal::BadRequest);
    ground.core.stop().await;
}
