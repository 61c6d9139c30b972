//! What all threads of a gateway share.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use postern_wire::{
    link::{
        CertificateName, CertificateState, LogLevel, RefusalReason, Settings, TlsPolicy, TrustedAuthorities,
    },
    route::RouteHash,
    terms::UtcMillis,
};
use tokio::{sync::watch, time::Instant};
use uuid::Uuid;

use crate::{
    admission::{
        certificate::Retired,
        rates::{Rate, Rates, address_key},
    },
    config::Config,
    device_port::tls::DeviceTls,
    identity::Identity,
    link_port::{cores::Cores, tls::LinkTls},
    listeners::Listeners,
    lists::{ListFiles, ListSet},
    observe::Counters,
    pem::PemError,
    ports::Ports,
    relay::pool::Pool,
    report::{Refusals, Refused},
    settings::SettingsInForce,
    trust::TrustInForce,
};

/// A clock, as a parameter.
pub type Clock = Arc<dyn Fn() -> UtcMillis + Send + Sync>;

/// Sets the program's log filter; `None` is the one of its start.
pub type SetLog = Arc<dyn Fn(Option<&str>) -> Result<(), String> + Send + Sync>;

/// From start to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Devices are served.
    Serving,
    /// No new connection or message; what runs finishes.
    Draining,
    /// All threads end.
    Stopped,
}

/// How far the core's retirement of this gateway has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Retirement {
    /// There is none.
    None,
    /// Keys and lists are put away; the core is to be told.
    PutAway,
    /// The core knows.
    Told,
}

pub(crate) struct Shared {
    pub(crate) config: Config,
    /// Made anew at each start.
    pub(crate) boot: Uuid,
    pub(crate) clock: Clock,
    pub(crate) settings: SettingsInForce,
    /// The lists in force: those of the core in use, or what was on disk.
    pub(crate) lists: ArcSwap<ListSet>,
    pub(crate) list_files: ListFiles,
    pub(crate) routes_to_write: AtomicBool,
    pub(crate) trust: TrustInForce,
    /// The device CAs that were retired, as each connection's certificate is judged by with each request.
    pub(crate) retired: Retired,
    pub(crate) device_tls: ArcSwap<DeviceTls>,
    pub(crate) link_tls: ArcSwap<LinkTls>,
    pub(crate) address_rates: Rates,
    pub(crate) route_rates: Rates,
    pub(crate) refusals: Refusals,
    pub(crate) counters: Counters,
    pub(crate) cores: Cores,
    pub(crate) pool: Pool,
    pub(crate) listeners: Listeners,
    /// The device port's sockets.
    pub(crate) ports: Ports,
    /// Renewal of the certificates; `None` where they are the operator's own files.
    pub(crate) identity: Option<Identity>,
    /// How far the core's retirement of this gateway has come.
    pub(crate) retirement: watch::Sender<Retirement>,
    set_log: Option<SetLog>,
    log: Mutex<LogLevel>,
    phase: watch::Sender<Phase>,
    troubles: Mutex<BTreeMap<&'static str, String>>,
    started: Instant,
    requests: AtomicU64,
}

impl Shared {
    /// Reads certificates, settings and lists. `boot` is a random id; `ports` binds what the settings want.
    pub(crate) fn new<E: From<PemError>>(
        config: Config,
        clock: Clock,
        boot: Uuid,
        workers: usize,
        set_log: Option<SetLog>,
        ports: impl FnOnce(&Settings) -> Result<Ports, E>,
    ) -> Result<Self, E> {
        let (settings, settings_trouble) = SettingsInForce::load(&config.state);
        let (trust, trust_trouble) = TrustInForce::load(config.state.join("trust.json"));
        let authorities = trust.authorities();
        let device_tls = DeviceTls::load(&config.device, &settings.now().tls, authorities.as_ref())?;
        let link_tls = ArcSwap::from_pointee(LinkTls::load(&config.link, authorities.as_ref())?);
        let ports = ports(&settings.now())?;
        let list_files = ListFiles::new(&config.state);
        let (lists, list_troubles) = list_files.load();
        let shared = Self {
            pool: Pool::new(workers, settings.now().links.min),
            identity: Identity::of(&config),
            ports,
            retirement: watch::Sender::new(Retirement::None),
            set_log,
            log: Mutex::new(LogLevel::Started),
            config,
            boot,
            clock,
            settings,
            lists: ArcSwap::from_pointee(lists),
            list_files,
            routes_to_write: AtomicBool::new(false),
            trust,
            retired: Arc::new(ArcSwap::from_pointee(device_tls.retired.clone())),
            device_tls: ArcSwap::from_pointee(device_tls),
            link_tls,
            address_rates: Rates::default(),
            route_rates: Rates::default(),
            refusals: Refusals::default(),
            counters: Counters::default(),
            cores: Cores::default(),
            listeners: Listeners::default(),
            phase: watch::Sender::new(Phase::Serving),
            troubles: Mutex::default(),
            started: Instant::now(),
            requests: AtomicU64::new(0),
        };
        shared.trouble("settings on disk", settings_trouble);
        shared.trouble("trust on disk", trust_trouble);
        let level = shared.settings.now().log;
        shared.trouble("log", shared.set_log(level).err());
        shared.trouble("lists on disk", (!list_troubles.is_empty()).then(|| list_troubles.join("; ")));
        Ok(shared)
    }

    /// Monotonic milliseconds since the start.
    pub(crate) fn uptime_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// An id for the next message: unique, since the boot id is random and the rest counts.
    pub(crate) fn request_id(&self) -> Uuid {
        let count = self.requests.fetch_add(1, Ordering::Relaxed);
        Uuid::from_u128(self.boot.as_u128().wrapping_add(u128::from(count)))
    }

    pub(crate) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Goes on to `phase`; never back.
    pub(crate) fn advance(&self, phase: Phase) {
        self.phase.send_if_modified(|now| {
            let later = phase > *now;
            *now = phase.max(*now);
            later
        });
    }

    pub(crate) fn address_rate(&self) -> Rate {
        let limit = self.settings.now().address;
        Rate { per_minute: limit.per_minute, burst: limit.burst }
    }

    /// Takes one token more from an address that failed.
    pub(crate) fn failed(&self, source: IpAddr) {
        self.address_rates.take(address_key(source), self.address_rate(), self.uptime_ms());
    }

    /// Counts and notes a refusal.
    pub(crate) fn refused(
        &self,
        reason: RefusalReason,
        source: IpAddr,
        certificate: Option<&CertificateName>,
        route: Option<RouteHash>,
        detail: Option<&str>,
    ) {
        self.counters.refused(reason);
        let refused = Refused { reason, certificate: certificate.cloned(), route, source };
        self.refusals.note(refused, detail, (self.clock)());
    }

    /// Sets or clears what is wrong with one thing; a new trouble is a log line.
    pub(crate) fn trouble(&self, what: &'static str, trouble: Option<String>) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        match trouble {
            Some(trouble) if troubles.get(what) != Some(&trouble) => {
                tracing::error!(what, trouble, "trouble");
                troubles.insert(what, trouble);
            }
            Some(_) => {}
            None => drop(troubles.remove(what)),
        }
    }

    /// What is wrong now.
    pub(crate) fn troubles(&self) -> Vec<String> {
        let troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        troubles.iter().map(|(what, trouble)| format!("{what}: {trouble}")).collect()
    }

    /// Sets how much is logged.
    pub(crate) fn set_log(&self, level: LogLevel) -> Result<(), String> {
        let mut now = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if *now != level {
            let set = self.set_log.as_ref().ok_or("this program's log is not the gateway's to set")?;
            set(level.filter())?;
            *now = level;
        }
        Ok(())
    }

    /// The certificates in use.
    pub(crate) fn certificates(&self) -> Vec<CertificateState> {
        let facts = [self.link_tls.load().facts.clone(), self.device_tls.load().facts.clone()];
        let managed = self.identity.is_some();
        facts
            .into_iter()
            .map(|facts| CertificateState {
                role: facts.role,
                serial: facts.serial,
                not_before: facts.not_before,
                not_after: facts.not_after,
                managed,
            })
            .collect()
    }

    /// TLS of the device port: of the files, a policy, and the CAs that the core told.
    pub(crate) fn make_device_tls(&self, policy: &TlsPolicy) -> Result<DeviceTls, PemError> {
        DeviceTls::load(&self.config.device, policy, self.trust.authorities().as_ref())
    }

    /// TLS of both ports, of the files and of these CAs.
    pub(crate) fn make_tls(
        &self,
        authorities: &TrustedAuthorities,
    ) -> Result<(DeviceTls, LinkTls), PemError> {
        Ok((
            DeviceTls::load(&self.config.device, &self.settings.now().tls, Some(authorities))?,
            LinkTls::load(&self.config.link, Some(authorities))?,
        ))
    }

    /// New connections use this; what is retired counts from the next request on.
    pub(crate) fn use_device_tls(&self, tls: DeviceTls) {
        self.retired.store(Arc::new(tls.retired.clone()));
        self.device_tls.store(Arc::new(tls));
    }

    /// Reads certificates and keys again; what fails leaves the ones before in use.
    pub(crate) fn reload_certificates(&self) {
        match self.make_device_tls(&self.settings.now().tls) {
            Ok(tls) => {
                self.use_device_tls(tls);
                self.trouble("device certificate", None);
            }
            Err(error) => self.trouble("device certificate", Some(error.to_string())),
        }
        match LinkTls::load(&self.config.link, self.trust.authorities().as_ref()) {
            Ok(tls) => {
                self.link_tls.store(Arc::new(tls));
                self.trouble("link certificate", None);
            }
            Err(error) => self.trouble("link certificate", Some(error.to_string())),
        }
        tracing::info!("certificates read again");
    }
}
