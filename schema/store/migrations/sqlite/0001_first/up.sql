-- The first schema. Forward-only: later migrations expand first and contract one release later (N-1 runs beside N).
-- 16-octet ids, times in 64-bit UTC milliseconds, enumerations as their spelling in postern-wire's terms.
-- The two backends' files differ in the octet type only; a test compares them.

-- One active core for each database. beat grows with every renewal; who sees it stand still may take over.
CREATE TABLE epoch (
    id BIGINT PRIMARY KEY NOT NULL,
    number BIGINT NOT NULL,
    holder BLOB NOT NULL,
    beat BIGINT NOT NULL,
    renewed_at BIGINT NOT NULL,
    released BOOLEAN NOT NULL
);
INSERT INTO epoch (id, number, holder, beat, renewed_at, released) VALUES (1, 0, '', 0, 0, TRUE);

-- Each transaction of the writer leaves its id here: looked up when the connection died at COMMIT.
CREATE TABLE batches (id BLOB PRIMARY KEY NOT NULL, epoch BIGINT NOT NULL, at BIGINT NOT NULL);
CREATE INDEX batches_at ON batches (at);

CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL);

CREATE TABLE enrolments (
    id BLOB PRIMARY KEY NOT NULL,
    generation BIGINT NOT NULL,
    route BLOB NOT NULL UNIQUE,
    device_id TEXT NOT NULL,
    name TEXT NOT NULL,
    owner TEXT,
    hardware_id TEXT,
    auth TEXT NOT NULL,
    proof_floor TEXT NOT NULL,
    dialect TEXT NOT NULL,
    state TEXT NOT NULL,
    credentials BLOB,
    server_nonce BLOB,
    certificate_serial TEXT,
    certificate_fingerprint BLOB,
    certificate_not_after BIGINT,
    pending BIGINT NOT NULL,
    policy_epoch BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    first_seen_at BIGINT,
    last_seen_at BIGINT,
    last_source TEXT,
    last_gateway TEXT,
    retired_at BIGINT,
    retired_because TEXT,
    revision BIGINT NOT NULL
);
CREATE INDEX enrolments_device_id ON enrolments (device_id);
CREATE INDEX enrolments_name ON enrolments (name);
CREATE INDEX enrolments_owner ON enrolments (owner) WHERE owner IS NOT NULL;
CREATE INDEX enrolments_hardware_id ON enrolments (hardware_id) WHERE hardware_id IS NOT NULL;
CREATE INDEX enrolments_certificate_serial ON enrolments (certificate_serial) WHERE certificate_serial IS NOT NULL;

CREATE TABLE groups (
    id BLOB PRIMARY KEY NOT NULL,
    name TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    revision BIGINT NOT NULL
);
CREATE TABLE group_devices (
    group_id BLOB NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    enrolment BLOB NOT NULL REFERENCES enrolments (id) ON DELETE CASCADE,
    added_at BIGINT NOT NULL,
    PRIMARY KEY (group_id, enrolment)
);
CREATE INDEX group_devices_enrolment ON group_devices (enrolment);
CREATE TABLE group_groups (
    group_id BLOB NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    child BLOB NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    added_at BIGINT NOT NULL,
    PRIMARY KEY (group_id, child)
);
CREATE INDEX group_groups_child ON group_groups (child);

CREATE TABLE facts (
    enrolment BLOB NOT NULL REFERENCES enrolments (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    source TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (enrolment, key)
);

CREATE TABLE operations (
    id BLOB PRIMARY KEY NOT NULL,
    kind TEXT NOT NULL,
    lane TEXT NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    deadline BIGINT,
    devices BIGINT NOT NULL,
    commands BIGINT NOT NULL
);
CREATE INDEX operations_created_at ON operations (created_at);

-- Only queued and sent commands; a finished one moves to commands_done in the transaction that finishes it.
CREATE TABLE commands_pending (
    id BLOB PRIMARY KEY NOT NULL,
    operation BLOB NOT NULL,
    enrolment BLOB NOT NULL REFERENCES enrolments (id),
    generation BIGINT NOT NULL,
    kind TEXT NOT NULL,
    lane TEXT NOT NULL,
    rank BIGINT NOT NULL,
    position BIGINT NOT NULL,
    verb TEXT NOT NULL,
    uri TEXT NOT NULL,
    payload BLOB NOT NULL,
    sealed BOOLEAN NOT NULL,
    redelivery TEXT NOT NULL,
    probe TEXT,
    mac BLOB,
    state TEXT NOT NULL CHECK (state IN ('queued', 'sent')),
    attempts BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    not_before BIGINT,
    deadline BIGINT,
    sent_at BIGINT,
    session BLOB,
    reference TEXT,
    accepted_at BIGINT,
    finished_at BIGINT,
    status BIGINT,
    cause TEXT NOT NULL,
    proof TEXT,
    revision BIGINT NOT NULL
);
CREATE INDEX commands_pending_next ON commands_pending (enrolment, rank, id, position);
CREATE INDEX commands_pending_operation ON commands_pending (operation);
CREATE INDEX commands_pending_deadline ON commands_pending (deadline) WHERE deadline IS NOT NULL;
CREATE INDEX commands_pending_created_at ON commands_pending (created_at);

CREATE TABLE commands_done (
    id BLOB PRIMARY KEY NOT NULL,
    operation BLOB NOT NULL,
    enrolment BLOB NOT NULL,
    generation BIGINT NOT NULL,
    kind TEXT NOT NULL,
    lane TEXT NOT NULL,
    rank BIGINT NOT NULL,
    position BIGINT NOT NULL,
    verb TEXT NOT NULL,
    uri TEXT NOT NULL,
    payload BLOB NOT NULL,
    sealed BOOLEAN NOT NULL,
    redelivery TEXT NOT NULL,
    probe TEXT,
    mac BLOB,
    state TEXT NOT NULL CHECK (state NOT IN ('queued', 'sent')),
    attempts BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    not_before BIGINT,
    deadline BIGINT,
    sent_at BIGINT,
    session BLOB,
    reference TEXT,
    accepted_at BIGINT,
    finished_at BIGINT,
    status BIGINT,
    cause TEXT NOT NULL,
    proof TEXT,
    revision BIGINT NOT NULL
);
CREATE INDEX commands_done_enrolment ON commands_done (enrolment, id);
CREATE INDEX commands_done_operation ON commands_done (operation);
CREATE INDEX commands_done_finished_at ON commands_done (finished_at);

CREATE TABLE results (
    command BLOB NOT NULL,
    position BIGINT NOT NULL,
    enrolment BLOB NOT NULL,
    source_uri TEXT,
    format TEXT,
    media_type TEXT,
    data BLOB NOT NULL,
    sealed BOOLEAN NOT NULL,
    proof TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (command, position)
);
CREATE INDEX results_enrolment ON results (enrolment);

CREATE TABLE timeline (
    command BLOB NOT NULL,
    revision BIGINT NOT NULL,
    state TEXT NOT NULL,
    cause TEXT NOT NULL,
    session BLOB,
    at BIGINT NOT NULL,
    PRIMARY KEY (command, revision)
);

CREATE TABLE sessions (
    id BLOB PRIMARY KEY NOT NULL,
    enrolment BLOB NOT NULL,
    session_id TEXT NOT NULL,
    opened_at BIGINT NOT NULL,
    closed_at BIGINT,
    outcome TEXT,
    proof TEXT NOT NULL,
    dm_version TEXT NOT NULL,
    source TEXT,
    gateway TEXT,
    messages BIGINT NOT NULL,
    commands BIGINT NOT NULL
);
CREATE INDEX sessions_enrolment ON sessions (enrolment, opened_at);
CREATE INDEX sessions_opened_at ON sessions (opened_at);

CREATE TABLE gateways (
    name TEXT PRIMARY KEY NOT NULL,
    address TEXT NOT NULL,
    state TEXT NOT NULL,
    added_at BIGINT NOT NULL,
    settings_wanted BIGINT NOT NULL,
    settings_in_force BIGINT NOT NULL,
    settings_rejected TEXT,
    blocked_in_force BIGINT NOT NULL,
    routes_in_force BIGINT NOT NULL,
    boot BLOB,
    heartbeat TEXT,
    heartbeat_at BIGINT,
    revision BIGINT NOT NULL
);
CREATE TABLE gateway_settings (
    gateway TEXT NOT NULL REFERENCES gateways (name) ON DELETE CASCADE,
    version BIGINT NOT NULL,
    document TEXT NOT NULL,
    sha256 BLOB NOT NULL,
    actor TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (gateway, version)
);
CREATE TABLE gateway_acks (
    gateway TEXT NOT NULL REFERENCES gateways (name) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    version BIGINT NOT NULL,
    ok BOOLEAN NOT NULL,
    reason TEXT,
    at BIGINT NOT NULL,
    PRIMARY KEY (gateway, kind, version)
);

-- The route list and the blocked list: what stands now, and the changes since `floor`, for gateways that lag.
CREATE TABLE lists (name TEXT PRIMARY KEY NOT NULL, version BIGINT NOT NULL, floor BIGINT NOT NULL);
INSERT INTO lists (name, version, floor) VALUES ('routes', 0, 0), ('blocked', 0, 0);
CREATE TABLE list_entries (
    list TEXT NOT NULL,
    entry TEXT NOT NULL,
    verdict TEXT NOT NULL,
    since BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (list, entry)
);
CREATE TABLE list_deltas (
    list TEXT NOT NULL,
    version BIGINT NOT NULL,
    entry TEXT NOT NULL,
    verdict TEXT NOT NULL,
    added BOOLEAN NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (list, version, entry)
);

CREATE TABLE admins (
    id BLOB PRIMARY KEY NOT NULL,
    name TEXT NOT NULL UNIQUE,
    password TEXT,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    may_approve_from BIGINT NOT NULL,
    disabled_at BIGINT,
    revision BIGINT NOT NULL
);
CREATE TABLE role_grants (
    admin BLOB NOT NULL REFERENCES admins (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    scope TEXT,
    granted_by TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (admin, role)
);
CREATE TABLE tokens (
    id BLOB PRIMARY KEY NOT NULL,
    admin BLOB NOT NULL REFERENCES admins (id) ON DELETE CASCADE,
    label TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    scope TEXT NOT NULL,
    networks TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    last_used_at BIGINT,
    last_used_from TEXT
);

-- Each row's hash covers the row before it; see audit.rs.
CREATE TABLE audit (
    seq BIGINT PRIMARY KEY NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    outcome TEXT NOT NULL,
    detail TEXT NOT NULL,
    source TEXT NOT NULL,
    request TEXT NOT NULL,
    previous BLOB NOT NULL,
    hash BLOB NOT NULL
);
CREATE INDEX audit_object ON audit (object, seq);
CREATE TABLE audit_heads (
    seq BIGINT PRIMARY KEY NOT NULL,
    hash BLOB NOT NULL,
    at BIGINT NOT NULL,
    key_id TEXT NOT NULL,
    signature BLOB NOT NULL
);

CREATE TABLE idempotency (
    principal TEXT NOT NULL,
    key TEXT NOT NULL,
    request BLOB NOT NULL,
    status BIGINT NOT NULL,
    answer TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (principal, key)
);
CREATE INDEX idempotency_at ON idempotency (at);

-- What gateways refused; bounded for each subject and in all, see refusals.rs.
CREATE TABLE refusals (
    id BLOB PRIMARY KEY NOT NULL,
    enrolment BLOB,
    subject TEXT NOT NULL,
    gateway TEXT NOT NULL,
    reason TEXT NOT NULL,
    serial TEXT,
    route TEXT,
    source TEXT NOT NULL,
    count BIGINT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX refusals_subject ON refusals (subject, at);
CREATE INDEX refusals_at ON refusals (at);
CREATE INDEX refusals_enrolment ON refusals (enrolment) WHERE enrolment IS NOT NULL;
