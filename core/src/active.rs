//! What only the active core does: devices, links, the audit log's signer, upkeep. A standby waits here.

use std::{sync::Arc, time::Duration};

use actix_web::{dev::ServerHandle, web};
use postern_actors::{
    Announce, Authority, Devices, DialedGateway, Fleet, Notifications, Parts, PushBearer, Settings, Wake,
    approvals::Approvals,
    enrolment::{EnrolmentParts, Enrolments, OrderSigner, Site},
    gcm::{Gcm, GcmParts},
    locks::Locks,
    policy::Policies,
    recovery::Recovery,
    trees::Trees,
    wipe::{WipeParts, Wipes},
};
use postern_adapters::anchor::FileAnchor;
use postern_store::{
    Activity, StoreError, Tx, WriteError, admins, audit, gateways, held, recordings, roles, tokens,
};
use postern_wire::terms::{Role, UtcMillis};
use serde_json::json;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::{
    admin::recordings::take_up,
    bearers, ca,
    config::{self, Config},
    device::{self, Blocked, DeviceEndpoint, KnownCertificates, MessageKey},
    directory,
    enrol::{self, EnrolEndpoint},
    escrow, files,
    gateways::{Holders, LinkFleet, Reports, Signer, Told, keep_joining},
    inside::{Active, Inside},
    links::{LinkFiles, Links, LinksConfig, Lists},
    mail, policy, quirks, settings, signer, sysvol, upkeep,
};

/// How long devices have to finish what runs when the core stops.
const DRAIN: Duration = Duration::from_secs(10);
/// Delivery reports that may wait for the notification supervisor.
const REPORTS: usize = 1_024;
/// How long to wait before another try when the active core's parts could not be started.
const AGAIN: Duration = Duration::from_secs(2);
/// A device message of at most so many octets, whatever a gateway lets through: the most that its settings allow.
const BODY_LIMIT: usize = 16 * 1024 * 1024;

/// Waits to become active, is it until `stop` or until the epoch is lost, and clears up.
pub(crate) async fn stand(
    inside: Arc<Inside>,
    message_key: Arc<MessageKey>,
    mut stop: watch::Receiver<bool>,
) {
    let epoch = watch::Sender::new(0_u64);
    let parts = loop {
        tokio::select! {
            active = inside.store.active() => if !active { return },
            _ = stop.wait_for(|stop| *stop) => return,
        }
        match begin(&inside, &message_key, &epoch).await {
            Ok(parts) => break parts,
            Err(error) => {
                tracing::error!(%error, "this core is active but cannot serve yet; it tries again");
                tokio::time::sleep(AGAIN).await;
            }
        }
    };
    let mut activity = inside.store.activity();
    tokio::select! {
        _ = activity.wait_for(|activity| !matches!(activity, Activity::Active { .. })) => {
            tracing::error!("another core holds the database now; this one serves no more");
        }
        _ = stop.wait_for(|stop| *stop) => tracing::info!("draining"),
    }
    end(&inside, parts).await;
}

/// What runs beside while this core is active.
struct Beside {
    active: Arc<Active>,
    tasks: Vec<JoinHandle<()>>,
    /// The port for result notifications.
    results: Option<ServerHandle>,
}

async fn begin(
    inside: &Arc<Inside>,
    message_key: &Arc<MessageKey>,
    epoch: &watch::Sender<u64>,
) -> anyhow::Result<Beside> {
    let number = match *inside.store.activity().borrow() {
        Activity::Active { epoch } => u64::try_from(epoch).unwrap_or(0),
        _ => anyhow::bail!("the epoch was lost"),
    };
    inside.authorities.begin(&inside.store).await?;
    for trouble in inside.authorities.troubles() {
        tracing::error!(trouble, "starting degraded");
    }
    let now = inside.now();
    let lists = Arc::new(Lists::new(inside.random.id(now)));
    for (gateway, version) in inside.store.read(gateways::newest_documents).await? {
        lists.know_settings(&gateway, u64::try_from(version).unwrap_or(0));
    }
    let told = Arc::new(Told::load(&inside.store, Arc::clone(&lists)).await?);
    let fleet = Arc::new(LinkFleet::new(Arc::clone(&lists)));
    let trust = inside.authorities.trust();
    if !trust.link.is_empty() {
        lists.publish_trust(trust);
    }
    let gcm = Gcm::start(gcm_parts(inside, &fleet)).await?;
    first_admin(inside).await?;
    escrow::ensure(inside).await;
    let devices = Devices::start(Parts {
        store: inside.store.clone(),
        sealer: Arc::clone(&inside.sealer),
        settings: limits(&inside.config),
        clock: Arc::clone(&inside.clock),
        random: Arc::clone(&inside.random),
        announce: Arc::clone(&told) as Arc<dyn Announce>,
        rules: Arc::new(settings::CoreRules(inside.config.clone())),
    });
    if hold(inside).await? {
        devices.hold();
        tracing::error!("restored from a backup: destructive orders wait for `posternctl server release`");
    }
    devices.settings_changed(settings::in_force(inside).await?);
    quirks::tell(inside, &devices).await?;
    let gateways = Arc::clone(&told) as Arc<dyn Wake>;
    let enrolments = enrolments(inside, &devices);
    let recovery = Recovery::new(devices.clone(), Arc::clone(&inside.order_key) as Arc<dyn OrderSigner>);
    let locks = Locks::new(devices.clone(), &enrolments);
    let directory = directory::set_up(inside).await;
    let writing = directory.as_ref().and_then(|directory| directory::tasks(inside, directory));
    directory::is_written(inside).await;
    let sysvol = sysvol::set_up(inside, directory.as_ref()).await;
    let tables = policy::tables(&inside.config);
    let inputs = policy::inputs(inside, directory.as_ref(), sysvol.as_ref(), tables.clone());
    let policies = Policies::new(devices.clone(), inputs);
    let handlers = locks.handlers().into_iter().chain(policies.handlers()).collect();
    let approvals = Approvals::new(devices.clone(), &enrolments, handlers);
    let enrolling = web::Data::new(EnrolEndpoint::new(Arc::clone(inside), enrolments.clone()));
    let endpoint = web::Data::new(DeviceEndpoint {
        devices: devices.clone(),
        blocked: Arc::clone(&told) as Arc<dyn Blocked>,
        message_key: Some(Arc::clone(message_key)),
        certificates: KnownCertificates::default(),
        clock: Arc::clone(&inside.clock),
        body_limit: BODY_LIMIT,
    });
    let crl_endpoint = web::Data::new(ca::CrlEndpoint(inside.store.clone()));
    epoch.send_replace(number);
    let clock = Arc::clone(&inside.clock);
    let links = Links::start(
        links_config(inside, &told),
        Arc::clone(&lists),
        Arc::new(Reports { inside: Arc::clone(inside), gcm: gcm.clone() }),
        epoch.subscribe(),
        Arc::new(move || clock.wall()),
        move |service| {
            service.app_data(endpoint.clone()).app_data(enrolling.clone());
            device::configure(service);
            enrol::configure(service);
            service.app_data(crl_endpoint.clone());
            ca::configure_crls(service);
        },
    )?;
    fleet.started(links.clone());
    gcm.publish_all().await?;
    let trees =
        Trees::new(inside.store.clone(), Arc::clone(&inside.sealer), devices.clone(), inside.objects.clone());
    let (bearers, results) = start_notifications(inside, &devices, gateways);
    let mail = mail::set_up(inside);
    mail::warn_of_local(inside).await?;
    let wipes = wipes(inside, &devices, &fleet, &lists);
    if let Some(held) = inside.store.read(held::of).await? {
        let doubtful = wipes.restored(UtcMillis(held.since)).await?;
        if doubtful > 0 {
            tracing::error!(wipes = doubtful, "wipes of the backup are in doubt: nothing of them is sent");
        }
    }
    let active = Arc::new(Active {
        directory: directory.clone(),
        directory_tasks: writing.clone(),
        sysvol: sysvol.clone(),
        sign_in: directory::sign_in(inside),
        devices,
        enrolments: enrolments.clone(),
        wipes: wipes.clone(),
        approvals: approvals.clone(),
        locks,
        trees: trees.clone(),
        policies: policies.clone(),
        tables: tables.clone(),
        links,
        told,
        lists,
        gcm: gcm.clone(),
        bearers,
        mail: mail.clone(),
    });
    let now = inside.now();
    for order in inside.store.read(move |r| recordings::orders(r, now)).await? {
        take_up(inside, &active, &order).await?;
    }
    inside.active.store(Some(Arc::clone(&active)));
    tracing::info!(epoch = number, gateways = inside.config.gateways.len(), "this core is active");
    let sink = FileAnchor::at(&inside.config.at(&inside.config.audit.anchor));
    let mut tasks: Vec<JoinHandle<()>> = Vec::new();
    tasks.extend(writing.map(|writing| actix_rt::spawn(writing.keep_working())));
    if let Some(directory) = directory.clone() {
        let telling = policy::keep_telling(policies.clone(), directory, sysvol.clone());
        tasks.push(actix_rt::spawn(telling));
    }
    tasks.extend(directory.into_iter().map(|directory| actix_rt::spawn(directory.keep_looking())));
    tasks.extend(sysvol.map(|sysvol| actix_rt::spawn(sysvol.keep_looking())));
    tasks.extend(tables.map(|tables| actix_rt::spawn(tables.keep_looking(policies.clone()))));
    tasks.extend([
        actix_rt::spawn(signer::keep_signing(Arc::clone(inside), sink)),
        actix_rt::spawn(upkeep::keep_up(Arc::clone(inside))),
        actix_rt::spawn(ca::keep_certificates(Arc::clone(inside))),
        actix_rt::spawn(trees.keep_reading()),
        actix_rt::spawn(enrolments.keep_watch()),
        actix_rt::spawn(recovery.keep_watch()),
        actix_rt::spawn(wipes.keep_watch()),
        actix_rt::spawn(policies.keep_watch()),
        actix_rt::spawn(approvals.keep_up()),
        actix_rt::spawn(gcm.clone().keep_up()),
        actix_rt::spawn(keep_joining(gcm)),
        actix_rt::spawn(mail.keep_sending()),
    ]);
    Ok(Beside { active, tasks, results })
}

/// How devices come in, and go out.
fn enrolments(inside: &Inside, devices: &Devices) -> Enrolments {
    let config = &inside.config;
    Enrolments::new(
        devices.clone(),
        EnrolmentParts {
            authority: Arc::clone(&inside.authorities) as Arc<dyn Authority>,
            signer: Arc::clone(&inside.order_key) as Arc<dyn OrderSigner>,
            rules: Arc::new(settings::CoreEnrolmentRules(config.clone())),
            site: Site { url: config.devices.url.clone(), server_id: config.devices.server_id.clone() },
        },
    )
}

/// How devices are wiped.
fn wipes(inside: &Inside, devices: &Devices, fleet: &Arc<LinkFleet>, lists: &Arc<Lists>) -> Wipes {
    Wipes::new(
        devices.clone(),
        WipeParts {
            signer: Arc::clone(&inside.order_key) as Arc<dyn OrderSigner>,
            rules: Arc::new(settings::CoreWipeRules(inside.config.clone())),
            perimeter: Arc::new(Holders { fleet: Arc::clone(fleet), lists: Arc::clone(lists) }),
        },
    )
}

/// Whether this system is held after a restore. The commands that the backup had as sent are in doubt from here on.
async fn hold(inside: &Inside) -> anyhow::Result<bool> {
    while !inside.store.write(held::settle).await? {}
    Ok(inside.store.read(held::of).await?.is_some())
}

/// Starts asking devices to come, by the bearers that are set up; gives these.
fn start_notifications(
    inside: &Inside,
    devices: &Devices,
    gateways: Arc<dyn Wake>,
) -> (Vec<Arc<dyn PushBearer>>, Option<ServerHandle>) {
    let config = &inside.config.notifications;
    let (sender, reports) = mpsc::channel(REPORTS);
    let bearers = bearers::set_up(inside, sender.clone());
    let results = bearers::take_results(inside, sender);
    devices.start_notifications(Notifications {
        rules: config.rules(),
        per_minute: config.per_minute,
        automatic: config.automatic,
        bearers: bearers.clone(),
        gateways,
        reports,
    });
    (bearers, results)
}

async fn end(inside: &Arc<Inside>, beside: Beside) {
    for task in &beside.tasks {
        task.abort();
    }
    inside.active.store(None);
    if let Some(results) = &beside.results {
        results.stop(true).await;
    }
    beside.active.links.drain(DRAIN).await;
    beside.active.devices.stop().await;
    if matches!(*inside.store.activity().borrow(), Activity::Active { .. }) {
        // Both can be made up for: uses at the next sign-in, the head at the next start.
        let _ = upkeep::write_uses(inside).await;
        let mut sink = FileAnchor::at(&inside.config.at(&inside.config.audit.anchor));
        if let Err(error) = signer::sign(inside, &mut sink).await {
            tracing::warn!(%error, "the audit log's head was not signed at the stop");
        }
    }
}

fn limits(config: &Config) -> Settings {
    let mut settings = Settings { pending_cap: config.commands.per_device, ..Settings::default() };
    settings.session.max_obj_size = config.devices.object_octets;
    settings.session.spool = postern_actors::Spool::new(config.devices.spool_octets);
    if config.devices.threads > 0 {
        settings.arbiters = config.devices.threads;
    }
    settings
}

fn gcm_parts(inside: &Arc<Inside>, fleet: &Arc<LinkFleet>) -> GcmParts {
    let config = &inside.config;
    let dialed = |gateway: &config::Gateway| DialedGateway {
        name: gateway.name.clone(),
        address: gateway.address.clone(),
    };
    GcmParts {
        store: inside.store.clone(),
        sealer: Arc::clone(&inside.sealer),
        clock: Arc::clone(&inside.clock),
        fleet: Arc::clone(fleet) as Arc<dyn Fleet>,
        authority: Arc::new(Signer::new(Arc::clone(&inside.authorities))),
        configured: config.gateways.iter().map(dialed).collect(),
        names: vec![url_host(&config.devices.url)],
    }
}

/// The host of `https://HOST[:PORT]`; the configuration was checked.
fn url_host(url: &str) -> String {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or(host);
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address.to_owned(),
        None => host.split(':').next().unwrap_or(host).to_owned(),
    }
}

fn links_config(inside: &Inside, told: &Arc<Told>) -> LinksConfig {
    let config = &inside.config;
    let files = LinkFiles {
        certificate: config.at(&config.links.certificate),
        key: config.at(&config.links.key),
        authority: config.at(&config.links.ca),
    };
    // The supervisor says who is dialed.
    let mut links = LinksConfig::new(inside.random.id(inside.now()), files, Vec::new());
    let (authorities, told) = (Arc::clone(&inside.authorities), Arc::clone(told));
    links.anchors = Arc::new(move || authorities.link_anchors());
    links.is_blocked = Arc::new(move |name| told.is_blocked(name));
    links.heartbeat = Duration::from_millis(config.links.heartbeat_ms);
    if config.links.threads > 0 {
        links.threads = config.links.threads;
    }
    links
}

/// While nobody may sign in, the token of the state folder becomes the first admin's.
async fn first_admin(inside: &Inside) -> Result<(), WriteError> {
    let path = inside.config.at(&inside.config.admin.first_token);
    let token = files::read(&path).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let hash = token.map(|token| tokens::hash(token.as_bytes()));
    let made = inside
        .store
        .write(move |tx| {
            if !admins::list(tx)?.is_empty() {
                return Ok(None);
            }
            let Some(hash) = hash else { return Ok(Some(false)) };
            make_first(tx, hash).map(|()| Some(true))
        })
        .await?;
    match made {
        None => {}
        Some(true) => tracing::warn!(
            token_file = %path.display(),
            "the first admin was made: it may do everything alone until there is a second one"
        ),
        Some(false) => {
            tracing::error!(token_file = %path.display(), "there is no admin, and no token file to make one from");
        }
    }
    Ok(())
}

fn make_first(tx: &mut Tx, hash: [u8; 32]) -> Result<(), StoreError> {
    const BY: &str = "service:init";
    let (id, now) = (tx.fresh_id(), tx.now());
    admins::insert(
        tx,
        admins::Admin {
            id,
            name: "admin".to_owned(),
            password: None,
            created_at: now,
            created_by: BY.to_owned(),
            may_approve_from: now,
            disabled_at: None,
            revision: 1,
        },
    )?;
    let held = [Role::DeviceAdmin, Role::SecurityAdmin, Role::GatewayAdmin];
    for role in held {
        roles::grant(tx, roles::Grant { admin: id, role, scope: None, granted_by: BY.to_owned(), at: now })?;
    }
    let token = tx.fresh_id();
    tokens::insert(
        tx,
        tokens::Token {
            id: token,
            admin: id,
            label: "first".to_owned(),
            hash,
            scope: "*".to_owned(),
            networks: String::new(),
            created_at: now,
            expires_at: None,
            revoked_at: None,
            last_used_at: None,
            last_used_from: None,
            may_approve_from: now,
        },
    )?;
    audit::append(
        tx,
        audit::Act {
            actor: BY.to_owned(),
            action: "admins.create".to_owned(),
            object: format!("admin:{id}"),
            outcome: "ok".to_owned(),
            detail: json!({"name": "admin", "roles": held, "token": token}).to_string(),
            ..audit::Act::default()
        },
    )?;
    Ok(())
}
