//! The perimeter in network namespaces: outside, dmz, inside, and a router with nftables between them.
//!
//! The firewall is deploy/nftables/perimeter.nft, which lets two things pass: outside → the gateway's device port, and
//! the core's address → the gateway's link port. Counters tell what was denied, and what the gateway's machine
//! started by itself.

use std::{
    fmt,
    io::Write as _,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::binaries;

/// The device port of the gateway, as the firewall has it.
pub const DEVICE_PORT: u16 = 443;
/// The link port of the gateway, as the firewall has it.
pub const LINK_PORT: u16 = 7443;

/// Where a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where the devices are.
    Outside,
    /// Where the gateway is.
    Dmz,
    /// Where the core is.
    Inside,
}

impl Place {
    const ALL: [Self; 3] = [Self::Outside, Self::Dmz, Self::Inside];

    /// The address of the machine there.
    #[must_use]
    pub fn address(self) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(10, 90, self.leg(), 2))
    }

    fn leg(self) -> u8 {
        match self {
            Self::Outside => 1,
            Self::Dmz => 2,
            Self::Inside => 3,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Outside => "out",
            Self::Dmz => "dmz",
            Self::Inside => "ins",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Outside => "outside",
            Self::Dmz => "dmz",
            Self::Inside => "inside",
        })
    }
}

/// Four namespaces with their legs and rules. Dropping it takes them away.
#[derive(Debug)]
pub struct Perimeter {
    prefix: String,
}

impl Perimeter {
    /// Lays it out. Panics with what the machine lacks when it cannot: this test is never skipped.
    #[must_use]
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let perimeter = Self { prefix: format!("postern{}-{number}", std::process::id()) };
        for name in ["out", "dmz", "ins", "fw"] {
            let namespace = perimeter.namespace(name);
            run("ip", &["netns", "add", &namespace], None);
            run("ip", &["-n", &namespace, "link", "set", "lo", "up"], None);
        }
        for place in Place::ALL {
            perimeter.leg(place);
        }
        let router = perimeter.namespace("fw");
        run("ip", &["netns", "exec", &router, "sysctl", "-qw", "net.ipv4.ip_forward=1"], None);
        load(&router, "perimeter.nft");
        run("ip", &["netns", "exec", &perimeter.namespace("dmz"), "nft", "-f", "-"], Some(STARTED_BY_DMZ));
        perimeter
    }

    /// What an operator of this layout writes into `/etc/postern/site.nft`.
    #[must_use]
    pub fn site(&self) -> String {
        site_nft()
    }

    /// Puts deploy's rules for a gateway's own host into force in the DMZ.
    pub fn guard_gateway(&self) {
        load(&self.namespace("dmz"), "gateway.nft");
    }

    /// Packets that the rules of the gateway's own host kept from leaving it.
    #[must_use]
    pub fn denied_from_gateway(&self) -> u64 {
        self.counter_of("dmz", "postern_gateway", "denied_out")
    }

    /// A command that runs at a place.
    #[must_use]
    pub fn command(&self, place: Place, program: &str) -> Command {
        let prefix = self.prefix(place);
        let mut command = Command::new(&prefix[0]);
        command.args(&prefix[1..]).arg(program);
        command
    }

    /// What stands before a program's name on a command line to run it at a place.
    #[must_use]
    pub fn prefix(&self, place: Place) -> Vec<String> {
        ["ip", "netns", "exec", &self.namespace(place.name())].map(str::to_owned).to_vec()
    }

    /// Whether a new connection from a place gets through to a listener of `perimeter-probe`.
    #[must_use]
    pub fn connects(&self, from: Place, to: SocketAddr) -> bool {
        let probe = binaries::path("perimeter-probe");
        let mut command = self.command(from, &probe.to_string_lossy());
        command.args(["connect", &to.to_string(), "1000"]).stdin(Stdio::null()).stderr(Stdio::null());
        command.status().expect("ip netns exec starts").success()
    }

    /// Packets that the firewall denied on their way to the inside.
    #[must_use]
    pub fn denied_to_inside(&self) -> u64 {
        self.counter("fw", "denied_to_inside")
    }

    /// Packets of connections that a machine in the DMZ started itself, to anywhere.
    #[must_use]
    pub fn started_by_dmz(&self) -> u64 {
        self.counter("dmz", "started")
    }

    fn counter(&self, namespace: &str, name: &str) -> u64 {
        self.counter_of(namespace, "postern", name)
    }

    fn counter_of(&self, namespace: &str, table: &str, name: &str) -> u64 {
        let list =
            ["netns", "exec", &self.namespace(namespace), "nft", "list", "counter", "inet", table, name];
        let text = run("ip", &list, None);
        let packets = text.split_whitespace().skip_while(|word| *word != "packets").nth(1);
        packets.and_then(|packets| packets.parse().ok()).unwrap_or_else(|| panic!("no counter in {text:?}"))
    }

    fn leg(&self, place: Place) {
        let (here, router) = (self.namespace(place.name()), self.namespace("fw"));
        let (near, far, leg) = (format!("v{}", place.name()), format!("f{}", place.name()), place.leg());
        run(
            "ip",
            &["link", "add", &near, "netns", &here, "type", "veth", "peer", "name", &far, "netns", &router],
            None,
        );
        run("ip", &["-n", &here, "addr", "add", &format!("10.90.{leg}.2/24"), "dev", &near], None);
        run("ip", &["-n", &here, "link", "set", &near, "up"], None);
        run("ip", &["-n", &router, "addr", "add", &format!("10.90.{leg}.1/24"), "dev", &far], None);
        run("ip", &["-n", &router, "link", "set", &far, "up"], None);
        run("ip", &["-n", &here, "route", "add", "default", "via", &format!("10.90.{leg}.1")], None);
    }

    fn namespace(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }
}

impl Default for Perimeter {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Perimeter {
    fn drop(&mut self) {
        for name in ["out", "dmz", "ins", "fw"] {
            let _ = Command::new("ip")
                .args(["netns", "del", &self.namespace(name)])
                .stderr(Stdio::null())
                .status();
        }
    }
}

/// Loads a file of deploy/nftables in a namespace, with this layout's own `postern/site.nft` in the place of the one
/// that an operator writes. A table that did not load would leave everything open: `run` checks nft's exit status.
fn load(namespace: &str, file: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let site = folder.path().join("postern/site.nft");
    std::fs::create_dir(folder.path().join("postern")).expect("a folder");
    std::fs::write(site, site_nft()).expect("a file");
    let rules = rules(file);
    let (rules, include) = (rules.to_string_lossy(), folder.path().to_string_lossy());
    run("ip", &["netns", "exec", namespace, "nft", "-I", &include, "-f", &rules], None);
}

/// This layout's `site.nft`.
fn site_nft() -> String {
    let (gateway, core) = (Place::Dmz.address(), Place::Inside.address());
    format!(
        "define outside = \"fout\"\ndefine dmz = \"fdmz\"\ndefine inside = \"fins\"\n\
         define gateways = {{ {gateway} }}\ndefine cores = {{ {core} }}\n\
         define device_port = {DEVICE_PORT}\ndefine link_port = {LINK_PORT}\n"
    )
}

/// A file of deploy/nftables.
fn rules(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/nftables").join(file)
}

/// Counts what the DMZ's machine starts; denies nothing, so that the firewall is what denies.
const STARTED_BY_DMZ: &str = r#"table inet postern {
    counter started { }
    chain out {
        type filter hook output priority 0; policy accept;
        oifname != "lo" ct state new meta l4proto { tcp, udp } counter name "started"
    }
}
"#;

/// Runs a tool of the system and gives its stdout.
fn run(program: &str, args: &[&str], input: Option<&str>) -> String {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        command.spawn().unwrap_or_else(|error| lacking(&format!("{program} does not start: {error}")));
    let mut stdin = child.stdin.take().expect("stdin was piped");
    let _ = stdin.write_all(input.unwrap_or_default().as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("a child that was started ends");
    if !output.status.success() {
        lacking(&format!("{program} {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr)));
    }
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn lacking(what: &str) -> ! {
    panic!(
        "the perimeter needs network namespaces and nftables (root or CAP_SYS_ADMIN and CAP_NET_ADMIN; packages \
         iproute2 and nftables): {what}"
    );
}
