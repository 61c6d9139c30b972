//! DDF documents: what the field's files are like, both encodings, and every refusal.

mod helper;

use helper::tool;
use postern_wire::{
    ddf::{self, AccessTypes, CaseSense, Ddf, DfProperties, Limits, Node, Occurrence, Scope, Verb},
    syncml::{DecodeErrorKind, Encoding},
    tnds::{Format, NodeType},
};
use proptest::{collection::vec, option, prelude::*, sample::select};

/// In the shape of Microsoft's files: the version as an instruction in the DOCTYPE, empty MIME, elements of its own.
const VENDOR: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE MgmtTree PUBLIC " -//OMA//DTD-DM-DDF 1.2//EN" "http://dtd.example.test/DM_DDF-V1_2.dtd" [<?oma-dm-ddf-ver supported-versions="1.2"?> <!-- x -->]>
<MgmtTree xmlns:MSFT="http://schemas.example.test/DM">
  <VerDTD>1.2</VerDTD>
  <MSFT:Diagnostics>
  </MSFT:Diagnostics>
  <Node>
    <NodeName>Lamp</NodeName>
    <Path>./Vendor/Example</Path>
    <DFProperties>
      <AccessType>
        <Get />
      </AccessType>
      <Description>A lamp, with <b>markup</b> where none belongs.</Description>
      <DFFormat>
        <node />
      </DFFormat>
      <Occurrence>
        <One />
      </Occurrence>
      <Scope>
        <Permanent />
      </Scope>
      <DFType>
        <DDFName>com.example/1.0/Lamp</DDFName>
      </DFType>
      <MSFT:Applicability><MSFT:OsBuildVersion>10.0</MSFT:OsBuildVersion></MSFT:Applicability>
    </DFProperties>
    <Node>
      <NodeName>
      </NodeName>
      <DFProperties>
        <AccessType><Add /><Delete /><Get /><Replace /></AccessType>
        <DefaultValue>50</DefaultValue>
        <DFFormat><int /></DFFormat>
        <Occurrence><ZeroOrN>9</ZeroOrN></Occurrence>
        <Scope><Dynamic /></Scope>
        <DFTitle>Brightness</DFTitle>
        <DFType><MIME /></DFType>
        <CaseSense><CIS /></CaseSense>
        <MSFT:AllowedValues ValueType="Range"><MSFT:Value>[0-100]</MSFT:Value></MSFT:AllowedValues>
        <MSFT:Scope><Permanent /></MSFT:Scope>
      </DFProperties>
    </Node>
  </Node>
</MgmtTree>
"#;

#[test]
fn a_vendors_file_is_read_and_its_own_elements_are_counted() {
    let read = ddf::read(VENDOR.as_bytes(), Encoding::Xml, &Limits::default()).unwrap();
    let lamp = &read.ddf.nodes[0];
    assert_eq!((&*lamp.name, lamp.path.as_deref()), ("Lamp", Some("./Vendor/Example")));
    assert_eq!(lamp.df.type_, Some(NodeType::DdfName("com.example/1.0/Lamp".to_owned())));
    assert_eq!((lamp.df.scope, lamp.df.occurrence), (Some(Scope::Permanent), Some(Occurrence::One)));
    let brightness = &lamp.children[0];
    assert_eq!(
        brightness.df,
        DfProperties {
            access: [Verb::Add, Verb::Delete, Verb::Get, Verb::Replace].into_iter().collect(),
            default_value: Some("50".to_owned()),
            description: None,
            format: Some(Format::Int),
            occurrence: Some(Occurrence::ZeroOrN(9)),
            scope: Some(Scope::Dynamic),
            title: Some("Brightness".to_owned()),
            type_: Some(NodeType::Mime(String::new())),
            case_sense: Some(CaseSense::Cis),
        }
    );
    assert!(brightness.name.is_empty() && !brightness.df.access.has(Verb::Exec));
    // Diagnostics, Applicability, AllowedValues, Scope, and the markup inside Description.
    assert_eq!(read.skipped, 5);
}

#[test]
fn a_doctype_that_declares_anything_is_refused() {
    let of = |subset: &str| {
        let document =
            format!("<!DOCTYPE MgmtTree [{subset}]>{}", &VENDOR[VENDOR.find("<MgmtTree").unwrap()..]);
        ddf::read(document.as_bytes(), Encoding::Xml, &Limits::default()).map(drop)
    };
    for harmless in ["", " ", "<?x y?>", "<!-- a --> <?x y?>\n"] {
        assert_eq!(of(harmless), Ok(()), "{harmless}");
    }
    for declared in [
        "<!ENTITY a \"b\">",
        "<?x y?><!ENTITY a SYSTEM \"file:///etc/passwd\">",
        "<!-- a --><!ELEMENT a ANY>",
        "%x;",
        "<!--->",
        "<?x",
    ] {
        assert!(of(declared).is_err(), "{declared}");
    }
    let refused = of("<!ENTITY a \"b\">").unwrap_err();
    assert_eq!(refused.kind, DecodeErrorKind::InternalSubset);
}

#[test]
fn what_is_no_description_is_refused_by_name_and_place() {
    let node = |inside: &str| format!("<MgmtTree><Node><NodeName>a</NodeName>{inside}</Node></MgmtTree>");
    let word = |element, text: &str| DecodeErrorKind::Word { element, text: text.to_owned() };
    let limits = Limits { nodes: 2, property_octets: 8, ..Limits::default() };
    for (document, kind, path) in [
        ("<MgmtTree/>".to_owned(), DecodeErrorKind::Missing("Node"), ""),
        (
            "<MgmtTree><Node><DFProperties/></Node></MgmtTree>".to_owned(),
            DecodeErrorKind::Missing("NodeName"),
            "/MgmtTree",
        ),
        (node(""), DecodeErrorKind::Missing("DFProperties"), "/MgmtTree"),
        (
            node("<DFProperties/><DFProperties/>"),
            DecodeErrorKind::Repeated("DFProperties"),
            "/MgmtTree/Node/DFProperties",
        ),
        (
            node("<DFProperties><Occurrence><OneOrN>x</OneOrN></Occurrence></DFProperties>"),
            word("OneOrN", "x"),
            "/MgmtTree/Node/DFProperties/Occurrence",
        ),
        (
            node("<DFProperties><DFTitle>123456789</DFTitle></DFProperties>"),
            DecodeErrorKind::Limit { what: "DFTitle", limit: 8 },
            "/MgmtTree/Node/DFProperties",
        ),
        (
            node("<DFProperties/><Node><NodeName/><DFProperties/></Node><Node/>"),
            DecodeErrorKind::Limit { what: "nodes", limit: 2 },
            "/MgmtTree/Node/Node",
        ),
    ] {
        let error = ddf::read(document.as_bytes(), Encoding::Xml, &limits).expect_err(&document);
        assert_eq!((&error.kind, &*error.place.path), (&kind, path), "{document}");
    }
}

#[test]
fn libwbxml_reads_a_description_that_we_write_and_we_read_what_it_writes() {
    let ddf = ddf::read(VENDOR.as_bytes(), Encoding::Xml, &Limits::default()).unwrap().ddf;
    let xml = ddf::write(&ddf, Encoding::Xml).unwrap();
    let theirs = tool("xml2wbxml", &["-n"], &xml);
    assert_eq!(ddf::read(&theirs, Encoding::Wbxml, &Limits::default()).unwrap().ddf, ddf);
    let ours = ddf::write(&ddf, Encoding::Wbxml).unwrap();
    let theirs = tool("wbxml2xml", &["-k", "-m", "0"], &ours);
    assert_eq!(ddf::read(&theirs, Encoding::Xml, &Limits::default()).unwrap().ddf, ddf);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back(ddf in description()) {
        for encoding in [Encoding::Xml, Encoding::Wbxml] {
            let written = ddf::write(&ddf, encoding).map_err(|error| TestCaseError::fail(error.to_string()))?;
            let read = ddf::read(&written, encoding, &Limits::default());
            let read = read.map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!((&read.ddf, read.skipped), (&ddf, 0));
        }
    }
}

fn description() -> BoxedStrategy<Ddf> {
    let leaf = (name(), option::of(name()), properties()).prop_map(|(name, path, df)| Node {
        name,
        path,
        rt: None,
        df,
        value: None,
        children: Vec::new(),
    });
    let node = leaf.prop_recursive(4, 24, 4, |inner| {
        (name(), properties(), vec(inner, 1..4)).prop_map(|(name, df, children)| Node {
            name,
            path: None,
            rt: None,
            df,
            value: None,
            children,
        })
    });
    (option::of(name()), vec(node, 1..3))
        .prop_map(|(man, nodes)| Ddf { ver_dtd: "1.2".to_owned(), man, model: None, nodes })
        .boxed()
}

fn properties() -> BoxedStrategy<DfProperties> {
    let access =
        vec(select(&Verb::ALL[..]), 0..6).prop_map(|verbs| verbs.into_iter().collect::<AccessTypes>());
    let occurrence = prop_oneof![
        Just(Occurrence::One),
        Just(Occurrence::OneOrMore),
        Just(Occurrence::ZeroOrMore),
        Just(Occurrence::ZeroOrOne),
        any::<u32>().prop_map(Occurrence::OneOrN),
        any::<u32>().prop_map(Occurrence::ZeroOrN),
    ];
    let type_ = prop_oneof![name().prop_map(NodeType::Mime), name().prop_map(NodeType::DdfName)];
    (
        access,
        option::of(name()),
        option::of(select(&Format::ALL[..])),
        option::of(occurrence),
        option::of(select(vec![Scope::Permanent, Scope::Dynamic])),
        option::of(type_),
        option::of(select(vec![CaseSense::Cs, CaseSense::Cis])),
    )
        .prop_map(|(access, text, format, occurrence, scope, type_, case_sense)| DfProperties {
            access,
            default_value: text.clone(),
            description: text.clone(),
            format,
            occurrence,
            scope,
            title: text,
            type_,
            case_sense,
        })
        .boxed()
}

fn name() -> BoxedStrategy<String> {
    "[a-zA-Z0-9<>&'é]{0,10}".boxed()
}
