//! What is broken, cut short or too much is refused with a typed error and its place, never with a panic.

mod common;

use common::{manifest, octets, own_data};
use postern_wire::syncml::{DecodeError, DecodeErrorKind, Encoding, Limits, decode, decode_commands};

#[test]
fn cod_25_a_message_cut_at_any_octet_is_refused() {
    let rows = manifest(&own_data());
    let messages = rows.iter().filter(|row| row.kind == "syncml-message" && row.encoding != "hex");
    for row in messages.filter(|row| row.path.contains("own_")) {
        let (body, encoding) = (octets(&own_data(), row), encoding_of(&row.encoding));
        let end = body.iter().rposition(|octet| !octet.is_ascii_whitespace()).unwrap();
        for cut in 0..=end {
            let error = decode(&body[..cut], encoding, &Limits::default()).expect_err(&row.path);
            assert!(error.place.offset <= cut, "{}: {error} of {cut}", row.path);
        }
    }
}

#[test]
fn cod_25_any_octet_changed_in_any_way_never_makes_a_reader_panic() {
    for path in ["omadm/wbxml/own_02_pkg2_407_chal_md5.wbxml", "omadm/xml/own_06_next_message_1222.xml"] {
        let body = std::fs::read(own_data().join(path)).unwrap();
        let encoding = if path.ends_with(".xml") { Encoding::Xml } else { Encoding::Wbxml };
        for at in 0..body.len() {
            for value in [
                0, 1, 2, 3, 4, b'&', b'<', b'>', b'/', 0x40, 0x43, 0x45, 0x54, 0x7F, 0x80, 0x83, 0xC3, 0xEF,
                0xFF,
            ] {
                let mut changed = body.clone();
                changed[at] = value;
                let _ = decode(&changed, encoding, &Limits::default());
            }
        }
    }
}

#[test]
fn cod_25_what_wbxml_does_not_allow_is_named() {
    let table =
        |length: &[u8], content: &[u8], rest: &[u8]| [b"\x02\xA4\x01\x6A", length, content, rest].concat();
    let cases: &[(&str, Vec<u8>, DecodeErrorKind, usize)] = &[
        ("a token that no page has", body(b"\x70"), token(0x70, 0), 8),
        ("a reserved token", body(b"\x05"), DecodeErrorKind::Truncated, 10),
        ("an attribute", body(b"\x93"), token(0x93, 0), 8),
        ("a literal with attributes", body(b"\x84\x00"), token(0x84, 0), 8),
        ("an extension", body(b"\x40x\x00"), token(0x40, 0), 8),
        ("an extension of one octet", body(b"\xC0"), token(0xC0, 0), 8),
        ("a processing instruction", body(b"\x43\x01"), token(0x43, 0), 8),
        ("a page that SyncML does not have", body(b"\x00\x03"), DecodeErrorKind::CodePage(3), 8),
        ("a token of another page", body(b"\x00\x01\x57"), token(0x57, 1), 10),
        ("a token beyond TNDS", body(b"\x00\x02\x7D"), token(0x7D, 2), 10),
        ("a string table beyond the input", table(b"\x7F", b"", b"\x6D"), DecodeErrorKind::Truncated, 6),
        (
            "a string table beyond the limit",
            table(b"\xA0\x01", b"", b""),
            limit("octets of string table", 4096),
            4,
        ),
        ("a reference beyond the table", body(b"\x53\x4B\x83\x01"), DecodeErrorKind::StringTable(1), 10),
        ("a literal beyond the table", body(b"\x44\x01"), DecodeErrorKind::StringTable(1), 8),
        ("opaque octets beyond the input", body(b"\x53\x54\x4F\xC3\x7Fx"), DecodeErrorKind::Truncated, 14),
        (
            "opaque octets of 4 GiB",
            body(b"\x53\x54\x4F\xC3\x8F\xFF\xFF\xFF\x7F"),
            DecodeErrorKind::Truncated,
            17,
        ),
        (
            "an integer of 33 bits",
            body(b"\x53\x54\x4F\xC3\x90\x80\x80\x80\x00"),
            DecodeErrorKind::MultiOctet,
            12,
        ),
        (
            "an integer without end",
            body(b"\x53\x54\x4F\xC3\x80\x80\x80\x80\x80\x80\x00"),
            DecodeErrorKind::MultiOctet,
            12,
        ),
        ("a string without end", body(b"\x53\x4B\x03abc"), DecodeErrorKind::Truncated, 14),
        (
            "an entity that is no character",
            body(b"\x53\x4B\x02\x83\xB0\x00"),
            DecodeErrorKind::Character(0xD800),
            10,
        ),
        ("text that is not UTF-8", body(b"\x53\x4B\x03\xFF\x00\x01"), DecodeErrorKind::NotUtf8, 13),
        ("something after the end", body(b"\x01\x01\x01"), DecodeErrorKind::Trailing, 10),
        (
            "another character set",
            b"\x02\xA4\x01\x04\x00\x6D".to_vec(),
            DecodeErrorKind::CharacterEncoding("MIBenum 4".to_owned()),
            3,
        ),
        (
            "another document type",
            b"\x02\x0B\x6A\x00\x45".to_vec(),
            DecodeErrorKind::NotSyncMl("its public identifier is 0xB".to_owned()),
            1,
        ),
        (
            "an identifier beyond the table",
            b"\x02\x00\x05\x6A\x00\x6D".to_vec(),
            DecodeErrorKind::StringTable(5),
            1,
        ),
        (
            "another root",
            b"\x02\xA4\x01\x6A\x00\x2C".to_vec(),
            DecodeErrorKind::NotSyncMl("the root element is SyncHdr".to_owned()),
            5,
        ),
        ("nothing", Vec::new(), DecodeErrorKind::Empty, 0),
    ];
    for (what, message, kind, offset) in cases {
        let error = decode(message, Encoding::Wbxml, &Limits::default()).expect_err(what);
        // 05 is Add without content: legal, and then the message ends too early.
        let offset = if *what == "a reserved token" { message.len() } else { *offset };
        assert_eq!((&error.kind, error.place.offset), (kind, offset), "{what}: {error}");
    }
}

#[test]
fn cod_25_depth_is_bounded_in_both_encodings() {
    let refused = limit("open elements", 32);
    for content in ["<Sequence>", "<Frob>", "<Add><Item><Data><Node>"] {
        let text = format!("<SyncML><SyncHdr/><SyncBody>{}", content.repeat(10_000));
        assert_eq!(kind(text.as_bytes(), Encoding::Xml), refused, "{content}");
    }
    for content in [&b"\x64"[..], b"\x57", b"\x5A\x00\x01\x4E\x00\x00", b"\x45\x54\x4F\x00\x02\x64"] {
        assert_eq!(kind(&body(&content.repeat(10_000)), Encoding::Wbxml), refused, "{content:02X?}");
    }
    // As deep as the limit is no error of depth.
    let text = format!(
        "<SyncML><SyncHdr/><SyncBody>{}{}</SyncBody></SyncML>",
        "<Sequence>".repeat(30),
        "</Sequence>".repeat(30)
    );
    assert!(decode(text.as_bytes(), Encoding::Xml, &Limits::default()).is_ok());
}

#[test]
fn every_bound_of_the_limits_is_kept() {
    let limits = Limits {
        message_octets: 2_000,
        depth: 32,
        elements: 60,
        commands: 5,
        items: 4,
        text_octets: 50,
        attributes: 2,
        unfolded_octets: 40,
        number_digits: 6,
        ..Limits::default()
    };
    for (what, content) in [
        ("octets", format!("<!--{}-->", "x".repeat(2_000))),
        ("elements", "<Put><X/><X/><X/><X/><X/><X/><X/><X/><X/><X/><X/><X/></Put>".repeat(5)),
        ("commands", "<Get/>".repeat(6)),
        ("commands", format!("<Sequence>{}</Sequence>", "<Get/>".repeat(5))),
        ("items", "<Get><Item/><Item/></Get>".repeat(3)),
        ("octets of text", format!("<Get><Item><Data>{}</Data></Item></Get>", "x".repeat(51))),
        (
            "octets of text",
            format!("<Get><Item><Data>{}</Data></Item></Get>", "x&#13;<![CDATA[y]]>".repeat(20)),
        ),
        ("octets of text", format!("<Get><Item><Data><a>{}</a></Data></Item></Get>", "x<b/>".repeat(20))),
        ("attributes of one element", "<Get a='1' b='2' c='3'/>".to_owned()),
    ] {
        let text = format!("<SyncML><SyncHdr/><SyncBody>{content}</SyncBody></SyncML>");
        let error = decode(text.as_bytes(), Encoding::Xml, &limits).expect_err(what);
        assert!(
            matches!(error.kind, DecodeErrorKind::Limit { what: found, .. } if found == what),
            "{what}: {error}"
        );
    }
    let number = "<SyncML><SyncHdr/><SyncBody><Get><CmdID>0000001</CmdID></Get></SyncBody></SyncML>";
    let error = decode(number.as_bytes(), Encoding::Xml, &limits).unwrap_err();
    assert!(matches!(error.kind, DecodeErrorKind::Number { element: "CmdID", .. }), "{error}");
    let strings =
        [&b"\x02\xA4\x01\x6A\x0B0123456789\x00\x6D\x2C\x6B\x69"[..], &b"\x6F\x83\x00\x01".repeat(5)].concat();
    let error = decode(&strings, Encoding::Wbxml, &limits).unwrap_err();
    assert_eq!(error.kind, limit("octets unfolded from the string table", 40));
}

#[test]
fn xml_that_is_not_well_formed_is_refused() {
    let around = |content: &str| format!("<SyncML><SyncHdr/><SyncBody>{content}</SyncBody></SyncML>");
    for content in [
        "<Get>",
        "</Get>",
        "<Get></Add>",
        "<Get",
        "<Get a>",
        "<Get a=b/>",
        "<Get a='1' a='2'/>",
        "<Get a='<'/>",
        "<1/>",
        "<Get><Lang>a & b</Lang></Get>",
        "<Get><Lang>a &amp b</Lang></Get>",
        "<![CDATA[",
        "<!-- ",
        "<?pi",
        "<!DOCTYPE SyncML>",
        "<?xml version='1.0'?>",
        "\u{1}",
        "\u{FFFE}",
        "&#1;",
        "<a:b:c/>",
        "<Get><Item><Data><a/b/></Data></Item></Get>",
        "<:Get/>",
        "<x:/>",
    ] {
        assert!(decode(around(content).as_bytes(), Encoding::Xml, &Limits::default()).is_err(), "{content}");
    }
    let whole = around("");
    for text in [
        format!("{whole}{whole}"),
        format!("{whole}x"),
        format!("x{whole}"),
        format!("{whole}<!DOCTYPE SyncML>"),
        format!("{whole}</SyncML>"),
        format!("<!DOCTYPE SyncML><!DOCTYPE SyncML>{whole}"),
        format!("<!DOCTYPE SyncML><?xml version='1.0'?>{whole}"),
        "<SyncML>".repeat(30),
        String::new(),
        " ".to_owned(),
        "<?xml version='1.0'?>".to_owned(),
        "<html/>".to_owned(),
        whole.replace("<SyncML", "<SyncML xmlns='http://www.w3.org/1999/xhtml'"),
    ] {
        assert!(decode(text.as_bytes(), Encoding::Xml, &Limits::default()).is_err(), "{text}");
    }
    assert!(decode(format!("{whole}\n<!-- end -->\n").as_bytes(), Encoding::Xml, &Limits::default()).is_ok());
}

#[test]
fn an_error_names_its_place() {
    let text = "<SyncML>\n <SyncHdr/>\n <SyncBody>\n  <Get><CmdID>é</CmdID><Item><Data>&lol;</Data></Item></Get></SyncBody></SyncML>";
    let error = decode(text.replace('é', "1").as_bytes(), Encoding::Xml, &Limits::default()).unwrap_err();
    assert_eq!(error.place.line_column, Some((4, 36)));
    assert_eq!(error.place.path, "/SyncML/SyncBody/Get/Item/Data");
    assert_eq!(&text.replace('é', "1")[error.place.offset..][..5], "&lol;");
    assert_eq!(
        error.to_string(),
        "the reference &lol; is refused: only the predefined ones and character references are read, at line 4 column 36 (octet 68), in /SyncML/SyncBody/Get/Item/Data"
    );
    assert_eq!(error.slug(), "message-reference");
    let error = decode(text.as_bytes(), Encoding::Xml, &Limits::default()).unwrap_err();
    assert_eq!(
        (error.kind, error.place.path.as_str()),
        (DecodeErrorKind::Number { element: "CmdID", text: "é".to_owned() }, "/SyncML/SyncBody/Get")
    );
    let shifted = "\u{FEFF}<SyncML>\0\0<SyncHdr/><SyncBody>&lol;</SyncBody></SyncML>";
    let error = decode(shifted.as_bytes(), Encoding::Xml, &Limits::default()).unwrap_err();
    assert_eq!(&shifted[error.place.offset..][..5], "&lol;");
    let error = decode(&body(b"\x53\x54\x4F\x70"), Encoding::Wbxml, &Limits::default()).unwrap_err();
    assert_eq!(
        (error.place.path.as_str(), error.place.line_column),
        ("/SyncML/SyncBody/Get/Item/Data", None)
    );
}

#[test]
fn a_hostile_fragment_is_refused_too() {
    for text in ["<!DOCTYPE a [<!ENTITY x 'y'>]><Get/>", "<Get>&x;</Get>", "\u{1}"] {
        assert!(decode_commands(text.as_bytes(), &Limits::default()).is_err(), "{text}");
    }
    let deep = "<Sequence>".repeat(100_000);
    assert!(decode_commands(deep.as_bytes(), &Limits::default()).is_err());
}

/// WBXML with an empty SyncHdr; SyncBody, left open, holds this.
fn body(content: &[u8]) -> Vec<u8> {
    [&b"\x02\xA4\x01\x6A\x00\x6D\x2C\x6B"[..], content].concat()[..].to_vec()
}

fn kind(message: &[u8], encoding: Encoding) -> DecodeErrorKind {
    let refused: Result<_, DecodeError> = decode(message, encoding, &Limits::default());
    refused.expect_err("a message to be refused").kind
}

fn token(token: u8, page: u8) -> DecodeErrorKind {
    DecodeErrorKind::Token { token, page }
}

fn limit(what: &'static str, limit: usize) -> DecodeErrorKind {
    DecodeErrorKind::Limit { what, limit }
}

fn encoding_of(name: &str) -> Encoding {
    if name == "xml" { Encoding::Xml } else { Encoding::Wbxml }
}
