//! What codec cases work with: the codec, with a mutant between it and the case where one is wanted.

use postern_wire::{
    auth,
    syncml::{self, DecodeError, Decoded, Encoding, Limits, MediaType, Message, Style},
};

use crate::conformance::{
    tamper::{Passing, Tamper, Thing},
    variant::Variant,
    verdict::{Miss, Outcome},
};

/// The codec as a case sees it.
pub struct Bench {
    /// In which encoding and version the case runs.
    pub variant: Variant,
    tamper: Option<Tamper>,
    passed: u32,
}

impl Bench {
    /// A codec; with a mutant, a faulty one.
    #[must_use]
    pub const fn new(variant: Variant, tamper: Option<Tamper>) -> Self {
        Self { variant, tamper, passed: 0 }
    }

    /// Reads a message.
    pub fn try_read(&mut self, octets: &[u8], encoding: Encoding) -> Result<Decoded, DecodeError> {
        let mut read = syncml::decode(octets, encoding, &Limits::default());
        self.pass(Thing::Read(&mut read));
        read
    }

    /// Reads a message that has to be readable.
    pub fn read(&mut self, octets: &[u8], encoding: Encoding) -> Outcome<Decoded> {
        self.try_read(octets, encoding)
            .map_err(|error| Miss::broken(format!("the message is refused: {error}")))
    }

    /// Reads a message in XML.
    pub fn xml(&mut self, text: &str) -> Outcome<Decoded> {
        self.read(text.as_bytes(), Encoding::Xml)
    }

    /// Writes a message.
    pub fn write(&mut self, message: &Message, style: &Style) -> Outcome<Vec<u8>> {
        let written = syncml::encode(message, style);
        let mut written =
            written.map_err(|error| Miss::broken(format!("the message cannot be written: {error}")))?;
        self.pass(Thing::Written(&mut written));
        Ok(written)
    }

    /// Reads a TNDS tree.
    pub fn tree(&mut self, octets: &[u8], encoding: Encoding) -> Outcome<String> {
        let read = syncml::decode_tree(octets, encoding, &Limits::default());
        self.text(read.map_err(|error| error.to_string()))
            .map_err(|error| Miss::broken(format!("the tree is refused: {error}")))
    }

    /// Reads a Content-Type.
    pub fn media(&mut self, text: &str) -> Option<MediaType> {
        let mut media = MediaType::parse(text);
        self.pass(Thing::Media(&mut media));
        media
    }

    /// The Cred data of auth-md5.
    pub fn md5(&mut self, user: &str, password: &str, nonce: &[u8]) -> String {
        let digest = auth::md5_digest(&auth::user_password_hash(user, password), nonce);
        self.text(Ok(digest)).unwrap_or_default()
    }

    /// A text that something else of the project made or read.
    pub fn text(&mut self, text: Result<String, String>) -> Result<String, String> {
        let mut text = text;
        self.pass(Thing::Text(&mut text));
        text
    }

    /// Octets that something else of the project wrote.
    pub fn written(&mut self, mut octets: Vec<u8>) -> Vec<u8> {
        self.pass(Thing::Written(&mut octets));
        octets
    }

    /// A yes or no of something else of the project.
    pub fn judged(&mut self, mut answer: bool) -> bool {
        self.pass(Thing::Judged(&mut answer));
        answer
    }

    fn pass(&mut self, thing: Thing<'_>) {
        if let Some(tamper) = self.tamper {
            tamper(&mut Passing { nth: self.passed, thing });
        }
        self.passed += 1;
    }
}
