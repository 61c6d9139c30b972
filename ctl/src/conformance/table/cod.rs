//! COD: the message codec.

use postern_wire::syncml::{Command, Data, Encoding, MediaType, Message, Version};

use super::{
    Obligation::{M, M4, Q},
    Row, rule,
};
use crate::conformance::{
    codec::{wbxml, xml},
    tamper::Thing,
    variant::Variants::{Encodings, Once},
};

/// Alters the Data of the first item of the first command.
fn data(alter: impl FnOnce(&mut Data)) -> impl FnOnce(&mut Message) {
    |message| {
        if let Some(Command::Replace(request) | Command::Add(request)) = message.body.first_mut()
            && let Some(data) = request.items.first_mut().and_then(|item| item.data.as_mut())
        {
            alter(data);
        }
    }
}

pub(super) const ROWS: &[Row] = &[
    rule(
        "COD-01",
        M,
        "REP 6",
        "A first package in 1.2 is read: versions, the alert, five items of DevInfo, Final.",
    )
    .codec(Once, xml::package_1, |p| p.read(|m| m.is_final = false)),
    rule(
        "COD-02",
        Q,
        "",
        "A first package in 1.1 keeps its versions, and what answers it is written in the same.",
    )
    .codec(Once, xml::version_1_1, |p| p.read(|m| m.version = Version::V1_2)),
    rule("COD-03", M, "REP DTD", "Every command is written in the order of the DTD.").codec(
        Once,
        xml::dtd_order,
        |p| {
            p.replace(
                "<VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto>",
                "<VerProto>DM/1.2</VerProto><VerDTD>1.2</VerDTD>",
            )
        },
    ),
    rule("COD-04", Q, "PRO 11", "Elements in another order than the DTD's are read as the same message.")
        .codec(Once, xml::any_order, |p| {
            if p.nth == 1 {
                p.read(|m| m.body.clear())
            }
        }),
    rule("COD-05", Q, "PRO 11.2.3", "A Status without CmdRef whose Cmd is SyncHdr is the header's.").codec(
        Once,
        xml::header_status,
        |p| {
            p.read(|m| {
                if let Some(Command::Status(s)) = m.body.first_mut() {
                    s.cmd_ref = 1
                }
            })
        },
    ),
    rule(
        "COD-06",
        M,
        "META",
        "Meta's children are read with, without and with prefixed namespace; each is written with it.",
    )
    .codec(Once, xml::namespaces, |p| p.replace("<Type xmlns=\"syncml:metinf\">", "<Type>")),
    rule("COD-07", M, "META", "Meta with a MetInf wrapper is read as without it.").codec(
        Once,
        xml::met_inf,
        |p| {
            if p.nth == 1 {
                p.read(|m| m.body.clear())
            }
        },
    ),
    rule("COD-08", M, "REP 6.3.1", "Special characters in Data come back as they were.").codec(
        Encodings,
        xml::escaping,
        |p| {
            p.replace("&amp;", "&amp;amp;");
            p.replace("&", "+")
        },
    ),
    rule("COD-09", M, "REP 6.3.1", "Markup in a CDATA section is kept verbatim as text.").codec(
        Once,
        xml::cdata,
        |p| p.read(data(|d| *d = Data::Markup("<a b=\"c\">&amp;</a>".to_owned()))),
    ),
    rule("COD-10", Q, "", "White space between elements is dropped, in LocURI and Data it stays.").codec(
        Once,
        xml::white_space,
        |p| p.read(data(|d| *d = Data::from("x"))),
    ),
    rule("COD-11", M, "REP 6", "An empty element is the same in its short and its long form.").codec(
        Once,
        xml::empty_elements,
        |p| {
            if p.nth == 1 {
                p.read(data(|d| *d = Data::from(" ")))
            }
        },
    ),
    rule("COD-12", Q, "", "An unknown element is read over, and its command kept so that it can be refused.")
        .codec(Once, xml::unknown_element, |p| {
            p.read(|m| {
                m.body.remove(0);
            })
        }),
    rule("COD-13", Q, "", "A DTD with entities is refused; nothing is fetched and nothing expanded.").codec(
        Once,
        xml::dtd_refused,
        |p| p.accept(),
    ),
    rule(
        "COD-14",
        Q,
        "",
        "UTF-8 is read with and without mark and prolog; another character encoding is refused.",
    )
    .codec(Once, xml::encodings, |p| {
        if p.nth == 1 {
            p.refuse()
        }
    }),
    rule(
        "COD-15",
        M,
        "REP 5.2",
        "WBXML with a numeric public identifier is the message that its XML twin is.",
    )
    .codec(Once, wbxml::numeric, |p| {
        if p.nth == 3 {
            p.read(|m| m.header.msg_id += 1)
        }
    }),
    rule(
        "COD-16",
        M,
        "REP 5.2",
        "WBXML with the identifier's text in the string table, without NUL, is read by the table's length.",
    )
    .codec(Once, wbxml::in_table, |p| {
        if p.nth == 1 {
            p.refuse()
        }
    }),
    rule("COD-17", Q, "", "WBXML with a NUL behind the identifier's text is read too.").codec(
        Once,
        wbxml::in_table_with_nul,
        |p| {
            if p.nth == 1 {
                p.refuse()
            }
        },
    ),
    rule("COD-18", M, "REP 5.2", "WBXML 1.1, 1.2 and 1.3 are read.").codec(Once, wbxml::versions, |p| {
        if p.nth == 3 {
            p.refuse()
        }
    }),
    rule("COD-19", M, "WBXML 5.8.4", "Text out of the string table is read as inline text.").codec(
        Once,
        wbxml::string_table,
        |p| {
            if p.nth == 1 {
                p.read(|m| m.header.source.name = None)
            }
        },
    ),
    rule(
        "COD-20",
        M,
        "REP 5.2",
        "What is written in WBXML has version 1.1 to 1.3 and says what its XML says.",
    )
    .codec(Once, wbxml::written, |p| p.written(|octets| octets[0] = 4)),
    rule("COD-21", M, "WBXML 5.8.4", "The code page is running state: an END does not change it.").codec(
        Once,
        wbxml::code_page,
        |p| {
            if p.nth == 1 {
                p.read(|m| m.body.clear())
            }
        },
    ),
    rule("COD-22", M, "WBXML 5.8.4", "Opaque octets come back as they were, NUL and long ones too.").codec(
        Once,
        wbxml::opaque,
        |p| {
            p.read(data(|d| {
                if let Data::Binary(octets) = d {
                    octets.retain(|octet| *octet != 0)
                }
            }))
        },
    ),
    rule("COD-23", M, "TND 7.7.2", "Binary is raw octets in WBXML and base64 in XML, and is the same value.")
        .codec(Once, wbxml::binary, |p| p.replace("AP8B", "\u{0}\u{1}")),
    rule(
        "COD-24",
        M4,
        "TND 10",
        "A TNDS tree inside Data is read, inline and opaque, with the tokens of its own code page.",
    )
    .codec(Once, wbxml::tnds, |p| p.text(|text| *text = text.replace("NodeName", "Node"))),
    rule("COD-25", Q, "", "Broken WBXML (cut anywhere, unknown tokens, overruns, endless depth) is refused.")
        .codec(Once, wbxml::broken, |p| p.accept()),
    rule("COD-26", Q, "WBXML 5.8.4", "Text of several strings and entities is joined.").codec(
        Once,
        wbxml::joined,
        |p| p.read(data(|d| *d = Data::from("a"))),
    ),
    rule(
        "COD-27",
        M,
        "REP 5.1",
        "The content types are told apart whatever their case and parameters; another is refused with 415.",
    )
    .codec(Once, wbxml::content_types, |p| {
        if let Thing::Media(media) = &mut p.thing {
            **media = Some(MediaType::DmXml)
        }
    }),
    rule("COD-28", Q, "REP 5.1", "A reply has the encoding and the media type of its request.").codec(
        Once,
        wbxml::mirrored,
        |p| {
            if let Thing::Read(Ok(decoded)) = &mut p.thing {
                decoded.style.encoding = Encoding::Xml
            }
        },
    ),
];
