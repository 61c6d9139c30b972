//! Every route against every role: who may what, in one table for people to read.

use postern_api::{
    Permission,
    routes::{self, RouteSpec},
};
use postern_wire::terms::Role;
use reqwest::Method;

use crate::kit::{Client, Kit};

/// `x` may, `-` gets 403. Columns: helpdesk, support, device-admin, security-admin, gateway-admin, auditor.
const MATRIX: &str = "
operation                   help supp dev  sec  gate aud
me.show                     x    x    x    x    x    x
me.set_password             x    x    x    x    x    x
openapi.show                x    x    x    x    x    x
status.show                 x    x    x    x    x    x
alarms.list                 x    x    x    x    x    x
alarms.acknowledge          -    -    x    x    x    -
mail.outbox                 -    -    x    x    -    x
mail.delivery               -    -    x    x    -    x
mail.retry                  -    -    x    x    -    -
mail.preview                -    -    x    x    -    x
mail.test                   -    -    x    x    -    -
mail.addresses              -    -    x    x    -    x
mail.put_address            -    -    -    x    -    -
safety.show                 x    x    x    x    x    x
safety.freeze               x    x    x    x    x    -
safety.thaw                 -    -    x    x    -    -
safety.limits               x    x    x    x    x    x
safety.set_limits           -    -    -    x    -    -
safety.break_glass          -    -    x    x    -    -
approvals.list              x    x    x    x    -    x
approvals.show              x    x    x    x    -    x
approvals.approve           -    -    x    x    -    -
approvals.reject            x    x    x    x    -    x
locks.order                 x    x    x    -    -    -
servers.list                -    -    x    x    x    x
server.doctor               -    -    x    x    x    x
server.release              -    -    -    x    -    -
server.log_levels           -    -    x    x    x    x
server.set_log_level        -    -    x    -    -    -
server.support              -    -    x    -    -    -
devices.list                x    x    x    -    -    x
devices.enrol               -    -    x    -    -    -
devices.show                x    x    x    -    -    x
devices.update              -    -    x    -    -    -
devices.retire              -    -    x    -    -    -
devices.why                 x    x    x    -    -    x
directory.show              x    x    x    -    -    x
directory.refresh           -    -    x    -    -    -
directory.bindings          x    x    x    -    -    x
devices.binding             x    x    x    -    -    x
devices.bind                -    -    x    -    -    -
devices.unbind              -    -    x    -    -    -
sign_in.open                x    x    x    x    x    x
sign_in.close               x    x    x    x    x    x
notifications.list          x    x    x    -    -    x
notifications.send          -    -    x    -    -    -
devices.put_address         -    -    x    -    -    -
devices.clear_address       -    -    x    -    -    -
bootstrap.make              -    -    x    -    -    -
commands.list               x    x    x    -    -    x
commands.queue              -    -    x    -    -    -
enrolment.list              x    x    x    -    -    x
enrolment.request           -    -    x    -    -    -
enrolment.show              x    x    x    -    -    x
enrolment.cancel            -    -    x    -    -    -
enrolment.import            -    -    x    -    -    -
enrolment.log               x    x    x    -    -    x
devices.unenrol             -    -    x    -    -    -
devices.release             -    -    x    -    -    -
devices.reject              -    -    x    -    -    -
devices.re_enrol            -    -    x    -    -    -
wipes.list                  x    x    x    -    -    x
wipes.request               -    x    x    -    -    -
wipes.show                  x    x    x    -    -    x
wipes.explain               x    x    x    -    -    x
wipes.proof                 -    -    -    x    -    x
wipes.cancel                -    x    x    -    -    -
wipes.approve               -    -    x    x    -    -
wipes.disarm                -    -    x    x    -    -
trees.show                  x    x    x    -    -    x
trees.read                  -    -    x    -    -    -
trees.reading               x    x    x    -    -    x
trees.snapshots             x    x    x    -    -    x
trees.forget                -    -    x    -    -    -
trees.diff                  x    x    x    -    -    x
objects.list                x    x    x    -    -    x
objects.import              -    -    x    -    -    -
objects.show                x    x    x    -    -    x
objects.delete              -    -    x    -    -    -
objects.complete            x    x    x    -    -    x
devices.policy              x    x    x    -    -    x
recovery.status             x    x    x    -    -    x
recovery.device             x    x    x    -    -    x
recovery.show               -    x    x    -    -    -
recovery.rotate             -    x    x    -    -    -
recovery.rotate_all         -    x    x    -    -    -
recovery.roll_key           -    -    -    x    -    -
quirks.list                 x    x    x    -    -    x
quirks.add                  -    -    x    -    -    -
quirks.show                 x    x    x    -    -    x
quirks.delete               -    -    x    -    -    -
policy.list                 x    x    x    -    -    x
policy.plan                 x    x    x    -    -    x
policy.apply                -    -    x    -    -    -
policy.show                 x    x    x    -    -    x
policy.versions             x    x    x    -    -    x
policy.version              x    x    x    -    -    x
policy.roll_back            -    -    x    -    -    -
policy.held                 x    x    x    x    -    x
policy.compare              x    x    x    -    -    x
policy.explain              x    x    x    -    -    x
policy.what_if              x    x    x    -    -    x
operations.show             x    x    x    -    -    x
commands.show               x    x    x    -    -    x
commands.cancel             -    -    x    -    -    -
groups.list                 x    x    x    -    -    x
groups.create               -    -    x    -    -    -
groups.show                 x    x    x    -    -    x
groups.update               -    -    x    -    -    -
groups.delete               -    -    x    -    -    -
groups.add_device           -    -    x    -    -    -
groups.remove_device        -    -    x    -    -    -
groups.add_group            -    -    x    -    -    -
groups.remove_group         -    -    x    -    -    -
sessions.list               x    x    x    -    -    x
sessions.watch              -    -    x    -    -    -
sessions.record             -    -    x    -    -    -
recordings.list             -    -    x    -    -    -
recordings.show             -    -    x    -    -    -
recordings.forget           -    -    x    -    -    -
sessions.abort              -    -    x    -    -    -
settings.show               x    x    x    -    -    x
settings.update             -    -    x    -    -    -
settings.show_group         x    x    x    -    -    x
settings.update_group       -    -    x    -    -    -
settings.show_device        x    x    x    -    -    x
settings.update_device      -    -    x    -    -    -
gateways.list               -    -    x    -    x    x
gateways.add                -    -    -    -    x    -
gateways.show               -    -    x    -    x    x
gateways.compromise         -    -    -    -    x    -
gateways.compromised        -    -    x    -    x    x
gateways.compromised_devices -   -    x    -    x    x
gateways.settings           -    -    x    -    x    x
gateways.put_settings       -    -    -    -    x    -
gateways.settings_versions  -    -    x    -    x    x
gateways.roll_back_settings -    -    -    -    x    -
gateways.retire             -    -    -    -    x    -
gateways.certificates       -    -    x    -    x    x
gateways.renew_certificate  -    -    -    -    x    -
gateways.import_certificate -    -    -    -    x    -
gateway_defaults.show       -    -    x    -    x    x
gateway_defaults.put        -    -    -    -    x    -
gateway_defaults.stop       -    -    -    -    x    -
gateways.lists              -    -    x    -    x    x
ca.list                     -    -    x    x    x    x
ca.show                     -    -    x    x    x    x
ca.roll_over                -    -    -    x    -    -
ca.request                  -    -    -    x    -    -
ca.import                   -    -    -    x    -    -
certificates.list           -    -    x    x    x    x
certificates.show           -    -    x    x    x    x
certificates.issue          -    -    -    x    x    -
certificates.renew          -    -    -    x    x    -
certificates.revoke         -    -    -    x    -    -
crls.list                   -    -    x    x    x    x
crls.show                   -    -    x    x    x    x
crls.import                 -    -    -    x    -    -
roles.list                  -    -    -    x    -    x
admins.list                 -    -    -    x    -    x
admins.create               -    -    -    x    -    -
admins.show                 -    -    -    x    -    x
admins.update               -    -    -    x    -    -
tokens.list                 -    -    -    x    -    x
tokens.create               -    -    -    x    -    -
tokens.revoke               -    -    -    x    -    -
audit.list                  -    -    -    x    -    x
audit.head                  -    -    -    x    -    x
audit.verify                -    -    -    x    -    x
";

const ROLES: [Role; 6] = [
    Role::Helpdesk,
    Role::Support,
    Role::DeviceAdmin,
    Role::SecurityAdmin,
    Role::GatewayAdmin,
    Role::Auditor,
];

fn expected() -> Vec<(&'static str, Vec<bool>)> {
    let lines = MATRIX.trim().lines().skip(1);
    lines
        .map(|line| {
            let mut words = line.split_whitespace();
            (words.next().unwrap(), words.map(|word| word == "x").collect())
        })
        .collect()
}

async fn ask(client: &Client, route: &RouteSpec) -> u16 {
    let path: String = route
        .path
        .split('/')
        .map(|segment| if segment.starts_with('{') { "nothing-has-this-name" } else { segment })
        .collect::<Vec<_>>()
        .join("/");
    let method = Method::from_bytes(route.method.as_str().as_bytes()).unwrap();
    // A body that no handler takes: the permission is judged before it is read, and nothing is changed.
    client.send(method, &path, &[], route.body.map(|_| "{\"no\": \"body\"}".to_owned())).await.status
}

#[tokio::test]
async fn each_role_may_exactly_what_the_matrix_says() {
    let kit = Kit::start().await;
    let mut clients = Vec::new();
    for role in ROLES {
        clients.push(kit.as_role(role.as_str(), &[role]).await);
    }
    let expected = expected();
    let sorted = |mut operations: Vec<&'static str>| {
        operations.sort_unstable();
        operations
    };
    assert_eq!(
        sorted(expected.iter().map(|(operation, _)| *operation).collect()),
        sorted(routes::ALL.iter().map(|route| route.operation).collect())
    );
    for (operation, may) in expected {
        let route = routes::ALL.iter().find(|route| route.operation == operation).expect("the same");
        for (at, client) in clients.iter().enumerate() {
            let status = ask(client, route).await;
            assert_ne!(status, 401);
            assert_eq!(status != 403, may[at], "{operation} as {}: {status}", ROLES[at]);
        }
    }
}

#[tokio::test]
async fn nobody_gets_anything_without_a_token() {
    let kit = Kit::with(|config| config.admin.failures_per_minute = 1000).await;
    let nobody = kit.admin.without_token();
    for route in routes::ALL.iter().filter(|route| route.permission != Permission::Anyone) {
        assert_eq!(ask(&nobody, route).await, 401, "{}", route.operation);
    }
}

#[test]
fn every_row_of_the_table_has_a_handler_and_every_handler_a_row() {
    let mut registered = postern_core::admin::registered();
    let mut rows: Vec<_> = routes::ALL.iter().map(|route| route.operation).collect();
    registered.sort_unstable();
    rows.sort_unstable();
    assert_eq!(registered, rows);
}

#[test]
fn the_openapi_document_that_is_checked_in_is_the_one_that_the_types_make() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    let made = postern_api::openapi::document_text();
    if std::env::var_os("POSTERN_WRITE_OPENAPI").is_some() {
        std::fs::write(path, &made).unwrap();
        panic!("written; now run it without POSTERN_WRITE_OPENAPI");
    }
    let checked_in = std::fs::read_to_string(path).unwrap_or_default();
    assert!(checked_in == made, "docs/openapi.json has drifted: run this test with POSTERN_WRITE_OPENAPI=1");
}
