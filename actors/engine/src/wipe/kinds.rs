//! What a kind of wipe means on a device: the way it is done, what counts as done, and the commands.
//!
//! LAWMO 1.0 (`urn:oma:mo:oma-lawmo:1.0`), the RemoteWipe CSP of Windows and Windows Mobile, and our own device's
//! `./Vendor/Postern/Wipe`, which obeys an order signed by the core and nothing else.

use postern_wire::terms::{Dialect, Redelivery, Verb, WipeEvidence, WipeKind};

use crate::{
    enrolment::leaving,
    queue::{Body, BodyItem},
};

/// The node by which our own device is wiped.
pub const RUN: &str = "./Vendor/Postern/Wipe/Run";
/// The root of LAWMO.
pub const LAWMO: &str = "./LAWMO";
/// LAWMO's reset to factory defaults.
pub const FACTORY_RESET: &str = "./LAWMO/Operations/FactoryReset";
/// LAWMO's wipe of the marked items.
const WIPE_LISTED: &str = "./LAWMO/Operations/Wipe";
/// The RemoteWipe CSP of Windows 10 and 11.
pub const REMOTE_WIPE: &str = "./Device/Vendor/MSFT/RemoteWipe";
/// How a Windows PC is let go.
const UNENROLL: &str = "./Device/Vendor/MSFT/DMClient/Unenroll";
/// Items of LAWMO's list that one wipe marks, at most.
const LISTED: usize = 64;

/// How a wipe is done on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// Our own device's wipe, by a signed order.
    Run,
    /// LAWMO's wipe of everything that it lists.
    WipeListed,
    /// LAWMO's reset to factory defaults.
    FactoryReset,
    /// Our own device lets go of its enrolment, by a signed order.
    Leave,
    /// RemoteWipe/doWipe.
    DoWipe,
    /// RemoteWipe/doWipeProtected.
    DoWipeProtected,
    /// RemoteWipe/doWipePersistUserData.
    DoWipePersistUserData,
    /// RemoteWipe/doWipePersistProvisionedData.
    DoWipePersistProvisionedData,
    /// DMClient/Unenroll.
    Unenroll,
}

/// What counts as done, beside the alert that tells a result, which always does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// The Status alone.
    pub status: bool,
    /// Silence after it.
    pub silence: bool,
    /// That the device leaves its enrolment.
    pub leaving: bool,
}

impl Way {
    /// Each of them.
    pub const ALL: [Self; 9] = [
        Self::Run,
        Self::WipeListed,
        Self::FactoryReset,
        Self::Leave,
        Self::DoWipe,
        Self::DoWipeProtected,
        Self::DoWipePersistUserData,
        Self::DoWipePersistProvisionedData,
        Self::Unenroll,
    ];

    /// The stable spelling: what a row stores and the API shows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Run => "postern-wipe",
            Self::WipeListed => "lawmo-wipe",
            Self::FactoryReset => "lawmo-factory-reset",
            Self::Leave => "postern-unenrol",
            Self::DoWipe => "do-wipe",
            Self::DoWipeProtected => "do-wipe-protected",
            Self::DoWipePersistUserData => "do-wipe-persist-user-data",
            Self::DoWipePersistProvisionedData => "do-wipe-persist-provisioned-data",
            Self::Unenroll => "dm-client-unenroll",
        }
    }

    /// The word read back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.as_str() == text)
    }

    /// The node that is executed.
    #[must_use]
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Run => RUN,
            Self::WipeListed => WIPE_LISTED,
            Self::FactoryReset => FACTORY_RESET,
            Self::Leave => leaving::NODE,
            Self::DoWipe => "./Device/Vendor/MSFT/RemoteWipe/doWipe",
            Self::DoWipeProtected => "./Device/Vendor/MSFT/RemoteWipe/doWipeProtected",
            Self::DoWipePersistUserData => "./Device/Vendor/MSFT/RemoteWipe/doWipePersistUserData",
            Self::DoWipePersistProvisionedData => {
                "./Device/Vendor/MSFT/RemoteWipe/doWipePersistProvisionedData"
            }
            Self::Unenroll => UNENROLL,
        }
    }

    /// What counts as done.
    #[must_use]
    pub const fn evidence(self) -> Counts {
        let (status, silence, leaving) = match self {
            // The device answers when it is done.
            Self::Run => (true, false, false),
            // 202, and an alert with a result code.
            Self::WipeListed => (false, false, false),
            // An alert may never come: the device may have forgotten its account.
            Self::FactoryReset => (false, true, false),
            Self::Leave => (true, false, true),
            // 200 says that it begins; then the device is silent.
            Self::DoWipe
            | Self::DoWipeProtected
            | Self::DoWipePersistUserData
            | Self::DoWipePersistProvisionedData => (false, true, false),
            Self::Unenroll => (false, true, true),
        };
        Counts { status, silence, leaving }
    }

    /// What is told of the evidence that this way can bring, for people.
    #[must_use]
    pub fn awaited(self) -> &'static [WipeEvidence] {
        match self {
            Self::Run => &[WipeEvidence::Acknowledged],
            Self::WipeListed => &[WipeEvidence::Result],
            Self::FactoryReset => &[WipeEvidence::Result, WipeEvidence::Silent],
            Self::Leave => &[WipeEvidence::Acknowledged, WipeEvidence::Left],
            Self::DoWipe
            | Self::DoWipeProtected
            | Self::DoWipePersistUserData
            | Self::DoWipePersistProvisionedData => &[WipeEvidence::Silent],
            Self::Unenroll => &[WipeEvidence::Left, WipeEvidence::Silent],
        }
    }

    /// Whether the device wants an order signed by the core.
    #[must_use]
    pub const fn is_signed(self, ours: bool) -> bool {
        match self {
            Self::Run | Self::Leave => true,
            Self::WipeListed | Self::FactoryReset => ours,
            _ => false,
        }
    }

    /// The commands, the one that wipes last. `order` is the signed order of a device that wants one, or the provider
    /// id for `Unenroll`.
    #[must_use]
    pub fn commands(self, items: &[ListedItem], order: Option<&str>) -> Vec<Body> {
        let marks = items.iter().filter(|_| self == Self::WipeListed).map(|item| {
            let mark = BodyItem {
                format: Some("bool".to_owned()),
                data: Some("true".into()),
                ..BodyItem::node(item.mark())
            };
            Body::plain(Verb::Replace, vec![mark])
        });
        let windows = !matches!(self, Self::Run | Self::Leave | Self::WipeListed | Self::FactoryReset);
        let data = order.or(windows.then_some(""));
        let item = BodyItem {
            format: data.map(|_| "chr".to_owned()),
            data: data.map(Into::into),
            ..BodyItem::node(self.uri())
        };
        marks.chain([Body::plain(Verb::Exec, vec![item])]).collect()
    }

    /// A wipe that is lost on its way goes again: within its generation it does no harm (our own device obeys an order
    /// once).
    #[must_use]
    pub const fn redelivery(self) -> Redelivery {
        Redelivery::Repeat
    }
}

/// An item of LAWMO's AvailableWipeList, by its node's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedItem(String);

impl ListedItem {
    /// From the URI of a node below the list; none for another.
    #[must_use]
    pub fn of_uri(uri: &str) -> Option<Self> {
        let below = uri.strip_prefix("./LAWMO/AvailableWipeList/")?;
        let name = below.split('/').next().filter(|name| !name.is_empty())?;
        Some(Self(name.to_owned()))
    }

    fn mark(&self) -> String {
        format!("{LAWMO}/AvailableWipeList/{}/ToBeWiped", self.0)
    }
}

/// What is known of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Its dialect.
    pub dialect: Dialect,
    /// Whether it is our own.
    pub ours: bool,
    /// What LAWMO lists, as far as it was read.
    pub items: Vec<ListedItem>,
}

/// Why a device cannot be wiped so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotWipe {
    /// Its dialect has nothing like it.
    #[error("a {kind} wipe is not possible: {why}")]
    Impossible {
        /// The kind.
        kind: WipeKind,
        /// Why not.
        why: &'static str,
    },
}

/// How a device is wiped.
///
/// # Errors
/// [`CannotWipe`] with the reason.
pub fn way(kind: WipeKind, model: &Model) -> Result<Way, CannotWipe> {
    let cannot = |why| Err(CannotWipe::Impossible { kind, why });
    match (model.dialect, kind) {
        (Dialect::Windows, WipeKind::Full) => Ok(Way::DoWipe),
        (Dialect::Windows, WipeKind::Protected) => Ok(Way::DoWipeProtected),
        (Dialect::Windows, WipeKind::KeepUserData) => Ok(Way::DoWipePersistUserData),
        (Dialect::Windows, WipeKind::KeepProvisioning) => Ok(Way::DoWipePersistProvisionedData),
        (Dialect::Windows, WipeKind::Selective) => Ok(Way::Unenroll),
        (Dialect::Classic, WipeKind::Full) if model.ours => Ok(Way::Run),
        (Dialect::Classic, WipeKind::Full) => Ok(Way::FactoryReset),
        (Dialect::Classic, WipeKind::KeepProvisioning) if model.items.is_empty() => {
            cannot("what LAWMO lists on this device is not known; read ./LAWMO/AvailableWipeList first")
        }
        (Dialect::Classic, WipeKind::KeepProvisioning) if model.items.len() > LISTED => {
            cannot("LAWMO lists more items on this device than one wipe marks")
        }
        (Dialect::Classic, WipeKind::KeepProvisioning) => Ok(Way::WipeListed),
        (Dialect::Classic, WipeKind::Selective) if model.ours => Ok(Way::Leave),
        (Dialect::Classic, WipeKind::Selective) => {
            cannot("this model has no node that is known to end its enrolment")
        }
        (Dialect::Classic, WipeKind::KeepUserData) => cannot("no classic device can keep its user's data"),
        (Dialect::Classic, WipeKind::Protected) => cannot("only Windows resumes a wipe after a power cycle"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destructive::{Protected, protected};
    use postern_wire::uri::TreeUri;

    fn model(dialect: Dialect, ours: bool, items: &[&str]) -> Model {
        let items = items.iter().map(|name| ListedItem((*name).to_owned())).collect();
        Model { dialect, ours, items }
    }

    #[test]
    fn each_kind_is_done_by_the_dialects_own_verb_or_refused_with_a_reason() {
        use WipeKind::{Full, KeepProvisioning, KeepUserData, Protected, Selective};
        let ours = model(Dialect::Classic, true, &["Settings"]);
        let lawmo = model(Dialect::Classic, false, &["Messages"]);
        let plain = model(Dialect::Classic, false, &[]);
        let windows = model(Dialect::Windows, false, &[]);
        let table = [
            (Full, &ours, Some(Way::Run)),
            (Full, &lawmo, Some(Way::FactoryReset)),
            (Full, &plain, Some(Way::FactoryReset)),
            (Full, &windows, Some(Way::DoWipe)),
            (KeepUserData, &ours, None),
            (KeepUserData, &lawmo, None),
            (KeepUserData, &windows, Some(Way::DoWipePersistUserData)),
            (KeepProvisioning, &ours, Some(Way::WipeListed)),
            (KeepProvisioning, &lawmo, Some(Way::WipeListed)),
            (KeepProvisioning, &plain, None),
            (KeepProvisioning, &windows, Some(Way::DoWipePersistProvisionedData)),
            (Protected, &ours, None),
            (Protected, &lawmo, None),
            (Protected, &windows, Some(Way::DoWipeProtected)),
            (Selective, &ours, Some(Way::Leave)),
            (Selective, &lawmo, None),
            (Selective, &windows, Some(Way::Unenroll)),
        ];
        for (kind, model, expected) in table {
            assert_eq!(way(kind, model).ok(), expected, "{kind} {model:?}");
        }
    }

    #[test]
    fn every_way_executes_a_node_that_no_raw_command_reaches() {
        for way in Way::ALL {
            let uri = TreeUri::parse(way.uri()).unwrap();
            let what = protected(Verb::Exec, &uri, false);
            assert!(matches!(what, Some(Protected::Wipe | Protected::Unenrol)), "{}", way.as_str());
            assert_eq!(Way::parse(way.as_str()), Some(way));
        }
    }

    #[test]
    fn a_windows_wipe_is_an_exec_of_an_empty_text() {
        let commands = Way::DoWipeProtected.commands(&[], None);
        let [Body::Plain { verb: Verb::Exec, items, .. }] = commands.as_slice() else { panic!() };
        assert_eq!(items[0].target, "./Device/Vendor/MSFT/RemoteWipe/doWipeProtected");
        assert_eq!((items[0].format.as_deref(), &items[0].data), (Some("chr"), &Some("".into())));
    }

    #[test]
    fn a_lawmo_wipe_marks_what_it_wipes_first() {
        let items: Vec<_> =
            ["./LAWMO/AvailableWipeList/Messages/ListItemName", "./LAWMO/AvailableWipeList/Card"]
                .iter()
                .filter_map(|uri| ListedItem::of_uri(uri))
                .collect();
        let commands = Way::WipeListed.commands(&items, None);
        let uris: Vec<_> = commands.iter().filter_map(Body::first_uri).collect();
        assert_eq!(
            uris,
            [
                "./LAWMO/AvailableWipeList/Messages/ToBeWiped",
                "./LAWMO/AvailableWipeList/Card/ToBeWiped",
                "./LAWMO/Operations/Wipe",
            ]
        );
        assert_eq!(ListedItem::of_uri("./LAWMO/Operations/Wipe"), None);
        assert_eq!(commands[2].items()[0].data, None, "a device that is not ours gets no order");
    }

    #[test]
    fn silence_is_no_evidence_where_the_device_answers_when_it_is_done() {
        for way in Way::ALL {
            let counts = way.evidence();
            assert!(!(counts.status && counts.silence), "{}", way.as_str());
            assert_eq!(counts.status, way.awaited().contains(&WipeEvidence::Acknowledged));
            assert_eq!(counts.silence, way.awaited().contains(&WipeEvidence::Silent));
            assert_eq!(counts.leaving, way.awaited().contains(&WipeEvidence::Left));
        }
    }
}
