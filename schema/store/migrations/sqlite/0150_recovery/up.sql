-- Recovery passwords: the escrow keys, the sealed passwords, and what is still wanted of each device.

CREATE TABLE recovery_keys (
    id TEXT PRIMARY KEY NOT NULL,
    number BIGINT NOT NULL UNIQUE,
    public BLOB NOT NULL,
    replaces TEXT,
    change TEXT,
    made_at BIGINT NOT NULL,
    made_by TEXT NOT NULL
);

CREATE TABLE recovery_devices (
    enrolment BLOB PRIMARY KEY NOT NULL REFERENCES enrolments (id) ON DELETE CASCADE,
    generation BIGINT NOT NULL,
    state TEXT NOT NULL,
    cause TEXT NOT NULL,
    since BIGINT NOT NULL,
    due_at BIGINT,
    operation BLOB,
    key TEXT,
    tries BIGINT NOT NULL,
    revision BIGINT NOT NULL
);
CREATE INDEX recovery_devices_due ON recovery_devices (due_at, enrolment) WHERE due_at IS NOT NULL;
CREATE INDEX recovery_devices_key ON recovery_devices (key);

CREATE TABLE recovery_passwords (
    enrolment BLOB NOT NULL REFERENCES enrolments (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    generation BIGINT NOT NULL,
    number BIGINT NOT NULL,
    key TEXT NOT NULL,
    sealed TEXT NOT NULL,
    cause TEXT NOT NULL,
    proof TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    shown BIGINT NOT NULL,
    shown_at BIGINT,
    shown_by TEXT,
    PRIMARY KEY (enrolment, kind, generation, number)
);
CREATE INDEX recovery_passwords_key ON recovery_passwords (key);
