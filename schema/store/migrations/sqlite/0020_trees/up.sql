-- Imported descriptions of management objects, readings of devices' trees, and the snapshots that they leave.
-- Forward-only: only new tables, so that the release before runs beside this one.

-- An operator's DDF, as it was given.
CREATE TABLE ddfs (
    name TEXT PRIMARY KEY NOT NULL,
    document BLOB NOT NULL,
    nodes BIGINT NOT NULL,
    skipped BIGINT NOT NULL,
    set_by TEXT NOT NULL,
    at BIGINT NOT NULL,
    revision BIGINT NOT NULL
);

-- A part of a device's tree as it was told; bounded for each device, see trees.rs. Secrets are not in it.
CREATE TABLE tree_snapshots (
    id BLOB PRIMARY KEY NOT NULL,
    enrolment BLOB NOT NULL REFERENCES enrolments (id) ON DELETE CASCADE,
    uri TEXT NOT NULL,
    whole BOOLEAN NOT NULL,
    nodes BIGINT NOT NULL,
    octets BIGINT NOT NULL,
    mounts TEXT NOT NULL,
    document BLOB NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX tree_snapshots_enrolment ON tree_snapshots (enrolment, at);

-- A reading under way or ended: the commands that are out are those of its operation.
CREATE TABLE tree_readings (
    id BLOB PRIMARY KEY NOT NULL,
    enrolment BLOB NOT NULL REFERENCES enrolments (id) ON DELETE CASCADE,
    uri TEXT NOT NULL,
    levels BIGINT NOT NULL,
    state TEXT NOT NULL,
    cause TEXT NOT NULL,
    step BIGINT NOT NULL,
    asked BIGINT NOT NULL,
    machine BLOB NOT NULL,
    operation BLOB,
    snapshot BLOB,
    asked_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX tree_readings_enrolment ON tree_readings (enrolment, created_at);
CREATE INDEX tree_readings_state ON tree_readings (state);
