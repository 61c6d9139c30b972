//! The elements of SyncML and their tokens (SyncML RepPro 1.2 section 8, MetInf 1.2, OMA-TS-DM_TND 10).

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

/// The elements of code page 2, DM DDF and TNDS, from token 05 on.
const DDF: [&str; 0x38] = [
    "AccessType",
    "ACL",
    "Add",
    "b64",
    "bin",
    "bool",
    "chr",
    "CaseSense",
    "CIS",
    "Copy",
    "CS",
    "date",
    "DDFName",
    "DefaultValue",
    "Delete",
    "Description",
    "DFFormat",
    "DFProperties",
    "DFTitle",
    "DFType",
    "Dynamic",
    "Exec",
    "float",
    "Format",
    "Get",
    "int",
    "Man",
    "MgmtTree",
    "MIME",
    "Mod",
    "Name",
    "Node",
    "node",
    "NodeName",
    "null",
    "Occurrence",
    "One",
    "OneOrMore",
    "OneOrN",
    "Path",
    "Permanent",
    "Replace",
    "RTProperties",
    "Scope",
    "Size",
    "time",
    "Title",
    "TStamp",
    "Type",
    "Value",
    "VerDTD",
    "VerNo",
    "xml",
    "ZeroOrMore",
    "ZeroOrN",
    "ZeroOrOne",
];

/// The namespace of code page 2.
pub(crate) const DDF_NAMESPACE: &str = "syncml:dmddf1.2";

/// The namespace of code page 1.
pub(crate) const METINF_NAMESPACE: &str = "syncml:metinf";

/// The name of a token on code page 2.
pub(crate) fn ddf_name(token: u8) -> Option<&'static str> {
    DDF.get(usize::from(token.checked_sub(5)?)).copied()
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
        assert_eq!(
            (ddf_name(0x05), ddf_name(0x24), ddf_name(0x25)),
            (Some("AccessType"), Some("Node"), Some("node"))
        );
        assert_eq!((ddf_name(0x3C), ddf_name(0x3D), ddf_name(4)), (Some("ZeroOrOne"), None, None));
    }
}
