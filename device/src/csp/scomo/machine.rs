//! Operations, the steps they are made of, and the numbers that State, Status and the alert show (SCOMO 1.0).

use serde::{Deserialize, Serialize};

/// The three folders of the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Place {
    Download,
    Delivered,
    Deployed,
}

impl Place {
    pub(super) const ALL: [Self; 3] = [Self::Download, Self::Delivered, Self::Deployed];

    /// The names of its node below the object.
    pub(super) const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Download => &["Download"],
            Self::Delivered => &["Inventory", "Delivered"],
            Self::Deployed => &["Inventory", "Deployed"],
        }
    }

    /// What an entry's Operations node holds.
    pub(super) const fn operations(self) -> &'static [Operation] {
        use Operation::{
            Activate, Deactivate, Download, DownloadInstall, DownloadInstallInactive, Install,
            InstallInactive, Remove,
        };
        match self {
            Self::Download => &[Download, DownloadInstall, DownloadInstallInactive],
            Self::Delivered => &[Install, InstallInactive, Remove],
            Self::Deployed => &[Activate, Deactivate, Remove],
        }
    }
}

/// The nodes below an entry's Operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Operation {
    Download,
    DownloadInstall,
    DownloadInstallInactive,
    Install,
    InstallInactive,
    Remove,
    Activate,
    Deactivate,
}

impl Operation {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Download => "Download",
            Self::DownloadInstall => "DownloadInstall",
            Self::DownloadInstallInactive => "DownloadInstallInactive",
            Self::Install => "Install",
            Self::InstallInactive => "InstallInactive",
            Self::Remove => "Remove",
            Self::Activate => "Activate",
            Self::Deactivate => "Deactivate",
        }
    }
}

/// What is done in one go. Each can be done again after it was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Fetch,
    Install { active: bool },
    RemovePackage,
    RemoveComponent,
    Activate,
    Deactivate,
}

/// The steps of an operation.
pub(super) const fn steps(place: Place, operation: Operation) -> &'static [Step] {
    match (place, operation) {
        (Place::Download, Operation::Download) => &[Step::Fetch],
        (Place::Download, Operation::DownloadInstall) => &[Step::Fetch, Step::Install { active: true }],
        (Place::Download, Operation::DownloadInstallInactive) => {
            &[Step::Fetch, Step::Install { active: false }]
        }
        (Place::Delivered, Operation::Install) => &[Step::Install { active: true }],
        (Place::Delivered, Operation::InstallInactive) => &[Step::Install { active: false }],
        (Place::Delivered, Operation::Remove) => &[Step::RemovePackage],
        (Place::Deployed, Operation::Remove) => &[Step::RemoveComponent],
        (Place::Deployed, Operation::Activate) => &[Step::Activate],
        (Place::Deployed, Operation::Deactivate) => &[Step::Deactivate],
        _ => &[],
    }
}

/// Status of an entry that nothing happens to.
pub(super) const IDLE: u32 = 10;

/// Status while a step runs.
pub(super) const fn running(place: Place, step: Step) -> u32 {
    match (place, step) {
        (_, Step::Fetch | Step::RemovePackage | Step::RemoveComponent) => 30,
        (Place::Download, Step::Install { .. }) => 50,
        (_, Step::Install { .. }) => 40,
        (_, Step::Activate) => 50,
        (_, Step::Deactivate) => 70,
    }
}

/// Status after a step failed; `data` says whether the package is still there.
pub(super) const fn failed(place: Place, step: Step, data: bool) -> u32 {
    match (place, step) {
        (_, Step::Fetch | Step::RemovePackage | Step::RemoveComponent) => 20,
        (Place::Download, Step::Install { .. }) if data => 60,
        (Place::Download, Step::Install { .. }) => 70,
        (_, Step::Install { .. }) if data => 50,
        (_, Step::Install { .. } | Step::Deactivate) => 60,
        (_, Step::Activate) => 40,
    }
}

/// Status after the last step went well.
pub(super) const fn done(step: Step) -> u32 {
    match step {
        Step::Fetch => 40,
        _ => IDLE,
    }
}

/// State in Delivered.
pub(super) const DELIVERED: u32 = 10;
/// State in Delivered, after an installation.
pub(super) const INSTALLED: u32 = 20;
/// State in Deployed.
pub(super) const INACTIVE: u32 = 10;
/// State in Deployed.
pub(super) const ACTIVE: u32 = 20;

/// The result codes that are given here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Success = 1200,
    DownloadFailed = 1402,
    DownloadRefused = 1403,
    NoRoomForDownload = 1404,
    InstallFailed = 1405,
    NoRoomForInstall = 1406,
    NotGenuine = 1407,
    RemoveFailed = 1408,
    ActivateFailed = 1409,
    DeactivateFailed = 1410,
    OtherEnvironment = 1413,
    ServerError = 1500,
    ServerUnavailable = 1501,
}

#[cfg(test)]
mod tests {
    use super::{Operation::*, Place::*, Step::*, *};

    /// Each step with its Status while it runs and after it failed; Status at the end.
    type Row = (Place, Operation, &'static [(Step, u32, u32)], u32);

    #[test]
    fn every_operation_has_its_steps_and_their_numbers() {
        let table: [Row; 9] = [
            (Place::Download, Operation::Download, &[(Fetch, 30, 20)], 40),
            (
                Place::Download,
                DownloadInstall,
                &[(Fetch, 30, 20), (Step::Install { active: true }, 50, 60)],
                10,
            ),
            (
                Place::Download,
                DownloadInstallInactive,
                &[(Fetch, 30, 20), (Step::Install { active: false }, 50, 60)],
                10,
            ),
            (Delivered, Operation::Install, &[(Step::Install { active: true }, 40, 50)], 10),
            (Delivered, InstallInactive, &[(Step::Install { active: false }, 40, 50)], 10),
            (Delivered, Remove, &[(RemovePackage, 30, 20)], 10),
            (Deployed, Operation::Activate, &[(Step::Activate, 50, 40)], 10),
            (Deployed, Operation::Deactivate, &[(Step::Deactivate, 70, 60)], 10),
            (Deployed, Remove, &[(RemoveComponent, 30, 20)], 10),
        ];
        for (place, operation, expected, end) in table {
            let numbered: Vec<_> = steps(place, operation)
                .iter()
                .map(|step| (*step, running(place, *step), failed(place, *step, true)))
                .collect();
            assert_eq!(numbered, expected, "{place:?} {operation:?}");
            assert_eq!(done(*steps(place, operation).last().unwrap()), end, "{place:?} {operation:?}");
        }
        assert_eq!(failed(Place::Download, Step::Install { active: true }, false), 70);
        assert_eq!(failed(Delivered, Step::Install { active: true }, false), 60);
    }

    #[test]
    fn an_entry_has_no_operation_without_steps() {
        for place in Place::ALL {
            for operation in place.operations() {
                assert!(!steps(place, *operation).is_empty(), "{place:?} {operation:?}");
            }
        }
    }
}
