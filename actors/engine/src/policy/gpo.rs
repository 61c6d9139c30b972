//! A GPO as the directory describes it, and the version file of its SYSVOL folder (MS-GPOL 2.2.4, 2.2.5).

use std::fmt;

use serde::Serialize;
use uuid::{Uuid, uuid};

use super::{dn::Dn, security_descriptor::SecurityDescriptor};

/// The client-side extension that applies Registry.pol.
pub const REGISTRY_EXTENSION: Uuid = uuid!("35378eac-683f-11d2-a89a-00c04fbbcfa2");
/// Octets of a GPT.INI at most.
const GPT_INI_OCTETS: usize = 64 * 1024;

/// A half of a GPO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Half {
    /// Computer Configuration: HKLM.
    Computer,
    /// User Configuration: HKCU.
    User,
}

impl Half {
    /// The word in reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Computer => "computer",
            Self::User => "user",
        }
    }

    /// The folder in SYSVOL; its case varies.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Computer => "Machine",
            Self::User => "User",
        }
    }

    /// Where its settings lie below a GPO's folder; the case varies.
    #[must_use]
    pub fn registry_pol(self) -> String {
        format!("{}\\Registry.pol", self.folder())
    }

    /// This half of a version number: the user's is the upper 16 bits.
    #[must_use]
    pub fn of_version(self, version: u32) -> u32 {
        match self {
            Self::Computer => version & 0xffff,
            Self::User => version >> 16,
        }
    }
}

/// A GPO as the directory has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpo {
    /// Its name in the directory.
    pub dn: Dn,
    /// Its GUID, where its `cn` is one.
    pub id: Option<GpoId>,
    /// What people call it; its `cn` where it has no name.
    pub name: String,
    /// Bit 0x1: the user half is off; bit 0x2: the computer half.
    pub flags: u32,
    /// User version in the upper 16 bits, computer version in the lower.
    pub version: u32,
    /// Has to be 2.
    pub functionality: Option<i64>,
    /// `gPCMachineExtensionNames`.
    pub computer_extensions: Option<String>,
    /// `gPCUserExtensionNames`.
    pub user_extensions: Option<String>,
    /// The WMI filter.
    pub filter: Option<FilterRef>,
    /// Who may read and apply it; `Err` says why nobody can tell.
    pub security: Result<SecurityDescriptor, NoSecurity>,
}

/// Why nobody can tell who may read a GPO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSecurity {
    /// The attribute did not come.
    #[error("no nTSecurityDescriptor was returned")]
    Absent,
    /// It is no security descriptor.
    #[error("its nTSecurityDescriptor cannot be read: {0}")]
    Unreadable(super::security_descriptor::Error),
}

impl Gpo {
    /// Whether a half is switched off.
    #[must_use]
    pub fn is_off(&self, half: Half) -> bool {
        match half {
            Half::User => self.flags & 1 != 0,
            Half::Computer => self.flags & 2 != 0,
        }
    }

    /// Whether the registry extension takes part in a half.
    #[must_use]
    pub fn registry_extension(&self, half: Half) -> Extension {
        match half {
            Half::Computer => registry_extension(self.computer_extensions.as_deref()),
            Half::User => registry_extension(self.user_extensions.as_deref()),
        }
    }
}

/// The GUID of a GPO, written with braces in capitals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GpoId(pub Uuid);

impl GpoId {
    /// Reads `{GUID}`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        braced(text).map(Self)
    }
}

impl fmt::Display for GpoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}", self.0.braced())
    }
}

impl fmt::Debug for GpoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Which WMI filter a GPO has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterRef {
    /// The filter's `msWMI-ID`.
    Id(Uuid),
    /// A text that names none.
    Unreadable(String),
}

impl FilterRef {
    /// Reads `gPCWQLFilter`: `[domain;{id};flags]`. An empty text is no filter.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        let id = inner.and_then(|inner| inner.split(';').nth(1)).and_then(braced);
        Some(id.map_or_else(|| Self::Unreadable(text.to_owned()), Self::Id))
    }
}

/// Whether an extension stands in the list of a half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    /// It does.
    Present,
    /// There is no list.
    NoList,
    /// The list names others only.
    OthersOnly,
    /// An extension before it is out of order, where processing ends.
    OutOfOrder,
    /// The list cannot be read.
    Malformed,
}

/// Looks for the registry extension in `[{CSE}{TOOL}…][…]`, sorted by CSE; at the first that is out of order
/// processing ends (MS-GPOL 2.2.4).
fn registry_extension(list: Option<&str>) -> Extension {
    let Some(list) = list.map(str::trim).filter(|list| !list.is_empty()) else { return Extension::NoList };
    let mut last: Option<String> = None;
    let mut rest = list;
    while !rest.trim_start().is_empty() {
        let Some((group, behind)) =
            rest.trim_start().strip_prefix('[').and_then(|group| group.split_once(']'))
        else {
            return Extension::Malformed;
        };
        let Some(cse) = group.find('}').and_then(|end| braced(&group[..=end])) else {
            return Extension::Malformed;
        };
        let name = cse.to_string();
        if last.as_ref().is_some_and(|last| name < *last) {
            return Extension::OutOfOrder;
        }
        if cse == REGISTRY_EXTENSION {
            return Extension::Present;
        }
        last = Some(name);
        rest = behind;
    }
    Extension::OthersOnly
}

/// Why a GPT.INI cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GptIniError {
    /// Larger than the limit.
    #[error("GPT.INI is too large")]
    TooLarge,
    /// No section `[General]`.
    #[error("GPT.INI has no section [General]")]
    NoGeneral,
    /// No version, or one that is no number of 32 bits.
    #[error("GPT.INI has no version")]
    NoVersion,
}

/// The version in a GPT.INI.
pub fn gpt_ini_version(octets: &[u8]) -> Result<u32, GptIniError> {
    if octets.len() > GPT_INI_OCTETS {
        return Err(GptIniError::TooLarge);
    }
    // ANSI: names and number are ASCII whatever the code page.
    let text: String = octets.iter().map(|octet| char::from(*octet)).collect();
    let text = text.strip_prefix("\u{ef}\u{bb}\u{bf}").unwrap_or(&text);
    let mut in_general = false;
    let mut seen = false;
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            in_general = section.trim_end_matches(']').trim().eq_ignore_ascii_case("general");
            seen |= in_general;
        } else if in_general
            && let Some((name, value)) = line.split_once('=')
            && name.trim().eq_ignore_ascii_case("version")
        {
            return value.trim().parse().map_err(|_| GptIniError::NoVersion);
        }
    }
    Err(if seen { GptIniError::NoVersion } else { GptIniError::NoGeneral })
}

fn braced(text: &str) -> Option<Uuid> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    if inner.len() == 36 { Uuid::try_parse(inner).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_extension_is_found_in_a_sorted_list_only() {
        const REGISTRY: &str =
            "[{35378EAC-683F-11D2-A89A-00C04FBBCFA2}{D02B1F72-3407-48AE-BA88-E8213C6761F1}]";
        const SECURITY: &str =
            "[{827D319E-6EAC-11D2-A4EA-00C04F79F83A}{803E14A0-B4FB-11D0-A0D0-00A0C90F574B}]";

        for (list, found) in [
            (Some(REGISTRY.to_owned()), Extension::Present),
            (Some(REGISTRY.to_lowercase() + SECURITY), Extension::Present),
            (Some(SECURITY.to_owned()), Extension::OthersOnly),
            (Some(SECURITY.to_owned() + REGISTRY), Extension::OutOfOrder),
            (Some(" ".to_owned()), Extension::NoList),
            (None, Extension::NoList),
            (Some("[{1}]".to_owned()), Extension::Malformed),
        ] {
            assert_eq!(registry_extension(list.as_deref()), found, "{list:?}");
        }
    }

    #[test]
    fn the_version_of_a_folder_is_that_of_its_general_section() {
        for (text, version) in [
            ("[General]\r\nVersion=65537\r\ndisplayName=x\r\n", Ok(65537)),
            ("[GENERAL]\nvERSION = 3", Ok(3)),
            ("[Other]\nVersion=1\n[general]\nVersion=2\n", Ok(2)),
            ("Version=1\n", Err(GptIniError::NoGeneral)),
            ("[General]\nVersion=x\n", Err(GptIniError::NoVersion)),
            ("[General]\n", Err(GptIniError::NoVersion)),
        ] {
            assert_eq!(gpt_ini_version(text.as_bytes()), version, "{text:?}");
        }
        assert_eq!((Half::User.of_version(0x0002_0001), Half::Computer.of_version(0x0002_0001)), (2, 1));
    }

    #[test]
    fn a_filter_is_named_by_its_guid() {
        let id = uuid!("11111111-2222-3333-4444-555555555555");
        assert_eq!(
            FilterRef::read("[corp.example;{11111111-2222-3333-4444-555555555555};0]"),
            Some(FilterRef::Id(id))
        );
        assert_eq!(FilterRef::read(" "), None);
        assert_eq!(FilterRef::read("[x]"), Some(FilterRef::Unreadable("[x]".to_owned())));
    }
}
