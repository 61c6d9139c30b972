//! Every key of the configuration, with what an operator has to know of it. A test of the module above holds this
//! list and the types together.

/// One key of the configuration, for people.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// `section.key`.
    pub path: &'static str,
    /// What it does, its unit and its default.
    pub doc: &'static str,
}

const fn key(path: &'static str, doc: &'static str) -> Key {
    Key { path, doc }
}

/// Every key.
pub const KEYS: &[Key] = &[
    key("core.id", "This core's id: the SAN URI postern:core:<id> of its link certificate. Made by init."),
    key("admin.listen", "Address of the admin API (TLS). Default 127.0.0.1:8443; port 0 takes a free one."),
    key(
        "admin.certificate",
        "Its certificate chain, PEM. Default core/admin.pem; read again when it changes.",
    ),
    key("admin.key", "The chain's private key, PEM. Default core/admin.key."),
    key(
        "admin.first_token",
        "The first admin's token. While the database has no admin, it becomes one's with all rights. Default admin.token.",
    ),
    key("admin.workers", "Threads that serve the admin API. Default 2."),
    key("admin.body_octets", "Largest request body of the admin API, in octets. Default 1048576."),
    key(
        "admin.failures_per_minute",
        "Failed sign-ins that one address may have in a minute before it gets 429. Default 20.",
    ),
    key(
        "observe.listen",
        "Address of /healthz, /readyz and /metrics, without TLS: loopback only. Default 127.0.0.1:9464.",
    ),
    key("database.kind", "sqlite (a file, in this process; default) or postgres."),
    key("database.path", "The SQLite file. Default postern.sqlite."),
    key(
        "database.url_file",
        "A file that holds the PostgreSQL URL with its password: postgres://user:password@host/name.",
    ),
    key("database.ca", "The CA of the PostgreSQL server's certificate, PEM; with it TLS is demanded."),
    key("database.certificate", "The client certificate for PostgreSQL, PEM."),
    key("database.key", "The client certificate's private key, PEM."),
    key("database.readers", "Reading connections. Default 4."),
    key("database.queue", "Jobs that may wait for the writer; more are refused with 503. Default 8192."),
    key(
        "database.retry_s",
        "How long writes are held and tried again while the database is away. Default 15.",
    ),
    key("links.certificate", "This core's link certificate chain, PEM. Default core/link.pem."),
    key("links.key", "Its private key, PEM. Default core/link.key."),
    key("links.ca", "The CA (or CAs) of the gateways' link certificates, PEM. Default ca/link-ca.pem."),
    key("links.heartbeat_ms", "How often a watch carries a line, in milliseconds. Default 1000."),
    key("links.threads", "Threads that serve the links. Default 0: one for each CPU."),
    key("gateway.name", "A gateway's name: the SAN URI postern:gateway:<name> of its link certificate."),
    key("gateway.address", "Its link port as this core dials it: HOST:PORT."),
    key(
        "devices.url",
        "How devices reach the gateways: https://HOST[:PORT]. A device's route is put behind it.",
    ),
    key("devices.server_id", "The ServerID that devices know this server by. Default postern."),
    key(
        "devices.ca",
        "The CA (or CAs) of device certificates, PEM; the first signs. Default ca/device-ca.pem.",
    ),
    key("devices.ca_key", "The signing CA's private key, PEM. Default ca/device-ca.key."),
    key(
        "devices.server_ca",
        "The CA of the gateways' device-side certificates, given to devices. Default ca.pem.",
    ),
    key("devices.certificate_days", "How long a device certificate holds, in days. Default 365."),
    key("devices.threads", "Threads that run devices' actors. Default 0: one for each CPU but one."),
    key(
        "devices.object_octets",
        "Largest object that a device may send in chunks, in octets: the MaxObjSize announced. Default 8388608.",
    ),
    key(
        "devices.spool_octets",
        "What unfinished objects of all devices may take up together in memory, in octets. Default 268435456.",
    ),
    key(
        "devices.read_configuration",
        "Whether a new device's first session reads DevInfo and DevDetail. Default true; the setting ReadConfiguration wins.",
    ),
    key(
        "keys.master",
        "The key that seals secrets in the database. Default keys/master.key. Lost with it: all of them.",
    ),
    key("keys.audit", "The key that signs the audit log's heads, PEM. Default keys/audit.key."),
    key("keys.order", "The key that signs destructive orders, PEM. Default keys/order.key."),
    key("keys.message", "The key that signs messages to `signed` devices, PEM. Default keys/message.key."),
    key(
        "audit.anchor",
        "The file that signed heads are written to, one JSON line each. Default audit-heads.jsonl.",
    ),
    key("audit.every_s", "How often the head is signed, in seconds. Default 60."),
    key(
        "commands.deadline_days",
        "A command without a deadline of its own is not sent after so many days. Default 30; 0 never; the setting ExpirationInterval wins.",
    ),
    key("commands.per_device", "Pending commands that one device may have. Default 1000."),
    key(
        "commands.keep_days",
        "Finished commands, results and sessions are kept so many days. Default 90; 0 for ever; the setting HistoryDuration wins.",
    ),
    key(
        "log.filter",
        "What is logged: a level, or tracing's directives. Default info, of actix_server warn.",
    ),
    key("log.format", "text (default) or json."),
];
