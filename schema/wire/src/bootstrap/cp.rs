//! OMA CP provisioning documents (OMA-WAP-TS-ProvCont 1.1) with a w7 application, which is a DM account
//! (OMA-TS-DM_Bootstrap 1.2.1, 5.3; the application characteristic w7).
//!
//! - [`Document`]: characteristics and parms in their order, known or not, from XML and from WBXML.
//! - [`Account`]: the DM account that a document gives to a device, and the document that gives it.
//!
//! Promise: a document is written octet for octet as the vectors have it, so that its MAC is the vectors'; what is
//! written is read back the same. Secrets never reach Debug.

mod account;
mod tokens;
mod wbxml;

use std::fmt;

use zeroize::Zeroize as _;

pub use crate::elements::BadXml;
use crate::elements::{self, Element};
pub use account::{AccessPoint, Account, Address, BadAccount, Credential, Level};
pub use wbxml::{AuthTypes, BadWbxml};

const ROOT: &str = "wap-provisioningdoc";
const PROLOG: &str = "<?xml version=\"1.0\"?>\n<!DOCTYPE wap-provisioningdoc PUBLIC \
    \"-//WAPFORUM//DTD PROV 1.0//EN\" \"http://www.wapforum.org/DTD/prov.dtd\">\n";
/// Parms whose values are never shown.
const SECRET: [&str; 7] =
    ["AAUTHSECRET", "AAUTHDATA", "AUTHSECRET", "PXAUTH-PW", "BASAUTH-PW", "PROXY-PW", "CLIENT-ID"];

/// A provisioning document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The version, if it is named: `1.0` or `1.1`.
    pub version: Option<String>,
    /// The outermost characteristics.
    pub characteristics: Vec<Characteristic>,
}

/// A characteristic: parms and characteristics of a type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Characteristic {
    /// Its type: `APPLICATION`, `NAPDEF` …
    pub kind: String,
    /// What it holds, in order.
    pub parts: Vec<Part>,
}

/// What a characteristic holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A name, perhaps with a value.
    Parm(Parm),
    /// A characteristic inside.
    Characteristic(Characteristic),
}

/// A name, perhaps with a value.
#[derive(Clone, PartialEq, Eq)]
pub struct Parm {
    /// The name.
    pub name: String,
    /// The value; INIT has none.
    pub value: Option<String>,
}

impl fmt::Debug for Parm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = SECRET.contains(&self.name.as_str());
        let value = if secret { self.value.as_ref().map(|_| "…") } else { self.value.as_deref() };
        f.debug_struct("Parm").field("name", &self.name).field("value", &value).finish()
    }
}

impl Drop for Parm {
    fn drop(&mut self) {
        self.value.zeroize();
    }
}

impl Parm {
    /// Whether its value may not be shown.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        SECRET.contains(&self.name.as_str())
    }
}

impl Characteristic {
    /// An empty one.
    #[must_use]
    pub fn new(kind: &str) -> Self {
        Self { kind: kind.to_owned(), parts: Vec::new() }
    }

    /// It with one more parm.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        let value = Some(value.to_owned());
        self.parts.push(Part::Parm(Parm { name: name.to_owned(), value }));
        self
    }

    /// It with one more parm if there is a value for it.
    #[must_use]
    pub fn with_some(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// It with one more parm that has no value.
    #[must_use]
    pub fn with_flag(mut self, name: &str) -> Self {
        self.parts.push(Part::Parm(Parm { name: name.to_owned(), value: None }));
        self
    }

    /// It with one more characteristic inside.
    #[must_use]
    pub fn containing(mut self, inner: Self) -> Self {
        self.parts.push(Part::Characteristic(inner));
        self
    }

    /// The parms of a name, in order.
    pub fn parms<'c>(&'c self, name: &str) -> impl Iterator<Item = &'c Parm> {
        let name = name.to_owned();
        self.parts.iter().filter_map(move |part| match part {
            Part::Parm(parm) if parm.name == name => Some(parm),
            _ => None,
        })
    }

    /// The value of the first parm of a name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.parms(name).find_map(|parm| parm.value.as_deref())
    }

    /// The characteristics of a type inside, in order.
    pub fn inner<'c>(&'c self, kind: &str) -> impl Iterator<Item = &'c Self> {
        let kind = kind.to_owned();
        self.parts.iter().filter_map(move |part| match part {
            Part::Characteristic(inner) if inner.kind == kind => Some(inner),
            _ => None,
        })
    }
}

impl Document {
    /// Reads a document of either encoding, told by its first octet.
    ///
    /// # Errors
    /// [`BadDocument`].
    pub fn read(octets: &[u8]) -> Result<Self, BadDocument> {
        match octets.first() {
            Some(0x01..=0x03) => Self::from_wbxml(octets),
            _ => Self::from_xml(octets),
        }
    }

    /// Reads a document from XML.
    ///
    /// # Errors
    /// [`BadDocument`].
    pub fn from_xml(octets: &[u8]) -> Result<Self, BadDocument> {
        let root = elements::read(octets)?;
        Self::from_root(&root)
    }

    /// Reads a document from WBXML.
    ///
    /// # Errors
    /// [`BadDocument`].
    pub fn from_wbxml(octets: &[u8]) -> Result<Self, BadDocument> {
        Self::from_root(&wbxml::read(octets)?)
    }

    /// Writes it as XML.
    ///
    /// # Errors
    /// [`BadXml::Character`].
    pub fn to_xml(&self) -> Result<String, BadXml> {
        let mut text = PROLOG.to_owned();
        elements::write(&self.root(), &mut text)?;
        text.push('\n');
        Ok(text)
    }

    /// Writes it as WBXML 1.3.
    ///
    /// # Errors
    /// [`BadWbxml::Text`] for a value with U+0000.
    pub fn to_wbxml(&self, auth_types: AuthTypes) -> Result<Vec<u8>, BadWbxml> {
        wbxml::write(&self.root(), auth_types)
    }

    fn root(&self) -> Element {
        let mut root = Element::new(ROOT);
        if let Some(version) = &self.version {
            root = root.with("version", version);
        }
        root.children = self.characteristics.iter().map(characteristic_element).collect();
        root
    }

    fn from_root(root: &Element) -> Result<Self, BadDocument> {
        if root.name != ROOT {
            return Err(BadDocument::Root(root.name.chars().take(40).collect()));
        }
        let mut outer = characteristic(root, String::new())?;
        let mut characteristics = Vec::with_capacity(outer.parts.len());
        for part in outer.parts.drain(..) {
            match part {
                Part::Characteristic(one) => characteristics.push(one),
                Part::Parm(_) => return Err(BadDocument::Misplaced("parm")),
            }
        }
        Ok(Self { version: root.attribute("version").map(str::to_owned), characteristics })
    }
}

fn characteristic_element(characteristic: &Characteristic) -> Element {
    let mut element = Element::new("characteristic").with("type", &characteristic.kind);
    let child = |part: &Part| match part {
        Part::Characteristic(inner) => characteristic_element(inner),
        Part::Parm(parm) => {
            let element = Element::new("parm").with("name", &parm.name);
            match &parm.value {
                Some(value) => element.with("value", value),
                None => element,
            }
        }
    };
    element.children = characteristic.parts.iter().map(child).collect();
    element
}

/// What an element holds; elements that are neither parm nor characteristic are read over.
fn characteristic(element: &Element, kind: String) -> Result<Characteristic, BadDocument> {
    let mut parts = Vec::with_capacity(element.children.len());
    for child in &element.children {
        match child.name.as_str() {
            "parm" => {
                let name = child.attribute("name").ok_or(BadDocument::Missing("the name of a parm"))?;
                let value = child.attribute("value").map(str::to_owned);
                parts.push(Part::Parm(Parm { name: name.to_owned(), value }));
            }
            "characteristic" => {
                let kind =
                    child.attribute("type").ok_or(BadDocument::Missing("the type of a characteristic"))?;
                parts.push(Part::Characteristic(characteristic(child, kind.to_owned())?));
            }
            _ => {}
        }
    }
    Ok(Characteristic { kind, parts })
}

/// A document that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDocument {
    /// The XML.
    #[error(transparent)]
    Xml(#[from] BadXml),
    /// The WBXML.
    #[error(transparent)]
    Wbxml(#[from] BadWbxml),
    /// Another document.
    #[error("the root element is {0}, not wap-provisioningdoc")]
    Root(String),
    /// Something that has to be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// Something stands where it may not.
    #[error("a {0} stands outside of every characteristic")]
    Misplaced(&'static str),
}
