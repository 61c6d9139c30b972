//! Policy documents: versions, assignments, the number of the set.

use postern_store::{
    Store, StoreError, WriteError,
    documents::{self, Change},
    groups,
};
use uuid::Uuid;

use super::{Ground, fresh, now};

fn group(store: &Store, name: &str) -> Uuid {
    let row = groups::Group {
        id: fresh(),
        name: name.to_owned(),
        description: String::new(),
        created_at: now(),
        revision: 1,
    };
    let id = row.id;
    store.write_blocking(move |tx| groups::insert(tx, row.clone())).expect("a group");
    id
}

fn change(name: &str, document: &str, assignments: &[(Uuid, i64, bool)]) -> Change {
    Change {
        name: name.to_owned(),
        document: document.to_owned(),
        hash: [document.len() as u8; 32],
        of_version: None,
        reason: "a reason".to_owned(),
        by: "somebody".to_owned(),
        assignments: assignments.to_vec(),
    }
}

fn put(store: &Store, change: Change) -> Result<(i64, bool), WriteError> {
    store.write_blocking(move |tx| documents::put(tx, &change))
}

fn revision(store: &Store) -> i64 {
    store.read_blocking(documents::revision).expect("a read")
}

pub(crate) fn a_document_that_says_the_same_makes_no_version(ground: &Ground) {
    let store = ground.open();
    let g = group(&store, "phones");
    assert_eq!(put(&store, change("a", "{}", &[(g, 5, false)])), Ok((1, true)));
    assert_eq!(revision(&store), 1);

    assert_eq!(put(&store, change("a", "{}", &[(g, 5, false)])), Ok((1, false)));
    assert_eq!(revision(&store), 1);

    assert_eq!(put(&store, change("a", "{1}", &[(g, 5, false)])), Ok((2, true)));
    assert_eq!(put(&store, change("a", "{1}", &[(g, 5, true)])), Ok((3, true)), "another assignment");
    assert_eq!(revision(&store), 3);
    let all = store.read_blocking(|r| documents::versions(r, "a", None, 10)).expect("a read");
    let told: Vec<_> = all.iter().map(|row| (row.version, row.document.as_str())).collect();
    assert_eq!(told, [(3, "{1}"), (2, "{1}"), (1, "{}")]);
    assert_eq!((all[0].set_by.as_str(), all[0].reason.as_str()), ("somebody", "a reason"));
    let older = store.read_blocking(|r| documents::versions(r, "a", Some(3), 1)).expect("a read");
    assert_eq!(older[0].version, 2);
    store.shutdown();
}

pub(crate) fn a_document_taken_away_is_a_version_and_counts_no_more(ground: &Ground) {
    let store = ground.open();
    let g = group(&store, "phones");
    put(&store, change("a", "{}", &[(g, 1, false)])).expect("a document");
    put(&store, change("b", "{}", &[])).expect("a document");

    assert_eq!(put(&store, change("a", "", &[])), Ok((2, true)));

    let force = store.read_blocking(documents::in_force).expect("a read");
    assert_eq!(force.iter().map(|one| one.version.name.as_str()).collect::<Vec<_>>(), ["b"]);
    let listed = store.read_blocking(|r| documents::list(r, None, 10)).expect("a read");
    assert_eq!(
        listed.iter().map(|row| (row.version, row.removed)).collect::<Vec<_>>(),
        [(2, true), (1, false)]
    );
    assert_eq!(put(&store, change("a", "", &[])), Ok((2, false)), "twice is once");
    assert_eq!(put(&store, change("a", "{}", &[(g, 1, false)])), Ok((3, true)), "it can come back");
    let nobody = put(&store, change("c", "", &[]));
    assert!(matches!(nobody, Err(WriteError::Rejected(StoreError::NotFound(_)))), "{nobody:?}");
    store.shutdown();
}

pub(crate) fn assignments_go_by_the_group_and_not_by_its_name(ground: &Ground) {
    let store = ground.open();
    let g = group(&store, "phones");
    put(&store, change("a", "{}", &[(g, 7, true)])).expect("a document");

    store.write_blocking(move |tx| groups::update(tx, g, 1, "mobiles", "")).expect("a rename");

    let force = store.read_blocking(documents::in_force).expect("a read");
    let (name, row) = &force[0].assignments[0];
    assert_eq!((name.as_str(), row.group_id, row.place, row.enforced), ("mobiles", g, 7, true));
    assert_eq!(store.read_blocking(move |r| documents::of_group(r, g)).expect("a read"), ["a"]);
    assert_eq!(store.read_blocking(|r| documents::assignments(r, "a")).expect("a read").len(), 1);
    store.shutdown();
}
