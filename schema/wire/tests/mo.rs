//! The registry of management objects: what it knows, completes and refuses.

use postern_wire::{
    ddf::{self, Verb},
    mo::{Asked, Found, Mounts, Object, Origin, Registry, Rule, builtin},
    syncml::{Data, Encoding},
    tnds::Format,
    uri::TreeUri,
};

#[test]
fn every_built_in_description_is_by_the_book_and_writes_back() {
    let names: Vec<_> = Registry::built_in().objects().map(|object| object.name.clone()).collect();
    let standard = ["DevInfo", "DevDetail", "DMAcc", "DMAcc-1.1", "LAWMO", "SCOMO", "FUMO", "Inbox"];
    let ours = ["Postern-Certificate", "Postern-Trust", "Postern-Unenrol"];
    assert_eq!(names, [&standard[..], &ours].concat());
    for name in names {
        let document = builtin::document(&name).unwrap();
        let read = ddf::read(document.as_bytes(), Encoding::Xml, &ddf::Limits::default()).unwrap();
        assert_eq!(read.skipped, 0, "{name}");
        for encoding in [Encoding::Xml, Encoding::Wbxml] {
            let written = ddf::write(&read.ddf, encoding).unwrap();
            assert_eq!(ddf::read(&written, encoding, &ddf::Limits::default()).unwrap(), read, "{name}");
        }
    }
}

#[test]
fn the_registry_knows_formats_access_types_and_occurrence() {
    let registry = Registry::built_in();
    for (address, format, access, occurrence) in [
        ("./DevInfo/Mod", Format::Chr, "Get", "One"),
        ("./DevDetail/URI/MaxDepth", Format::Chr, "Get", "One"),
        ("./DMAcc/any/AppAddr/1/Port/1/PortNbr", Format::Chr, "Add Delete Get Replace", "One"),
        ("./SyncML/DMAcc/any/ServerPW", Format::Chr, "Add Delete Replace", "ZeroOrOne"),
        ("./SyncML/DMAcc/any/AppAuth/c/AAuthData", Format::Bin, "Add Delete Replace", "ZeroOrOne"),
        ("./LAWMO/State", Format::Int, "Get", "One"),
        ("./LAWMO/AvailableWipeList/1/ToBeWiped", Format::Bool, "Get Replace", "One"),
        ("./SCOMO/Download/p/Operations/DownloadInstall", Format::Null, "Exec Get", "ZeroOrOne"),
        ("./Vendor/Postern/Certificate/Chain", Format::Chr, "Replace", "One"),
        ("./Vendor/Postern/Trust/ServerCas", Format::Chr, "Get Replace", "One"),
        ("./Vendor/Postern/Unenrol", Format::Null, "Exec", "ZeroOrOne"),
        ("./FUMO/Update/PkgData", Format::Bin, "Replace", "ZeroOrOne"),
        ("./Inbox", Format::Node, "Add", "One"),
        ("./DMAcc/any?prop=ACL", Format::Node, "Add Delete Get Replace", "ZeroOrMore"),
    ] {
        let node = registry.node(&uri(address), &Mounts::default()).unwrap_or_else(|| panic!("{address}"));
        let names: Vec<_> = node.df.access.iter().map(Verb::as_str).collect();
        assert_eq!((node.df.format, &*names.join(" ")), (Some(format), access), "{address}");
        assert_eq!(node.df.occurrence.unwrap().to_string(), occurrence, "{address}");
    }
    for unknown in ["./Vendor/x", "./DevInfo/Nope", "./DevInfo/Mod/x", "./DMAcc", ".", "./devinfo/Mod"] {
        assert!(registry.node(&uri(unknown), &Mounts::default()).is_none(), "{unknown}");
    }
}

#[test]
fn what_a_description_forbids_is_refused_with_the_rule() {
    let registry = Registry::built_in();
    for (verb, address, format, data, rule) in [
        (Verb::Get, "./DevInfo/Mod", None, None, Ok(None)),
        (Verb::Replace, "./DevInfo/Mod", None, Some("x"), Err("access-type")),
        (Verb::Delete, "./DevInfo", None, None, Err("permanent")),
        (Verb::Exec, "./DevInfo/Mod", None, None, Err("access-type")),
        (Verb::Get, "./DMAcc/x/AppAuth/c/AAuthSecret", None, None, Err("access-type")),
        (Verb::Get, "./DMAcc/x/AppAuth/c/AAuthSecret?prop=Size", None, None, Ok(None)),
        (Verb::Replace, "./DMAcc/x/AppAuth/c/AAuthSecret", None, Some("s"), Ok(None)),
        (Verb::Replace, "./DMAcc/x/AppAuth/c/AAuthData", Some("b64"), Some("AAEC"), Ok(None)),
        (Verb::Replace, "./DMAcc/x/AppAuth/c/AAuthData", Some("b64"), Some("not base64"), Err("value")),
        (Verb::Replace, "./DMAcc/x/AppAuth/c/AAuthData", None, Some("AAEC"), Err("format")),
        (Verb::Add, "./DMAcc/x", Some("node"), None, Ok(None)),
        (Verb::Add, "./DMAcc/x", None, None, Ok(Some(Format::Node))),
        (Verb::Add, "./DMAcc/x", Some("node"), Some("data"), Err("value")),
        (Verb::Replace, "./LAWMO/AvailableWipeList/1/ToBeWiped", None, Some("true"), Ok(Some(Format::Bool))),
        (Verb::Replace, "./LAWMO/AvailableWipeList/1/ToBeWiped", Some("Bool"), Some("false"), Ok(None)),
        (Verb::Replace, "./LAWMO/AvailableWipeList/1/ToBeWiped", Some("bool"), Some("1"), Err("value")),
        (Verb::Replace, "./LAWMO/AvailableWipeList/1/ToBeWiped", Some("chr"), Some("true"), Err("format")),
        (Verb::Replace, "./LAWMO/AvailableWipeList/1/ToBeWiped", Some("truth"), Some("true"), Err("format")),
        (Verb::Replace, "./LAWMO/State", Some("int"), Some("30"), Err("access-type")),
        (Verb::Exec, "./LAWMO/Operations/Wipe", None, None, Ok(None)),
        (Verb::Exec, "./LAWMO/Operations/Explode", None, None, Err("no-such-node")),
        (Verb::Get, "./LAWMO/Operations/Explode", None, None, Ok(None)),
        (Verb::Exec, "./LAWMO/Operations/Ext/WipeAll", None, None, Ok(None)),
        (Verb::Add, "./SCOMO/Download/p/PkgURL", None, Some("https://a.test/p"), Ok(None)),
        (Verb::Add, "./SCOMO/Download/p/Operations", None, None, Err("access-type")),
        (Verb::Replace, "./DevInfo?prop=ACL", None, Some("Get=*"), Ok(None)),
        (Verb::Get, "./DevInfo?prop=VerNo", None, None, Ok(None)),
        (Verb::Replace, "./DevInfo?prop=VerNo", None, Some("1"), Err("property")),
        (Verb::Add, "./DevInfo?prop=ACL", None, Some("Get=*"), Err("property")),
        (Verb::Get, "./Inbox?list=Struct", None, None, Ok(None)),
        (Verb::Replace, "./DevInfo?list=TNDS", None, None, Err("listing")),
        (Verb::Replace, "./Vendor/Anything", Some("int"), Some("x"), Ok(None)),
    ] {
        let (target, data) = (uri(address), data.map(Data::from));
        let asked = Asked { verb, uri: &target, format, type_: None, data: data.as_ref() };
        let judged = registry.check(&asked, &Mounts::default());
        let judged = judged.as_ref().map(|format| *format).map_err(|forbidden| forbidden.rule.slug());
        assert_eq!(judged, rule, "{verb} {address} {format:?} {data:?}");
    }
}

#[test]
fn values_are_judged_by_the_format_of_the_description() {
    for (format, good, bad) in [
        ("int", &["0", "-2147483648", "+7", " 5 "][..], &["", "2147483648", "0x10", "five"][..]),
        ("bool", &["true", "false"], &["True", "1", ""]),
        ("float", &["1", "-0.5", "1e9", "INF", "NaN"], &["", "a"]),
        ("date", &["2026-11-22", "20261122"], &["", "tomorrow"]),
        ("time", &["10:11:12Z", "101112"], &["", "noon"]),
        ("null", &["", " "], &["x"]),
        ("b64", &["", "AAEC", "AA EC"], &["A"]),
        ("chr", &["", "anything"], &[]),
        ("xml", &["<a/>"], &[]),
    ] {
        let registry = Registry::built_in().with(described("x", &leaf("v", "<Get/><Replace/>", format)));
        let target = uri("./V/v");
        let judge = |text: &str| {
            let data = Data::from(text);
            let asked = Asked {
                verb: Verb::Replace,
                uri: &target,
                format: Some(format),
                type_: None,
                data: Some(&data),
            };
            registry.check(&asked, &Mounts::default()).map(drop).map_err(|forbidden| forbidden.rule)
        };
        for text in good {
            assert_eq!(judge(text), Ok(()), "{format} {text:?}");
        }
        for text in bad {
            assert_eq!(
                judge(text),
                Err(Rule::Value { format: format.parse().unwrap() }),
                "{format} {text:?}"
            );
        }
    }
}

#[test]
fn an_object_stands_where_the_known_tree_has_it() {
    let registry = Registry::built_in();
    let mut mounts = Mounts::default();
    mounts.add("urn:oma:mo:oma-lawmo:1.0", &uri("./Vendor/Lock"));
    mounts.add("urn:oma:mo:oma-dm-dmacc:1.0", &uri("./Accounts/Postern"));
    mounts.add("", &uri("./Nothing"));
    assert!(registry.node(&uri("./Vendor/Lock/State"), &mounts).is_some());
    assert!(registry.node(&uri("./LAWMO/State"), &mounts).is_none());
    // An account may still be made in the usual place.
    assert!(registry.node(&uri("./Accounts/New/ServerID"), &mounts).is_some());
    assert!(registry.node(&uri("./DMAcc/New/ServerID"), &mounts).is_some());
    assert_eq!(mounts.iter().count(), 2);
    let stored: Mounts = serde_json::from_str(&serde_json::to_string(&mounts).unwrap()).unwrap();
    assert_eq!(stored, mounts);
}

#[test]
fn an_imported_description_silences_the_built_in_ones_where_it_stands() {
    let lawmo = "<MgmtTree><VerDTD>1.2</VerDTD><Node><NodeName>LAWMO</NodeName><DFProperties><AccessType><Get/></AccessType>\
        <DFFormat><node/></DFFormat><DFType><DDFName/></DFType></DFProperties>__</Node></MgmtTree>";
    let registry = Registry::built_in()
        .with(described("ours", &lawmo.replace("__", &leaf_of("State", "<Replace/>", "chr"))));
    let known = registry.known(&uri("./LAWMO/State"), &Mounts::default());
    assert_eq!(known.iter().map(|known| &*known.object.name).collect::<Vec<_>>(), ["ours"]);
    assert_eq!(
        registry.node(&uri("./LAWMO/State"), &Mounts::default()).unwrap().df.format,
        Some(Format::Chr)
    );
    let operations = registry.known(&uri("./LAWMO/Operations/Wipe"), &Mounts::default());
    assert!(matches!(operations[..], [ref known] if matches!(known.found, Found::Unknown)));
    assert!(registry.node(&uri("./DevInfo/Mod"), &Mounts::default()).is_some());
}

#[test]
fn the_two_names_of_the_device_scope_of_windows_are_one_place() {
    let csp = |path: &str| leaf("Lamp", "<Get/>", "int").replace("./V<", &format!("{path}<"));
    for (path, other) in
        [("./Vendor/MSFT", "./Device/Vendor/MSFT/Lamp"), ("./Device/Vendor/MSFT", "./Vendor/MSFT/Lamp")]
    {
        let registry = Registry::default().with(described("x", &csp(path)));
        for address in [&format!("{path}/Lamp"), other] {
            assert!(registry.node(&uri(address), &Mounts::default()).is_some(), "{path} {address}");
        }
        assert!(registry.node(&uri("./User/Vendor/MSFT/Lamp"), &Mounts::default()).is_none());
    }
}

#[test]
fn a_value_that_no_get_may_bring_is_a_secret() {
    let registry = Registry::built_in();
    for (address, secret) in [
        ("./DMAcc/x/AppAuth/1/AAuthSecret", true),
        ("./SyncML/DMAcc/x/ClientPW", true),
        ("./DMAcc/x/AppAuth/1/AAuthName", false),
        ("./LAWMO/Operations/Wipe", false),
        ("./FUMO/Update/PkgData", true),
        ("./Inbox", false),
        ("./Vendor/AAuthSecret", false),
    ] {
        assert_eq!(registry.is_secret(&uri(address), &Mounts::default()), secret, "{address}");
    }
}

#[test]
fn a_begun_address_is_completed_with_placeholders_for_names_of_ones_own() {
    let registry = Registry::built_in();
    let complete = |begun: &str| -> Vec<String> {
        registry.complete(begun, &Mounts::default()).into_iter().map(|found| found.uri).collect()
    };
    assert_eq!(
        complete(""),
        [
            "./DMAcc",
            "./DevDetail",
            "./DevInfo",
            "./FUMO",
            "./Inbox",
            "./LAWMO",
            "./SCOMO",
            "./SyncML",
            "./Vendor"
        ]
    );
    assert_eq!(complete("./Dev"), ["./DevDetail", "./DevInfo"]);
    assert_eq!(complete("DevI"), ["./DevInfo"]);
    assert_eq!(complete("./DevInfo/M"), ["./DevInfo/Man", "./DevInfo/Mod"]);
    assert_eq!(complete("./LAWMO/Operations/Un"), ["./LAWMO/Operations/UnLock", "./LAWMO/Operations/Unlock"]);
    assert_eq!(complete("./DMAcc/"), ["./DMAcc/<Account>"]);
    assert_eq!(complete("./SyncML"), ["./SyncML/DMAcc"]);
    assert_eq!(complete("./DMAcc/mine/AppAuth/a/AAuthS"), ["./DMAcc/mine/AppAuth/a/AAuthSecret"]);
    // A whole address gives what is below it.
    assert_eq!(complete("./LAWMO/LAWMOConfig"), ["./LAWMO/LAWMOConfig/NotifyUser"]);
    assert_eq!(complete("./DevInfo/Mod"), ["./DevInfo/Mod"]);
    for nothing in ["./Nope", "./DevInfo/Mod/", "../", "./A//b"] {
        assert!(complete(nothing).is_empty(), "{nothing}");
    }
    let found = &registry.complete("./DMAcc/", &Mounts::default())[0];
    assert!(found.placeholder && found.more && found.node.as_ref().unwrap().df.access.has(Verb::Add));
    assert_eq!(found.object.as_deref(), Some("DMAcc"));
}

fn leaf_of(name: &str, access: &str, format: &str) -> String {
    format!(
        "<Node><NodeName>{name}</NodeName><DFProperties><AccessType>{access}</AccessType><DFFormat><{format}/></DFFormat>\
         <DFType><MIME/></DFType></DFProperties></Node>"
    )
}

fn leaf(name: &str, access: &str, format: &str) -> String {
    format!(
        "<MgmtTree><VerDTD>1.2</VerDTD>{}</MgmtTree>",
        leaf_of(name, access, format).replace("<DFProperties>", "<Path>./V</Path><DFProperties>")
    )
}

fn described(name: &str, document: &str) -> Vec<Object> {
    let read = ddf::read(document.as_bytes(), Encoding::Xml, &ddf::Limits::default()).expect("a description");
    Object::of_ddf(name, read.ddf, Origin::Imported).expect("an object")
}

fn uri(text: &str) -> TreeUri {
    TreeUri::parse(text).expect("an address")
}
