-- Policy: what is desired of each device, what it confirmed, and changes that wait for somebody to agree.

-- Desired states with their provenance, by hash: devices that are to be the same share one.
CREATE TABLE policy_desired (
    hash BLOB PRIMARY KEY NOT NULL,
    body TEXT NOT NULL,
    made_at BIGINT NOT NULL
);

CREATE TABLE policy_devices (
    enrolment BLOB PRIMARY KEY NOT NULL REFERENCES enrolments (id) ON DELETE CASCADE,
    generation BIGINT NOT NULL,
    desired BLOB NOT NULL,
    waiting BLOB,
    settled BLOB,
    planned BLOB,
    epoch BIGINT NOT NULL,
    book TEXT NOT NULL,
    operation BLOB,
    verify_at BIGINT,
    stale TEXT,
    compliant BIGINT NOT NULL,
    pending BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    unsupported BIGINT NOT NULL,
    conflicts BIGINT NOT NULL,
    drift BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    settled_at BIGINT,
    revision BIGINT NOT NULL
);
CREATE INDEX policy_devices_desired ON policy_devices (desired);
CREATE INDEX policy_devices_waiting ON policy_devices (waiting) WHERE waiting IS NOT NULL;
CREATE INDEX policy_devices_verify ON policy_devices (verify_at) WHERE verify_at IS NOT NULL;

CREATE TABLE policy_holds (
    id BLOB PRIMARY KEY NOT NULL,
    digest BLOB NOT NULL,
    state TEXT NOT NULL,
    approval BLOB,
    devices BIGINT NOT NULL,
    managed BIGINT NOT NULL,
    settings BIGINT NOT NULL,
    made_at BIGINT NOT NULL,
    ended_at BIGINT
);
CREATE INDEX policy_holds_state ON policy_holds (state);
