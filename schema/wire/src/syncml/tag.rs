//! The elements of SyncML and their tokens (SyncML RepPro 1.2 section 8, MetInf 1.2); those of trees in [`tree`].

mod tree;

pub(crate) use tree::{DDF_NAMESPACE, TreeTag, ddf_name};

/// An element of code page 0 (SyncML) or 1 (MetInf). Its number is page × 64 + token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[expect(clippy::upper_case_acronyms, reason = "names are the standard's own, and become text by stringify!")]
pub(crate) enum Tag {
    /// An element that is on neither page.
    Unknown = 0,
    // page 0, SyncML
    Add = 0x05,
    Alert,
    Archive,
    Atomic,
    Chal,
    Cmd,
    CmdID,
    CmdRef,
    Copy,
    Cred,
    Data,
    Delete,
    Exec,
    Final,
    Get,
    Item,
    Lang,
    LocName,
    LocURI,
    Map,
    MapItem,
    Meta,
    MsgID,
    MsgRef,
    NoResp,
    NoResults,
    Put,
    Replace,
    RespURI,
    Results,
    Search,
    Sequence,
    SessionID,
    SftDel,
    Source,
    SourceRef,
    Status,
    Sync,
    SyncBody,
    SyncHdr,
    SyncML,
    Target,
    TargetRef,
    VerDTD = 0x31,
    VerProto,
    NumberOfChanges,
    MoreData,
    Field,
    Filter,
    Record,
    FilterType,
    SourceParent,
    TargetParent,
    Move,
    Correlator,
    // page 1, MetInf
    Anchor = 0x45,
    EMI,
    Format,
    FreeID,
    FreeMem,
    Last,
    Mark,
    MaxMsgSize,
    Mem,
    MetInf,
    Next,
    NextNonce,
    SharedMem,
    Size,
    Type,
    Version,
    MaxObjSize,
    FieldLevel,
}

/// Every known element with its name, in the order of the numbers.
const TAGS: &[(Tag, &str)] = &{
    use Tag::*;
    macro_rules! named { ($($tag:ident)+) => { [$(($tag, stringify!($tag))),+] } }
    named! {
        Add Alert Archive Atomic Chal Cmd CmdID CmdRef Copy Cred Data Delete Exec Final Get Item Lang LocName LocURI
        Map MapItem Meta MsgID MsgRef NoResp NoResults Put Replace RespURI Results Search Sequence SessionID SftDel
        Source SourceRef Status Sync SyncBody SyncHdr SyncML Target TargetRef VerDTD VerProto NumberOfChanges
        MoreData Field Filter Record FilterType SourceParent TargetParent Move Correlator
        Anchor EMI Format FreeID FreeMem Last Mark MaxMsgSize Mem MetInf Next NextNonce SharedMem Size Type Version
        MaxObjSize FieldLevel
    }
};

/// By number.
static BY_NUMBER: [(Tag, &str); 128] = {
    let mut table = [(Tag::Unknown, "*"); 128];
    let mut at = 0;
    while at < TAGS.len() {
        table[TAGS[at].0 as usize] = TAGS[at];
        at += 1;
    }
    table
};

/// By name: a perfect hash, checked when this is compiled.
static BY_NAME: [Tag; 256] = {
    let mut table = [Tag::Unknown; 256];
    let mut at = 0;
    while at < TAGS.len() {
        let slot = hash(TAGS[at].1.as_bytes());
        assert!(matches!(table[slot], Tag::Unknown), "two names share a slot: choose other factors");
        table[slot] = TAGS[at].0;
        at += 1;
    }
    table
};

/// Names have at least two octets.
const fn hash(name: &[u8]) -> usize {
    let (len, first, middle, last) =
        (name.len(), name[0] as usize, name[name.len() / 2] as usize, name[name.len() - 1] as usize);
    (len.wrapping_mul(FACTORS[0])
        ^ first.wrapping_mul(FACTORS[1])
        ^ middle.wrapping_mul(FACTORS[2])
        ^ last.wrapping_mul(FACTORS[3]))
        & 255
}

const FACTORS: [usize; 4] = [38, 75, 123, 139];

impl Tag {
    /// The element with this local name; `Unknown` for any other. Case counts.
    #[inline]
    pub(crate) fn from_name(name: &str) -> Self {
        if name.len() < 2 {
            return Self::Unknown;
        }
        let tag = BY_NAME[hash(name.as_bytes())];
        if tag.name() == name { tag } else { Self::Unknown }
    }

    /// The element with this token on code page 0 or 1.
    #[inline]
    pub(crate) fn from_token(page: u8, token: u8) -> Self {
        if page > 1 { Self::Unknown } else { BY_NUMBER[usize::from(page << 6 | (token & 0x3F))].0 }
    }

    /// The element's name; `*` for `Unknown`.
    #[inline]
    pub(crate) fn name(self) -> &'static str {
        BY_NUMBER[self as usize].1
    }

    /// The code page.
    #[inline]
    pub(crate) const fn page(self) -> u8 {
        self as u8 >> 6
    }

    /// The token on that page, without flags.
    #[inline]
    pub(crate) const fn token(self) -> u8 {
        self as u8 & 0x3F
    }
}

/// The namespace of code page 1.
pub(crate) const METINF_NAMESPACE: &str = "syncml:metinf";

/// What one kind of document is written in: SyncML with MetInf ([`Tag`]), or a tree ([`TreeTag`]). The readers and
/// writers of both encodings serve either.
pub(crate) trait Vocabulary: Copy + PartialEq {
    /// An element of another vocabulary or of none.
    const UNKNOWN: Self;
    /// Whether this is the vocabulary of trees.
    const TREE: bool;
    /// The element with this local name; case counts.
    fn from_name(name: &str) -> Self;
    /// The element with this token, flags aside.
    fn from_token(page: u8, token: u8) -> Self;
    /// The local name; `*` for an unknown one.
    fn name(self) -> &'static str;
    /// The code page.
    fn page(self) -> u8;
    /// The token without flags.
    fn token(self) -> u8;
    /// The namespace that is declared on this element in XML.
    fn namespace(self) -> Option<&'static str>;
}

impl Vocabulary for Tag {
    const UNKNOWN: Self = Self::Unknown;
    const TREE: bool = false;

    #[inline]
    fn from_name(name: &str) -> Self {
        Self::from_name(name)
    }

    #[inline]
    fn from_token(page: u8, token: u8) -> Self {
        Self::from_token(page, token)
    }

    #[inline]
    fn name(self) -> &'static str {
        Self::name(self)
    }

    #[inline]
    fn page(self) -> u8 {
        Self::page(self)
    }

    #[inline]
    fn token(self) -> u8 {
        Self::token(self)
    }

    #[inline]
    fn namespace(self) -> Option<&'static str> {
        (self.page() == 1).then_some(METINF_NAMESPACE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_is_found_by_its_name_and_by_its_token() {
        assert_eq!(TAGS.len(), 0x30 - 5 + 0x3D - 0x31 + 0x17 - 5);
        for &(tag, name) in TAGS {
            assert_eq!(Tag::from_name(name), tag);
            assert_eq!(Tag::from_token(tag.page(), tag.token() | 0x40), tag);
            assert_eq!(tag.name(), name);
        }
        for other in ["", "a", "status", "Statuss", "Datum", "*"] {
            assert_eq!(Tag::from_name(other), Tag::Unknown, "{other}");
        }
    }

    #[test]
    fn the_tokens_are_those_of_the_standard() {
        for (tag, page, token) in [
            (Tag::Item, 0, 0x14),
            (Tag::TargetRef, 0, 0x2F),
            (Tag::VerDTD, 0, 0x31),
            (Tag::MoreData, 0, 0x34),
            (Tag::Correlator, 0, 0x3C),
            (Tag::Anchor, 1, 0x05),
            (Tag::Type, 1, 0x13),
            (Tag::FieldLevel, 1, 0x16),
        ] {
            assert_eq!((tag.page(), tag.token()), (page, token), "{tag:?}");
        }
    }
}
