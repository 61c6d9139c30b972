//! COD-01 to COD-14: messages in XML.

use postern_wire::syncml::{Command, Data, Decoded, Encoding, Message, Style, Version};

use super::{
    Bench,
    messages::{self, vector, whole},
};
use crate::conformance::verdict::{Miss, Outcome, hold, same, some};

const PACKAGE_1: &[u8] = vector!("xml/own_01_pkg1_nocred_1201.xml");

pub(crate) fn package_1(bench: &mut Bench) -> Outcome {
    let Decoded { message, .. } = bench.read(PACKAGE_1, Encoding::Xml)?;
    same("VerDTD", message.header.ver_dtd.as_str(), "1.2")?;
    same("VerProto", message.header.ver_proto.as_str(), "DM/1.2")?;
    same("Final", message.is_final, true)?;
    match &message.body[..] {
        [Command::Alert(alert), Command::Replace(replace)] => {
            same("the alert", alert.code, 1201)?;
            same("the number of DevInfo's items", replace.items.len(), 5)
        }
        other => Err(Miss::broken(format!("the body is {other:?}"))),
    }
}

pub(crate) fn version_1_1(bench: &mut Bench) -> Outcome {
    let text = String::from_utf8_lossy(PACKAGE_1).replace("1.2", "1.1");
    let decoded = bench.xml(&text)?;
    same("the version", decoded.message.version, Version::V1_1)?;
    let written = bench.write(&decoded.message, &decoded.style)?;
    let written = String::from_utf8_lossy(&written).into_owned();
    for part in ["SYNCML:SYNCML1.1", "<VerDTD>1.1<", "<VerProto>DM/1.1<"] {
        hold(written.contains(part), || format!("{part} is missing in {written}"))?;
    }
    Ok(())
}

/// Every command with all its children, in reverse order.
const DISORDER: &str = "<SyncML><SyncBody><Final/>\
    <Alert><Item><MoreData/><Data>d</Data><Meta><Size>1</Size><Mark>m</Mark><EMI>e</EMI><MaxObjSize>4</MaxObjSize>\
    <MaxMsgSize>3</MaxMsgSize><NextNonce>n</NextNonce><Version>v</Version><Type>t</Type><Format>f</Format></Meta>\
    <Source><LocName>n</LocName><LocURI>s</LocURI></Source><Target><LocURI>t</LocURI></Target></Item>\
    <Correlator>c</Correlator><Data>1226</Data><CmdID>1</CmdID></Alert>\
    <Exec><Item/><Correlator>c</Correlator><Meta><Type>t</Type></Meta><CmdID>2</CmdID></Exec>\
    <Status><Item/><Data>200</Data><Chal><Meta><Type>t</Type></Meta></Chal><SourceRef>s</SourceRef>\
    <TargetRef>t</TargetRef><Cmd>Get</Cmd><CmdRef>2</CmdRef><MsgRef>1</MsgRef><CmdID>3</CmdID></Status>\
    <Results><Item/><SourceRef>s</SourceRef><TargetRef>t</TargetRef><Meta><Type>t</Type></Meta><CmdRef>2</CmdRef>\
    <MsgRef>1</MsgRef><CmdID>4</CmdID></Results>\
    <Atomic><Add><Item/><Meta><Type>t</Type></Meta><CmdID>6</CmdID></Add><CmdID>5</CmdID></Atomic>\
    </SyncBody><SyncHdr><Meta><MaxMsgSize>9</MaxMsgSize></Meta><Cred><Data>c</Data></Cred><RespURI>r</RespURI>\
    <Source><LocURI>s</LocURI></Source><Target><LocURI>t</LocURI></Target><MsgID>1</MsgID><SessionID>1</SessionID>\
    <VerProto>DM/1.2</VerProto><VerDTD>1.2</VerDTD></SyncHdr></SyncML>";

const ORDER: &str = "SyncML SyncHdr VerDTD VerProto SessionID MsgID Target LocURI Source LocURI RespURI Cred Data \
    Meta MaxMsgSize SyncBody Alert CmdID Data Correlator Item Target LocURI Source LocURI LocName Meta Format Type \
    Mark Size Version NextNonce MaxMsgSize MaxObjSize EMI Data MoreData Exec CmdID Meta Type Correlator Item Status \
    CmdID MsgRef CmdRef Cmd TargetRef SourceRef Chal Meta Type Data Item Results CmdID MsgRef CmdRef Meta Type \
    TargetRef SourceRef Item Atomic CmdID Add CmdID Meta Type Item Final";

pub(crate) fn dtd_order(bench: &mut Bench) -> Outcome {
    let decoded = bench.xml(DISORDER)?;
    let written = bench.write(&decoded.message, &decoded.style)?;
    let written = String::from_utf8_lossy(&written).into_owned();
    let starts = written.split('<').skip(1).filter(|part| !part.starts_with('/'));
    let names: Vec<_> = starts.filter_map(|part| part.split([' ', '>', '/']).next()).collect();
    same("the order of elements", names.join(" "), ORDER)
}

pub(crate) fn any_order(bench: &mut Bench) -> Outcome {
    let ordered = whole(
        "<Status><CmdID>1</CmdID><MsgRef>1</MsgRef><CmdRef>2</CmdRef><Cmd>Alert</Cmd><Data>200</Data></Status>",
    );
    let disordered = whole(
        "<Status><MsgRef>1</MsgRef><CmdRef>2</CmdRef><Cmd>Alert</Cmd><CmdID>1</CmdID><Data>200</Data></Status>",
    );
    let wanted = bench.xml(&ordered)?.message;
    same("the message", bench.xml(&disordered)?.message, wanted)
}

pub(crate) fn header_status(bench: &mut Bench) -> Outcome {
    let text = whole("<Status><CmdID>1</CmdID><Cmd>SyncHdr</Cmd><Data>212</Data></Status>");
    match &bench.xml(&text)?.message.body[..] {
        [Command::Status(status)] => same("CmdRef", (status.cmd_ref, status.code), (0, 212)),
        other => Err(Miss::broken(format!("the body is {other:?}"))),
    }
}

const ITEM: &str =
    "<Get><CmdID>1</CmdID><Item><Meta><Format>chr</Format><Type>text/plain</Type></Meta></Item></Get>";

pub(crate) fn namespaces(bench: &mut Bench) -> Outcome {
    let declared = ITEM
        .replace("<Format>", "<Format xmlns='syncml:metinf'>")
        .replace("<Type>", "<Type xmlns='syncml:metinf'>");
    let prefixed = ITEM
        .replace("<Meta>", "<Meta xmlns:m='syncml:metinf'>")
        .replace("Format>", "m:Format>")
        .replace("Type>", "m:Type>");
    let wanted = bench.xml(&whole(ITEM))?.message;
    for text in [declared, prefixed] {
        same("the message", &bench.xml(&whole(&text))?.message, &wanted)?;
    }
    let written = bench.write(&wanted, &Style::xml(Version::V1_2))?;
    let written = String::from_utf8_lossy(&written).into_owned();
    for name in ["Format", "Type"] {
        let declared = format!("<{name} xmlns=\"syncml:metinf\">");
        hold(written.contains(&declared), || format!("{declared} is missing in {written}"))?;
    }
    Ok(())
}

pub(crate) fn met_inf(bench: &mut Bench) -> Outcome {
    let wrapped =
        ITEM.replace("<Meta>", "<Meta><MetInf xmlns='syncml:metinf'>").replace("</Meta>", "</MetInf></Meta>");
    let wanted = bench.xml(&whole(ITEM))?.message;
    same("the message", bench.xml(&whole(&wrapped))?.message, wanted)
}

/// A message with this Data in a Replace.
pub(super) fn with_data(bench: &mut Bench, data: &str) -> Outcome<Message> {
    let body = format!(
        "<Replace><CmdID>1</CmdID><Item><Target><LocURI>./A</LocURI></Target>{data}</Item></Replace>"
    );
    Ok(bench.xml(&whole(&body))?.message)
}

/// The Data of the first item of the first command.
pub(super) fn data_of(message: &Message) -> Outcome<Option<Data>> {
    match message.body.first() {
        Some(Command::Replace(request) | Command::Add(request)) => {
            Ok(some("the item", request.items.first())?.data.clone())
        }
        other => Err(Miss::broken(format!("the command is {other:?}"))),
    }
}

pub(crate) fn escaping(bench: &mut Bench) -> Outcome {
    let mut message = with_data(bench, "<Data/>")?;
    for text in ["a & b <c>", "]]>", "\r\n\t ", "&#0;&lt;", "\u{1F600} é", "'\""] {
        if let Some(Command::Replace(request)) = message.body.first_mut() {
            request.items[0].data = Some(Data::from(text));
        }
        let written = bench.write(&message, &bench.variant.style())?;
        let read = bench.read(&written, bench.variant.encoding)?.message;
        same("Data", data_of(&read)?, Some(Data::from(text)))?;
    }
    Ok(())
}

pub(crate) fn cdata(bench: &mut Bench) -> Outcome {
    let inner = "<a b=\"c\">&amp;</a>";
    let message = with_data(bench, &format!("<Data><![CDATA[{inner}]]></Data>"))?;
    same("Data", data_of(&message)?, Some(Data::from(inner)))
}

pub(crate) fn white_space(bench: &mut Bench) -> Outcome {
    let body = "\n <Replace>\n\t<CmdID> 1 </CmdID>\r\n <Item> <Target> <LocURI> ./A B </LocURI> </Target> \
        <Data>\n x </Data></Item> </Replace>\n";
    let message = bench.xml(&format!("\n{}", whole(body)))?.message;
    same("the number of commands", message.body.len(), 1)?;
    same("Data", data_of(&message)?, Some(Data::from("\n x ")))?;
    let Some(Command::Replace(request)) = message.body.first() else {
        return Err(Miss::broken("no Replace"));
    };
    same("LocURI", request.items[0].target.as_ref().map(|target| target.uri.as_str()), Some(" ./A B "))
}

pub(crate) fn empty_elements(bench: &mut Bench) -> Outcome {
    let (short, long) = (
        "<Add><Item><Data/><MoreData/></Item><Item/></Add><Final/>",
        "<Add><Item><Data></Data><MoreData></MoreData></Item><Item></Item></Add><Final></Final>",
    );
    let short = bench.xml(&messages::message(short, false))?.message;
    let long = bench.xml(&messages::message(long, false))?.message;
    same("the long form", &long, &short)?;
    same("Final", long.is_final, true)?;
    same("Data", data_of(&long)?, Some(Data::default()))
}

pub(crate) fn unknown_element(bench: &mut Bench) -> Outcome {
    let body = "<Frobnicate><X/><CmdID>7</CmdID></Frobnicate><Get><CmdID>8</CmdID><Y>t</Y></Get>";
    let message = bench.xml(&whole(body))?.message;
    let refusable = Command::Unknown { name: "Frobnicate".to_owned(), cmd_id: Some(7) };
    same("the unknown command", message.body.first(), Some(&refusable))?;
    hold(matches!(message.body.get(1), Some(Command::Get(get)) if get.cmd_id == 8), || {
        format!("the Get behind it is {:?}", message.body.get(1))
    })
}

pub(crate) fn dtd_refused(bench: &mut Bench) -> Outcome {
    let laughs = "<!DOCTYPE SyncML [<!ENTITY lol \"lol\"><!ENTITY lol2 \"&lol;&lol;&lol;\">]>";
    let external = "<!DOCTYPE SyncML [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>";
    let data = whole("<Replace><CmdID>1</CmdID><Item><Data>&x;</Data></Item></Replace>");
    for text in [format!("{laughs}{}", whole("")), format!("{external}{data}"), data] {
        let read = bench.try_read(text.as_bytes(), Encoding::Xml);
        hold(read.is_err(), || format!("{text} is read as {read:?}"))?;
    }
    Ok(())
}

pub(crate) fn encodings(bench: &mut Bench) -> Outcome {
    let plain = whole("<Get><CmdID>1</CmdID></Get>");
    let wanted = bench.xml(&plain)?.message;
    for prologue in ["\u{FEFF}", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"] {
        same("the message", &bench.xml(&format!("{prologue}{plain}"))?.message, &wanted)?;
    }
    let utf_16: Vec<u8> = plain.encode_utf16().flat_map(u16::to_be_bytes).collect();
    match bench.try_read(&[&b"\xFE\xFF"[..], &utf_16].concat(), Encoding::Xml) {
        Ok(read) => same("the message in UTF-16", read.message, wanted),
        Err(_refused) => Ok(()),
    }
}
