//! What is written is read back: both encodings, generated messages.

#[path = "generate/mod.rs"]
mod generate;
#[path = "normal/mod.rs"]
mod normal;

use postern_wire::syncml::{
    Encoding, Limits, PublicId, Style, Version, command_len, decode, encode, frame_len, message_len,
};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back(message in generate::message(), style in styles()) {
        let Ok(written) = encode(&message, &style) else {
            prop_assert!(false, "{style:?} could not be written");
            unreachable!()
        };
        let decoded = decode(&written, style.encoding, &Limits::default());
        let decoded = decoded.map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(decoded.style, style);
        prop_assert_eq!(normal::loosely(decoded.message, &style), normal::written(&message, &style));
    }

    #[test]
    fn sizes_add_up_exactly(message in generate::message(), style in styles()) {
        let written = encode(&message, &style).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(message_len(&message, &style), written.len());
        let mut parts = message.clone();
        let commands = std::mem::take(&mut parts.body);
        let alone = encode(&parts, &style).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(frame_len(&parts.header, parts.is_final, &style), alone.len());
        let sum: usize = commands.iter().map(|command| command_len(command, &style)).sum();
        prop_assert_eq!(alone.len() + sum, written.len());
    }

    #[test]
    fn both_encodings_of_a_message_read_the_same(message in generate::textual_message()) {
        let limits = Limits::default();
        let version = message.version;
        let [xml, wbxml] = [Style::xml(version), Style::wbxml(version)].map(|style| {
            let written = encode(&message, &style).map_err(|error| TestCaseError::fail(error.to_string()))?;
            let decoded = decode(&written, style.encoding, &limits);
            decoded.map(|decoded| decoded.message).map_err(|error| TestCaseError::fail(error.to_string()))
        });
        let style = Style::wbxml(version);
        prop_assert_eq!(normal::loosely(xml?, &style), wbxml?);
    }

    #[test]
    fn no_octets_make_a_reader_panic(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&octets, Encoding::Xml, &Limits::default());
        let _ = decode(&octets, Encoding::Wbxml, &Limits::default());
        let with_header = [&[0x02, 0xA4, 0x01, 0x6A, 0x00, 0x6D, 0x6C][..], &octets].concat();
        let _ = decode(&with_header, Encoding::Wbxml, &Limits::default());
    }

    #[test]
    fn no_change_of_a_message_makes_a_reader_panic(
        message in generate::message(),
        style in styles(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut written = encode(&message, &style).map_err(|error| TestCaseError::fail(error.to_string()))?;
        for (index, octet) in changes {
            let at = index.index(written.len());
            written[at] = octet;
        }
        if let Err(error) = decode(&written, style.encoding, &Limits::default()) {
            prop_assert!(error.place.offset <= written.len());
        }
    }
}

fn styles() -> impl Strategy<Value = Style> {
    let version = prop_oneof![Just(Version::V1_1), Just(Version::V1_2)];
    let public_id = prop_oneof![Just(PublicId::Numeric), Just(PublicId::InTable)];
    (version, any::<bool>(), 1u8..=2, public_id).prop_map(|(version, xml, wbxml_version, public_id)| {
        if xml { Style::xml(version) } else { Style { wbxml_version, public_id, ..Style::wbxml(version) } }
    })
}
