//! The codec's rules, by the ids of docs/CONFORMANCE.md (COD-nn), on messages made here.

mod common;

use common::{decode_row, manifest, own_data};
use postern_wire::syncml::{
    Command, Data, DecodeError, DecodeErrorKind, Decoded, EncodeError, Encoding, Item, Limits, Location,
    MediaType, Message, MimeFamily, PublicId, Request, Style, Version, decode, decode_commands, decode_tree,
    encode,
};

#[test]
fn cod_01_a_first_package_is_read() {
    let Decoded { message, style, repairs } = own("omadm/xml/own_01_pkg1_nocred_1201.xml");
    assert_eq!((message.header.ver_dtd.as_str(), message.header.ver_proto.as_str()), ("1.2", "DM/1.2"));
    let [Command::Alert(alert), Command::Replace(replace)] = &message.body[..] else {
        panic!("{:?}", message.body)
    };
    assert_eq!((alert.code, replace.items.len(), message.is_final), (1201, 5, true));
    assert_eq!((style, repairs.any()), (Style::xml(Version::V1_2), false));
}

#[test]
fn cod_02_dm_1_1_keeps_its_versions() {
    let text = xml("").replace("1.2", "1.1");
    let decoded = read(&text).unwrap();
    assert_eq!((decoded.message.version, decoded.style.version), (Version::V1_1, Version::V1_1));
    let written = encode(&decoded.message, &decoded.style).unwrap();
    assert!(
        String::from_utf8(written)
            .unwrap()
            .starts_with("<SyncML xmlns=\"SYNCML:SYNCML1.1\"><SyncHdr><VerDTD>1.1<")
    );
    let nameless = text.replace(" xmlns=\"SYNCML:SYNCML1.1\"", "");
    assert_eq!(
        read(&nameless).unwrap().message.version,
        Version::V1_1,
        "VerDTD tells where no namespace does"
    );
}

#[test]
fn cod_03_what_is_written_is_in_dtd_order() {
    let disorder = "<Alert><Item><MoreData/><Data>d</Data><Meta><Size xmlns='syncml:metinf'>1</Size><Mark>m</Mark>\
        <EMI>e</EMI><MaxObjSize>4</MaxObjSize><MaxMsgSize>3</MaxMsgSize><NextNonce>n</NextNonce><Version>v</Version>\
        <Type>t</Type><Format>f</Format></Meta><Source><LocName>n</LocName><LocURI>s</LocURI></Source>\
        <Target><LocURI>t</LocURI></Target></Item><Correlator>c</Correlator><Data>1226</Data><NoResp/><CmdID>1</CmdID></Alert>\
        <Exec><Item/><Correlator>c</Correlator><Meta><Type>t</Type></Meta><CmdID>2</CmdID></Exec>\
        <Status><Item/><Data>200</Data><Chal><Meta><Type>t</Type></Meta></Chal><Cred><Data>x</Data><Meta><Type>t</Type></Meta></Cred>\
        <SourceRef>s</SourceRef><TargetRef>t</TargetRef><Cmd>Get</Cmd><CmdRef>2</CmdRef><MsgRef>1</MsgRef><CmdID>3</CmdID></Status>\
        <Results><Item/><SourceRef>s</SourceRef><TargetRef>t</TargetRef><Meta><Type>t</Type></Meta><CmdRef>2</CmdRef><MsgRef>1</MsgRef><CmdID>4</CmdID></Results>\
        <Atomic><Get><Item/><CmdID>6</CmdID></Get><Meta><Type>t</Type></Meta><CmdID>5</CmdID></Atomic>";
    let header = "<SyncHdr><Meta><MaxMsgSize>9</MaxMsgSize></Meta><Cred><Data>c</Data></Cred><NoResp/><RespURI>r</RespURI>\
        <Source><LocURI>s</LocURI></Source><Target><LocURI>t</LocURI></Target><MsgID>1</MsgID><SessionID>1</SessionID>\
        <VerProto>DM/1.2</VerProto><VerDTD>1.2</VerDTD></SyncHdr>";
    let text = format!("<SyncML><SyncBody><Final/>{disorder}</SyncBody>{header}</SyncML>");
    let decoded = read(&text).unwrap();
    let written = String::from_utf8(encode(&decoded.message, &decoded.style).unwrap()).unwrap();
    let names: String =
        written.split('<').skip(1).filter(|part| !part.starts_with('/')).fold(String::new(), |all, part| {
            let end = part.find([' ', '>', '/']).unwrap();
            all + &part[..end] + " "
        });
    assert_eq!(
        names,
        "SyncML SyncHdr VerDTD VerProto SessionID MsgID Target LocURI Source LocURI RespURI NoResp Cred Data Meta MaxMsgSize \
         SyncBody Alert CmdID NoResp Data Correlator Item Target LocURI Source LocURI LocName Meta Format Type Mark Size \
         Version NextNonce MaxMsgSize MaxObjSize EMI Data MoreData \
         Exec CmdID Meta Type Correlator Item \
         Status CmdID MsgRef CmdRef Cmd TargetRef SourceRef Cred Meta Type Data Chal Meta Type Data Item \
         Results CmdID MsgRef CmdRef Meta Type TargetRef SourceRef Item \
         Atomic CmdID Meta Type Get CmdID Item Final "
    );
    assert_eq!(read(&written).unwrap().message, decoded.message);
}

#[test]
fn cod_04_the_order_of_elements_does_not_matter() {
    let ordered = "<Status><CmdID>1</CmdID><MsgRef>1</MsgRef><CmdRef>2</CmdRef><Cmd>Alert</Cmd><Data>200</Data></Status>";
    let disordered = "<Status><MsgRef>1</MsgRef><Data>200</Data><CmdRef>2</CmdRef><Cmd>Alert</Cmd><CmdID>1</CmdID></Status>";
    assert_eq!(read(&xml(ordered)).unwrap(), read(&xml(disordered)).unwrap());
}

#[test]
fn cod_05_a_status_without_cmd_ref_is_about_the_header() {
    let decoded = read(&xml("<Status><CmdID>1</CmdID><Cmd>SyncHdr</Cmd><Data>212</Data></Status>")).unwrap();
    let [Command::Status(status)] = &decoded.message.body[..] else { panic!() };
    assert_eq!((status.cmd_ref, status.msg_ref, status.cmd.as_str(), status.code), (0, None, "SyncHdr", 212));
}

#[test]
fn cod_06_namespaces_may_be_given_prefixed_or_missing() {
    let plain =
        "<Get><CmdID>1</CmdID><Item><Meta><Format>chr</Format><Type>text/plain</Type></Meta></Item></Get>";
    let declared = plain
        .replace("<Format>", "<Format xmlns=\"syncml:metinf\">")
        .replace("<Type>", "<Type xmlns='syncml:metinf' >");
    let prefixed = plain
        .replace("<Meta>", "<Meta xmlns:m=\"syncml:metinf\">")
        .replace("Format>", "m:Format>")
        .replace("Type>", "m:Type>");
    let expected = read(&xml(plain)).unwrap().message;
    for text in [&xml(&declared), &xml(&prefixed), &xml(plain).replace(" xmlns=\"SYNCML:SYNCML1.2\"", "")] {
        assert_eq!(read(text).unwrap().message, expected, "{text}");
    }
    let all =
        xml(plain).replace("</", "</s:").replace("s:", "@").replace('<', "<s:").replace("<s:/@", "</s:");
    let all = all.replace("<s:SyncML xmlns=", "<s:SyncML xmlns:s=");
    assert_eq!(read(&all).unwrap().message, expected, "{all}");
    let written = String::from_utf8(encode(&expected, &Style::xml(Version::V1_2)).unwrap()).unwrap();
    assert!(written.contains(
        "<Format xmlns=\"syncml:metinf\">chr</Format><Type xmlns=\"syncml:metinf\">text/plain</Type>"
    ));
}

#[test]
fn cod_07_a_met_inf_wrapper_changes_nothing() {
    let plain = "<Get><CmdID>1</CmdID><Item><Meta><Format>chr</Format><Size>3</Size></Meta></Item></Get>";
    let wrapped = plain
        .replace("<Meta>", "<Meta><MetInf xmlns='syncml:metinf'>")
        .replace("</Meta>", "</MetInf></Meta>");
    assert_eq!(read(&xml(plain)).unwrap(), read(&xml(&wrapped)).unwrap());
}

#[test]
fn cod_08_special_characters_survive_a_round_trip() {
    for text in ["a & b <c>", "]]>", "\r\n\t ", "&#0;&lt;", "\u{1F600} é", "<![CDATA[x]]>", "'\""] {
        let message = message_with(Data::Text(text.to_owned()));
        for style in [Style::xml(Version::V1_2), Style::wbxml(Version::V1_2)] {
            let written = encode(&message, &style).unwrap();
            assert_eq!(
                decode(&written, style.encoding, &Limits::default()).unwrap().message,
                message,
                "{text:?}"
            );
        }
    }
}

#[test]
fn cod_09_cdata_is_kept_verbatim_and_joined_with_what_surrounds_it() {
    let inner = "<a b=\"c\">&amp;</a>";
    assert_eq!(data_of(&format!("<![CDATA[{inner}]]>")), Data::Text(inner.to_owned()));
    assert_eq!(
        data_of("x<![CDATA[<]]>&#121;<!-- no -->&lt;<?pi?>z<![CDATA[]]>"),
        Data::Text("x<y<z".to_owned())
    );
}

#[test]
fn cod_10_white_space_between_elements_is_dropped_and_inside_values_kept() {
    let pretty = "\n <Get>\n\t<CmdID> 1 </CmdID>\r\n <Item> <Target> <LocURI> ./A B </LocURI> </Target> <Data>\n x </Data></Item> </Get>\n";
    let decoded = read(&format!("\n\n<?xml version='1.0'?>\n{}", xml(pretty))).unwrap();
    assert_eq!(
        decoded.message.body,
        [Command::Get(Request {
            cmd_id: 1,
            items: vec![Item {
                target: Some(Location::uri(" ./A B ")),
                data: Some(Data::Text("\n x ".to_owned())),
                ..Item::default()
            }],
            ..Request::default()
        })]
    );
    assert!(!decoded.repairs.any());
}

#[test]
fn cod_11_an_empty_element_is_there_however_it_is_written() {
    let (short, long) = (
        "<Add><Item><Data/><MoreData/></Item><Item/></Add><Final/>",
        "<Add><Item><Data></Data><MoreData> </MoreData></Item><Item></Item></Add><Final></Final>",
    );
    assert_eq!(read(&body(short)).unwrap(), read(&body(long)).unwrap());
    let decoded = read(&body(short)).unwrap();
    let [Command::Add(add)] = &decoded.message.body[..] else { panic!() };
    assert_eq!((add.items[0].data.clone(), add.items[0].more_data), (Some(Data::default()), true));
    assert_eq!((add.items[1].data.clone(), decoded.message.is_final), (None, true));
}

#[test]
fn cod_12_an_unknown_element_is_read_over_and_counted() {
    let decoded = read(&xml("<Frobnicate><X><CmdID>9</CmdID></X><CmdID>7</CmdID></Frobnicate><Put/><Get><CmdID>8</CmdID><Lang>en</Lang><x:Y xmlns:x='u'>t</x:Y></Get>")).unwrap();
    assert_eq!(
        decoded.message.body,
        [
            Command::Unknown { name: "Frobnicate".to_owned(), cmd_id: Some(7) },
            Command::Unknown { name: "Put".to_owned(), cmd_id: None },
            Command::Get(Request { cmd_id: 8, ..Request::default() }),
        ]
    );
    assert_eq!(decoded.repairs.unknown_elements, 4);
}

#[test]
fn cod_13_a_doctype_without_an_internal_subset_is_accepted() {
    for doctype in [
        "<!DOCTYPE SyncML PUBLIC '-//SYNCML//DTD SyncML 1.2//EN' 'http://127.0.0.1:9/never-fetched[1].dtd'>",
        "<!DOCTYPE SyncML>",
        "<!DOCTYPE SyncML SYSTEM \"file:///etc/passwd\">",
    ] {
        assert!(read(&format!("<?xml version=\"1.0\"?>{doctype}{}", xml(""))).is_ok(), "{doctype}");
    }
}

#[test]
fn cod_13_an_internal_dtd_subset_is_refused() {
    let laughs = "<!DOCTYPE SyncML [<!ENTITY lol \"lol\"><!ENTITY lol2 \"&lol;&lol;&lol;\">]>";
    for doctype in [
        laughs,
        "<!DOCTYPE SyncML [ ]>",
        "<!DOCTYPE SyncML SYSTEM 'x' [<!ENTITY % p SYSTEM 'http://127.0.0.1:9/'>%p;]>",
    ] {
        assert_eq!(kind(&format!("{doctype}{}", xml(""))), DecodeErrorKind::InternalSubset, "{doctype}");
    }
}

#[test]
fn cod_13_a_reference_to_an_entity_is_refused() {
    for (reference, name) in
        [("&lol;", "lol"), ("&nbsp;", "nbsp"), ("&xxe;", "xxe"), ("&#;", "#"), ("&#X41;", "#X41")]
    {
        let text = xml(&format!("<Add><Item><Data>{reference}</Data></Item></Add>"));
        assert_eq!(kind(&text), DecodeErrorKind::Reference(name.to_owned()), "{reference}");
    }
    let attribute = xml("<Add x='&lol;'/>");
    assert_eq!(kind(&attribute), DecodeErrorKind::Reference("lol".to_owned()));
}

#[test]
fn cod_14_only_utf_8_is_read_with_or_without_its_mark() {
    let plain = read(&xml("")).unwrap();
    for prologue in [
        "\u{FEFF}",
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
        "\u{FEFF}<?xml version='1.0' encoding='utf-8' standalone='yes'?>\n",
        "<?xml version='1.0' encoding='ISO-8859-1'?>",
    ] {
        assert_eq!(read(&format!("{prologue}{}", xml(""))).unwrap(), plain, "{prologue}");
    }
    let little: Vec<u8> = xml("").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = xml("").encode_utf16().flat_map(u16::to_be_bytes).collect();
    for body in [&little, &big, &[&b"\xFF\xFE"[..], &little].concat(), &[&b"\xFE\xFF"[..], &big].concat()] {
        let error = decode(body, Encoding::Xml, &Limits::default()).unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::CharacterEncoding("UTF-16".to_owned()));
    }
    let declared = format!("<?xml version='1.0' encoding='ISO-8859-1'?>{}", xml("<Get><Lang>é</Lang></Get>"));
    assert_eq!(kind(&declared), DecodeErrorKind::CharacterEncoding("ISO-8859-1".to_owned()));
    let broken = [xml("").as_bytes(), b"\xC3"].concat();
    let error = decode(&broken, Encoding::Xml, &Limits::default()).unwrap_err();
    assert_eq!((error.kind, error.place.offset), (DecodeErrorKind::NotUtf8, broken.len() - 1));
}

#[test]
fn cod_16_17_18_every_header_form_and_version_is_read_and_mirrored() {
    let same = own("omadm/xml/own_03_pkg1_md5.xml").message;
    for (variant, public_id, version) in [
        ("", PublicId::Numeric, 2),
        ("_v11", PublicId::Numeric, 1),
        ("_v13", PublicId::Numeric, 2),
        ("_strtbl", PublicId::Numeric, 2),
        ("_fpi", PublicId::InTable, 2),
        ("_fpinul", PublicId::InTable, 2),
    ] {
        let decoded = own(&format!("omadm/wbxml/own_03_pkg1_md5{variant}.wbxml"));
        assert_eq!(decoded.message, same, "{variant}");
        assert_eq!((decoded.style.public_id, decoded.style.wbxml_version), (public_id, version), "{variant}");
        let written = encode(&decoded.message, &decoded.style).unwrap();
        let again = decode(&written, Encoding::Wbxml, &Limits::default()).unwrap();
        assert_eq!((again.message, again.style), (decoded.message, decoded.style), "{variant}");
    }
}

#[test]
fn cod_16_the_public_identifier_is_written_without_nul_as_29_octets() {
    let style = Style { public_id: PublicId::InTable, ..Style::wbxml(Version::V1_2) };
    let written = encode(&message_with(Data::default()), &style).unwrap();
    assert_eq!(&written[..5], [0x02, 0x00, 0x00, 0x6A, 0x1D]);
    assert_eq!(&written[5..36], b"-//SYNCML//DTD SyncML 1.2//EN\x6D\x6C");
}

#[test]
fn cod_18_an_unknown_public_identifier_falls_back_to_the_root() {
    let mut written = encode(&message_with(Data::default()), &Style::wbxml(Version::V1_1)).unwrap();
    written.splice(1..3, [0x01]);
    let decoded = decode(&written, Encoding::Wbxml, &Limits::default()).unwrap();
    assert_eq!((decoded.style.public_id, decoded.message.version), (PublicId::Unknown, Version::V1_2));
    for (octet, version) in [(0x00, 0x00), (0x04, 0x04)] {
        written[0] = octet;
        let error = decode(&written, Encoding::Wbxml, &Limits::default()).unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::WbxmlVersion(version));
    }
}

#[test]
fn cod_21_the_code_page_is_running_state() {
    // Meta, page 1: Format "chr", END (of Meta) while still on page 1; then page 0 for Data.
    let body =
        b"\x53\x4B\x031\x00\x01\x54\x5A\x00\x01\x47\x03chr\x00\x01\x01\x00\x00\x4F\x03v\x00\x01\x01\x01";
    let decoded = decode(&wbxml(body), Encoding::Wbxml, &Limits::default()).unwrap();
    let [Command::Get(get)] = &decoded.message.body[..] else { panic!() };
    assert_eq!(
        (get.items[0].meta.format.as_deref(), get.items[0].data.clone()),
        (Some("chr"), Some(Data::from("v")))
    );
    // The same with a needless switch pair for each element, as the SyncML RTK writes.
    let pairs = b"\x53\x00\x00\x4B\x031\x00\x01\x54\x5A\x00\x01\x47\x03chr\x00\x00\x00\x01\x00\x00\x01\x4F\x03v\x00\x01\x01\x01";
    assert_eq!(decode(&wbxml(pairs), Encoding::Wbxml, &Limits::default()).unwrap().message, decoded.message);
}

#[test]
fn cod_22_opaque_octets_are_kept() {
    let long: Vec<u8> = (0..=255).cycle().take(40_000).collect();
    for octets in [&b"\x00\xFFabc\x00"[..], &[0x80; 200], &long] {
        let message = message_with(Data::Binary(octets.to_vec()));
        let written = encode(&message, &Style::wbxml(Version::V1_2)).unwrap();
        assert_eq!(decode(&written, Encoding::Wbxml, &Limits::default()).unwrap().message, message);
    }
}

#[test]
fn cod_23_binary_is_opaque_in_wbxml_and_base64_in_xml() {
    let mut message = message_with(Data::Binary(vec![0, 0xFF, 1]));
    let [Command::Replace(replace)] = &mut message.body[..] else { panic!() };
    replace.items[0].meta.format = Some("bin".to_owned());
    let written = String::from_utf8(encode(&message, &Style::xml(Version::V1_2)).unwrap()).unwrap();
    assert!(
        written.contains("<Format xmlns=\"syncml:metinf\">b64</Format></Meta><Data>AP8B</Data>"),
        "{written}"
    );
    let written = encode(&message, &Style::wbxml(Version::V1_2)).unwrap();
    assert!(written.windows(5).any(|part| part == b"\xC3\x03\x00\xFF\x01"));
}

#[test]
fn cod_24_a_tree_is_the_same_inline_in_octets_and_in_text() {
    let data = |path: &str| std::fs::read(own_data().join(path)).unwrap();
    let limits = Limits::default();
    let tree = decode_tree(&data("omadm/bootstrap/dm_tnds.xml"), Encoding::Xml, &limits).unwrap();
    assert!(tree.starts_with("<MgmtTree xmlns=\"syncml:dmddf1.2\"><VerDTD>1.2</VerDTD><Node>"), "{tree}");
    assert_eq!(
        decode_tree(&data("omadm/bootstrap/dm_tnds.wbxml"), Encoding::Wbxml, &limits),
        Ok(tree.clone())
    );
    // A profile carries it as octets inside Data …
    let profile = own("omadm/bootstrap/dm_profile.wbxml").message;
    let octets = profile.body.iter().find_map(|command| match command {
        Command::Add(add) => add.items[0].data.clone(),
        _ => None,
    });
    let Some(Data::Binary(octets)) = octets else { panic!("{octets:?}") };
    assert_eq!(decode_tree(&octets, Encoding::Wbxml, &limits), Ok(tree.clone()));
    // … and between tags it is markup, which XML keeps and WBXML carries as opaque text.
    let message = message_with(Data::Markup(tree.clone()));
    let written = encode(&message, &Style::xml(Version::V1_2)).unwrap();
    assert_eq!(decode(&written, Encoding::Xml, &limits).unwrap().message, message);
    let written = encode(&message, &Style::wbxml(Version::V1_2)).unwrap();
    assert_eq!(decode(&written, Encoding::Wbxml, &limits).unwrap().message, message_with(Data::Text(tree)));
    for (document, encoding) in
        [(&b"<Node/>"[..], Encoding::Xml), (b"<MgmtTree>", Encoding::Xml), (&octets[..99], Encoding::Wbxml)]
    {
        assert!(decode_tree(document, encoding, &limits).is_err());
    }
}

#[test]
fn cod_24_the_elements_of_a_tree_inside_a_wbxml_message_are_markup() {
    // Add(CmdID 1, Item(Meta(Format), Data(page 2: MgmtTree(VerDTD, Node(NodeName, node)))))
    let content = b"\x45\x4B\x031\x00\x01\x54\x5A\x00\x01\x47\x03xml\x00\x01\x01\x00\x00\x4F\
        \x00\x02\x60\x77\x031.2\x00\x01\x64\x66\x03a<\x00\x01\x25\x01\x01\x00\x00\x01\x01\x01";
    let decoded = decode(&wbxml(content), Encoding::Wbxml, &Limits::default()).unwrap();
    let [Command::Add(add)] = &decoded.message.body[..] else { panic!() };
    let tree = "<MgmtTree xmlns=\"syncml:dmddf1.2\"><VerDTD>1.2</VerDTD><Node><NodeName>a&lt;</NodeName><node/></Node></MgmtTree>";
    assert_eq!(add.items[0].data, Some(Data::Markup(tree.to_owned())));
    assert_eq!(
        data_of(&tree.replace("<Node>", "\n <Node>").replace(" xmlns=\"syncml:dmddf1.2\"", "")),
        Data::Markup(tree.to_owned())
    );
}

#[test]
fn cod_24_markup_travels_through_wbxml_as_opaque_text() {
    let markup = "<wap-provisioningdoc version=\"1.0\"><parm/></wap-provisioningdoc>";
    let message = message_with(Data::Markup(markup.to_owned()));
    let written = encode(&message, &Style::wbxml(Version::V1_2)).unwrap();
    let decoded = decode(&written, Encoding::Wbxml, &Limits::default()).unwrap();
    assert_eq!(decoded.message, message_with(Data::Text(markup.to_owned())));
    assert_eq!(data_of(markup), Data::Markup(markup.to_owned()));
}

#[test]
fn cod_26_text_in_pieces_is_joined() {
    // STR_I "a", ENTITY 233, STR_T 2, OPAQUE "b", STR_I "c" inside Data.
    let body = b"\x53\x54\x4F\x03a\x00\x02\x81\x69\x83\x02\xC3\x01b\x03c\x00\x01\x01\x01";
    let mut message = wbxml(body);
    message.splice(4..5, [0x05, b'x', 0, b'y', b'z', 0]);
    let decoded = decode(&message, Encoding::Wbxml, &Limits::default()).unwrap();
    let [Command::Get(get)] = &decoded.message.body[..] else { panic!() };
    assert_eq!(get.items[0].data, Some(Data::from("aéyzbc")));
}

#[test]
fn cod_28_a_reply_goes_out_as_the_request_came_in() {
    for (path, encoding) in [
        ("omadm/xml/own_03_pkg1_md5.xml", Encoding::Xml),
        ("omadm/wbxml/own_03_pkg1_md5_fpi.wbxml", Encoding::Wbxml),
    ] {
        let style = own(path).style;
        assert_eq!(style.encoding, encoding);
        assert_eq!(
            style.with_family(MimeFamily::Plain).media_type(),
            MediaType::of(encoding, MimeFamily::Plain)
        );
    }
}

#[test]
fn ld_14_nuls_are_stripped_and_counted() {
    let text = xml("<Results><CmdID>1</CmdID><Item><Data>n/a\0</Data></Item></Results>\0")
        .replace("n/a", "n&#0;/&#x0;a");
    let decoded = read(&text).unwrap();
    let [Command::Results(results)] = &decoded.message.body[..] else { panic!() };
    assert_eq!((results.items[0].data.clone(), decoded.repairs.nul_stripped), (Some(Data::from("n/a")), 4));
    let opaque = b"\x53\x54\x4F\xC3\x04n/a\x00\x01\x01\x01";
    let decoded = decode(&wbxml(opaque), Encoding::Wbxml, &Limits::default()).unwrap();
    let [Command::Get(get)] = &decoded.message.body[..] else { panic!() };
    assert_eq!((get.items[0].data.clone(), decoded.repairs.nul_stripped), (Some(Data::from("n/a")), 1));
    let many = xml(&"\0".repeat(2000));
    assert!(matches!(kind(&many), DecodeErrorKind::Limit { what: "U+0000 characters", limit: 1024 }));
}

#[test]
fn numbers_that_identify_must_be_numbers_and_codes_may_be_anything() {
    let decoded = read(&xml("<Status><CmdID/><Data>bogus</Data></Status><Alert><CmdID>1</CmdID><Data>-1</Data></Alert><Get><Item><Meta><Size>x</Size></Meta></Item></Get>")).unwrap();
    let [Command::Status(status), Command::Alert(alert), Command::Get(_)] = &decoded.message.body[..] else {
        panic!()
    };
    assert_eq!((status.cmd_id, status.code, alert.code, decoded.repairs.bad_numbers), (0, 0, 0, 3));
    for bad in [
        "<Get><CmdID>x</CmdID></Get>",
        "<Get><CmdID>4294967296</CmdID></Get>",
        "<Get><CmdID>-1</CmdID></Get>",
        "<Status><CmdRef>000000000000000000001</CmdRef></Status>",
        "<Get><Meta><Size>99999999999999999999</Size></Meta></Get>",
    ] {
        assert!(matches!(kind(&xml(bad)), DecodeErrorKind::Number { .. }), "{bad}");
    }
}

#[test]
fn a_header_that_says_something_twice_is_refused() {
    let twice = xml("").replace("<MsgID>1</MsgID>", "<MsgID>1</MsgID><MsgID>2</MsgID>");
    assert_eq!(kind(&twice), DecodeErrorKind::Repeated("MsgID"));
    assert_eq!(
        kind(&xml("").replace("<SyncBody>", "<SyncBody/><SyncBody>")),
        DecodeErrorKind::Repeated("SyncBody")
    );
    assert_eq!(kind("<SyncML><SyncBody/></SyncML>"), DecodeErrorKind::Missing("SyncHdr"));
    assert_eq!(kind("<SyncML><SyncHdr/></SyncML>"), DecodeErrorKind::Missing("SyncBody"));
    assert_eq!(
        read(&xml("<Get><CmdID>1</CmdID><CmdID>2</CmdID></Get>")).unwrap().repairs.repeated_elements,
        1
    );
}

#[test]
fn a_list_of_commands_is_read_without_a_message_around_it() {
    let list = "<?xml version='1.0'?>\n<Get><CmdID>1</CmdID></Get>\n<Exec><CmdID>2</CmdID></Exec>";
    let (commands, _) = decode_commands(list.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(commands.len(), 2);
    for bad in ["", " ", "<Get>", "</Get>", "<Get/><Exec>"] {
        assert!(decode_commands(bad.as_bytes(), &Limits::default()).is_err(), "{bad:?}");
    }
}

#[test]
fn what_an_encoding_cannot_carry_is_a_typed_error() {
    let mut message = message_with(Data::Text("\u{1}".to_owned()));
    assert!(encode(&message, &Style::xml(Version::V1_2)).is_ok(), "Data becomes base64");
    message.header.session_id = "\u{1}".to_owned();
    let refused = Err(EncodeError::Character { element: "SessionID", character: 1 });
    assert_eq!(encode(&message, &Style::xml(Version::V1_2)), refused);
    assert!(encode(&message, &Style::wbxml(Version::V1_2)).is_ok());
    message.header.session_id = "\0".to_owned();
    assert!(encode(&message, &Style::wbxml(Version::V1_2)).is_err());
    for markup in ["<a>", "</a>", "<a></b>", "&x;", "<a", "<a b=c/>"] {
        let message = message_with(Data::Markup(markup.to_owned()));
        for style in [Style::xml(Version::V1_2), Style::wbxml(Version::V1_2)] {
            assert!(matches!(encode(&message, &style), Err(EncodeError::Markup(_))), "{markup}");
        }
    }
}

fn own(path: &str) -> Decoded {
    let row =
        manifest(&own_data()).into_iter().find(|row| row.path == path).expect("a vector of the project");
    decode_row(&own_data(), &row).expect("a good vector")
}

fn read(text: &str) -> Result<Decoded, DecodeError> {
    decode(text.as_bytes(), Encoding::Xml, &Limits::default())
}

fn kind(text: &str) -> DecodeErrorKind {
    read(text).expect_err("a message to be refused").kind
}

/// A message with these commands, and Final.
fn xml(commands: &str) -> String {
    body(&format!("{commands}<Final/>"))
}

fn body(content: &str) -> String {
    format!(
        "<SyncML xmlns=\"SYNCML:SYNCML1.2\"><SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto><SessionID>1</SessionID>\
         <MsgID>1</MsgID><Target><LocURI>t</LocURI></Target><Source><LocURI>s</LocURI></Source></SyncHdr>\
         <SyncBody>{content}</SyncBody></SyncML>"
    )
}

/// WBXML with an empty SyncHdr and this content of SyncBody.
fn wbxml(content: &[u8]) -> Vec<u8> {
    [&b"\x02\xA4\x01\x6A\x00\x6D\x2C\x6B"[..], content, b"\x01\x01"].concat()
}

fn data_of(content: &str) -> Data {
    let decoded =
        read(&xml(&format!("<Add><Item><Data>{content}</Data></Item></Add>"))).expect("a good message");
    let [Command::Add(add)] = &decoded.message.body[..] else { panic!("{decoded:?}") };
    add.items[0].data.clone().expect("Data")
}

fn message_with(data: Data) -> Message {
    let mut message = read(&xml("")).expect("a good message").message;
    let item = Item { target: Some(Location::uri("./A")), data: Some(data), ..Item::default() };
    message.body.push(Command::Replace(Request { cmd_id: 1, items: vec![item], ..Request::default() }));
    message
}
