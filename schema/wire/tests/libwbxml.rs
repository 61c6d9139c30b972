//! Cross-checks with Debian's libwbxml 0.11.8: what we write is decoded by it and what it writes by us, to equal
//! messages. A tool that is missing fails the test and is named.

use std::cell::{Cell, RefCell};

mod common;
mod generate;
mod helper;

use common::{manifest, octets, own_data};
use helper::{Helper, tool};
use postern_wire::syncml::{
    Command, Data, Decoded, Encoding, Item, Limits, Message, PublicId, Style, decode, encode,
};
use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};

#[test]
fn cod_20_what_we_write_is_decoded_by_wbxml2xml_to_an_equal_message() {
    for (path, body) in xml_vectors() {
        let message = read(&body, Encoding::Xml, &path);
        for public_id in [PublicId::Numeric, PublicId::InTable] {
            for wbxml_version in [1, 2] {
                let style = Style { public_id, wbxml_version, ..Style::wbxml(message.version) };
                let written = encode(&message, &style).unwrap();
                let theirs = tool("wbxml2xml", &["-k", "-m", "0"], &written);
                assert_eq!(read(&theirs, Encoding::Xml, &path), message, "{path}");
            }
        }
    }
}

#[test]
fn cod_20_what_xml2wbxml_writes_is_decoded_by_us_to_an_equal_message() {
    for (path, body) in xml_vectors() {
        let message = read(&body, Encoding::Xml, &path);
        for arguments in [&["-n"][..], &[], &["-v", "1.1"], &["-a", "-n"]] {
            let theirs = tool("xml2wbxml", arguments, &body);
            assert_eq!(read(&theirs, Encoding::Wbxml, &path), message, "{path} {arguments:?}");
        }
    }
}

#[test]
fn what_we_write_reads_the_same_through_libwbxml() {
    let helper = RefCell::new(Helper::start());
    let outcome = runner(256).run(&generate::plain_message(), |message| {
        let written = encode(&message, &Style::wbxml(message.version)).map_err(failed)?;
        let theirs = helper.borrow_mut().convert(b'x', &written);
        let theirs = theirs.ok_or_else(|| TestCaseError::fail(format!("libwbxml refuses {written:02X?}")))?;
        let ours = decode(&written, Encoding::Wbxml, &Limits::default()).map_err(failed)?;
        let again = decode(&theirs, Encoding::Xml, &Limits::default()).map_err(failed)?;
        prop_assert_eq!(again.message, ours.message, "{}", String::from_utf8_lossy(&theirs));
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn what_libwbxml_writes_reads_the_same() {
    let helper = RefCell::new(Helper::start());
    let outcome = runner(256).run(&(generate::plain_message(), any::<bool>()), |(message, with_table)| {
        let written = encode(&message, &Style::xml(message.version)).map_err(failed)?;
        let theirs = helper.borrow_mut().convert(if with_table { b's' } else { b'w' }, &written);
        let theirs = theirs.ok_or_else(|| {
            TestCaseError::fail(format!("libwbxml refuses {}", String::from_utf8_lossy(&written)))
        })?;
        let ours = decode(&written, Encoding::Xml, &Limits::default()).map_err(failed)?;
        let again = decode(&theirs, Encoding::Wbxml, &Limits::default()).map_err(failed)?;
        prop_assert_eq!(again.message, ours.message, "{}", String::from_utf8_lossy(&written));
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

/// Where both accept a broken message, both have read the same; where libwbxml dies, that is its affair.
#[test]
fn what_both_accept_of_a_mutated_message_reads_the_same() {
    let helper = RefCell::new(Helper::start());
    let (compared, refused) = (Cell::new(0), Cell::new(0));
    let mutations = proptest::collection::vec((any::<proptest::sample::Index>(), 0..4u8, any::<u8>()), 1..4);
    let outcome = runner(2500).run(&(generate::plain_message(), mutations), |(message, mutations)| {
        let mut body = encode(&message, &Style::wbxml(message.version)).map_err(failed)?;
        for (index, how, octet) in mutations {
            let at = index.index(body.len());
            match how {
                0 => body[at] = octet,
                1 => drop(body.remove(at)),
                2 => body.insert(at, octet),
                _ => body[at] ^= 1 << (octet & 7),
            }
        }
        let ours = decode(&body, Encoding::Wbxml, &Limits::default());
        let theirs = helper.borrow_mut().convert(b'x', &body);
        let (Ok(ours), Some(theirs)) = (ours, theirs) else {
            refused.set(refused.get() + 1);
            return Ok(());
        };
        if excepted(&body, &ours) {
            return Ok(());
        }
        let again = decode(&theirs, Encoding::Xml, &Limits::default());
        let again = again
            .map_err(|error| TestCaseError::fail(format!("{error}: {}", String::from_utf8_lossy(&theirs))))?;
        prop_assert_eq!(again.message, ours.message, "{:02X?} {}", body, String::from_utf8_lossy(&theirs));
        compared.set(compared.get() + 1);
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    println!("{} compared, {} refused by one or both", compared.get(), refused.get());
    assert!(compared.get() > 250, "only {} of the mutated messages were compared", compared.get());
}

/// Where libwbxml 0.11.8 differs and we know why:
/// - it writes line ends and control characters into XML as they are, and `]]>` into a CDATA section, so what it
///   wrote is another text or no XML;
/// - ENTITY and a second string inside Data end its CDATA section;
/// - it knows no elements of TNDS inside a message, and names the unknown ones `unknown`;
/// - it takes the character set of the header at its word, where we read UTF-8.
fn excepted(body: &[u8], ours: &Decoded) -> bool {
    let strange = body.windows(3).any(|part| part == b"]]>")
        || body.iter().any(|octet| matches!(octet, b'\r' | b'\n'))
        || body.get(3) != Some(&0x6A);
    // Debug does not show the data of Cred.
    let hidden = ours.message.header.cred.as_ref().is_some_and(|cred| match &cred.data {
        Data::Text(text) => text.chars().any(char::is_control),
        Data::Binary(_) | Data::Markup(_) => true,
    });
    strange
        || hidden
        || ours.repairs.any()
        || format!("{:?}", ours.message).contains("\\u{")
        || has_octets(&ours.message.body)
}

fn has_octets(commands: &[Command]) -> bool {
    let strange = |items: &[Item]| {
        items.iter().any(|item| matches!(item.data, Some(Data::Binary(_) | Data::Markup(_))))
    };
    commands.iter().any(|command| match command {
        Command::Atomic(group) | Command::Sequence(group) => has_octets(&group.commands),
        Command::Add(request)
        | Command::Replace(request)
        | Command::Get(request)
        | Command::Delete(request)
        | Command::Copy(request)
        | Command::Exec(request) => strange(&request.items),
        Command::Alert(alert) => strange(&alert.items),
        Command::Results(results) => strange(&results.items),
        Command::Status(status) => strange(&status.items) || status.cred.is_some(),
        Command::Unknown { .. } => true,
    })
}

/// The same cases on every run.
fn runner(cases: u32) -> TestRunner {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

fn failed(error: impl std::fmt::Display) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

fn xml_vectors() -> Vec<(String, Vec<u8>)> {
    let rows = manifest(&own_data()).into_iter().filter(|row| row.path.starts_with("omadm/xml/"));
    rows.map(|row| (row.path.clone(), octets(&own_data(), &row))).collect()
}

fn read(body: &[u8], encoding: Encoding, what: &str) -> Message {
    match decode(body, encoding, &Limits::default()) {
        Ok(decoded) => decoded.message,
        Err(error) => panic!("{what}: {error}"),
    }
}
