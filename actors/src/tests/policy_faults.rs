//! What is wrong with one setting, document or row of policy, and keeps nothing else back.

use std::sync::Arc;

use postern_engine::policy::desired::{Removal, status::State};
use postern_store::{alarms, documents, groups, policies};
use postern_wire::terms::EnrolmentId;

use super::{
    holds::fleet,
    kit::{Core, quick},
    policy::{CAMERA, Tree, WLAN, look, managed, stands, start},
};
use crate::{
    documents::StoredDocuments,
    policy::{
        self, Policies,
        inputs::{Change, PolicyDocuments, PolicyInputs},
    },
};

#[actix::test]
async fn a_setting_that_cannot_be_sent_keeps_neither_the_device_nor_the_others_out() {
    let core = Core::start(quick()).await;
    let mut device = managed(&core, "d").await;
    let (policies, paper) = start(&core);
    paper.say(&[(CAMERA, Some("a\u{1}b"), Removal::Restore), (WLAN, Some("true"), Removal::Restore)]);
    look(&policies).await;
    let mut tree = Tree::of(&[(CAMERA, "true")]);

    tree.session(&core, &mut device).await;

    assert_eq!((tree.value(CAMERA), tree.value(WLAN)), (Some("true"), Some("true")));
    assert_eq!(stands(&policies, &device, CAMERA).await, (State::Error, None));
    assert_eq!(stands(&policies, &device, WLAN).await, (State::Compliant, None));
    assert_eq!(tree.session(&core, &mut device).await, 0, "and it is settled");
    core.stop().await;
}

#[actix::test]
async fn a_device_whose_policy_cannot_be_compared_has_its_session_and_an_alarm() {
    let core = Core::start(quick()).await;
    let mut device = managed(&core, "d").await;
    let (policies, paper) = start(&core);
    paper.say(&[(WLAN, Some("true"), Removal::Delete)]);
    look(&policies).await;
    let id = device.enrolled.enrolment;
    let write = async |book: &'static str| {
        let written = core.store.write(move |tx| {
            let row = policies::find(tx, id)?.unwrap();
            policies::put(tx, policies::Device { book: book.to_owned(), ..row })
        });
        written.await.unwrap();
    };
    let open = async || {
        let subject = format!("device:{id}");
        core.store.read(move |r| alarms::open(r, policy::FAILED, &subject)).await.unwrap()
    };
    write("no book").await;
    let mut tree = Tree::default();

    assert_eq!(tree.session(&core, &mut device).await, 0);

    assert!(open().await.is_some_and(|alarm| alarm.text.contains("policy book")));
    write("{}").await;
    tree.session(&core, &mut device).await;
    assert_eq!((tree.value(WLAN), open().await), (Some("true"), None));
    core.stop().await;
}

/// A document as the store keeps it, assigned to a group; any text, as of an earlier version or a damaged row.
async fn stored(core: &Core, name: &'static str, text: &'static str, group: uuid::Uuid) {
    let change = documents::Change {
        name: name.to_owned(),
        document: text.to_owned(),
        hash: [u8::try_from(text.len()).unwrap(); 32],
        of_version: None,
        reason: String::new(),
        by: "test".to_owned(),
        assignments: vec![(group, 1, false)],
    };
    core.store.write(move |tx| documents::put(tx, &change)).await.unwrap();
}

#[actix::test]
async fn a_document_that_cannot_be_read_takes_nothing_from_its_devices_and_is_nothing_to_others() {
    let core = Core::start(quick()).await;
    let (device, other) = (managed(&core, "d").await, managed(&core, "e").await);
    let (id, beside) = (device.enrolled.enrolment, other.enrolled.enrolment);
    let made = core.store.write(move |tx| {
        let ids = [tx.fresh_id(), tx.fresh_id()];
        for (id, name, member) in [(ids[0], "field", device.enrolled.enrolment), (ids[1], "house", beside)] {
            let (created_at, name) = (tx.now(), name.to_owned());
            let group = groups::Group { id, name, description: String::new(), created_at, revision: 1 };
            groups::insert(tx, group)?;
            groups::add_device(tx, id, member)?;
        }
        Ok(ids)
    });
    let [field, house] = made.await.unwrap();
    let good = "{\"postern\": \"policy/1\", \"name\": \"field\", \"settings\": [{\"uri\": \"./A\", \"value\": \"1\"}]}";
    stored(&core, "field", good, field).await;
    let documents: Arc<dyn PolicyDocuments> = Arc::new(StoredDocuments::default());
    let inputs = PolicyInputs { documents: Some(documents), ..PolicyInputs::default() };
    let policies = Policies::new(core.devices.clone(), inputs);
    assert_eq!((look(&policies).await.changed, look(&policies).await.stale), (2, 0));

    stored(&core, "field", "{\"postern\": \"policy/0\"}", field).await;
    let house_too = "{\"postern\": \"policy/1\", \"name\": \"house\", \"settings\": [{\"uri\": \"./B\", \"value\": \"1\"}]}";
    stored(&core, "house", house_too, house).await;
    let looked = look(&policies).await;

    assert_eq!((looked.stale, looked.changed), (1, 1));
    let status = policies.status(id).await.unwrap().unwrap();
    assert_eq!(status.desired.settings.len(), 1, "what it was to be stays");
    assert!(status.row.stale.is_some_and(|why| why.contains("version 2 of the document field")));
    let status = policies.status(beside).await.unwrap().unwrap();
    assert_eq!((status.desired.settings.len(), status.row.stale), (1, None));
    core.stop().await;
}

#[actix::test]
async fn of_devices_that_are_named_only_those_are_computed() {
    let core = Core::start(quick()).await;
    let devices = fleet(&core, 3).await;
    let (policies, paper) = start(&core);
    paper.say(&[(CAMERA, Some("false"), Removal::Delete)]);
    assert_eq!(look(&policies).await.computed, 3);
    paper.say(&[(CAMERA, Some("true"), Removal::Delete)]);
    let nobody = EnrolmentId(uuid::Uuid::from_u128(7));
    policies.changed(Change::Devices(vec![devices[1].enrolled.enrolment, nobody]));
    let looked = policies.look_now().await.unwrap();
    assert_eq!((looked.computed, looked.changed), (1, 1));
    core.stop().await;
}
