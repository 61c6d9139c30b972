//! Readings of trees: one order a step, whatever happens in between, and a snapshot at the end.

use std::sync::Arc;

use postern_store::{
    MasterKey, Sealer,
    trees::{self, StoredReading},
};
use postern_wire::{
    terms::{AuthType, EnrolmentId},
    tree::How,
    uri::TreeUri,
};
use uuid::Uuid;

use super::kit::{Core, quick, uris};
use crate::{
    objects::Objects,
    trees::{STATE_DONE, STATE_FAILED, Trees, begin},
};

fn trees_of(core: &Core) -> Trees {
    let sealer = Arc::new(Sealer::new(&MasterKey::from_octets([7; 32]), &[]).expect("a sealer"));
    Trees::new(core.store.clone(), sealer, core.devices.clone(), Objects::default())
}

async fn begun(core: &Core, device: EnrolmentId, root: &str, how: How) -> Uuid {
    let root = TreeUri::parse(root).expect("an address");
    let written = core.store.write(move |tx| {
        let row = begin(tx, &Objects::default(), device, &root, how)?;
        let now = tx.now();
        let row = StoredReading { id: tx.fresh_id(), created_at: now, updated_at: now, ..row };
        trees::begin(tx, row.clone())?;
        Ok::<_, postern_store::StoreError>(row.id)
    });
    written.await.expect("begun")
}

async fn row(core: &Core, id: Uuid) -> StoredReading {
    core.store.read(move |r| trees::reading(r, id)).await.expect("a read").expect("a row")
}

#[actix::test]
async fn a_core_that_dies_between_an_order_and_its_note_gives_the_order_once() {
    let core = Core::start(quick()).await;
    let mut device = core.enrol("d", AuthType::Basic).await;
    let readings = trees_of(&core);
    let id = begun(&core, device.enrolled.enrolment, "./A", How::Levels(1)).await;
    let before = row(&core, id).await;
    readings.go_on(id).await;
    let noted = row(&core, id).await;
    assert_eq!((noted.step, noted.asked, noted.operation.is_some()), (1, 1, true));
    // As if the note had been lost.
    let lost = before.clone();
    core.store.write(move |tx| trees::advance(tx, 1, lost.clone())).await.expect("a write");

    readings.go_on(id).await;

    assert_eq!(row(&core, id).await.operation, noted.operation);
    assert_eq!(uris(&device.session(&core).await), ["./A"]);
    core.stop().await;
}

#[actix::test]
async fn a_reading_ends_with_a_snapshot_and_keeps_no_second_copy_of_it() {
    let core = Core::start(quick()).await;
    let mut device = core.enrol("d", AuthType::Basic).await;
    let (readings, enrolment) = (trees_of(&core), device.enrolled.enrolment);
    let id = begun(&core, enrolment, "./A", How::Levels(1)).await;
    readings.go_on(id).await;
    readings.go_on(id).await;
    assert_eq!(row(&core, id).await.step, 1, "nothing is asked while something is out");
    device.session(&core).await;

    readings.go_on(id).await;

    let ended = row(&core, id).await;
    assert_eq!((ended.state.as_str(), ended.cause.as_str()), (STATE_DONE, "1 node"));
    assert!(!String::from_utf8_lossy(&ended.machine).contains("nodes\":{\"./A"));
    let heads = core.store.read(move |r| trees::snapshots(r, enrolment)).await.expect("a read");
    assert_eq!((heads.len(), ended.snapshot), (1, Some(heads[0].id)));
    core.stop().await;
}

#[actix::test]
async fn a_node_that_is_not_there_ends_the_reading_without_a_snapshot() {
    let core = Core::start(quick()).await;
    let mut device = core.enrol("d", AuthType::Basic).await;
    let readings = trees_of(&core);
    let id = begun(&core, device.enrolled.enrolment, "./A", How::Levels(3)).await;
    readings.go_on(id).await;
    let reply = device.open(&core).await;
    device.answer(&core, &reply, 404).await.expect("a reply");

    readings.go_on(id).await;

    let ended = row(&core, id).await;
    let (state, cause) = (ended.state.as_str(), ended.cause.as_str());
    assert_eq!((state, cause, ended.snapshot), (STATE_FAILED, "the device answered 404", None));
    core.stop().await;
}
