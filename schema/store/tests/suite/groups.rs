//! Groups.

use postern_store::{Store, StoreError, WriteError, enrolments, groups};
use uuid::Uuid;

use super::{Ground, enrolment, fresh, now};

fn group(store: &Store, name: &str) -> Uuid {
    let group = groups::Group {
        id: fresh(),
        name: name.to_owned(),
        description: String::new(),
        created_at: now(),
        revision: 1,
    };
    let id = group.id;
    store.write_blocking(move |tx| groups::insert(tx, group.clone())).expect("a group");
    id
}

pub(crate) fn nested_groups_have_the_members_of_all(ground: &Ground) {
    let store = ground.open();
    let (all, sales, north) = (group(&store, "all"), group(&store, "sales"), group(&store, "north"));
    let devices: Vec<_> = (0..3).map(|n| enrolment(&format!("device {n}"))).collect();
    let ids: Vec<_> = devices.iter().map(|d| d.id).collect();
    let (one, two, three) = (ids[0], ids[1], ids[2]);
    store
        .write_blocking(move |tx| {
            enrolments::insert_many(tx, devices.clone())?;
            groups::add_group(tx, all, sales)?;
            groups::add_group(tx, sales, north)?;
            groups::add_device(tx, all, one)?;
            groups::add_device(tx, north, one)?;
            groups::add_device(tx, sales, two)?;
            groups::add_device(tx, north, three)?;
            groups::add_device(tx, north, three)
        })
        .expect("members");
    let members = |group| store.read_blocking(move |r| groups::members(r, group, None, 100)).expect("a read");

    assert_eq!(members(all), ids, "each once");
    assert_eq!(members(sales), vec![one, two, three]);
    assert_eq!(members(north), vec![one, three]);
    let of_three = store.read_blocking(move |r| groups::of_device(r, three)).expect("a read");
    assert_eq!(of_three.iter().map(|g| g.name.as_str()).collect::<Vec<_>>(), ["all", "north", "sales"]);

    store.write_blocking(move |tx| groups::remove(tx, sales)).expect("removed");
    assert_eq!(members(all), vec![one]);
    store.shutdown();
}

pub(crate) fn a_group_cannot_hold_itself(ground: &Ground) {
    let store = ground.open();
    let names: Vec<String> = (0..20).map(|n| format!("level {n:02}")).collect();
    let ids: Vec<Uuid> = names.iter().map(|name| group(&store, name)).collect();
    let nest = |outer: Uuid, inner: Uuid| store.write_blocking(move |tx| groups::add_group(tx, outer, inner));
    for pair in ids.windows(2).take(groups::MAX_DEPTH - 1) {
        assert_eq!(nest(pair[0], pair[1]), Ok(()));
    }

    let itself = nest(ids[0], ids[0]);
    let circle = nest(ids[3], ids[0]);
    let too_deep = nest(ids[groups::MAX_DEPTH - 1], ids[groups::MAX_DEPTH]);

    for refused in [itself, circle, too_deep] {
        assert!(matches!(refused, Err(WriteError::Rejected(StoreError::Refused(_)))), "{refused:?}");
    }
    store.shutdown();
}
