//! What the core's parts share: store, keys, clock, and, while this core is the active one, devices and links.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwapOption;
use postern_actors::{
    Clock, Devices, DirectorySignIn, DirectorySupervisor, DirectoryTasks, PushBearer, Randomness,
    approvals::Approvals,
    enrolment::Enrolments,
    gcm::{GatewayBeat, Gcm},
    locks::Locks,
    mail::Mail,
    objects::Objects,
    policy::Policies,
    sysvol::SysvolSupervisor,
    trees::Trees,
    wipe::Wipes,
};
use postern_store::{Sealer, Store};
use postern_wire::terms::UtcMillis;

use crate::{
    admin::{
        auth::SignIns,
        problem::{Refused, standby},
        sign_in::Tries,
    },
    ca::Authorities,
    config::Config,
    escrow::Escrow,
    gateways::Told,
    keys::SigningKey,
    links::{Links, Lists},
    policy::OperatorTables,
    supervisors::Supervisors,
};

/// The inside of a core.
pub struct Inside {
    /// The configuration.
    pub config: Config,
    /// The database.
    pub store: Store,
    /// Seals secrets.
    pub sealer: Arc<Sealer>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The random source.
    pub random: Arc<dyn Randomness>,
    /// The CAs; one that cannot be used costs what it issues, not the core.
    pub authorities: Arc<Authorities>,
    /// Told when a certificate or a CRL may be due.
    pub certificates_due: tokio::sync::Notify,
    /// Signs the audit log's heads.
    pub audit_key: SigningKey,
    /// Signs orders to devices.
    pub order_key: Arc<SigningKey>,
    /// The public part of the key that signs messages.
    pub message_public_pem: String,
    /// The public part of the key that signs orders.
    pub order_public_pem: String,
    /// The registry of management objects.
    pub objects: Objects,
    /// What only the active core has.
    pub active: ArcSwapOption<Active>,
    /// Sign-ins that failed lately, tokens used lately.
    pub sign_ins: SignIns,
    /// Passwords that were tried lately, by person.
    pub tries: Tries,
    /// What was wrong at the start and is not the end of it: shown by `status`.
    pub troubles: Mutex<Vec<String>>,
    /// How the parts that work by themselves are.
    pub supervisors: Supervisors,
    /// When this core started.
    pub started_at: UtcMillis,
}

/// What the active core has and a standby has not.
pub struct Active {
    /// The devices.
    pub devices: Devices,
    /// How they come in, and go out.
    pub enrolments: Enrolments,
    /// Their wipes.
    pub wipes: Wipes,
    /// The requests that somebody else has to agree to.
    pub approvals: Approvals,
    /// Lock and unlock.
    pub locks: Locks,
    /// The directory, where one is configured.
    pub directory: Option<DirectorySupervisor>,
    /// What is written into it, where that is configured.
    pub directory_tasks: Option<DirectoryTasks>,
    /// The folders of its GPOs, where they are configured.
    pub sysvol: Option<SysvolSupervisor>,
    /// What people sign in by, beside tokens.
    pub sign_in: Option<Arc<dyn DirectorySignIn>>,
    /// The readings of their trees.
    pub trees: Trees,
    /// Brings them to what policy wants of them.
    pub policies: Policies,
    /// The operator's mapping tables, where some are configured.
    pub(crate) tables: Option<Arc<OperatorTables>>,
    /// The links.
    pub links: Links,
    /// What the blocked list says, kept in step with its rows.
    pub(crate) told: Arc<Told>,
    /// What gateways are to hold.
    pub lists: Arc<Lists>,
    /// The supervisor of the gateways.
    pub gcm: Gcm,
    /// The bearers of pushes to telephone numbers.
    pub bearers: Vec<Arc<dyn PushBearer>>,
    /// Tells people and other systems what happened.
    pub mail: Mail,
}

impl Inside {
    /// The active core's parts, or the refusal of a standby.
    ///
    /// # Errors
    /// `standby`.
    pub fn active(&self) -> Result<Arc<Active>, Refused> {
        self.active.load_full().ok_or_else(standby)
    }

    /// The escrow keys' files; nothing of them is kept.
    #[must_use]
    pub fn escrow(&self) -> Escrow {
        Escrow::at(&self.config.at(&self.config.keys.escrow))
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> UtcMillis {
        self.clock.wall()
    }

    /// A gateway's last heartbeat.
    #[must_use]
    pub fn beat(&self, gateway: &str) -> Option<GatewayBeat> {
        self.active.load().as_ref().and_then(|active| active.gcm.beat(gateway))
    }

    /// The last heartbeats of all gateways.
    #[must_use]
    pub fn beats(&self) -> BTreeMap<String, GatewayBeat> {
        self.active.load().as_ref().map(|active| active.gcm.beats()).unwrap_or_default()
    }

    /// What was wrong at the start, and what is wrong with the CAs now.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner).clone();
        troubles.extend(self.authorities.troubles());
        let active = self.active.load();
        let tables = active.as_ref().and_then(|active| active.tables.as_ref());
        troubles
            .extend(tables.and_then(|tables| tables.refused()).map(|why| format!("policy.tables: {why}")));
        troubles
    }
}
