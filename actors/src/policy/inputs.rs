//! What policy is computed of: each input behind a trait of its own, so that each can be absent.
//!
//! Promise: an input that is there but cannot be read is never taken for an empty one.

use std::sync::{Arc, LazyLock};

use postern_engine::policy::{
    desired::layer::Layer,
    dn::Dn,
    mapping::{self, table::Table},
    rsop::{Options, World},
};
use postern_store::{Reader, StoreError, enrolments::Enrolment};
use postern_wire::terms::{Dialect, EnrolmentId};

use super::compute::Stale;

/// How it is with directory and SYSVOL.
#[derive(Clone, Debug)]
pub enum WorldNow {
    /// None is set up: documents alone say what is desired.
    Absent,
    /// One is set up and was never read well: what was desired stays.
    Unread(String),
    /// As last read well.
    Good(Arc<World>),
}

/// Gives directory and SYSVOL as last read well.
pub trait PolicyWorld: Send + Sync + 'static {
    /// How it is now. Cheap: asked for often.
    fn now(&self) -> WorldNow;

    /// Why what is there may be older than what devices were told: it is from before the start, and nobody knows how long before. It takes
    /// nothing away then; none where it is not so.
    fn is_old(&self) -> Option<String> {
        None
    }

    /// What is to be decided by choice from now on. Cheap: told before each look.
    fn choose(&self, options: Options) {
        let _ = options;
    }
}

/// Who a device is in the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Nobody: no GPO is for it.
    Nobody,
    /// It cannot be said now: what was desired stays.
    Unknown(String),
    /// Its computer and its owner's user.
    Accounts {
        /// The computer object.
        computer: Option<Dn>,
        /// The owner's user object.
        user: Option<Dn>,
        /// The site that it counts to.
        site: Option<Dn>,
        /// Why that one, or none, in a few words.
        site_because: String,
    },
}

/// Says who a device is in the directory.
pub trait PolicyBindings: Send + Sync + 'static {
    /// The device's accounts.
    ///
    /// # Errors
    /// Where the rows cannot be read.
    fn who(&self, r: &mut Reader, device: &Enrolment) -> Result<Who, StoreError>;
}

/// What somebody set as a device's site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteSet {
    /// Nobody set anything.
    Nothing,
    /// None, and who set that.
    None(String),
    /// The site of a name, and who set that.
    Named(String, String),
}

/// Says what is set as a device's site.
pub trait PolicySites: Send + Sync + 'static {
    /// The device's.
    ///
    /// # Errors
    /// Where the rows cannot be read.
    fn of(&self, r: &mut Reader, device: EnrolmentId) -> Result<SiteSet, StoreError>;
}

/// Gives the documents of a device's groups.
pub trait PolicyDocuments: Send + Sync + 'static {
    /// What they say for this device, or why that cannot be told, so that what was desired stays. `tables` tell the nodes of named
    /// settings.
    ///
    /// # Errors
    /// Where the rows cannot be read.
    fn layers(
        &self,
        r: &mut Reader,
        device: &Enrolment,
        tables: &[Arc<Table>],
        version: Option<&str>,
    ) -> Result<Result<Vec<Layer>, Stale>, StoreError>;

    /// The same as of this moment, to be asked for many devices; none where asking each time costs no more.
    ///
    /// # Errors
    /// Where the rows cannot be read.
    fn of_now(&self, _: &mut Reader) -> Result<Option<Arc<dyn PolicyDocuments>>, StoreError> {
        Ok(None)
    }
}

/// Gives the operator's own tables as last read well.
pub trait PolicyTables: Send + Sync + 'static {
    /// The tables in their order, or why they were never read well: what was desired stays then.
    ///
    /// # Errors
    /// File, line and cause, for people.
    fn now(&self) -> Result<Arc<[Arc<Table>]>, String>;
}

/// What the settings say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicySettings {
    /// A change that takes something from more than this share of the devices, in percent, waits for somebody.
    pub hold_share: u32,
    /// How often a device's settings are read back, in milliseconds.
    pub verify_ms: i64,
    /// What is to be decided by choice.
    pub options: Options,
    /// How many devices a minute are asked to come for a change of policy; 0: they come by themselves.
    pub wakes_per_minute: u32,
}

impl Default for PolicySettings {
    fn default() -> Self {
        Self { hold_share: 20, verify_ms: 24 * 3_600_000, options: Options::default(), wakes_per_minute: 0 }
    }
}

/// Says what the settings are.
pub trait PolicyRules: Send + Sync + 'static {
    /// As they are now.
    ///
    /// # Errors
    /// Where the rows cannot be read.
    fn read(&self, r: &mut Reader) -> Result<PolicySettings, StoreError>;
}

/// The defaults.
#[derive(Clone, Copy, Debug)]
pub struct DefaultRules;

impl PolicyRules for DefaultRules {
    fn read(&self, _: &mut Reader) -> Result<PolicySettings, StoreError> {
        Ok(PolicySettings::default())
    }
}

/// What policy is computed of.
#[derive(Clone)]
pub struct PolicyInputs {
    /// Directory and SYSVOL.
    pub world: Option<Arc<dyn PolicyWorld>>,
    /// Who is who there.
    pub bindings: Option<Arc<dyn PolicyBindings>>,
    /// Documents.
    pub documents: Option<Arc<dyn PolicyDocuments>>,
    /// Tables of the operator: they stand before the built-in ones.
    pub tables: Option<Arc<dyn PolicyTables>>,
    /// The settings.
    pub rules: Arc<dyn PolicyRules>,
}

impl Default for PolicyInputs {
    fn default() -> Self {
        Self { world: None, bindings: None, documents: None, tables: None, rules: Arc::new(DefaultRules) }
    }
}

impl PolicyInputs {
    /// Whether there is anything that could say something.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.world.is_none() && self.documents.is_none()
    }

    /// Reads the settings, and goes by them from now on.
    ///
    /// # Errors
    /// Where the rows cannot be read.
    pub fn settings(&self, r: &mut Reader) -> Result<PolicySettings, StoreError> {
        let settings = self.rules.read(r)?;
        if let Some(world) = &self.world {
            world.choose(settings.options);
        }
        Ok(settings)
    }

    /// The same with the documents as of this moment: for a look at many devices.
    ///
    /// # Errors
    /// Where the rows cannot be read.
    pub fn of_now(&self, r: &mut Reader) -> Result<Self, StoreError> {
        let now = match &self.documents {
            Some(documents) => documents.of_now(r)?,
            None => None,
        };
        Ok(Self { documents: now.or_else(|| self.documents.clone()), ..self.clone() })
    }

    /// Why directory and SYSVOL may be older than what devices were told ([`PolicyWorld::is_old`]).
    #[must_use]
    pub fn is_old(&self) -> Option<String> {
        self.world.as_ref().and_then(|world| world.is_old())
    }

    /// Directory and SYSVOL as they are now.
    #[must_use]
    pub fn world(&self) -> WorldNow {
        self.world.as_ref().map_or(WorldNow::Absent, |world| world.now())
    }

    /// The tables for a device, the first that has a row counts.
    ///
    /// # Errors
    /// The operator's cannot be told: nothing may be computed without them.
    pub fn tables(&self, dialect: Dialect, manufacturer: Option<&str>) -> Result<Vec<Arc<Table>>, String> {
        static WINDOWS: LazyLock<Arc<Table>> = LazyLock::new(|| Arc::new(Table::windows()));
        static POSTERN: LazyLock<Arc<Table>> =
            LazyLock::new(|| Arc::new(Table::classic(mapping::classic::POSTERN)));
        static MOBILE: LazyLock<Arc<Table>> = LazyLock::new(|| Arc::new(Table::classic("windows-mobile")));
        let of = match dialect {
            Dialect::Windows => mapping::Dialect::Windows,
            Dialect::Classic => mapping::Dialect::Classic,
        };
        let ours = manufacturer.is_some_and(|name| name.eq_ignore_ascii_case("postern"));
        let built_in = match dialect {
            Dialect::Windows => &WINDOWS,
            Dialect::Classic if ours => &POSTERN,
            Dialect::Classic => &MOBILE,
        };
        let own = match &self.tables {
            Some(tables) => tables.now()?,
            None => Arc::from([]),
        };
        let own = own.iter().filter(|table| table.dialect == of).cloned();
        Ok(own.chain([Arc::clone(built_in)]).collect())
    }
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Directory or SYSVOL, or who is who there, or the operator's tables.
    World,
    /// Documents or their assignments, or who is in which group, or a setting of policy.
    Documents,
    /// These devices: enrolled, bound, or their facts.
    Devices(Vec<EnrolmentId>),
}
