//! A device's tree, put together from every shape of answer, read step by step, and compared.

use std::collections::BTreeMap;

use postern_wire::{
    syncml::Encoding,
    terms::UtcMillis,
    tnds::{self, Format, MgmtTree, Node},
    tree::{
        Answer, Ask, Bounds, Change, ChangeKind, How, Kept, KeptValue, Mask, Reading, Rules, Snapshot, Told,
        Way, diff, overlay,
    },
    uri::TreeUri,
};

#[test]
fn srv_54_a_tree_is_built_of_one_item_a_node_and_without_values_for_struct() {
    let node = |uri: &str, format: Option<&str>, data: &str| Told {
        uri: Some(uri.to_owned()),
        format: format.map(str::to_owned),
        type_: None,
        data: data.as_bytes().to_vec(),
    };
    let items = [
        node("./A", Some("node"), ""),
        node("A/B", Some("node"), ""),
        node("./A/B/c?list=StructData", None, "text"),
        node("./A/n", Some("int"), "5"),
        node("./A/k", Some("b64"), "AA\nEC"),
        node("./A/deep/er/x", Some("Bool"), "true"),
        node("B/relative", None, "r"),
        node("./Elsewhere", None, "no"),
        node("..", None, "no"),
    ];
    let mut snapshot = Snapshot::new(&uri("./A?list=StructData"));
    assert_eq!(snapshot.take_items(&uri("./A"), &items, &mask()), 8);
    assert_eq!(snapshot.left_out, 1);
    let shown: Vec<_> =
        snapshot.ordered().into_iter().map(|(uri, kept)| (uri.as_str(), value(kept))).collect();
    assert_eq!(
        shown,
        [
            ("./A", None),
            ("./A/B", None),
            ("./A/B/c", Some("text")),
            ("./A/B/relative", Some("r")),
            ("./A/Elsewhere", Some("no")),
            ("./A/deep", None),
            ("./A/deep/er", None),
            ("./A/deep/er/x", Some("true")),
            ("./A/k", Some("AAEC")),
            ("./A/n", Some("5")),
        ]
    );
    assert_eq!(snapshot.nodes[&uri("./A/deep")].format, Some(Format::Node));
    let structure: Vec<_> = items.iter().map(|told| Told { data: Vec::new(), ..told.clone() }).collect();
    let mut bare = Snapshot::new(&uri("./A"));
    bare.take_items(&uri("./A"), &structure, &mask());
    assert!(
        bare.nodes.keys().eq(snapshot.nodes.keys()) && bare.nodes.values().all(|kept| kept.value.is_none())
    );
}

#[test]
fn srv_55_a_tree_is_built_of_tnds_in_xml_escaped_and_in_wbxml() {
    let tree = MgmtTree::new(vec![Node::interior(
        "A",
        vec![
            Node::leaf("b", Format::Int, "7"),
            Node::leaf("k", Format::B64, "AAEC"),
            Node::interior("e", vec![]),
        ],
    )]);
    let xml = tnds::write(&tree, Encoding::Xml).unwrap();
    let wbxml = tnds::write(&tree, Encoding::Wbxml).unwrap();
    for (data, type_) in [
        (xml.clone(), Some(tnds::XML_TYPE)),
        (xml, None),
        (data_encoding::BASE64.encode(&wbxml).into_bytes(), Some(tnds::WBXML_TYPE)),
        (wbxml, Some(tnds::WBXML_TYPE)),
    ] {
        let told = Told { uri: None, format: None, type_: type_.map(str::to_owned), data };
        let mut snapshot = Snapshot::new(&uri("./A"));
        assert_eq!(snapshot.take_tnds(&uri("./A"), &told, &mask()), Ok(4), "{type_:?}");
        assert_eq!(value(&snapshot.nodes[&uri("./A/b")]), Some("7"));
        assert_eq!(value(&snapshot.nodes[&uri("./A/k")]), Some("AAEC"));
        assert!(snapshot.nodes[&uri("./A/e")].explored);
    }
}

#[test]
fn srv_56_all_eight_properties_are_understood() {
    let mut snapshot = Snapshot::new(&uri("./A"));
    for (name, text) in [
        ("ACL", "Get=*"),
        ("Format", "int"),
        ("Name", "A"),
        ("Size", "3"),
        ("Title", "A title"),
        ("TStamp", "20260101T000000Z"),
        ("Type", "text/plain"),
        ("VerNo", "9"),
    ] {
        let told = Told { data: text.as_bytes().to_vec(), ..Told::default() };
        snapshot.take_property(&uri(&format!("./A?prop={name}")), &told, &mask());
    }
    let text = |text: &str| Some(text.to_owned());
    let expected = Kept {
        format: Some(Format::Int),
        type_: text("text/plain"),
        acl: text("Get=*"),
        name: text("A"),
        size: text("3"),
        title: text("A title"),
        t_stamp: text("20260101T000000Z"),
        ver_no: text("9"),
        ..Kept::default()
    };
    assert_eq!(snapshot.nodes[&uri("./A")], expected);
}

#[test]
fn srv_12_the_names_of_an_interior_node_become_its_children() {
    let mut snapshot = Snapshot::new(&uri("."));
    let told = Told {
        format: Some("node".to_owned()),
        data: b"DevInfo/DevDetail/My App//".to_vec(),
        ..Told::default()
    };
    let below = snapshot.take_get(&uri("."), &told, &mask());
    assert_eq!(below, ["./DevInfo", "./DevDetail", "./My App"].map(uri));
    assert!(snapshot.nodes[&uri(".")].explored && !snapshot.nodes[&uri("./DevInfo")].explored);
    let leaf = Told { data: b"a/b".to_vec(), ..Told::default() };
    assert!(snapshot.take_get(&uri("./DevInfo"), &leaf, &mask()).is_empty());
    assert_eq!(value(&snapshot.nodes[&uri("./DevInfo")]), Some("a/b"));
}

#[test]
fn srv_55_a_device_without_tnds_is_asked_for_structdata_and_without_that_node_by_node() {
    for (case, tnds, listing, targets) in [
        ("TNDS", true, true, &["./A?list=TNDS"][..]),
        ("StructData", false, true, &["./A?list=TNDS", "./A?list=StructData"]),
        (
            "Get",
            false,
            false,
            &["./A?list=TNDS", "./A?list=StructData", "./A", "./A/b", "./A/c", "./A/c/d", "./A/c/e"],
        ),
    ] {
        let device = Device { tnds, listing, ..device() };
        let (reading, asked) = read(&device, "./A", How::Whole);
        assert_eq!(asked, targets, "{case}");
        let values = reading
            .snapshot
            .ordered()
            .into_iter()
            .map(|(uri, kept)| (uri.to_string(), value(kept).map(str::to_owned)));
        let values: Vec<_> = values.collect();
        let leaf = |uri: &str, text: &str| (uri.to_owned(), Some(text.to_owned()));
        let inside = |uri: &str| (uri.to_owned(), None);
        assert_eq!(
            values,
            [inside("./A"), leaf("./A/b", "1"), inside("./A/c"), leaf("./A/c/d", "2"), leaf("./A/c/e", "3")],
            "{case}"
        );
        assert!(reading.is_done() && reading.snapshot.nodes[&uri("./A/c")].explored);
    }
}

#[test]
fn a_lazy_reading_asks_for_as_many_levels_as_are_wanted() {
    for (levels, targets) in [
        (1, &["./A"][..]),
        (2, &["./A", "./A/b", "./A/c"]),
        (3, &["./A", "./A/b", "./A/c", "./A/c/d", "./A/c/e"]),
        (9, &["./A", "./A/b", "./A/c", "./A/c/d", "./A/c/e"]),
    ] {
        assert_eq!(read(&device(), "./A", How::Levels(levels)).1, targets, "{levels}");
    }
    let (reading, _) = read(&device(), "./A/b", How::Levels(1));
    assert_eq!(value(&reading.snapshot.nodes[&uri("./A/b")]), Some("1"));
}

#[test]
fn what_holds_a_secret_is_not_asked_for_and_its_neighbours_are() {
    let device =
        Device { leaves: leaves(&[("./S/b", "1"), ("./S/c/secret", "hush"), ("./S/c/e", "3")]), ..device() };
    let (reading, asked) = read(&device, "./S", How::Whole);
    // No listing that would bring the secret out; what lies beside it comes as a listing.
    assert_eq!(asked, ["./S", "./S/b?list=TNDS", "./S/c", "./S/c/e?list=TNDS"]);
    let secret = &reading.snapshot.nodes[&uri("./S/c/secret")];
    assert!(secret.secret && secret.value.is_none());
    assert_eq!(value(&reading.snapshot.nodes[&uri("./S/c/e")]), Some("3"));
    // One that comes unasked is not kept.
    let mut snapshot = Snapshot::new(&uri("./A"));
    let told = Told { uri: Some("./A/secret".to_owned()), data: b"hush".to_vec(), ..Told::default() };
    snapshot.take_items(&uri("./A"), &[told], &mask());
    assert!(!format!("{snapshot:?}").contains("hush"));
}

#[test]
fn a_refusal_or_a_lost_answer_ends_only_its_own_part() {
    let device = Device {
        refused: BTreeMap::from([("./A/c".to_owned(), 425)]),
        tnds: false,
        listing: false,
        ..device()
    };
    let (reading, _) = read(&device, "./A", How::Whole);
    assert_eq!(reading.snapshot.nodes[&uri("./A/c")].refused, Some(425));
    assert_eq!(value(&reading.snapshot.nodes[&uri("./A/b")]), Some("1"));
    assert_eq!(reading.refused(), None);
    let (reading, asked) = read(&device, "./Nowhere", How::Whole);
    assert_eq!(asked, ["./Nowhere?list=TNDS", "./Nowhere?list=StructData", "./Nowhere"]);
    assert_eq!(reading.refused(), Some(404));
    let mut reading = Reading::new(&uri("./A"), How::Levels(1), &rules());
    assert_eq!(reading.next(10).len(), 1);
    reading.answer([], &rules());
    assert_eq!((reading.lost(), reading.is_done()), (1, true));
}

#[test]
fn a_reading_can_be_put_away_between_two_steps() {
    let mut reading = Reading::new(&uri("./A"), How::Levels(2), &rules());
    let first = reading.next(10).to_vec();
    let stored = serde_json::to_string(&reading).unwrap();
    let mut again: Reading = serde_json::from_str(&stored).unwrap();
    assert_eq!((again.open(), &again), (&*first, &reading));
    again.answer(first.iter().map(|ask| device().answer(ask)), &rules());
    assert_eq!(again.next(1).len(), 1);
    assert_eq!(again.next(9).len(), 1, "what is out is answered first");
}

#[test]
fn a_tree_without_end_is_read_up_to_the_bounds() {
    let mut reading = Reading::new(&uri("./A"), How::Levels(u32::MAX), &rules());
    let mut asked = 0;
    while !reading.is_done() {
        let asks = reading.next(100).to_vec();
        asked += asks.len();
        let told = |_| {
            let names: Vec<_> = (0..50).map(|n| n.to_string()).collect();
            Answer::Told(vec![Told {
                format: Some("node".to_owned()),
                data: names.join("/").into_bytes(),
                ..Told::default()
            }])
        };
        reading.answer(asks.iter().map(told), &rules());
    }
    assert_eq!((asked, reading.asked()), (2_000, 2_000));
    assert!(reading.snapshot.left_out > 0 && reading.snapshot.nodes.len() <= Bounds::default().nodes);
    let mask = Mask { bounds: Bounds { nodes: 2, value_octets: 3, octets: 4 }, ..mask() };
    let mut snapshot = Snapshot::new(&uri("./A"));
    let told =
        |uri: &str, data: &str| Told { uri: Some(uri.to_owned()), data: data.into(), ..Told::default() };
    snapshot.take_items(
        &uri("./A"),
        &[told("./A/a", "1234"), told("./A/b", "123"), told("./A/c", "1")],
        &mask,
    );
    assert!(snapshot.nodes[&uri("./A/a")].too_long && snapshot.nodes[&uri("./A/a")].value.is_none());
    assert_eq!(snapshot.nodes.len(), 2);
    assert!(snapshot.left_out > 0);
}

#[test]
fn a_diff_says_what_is_new_gone_and_another() {
    let before = snapshot(&[("./A/b", "1"), ("./A/c/d", "2"), ("./A/c/e", "3")]);
    let after = snapshot(&[("./A/b", "x"), ("./A/c/e", "3"), ("./A/c/f", "4")]);
    let change = |at: &str, kind, before: Option<&str>, after: Option<&str>| Change {
        uri: uri(at),
        kind,
        what: (kind == ChangeKind::Changed).then(|| "value".to_owned()),
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
    };
    assert_eq!(
        diff(&before, &after),
        [
            change("./A/b", ChangeKind::Changed, Some("1"), Some("x")),
            change("./A/c/d", ChangeKind::Removed, Some("2"), None),
            change("./A/c/f", ChangeKind::Added, None, Some("4")),
        ]
    );
    assert!(diff(&before, &before).is_empty());
}

#[test]
fn a_diff_says_nothing_of_what_only_one_side_knows() {
    let whole = snapshot(&[("./A/b", "1"), ("./A/c/d", "2")]);
    let (lazy, _) = read(&device(), "./A", How::Levels(1));
    // ./A/c/d is below a node whose names were not asked for; ./A/b has no value there.
    assert!(diff(&whole, &lazy.snapshot).is_empty());
    assert!(diff(&lazy.snapshot, &whole).is_empty());
    let other = Snapshot::new(&uri("./Z"));
    assert!(diff(&whole, &other).is_empty());
}

#[test]
fn srv_55_a_device_that_once_had_no_listing_is_not_asked_for_one_again() {
    let poor = Device { tnds: false, listing: false, ..device() };
    let (earlier, _) = read(&poor, "./A", How::Whole);
    let mut reading = Reading::new(&uri("./A/c"), How::Whole, &rules()).knowing(&earlier, &rules());
    assert_eq!(reading.next(9).iter().map(Ask::target).collect::<Vec<_>>(), ["./A/c"]);
}

#[test]
fn a_newer_snapshot_says_what_has_gone_and_leaves_what_it_was_not_told_of() {
    let (old, mid) = (UtcMillis(1), UtcMillis(2));
    let whole = snapshot(&[("./A/b", "1"), ("./A/c/d", "2"), ("./A/gone", "x")]);
    let (names, _) = read(&device(), "./A", How::Levels(1));
    let known = overlay(&[(whole.clone(), old), (names.snapshot, mid)]);
    let shown: Vec<_> =
        known.iter().map(|(uri, known)| (uri.as_str(), value(&known.kept), known.at)).collect();
    assert_eq!(
        shown,
        [("./A", None, mid), ("./A/b", Some("1"), old), ("./A/c", None, old), ("./A/c/d", Some("2"), old)]
    );
    let (leaf, _) = read(&Device { leaves: leaves(&[("./A/b", "9")]), ..device() }, "./A/b", How::Levels(1));
    let known = overlay(&[(whole, old), (leaf.snapshot, mid)]);
    assert_eq!((value(&known[&uri("./A/b")].kept), known.len()), (Some("9"), 5));
}

#[test]
fn a_snapshot_says_where_management_objects_stand() {
    let mut node = Node::interior("Lock", vec![]);
    node.properties.type_ = Some(tnds::NodeType::DdfName("urn:oma:mo:oma-lawmo:1.0".to_owned()));
    let mut snapshot = Snapshot::new(&uri("./Vendor"));
    snapshot.take_tree(&uri("./Vendor"), &MgmtTree::new(vec![node]), &mask()).unwrap();
    let mounts = snapshot.mounts();
    assert_eq!(mounts.iter().collect::<Vec<_>>(), [("urn:oma:mo:oma-lawmo:1.0", &uri("./Vendor/Lock"))]);
}

/// A device that has these leaves, and can list them or not.
struct Device {
    leaves: BTreeMap<String, String>,
    tnds: bool,
    listing: bool,
    refused: BTreeMap<String, u32>,
}

fn device() -> Device {
    let leaves = leaves(&[("./A/b", "1"), ("./A/c/d", "2"), ("./A/c/e", "3")]);
    Device { leaves, tnds: true, listing: true, refused: BTreeMap::new() }
}

fn leaves(leaves: &[(&str, &str)]) -> BTreeMap<String, String> {
    leaves.iter().map(|(uri, text)| ((*uri).to_owned(), (*text).to_owned())).collect()
}

impl Device {
    fn answer(&self, ask: &Ask) -> Answer {
        let at = ask.at.path();
        if let Some(status) = self.refused.get(at) {
            return Answer::Refused(*status);
        }
        let below = format!("{at}/");
        let inside = self.leaves.keys().any(|leaf| leaf.starts_with(&below));
        match ask.way {
            Way::Tnds if !self.tnds => return Answer::Refused(406),
            Way::StructData if !self.listing => return Answer::Refused(406),
            _ if !inside && !self.leaves.contains_key(at) => return Answer::Refused(404),
            _ => {}
        }
        match ask.way {
            Way::Tnds => {
                let tree = MgmtTree::new(vec![self.node(at)]);
                let data = tnds::write(&tree, Encoding::Xml).expect("our own tree");
                Answer::Told(vec![Told { type_: Some(tnds::XML_TYPE.to_owned()), data, ..Told::default() }])
            }
            Way::StructData => {
                let leaves = self.leaves.iter().filter(|(leaf, _)| *leaf == at || leaf.starts_with(&below));
                let told = |(leaf, text): (&String, &String)| Told {
                    uri: Some(leaf.clone()),
                    data: text.clone().into_bytes(),
                    ..Told::default()
                };
                Answer::Told(leaves.map(told).collect())
            }
            Way::Get => {
                let (format, data) = match self.leaves.get(at) {
                    Some(text) => (None, text.clone()),
                    None => (Some("node".to_owned()), self.names(at).join("/")),
                };
                Answer::Told(vec![Told {
                    uri: Some(at.to_owned()),
                    format,
                    data: data.into_bytes(),
                    type_: None,
                }])
            }
        }
    }

    fn names(&self, at: &str) -> Vec<String> {
        let below = format!("{at}/");
        let mut names: Vec<_> = self
            .leaves
            .keys()
            .filter_map(|leaf| leaf.strip_prefix(&below))
            .map(|rest| rest.split('/').next().unwrap_or_default().to_owned())
            .collect();
        names.dedup();
        names
    }

    fn node(&self, at: &str) -> Node {
        let name = at.rsplit('/').next().unwrap_or_default();
        match self.leaves.get(at) {
            Some(text) => Node::leaf(name, Format::Chr, &**text),
            None => {
                let children = self.names(at).iter().map(|name| self.node(&format!("{at}/{name}"))).collect();
                Node::interior(name, children)
            }
        }
    }
}

fn read(device: &Device, at: &str, how: How) -> (Reading, Vec<String>) {
    let mut reading = Reading::new(&uri(at), how, &rules());
    let mut targets = Vec::new();
    while !reading.is_done() {
        let asks = reading.next(3).to_vec();
        targets.extend(asks.iter().map(Ask::target));
        reading.answer(asks.iter().map(|ask| device.answer(ask)), &rules());
    }
    (reading, targets)
}

fn snapshot(leaves: &[(&str, &str)]) -> Snapshot {
    let device = Device { leaves: self::leaves(leaves), ..device() };
    read(&device, "./A", How::Whole).0.snapshot
}

/// What a listing of `./S` or `./S/c` would bring out.
fn is_protected(uri: &TreeUri) -> bool {
    uri.name() == Some("secret") || uri.query().is_some() && matches!(uri.path(), "." | "./S" | "./S/c")
}

fn rules() -> Rules<'static> {
    Rules { is_protected: &is_protected, mask: mask() }
}

fn mask() -> Mask<'static> {
    Mask { is_secret: &|uri| uri.name() == Some("secret"), bounds: Bounds::default() }
}

fn value(kept: &Kept) -> Option<&str> {
    kept.value.as_ref().map(|value| match value {
        KeptValue::Text(text) | KeptValue::Base64(text) => text.as_str(),
    })
}

fn uri(text: &str) -> TreeUri {
    TreeUri::parse(text).expect("an address")
}
