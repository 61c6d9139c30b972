//! COD-15 to COD-28: messages in WBXML, trees, and media types.

use postern_wire::syncml::{Command, Data, Encoding, MediaType, Message, MimeFamily, Style, Version};

use super::{
    Bench,
    messages::{vector, whole},
    xml::{data_of, with_data},
};
use crate::conformance::verdict::{Outcome, hold, one_of, same};

/// Messages of this project in both encodings.
const TWINS: &[(&[u8], &[u8])] = &[
    (vector!("xml/own_01_pkg1_nocred_1201.xml"), vector!("wbxml/own_01_pkg1_nocred_1201.wbxml")),
    (vector!("xml/own_02_pkg2_407_chal_md5.xml"), vector!("wbxml/own_02_pkg2_407_chal_md5.wbxml")),
    (vector!("xml/own_03_pkg1_md5.xml"), vector!("wbxml/own_03_pkg1_md5.wbxml")),
    (vector!("xml/own_04_pkg2_212_commands.xml"), vector!("wbxml/own_04_pkg2_212_commands.wbxml")),
    (vector!("xml/own_05_pkg3_status_results.xml"), vector!("wbxml/own_05_pkg3_status_results.wbxml")),
    (vector!("xml/own_06_next_message_1222.xml"), vector!("wbxml/own_06_next_message_1222.wbxml")),
    (vector!("xml/own_07_session_abort_1223.xml"), vector!("wbxml/own_07_session_abort_1223.wbxml")),
    (vector!("xml/own_11_lawmo_wipe_exec.xml"), vector!("wbxml/own_11_lawmo_wipe_exec.wbxml")),
    (vector!("xml/own_12_lawmo_generic_alert.xml"), vector!("wbxml/own_12_lawmo_generic_alert.wbxml")),
    (vector!("xml/own_13_fumo_generic_alert.xml"), vector!("wbxml/own_13_fumo_generic_alert.wbxml")),
    (vector!("xml/own_14_binary_b64.xml"), vector!("wbxml/own_14_binary_b64.wbxml")),
];

const PLAIN: &[u8] = vector!("wbxml/own_03_pkg1_md5.wbxml");

pub(crate) fn numeric(bench: &mut Bench) -> Outcome {
    for (xml, wbxml) in TWINS {
        let wanted = bench.read(xml, Encoding::Xml)?.message;
        same("the message", bench.read(wbxml, Encoding::Wbxml)?.message, wanted)?;
    }
    Ok(())
}

/// The twin of [`PLAIN`] in another header form is the same message.
fn as_plain(bench: &mut Bench, octets: &[u8]) -> Outcome {
    let wanted = bench.read(PLAIN, Encoding::Wbxml)?.message;
    same("the message", bench.read(octets, Encoding::Wbxml)?.message, wanted)
}

pub(crate) fn in_table(bench: &mut Bench) -> Outcome {
    as_plain(bench, vector!("wbxml/own_03_pkg1_md5_fpi.wbxml"))
}

pub(crate) fn in_table_with_nul(bench: &mut Bench) -> Outcome {
    as_plain(bench, vector!("wbxml/own_03_pkg1_md5_fpinul.wbxml"))
}

pub(crate) fn versions(bench: &mut Bench) -> Outcome {
    as_plain(bench, vector!("wbxml/own_03_pkg1_md5_v11.wbxml"))?;
    as_plain(bench, vector!("wbxml/own_03_pkg1_md5_v13.wbxml"))
}

pub(crate) fn string_table(bench: &mut Bench) -> Outcome {
    as_plain(bench, vector!("wbxml/own_03_pkg1_md5_strtbl.wbxml"))
}

pub(crate) fn written(bench: &mut Bench) -> Outcome {
    for (xml, _) in TWINS {
        let message = bench.read(xml, Encoding::Xml)?.message;
        let octets = bench.write(&message, &Style::wbxml(Version::V1_2))?;
        one_of("the version octet", &octets.first().copied().unwrap_or_default(), &[1, 2, 3])?;
        same("the message", bench.read(&octets, Encoding::Wbxml)?.message, message)?;
    }
    Ok(())
}

/// A WBXML message whose body is one Get with these octets inside its Item.
fn item_of(octets: &[u8]) -> Vec<u8> {
    // SyncML(SyncHdr(VerDTD, VerProto, SessionID, MsgID, Target, Source), SyncBody(Replace(CmdID, Item(…)), Final))
    let start = b"\x02\xA4\x01\x6A\x00\x6D\x6C\x71\x031.2\x00\x01\x72\x03DM/1.2\x00\x01\x65\x031\x00\x01\x5B\x031\x00\x01\
        \x6E\x57\x03a\x00\x01\x01\x67\x57\x03b\x00\x01\x01\x01\x6B\x60\x4B\x031\x00\x01\x54";
    [&start[..], octets, b"\x01\x01\x12\x01\x01"].concat()
}

pub(crate) fn code_page(bench: &mut Bench) -> Outcome {
    // Meta, page 1: Format "chr", END of Meta while still on page 1; then page 0 for Data.
    let lazy = item_of(b"\x5A\x00\x01\x47\x03chr\x00\x01\x01\x00\x00\x4F\x03v\x00\x01");
    let pairs = item_of(b"\x5A\x00\x01\x47\x03chr\x00\x00\x00\x01\x00\x00\x01\x4F\x03v\x00\x01");
    let wanted =
        "<Replace><CmdID>1</CmdID><Item><Meta><Format>chr</Format></Meta><Data>v</Data></Item></Replace>";
    let wanted = bench.xml(&whole(wanted))?.message.body;
    for octets in [lazy, pairs] {
        same("the body", &bench.read(&octets, Encoding::Wbxml)?.message.body, &wanted)?;
    }
    Ok(())
}

/// A message with this Data.
fn carrying(bench: &mut Bench, data: Data) -> Outcome<Message> {
    let mut message = with_data(bench, "<Data/>")?;
    if let Some(Command::Replace(request)) = message.body.first_mut() {
        request.items[0].data = Some(data);
    }
    Ok(message)
}

pub(crate) fn opaque(bench: &mut Bench) -> Outcome {
    let long: Vec<u8> = (0..=255).cycle().take(40_000).collect();
    for octets in [&b"\x00\xFFabc\x00"[..], &[0x80; 200], &long] {
        let message = carrying(bench, Data::Binary(octets.to_vec()))?;
        let written = bench.write(&message, &Style::wbxml(Version::V1_2))?;
        let read = bench.read(&written, Encoding::Wbxml)?.message;
        hold(read == message, || format!("{} opaque octets come back otherwise", octets.len()))?;
    }
    Ok(())
}

pub(crate) fn binary(bench: &mut Bench) -> Outcome {
    let message = carrying(bench, Data::Binary(vec![0, 0xFF, 1]))?;
    let written = bench.write(&message, &Style::xml(Version::V1_2))?;
    let read = bench.read(&written, Encoding::Xml)?.message;
    same("Data in XML", data_of(&read)?, Some(Data::from("AP8B")))?;
    let Some(Command::Replace(request)) = read.body.first() else { return Ok(()) };
    same("Format in XML", request.items[0].meta.format.as_deref(), Some("b64"))?;
    let written = bench.write(&message, &Style::wbxml(Version::V1_2))?;
    hold(written.windows(5).any(|window| window == b"\xC3\x03\x00\xFF\x01"), || {
        "the octets are not opaque in WBXML".to_owned()
    })
}

pub(crate) fn tnds(bench: &mut Bench) -> Outcome {
    let message = bench.read(vector!("bootstrap/dm_profile.wbxml"), Encoding::Wbxml)?.message;
    let tree = match data_of(&message)? {
        Some(Data::Markup(tree)) => tree,
        Some(Data::Binary(octets)) => bench.tree(&octets, Encoding::Wbxml)?,
        Some(Data::Text(text)) => bench.tree(text.as_bytes(), Encoding::Xml)?,
        None => String::new(),
    };
    for part in ["<MgmtTree", "<VerDTD>1.2<", "<NodeName>", "ServerID", "com.mgmtsrv.manage"] {
        hold(tree.contains(part), || format!("{part} is missing in the tree {tree:.300}"))?;
    }
    let xml = bench.tree(vector!("bootstrap/dm_tnds.xml"), Encoding::Xml)?;
    let wbxml = bench.tree(vector!("bootstrap/dm_tnds.wbxml"), Encoding::Wbxml)?;
    let packed = |text: &str| text.split_whitespace().collect::<String>();
    same("the tree in WBXML", packed(&wbxml), packed(&xml))
}

pub(crate) fn broken(bench: &mut Bench) -> Outcome {
    let refused = |bench: &mut Bench, octets: &[u8], what: &str| -> Outcome {
        let read = bench.try_read(octets, Encoding::Wbxml);
        hold(read.is_err(), || format!("{what} is read"))
    };
    for cut in 0..PLAIN.len() {
        refused(bench, &PLAIN[..cut], &format!("a message cut at octet {cut}"))?;
    }
    let deep = [&b"\x02\xA4\x01\x6A\x00\x6D"[..], &[0x6B; 10_000]].concat();
    for (what, octets) in [
        ("an unknown token", item_of(b"\x70")),
        ("a reference beyond the table", item_of(b"\x4F\x83\x01\x01")),
        ("opaque octets beyond the end", item_of(b"\x4F\xC3\x8F\xFF\xFF\xFF\x7Fx")),
        ("an integer without end", item_of(b"\x4F\xC3\x80\x80\x80\x80\x80\x80\x00")),
        ("elements 10,000 deep", deep),
    ] {
        refused(bench, &octets, what)?;
    }
    Ok(())
}

pub(crate) fn joined(bench: &mut Bench) -> Outcome {
    let octets = item_of(b"\x4F\x03a\x00\x02\x81\x69\x03b\x00\xC3\x02cd\x01"); // "a", U+00E9, "b", opaque "cd"
    let message = bench.read(&octets, Encoding::Wbxml)?.message;
    same("Data", data_of(&message)?, Some(Data::from("a\u{e9}bcd")))
}

pub(crate) fn content_types(bench: &mut Bench) -> Outcome {
    for (text, wanted) in [
        ("application/vnd.syncml.dm+xml", Some(MediaType::DmXml)),
        ("Application/vnd.SyncML.DM+WBXML", Some(MediaType::DmWbxml)),
        ("application/vnd.syncml.dm+xml; charset=\"utf-8\"", Some(MediaType::DmXml)),
        ("text/xml", None),
        ("application/vnd.syncml.dm", None),
        ("", None),
    ] {
        same(&format!("{text:?}"), bench.media(text), wanted)?;
    }
    Ok(())
}

pub(crate) fn mirrored(bench: &mut Bench) -> Outcome {
    for (octets, encoding) in [(TWINS[0].0, Encoding::Xml), (TWINS[0].1, Encoding::Wbxml)] {
        let decoded = bench.read(octets, encoding)?;
        same("the reply's encoding", decoded.style.encoding, encoding)?;
        let media = MediaType::of(decoded.style.encoding, MimeFamily::Dm);
        same("the reply's media type", bench.media(media.header_value()), Some(media))?;
    }
    Ok(())
}
