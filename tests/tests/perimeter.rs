//! The perimeter, proved in network namespaces: what the firewall lets pass is all that the system needs, and the
//! gateway starts no connection (docs/THREATS.md, "The perimeter").
#![forbid(unsafe_code)]

use std::{net::SocketAddr, path::Path, process::Stdio, time::Duration};

use postern_tests::{
    binaries,
    ctl::Ctl,
    device::Device,
    perimeter::{DEVICE_PORT, LINK_PORT, Perimeter, Place},
    process::Process,
    site::{Addresses, GATEWAY, READY, init},
    wait,
};

/// Ports of the inside that a captured gateway would like to reach: the link port, HTTPS, the admin API,
/// PostgreSQL, LDAPS.
const INSIDE_PORTS: [u16; 5] = [LINK_PORT, 443, 8443, 5432, 636];

#[test]
fn only_outside_to_the_device_port_and_inside_to_the_link_port_connect() {
    let perimeter = Perimeter::new();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dmz_ports = [DEVICE_PORT, LINK_PORT, 22];
    let _servers = [
        listener(&perimeter, Place::Dmz, &dmz_ports, folder.path()),
        listener(&perimeter, Place::Inside, &INSIDE_PORTS, folder.path()),
        listener(&perimeter, Place::Outside, &[443], folder.path()),
    ];

    // Each server answers in its own namespace, so that a refusal below is the firewall's doing.
    for (place, ports) in
        [(Place::Dmz, &dmz_ports[..]), (Place::Inside, &INSIDE_PORTS), (Place::Outside, &[443])]
    {
        for port in ports {
            assert!(perimeter.connects(place, at(place, *port)), "{place}:{port} has to answer at home");
        }
    }

    assert!(perimeter.connects(Place::Outside, at(Place::Dmz, DEVICE_PORT)), "devices reach the gateway");
    assert!(perimeter.connects(Place::Inside, at(Place::Dmz, LINK_PORT)), "the core reaches the link port");

    let mut closed = Vec::new();
    closed.extend(INSIDE_PORTS.map(|port| (Place::Dmz, Place::Inside, port)));
    closed.extend(INSIDE_PORTS.map(|port| (Place::Outside, Place::Inside, port)));
    closed.extend([
        (Place::Outside, Place::Dmz, LINK_PORT),
        (Place::Outside, Place::Dmz, 22),
        (Place::Inside, Place::Dmz, DEVICE_PORT),
        (Place::Inside, Place::Dmz, 22),
        (Place::Dmz, Place::Outside, 443),
        (Place::Inside, Place::Outside, 443),
    ]);
    let open: Vec<_> = std::thread::scope(|scope| {
        let tries = closed.iter().map(|&(from, to, port)| {
            let perimeter = &perimeter;
            scope.spawn(move || {
                perimeter.connects(from, at(to, port)).then(|| format!("{from} -> {to}:{port}"))
            })
        });
        let tries: Vec<_> = tries.collect();
        tries.into_iter().filter_map(|tried| tried.join().expect("a try does not panic")).collect()
    });
    assert!(open.is_empty(), "open: {open:?}");
    assert!(perimeter.denied_to_inside() >= INSIDE_PORTS.len() as u64, "the firewall counted what it denied");
}

#[test]
fn the_gateways_own_rules_let_in_what_the_firewall_does_and_nothing_out() {
    let perimeter = Perimeter::new();
    perimeter.guard_gateway();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let _servers = [
        listener(&perimeter, Place::Dmz, &[DEVICE_PORT, LINK_PORT, 22], folder.path()),
        listener(&perimeter, Place::Inside, &INSIDE_PORTS, folder.path()),
    ];
    assert!(perimeter.connects(Place::Outside, at(Place::Dmz, DEVICE_PORT)), "devices reach the gateway");
    assert!(perimeter.connects(Place::Inside, at(Place::Dmz, LINK_PORT)), "the core reaches the link port");
    assert!(!perimeter.connects(Place::Inside, at(Place::Dmz, 22)), "nothing else is open");
    for port in INSIDE_PORTS {
        assert!(
            !perimeter.connects(Place::Dmz, at(Place::Inside, port)),
            "{port}: the gateway starts nothing"
        );
    }
    assert!(perimeter.denied_from_gateway() >= INSIDE_PORTS.len() as u64, "its own host denied it");
    assert_eq!(perimeter.denied_to_inside(), 0, "it never came as far as the firewall");
}

#[test]
fn a_check_in_passes_the_perimeter_and_the_gateway_starts_no_connection() {
    let perimeter = Perimeter::new();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let state = folder.path().join("state");
    let home = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let gateway_at = Place::Dmz.address();
    init(
        &state,
        &Addresses {
            device_name: gateway_at.to_string(),
            gateway_listen: gateway_at,
            device_port: DEVICE_PORT,
            link_port: LINK_PORT,
            dialed: at(Place::Dmz, LINK_PORT),
            gateway_observe: home(9464),
            admin: home(8443),
            observe: home(9464),
        },
    );

    let config = state.join("gateways").join(GATEWAY).join("gateway.toml");
    let _gateway = part(&perimeter, Place::Dmz, "postern-gateway", &config, folder.path());
    let core = part(&perimeter, Place::Inside, "postern-core", &state.join("core.toml"), folder.path());
    let ctl = Ctl {
        url: "https://localhost:8443".to_owned(),
        token_file: state.join("admin.token"),
        ca_file: state.join("ca.pem"),
        prefix: perimeter.prefix(Place::Inside),
    };
    let connected =
        || Some(ctl.run(&["gateway", "show", GATEWAY])).filter(|ran| ran.out.contains("\"connected\""));
    let _ = wait::until("the link to stand", READY, connected, || core.log_tail());
    let device = Device::enrol(&ctl, folder.path(), "urn:uuid:1", "signed");
    let _ = ctl.ok(&["device", "command", "urn:uuid:1", "get", "./DevInfo/DevId"]);
    let outside = || perimeter.command(Place::Outside, &binaries::path("postern-device").to_string_lossy());
    let checked_in = || Some(device.check_in_by(outside(), &[])).filter(|ran| ran.exit == 0);
    let _ = wait::until("a check-in from outside", READY, checked_in, || core.log_tail());

    let commands = ctl.ok(&["device", "commands", "urn:uuid:1"]);
    assert_eq!(commands[0]["state"], "succeeded", "{commands:#}");
    assert_eq!(perimeter.started_by_dmz(), 0, "the gateway's machine started a connection");
    assert_eq!(perimeter.denied_to_inside(), 0, "something tried to get inside");
}

/// Starts a binary of ours at a place.
fn part(perimeter: &Perimeter, place: Place, name: &str, config: &Path, folder: &Path) -> Process {
    let mut command = perimeter.command(place, &binaries::path(name).to_string_lossy());
    command.arg("run").arg("--config").arg(config);
    Process::start(name, &mut command, &folder.join(format!("{name}.log")))
}

fn at(place: Place, port: u16) -> SocketAddr {
    SocketAddr::new(place.address(), port)
}

fn listener(perimeter: &Perimeter, place: Place, ports: &[u16], folder: &Path) -> Process {
    let mut command = perimeter.command(place, &binaries::path("perimeter-probe").to_string_lossy());
    command.arg("listen").args(ports.iter().map(|port| at(place, *port).to_string())).stdin(Stdio::null());
    let server = Process::start("perimeter-probe", &mut command, &folder.join(format!("{place}.log")));
    let ready = || server.log().contains("listening").then_some(());
    wait::until("a listener", Duration::from_secs(10), ready, || server.log_tail());
    server
}
