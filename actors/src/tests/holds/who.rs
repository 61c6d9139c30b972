//! Who decides about a wide change, and what they see.

use std::time::Duration;

use postern_engine::{
    policy::desired::{Removal, change::Kind},
    safety::approval::Refused,
};
use postern_store::{movers, tokens};
use postern_wire::terms::{Role, UtcMillis};
use uuid::Uuid;

use super::{
    super::{
        kit::{Core, quick},
        policy::{CAMERA, WLAN, look, start},
        safety,
    },
    ON, agree, approvals_of, approver, fleet, open,
};
use crate::{AuditActor, approvals::DecideError, policy::HeldChange};

/// Somebody changed what policy is made of.
async fn moved(core: &Core, name: &'static str, token: Option<Uuid>) {
    core.store.write(move |tx| movers::note(tx, name, token, "policy.apply")).await.unwrap();
}

fn refused(done: Result<(), DecideError>) -> Refused {
    match done {
        Err(DecideError::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[actix::test]
async fn who_changed_policy_does_not_agree_to_what_it_does() {
    let core = Core::start(quick()).await;
    let second = approver(&core).await;
    safety::person(&core, "third", Role::DeviceAdmin, UtcMillis(0)).await;
    let third = AuditActor::admin("third", None);
    let _devices = fleet(&core, 12).await;
    let (policies, paper) = start(&core);
    let approvals = approvals_of(&core, &policies);
    moved(&core, "third", None).await;
    paper.say(&[ON]);
    look(&policies).await;
    let left = core.store.read(|r| movers::list(r, 10)).await.unwrap();
    assert!(left.is_empty(), "what is in force is nobody's any longer: {left:?}");

    moved(&core, "second", None).await;
    paper.say(&[]);
    assert_eq!(look(&policies).await.held, 12);
    let request = open(&core).await;
    assert_eq!(refused(agree(&approvals, &request, &second).await), Refused::OwnRequest);
    // A change of somebody else that does nothing leaves the request and who may decide it.
    moved(&core, "third", None).await;
    look(&policies).await;
    assert_eq!(open(&core).await.id, request.id);
    agree(&approvals, &request, &third).await.unwrap();
    core.stop().await;
}

#[actix::test]
async fn a_token_that_is_too_new_and_too_many_persons_are_agreed_to_by_nobody() {
    let core = Core::start(quick()).await;
    let second = approver(&core).await;
    safety::person(&core, "third", Role::DeviceAdmin, UtcMillis(0)).await;
    let _devices = fleet(&core, 12).await;
    let (policies, paper) = start(&core);
    let approvals = approvals_of(&core, &policies);
    paper.say(&[ON]);
    look(&policies).await;
    // Its maker changes policy in third's name, and agrees in their own.
    let now = core.devices.shared().now();
    let token = core
        .store
        .write(move |tx| {
            let admin = postern_store::admins::by_name(tx, "third")?.unwrap().id;
            let id = tx.fresh_id();
            tokens::insert(
                tx,
                tokens::Token {
                    id,
                    admin,
                    label: "made for third".to_owned(),
                    hash: [1; 32],
                    scope: "*".to_owned(),
                    networks: String::new(),
                    created_at: now,
                    expires_at: None,
                    revoked_at: None,
                    last_used_at: None,
                    last_used_from: None,
                    may_approve_from: now.plus(86_400_000),
                },
            )?;
            Ok(id)
        })
        .await
        .unwrap();
    moved(&core, "third", Some(token)).await;
    paper.say(&[]);
    look(&policies).await;
    let request = open(&core).await;
    assert!(matches!(refused(agree(&approvals, &request, &second).await), Refused::TooNew(_)));

    // More than can be told.
    core.store
        .write(|tx| (0..201).try_for_each(|n| movers::note(tx, &format!("p{n}"), None, "policy.apply")))
        .await
        .unwrap();
    paper.say(&[(CAMERA, Some("true"), Removal::Delete)]);
    look(&policies).await;
    let request = open(&core).await;
    assert_eq!(refused(agree(&approvals, &request, &second).await), Refused::TooManyAskers);
    core.stop().await;
}

#[actix::test]
async fn who_is_alone_agrees_to_an_own_change_a_day_later() {
    let core = Core::start(quick()).await;
    let second = approver(&core).await;
    let _devices = fleet(&core, 12).await;
    let (policies, paper) = start(&core);
    let approvals = approvals_of(&core, &policies);
    paper.say(&[ON]);
    look(&policies).await;
    moved(&core, "second", None).await;
    paper.say(&[]);
    look(&policies).await;
    let request = open(&core).await;
    assert!(matches!(refused(agree(&approvals, &request, &second).await), Refused::TooSoon(_)));
    core.clock.advance(Duration::from_secs(86_401));
    agree(&approvals, &request, &second).await.unwrap();
    core.stop().await;
}

// --- what is shown

#[actix::test]
async fn what_waits_is_shown_setting_by_setting_to_whoever_decides() {
    let core = Core::start(quick()).await;
    let devices = fleet(&core, 12).await;
    let (policies, paper) = start(&core);
    let wlan = |value| (WLAN, Some(value), Removal::Delete);
    paper.say(&[ON, wlan("true")]);
    look(&policies).await;
    let shown =
        async |which: Option<Uuid>| core.store.read(move |r| HeldChange::read(r, which)).await.unwrap();
    assert!(shown(None).await.is_none());

    moved(&core, "third", None).await;
    paper.spare(devices[0].enrolled.enrolment);
    paper.say(&[wlan("false"), ("./Vendor/Example/Banner", Some("no"), Removal::Leave)]);
    look(&policies).await;

    let held = shown(None).await.unwrap();
    let said: Vec<_> = held
        .settings
        .iter()
        .map(|one| (one.kind, one.uri.as_str(), one.before.as_deref(), one.after.as_deref(), one.devices))
        .collect();
    assert_eq!(
        said,
        [
            (Kind::Removed, CAMERA, Some("false"), None, 11),
            (Kind::Altered, WLAN, Some("true"), Some("false"), 11),
            (Kind::Added, "./Vendor/Example/Banner", None, Some("no"), 11),
        ]
    );
    assert!(held.settings.iter().all(|one| one.examples.len() == 5));
    assert_eq!((held.left_out, held.askers.into_iter().collect::<Vec<_>>()), (0, vec!["third".to_owned()]));
    let request = open(&core).await;
    assert_eq!(request.targets, 11, "it names the devices");
    assert!(shown(Some(request.id)).await.is_some());
    assert!(shown(Some(held.hold.id)).await.is_some());
    assert!(shown(Some(Uuid::from_u128(7))).await.is_none());
    core.stop().await;
}
