//! The CRL of the CA above our device CA lists that CA: the live devices that it certified lose their access, counted like any
//! other loss of devices; one whose wipe is armed reaches that wipe.

use postern_store::testkit::Cluster;
use postern_tests::{
    ctl::Ran,
    device::Device,
    site::{Plan, READY, Site},
    sql::Sql,
    wait,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertificateSigningRequestParams,
    DnType, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};

use super::{ask, clocks::person, seen, show, wait_for, wiped};

/// The serial number by which the CA above knows our device CA.
const SERIAL: [u8; 2] = [0x11, 0x22];
/// More than one person may take away in an hour.
const DEVICES: usize = 6;

/// The CA above ours.
struct Above {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Above {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "Example root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Certifies what asks, and gives the chain.
    fn certify(&self, request_pem: &str) -> String {
        let mut asked = CertificateSigningRequestParams::from_pem(request_pem).expect("a request");
        asked.params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        asked.params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        asked.params.serial_number = Some(SerialNumber::from_slice(&SERIAL));
        format!("{}{}", asked.signed_by(&self.issuer).expect("a certificate").pem(), self.pem)
    }

    /// Its CRL with our device CA on it.
    fn crl(&self) -> Vec<u8> {
        let at = rcgen::date_time_ymd(2026, 1, 1);
        let entry = RevokedCertParams {
            serial_number: SerialNumber::from_slice(&SERIAL),
            revocation_time: at,
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: at,
            next_update: rcgen::date_time_ymd(4000, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: vec![entry],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).expect("a CRL").der().to_vec()
    }
}

fn import(site: &Site, file: &str) -> Ran {
    site.ctl().run(&["ca", "crl", "--import", file, "--reason", "the root's operator was broken into"])
}

fn approvals(site: &Site) -> Vec<serde_json::Value> {
    let all = site.ctl().ok(&["approval", "list"]);
    all.as_array().cloned().unwrap_or_default()
}

#[test]
fn a_crl_that_hits_live_devices_is_counted_approved_and_leaves_them_nothing_but_their_wipe() {
    let site = Site::start(&Plan { postgres: Some(Cluster::shared()), ..Plan::default() });
    let bob = person(&site, "bob", "security-admin");
    let sql = Sql::of(&site);
    // As if he had been made the day before yesterday, and as if bulk had no cooling-off.
    sql.change("UPDATE admins SET may_approve_from = 1; UPDATE tokens SET may_approve_from = 1; UPDATE role_grants SET at = 1");
    sql.change("INSERT INTO safety_limits (name, value, set_by, at) VALUES ('cooling-off-minutes', 0, 'admin:test', 1)");
    let above = Above::new();
    let old = seen(&site, "OLD:1", "signed");
    let request = site.ctl().run(&["ca", "external", "device", "--name", "Example device CA"]);
    assert_eq!(request.exit, 0, "{request:?}");
    let chain = site.path("chain.pem").display().to_string();
    let asked = request.json();
    let request_pem = asked["request_pem"].as_str().expect("a request");
    std::fs::write(&chain, above.certify(request_pem)).expect("a file");
    let rolling =
        site.ctl().ok(&["ca", "external", "device", "--import", &chain, "--reason", "one root for all"]);
    assert_eq!(rolling["roll_over"], "rolling", "{rolling:#}");
    let devices: Vec<Device> =
        (1..=DEVICES).map(|number| enrolled(&site, &format!("NEW:{number}"))).collect();
    // One of them has a wipe that is not proved done.
    let _ = site.ctl().ok(&["settings", "set", "WipeExpirationInterval", "1s"]);
    let wipe = ask(&site, "NEW:1");
    let _ = wait_for(&site, &wipe, "armed");
    // Six devices are more than one person may take away: it waits for another, and nobody is cut off meanwhile.
    let crl = site.path("root.crl").display().to_string();
    std::fs::write(&crl, above.crl()).expect("a file");
    let waits = import(&site, &crl);
    assert_eq!(waits.slug(), "needs-approval", "{waits:?}");
    assert_eq!(devices[1].check_in(&[]).exit, 0, "nothing was done");
    let approval = approvals(&site)[0]["id"].as_str().expect("an id").to_owned();
    let shown = bob.ok(&["approval", "show", &approval]);
    assert_eq!(shown["device_count"], DEVICES, "{shown:#}");
    assert!(shown["settings"].to_string().contains("Example root"), "{shown:#}");
    let own = site.ctl().run(&[
        "approval",
        "approve",
        &approval,
        "--hash",
        shown["hash"].as_str().expect("a hash"),
    ]);
    assert_eq!(own.slug(), "approval-refused", "who asks never agrees: {own:?}");
    let _ = bob.ok(&["approval", "approve", &approval, "--hash", shown["hash"].as_str().expect("a hash")]);

    let done = import(&site, &crl);
    assert_eq!(done.exit, 0, "{done:?}");
    let done = done.json();
    assert_eq!(
        (done["blocked"].as_u64(), done["retired"].as_array().map(Vec::len)),
        (Some(1), Some(1)),
        "{done:#}"
    );

    let cut_off = || (devices[1].check_in(&[]).exit != 0).then_some(());
    wait::until("the devices to be refused", READY, cut_off, || site.logs());
    for device in &devices[1..] {
        let ran = device.check_in(&[]);
        assert_ne!(ran.exit, 0, "{}: {ran:?}", device.device_id);
        assert_eq!(wiped(device), 0);
    }
    assert_eq!(old.check_in(&[]).exit, 0, "who is of the other generation goes on");
    let wiped_now = || {
        let _ = devices[0].check_in(&[]);
        (show(&site, &wipe)["state"] == "succeeded").then_some(())
    };
    wait::until("the armed wipe to be done", READY, wiped_now, || site.logs());
    assert_eq!(wiped(&devices[0]), 1);

    let audit = site.ctl().ok(&["audit", "list", "--action", "crls.import"]);
    assert_eq!(audit.as_array().map(Vec::len), Some(1), "{audit:#}");
    let row = audit[0].to_string();
    assert!(row.contains("Example device CA") && row.contains("broken into"), "{row}");
    assert_eq!(site.ctl().run(&["audit", "verify"]).exit, 0);
    // The same list once more hits nobody any more.
    let again = import(&site, &crl);
    assert_eq!(again.exit, 0, "{again:?}");
}

/// A device of the generation that the CA above certified, seen once.
fn enrolled(site: &Site, device_id: &str) -> Device {
    let device = seen(site, device_id, "signed");
    let shown = site.ctl().ok(&["device", "show", device_id]);
    let serial = shown["certificate"]["serial"].as_str().expect("a certificate").to_owned();
    let certificate = site.ctl().ok(&["ca", "show", &serial]);
    assert_eq!(certificate["generation"], 2, "{certificate:#}");
    device
}
