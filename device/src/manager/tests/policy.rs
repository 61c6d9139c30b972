//! The nodes that policy puts on this device: each can be made, set and taken away, or is there and can be set.

use super::*;

/// The table that the server puts settings into nodes by.
const TABLE: &str = include_str!("../../../../actors/engine/src/policy/mapping/tables/classic.tsv");

#[test]
fn every_node_of_the_classic_table_can_be_set_and_put_back() {
    let mut bench = Bench::new();
    let mut seen = 0;
    for line in TABLE.lines() {
        let cells: Vec<&str> = line.split('\t').collect();
        let [_, "postern", uri, kind, ..] = cells.as_slice() else { continue };
        seen += 1;
        let uri = uri.replace("{name}", "one");
        let (first, second) = match *kind {
            "bool" => ("true", "false"),
            "int" => ("120", "300"),
            _ if uri.ends_with("/Addr") => ("https://one.test/sync", "https://two.test/sync"),
            _ => ("one", "two"),
        };
        let meta = format(kind);
        let before = bench.read(&uri).ok();
        let set = match before {
            None => bench.manager().add(&uri, &meta, Some(&first.into())),
            Some(_) => bench.manager().replace(&uri, &meta, Some(&first.into())),
        };
        assert_eq!(set, Ok(()), "{uri}");
        assert_eq!(bench.read(&uri), Ok(first.to_owned()), "{uri}");
        assert_eq!(bench.manager().replace(&uri, &meta, Some(&second.into())), Ok(()), "{uri}");
        assert_eq!(bench.read(&uri), Ok(second.to_owned()), "{uri}");
        match before {
            None => assert_eq!(bench.delete(&uri), Ok(()), "{uri}"),
            Some(before) => {
                let back = bench.manager().replace(&uri, &meta, Some(&before.as_str().into()));
                assert_eq!(back, Ok(()), "{uri}");
            }
        }
    }
    assert!(seen > 40, "{seen} rows are this device's");
}
