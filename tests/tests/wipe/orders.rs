//! Orders that our own device does not obey, brought to it over the whole path: core, link, a gateway in other hands that
//! plants them, TLS, session. What the order key signed for it and now is obeyed the same way, once.

use postern_actors::{Clock as _, SystemClock};
use postern_core::keys::SigningKey;
use postern_tests::{
    captured::{Captured, Evil, Planted},
    device::{Device, Ran},
    site::{Plan, Site},
};
use postern_wire::{
    order::{Order, VERSION},
    terms::{EnrolmentId, OperationId, UtcMillis},
};
use uuid::Uuid;

use super::{seen, wiped};

const DEVICE: &str = "IMEI:1";
const RUN: &str = "./Vendor/Postern/Wipe/Run";
const HOUR_MS: i64 = 3_600_000;

/// A device behind a captured gateway, and the key that the core signs orders with.
struct Scene {
    site: Site,
    captured: Captured,
    device: Device,
    key: SigningKey,
    enrolment: EnrolmentId,
    generation: u32,
}

impl Scene {
    fn new() -> Self {
        let mut site = Site::make(&Plan::default());
        let captured = Captured::start(&site);
        site.start_core();
        site.wait_ready();
        // The weakest way to prove a message: what protects the device here is the order alone.
        let device = seen(&site, DEVICE, "basic");
        let text = std::fs::read_to_string(&device.enrolment).expect("an enrolment file");
        let file: postern_api::devices::EnrolmentFile = serde_json::from_str(&text).expect("JSON");
        let key = SigningKey::load(&site.path("state/keys/order.key")).expect("the order key");
        Self { site, captured, device, key, enrolment: file.enrolment, generation: file.generation }
    }

    /// An order for this device and now.
    fn order(&self, number: u128) -> Order {
        Order {
            v: VERSION,
            enrolment: self.enrolment,
            generation: self.generation,
            uri: RUN.to_owned(),
            expires: now().plus(HOUR_MS),
            order: OperationId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + number)),
        }
    }

    fn sealed(&self, order: &Order) -> String {
        order.seal(|octets| self.key.sign(octets)).expect("signed")
    }

    /// The gateway plants an Exec with this data beside the next command.
    fn plant(&self, uri: &str, data: &str) -> Ran {
        let _ = self.site.ctl().ok(&["device", "command", DEVICE, "get", "./DevInfo/Mod"]);
        let planted = Planted { verb: "exec".to_owned(), uri: uri.to_owned(), data: Some(data.to_owned()) };
        self.captured.be(&Evil { planted: Some(planted), ..Evil::default() });
        let ran = self.device.check_in(&["--encoding", "xml"]);
        self.captured.be(&Evil::default());
        assert_eq!(ran.exit, 0, "{ran:?}\n{}", self.site.logs());
        ran
    }
}

fn now() -> UtcMillis {
    SystemClock::new().wall()
}

/// Why the device did not obey.
fn refusal(ran: &Ran) -> String {
    let refused = ran.events.iter().find(|event| event["event"] == "order_refused");
    refused.and_then(|event| event["why"].as_str()).unwrap_or_default().to_owned()
}

#[test]
fn forged_replayed_expired_and_misdirected_orders_wipe_nothing_and_a_true_one_wipes_once() {
    let scene = Scene::new();
    let good = scene.order(1);
    let (other_key, _) = SigningKey::generate();
    let file = scene.site.path("other.key");
    std::fs::write(&file, other_key).expect("a file");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("its mode");
    let other_key = SigningKey::load(&file).expect("another key");
    let forged = good.seal(|octets| other_key.sign(octets)).expect("signed");
    let mut changed = scene.sealed(&Order { expires: now().plus(-HOUR_MS), ..good.clone() });
    changed = changed.replacen("\"v\":1", "\"v\": 1", 1);
    let sealed = |order: Order| scene.sealed(&order);
    let nobody = EnrolmentId(Uuid::from_u128(7));
    let generation = good.generation;
    for (what, data, why) in [
        ("no order at all", "wipe".to_owned(), "not the text of an order"),
        ("by another key", forged, "does not verify"),
        ("changed after it was signed", changed, "does not verify"),
        (
            "for another enrolment",
            sealed(Order { enrolment: nobody, ..good.clone() }),
            "names another enrolment",
        ),
        (
            "for the generation before",
            sealed(Order { generation: generation.wrapping_sub(1), ..good.clone() }),
            "names generation",
        ),
        (
            "for the generation after",
            sealed(Order { generation: generation + 1, ..good.clone() }),
            "names generation",
        ),
        (
            "for another node",
            sealed(Order { uri: "./Vendor/Postern/Unenrol".to_owned(), ..good.clone() }),
            "names another URI",
        ),
        ("expired", sealed(Order { expires: now().plus(-1_000), ..good.clone() }), "expired at"),
    ] {
        let ran = scene.plant(RUN, &data);
        assert!(refusal(&ran).contains(why), "{what}: {ran:?}");
        assert_eq!(wiped(&scene.device), 0, "{what}");
    }

    // The way is open: what the core's key signed for this device, node and moment is obeyed.
    let (first, second) = (scene.sealed(&good), scene.sealed(&scene.order(2)));
    let ran = scene.plant(RUN, &first);
    assert_eq!(wiped(&scene.device), 1, "{ran:?}");
    let ran = scene.plant(RUN, &second);
    assert_eq!(wiped(&scene.device), 2, "{ran:?}");
    // The last one once more is the answer that was lost; the one before it is a replay.
    let ran = scene.plant(RUN, &second);
    assert_eq!((refusal(&ran).as_str(), wiped(&scene.device)), ("", 2), "{ran:?}");
    let ran = scene.plant(RUN, &first);
    assert!(refusal(&ran).contains("obeyed before"), "{ran:?}");
    assert_eq!(wiped(&scene.device), 2);
    // Each refusal is on record at the device, none of it at the core: nobody there ordered a wipe.
    assert_eq!(scene.site.ctl().ok(&["wipe", "list"]).as_array().map(Vec::len), Some(0));
}

#[test]
fn an_order_to_lock_that_was_obeyed_once_locks_no_second_time() {
    const LOCK: &str = "./LAWMO/Operations/FullyLock";
    let scene = Scene::new();
    let order = Order { uri: LOCK.to_owned(), ..scene.order(3) };
    let sealed = scene.sealed(&order);
    let ran = scene.plant(LOCK, &sealed);
    assert_eq!(refusal(&ran), "", "{ran:?}");
    let _ = scene.site.ctl().ok(&["unlock", DEVICE, "--reason", "it is back"]);
    assert_eq!(scene.device.check_in(&["--encoding", "xml"]).exit, 0);
    let ran = scene.plant(LOCK, &sealed);
    assert!(refusal(&ran).contains("obeyed before"), "{ran:?}");
    let read = scene.site.ctl().ok(&["device", "command", DEVICE, "get", "./LAWMO/State"]);
    let id = read["commands"][0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(scene.device.check_in(&["--encoding", "xml"]).exit, 0);
    let shown = scene.site.ctl().ok(&["command", "show", &id]);
    assert_eq!(shown["results"][0]["data"], "30", "unlocked: {shown:#}");
}
