//! The elements of code page 2, DM DDF and TNDS (OMA-TS-DM_TND 1.2.1, section 10).

use super::Vocabulary;

/// An element of code page 2. Its number is the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum TreeTag {
    /// An element that is not on the page.
    Unknown = 0,
    AccessType = 0x05,
    Acl,
    Add,
    B64,
    Bin,
    Bool,
    Chr,
    CaseSense,
    Cis,
    Copy,
    Cs,
    Date,
    DdfName,
    DefaultValue,
    Delete,
    Description,
    DfFormat,
    DfProperties,
    DfTitle,
    DfType,
    Dynamic,
    Exec,
    Float,
    Format,
    Get,
    Int,
    Man,
    MgmtTree,
    Mime,
    Mod,
    Name,
    Node,
    /// The value `node` of a Format.
    FormatNode,
    NodeName,
    Null,
    Occurrence,
    One,
    OneOrMore,
    OneOrN,
    Path,
    Permanent,
    Replace,
    RtProperties,
    Scope,
    Size,
    Time,
    Title,
    TStamp,
    Type,
    Value,
    VerDtd,
    VerNo,
    Xml,
    ZeroOrMore,
    ZeroOrN,
    ZeroOrOne,
}

/// Every element with its name, in the order of the tokens.
const TAGS: [(TreeTag, &str); 0x38] = {
    use TreeTag::*;
    [
        (AccessType, "AccessType"),
        (Acl, "ACL"),
        (Add, "Add"),
        (B64, "b64"),
        (Bin, "bin"),
        (Bool, "bool"),
        (Chr, "chr"),
        (CaseSense, "CaseSense"),
        (Cis, "CIS"),
        (Copy, "Copy"),
        (Cs, "CS"),
        (Date, "date"),
        (DdfName, "DDFName"),
        (DefaultValue, "DefaultValue"),
        (Delete, "Delete"),
        (Description, "Description"),
        (DfFormat, "DFFormat"),
        (DfProperties, "DFProperties"),
        (DfTitle, "DFTitle"),
        (DfType, "DFType"),
        (Dynamic, "Dynamic"),
        (Exec, "Exec"),
        (Float, "float"),
        (Format, "Format"),
        (Get, "Get"),
        (Int, "int"),
        (Man, "Man"),
        (MgmtTree, "MgmtTree"),
        (Mime, "MIME"),
        (Mod, "Mod"),
        (Name, "Name"),
        (Node, "Node"),
        (FormatNode, "node"),
        (NodeName, "NodeName"),
        (Null, "null"),
        (Occurrence, "Occurrence"),
        (One, "One"),
        (OneOrMore, "OneOrMore"),
        (OneOrN, "OneOrN"),
        (Path, "Path"),
        (Permanent, "Permanent"),
        (Replace, "Replace"),
        (RtProperties, "RTProperties"),
        (Scope, "Scope"),
        (Size, "Size"),
        (Time, "time"),
        (Title, "Title"),
        (TStamp, "TStamp"),
        (Type, "Type"),
        (Value, "Value"),
        (VerDtd, "VerDTD"),
        (VerNo, "VerNo"),
        (Xml, "xml"),
        (ZeroOrMore, "ZeroOrMore"),
        (ZeroOrN, "ZeroOrN"),
        (ZeroOrOne, "ZeroOrOne"),
    ]
};

/// The namespace of code page 2.
pub(crate) const DDF_NAMESPACE: &str = "syncml:dmddf1.2";

impl Vocabulary for TreeTag {
    const UNKNOWN: Self = Self::Unknown;
    const TREE: bool = true;

    fn from_name(name: &str) -> Self {
        TAGS.iter().find(|(_, known)| *known == name).map_or(Self::Unknown, |(tag, _)| *tag)
    }

    fn from_token(page: u8, token: u8) -> Self {
        if page == 2 { of_token(token).map_or(Self::Unknown, |(tag, _)| tag) } else { Self::Unknown }
    }

    fn name(self) -> &'static str {
        of_token(self as u8).map_or("*", |(_, name)| name)
    }

    fn page(self) -> u8 {
        2
    }

    fn token(self) -> u8 {
        self as u8
    }

    /// Declared at the root; the elements inside inherit it.
    fn namespace(self) -> Option<&'static str> {
        (self == Self::MgmtTree).then_some(DDF_NAMESPACE)
    }
}

/// The name of a token on code page 2.
pub(crate) fn ddf_name(token: u8) -> Option<&'static str> {
    of_token(token).map(|(_, name)| name)
}

fn of_token(token: u8) -> Option<(TreeTag, &'static str)> {
    TAGS.get(usize::from((token & 0x3F).checked_sub(5)?)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_of_a_tree_is_found_by_its_name_and_by_its_token() {
        for (tag, name) in TAGS {
            assert_eq!(TreeTag::from_name(name), tag);
            assert_eq!(TreeTag::from_token(2, tag.token() | 0x40), tag);
            assert_eq!((tag.name(), ddf_name(tag.token())), (name, Some(name)));
        }
        assert_eq!(TreeTag::from_name("nodename"), TreeTag::Unknown);
        assert_eq!(TreeTag::from_token(0, 0x24), TreeTag::Unknown);
    }

    #[test]
    fn the_tokens_of_code_page_2_are_those_of_the_standard() {
        for (tag, token) in [
            (TreeTag::AccessType, 0x05),
            (TreeTag::DdfName, 0x11),
            (TreeTag::MgmtTree, 0x20),
            (TreeTag::Node, 0x24),
            (TreeTag::FormatNode, 0x25),
            (TreeTag::Value, 0x36),
            (TreeTag::ZeroOrOne, 0x3C),
        ] {
            assert_eq!(tag.token(), token, "{tag:?}");
        }
        assert_eq!((ddf_name(0x3D), ddf_name(4)), (None, None));
    }
}
