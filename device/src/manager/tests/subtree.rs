//! Subtrees in one command, and ./Inbox.

use postern_wire::tnds::{self, MgmtTree, NodeType};

use super::*;

const DMACC: &str = "urn:oma:mo:oma-dm-dmacc:1.0";

#[test]
fn cli_24_a_tnds_listing_holds_what_this_server_may_read_in_both_encodings() {
    for encoding in [Encoding::Xml, Encoding::Wbxml] {
        let mut bench = Bench::new();
        bench.add("./Settings/a/x", "1 < 2").unwrap();
        bench.manager().add("./Settings/a/b", &format("b64"), Some(&"AAH/".into())).unwrap();
        bench.add("./Settings/hidden", "2").unwrap();
        bench.replace("./Settings/hidden?prop=ACL", "Replace=srv").unwrap();
        let mut manager = bench.manager();
        manager.encoding = encoding;
        let items = manager.get("./Settings?list=TNDS").unwrap();
        let [item] = items.as_slice() else { panic!("{items:#?}") };
        let (format, kind) = match encoding {
            Encoding::Xml => ("xml", tnds::XML_TYPE),
            Encoding::Wbxml => ("bin", tnds::WBXML_TYPE),
        };
        assert_eq!((item.meta.format.as_deref(), item.meta.type_.as_deref()), (Some(format), Some(kind)));
        let tree = read(item);
        let uri = postern_wire::uri::TreeUri::parse("./Settings").unwrap();
        let placed: Vec<_> = tree.placed(&uri).unwrap();
        let uris: Vec<_> = placed.iter().map(|placed| placed.uri.as_str()).collect();
        assert_eq!(uris, ["./Settings", "./Settings/a", "./Settings/a/b", "./Settings/a/x"]);
        assert_eq!(placed[2].node.octets(), Some(vec![0, 1, 255]));
        assert_eq!(placed[3].node.value, Some("1 < 2".into()));
        assert_eq!(tree.man.as_deref(), Some("Postern"));
    }
}

#[test]
fn cli_24_a_tnds_listing_shows_the_properties_that_are_asked_for() {
    let mut bench = Bench::new();
    bench.add("./Settings/a", "1").unwrap();
    bench.replace("./Settings/a?prop=Title", "T").unwrap();
    bench.replace("./Settings/a?prop=ACL", "Get=*&Replace=srv").unwrap();
    let shown = |bench: &mut Bench, what: &str| {
        let items = bench.manager().get(&format!("./Settings/a?list={what}"))?;
        let node = read(&items[0]).nodes.remove(0);
        let properties = node.properties;
        let shown = [
            ("ACL", properties.acl.is_some()),
            ("Format", properties.format.is_some()),
            ("Name", properties.name.is_some()),
            ("Size", properties.size.is_some()),
            ("Title", properties.title.is_some()),
            ("TStamp", properties.t_stamp.is_some()),
            ("VerNo", properties.ver_no.is_some()),
            ("Value", node.value.is_some()),
        ];
        Ok(shown.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect::<Vec<_>>())
    };
    for (what, names) in [
        ("TNDS", vec!["ACL", "Format", "Name", "Size", "Title", "TStamp", "VerNo", "Value"]),
        ("TNDS+Value+ACL", vec!["ACL", "Value"]),
        ("TNDS+Type", vec![]),
        ("TNDS-Value-ACL-TStamp", vec!["Format", "Name", "Size", "Title", "VerNo"]),
    ] {
        assert_eq!(shown(&mut bench, what), Ok(names), "{what}");
    }
    for what in ["TNDS+Value-ACL", "TNDS+", "TNDS+Colour", "TNDSX", "tnds"] {
        assert_eq!(shown(&mut bench, what), Err(Code::UNSUPPORTED), "{what}");
    }
}

#[test]
fn a_secret_is_never_in_a_listing() {
    let mut bench = Bench::new();
    for list in ["StructData", "TNDS"] {
        let items = bench.manager().get(&format!("./DMAcc?list={list}")).unwrap();
        assert!(!format!("{items:?}").contains("devpw"), "{list}");
    }
    let (secret, _) = Path::parse("./DMAcc/Postern/AppAuth/Client/AAuthSecret").unwrap();
    bench.state.tree.update(&secret, |node| node.value = b"devpw".to_vec()).unwrap();
    for list in ["StructData", "TNDS"] {
        let items = bench.manager().get(&format!("./DMAcc?list={list}")).unwrap();
        assert!(!format!("{items:?}").contains("devpw"), "{list}");
    }
    assert!(!format!("{:?}", bench.state).contains("devpw"));
}

#[test]
fn cli_03_a_subtree_is_added_whole_from_every_way_of_carrying_it() {
    let xml = document("x", None);
    let wbxml = match tnds::to_data(&read_text(&xml), Encoding::Wbxml).unwrap() {
        Data::Binary(octets) => octets,
        other => panic!("{other:?}"),
    };
    let base64 = postern_wire::auth::encode_base64(&wbxml);
    for (what, kind, data) in [
        ("elements", tnds::XML_TYPE, Data::Markup(xml.clone())),
        ("text", tnds::XML_TYPE, Data::Text(xml)),
        ("octets", tnds::WBXML_TYPE, Data::Binary(wbxml)),
        ("base64", tnds::WBXML_TYPE, Data::Text(base64)),
    ] {
        let mut bench = Bench::new();
        assert_eq!(bench.manager().add("./Settings/new/x", &typed(kind), Some(&data)), Ok(()), "{what}");
        assert_eq!(bench.read("./Settings/new/x"), Ok("count/name".into()));
        assert_eq!(bench.read("./Settings/new/x/count"), Ok("7".into()));
        assert_eq!(bench.read("./Settings/new/x/count?prop=Format"), Ok("int".into()));
        assert_eq!(bench.read("./Settings/new/x/count?prop=Title"), Ok("How many".into()));
    }
}

#[test]
fn a_subtree_that_does_not_fit_changes_nothing() {
    let good = document("x", None);
    for (what, uri, text, code) in [
        ("there already", "./Settings/a", good.clone(), Code::EXISTS),
        ("no document", "./Settings/x", "<MgmtTree>".to_owned(), Code::BAD_FORMAT),
        ("a wrong value", "./Settings/x", good.replace("<Value>7", "<Value>seven"), Code::BAD_FORMAT),
        ("a wrong list", "./Settings/x", document("x", Some("Copy=*")), Code::BAD_FORMAT),
        (
            "outside",
            "./Settings/x",
            good.replace("<NodeName>x<", "<NodeName>x</NodeName><Path>../..<"),
            Code::BAD_FORMAT,
        ),
        ("under a leaf", "./Settings/a/x", good.clone(), Code::NOT_ALLOWED),
        ("not allowed there", "./DevInfo/x", good, Code::NOT_ALLOWED),
    ] {
        let mut bench = Bench::new();
        bench.add("./Settings/a", "1").unwrap();
        let before = bench.state.tree.clone();
        let done = bench.manager().add(uri, &typed(tnds::XML_TYPE), Some(&Data::Text(text)));
        assert_eq!(done, Err(code), "{what}");
        assert_eq!(bench.state.tree, before, "{what}");
    }
}

#[test]
fn replacing_by_a_subtree_swaps_all_of_it_and_keeps_the_list() {
    let mut bench = Bench::new();
    bench.add("./Settings/x/old", "1").unwrap();
    bench.replace("./Settings/x?prop=ACL", "Get=*&Replace=srv&Delete=srv").unwrap();
    let replace = |bench: &mut Bench, uri: &str, text: String| {
        bench.manager().replace(uri, &typed(tnds::XML_TYPE), Some(&Data::Text(text)))
    };
    assert_eq!(replace(&mut bench, "./Settings/x", document("x", None)), Ok(()));
    assert_eq!(bench.read("./Settings/x"), Ok("count/name".into()));
    assert_eq!(acl_of(&bench, "./Settings/x"), "Delete=srv&Get=*&Replace=srv");
    assert_eq!(replace(&mut bench, "./Settings/x", document("x", Some("Get=*&Replace=srv"))), Ok(()));
    assert_eq!(acl_of(&bench, "./Settings/x"), "Get=*&Replace=srv");
    assert_eq!(replace(&mut bench, "./Settings/none", document("none", None)), Err(Code::NOT_FOUND));
    for permanent in ["./Settings", ".", "./DevInfo", "./DevInfo/Man"] {
        assert_eq!(replace(&mut bench, permanent, document("x", None)), Err(Code::NOT_ALLOWED));
    }
    let mut other = bench.by("other");
    assert_eq!(replace(&mut other, "./Settings/x", document("x", None)), Err(Code::DENIED));
}

#[test]
fn cli_27_a_subtree_of_a_server_without_replace_gets_a_list_at_its_top() {
    let mut bench = Bench::new().by("other");
    let data = Data::Text(document("x", None));
    bench.manager().add("./Settings/x", &typed(tnds::XML_TYPE), Some(&data)).unwrap();
    assert_eq!(acl_of(&bench, "./Settings/x"), "Add=other&Delete=other&Replace=other");
    assert_eq!(acl_of(&bench, "./Settings/x/name"), "");
}

#[test]
fn cli_32_an_object_in_the_inbox_is_placed_by_its_identifier() {
    let account = |id: &str| {
        let text = document("1", Some("Get=two&Replace=two&Delete=two"));
        Data::Text(text.replace("<DDFName></DDFName>", &format!("<DDFName>{id}</DDFName>")))
    };
    let add = |bench: &mut Bench, uri: &str, data: &Data| {
        bench.manager().add(uri, &typed(tnds::XML_TYPE), Some(data))
    };
    let mut bench = Bench::new();
    assert_eq!(add(&mut bench, "./Inbox", &account(DMACC)), Ok(()));
    assert_eq!(add(&mut bench, "./Inbox/anything", &account(DMACC)), Ok(()));
    assert_eq!(bench.read("./DMAcc"), Ok("1/2/Postern".into()), "under a name that is free");
    assert_eq!(bench.read("./DMAcc/1?prop=Type"), Err(Code::DENIED), "the account's own list counts");
    let (placed, _) = Path::parse("./DMAcc/1").unwrap();
    assert_eq!(bench.state.tree.get(&placed).unwrap().media_type.as_deref(), Some(DMACC));
    assert_eq!(bench.read("./Inbox"), Err(Code::NOT_ALLOWED));
    assert_eq!(bench.manager().get("./Inbox?list=Struct").map(|items| items.len()), Ok(1));
    assert_eq!(add(&mut bench, "./Inbox", &account("urn:unknown")), Err(Code::BAD_FORMAT));
    assert_eq!(add(&mut bench, "./Inbox", &account("")), Err(Code::BAD_FORMAT));
    assert_eq!(bench.add("./Inbox/x", "plain"), Err(Code::BAD_FORMAT));
    assert_eq!(bench.replace("./Inbox?prop=ACL", "Add=*"), Err(Code::NOT_ALLOWED));
    let mut other = bench.by("other");
    assert_eq!(add(&mut other, "./Inbox", &account(DMACC)), Err(Code::DENIED));
}

#[test]
fn cli_32_an_object_of_a_known_kind_goes_beside_its_like() {
    let mut bench = Bench::new();
    bench.interior("./Vendor/Mail").unwrap();
    bench
        .manager()
        .add("./Vendor/Mail/1", &Meta { type_: Some("urn:mail".into()), ..format("node") }, None)
        .unwrap();
    let text = document("1", None).replace("<DDFName></DDFName>", "<DDFName>urn:mail</DDFName>");
    bench.manager().add("./Inbox", &typed(tnds::XML_TYPE), Some(&Data::Text(text))).unwrap();
    assert_eq!(bench.read("./Vendor/Mail"), Ok("1/2".into()));
    assert_eq!(bench.read("./Vendor/Mail/2/count"), Ok("7".into()));
}

fn typed(kind: &str) -> Meta {
    Meta { format: Some("xml".into()), type_: Some(kind.into()), ..Meta::default() }
}

/// An interior node with a number, which has a title, and a text.
fn document(name: &str, acl: Option<&str>) -> String {
    let acl = acl.map(|acl| format!("<ACL>{}</ACL>", acl.replace('&', "&amp;"))).unwrap_or_default();
    format!(
        "<MgmtTree xmlns=\"syncml:dmddf1.2\"><VerDTD>1.2</VerDTD><Node><NodeName>{name}</NodeName><RTProperties>{acl}\
         <Format><node/></Format><Type><DDFName></DDFName></Type></RTProperties>\
         <Node><NodeName>count</NodeName><RTProperties><Format><int/></Format><Title>How many</Title>\
         <Type><MIME>text/plain</MIME></Type></RTProperties><Value>7</Value></Node>\
         <Node><NodeName>name</NodeName><RTProperties><Format><chr/></Format><Type><MIME>text/plain</MIME></Type>\
         </RTProperties><Value>n</Value></Node></Node></MgmtTree>"
    )
}

fn read(item: &Item) -> MgmtTree {
    let tree =
        tnds::of_data(item.data.as_ref().unwrap(), item.meta.type_.as_deref(), &tnds::Limits::default());
    let tree = tree.unwrap();
    assert!(
        tree.nodes
            .iter()
            .all(|node| matches!(&node.properties.type_, Some(NodeType::DdfName(_) | NodeType::Mime(_))))
    );
    tree
}

fn read_text(text: &str) -> MgmtTree {
    tnds::read(text.as_bytes(), Encoding::Xml, &tnds::Limits::default()).unwrap()
}
