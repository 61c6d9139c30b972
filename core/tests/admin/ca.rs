//! CAs, certificates and CRLs by the API; what is made is read by openssl, too.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use postern_api::{
    Page,
    ca::{CaRequest, CaStatus, Certificate, CertificateAuthority, Crl, ImportedCrl, IssuedCertificate},
    devices::Enrolled,
};
use postern_wire::terms::CaState;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use serde_json::{Value, json};

use crate::kit::{Kit, until_async};

pub(crate) fn csr() -> (KeyPair, String) {
    let key = KeyPair::generate().unwrap();
    let request = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
    (key, request)
}

async fn enrol(kit: &Kit, name: &str) -> Enrolled {
    let body = json!({"device_id": name, "auth": "certificate", "csr_pem": csr().1});
    kit.admin.post("/api/1/devices", body).await.read(201)
}

async fn status(kit: &Kit, role: &str) -> CaStatus {
    kit.admin.get(&format!("/api/1/ca/{role}")).await.read(200)
}

async fn roll(kit: &Kit, role: &str, body: Value) -> crate::kit::Answer {
    kit.admin.post(&format!("/api/1/ca/{role}/roll-over"), body).await
}

fn file(folder: &Path, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// What openssl says to these arguments.
fn openssl(args: &[&str]) -> String {
    let out = Command::new("openssl").args(args).output().expect("openssl is installed");
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "openssl {args:?}: {text}");
    text
}

#[tokio::test]
async fn a_roll_over_of_the_device_ca_lists_its_stragglers_and_leaves_none_behind_unasked() {
    let kit = Kit::start().await;
    let folder = tempfile::tempdir().unwrap();
    let old = enrol(&kit, "old").await;
    roll(&kit, "device", json!({"step": "finish"})).await.refused(409, "wrong-state");
    let rolling: CaStatus = roll(&kit, "device", json!({"step": "start", "reason": "drill"})).await.read(200);
    assert_eq!((rolling.roll_over.as_str(), rolling.from, rolling.to), ("rolling", Some(1), Some(2)));
    assert!(rolling.stragglers.iter().any(|one| one.kind == "device" && one.name == "old"));
    let states: Vec<CaState> = rolling.generations.iter().map(|one| one.state).collect();
    assert_eq!(states, [CaState::Signing, CaState::Trusted]);
    assert!(rolling.generations[0].bridged);
    let mode = std::fs::metadata(kit.state.join("ca/device-ca-2.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    roll(&kit, "device", json!({"step": "start"})).await.refused(409, "wrong-state");

    let new = enrol(&kit, "new").await;
    let chain = new.enrolment.certificate_pem.unwrap();
    let leaf = file(folder.path(), "leaf.pem", &chain);
    for generation in [0, 1] {
        // Who trusts the new CA knows it; who trusts the old one alone follows the bridge.
        let ca = file(folder.path(), "ca.pem", &rolling.generations[generation].chain_pem);
        let (ca, leaf) = (ca.to_str().unwrap(), leaf.to_str().unwrap());
        openssl(&["verify", "-CAfile", ca, "-untrusted", leaf, "-purpose", "sslclient", leaf]);
    }
    let now = status(&kit, "device").await;
    assert!(!now.stragglers.iter().any(|one| one.name == "new"), "{:?}", now.stragglers);

    roll(&kit, "device", json!({"step": "finish"})).await.refused(409, "stragglers");
    let made: Value = kit
        .admin
        .post("/api/1/tokens", json!({"name": "t", "scope": ["ca.roll", "ca.read"]}))
        .await
        .read(201);
    let narrow = kit.admin.with_token(made["secret"].as_str().unwrap());
    let path = "/api/1/ca/device/roll-over";
    narrow.post(path, json!({"step": "finish", "force": true})).await.refused(403, "forbidden");
    let done: CaStatus = roll(&kit, "device", json!({"step": "finish", "force": true})).await.read(200);
    assert_eq!(done.roll_over, "none");
    assert_eq!(done.generations[1].state, CaState::Retired);
    assert!(kit.audit().await.contains("ca.roll_over"));
    drop(old);
}

#[tokio::test]
async fn a_roll_over_can_be_aborted_and_the_next_one_is_another_generation() {
    let kit = Kit::start().await;
    roll(&kit, "device", json!({"step": "start"})).await.read::<CaStatus>(200);
    let back: CaStatus = roll(&kit, "device", json!({"step": "abort", "force": true})).await.read(200);
    let states: Vec<_> = back.generations.iter().map(|one| (one.generation, one.state)).collect();
    assert_eq!(states, [(2, CaState::Retired), (1, CaState::Signing)]);
    let again: CaStatus = roll(&kit, "device", json!({"step": "start"})).await.read(200);
    assert_eq!((again.from, again.to), (Some(1), Some(3)));
}

#[tokio::test]
async fn the_cores_own_certificates_follow_a_roll_over_without_a_restart() {
    let kit = Kit::start().await;
    for role in ["server", "link"] {
        roll(&kit, role, json!({"step": "start"})).await.read::<CaStatus>(200);
        until_async("the core's own certificate is of the new CA", async || {
            status(&kit, role).await.stragglers.iter().all(|one| one.kind != "core")
        })
        .await;
    }
    let anchors = std::fs::read_to_string(kit.state.join("ca.pem")).unwrap();
    assert_eq!(anchors.matches("BEGIN CERTIFICATE").count(), 2, "admins' clients are given both");
    // The client of this test trusts the old CA alone.
    kit.admin.get("/api/1/ca").await.read::<Page<CertificateAuthority>>(200);
    let all: Page<Certificate> = kit.admin.get("/api/1/certificates").await.read(200);
    assert_eq!(all.items.iter().filter(|one| one.subject.starts_with("postern:core:")).count(), 2);
}

#[tokio::test]
async fn a_revoked_certificate_is_on_the_next_crl_whose_number_has_risen() {
    let kit = Kit::start().await;
    let folder = tempfile::tempdir().unwrap();
    let device = enrol(&kit, "lost").await;
    let serial = device.device.certificate.unwrap().serial;
    let ca: CaStatus = status(&kit, "device").await;
    let path = format!("/api/1/crls/{}", ca.generations[0].issuer);
    let number = async || kit.admin.get(&path).await.read::<Crl>(200).number.parse::<u64>().unwrap();
    until_async("the first CRL", async || number().await == 1).await;

    let url = format!("/api/1/certificates/{serial}/revoke");
    let revoked: Certificate = kit.admin.post(&url, json!({"reason": "key-compromise"})).await.read(200);
    assert_eq!(revoked.state, "revoked");
    kit.admin.post(&url, json!({})).await.refused(409, "wrong-state");
    kit.admin.post("/api/1/certificates/00ff/revoke", json!({})).await.refused(404, "not-found");
    until_async("the second CRL", async || number().await == 2).await;

    let crl: Crl = kit.admin.get(&path).await.read(200);
    let der = data_encoding::BASE64.decode(crl.der_base64.unwrap().as_bytes()).unwrap();
    let crl = file(folder.path(), "ca.crl", &der);
    let pem = file(folder.path(), "ca.pem", &ca.generations[0].chain_pem);
    let (crl, pem) = (crl.to_str().unwrap(), pem.to_str().unwrap());
    let text = openssl(&["crl", "-inform", "DER", "-in", crl, "-CAfile", pem, "-noout", "-text"]);
    assert!(text.contains("verify OK") && text.to_lowercase().contains(&serial), "{text}");
    assert!(text.contains("Key Compromise"), "{text}");
}

#[tokio::test]
async fn hostile_signing_requests_are_refused_by_type() {
    let kit = Kit::start().await;
    let folder = tempfile::tempdir().unwrap();
    let make = |args: &[&str]| {
        let key = folder.path().join("k.pem");
        let mut all = vec!["req", "-new", "-nodes", "-subj", "/CN=x", "-keyout", key.to_str().unwrap()];
        all.extend(args);
        let text = openssl(&all);
        text[text.find("-----BEGIN CERT").unwrap()..].to_owned()
    };
    let (_, good) = csr();
    let mut broken = data_encoding::BASE64
        .decode(good.lines().filter(|line| !line.starts_with("--")).collect::<String>().as_bytes())
        .unwrap();
    let last = broken.len() - 1;
    broken[last] ^= 1;
    let broken = format!(
        "-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n",
        data_encoding::BASE64.encode(&broken)
    );
    let san = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-addext"];
    let weak = make(&["-newkey", "rsa:1024"]);
    let curve = make(&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"]);
    let large = make(&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"]);
    let edwards = make(&["-newkey", "ed25519"]);
    let huge = format!("{}{}", "x".repeat(20_000), good);
    for request in ["no".to_owned(), huge, broken, weak, curve, large, edwards] {
        let body = json!({"for": "gateway-link", "id": "edge", "csr_pem": request});
        kit.admin.post("/api/1/certificates", body).await.refused(422, "invalid-csr");
    }
    // What a request asks for is not taken: only its key is.
    let claims = make(&[&san[..], &["subjectAltName=URI:postern:core:evil,DNS:*"]].concat());
    let body = json!({"for": "gateway-link", "id": "edge", "csr_pem": claims});
    let made: IssuedCertificate = kit.admin.post("/api/1/certificates", body).await.read(201);
    let leaf = file(folder.path(), "leaf.pem", &made.chain_pem);
    let text = openssl(&["x509", "-in", leaf.to_str().unwrap(), "-noout", "-text"]);
    assert!(text.contains("URI:postern:gateway:edge") && !text.contains("evil") && !text.contains("DNS:*"));
    assert!(text.contains("TLS Web Server Authentication") && !text.contains("CA:TRUE"), "{text}");
    let names = json!({"for": "gateway-server", "id": "edge", "csr_pem": csr().1, "names": ["a b"]});
    kit.admin.post("/api/1/certificates", names).await.refused(400, "invalid-request");
}

struct Root {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

fn root(name: &str) -> Root {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let pem = params.self_signed(&key).unwrap().pem();
    Root { issuer: Issuer::new(params, key), pem }
}

fn certify(root: &Root, request_pem: &str, change: impl Fn(&mut CertificateParams)) -> String {
    let mut asked = rcgen::CertificateSigningRequestParams::from_pem(request_pem).unwrap();
    asked.params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    asked.params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    change(&mut asked.params);
    asked.signed_by(&root.issuer).unwrap().pem()
}

#[tokio::test]
async fn an_external_ca_can_certify_ours_and_what_it_gives_is_judged() {
    let kit = Kit::start().await;
    let folder = tempfile::tempdir().unwrap();
    let url = "/api/1/ca/device/external";
    kit.admin.put_body(url, json!({"chain_pem": "x"})).await.refused(409, "wrong-state");
    let asked: CaRequest = kit.admin.post(url, json!({"name": "Example device CA"})).await.read(200);
    let again: CaRequest = kit.admin.post(url, json!({})).await.read(200);
    assert_eq!((asked.generation, again.generation), (2, 2), "the same key waits");
    assert_eq!(status(&kit, "device").await.roll_over, "requested");
    let (ours, other) = (root("Example root"), root("Other root"));
    let good = certify(&ours, &asked.request_pem, |_| ());
    for (chain, why) in [
        ("no certificate".to_owned(), "no certificates in PEM"),
        (certify(&ours, &csr().1, |_| ()), "not over the key"),
        (format!("{good}{}", other.pem), "was not signed by"),
        (certify(&ours, &asked.request_pem, |params| params.is_ca = IsCa::ExplicitNoCa), "CA"),
        (
            certify(&ours, &asked.request_pem, |params| {
                params.not_after = rcgen::date_time_ymd(2020, 1, 1);
                params.not_before = rcgen::date_time_ymd(2019, 1, 1);
            }),
            "has ended",
        ),
        (
            certify(&ours, &asked.request_pem, |params| {
                params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
            }),
            "clientAuth",
        ),
        (
            certify(&ours, &asked.request_pem, |params| {
                params.distinguished_name = rcgen::DistinguishedName::new();
                params.distinguished_name.push(DnType::CommonName, "Postern device CA");
            }),
            "bears the name",
        ),
        (good.repeat(7), "too long"),
    ] {
        let problem =
            kit.admin.put_body(url, json!({"chain_pem": chain})).await.refused(422, "invalid-chain");
        assert!(problem.detail.as_ref().unwrap().contains(why), "{problem:?} is not about {why:?}");
    }
    let chain_pem = format!("{good}{}", ours.pem);
    let rolling: CaStatus = kit.admin.put_body(url, json!({"chain_pem": chain_pem})).await.read(200);
    assert_eq!((rolling.roll_over.as_str(), rolling.to), ("rolling", Some(2)));
    assert!(rolling.generations[0].bridged, "who trusts the old CA alone follows");
    let device = enrol(&kit, "d").await;
    let leaf = file(folder.path(), "leaf.pem", device.enrolment.certificate_pem.unwrap());
    let top = file(folder.path(), "root.pem", &ours.pem);
    let leaf = leaf.to_str().unwrap();
    openssl(&["verify", "-CAfile", top.to_str().unwrap(), "-untrusted", leaf, leaf]);
    kit.admin.post(url, json!({})).await.refused(409, "wrong-state");
}

#[tokio::test]
async fn an_imported_crl_blocks_and_one_that_lists_our_own_ca_retires_it() {
    let kit = Kit::start().await;
    let (ours, other) = (root("Example root"), root("Other root"));
    let url = "/api/1/ca/device/external";
    let asked: CaRequest = kit.admin.post(url, json!({})).await.read(200);
    let own = certify(&ours, &asked.request_pem, |params| {
        params.serial_number = Some(SerialNumber::from_slice(&[0x11, 0x22]));
    });
    let chain_pem = format!("{own}{}", ours.pem);
    kit.admin.put_body(url, json!({"chain_pem": chain_pem})).await.read::<CaStatus>(200);
    let crl = |by: &Root, number: u64, serials: &[&[u8]]| {
        let start = std::time::Duration::from_secs(number);
        let at = rcgen::date_time_ymd(2026, 1, 1) + start;
        let entry = |serial: &&[u8]| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: at,
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: at,
            next_update: rcgen::date_time_ymd(4000, 1, 1),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        data_encoding::BASE64.encode(params.signed_by(&by.issuer).unwrap().der())
    };
    let import = async |body: Value| kit.admin.post("/api/1/crls", body).await;
    let forged = crl(&other, 1, &[&[1]]);
    import(json!({"crl_base64": forged})).await.refused(422, "invalid-crl");
    import(json!({"crl_base64": forged, "issuer_pem": ours.pem})).await.refused(422, "invalid-crl");
    import(json!({"crl_base64": "AAAA"})).await.refused(422, "invalid-crl");
    let body = json!({"crl_base64": forged, "issuer_pem": other.pem});
    let known: ImportedCrl = import(body).await.read(200);
    assert_eq!((known.blocked, known.freed, known.retired.len()), (1, 0, 0));

    let first: ImportedCrl =
        import(json!({"crl_base64": crl(&ours, 1, &[&[0x77], &[0x78]])})).await.read(200);
    assert_eq!((first.blocked, first.freed), (2, 0));
    let next: ImportedCrl =
        import(json!({"crl_base64": crl(&ours, 2, &[&[0x78], &[0x11, 0x22]])})).await.read(200);
    assert_eq!((next.blocked, next.freed, next.retired.len()), (1, 1, 1));
    let now = status(&kit, "device").await;
    assert_eq!(now.generations[0].state, CaState::Retired);
    assert!(now.troubles.iter().any(|trouble| trouble.contains("no generation")), "{:?}", now.troubles);
    import(json!({"crl_base64": crl(&ours, 1, &[])})).await.refused(409, "wrong-state");
}

#[tokio::test]
async fn a_ca_key_that_others_may_read_issues_nothing_and_the_core_says_so() {
    let mut kit = Kit::start().await;
    kit.stop().await;
    let key = kit.state.join("ca/device-ca.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    kit.again().await;
    let troubles = status(&kit, "device").await.troubles;
    assert!(troubles.iter().any(|trouble| trouble.contains("0644")), "{troubles:?}");
    let body = json!({"device_id": "d", "auth": "certificate", "csr_pem": csr().1});
    kit.admin.post("/api/1/devices", body).await.refused(503, "unavailable");
    let open: Value = kit.admin.get("/api/1/status").await.read(200);
    assert!(open.to_string().contains("chmod 600"), "{open}");
}
