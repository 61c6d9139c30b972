//! TNDS documents: vectors, both encodings, places of nodes, and every refusal.

mod common;
mod generate_tree;
mod helper;
mod normal_tree;

use std::cell::RefCell;

use common::own_data;
use helper::{Helper, tool};
use postern_wire::{
    syncml::{Data, DecodeErrorKind, Encoding},
    tnds::{self, Format, Limits, MgmtTree, Node, NodeType, PlaceError, RtProperties},
    uri::TreeUri,
};
use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};

#[test]
fn cod_24_the_vector_reads_the_same_in_both_encodings_and_is_written_octet_for_octet() {
    let (xml, wbxml) = (data("dm_tnds.xml"), data("dm_tnds.wbxml"));
    let tree = read(&xml, Encoding::Xml);
    assert_eq!(read(&wbxml, Encoding::Wbxml), tree);
    assert_eq!(tree.len(), 26);
    let account = &tree.nodes[0];
    assert_eq!(account.properties.type_, Some(NodeType::DdfName("urn:oma:mo:oma-dm-dmacc:1.0".to_owned())));
    assert!(account.properties.acl.as_deref().unwrap().starts_with("Get=com.mgmtsrv.manage&Replace="));
    assert_eq!(account.children[0], Node::leaf("AppID", Format::Chr, "w7"));
    assert_eq!(tnds::write(&tree, Encoding::Wbxml).unwrap(), wbxml);
    let written = String::from_utf8(tnds::write(&tree, Encoding::Xml).unwrap()).unwrap();
    let given = String::from_utf8(xml).unwrap();
    // The vector writes `<a></a>` too.
    assert_eq!(Some(&*written), given.split_once('\n').map(|(_, document)| document));
}

#[test]
fn srv_55_a_tree_in_data_is_read_inline_escaped_in_cdata_as_octets_and_as_base64() {
    let (xml, wbxml) = (data("dm_tnds.xml"), data("dm_tnds.wbxml"));
    let tree = read(&xml, Encoding::Xml);
    let text = String::from_utf8(xml).unwrap();
    let document = text.split_once('\n').unwrap().1;
    let of = |data: &str| {
        let message =
            format!("<Results><CmdID>2</CmdID><CmdRef>1</CmdRef><Item><Data>{data}</Data></Item></Results>");
        let limits = postern_wire::syncml::Limits::default();
        let (mut commands, _) = postern_wire::syncml::decode_commands(message.as_bytes(), &limits).unwrap();
        let Some(postern_wire::syncml::Command::Results(mut results)) = commands.pop() else { panic!() };
        results.items.pop().unwrap().data.unwrap()
    };
    let escaped = document.replace('&', "&amp;").replace('<', "&lt;");
    let base64 = data_encoding::BASE64.encode(&wbxml);
    for (case, data, media_type) in [
        ("inline", of(document), Some(tnds::XML_TYPE)),
        ("inline without a Type", of(document), None),
        ("escaped", of(&escaped), Some(tnds::XML_TYPE)),
        ("CDATA", of(&format!("<![CDATA[{document}]]>")), Some(tnds::XML_TYPE)),
        ("with its XML declaration", of(&format!("<![CDATA[{text}]]>")), None),
        ("octets", Data::Binary(wbxml.clone()), Some(tnds::WBXML_TYPE)),
        ("base64", of(&base64), Some(tnds::WBXML_TYPE)),
        ("base64 in lines", of(&format!("\n{}\n{}", &base64[..76], &base64[76..])), Some(tnds::WBXML_TYPE)),
        ("XML under the type of WBXML", of(document), Some(tnds::WBXML_TYPE)),
    ] {
        assert_eq!(tnds::of_data(&data, media_type, &Limits::default()), Ok(tree.clone()), "{case}");
    }
    for encoding in [Encoding::Xml, Encoding::Wbxml] {
        let data = tnds::to_data(&tree, encoding).unwrap();
        assert_eq!(tnds::of_data(&data, None, &Limits::default()), Ok(tree.clone()));
    }
}

#[test]
fn cod_24_all_properties_of_a_node_are_understood_in_both_encodings() {
    let node = Node {
        properties: RtProperties {
            acl: Some("Get=*&Replace=a+b".to_owned()),
            format: Some(Format::Int),
            name: Some("x".to_owned()),
            size: Some("2".to_owned()),
            title: Some("An <int> & more".to_owned()),
            t_stamp: Some("20010711T163817Z".to_owned()),
            type_: Some(NodeType::Mime("text/plain".to_owned())),
            ver_no: Some("7".to_owned()),
        },
        path: Some("./a".to_owned()),
        ..Node::leaf("x", Format::Int, "42")
    };
    let tree =
        MgmtTree { man: Some("M".to_owned()), model: Some("N".to_owned()), ..MgmtTree::new(vec![node]) };
    for encoding in [Encoding::Xml, Encoding::Wbxml] {
        assert_eq!(read(&tnds::write(&tree, encoding).unwrap(), encoding), tree);
    }
}

#[test]
fn cod_04_the_order_of_elements_does_not_matter_and_unknown_ones_are_read_over() {
    let odd = "<t:MgmtTree xmlns:t='syncml:dmddf1.2'> <t:Node><Value>1</Value><New>x</New>\n<RTProperties><Type><DDFName/>\
        </Type><Format> <int/> </Format></RTProperties><NodeName> a </NodeName></t:Node><VerDTD>1.2</VerDTD></t:MgmtTree>";
    let mut node = Node::leaf("a", Format::Int, "1");
    node.properties.type_ = Some(NodeType::DdfName(String::new()));
    assert_eq!(read(odd.as_bytes(), Encoding::Xml), MgmtTree::new(vec![node]));
}

#[test]
fn cod_25_what_is_no_tree_is_refused_by_name_and_place() {
    let of = |inside: &str| format!("<MgmtTree><VerDTD>1.2</VerDTD>{inside}</MgmtTree>");
    let deep = |levels: usize| {
        of(&format!("{}{}", "<Node><NodeName>a</NodeName>".repeat(levels), "</Node>".repeat(levels)))
    };
    let limits = Limits {
        nodes: 3,
        depth: 2,
        name_octets: 8,
        property_octets: 8,
        value_octets: 16,
        ..Limits::default()
    };
    let limit = |what, limit| DecodeErrorKind::Limit { what, limit };
    let word = |element, text: &str| DecodeErrorKind::Word { element, text: text.to_owned() };
    for (document, kind, path) in [
        (String::new(), DecodeErrorKind::Empty, ""),
        ("<Node/>".to_owned(), DecodeErrorKind::NotTree("the root element is Node".to_owned()), "/Node"),
        (of(""), DecodeErrorKind::Missing("Node"), ""),
        (of("<Node/>"), DecodeErrorKind::Missing("NodeName"), "/MgmtTree"),
        (
            "<MgmtTree><VerDTD>2.0</VerDTD></MgmtTree>".to_owned(),
            DecodeErrorKind::NotTree("its VerDTD is \"2.0\"".to_owned()),
            "/MgmtTree",
        ),
        (
            of("<Node><NodeName>a</NodeName><NodeName>b</NodeName></Node>"),
            DecodeErrorKind::Repeated("NodeName"),
            "/MgmtTree/Node/NodeName",
        ),
        (
            of("<Node><NodeName>a</NodeName><Value>1</Value><Value>2</Value></Node>"),
            DecodeErrorKind::Repeated("Value"),
            "/MgmtTree/Node/Value",
        ),
        (
            of("<Node><NodeName>a</NodeName><Value>1</Value><Node><NodeName>b</NodeName></Node></Node>"),
            DecodeErrorKind::Misplaced("Value beside a Node"),
            "/MgmtTree",
        ),
        (of("<Node><NodeName>a/b</NodeName></Node>"), word("NodeName", "a/b"), "/MgmtTree/Node"),
        (of("<Node><NodeName>..</NodeName></Node>"), word("NodeName", ".."), "/MgmtTree/Node"),
        (of("<Node><NodeName>123456789</NodeName></Node>"), limit("octets of NodeName", 8), "/MgmtTree/Node"),
        (
            of("<Node><NodeName>a</NodeName><RTProperties><ACL>Get=*&amp;Add=*</ACL></RTProperties></Node>"),
            limit("ACL", 8),
            "/MgmtTree/Node/RTProperties",
        ),
        (
            of("<Node><NodeName>a</NodeName><Value>12345678901234567</Value></Node>"),
            limit("octets of text", 16),
            "/MgmtTree/Node/Value",
        ),
        (deep(3), limit("levels of nodes", 2), "/MgmtTree/Node/Node/Node"),
        (of(&"<Node><NodeName>a</NodeName></Node>".repeat(4)), limit("nodes", 3), "/MgmtTree/Node"),
        (format!("{}x", of("<Node><NodeName>a</NodeName></Node>")), DecodeErrorKind::Trailing, ""),
    ] {
        let error = tnds::read(document.as_bytes(), Encoding::Xml, &limits).expect_err(&document);
        assert_eq!((&error.kind, &*error.place.path), (&kind, path), "{document}");
        assert!(error.place.offset <= document.len(), "{error}");
    }
    let wrong = tnds::read(b"\x02\xA4\x01\x6A\x00\x6D", Encoding::Wbxml, &Limits::default()).unwrap_err();
    assert_eq!(wrong.kind, DecodeErrorKind::NotTree("its public identifier is 0x1201".to_owned()));
    let message = tnds::read(b"\x02\x01\x6A\x00\x6D\x01", Encoding::Wbxml, &Limits::default()).unwrap_err();
    assert_eq!(message.slug(), "message-not-tree");
}

#[test]
fn cod_25_a_document_cut_at_any_octet_is_refused() {
    for (document, encoding) in
        [(data("dm_tnds.xml"), Encoding::Xml), (data("dm_tnds.wbxml"), Encoding::Wbxml)]
    {
        for cut in 0..document.len() {
            let error = tnds::read(&document[..cut], encoding, &Limits::default()).expect_err("cut");
            assert!(error.place.offset <= cut, "{error} of {cut}");
        }
    }
}

#[test]
fn srv_55_the_nodes_of_an_answer_stand_below_what_was_asked_for() {
    let leaf = |name: &str, path: Option<&str>| Node {
        path: path.map(str::to_owned),
        ..Node::leaf(name, Format::Chr, "v")
    };
    let inside = |name: &str, path: Option<&str>| Node {
        path: path.map(str::to_owned),
        ..Node::interior(name, vec![leaf("c", None)])
    };
    for (case, target, nodes, uris) in [
        ("named as the target", "./a/b", vec![inside("b", None)], &["./a/b", "./a/b/c"][..]),
        ("without a name", "./a/b", vec![inside("", None)], &["./a/b", "./a/b/c"]),
        ("with the path of the target", "./a/b", vec![inside("b", Some("./a"))], &["./a/b", "./a/b/c"]),
        ("the same without ./", "./a/b", vec![inside("b", Some("a"))], &["./a/b", "./a/b/c"]),
        ("an empty path", "./a/b", vec![inside("b", Some("."))], &["./a/b", "./a/b/c"]),
        (
            "children of the target",
            "./a",
            vec![inside("b", None), leaf("d", None)],
            &["./a/b", "./a/b/c", "./a/d"],
        ),
        ("a path below the target", "./a", vec![leaf("c", Some("b"))], &["./a/b/c"]),
        ("the root", ".", vec![inside("a", None), leaf("d", Some("a/e"))], &["./a", "./a/c", "./a/e/d"]),
        ("the root by name", ".", vec![inside(".", None)], &[".", "./c"]),
        ("a query on the target", "./a/b?list=TNDS", vec![inside("b", None)], &["./a/b", "./a/b/c"]),
        (
            "continued by Path",
            "./V",
            vec![Node::interior("V", vec![]), Node::interior("I", vec![]), leaf("G", Some("V/I"))],
            &["./V", "./V/I", "./V/I/G"],
        ),
    ] {
        let tree = MgmtTree::new(nodes);
        let placed = tree.placed(&uri(target)).unwrap();
        let found: Vec<_> = placed.iter().map(|placed| placed.uri.as_str()).collect();
        assert_eq!(found, uris, "{case}");
    }
    let twice = MgmtTree::new(vec![leaf("x", None), leaf("x", None)]);
    assert_eq!(twice.placed(&uri("./a")), Err(PlaceError::Twice(uri("./a/x"))));
    let nameless = MgmtTree::new(vec![Node::interior("a", vec![leaf("", None)])]);
    assert!(matches!(nameless.placed(&uri("./a")), Err(PlaceError::Uri { .. })));
    let escaping = MgmtTree::new(vec![leaf("x", Some("../b"))]);
    assert!(matches!(escaping.placed(&uri("./a")), Err(PlaceError::Uri { .. })));
}

#[test]
fn a_value_gives_its_octets() {
    let mut node = Node::leaf("k", Format::B64, "AA ECAw==");
    assert_eq!(node.octets(), Some(vec![0, 1, 2, 3]));
    node.value = Some(Data::from("?"));
    assert_eq!(node.octets(), None);
    node.properties.format = Some(Format::Chr);
    assert_eq!(node.octets(), Some(b"?".to_vec()));
    node.value = Some(Data::Binary(vec![0, 9]));
    assert_eq!(node.octets(), Some(vec![0, 9]));
}

#[test]
fn cod_23_a_binary_value_is_opaque_in_wbxml_and_base64_in_xml() {
    let tree = MgmtTree::new(vec![Node::leaf("k", Format::Bin, Data::Binary(vec![0, 0xFF, 1]))]);
    let xml = String::from_utf8(tnds::write(&tree, Encoding::Xml).unwrap()).unwrap();
    assert!(xml.contains("<Format><b64/></Format>") && xml.contains("<Value>AP8B</Value>"), "{xml}");
    let wbxml = tnds::write(&tree, Encoding::Wbxml).unwrap();
    assert!(wbxml.windows(5).any(|part| part == b"\xC3\x03\x00\xFF\x01"));
    assert_eq!(read(&wbxml, Encoding::Wbxml), tree);
    assert_eq!(read(xml.as_bytes(), Encoding::Xml).nodes[0].octets(), Some(vec![0, 0xFF, 1]));
}

#[test]
fn cod_20_libwbxml_reads_what_we_write_and_we_read_what_it_writes() {
    for document in [data("dm_tnds.xml")] {
        let tree = read(&document, Encoding::Xml);
        let theirs = tool("wbxml2xml", &["-k", "-m", "0"], &tnds::write(&tree, Encoding::Wbxml).unwrap());
        assert_eq!(read(&theirs, Encoding::Xml), tree);
        for arguments in [&["-n"][..], &[], &["-v", "1.1"], &["-a", "-n"]] {
            let theirs = tool("xml2wbxml", arguments, &tnds::write(&tree, Encoding::Xml).unwrap());
            assert_eq!(read(&theirs, Encoding::Wbxml), tree, "{arguments:?}");
        }
    }
    let helper = RefCell::new(Helper::start());
    let outcome = runner(256).run(&generate_tree::plain_tree(), |tree| {
        let wbxml = tnds::write(&tree, Encoding::Wbxml).map_err(failed)?;
        let theirs = helper.borrow_mut().convert(b'x', &wbxml);
        let theirs = theirs.ok_or_else(|| TestCaseError::fail(format!("libwbxml refuses {wbxml:02X?}")))?;
        prop_assert_eq!(&read(&theirs, Encoding::Xml), &tree, "{}", String::from_utf8_lossy(&theirs));
        let xml = tnds::write(&tree, Encoding::Xml).map_err(failed)?;
        for op in [b'w', b's'] {
            let theirs = helper.borrow_mut().convert(op, &xml);
            let theirs = theirs.ok_or_else(|| {
                TestCaseError::fail(format!("libwbxml refuses {}", String::from_utf8_lossy(&xml)))
            })?;
            prop_assert_eq!(&read(&theirs, Encoding::Wbxml), &tree, "{}", String::from_utf8_lossy(&xml));
        }
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back(tree in generate_tree::tree()) {
        let wbxml = tnds::write(&tree, Encoding::Wbxml).map_err(failed)?;
        prop_assert_eq!(&read(&wbxml, Encoding::Wbxml), &normal_tree::in_wbxml(&tree));
        let xml = tnds::write(&tree, Encoding::Xml).map_err(failed)?;
        prop_assert_eq!(&read(&xml, Encoding::Xml), &normal_tree::in_xml(&tree));
    }

    #[test]
    fn no_change_of_a_document_makes_a_reader_panic(
        tree in generate_tree::tree(),
        xml in any::<bool>(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let encoding = if xml { Encoding::Xml } else { Encoding::Wbxml };
        let mut written = tnds::write(&tree, encoding).map_err(failed)?;
        for (index, octet) in changes {
            let at = index.index(written.len());
            written[at] = octet;
        }
        if let Err(error) = tnds::read(&written, encoding, &Limits::default()) {
            prop_assert!(error.place.offset <= written.len());
        }
    }
}

fn data(name: &str) -> Vec<u8> {
    std::fs::read(own_data().join("omadm/bootstrap").join(name)).expect("a vector")
}

fn read(document: &[u8], encoding: Encoding) -> MgmtTree {
    match tnds::read(document, encoding, &Limits::default()) {
        Ok(tree) => tree,
        Err(error) => panic!("{error}: {}", String::from_utf8_lossy(document)),
    }
}

fn uri(text: &str) -> TreeUri {
    TreeUri::parse(text).expect("an address")
}

/// The same cases on every run.
fn runner(cases: u32) -> TestRunner {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

fn failed(error: impl std::fmt::Display) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}
