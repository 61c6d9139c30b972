//! Generates messages that OMA DM could send, with the texts that break encoders.
#![allow(dead_code, reason = "each test file uses its own part")]

use postern_wire::syncml::{
    Alert, Command, Cred, Data, Group, Item, Location, Message, Meta, Request, Results, Status, SyncHdr,
    Version,
};
use proptest::{collection::vec, option, prelude::*};

/// Any message, binary data and markup included.
pub(crate) fn message() -> BoxedStrategy<Message> {
    let texts = Texts(text());
    texts.message_of(texts.any_data())
}

/// A message whose data are text or a TNDS tree.
pub(crate) fn textual_message() -> BoxedStrategy<Message> {
    let texts = Texts(text());
    texts.message_of(
        prop_oneof![4 => texts.0.clone().prop_map(Data::Text), 1 => texts.tree().prop_map(Data::Markup)]
            .boxed(),
    )
}

/// A message that libwbxml carries unchanged: no line ends, no end of a CDATA section, nothing that is not text.
pub(crate) fn plain_message() -> BoxedStrategy<Message> {
    let texts =
        Texts(prop_oneof![3 => "[./A-Za-z0-9:_-]{0,24}", 1 => "[ \\ta-c<>&\"'é\u{1F600}]{0,12}"].boxed());
    texts.message_of(texts.0.clone().prop_map(Data::Text).boxed())
}

/// Generates messages with these texts.
#[derive(Clone)]
struct Texts(BoxedStrategy<String>);

impl Texts {
    fn message_of(&self, data: BoxedStrategy<Data>) -> BoxedStrategy<Message> {
        let version = prop_oneof![Just(Version::V1_1), Just(Version::V1_2)];
        (version, self.header(), vec(self.command(data), 0..8), any::<bool>())
            .prop_map(|(version, mut header, body, is_final)| {
                header.ver_dtd = version.ver_dtd().to_owned();
                header.ver_proto = version.ver_proto().to_owned();
                Message { version, header, body, is_final }
            })
            .boxed()
    }

    fn header(&self) -> BoxedStrategy<SyncHdr> {
        let credentials = option::of(
            (self.meta(), self.0.clone()).prop_map(|(meta, data)| Cred { meta, data: Data::Text(data) }),
        );
        (
            word(),
            any::<u32>(),
            self.location(),
            self.location(),
            option::of(self.0.clone()),
            any::<bool>(),
            credentials,
            self.meta(),
        )
            .prop_map(|(session_id, msg_id, target, source, resp_uri, no_resp, cred, meta)| SyncHdr {
                ver_dtd: String::new(),
                ver_proto: String::new(),
                session_id,
                msg_id,
                target,
                source,
                resp_uri,
                no_resp,
                cred,
                meta,
            })
            .boxed()
    }

    fn command(&self, data: BoxedStrategy<Data>) -> BoxedStrategy<Command> {
        let plain = prop_oneof![
            (any::<u32>(), any::<bool>(), any::<u32>(), option::of(self.0.clone()), self.items(data.clone()))
                .prop_map(|(cmd_id, no_resp, code, correlator, items)| {
                    Command::Alert(Alert { cmd_id, no_resp, code, correlator, items })
                }),
            self.request(data.clone()).prop_map(Command::Add),
            self.request(data.clone()).prop_map(Command::Replace),
            self.request(data.clone()).prop_map(Command::Get),
            self.request(data.clone()).prop_map(Command::Delete),
            self.request(data.clone()).prop_map(Command::Copy),
            self.request(data.clone()).prop_map(Command::Exec),
            self.results(data.clone()).prop_map(Command::Results),
            self.status(data).prop_map(Command::Status),
        ];
        let texts = self.clone();
        plain
            .prop_recursive(3, 12, 4, move |inner| {
                let group = (any::<u32>(), any::<bool>(), texts.meta(), vec(inner, 0..4))
                    .prop_map(|(cmd_id, no_resp, meta, commands)| Group { cmd_id, no_resp, meta, commands });
                (group, any::<bool>()).prop_map(|(group, atomic)| {
                    if atomic { Command::Atomic(group) } else { Command::Sequence(group) }
                })
            })
            .boxed()
    }

    fn request(&self, data: BoxedStrategy<Data>) -> BoxedStrategy<Request> {
        (any::<u32>(), any::<bool>(), self.meta(), option::of(self.0.clone()), self.items(data))
            .prop_map(|(cmd_id, no_resp, meta, correlator, items)| Request {
                cmd_id,
                no_resp,
                meta,
                correlator,
                items,
            })
            .boxed()
    }

    fn results(&self, data: BoxedStrategy<Data>) -> BoxedStrategy<Results> {
        (
            any::<u32>(),
            option::of(any::<u32>()),
            any::<u32>(),
            self.meta(),
            option::of(self.0.clone()),
            option::of(self.0.clone()),
            self.items(data),
        )
            .prop_map(|(cmd_id, msg_ref, cmd_ref, meta, target_ref, source_ref, items)| Results {
                cmd_id,
                msg_ref,
                cmd_ref,
                meta,
                target_ref,
                source_ref,
                items,
            })
            .boxed()
    }

    fn status(&self, data: BoxedStrategy<Data>) -> BoxedStrategy<Status> {
        let references = (vec(self.0.clone(), 0..3), vec(self.0.clone(), 0..3));
        let numbers = (any::<u32>(), option::of(any::<u32>()), any::<u32>(), any::<u32>());
        (numbers, word(), references, option::of(self.meta()), self.items(data))
            .prop_map(|((cmd_id, msg_ref, cmd_ref, code), cmd, (target_refs, source_refs), chal, items)| {
                Status {
                    cmd_id,
                    msg_ref,
                    cmd_ref,
                    cmd,
                    target_refs,
                    source_refs,
                    cred: None,
                    chal,
                    code,
                    items,
                }
            })
            .boxed()
    }

    fn items(&self, data: BoxedStrategy<Data>) -> BoxedStrategy<Vec<Item>> {
        let item = (
            option::of(self.location()),
            option::of(self.location()),
            self.meta(),
            option::of(data),
            any::<bool>(),
        )
            .prop_map(|(target, source, meta, data, more_data)| Item {
                target,
                source,
                meta,
                data,
                more_data,
            });
        vec(item, 0..3).boxed()
    }

    fn location(&self) -> BoxedStrategy<Location> {
        (self.0.clone(), option::of(self.0.clone())).prop_map(|(uri, name)| Location { uri, name }).boxed()
    }

    fn meta(&self) -> BoxedStrategy<Meta> {
        let format = option::of(prop_oneof![
            Just("b64"),
            Just("bin"),
            Just("chr"),
            Just("node"),
            Just("int"),
            Just("xml")
        ]);
        let words = (format, option::of(word()), option::of(word()), option::of(word()));
        let numbers = (option::of(any::<u64>()), option::of(any::<u64>()), option::of(any::<u64>()));
        let full = (words, numbers, option::of(self.0.clone()), vec(self.0.clone(), 0..2)).prop_map(
            |((format, type_, mark, version), (size, max_msg_size, max_obj_size), next_nonce, emi)| Meta {
                format: format.map(str::to_owned),
                type_,
                mark,
                size,
                next_nonce,
                version,
                max_msg_size,
                max_obj_size,
                emi,
            },
        );
        prop_oneof![Just(Meta::default()), full].boxed()
    }

    fn any_data(&self) -> BoxedStrategy<Data> {
        prop_oneof![
            4 => self.0.clone().prop_map(Data::Text),
            2 => vec(any::<u8>(), 0..200).prop_map(Data::Binary),
            1 => "[a-z]{0,3}\u{0}{1,2}".prop_map(|text| Data::Binary(text.into_bytes())),
            1 => "[ -~\u{1}]{0,8}".prop_map(Data::Text),
            1 => self.tree().prop_map(Data::Markup),
            1 => Just(Data::Markup("<a b=\"c &amp; d\">x<e/></a>".to_owned())),
        ]
        .boxed()
    }

    /// A TNDS tree in canonical form.
    fn tree(&self) -> BoxedStrategy<String> {
        let leaf = ("[A-Za-z0-9]{1,6}", self.0.clone()).prop_map(|(name, value)| {
            let value = escape(&value);
            let value =
                if value.is_empty() { "<Value/>".to_owned() } else { format!("<Value>{value}</Value>") };
            format!("<Node><NodeName>{name}</NodeName>{value}</Node>")
        });
        let node = leaf.prop_recursive(4, 12, 3, |inner| {
            ("[A-Za-z0-9]{1,6}", vec(inner, 1..4)).prop_map(|(name, children)| {
                let inside = children.concat();
                let format = "<RTProperties><Format><node/></Format></RTProperties>";
                format!("<Node><NodeName>{name}</NodeName>{format}{inside}</Node>")
            })
        });
        node.prop_map(|node| {
            format!("<MgmtTree xmlns=\"syncml:dmddf1.2\"><VerDTD>1.2</VerDTD>{node}</MgmtTree>")
        })
        .boxed()
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\r', "&#13;")
}

/// Text as both encodings carry it, with what breaks encoders.
fn text() -> BoxedStrategy<String> {
    prop_oneof![
        3 => "[./A-Za-z0-9:_-]{0,24}",
        1 => "[ \\t\\n\\ra-c<>&\"']{0,12}",
        1 => "(\\]\\]>|<!\\[CDATA\\[|&#0;|&amp;|\\r\\n|é|\u{1F600}|\u{FEFF}){0,4}",
    ]
    .boxed()
}

/// A name, version or identifier: no white space at the ends.
fn word() -> BoxedStrategy<String> {
    prop_oneof!["[A-Za-z0-9.:/+-]{0,12}", "[a-z]& <[a-z]"].boxed()
}
