//! What is desired of a device, of what is known of it.

use std::sync::Arc;

use postern_engine::policy::{
    desired::{
        Desired,
        fold::{self, Planned},
        layer::Layer,
    },
    mapping::table::Table,
    rsop::{self, Rsop, Target},
    wql::facts::Facts,
};
use postern_store::{
    Reader, StoreError,
    enrolments::{self, Enrolment},
    facts,
    policies::{self, Device},
};
use postern_wire::terms::EnrolmentId;

use super::inputs::{PolicyInputs, Who};

/// Where a device's software version stands among its facts.
const VERSION: &str = "./DevDetail/SwV";
const MANUFACTURER: &str = "./DevInfo/Man";

/// What is known of a device.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// Its enrolment.
    pub enrolment: Enrolment,
    /// How it stands.
    pub row: Option<Device>,
    /// Who it is in the directory.
    pub who: Who,
    /// What is known of it for filters.
    pub facts: Arc<Facts>,
    /// Its version, where it is known.
    pub version: Option<String>,
    /// The documents of its groups.
    pub layers: Vec<Layer>,
    /// Why what they say cannot be told, if so.
    pub unread: Option<Stale>,
    /// The tables that say where its settings go.
    pub tables: Vec<Arc<Table>>,
    /// Why these are not all of them.
    pub no_tables: Option<Stale>,
}

/// Why there is no desired state, so that the last good one stays.
pub type Stale = String;

impl Gathered {
    /// Reads what is known of a device.
    ///
    /// # Errors
    /// Where the rows cannot be read.
    pub fn read(r: &mut Reader, inputs: &PolicyInputs, id: EnrolmentId) -> Result<Self, StoreError> {
        let enrolment = enrolments::get(r, id)?;
        let row = policies::find(r, id)?;
        let known = facts::of(r, id)?;
        let fact = |key: &str| known.iter().find(|fact| fact.key == key).map(|fact| fact.value.clone());
        let version = fact(VERSION);
        let (tables, no_tables) = match inputs.tables(enrolment.dialect, fact(MANUFACTURER).as_deref()) {
            Ok(tables) => (tables, None),
            Err(why) => (Vec::new(), Some(why)),
        };
        let who = match (&inputs.world, &inputs.bindings) {
            (Some(_), Some(bindings)) => bindings.who(r, &enrolment)?,
            _ => Who::Nobody,
        };
        let (layers, unread) = match &inputs.documents {
            Some(documents) => match documents.layers(r, &enrolment, &tables, version.as_deref())? {
                Ok(layers) => (layers, None),
                Err(why) => (Vec::new(), Some(why)),
            },
            None => (Vec::new(), None),
        };
        let leaves = known.iter().map(|fact| (fact.key.as_str(), fact.value.as_str()));
        let facts = Arc::new(Facts::of_tree(leaves.filter(|(key, _)| key.starts_with("./"))));
        Ok(Self { enrolment, row, who, facts, version, layers, unread, tables, no_tables })
    }

    /// Whose policy is asked of the directory; none where no GPO is for it.
    #[must_use]
    pub fn target(&self) -> Option<Target> {
        match &self.who {
            Who::Accounts { computer, user, site, .. } if computer.is_some() || user.is_some() => {
                Some(Target {
                    computer: computer.clone(),
                    user: user.clone(),
                    site: site.clone(),
                    facts: Arc::clone(&self.facts),
                    loopback: None,
                })
            }
            _ => None,
        }
    }

    /// What is desired, of the directory's part where there is one.
    ///
    /// # Errors
    /// Why it cannot be said.
    pub fn desired(&self, rsop: Option<&Result<Arc<Rsop>, rsop::Error>>) -> Result<Desired, Stale> {
        if let Some(why) = self.no_tables.as_ref().or(self.unread.as_ref()) {
            return Err(why.clone());
        }
        let planned = match rsop {
            None => match &self.who {
                Who::Unknown(why) => return Err(why.clone()),
                _ => Planned::default(),
            },
            Some(Err(error)) => return Err(error.to_string()),
            Some(Ok(rsop)) => {
                let passes = rsop.computer.iter().chain(&rsop.user);
                if let Some(pass) = passes.into_iter().find(|pass| pass.is_incomplete()) {
                    return Err(format!("not all of the {} policy could be read", pass.half.word()));
                }
                let tables: Vec<&Table> = self.tables.iter().map(|table| &**table).collect();
                fold::planned(rsop, &tables, self.version.as_deref())
            }
        };
        fold::fold(planned, &self.layers).bounded()
    }
}
