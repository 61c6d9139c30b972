//! What an operator sees: health, readiness and metrics on a loopback port.
//!
//! Counters are plain atomics, written out as Prometheus text when asked; the heartbeat carries the same figures to the
//! core. One process may hold several gateways, so nothing here is global.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use postern_wire::link::RefusalReason;

/// Upper bounds of the relay's duration classes, milliseconds.
const CLASSES_MS: [u64; 10] = [1, 2, 5, 10, 25, 50, 100, 250, 1_000, 5_000];

/// A number that only grows.
#[derive(Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that rises while something is held.
#[derive(Clone, Default)]
pub(crate) struct Gauge(Arc<AtomicUsize>);

impl Gauge {
    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Holds a gauge up by one.
pub(crate) struct Held(Gauge);

impl Held {
    fn new(gauge: &Gauge) -> Self {
        gauge.0.fetch_add(1, Ordering::Relaxed);
        Self(gauge.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All figures of a gateway.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) handshakes: Count,
    pub(crate) enrolment_messages: Count,
    pub(crate) enrolments_refused: Count,
    pub(crate) octets_in: Count,
    pub(crate) octets_out: Count,
    pub(crate) links_accepted: Count,
    pub(crate) links_refused: Count,
    pub(crate) wakes_delivered: Count,
    pub(crate) wakes_without_listener: Count,
    connections: Gauge,
    in_flight: Gauge,
    relayed: Count,
    relay_ms: Count,
    classes: [Count; CLASSES_MS.len()],
    refusals: Refusals,
}

struct Refusals(Vec<Count>);

impl Default for Refusals {
    fn default() -> Self {
        Self(RefusalReason::ALL.iter().map(|_| Count::default()).collect())
    }
}

impl Counters {
    /// Counts a connection while it is open; `None` when `most` are.
    pub(crate) fn open_connection(&self, most: usize) -> Option<Held> {
        let held = Held::new(&self.connections);
        (self.connections.get() <= most).then_some(held)
    }

    /// Counts a message while it is relayed.
    pub(crate) fn in_flight(&self) -> Held {
        Held::new(&self.in_flight)
    }

    pub(crate) fn relayed(&self, ms: u64, octets: u64) {
        self.relayed.add(1);
        self.relay_ms.add(ms);
        self.octets_out.add(octets);
        if let Some(class) = CLASSES_MS.iter().position(|bound| ms <= *bound) {
            self.classes[class].add(1);
        }
    }

    pub(crate) fn refused(&self, reason: RefusalReason) {
        if let Some(at) = RefusalReason::ALL.iter().position(|known| *known == reason) {
            self.refusals.0[at].add(1);
        }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.get()
    }

    pub(crate) fn messages_in_flight(&self) -> usize {
        self.in_flight.get()
    }

    pub(crate) fn messages_relayed(&self) -> u64 {
        self.relayed.get()
    }

    /// Refusals by reason, those that happened.
    pub(crate) fn refusals(&self) -> BTreeMap<String, u64> {
        let counted = RefusalReason::ALL.iter().zip(&self.refusals.0);
        counted
            .map(|(reason, count)| (reason.as_str().to_owned(), count.get()))
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

/// Figures that are not counters, at the moment of asking.
pub(crate) struct Standing {
    pub(crate) ready: bool,
    pub(crate) listeners: usize,
    pub(crate) links: usize,
    pub(crate) links_busy: u32,
    pub(crate) settings: u64,
    pub(crate) blocked: u64,
    pub(crate) routes: u64,
    pub(crate) device_certificate_not_after_ms: i64,
    pub(crate) link_certificate_not_after_ms: i64,
    pub(crate) rss: u64,
    pub(crate) troubles: usize,
    pub(crate) untold: u64,
}

/// Prometheus text.
pub(crate) fn metrics(counters: &Counters, standing: &Standing) -> String {
    let mut text = String::with_capacity(4_096);
    let mut figure = |name: &str, kind: &str, help: &str, value: i128| {
        let _ = write!(
            text,
            "# HELP postern_gateway_{name} {help}\n# TYPE postern_gateway_{name} {kind}\npostern_gateway_{name} {value}\n"
        );
    };
    let size = |value: usize| value as i128;
    figure("ready", "gauge", "1 when messages can be relayed.", i128::from(standing.ready));
    figure("connections", "gauge", "Open device connections.", size(counters.connections.get()));
    figure("in_flight", "gauge", "Messages being relayed.", size(counters.in_flight.get()));
    figure("listeners", "gauge", "Devices that listen for a notification.", size(standing.listeners));
    figure("links", "gauge", "Request links of the core in use.", size(standing.links));
    figure("links_busy", "gauge", "Request links that carry a message.", standing.links_busy.into());
    figure("troubles", "gauge", "Things that are wrong; the log names them.", size(standing.troubles));
    figure("settings_version", "gauge", "Settings document in force.", standing.settings.into());
    figure("blocked_version", "gauge", "Blocked list in force.", standing.blocked.into());
    figure("routes_version", "gauge", "Known routes in force.", standing.routes.into());
    figure("resident_octets", "gauge", "Resident memory.", standing.rss.into());
    let seconds = |ms: i64| i128::from(ms / 1_000);
    let ends = "When the certificate ends, seconds since 1970.";
    figure("device_certificate_not_after", "gauge", ends, seconds(standing.device_certificate_not_after_ms));
    figure("link_certificate_not_after", "gauge", ends, seconds(standing.link_certificate_not_after_ms));
    let counts: [(&str, &str, &Count); 9] = [
        ("handshakes_total", "TLS handshakes with devices.", &counters.handshakes),
        (
            "enrolment_messages_total",
            "Requests of enrolment that were relayed.",
            &counters.enrolment_messages,
        ),
        ("enrolments_refused_total", "Of these, those that the core refused.", &counters.enrolments_refused),
        ("octets_in_total", "Octets of messages from devices.", &counters.octets_in),
        ("octets_out_total", "Octets of replies to devices.", &counters.octets_out),
        ("links_accepted_total", "Links accepted from cores.", &counters.links_accepted),
        ("links_refused_total", "Connections to the link port that were refused.", &counters.links_refused),
        ("wakes_delivered_total", "Notifications given to devices that listen.", &counters.wakes_delivered),
        (
            "wakes_without_listener_total",
            "Wake-ups for devices that do not listen.",
            &counters.wakes_without_listener,
        ),
    ];
    for (name, help, count) in counts {
        figure(name, "counter", help, count.get().into());
    }
    figure(
        "refusals_untold_total",
        "counter",
        "Refusals not told to a core in detail.",
        standing.untold.into(),
    );
    text.push_str("# HELP postern_gateway_refusals_total Refusals by reason.\n");
    text.push_str("# TYPE postern_gateway_refusals_total counter\n");
    for (reason, count) in counters.refusals() {
        let _ = writeln!(text, "postern_gateway_refusals_total{{reason=\"{reason}\"}} {count}");
    }
    text.push_str("# HELP postern_gateway_relay_seconds Time from whole message to whole reply.\n");
    text.push_str("# TYPE postern_gateway_relay_seconds histogram\n");
    let mut below = 0;
    for (bound, count) in CLASSES_MS.iter().zip(&counters.classes) {
        below += count.get();
        let bound = *bound as f64 / 1_000.0;
        let _ = writeln!(text, "postern_gateway_relay_seconds_bucket{{le=\"{bound}\"}} {below}");
    }
    let (total, sum) = (counters.relayed.get(), counters.relay_ms.get() as f64 / 1_000.0);
    let _ = write!(
        text,
        "postern_gateway_relay_seconds_bucket{{le=\"+Inf\"}} {total}\npostern_gateway_relay_seconds_sum {sum}\npostern_gateway_relay_seconds_count {total}\n"
    );
    text
}

/// Resident memory of this process, octets; 0 when the system does not say.
pub(crate) fn resident_octets() -> u64 {
    const PAGE: u64 = 4_096;
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * PAGE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connection_cap_is_exact_and_a_closed_connection_makes_room() {
        let counters = Counters::default();
        let first = counters.open_connection(2);
        let second = counters.open_connection(2);
        assert!(first.is_some() && second.is_some() && counters.open_connection(2).is_none());
        drop(first);
        assert!(counters.open_connection(2).is_some());
    }
}
