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
        "admin.commands_octets",
        "The same of a request that queues commands or applies policy documents. Default 16777216.",
    ),
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
    key(
        "keys.break_glass",
        "The hashes of the break-glass codes, which `postern-core break-glass-codes` makes. Default keys/break-glass.",
    ),
    key("keys.message", "The key that signs messages to `signed` devices, PEM. Default keys/message.key."),
    key(
        "keys.escrow",
        "The folder of the keys that open recovery passwords, one PEM file each (docs/RECOVERY.md). Default keys/escrow. Lost with it: \
         every recovery password, until devices have sealed new ones.",
    ),
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
    key("push.pap.url", "Where the push proxy gateway takes PAP: http://… or https://HOST[:PORT]/PATH."),
    key("push.pap.user", "The user of its basic authentication. Without it none is sent."),
    key("push.pap.password_file", "A file whose first line is that user's password."),
    key("push.pap.ca", "The CA (or CAs) of its certificate, PEM. Without it the machine's own trust store."),
    key("push.pap.gateway_host", "The host behind the @ of a device's address. Default: the URL's."),
    key("push.pap.version", "The version of PAP: \"1.0\" or \"2.0\" (default)."),
    key(
        "push.pap.sms_required",
        "Ask for short messages in a GSM network and for nothing else. Default false.",
    ),
    key(
        "push.pap.notify_url",
        "Where the gateway is asked to send its result notifications to. Without it none are asked for.",
    ),
    key(
        "push.pap.notify_secret_file",
        "A file whose first line (32 or more of A-Z a-z 0-9 - _) is put behind notify_url as its last segment.",
    ),
    key(
        "push.pap.notify_listen",
        "Where this core takes result notifications: a loopback or private ADDRESS:PORT, plain HTTP. Needs notify_url and notify_secret_file.",
    ),
    key("push.pap.connect_ms", "How long a connection may take to stand, in milliseconds. Default 10000."),
    key("push.pap.answer_ms", "How long an answer may take, in milliseconds. Default 30000."),
    key("push.smpp.address", "The short-message centre: HOST:PORT."),
    key("push.smpp.system_id", "The name that we bind as: at most 15 characters."),
    key(
        "push.smpp.password_file",
        "A file whose first line is the password: at most 8 characters. Without it an empty one.",
    ),
    key(
        "push.smpp.system_type",
        "The system_type that the centre wants: at most 12 characters. Default empty.",
    ),
    key(
        "push.smpp.ca",
        "The CA (or CAs) of the centre's certificate, PEM. With it TLS is spoken; without it clear text.",
    ),
    key(
        "push.smpp.source",
        "The sender that messages bear: a number, a short code or a name. Default empty: the centre's own.",
    ),
    key("push.smpp.source_ton", "Its type of number. Default: 1 with a leading +, 5 for a name, else 0."),
    key("push.smpp.source_npi", "Its numbering plan. Default: 0 for a name, else 1."),
    key(
        "push.smpp.service_type",
        "The service_type that the centre wants: at most 5 characters. Default empty.",
    ),
    key("push.smpp.window", "Messages that may wait for the centre's response at the same time. Default 10."),
    key("push.smpp.receipts", "Ask for delivery receipts. Default true."),
    key(
        "push.smpp.response_ids",
        "How the centre writes a message's id in its response: text (default), hex or decimal.",
    ),
    key(
        "push.smpp.receipt_ids",
        "How it writes the same id in a delivery receipt: text (default), hex or decimal.",
    ),
    key(
        "push.smpp.connect_ms",
        "How long a connection and the bind may take to stand, in milliseconds. Default 10000.",
    ),
    key("push.smpp.response_ms", "How long a response may take, in milliseconds. Default 10000."),
    key(
        "push.smpp.push_ms",
        "How long one push may take in all, waits for throttling among it, in milliseconds. Default 60000.",
    ),
    key(
        "push.smpp.enquire_link_ms",
        "How long the centre may be silent before it is asked, in milliseconds. Default 30000.",
    ),
    key(
        "push.smpp.reconnect_ms",
        "The pause before the first new connection, in milliseconds; it doubles. Default 1000.",
    ),
    key("push.smpp.reconnect_most_ms", "The longest such pause, in milliseconds. Default 60000."),
    key(
        "push.smpp.throttle_ms",
        "The pause after the centre throttles, in milliseconds; it doubles up to 30 s. Default 1000.",
    ),
    key(
        "notifications.automatic",
        "Whether queued commands bring notifications about, for devices with a push address. Default true; without it only `device notify` does.",
    ),
    key("notifications.per_minute", "Notifications a minute in all. Default 600."),
    key(
        "notifications.gather_s",
        "A notification that nobody hurries waits so long for further commands, in seconds. Default 10.",
    ),
    key("notifications.apart_s", "Two notifications to one device are so far apart, in seconds. Default 10."),
    key(
        "notifications.first_wait_s",
        "The wait for a session before the second attempt, in seconds; it doubles. Default 300.",
    ),
    key("notifications.longest_wait_s", "The wait grows to this, in seconds. Default 21600."),
    key(
        "notifications.listen_wait_s",
        "The wait after waking a device that may listen at a gateway, in seconds. Default 30.",
    ),
    key("notifications.attempts", "Attempts in all. Default 8."),
    key(
        "notifications.valid_s",
        "A notification is worth nothing after so long, in seconds. Default 172800.",
    ),
    key("mail.server", "The mail server that takes our mail: the name that its certificate bears."),
    key("mail.port", "Its port. Default 587; 465 is usual with tls = \"implicit\"."),
    key("mail.tls", "starttls (demanded; default) or implicit. Mail never goes without TLS."),
    key("mail.ca", "The CA (or CAs) of its certificate, PEM. Without it the machine's own trust store."),
    key("mail.user", "The user of its authentication, which is demanded."),
    key("mail.password_file", "A file whose first line is that user's password."),
    key("mail.from", "Who mails are from: ADDRESS or NAME <ADDRESS>. Its domain stands in Message-IDs."),
    key("mail.security", "The security list: addresses that are told whatever concerns security."),
    key(
        "mail.templates",
        "A folder with templates of your own (docs/MAIL.md). Without it the built-in ones.",
    ),
    key(
        "mail.sign_in",
        "The https:// address of the page where people sign in; without it mails have no link.",
    ),
    key("mail.hello", "The name that is given to the server. Default: the domain of from."),
    key("mail.connect_ms", "How long a connection may take to stand, in milliseconds. Default 10000."),
    key("mail.answer_ms", "How long a whole try may take, in milliseconds. Default 60000."),
    key("webhook.name", "What we call it: lower-case letters, digits and hyphens."),
    key(
        "webhook.url",
        "Where events are posted to: https://HOST[:PORT]/PATH. No loopback, link-local or special address.",
    ),
    key(
        "webhook.secret_file",
        "A file whose first line is the secret of its signatures: 24 octets or more, or whsec_BASE64.",
    ),
    key("webhook.ca", "The CA (or CAs) of its certificate, PEM. Without it the machine's own trust store."),
    key(
        "webhook.allow_local",
        "For tests only: http:// and any address will do. Said loudly. Default false.",
    ),
    key("webhook.connect_ms", "How long a connection may take to stand, in milliseconds. Default 10000."),
    key("webhook.answer_ms", "How long an answer may take, in milliseconds. Default 30000."),
    key("syslog.server", "The syslog server: HOST:PORT (6514 is usual with TLS, 514 or 601 without)."),
    key(
        "syslog.transport",
        "tls (default), tcp or udp. Without TLS whoever is on the way can read and change events.",
    ),
    key("syslog.ca", "The CA (or CAs) of its certificate, PEM; needed with tls."),
    key("syslog.host", "The HOSTNAME of messages: this core's name. Default -."),
    key(
        "stream.file",
        "A file that each event is added to as one line of JSON. It may be rotated away at any time.",
    ),
    key(
        "directory.servers",
        "Domain controllers, tried in turn: `ldaps://HOST[:PORT]`, or `ldap://HOST[:PORT]` with starttls.",
    ),
    key("directory.starttls", "Encrypt by StartTLS; `ldap://` without it is refused. Default false."),
    key("directory.ca", "The CA (or CAs) of the controllers' certificates, PEM."),
    key(
        "directory.account",
        "The account that reads: `name@domain`, `DOMAIN\\name` or its distinguished name.",
    ),
    key("directory.password_file", "A file whose first line is that account's password."),
    key("directory.look_s", "Seconds between two looks at what changed, 5 to 3600. Default 60."),
    key(
        "directory.devices_below",
        "The container below which the devices' computers lie: none elsewhere is taken for a device by name or certificate. Without it: anywhere, but no domain controller.",
    ),
    key("directory.page", "Entries asked for at once, 1 to 1000. Default 500."),
    key("directory.range", "Members of a group asked for at once, 1 to 1500. Default 1000."),
    key(
        "directory.connect_ms",
        "How long connection and encryption, and again the sign-in, may take, in milliseconds. Default 10000.",
    ),
    key("directory.answer_ms", "How long each entry of an answer may take, in milliseconds. Default 30000."),
    key("directory.pass_ms", "How long a whole reading may take, in milliseconds. Default 600000."),
    key("directory.entries", "Entries read at most. Default 500000."),
    key("directory.octets", "Octets read at most on one connection. Default 1073741824."),
    key(
        "sysvol.kind",
        "Where SYSVOL is read: `folder`, a folder of this machine, or `smb`, the share of a domain controller, in programs built with the feature smb only. Default folder.",
    ),
    key(
        "sysvol.path",
        "folder: the one that holds `Policies`, or the domains' folders that do; a read-only mount of the share, or a copy.",
    ),
    key("sysvol.servers", "smb: domain controllers, tried in turn: `HOST` or `HOST:PORT`."),
    key("sysvol.account", "smb: the account that reads: `name@domain` or `DOMAIN\\name`."),
    key("sysvol.password_file", "smb: a file whose first line is that account's password."),
    key(
        "sysvol.ntlm",
        "smb: allow NTLM, the only way in which this client signs in; mount the share with Kerberos where it must not be. Default false.",
    ),
    key(
        "sysvol.encrypt",
        "smb: refuse a server that does not encrypt; without it signing suffices. Default false.",
    ),
    key("sysvol.answer_ms", "How long reading one GPO may take, in milliseconds. Default 60000."),
    key(
        "policy.tables",
        "Mapping tables of your own: files, and folders whose *.tsv count by name; before the built-in ones, the first that takes a setting counts. Read again when they change. Default [].",
    ),
    key(
        "directory_writer.account",
        "The account that writes; not the one that reads (docs/DIRECTORY.md has its rights).",
    ),
    key("directory_writer.password_file", "A file whose first line is that account's password."),
    key(
        "directory_writer.below",
        "The container that the devices' computers lie below: nothing elsewhere is touched.",
    ),
    key(
        "directory_writer.after_wipe",
        "What becomes of a device's computer when its wipe has succeeded: nothing (default), disable, move or delete.",
    ),
    key("directory_writer.move_to", "Where it is moved to; needed with after_wipe = \"move\"."),
    key(
        "directory_writer.create_in",
        "The container in which a computer is made for each newly enrolled device. Without it: none.",
    ),
    key(
        "sign_in.domain",
        "The domain of names that are typed without one: corp.example. Default: that of directory.account.",
    ),
    key("sign_in.minutes", "How long a sign-in holds, in minutes, 5 to 1440. Default 60."),
    key(
        "sign_in.failures",
        "Wrong passwords for one person before the directory is not asked any more, 1 to 20; kept below the domain's own lock-out threshold. Default 3.",
    ),
    key(
        "sign_in.window_minutes",
        "How long a wrong password counts, in minutes: no less than the domain's own window. Default 30.",
    ),
    key(
        "sign_in.roles.helpdesk",
        "Groups whose members are helpdesk: distinguished names or SIDs. Default none.",
    ),
    key(
        "sign_in.roles.support",
        "Groups whose members are support: distinguished names or SIDs. Default none.",
    ),
    key(
        "sign_in.roles.device_admin",
        "Groups whose members are device-admin: distinguished names or SIDs. Default none.",
    ),
    key(
        "sign_in.roles.security_admin",
        "Groups whose members are security-admin: distinguished names or SIDs. Default none.",
    ),
    key(
        "sign_in.roles.gateway_admin",
        "Groups whose members are gateway-admin: distinguished names or SIDs. Default none.",
    ),
    key(
        "sign_in.roles.auditor",
        "Groups whose members are auditor: distinguished names or SIDs. Default none.",
    ),
    key(
        "log.filter",
        "What is logged: a level, or tracing's directives. Default info, of actix_server warn.",
    ),
    key("log.format", "text (default) or json."),
];
