//! The endpoint over HTTP, with real actors on a real store.

use std::sync::Arc;

use actix_web::{
    App,
    body::{BodySize, MessageBody as _},
    http::{StatusCode, header},
    test,
    web::Data,
};
use aws_lc_rs::{
    rand::SystemRandom as AwsRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
        UnparsedPublicKey,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use postern_actors::{
    AnnounceNothing, AuditActor, Clock, Devices, Enrolled, NewEnrolment, Parts, Settings, SystemClock,
    SystemRandom,
};
use postern_store::{Ambient, MasterKey, Options, Place, Sealer, Store};
use postern_wire::{
    auth,
    link::{Admission, CLIENT_CERT, CertificateName, REQUEST_ID},
    route::{RouteHash, RouteId},
    signature::{self, Fields, FieldsReceived, Parameters, RequestParts, ResponseParts},
    syncml::{self, Alert, Command, Location, MediaType, Message, Style, SyncHdr, Version},
    terms::{AuthType, Dialect, EnrolmentId, ProofClass, UtcMillis},
};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, SanType};
use uuid::Uuid;

use super::{Blocked, Certificate, DeviceEndpoint, KnownCertificates, MessageKey, NobodyBlocked, configure};

const XML: &str = "application/vnd.syncml.dm+xml; charset=utf-8";

/// A device's key and certificate in DER.
struct Identity {
    der: Vec<u8>,
    key: EcdsaKeyPair,
}

fn identity(id: EnrolmentId, change: impl FnOnce(&mut CertificateParams)) -> Identity {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.subject_alt_names = vec![SanType::URI(format!("postern:device:{id}").try_into().unwrap())];
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2100, 1, 1);
    change(&mut params);
    let der = params.self_signed(&key).unwrap().der().to_vec();
    Identity {
        der,
        key: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key.serialize_der()).unwrap(),
    }
}

struct Core {
    endpoint: Data<DeviceEndpoint>,
    store: Store,
    message_key: EcdsaKeyPair,
    _folder: tempfile::TempDir,
}

async fn core(blocked: impl Blocked) -> Core {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::new(Place::Sqlite { path: folder.path().join("test.sqlite") }, Uuid::from_u128(1));
    let open = move || Store::open(options, Ambient::system()).unwrap();
    let store = tokio::task::spawn_blocking(open).await.unwrap();
    assert!(store.active().await);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let devices = Devices::start(Parts {
        store: store.clone(),
        sealer: Arc::new(Sealer::new(&MasterKey::from_octets([7; 32]), &[]).unwrap()),
        settings: Settings { arbiters: 1, shards_per_arbiter: 2, ..Settings::default() },
        clock: clock.clone(),
        random: Arc::new(SystemRandom::default()),
        announce: Arc::new(AnnounceNothing),
        rules: Arc::new(postern_actors::NoRules),
    });
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &AwsRandom::new()).unwrap();
    let endpoint = Data::new(DeviceEndpoint {
        devices,
        blocked: Arc::new(blocked),
        certificates: KnownCertificates::default(),
        message_key: Some(Arc::new(MessageKey::from_pkcs8(pkcs8.as_ref()).unwrap())),
        clock,
        body_limit: 64 * 1024,
    });
    let message_key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
    Core { endpoint, store, message_key, _folder: folder }
}

impl Core {
    async fn enrol(&self, id: EnrolmentId, auth: AuthType, identity: &Identity) -> Enrolled {
        let device = NewEnrolment {
            id,
            device_id: "d".into(),
            name: None,
            owner: None,
            hardware_id: None,
            auth,
            floor: ProofClass::None,
            dialect: Dialect::Classic,
            user: None,
            password: None,
            server_id: "postern".into(),
            server_password: None,
            certificate: Some(Certificate::read(&identity.der).unwrap().facts),
            replace: false,
            actor: AuditActor::service("test"),
            reason: "a test".into(),
        };
        self.endpoint.devices.enrol(device).await.unwrap()
    }

    async fn stop(self) {
        self.endpoint.devices.stop().await;
        tokio::task::spawn_blocking(move || self.store.shutdown()).await.unwrap();
    }
}

fn package_1() -> Vec<u8> {
    let header = SyncHdr {
        ver_dtd: "1.2".into(),
        ver_proto: "DM/1.2".into(),
        session_id: "1".into(),
        msg_id: 1,
        target: Location::uri("https://dm.example/"),
        source: Location::uri("d"),
        ..SyncHdr::default()
    };
    let body = vec![Command::Alert(Alert { cmd_id: 1, code: 1201, ..Alert::default() })];
    let message = Message { version: Version::V1_2, header, body, is_final: true };
    syncml::encode(&message, &Style::xml(Version::V1_2)).unwrap()
}

fn request(route: RouteId, identity: &Identity) -> test::TestRequest {
    test::TestRequest::post()
        .uri(&route.path())
        .insert_header((header::CONTENT_TYPE, XML))
        .insert_header((REQUEST_ID, "0193a000-0000-7000-8000-000000000001"))
        .insert_header((CLIENT_CERT, format!(":{}:", BASE64.encode(&identity.der))))
        .set_payload(package_1())
}

macro_rules! app {
    ($core:expr) => {
        test::init_service(App::new().app_data($core.endpoint.clone()).configure(configure)).await
    };
}

#[actix_web::test]
async fn a_check_in_is_answered_with_its_id_and_its_length() {
    let core = core(NobodyBlocked).await;
    let id = core.endpoint.devices.next_enrolment_id();
    let identity = identity(id, |_| ());
    let enrolled = core.enrol(id, AuthType::Certificate, &identity).await;
    let app = app!(core);

    let answer = test::call_service(&app, request(enrolled.route, &identity).to_request()).await;

    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers().get(REQUEST_ID).unwrap(), "0193a000-0000-7000-8000-000000000001");
    assert!(
        MediaType::parse(answer.headers().get(header::CONTENT_TYPE).unwrap().to_str().unwrap()).is_some()
    );
    assert!(matches!(answer.response().body().size(), BodySize::Sized(1..)));
    drop(answer);
    drop(app);
    core.stop().await;
}

#[actix_web::test]
async fn what_is_no_check_in_is_refused_by_its_status() {
    let core = core(NobodyBlocked).await;
    let id = core.endpoint.devices.next_enrolment_id();
    let identity = identity(id, |_| ());
    let enrolled = core.enrol(id, AuthType::Certificate, &identity).await;
    let app = app!(core);
    let base = || request(enrolled.route, &identity);
    let unknown = RouteId::from_bytes([1; 16]);
    let cases = [
        (base().uri("/dm/1/nothing"), 404),
        (base().uri(&unknown.path()), 404),
        (base().insert_header((header::CONTENT_TYPE, "text/xml")), 415),
        (base().insert_header((header::CONTENT_ENCODING, "gzip")), 415),
        (base().set_payload(vec![b' '; 64 * 1024 + 1]), 413),
        (base().set_payload("<SyncML>"), 400),
        (base().insert_header((CLIENT_CERT, "nonsense")), 400),
        (base().insert_header(("postern-admission", "refuse")), 403),
        (base().insert_header(("postern-admission", "wipe-only")), 403),
        (base().method(actix_web::http::Method::GET), 405),
    ];
    for (number, (request, status)) in cases.into_iter().enumerate() {
        let answer = test::call_service(&app, request.to_request()).await;
        assert_eq!(answer.status().as_u16(), status, "case {number}");
        assert!(!matches!(answer.response().body().size(), BodySize::Stream), "case {number}");
    }
    drop(app);
    core.stop().await;
}

#[actix_web::test]
async fn an_expired_or_blocked_certificate_gets_no_session() {
    struct OneSerial(String);
    impl Blocked for OneSerial {
        fn verdict(&self, _: RouteHash, certificate: Option<&CertificateName>) -> Admission {
            match certificate {
                Some(name) if name.serial == self.0 => Admission::Refuse,
                _ => Admission::Admit,
            }
        }
    }
    let core = core(OneSerial("4d2".into())).await;
    let id = core.endpoint.devices.next_enrolment_id();
    let expired = identity(id, |params| params.not_after = rcgen::date_time_ymd(2021, 1, 1));
    let future = identity(id, |params| params.not_before = rcgen::date_time_ymd(2099, 1, 1));
    let enrolled = core.enrol(id, AuthType::Certificate, &expired).await;
    let app = app!(core);
    for identity in [&expired, &future] {
        let answer = test::call_service(&app, request(enrolled.route, identity).to_request()).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    }
    drop(app);
    core.stop().await;
}

#[actix_web::test]
async fn a_signed_message_gets_a_signed_reply_and_a_changed_one_none() {
    let core = core(NobodyBlocked).await;
    let id = core.endpoint.devices.next_enrolment_id();
    let identity = identity(id, |_| ());
    let enrolled = core.enrol(id, AuthType::Signed, &identity).await;
    let app = app!(core);
    let nonce = [5; 16];
    let now = SystemClock::new().wall();
    let path = enrolled.route.path();
    let body = package_1();
    let parts = RequestParts { method: "POST", path: &path, content_type: XML, body: &body };
    let parameters = Parameters { created: now.0 / 1000, nonce, key_id: id.to_string() };
    let fields = signature::sign_request(&parts, &parameters, |base| sign(&identity.key, base)).unwrap();
    let signed = |fields: &Fields| {
        request(enrolled.route, &identity)
            .insert_header((signature::CONTENT_DIGEST, fields.content_digest.clone()))
            .insert_header((signature::SIGNATURE_INPUT, fields.signature_input.clone()))
            .insert_header((signature::SIGNATURE, fields.signature.clone()))
    };

    let changed = signed(&fields).set_payload([body.as_slice(), b" "].concat());
    let answer = test::call_service(&app, changed.to_request()).await;
    assert!(answer.status().is_client_error() || !answer.headers().contains_key(signature::SIGNATURE));

    let answer = test::call_service(&app, signed(&fields).to_request()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let text = |name: &str| answer.headers().get(name).unwrap().to_str().unwrap().to_owned();
    let [digest, input, value, content_type] =
        [signature::CONTENT_DIGEST, signature::SIGNATURE_INPUT, signature::SIGNATURE, "content-type"]
            .map(text);
    let octets = test::read_body(answer).await;
    let received = FieldsReceived {
        content_digest: Some(&digest),
        signature_input: Some(&input),
        signature: Some(&value),
    };
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, core.message_key.public_key().as_ref());
    let parts = ResponseParts { status: 200, content_type: &content_type, body: &octets };
    signature::verify_response(&parts, &received, &nonce, |_, base, octets| {
        public.verify(base, octets).is_ok()
    })
    .unwrap();
    drop(app);
    core.stop().await;
}

fn sign(key: &EcdsaKeyPair, base: &[u8]) -> Result<[u8; 64], ()> {
    Ok(key.sign(&AwsRandom::new(), base).unwrap().as_ref().try_into().unwrap())
}

#[actix_web::test]
async fn a_certificate_that_names_two_enrolments_names_none() {
    let id = EnrolmentId(Uuid::from_u128(1));
    let two = identity(id, |params| {
        params
            .subject_alt_names
            .push(SanType::URI(format!("postern:device:{}", Uuid::from_u128(2)).try_into().unwrap()));
    });
    assert_eq!(Certificate::read(&two.der).unwrap().facts.enrolment, None);
    let one = Certificate::read(&identity(id, |_| ()).der).unwrap();
    assert_eq!(one.facts.enrolment, Some(id));
    assert_eq!(one.validity(UtcMillis(0)), Admission::Refuse);
    assert_eq!(one.validity(UtcMillis(i64::MAX)), Admission::WipeOnly);
}

/// SEC-14, SEC-15 and SEC-17 through the endpoint, the actors and the store: over the octets as they came and as they go.
#[actix_web::test]
async fn sec_14_sec_17_the_mac_header_is_read_and_given_over_http() {
    let core = core(NobodyBlocked).await;
    let id = core.endpoint.devices.next_enrolment_id();
    let device = NewEnrolment {
        id,
        device_id: "d".into(),
        name: None,
        owner: None,
        hardware_id: None,
        auth: AuthType::Hmac,
        floor: ProofClass::Mac,
        dialect: Dialect::Classic,
        user: Some("dev".into()),
        password: Some("devpw".to_owned().into()),
        server_id: "srv".into(),
        server_password: Some("srvpw".to_owned().into()),
        certificate: None,
        replace: false,
        actor: AuditActor::service("test"),
        reason: "a test".into(),
    };
    let enrolled = core.endpoint.devices.enrol(device).await.unwrap();
    let app = app!(core);
    let post = |body: Vec<u8>, hmac: Option<String>| {
        let request = test::TestRequest::post()
            .uri(&enrolled.route.path())
            .insert_header((header::CONTENT_TYPE, XML))
            .set_payload(body);
        match hmac {
            Some(hmac) => request.insert_header((auth::HMAC_HEADER, hmac)),
            None => request,
        }
        .to_request()
    };
    let status = |body: &[u8]| {
        let message = syncml::decode(body, syncml::Encoding::Xml, &Default::default()).unwrap().message;
        let Command::Status(status) = &message.body[0] else { panic!("{message:?}") };
        let nonce = status.chal.as_ref().and_then(|chal| chal.next_nonce.as_deref());
        (status.code, nonce.and_then(auth::decode_nonce).unwrap_or_default())
    };
    let hash = |user: &str, password: &str| auth::user_password_hash(user, password);

    let challenge = test::call_service(&app, post(package_1(), None)).await;
    assert!(challenge.headers().get(auth::HMAC_HEADER).is_none());
    let (code, nonce) = status(&test::read_body(challenge).await);
    assert_eq!((code, nonce.len()), (407, 16));

    let second = {
        let text = String::from_utf8(package_1()).unwrap();
        text.replace("<MsgID>1</MsgID>", "<MsgID>2</MsgID>").into_bytes()
    };
    let mac = auth::mac(&hash("dev", "devpw"), &nonce, &second);
    let value = format!("mac={mac}, username=\"dev\"");
    let answer = test::call_service(&app, post(second, Some(value))).await;
    let signed = answer.headers().get(auth::HMAC_HEADER).unwrap().to_str().unwrap().to_owned();
    let body = test::read_body(answer).await;
    assert_eq!(status(&body).0, 200);
    let wanted = auth::mac(&hash("srv", "srvpw"), b"", &body);
    assert_eq!(signed, format!("algorithm=MD5, username=\"srv\", mac={wanted}"));

    let broken = test::call_service(&app, post(package_1(), Some("no list".into()))).await;
    assert_eq!(status(&test::read_body(broken).await).0, 401, "what cannot be read proves nothing");
    drop(app);
    core.stop().await;
}
