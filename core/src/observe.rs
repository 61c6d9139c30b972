//! Health, readiness and metrics over plain HTTP, on loopback only (the configuration refuses anything else).

use std::{
    fmt::Write as _,
    sync::{Arc, OnceLock},
    time::Duration,
};

use actix_web::{HttpResponse, web};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use postern_actors::{NotificationFigures, gcm::GatewayBeat};
use postern_store::{Activity, alarms};

use crate::{
    admin::{certificates, problems},
    inside::Inside,
};

/// How long the metrics wait for the database.
const ALARMS: Duration = Duration::from_secs(2);

/// The process's one recorder of what the rooms below count; another core in the same process shares it.
static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

fn recorder() -> Option<&'static PrometheusHandle> {
    RECORDER.get_or_init(|| PrometheusBuilder::new().install_recorder().ok()).as_ref()
}

pub(crate) fn configure(inside: &Arc<Inside>) -> impl Fn(&mut web::ServiceConfig) + Clone + use<> {
    let inside = Arc::clone(inside);
    recorder();
    move |service| {
        service
            .app_data(web::Data::from(Arc::clone(&inside)))
            .route("/healthz", web::get().to(healthz))
            .route("/readyz", web::get().to(readyz))
            .route("/metrics", web::get().to(metrics));
    }
}

/// 200 while the process is of use to anyone; 503 once another core took over.
async fn healthz(inside: web::Data<Inside>) -> HttpResponse {
    match inside.store.health().activity {
        Activity::Lost | Activity::Stopped => text(503, "this core has to be started anew\n".to_owned()),
        Activity::Active { .. } | Activity::Standby => text(200, "ok\n".to_owned()),
    }
}

/// 200 when devices can be served: active, the database up, and a gateway connected where one is configured.
async fn readyz(inside: web::Data<Inside>) -> HttpResponse {
    let health = inside.store.health();
    let Some(active) = inside.active.load_full() else {
        return text(503, "standby\n".to_owned());
    };
    let connected = active.links.status().iter().any(|link| link.watching);
    if !health.up {
        return text(503, "the database does not answer\n".to_owned());
    }
    if !connected && !active.links.status().is_empty() {
        return text(503, "no gateway is connected\n".to_owned());
    }
    text(200, "ready\n".to_owned())
}

async fn metrics(inside: web::Data<Inside>) -> HttpResponse {
    let out = figures(&inside).await;
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(out)
}

/// All figures, in Prometheus' text form.
pub(crate) async fn figures(inside: &Inside) -> String {
    let mut out = recorder().map(PrometheusHandle::render).unwrap_or_default();
    of_core(inside, &mut out);
    of_gateways(inside, &mut out);
    of_alarms(inside, &mut out).await;
    out
}

fn text(status: u16, body: String) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(status).unwrap_or_default();
    HttpResponse::build(status).content_type("text/plain; charset=utf-8").body(body)
}

/// One metric's head.
fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn value(out: &mut String, name: &str, kind: &str, help: &str, value: i128) {
    head(out, name, kind, help);
    let _ = writeln!(out, "{name} {value}");
}

fn of_core(inside: &Inside, out: &mut String) {
    let (health, now) = (inside.store.health(), inside.now());
    let epoch = match health.activity {
        Activity::Active { epoch } => i128::from(epoch),
        _ => 0,
    };
    value(out, "postern_core_active", "gauge", "1 when this core is the active one.", i128::from(epoch > 0));
    value(out, "postern_core_epoch", "gauge", "The epoch that this core writes under.", epoch);
    value(out, "postern_core_database_up", "gauge", "1 when the database answers.", i128::from(health.up));
    let depth = health.queue_depth as i128;
    value(out, "postern_core_write_queue", "gauge", "Jobs that wait for the database's writer.", depth);
    let certificates = certificates(inside, now);
    let wrong = problems(inside, &health, &certificates).len() as i128;
    value(
        out,
        "postern_core_problems",
        "gauge",
        "Things that are wrong with this core; `status` names them.",
        wrong,
    );
    head(
        out,
        "postern_core_certificate_not_after_seconds",
        "gauge",
        "When a certificate expires, Unix time.",
    );
    for certificate in &certificates {
        if let Some(not_after) = certificate.not_after {
            let seconds = not_after.0.0.div_euclid(1000);
            let name = label(&certificate.name);
            let _ = writeln!(
                out,
                "postern_core_certificate_not_after_seconds{{certificate=\"{name}\"}} {seconds}"
            );
        }
    }
    if let Some(active) = inside.active.load_full() {
        let stats = active.devices.stats();
        for (name, kind, help, n) in [
            ("postern_core_device_actors", "gauge", "Device actors alive.", stats.active),
            ("postern_core_sessions", "gauge", "Management sessions open.", stats.sessions),
            ("postern_core_check_ins_total", "counter", "Check-ins answered.", stats.answered),
            ("postern_core_check_ins_refused_total", "counter", "Check-ins refused.", stats.refused),
            ("postern_core_check_ins_in_flight", "gauge", "Check-ins being answered.", stats.in_flight),
            (
                "postern_core_device_actor_panics_total",
                "counter",
                "Device actors that panicked.",
                stats.panics,
            ),
        ] {
            value(out, name, kind, help, i128::from(n));
        }
        of_notifications(&active.devices.notification_figures(), out);
    }
}

/// Open alarms; none of it while the database does not answer soon, which is another figure's news.
async fn of_alarms(inside: &Inside, out: &mut String) {
    let read = inside.store.read(alarms::counts);
    let Ok(Ok(counts)) = tokio::time::timeout(ALARMS, read).await else { return };
    head(out, "postern_alarms_open", "gauge", "Alarms that are open, by kind and severity.");
    for count in counts {
        let (kind, severity) = (label(&count.kind), count.severity.as_str());
        let _ =
            writeln!(out, "postern_alarms_open{{kind=\"{kind}\",severity=\"{severity}\"}} {}", count.open);
    }
}

fn of_notifications(figures: &NotificationFigures, out: &mut String) {
    value(
        out,
        "postern_core_notifications_open",
        "gauge",
        "Devices that are being asked to come.",
        i128::from(figures.open),
    );
    head(out, "postern_core_notifications_total", "counter", "Attempts and ends of notifications.");
    for (what, n) in [
        ("handed", figures.handed),
        ("not-handed", figures.not_handed),
        ("answered", figures.answered),
        ("failed", figures.failed),
        ("expired", figures.expired),
        ("notice-lost", figures.lost),
    ] {
        let _ = writeln!(out, "postern_core_notifications_total{{what=\"{what}\"}} {n}");
    }
}

/// Each gateway's figures, from its last heartbeat: the core is asked for them, since nobody inside reaches the
/// gateways.
fn of_gateways(inside: &Inside, out: &mut String) {
    let links = inside.active.load_full().map(|active| active.links.status()).unwrap_or_default();
    head(out, "postern_gateway_connected", "gauge", "1 when the gateway watches this core.");
    for link in &links {
        let _ = writeln!(
            out,
            "postern_gateway_connected{{gateway=\"{}\"}} {}",
            label(&link.name),
            i32::from(link.watching)
        );
    }
    let beats: Vec<_> = inside.beats().into_iter().map(|(name, beat)| (label(&name), beat)).collect();
    type Figure = (&'static str, &'static str, &'static str, fn(&GatewayBeat) -> i128);
    let figures: [Figure; 12] = [
        ("postern_gateway_connections", "gauge", "Device connections open.", |b| {
            b.heartbeat.connections.into()
        }),
        ("postern_gateway_in_flight", "gauge", "Messages being relayed.", |b| b.heartbeat.in_flight.into()),
        ("postern_gateway_relayed_total", "counter", "Messages relayed since its start.", |b| {
            b.heartbeat.relayed.into()
        }),
        ("postern_gateway_request_links", "gauge", "Request links that it holds.", |b| {
            b.heartbeat.links.request.into()
        }),
        ("postern_gateway_request_links_busy", "gauge", "Of these, busy.", |b| b.heartbeat.links.busy.into()),
        ("postern_gateway_resident_bytes", "gauge", "Its resident memory.", |b| b.heartbeat.rss.into()),
        ("postern_gateway_clock_skew_ms", "gauge", "Its clock less the core's.", |b| b.skew_ms.into()),
        ("postern_gateway_heartbeat_seconds", "gauge", "When its last heartbeat came, Unix time.", |b| {
            b.at.0.div_euclid(1000).into()
        }),
        (
            "postern_gateway_certificate_not_after_seconds",
            "gauge",
            "When its device-side certificate expires, Unix time.",
            |b| b.heartbeat.device_certificate_not_after.0.div_euclid(1000).into(),
        ),
        (
            "postern_gateway_link_certificate_not_after_seconds",
            "gauge",
            "When its link certificate expires, Unix time.",
            |b| b.heartbeat.link_certificate_not_after.0.div_euclid(1000).into(),
        ),
        ("postern_gateway_uptime_seconds", "gauge", "How long it has run.", |b| b.heartbeat.uptime_s.into()),
        ("postern_gateway_settings_version", "gauge", "Settings document in force there.", |b| {
            b.heartbeat.settings.into()
        }),
    ];
    for (name, kind, help, figure) in figures {
        head(out, name, kind, help);
        for (gateway, beat) in &beats {
            let _ = writeln!(out, "{name}{{gateway=\"{gateway}\"}} {}", figure(beat));
        }
    }
    head(out, "postern_gateway_refusals_total", "counter", "Refusals since its start, by reason.");
    for (gateway, beat) in &beats {
        for (reason, count) in &beat.heartbeat.refusals {
            let reason = label(reason);
            let _ = writeln!(
                out,
                "postern_gateway_refusals_total{{gateway=\"{gateway}\",reason=\"{reason}\"}} {count}"
            );
        }
    }
}

/// A label's value; what a gateway says of itself is text from outside.
fn label(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .flat_map(|c| match c {
            '"' | '\\' => vec!['\\', c],
            c => vec![c],
        })
        .collect()
}
