//! What the policy supervisor computes of, as this core is set up.

mod tables;
mod world;

use std::sync::Arc;

use postern_actors::{
    DirectorySupervisor,
    documents::StoredDocuments,
    policy::{
        inputs::{
            PolicyBindings, PolicyInputs, PolicyRules, PolicySettings, PolicySites, PolicyTables, SiteSet,
        },
        live::DirectoryWho,
    },
    sysvol::SysvolSupervisor,
};
use postern_engine::policy::rsop::{Options, WmiUnknown};
use postern_store::{Reader, StoreError, settings as rows};
use postern_wire::terms::EnrolmentId;

use crate::{
    config::Config,
    inside::Inside,
    settings::{global, resolve, row},
};

pub(crate) use tables::OperatorTables;
pub(crate) use world::keep_telling;

/// The settings as the policy supervisor asks for them.
struct CorePolicyRules(Config);

impl PolicyRules for CorePolicyRules {
    fn read(&self, r: &mut Reader) -> Result<PolicySettings, StoreError> {
        let layers = global(r)?;
        let value = |name| resolve(row(name), &layers, &self.0).value;
        Ok(PolicySettings {
            hold_share: u32::try_from(value("PolicyHoldShare")).unwrap_or(100),
            verify_ms: value("PolicyVerifyInterval").saturating_mul(1_000),
            // The other half of the pushes is for commands and people, whatever is set.
            wakes_per_minute: u32::try_from(value("PolicyWakesPerMinute"))
                .unwrap_or(0)
                .min(self.0.notifications.per_minute / 2),
            options: Options {
                wmi_unknown: match value("PolicyAllowUnknownWmi") {
                    0 => WmiUnknown::Deny,
                    _ => WmiUnknown::Allow,
                },
                ..Options::default()
            },
        })
    }
}

impl PolicySites for CorePolicyRules {
    fn of(&self, r: &mut Reader, device: EnrolmentId) -> Result<SiteSet, StoreError> {
        let row = row("PolicySite");
        if !rows::is_anywhere(r, row.name)? {
            return Ok(SiteSet::Nothing);
        }
        let found = resolve(row, &rows::layers(r, device)?, &self.0);
        let because = format!("PolicySite is {}", found.because);
        Ok(match (found.is_set(), found.text.is_empty()) {
            (false, _) => SiteSet::Nothing,
            (true, true) => SiteSet::None(because),
            (true, false) => SiteSet::Named(found.text, because),
        })
    }
}

/// What there is to compute of.
pub(crate) fn inputs(
    inside: &Inside,
    directory: Option<&DirectorySupervisor>,
    sysvol: Option<&SysvolSupervisor>,
    tables: Option<Arc<OperatorTables>>,
) -> PolicyInputs {
    let who = |directory: &DirectorySupervisor| {
        let sites = Arc::new(CorePolicyRules(inside.config.clone()));
        let keeper = Arc::clone(directory.keeper());
        Arc::new(DirectoryWho::new(directory.bindings(), keeper, sites)) as Arc<dyn PolicyBindings>
    };
    PolicyInputs {
        world: world::world(inside, directory, sysvol),
        bindings: directory.map(who),
        rules: Arc::new(CorePolicyRules(inside.config.clone())),
        documents: Some(Arc::new(StoredDocuments::default())),
        tables: tables.map(|tables| tables as Arc<dyn PolicyTables>),
    }
}

/// The operator's mapping tables, read now; none where the configuration names none.
pub(crate) fn tables(config: &Config) -> Option<Arc<OperatorTables>> {
    OperatorTables::open(config.policy.tables.iter().map(|path| config.at(path)).collect())
}

/// Whether the operator's mapping tables can be read as they stand.
///
/// # Errors
/// File, line and cause.
pub fn check_tables(config: &Config) -> Result<(), String> {
    let paths: Vec<_> = config.policy.tables.iter().map(|path| config.at(path)).collect();
    tables::read(&paths).map(drop)
}
