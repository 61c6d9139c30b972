-- What was destroyed, by whom, and what waits for somebody's approval; freezes, break-glass, limits that were changed.
-- Forward-only: new tables, and one column with a default, so that the release before runs beside this one.

-- One row for each device of each destructive operation that was let through: this is what is counted.
CREATE TABLE destructive_acts (
    id BYTEA PRIMARY KEY NOT NULL,
    admission BYTEA NOT NULL,
    enrolment BYTEA NOT NULL,
    generation BIGINT NOT NULL,
    class TEXT NOT NULL,
    person TEXT,
    token BYTEA,
    at BIGINT NOT NULL,
    operation BYTEA,
    approval BYTEA,
    glass BOOLEAN NOT NULL,
    sent_at BIGINT
);
CREATE INDEX destructive_acts_at ON destructive_acts (at);
CREATE INDEX destructive_acts_sent_at ON destructive_acts (sent_at);
CREATE INDEX destructive_acts_admission ON destructive_acts (admission);
CREATE INDEX destructive_acts_operation ON destructive_acts (operation);

CREATE TABLE approvals (
    id BYTEA PRIMARY KEY NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    requester TEXT NOT NULL,
    token BYTEA,
    reason TEXT NOT NULL,
    content TEXT NOT NULL,
    hash BYTEA NOT NULL,
    targets BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    cooling_ms BIGINT NOT NULL,
    alone_from BIGINT,
    agreed_at BIGINT,
    agreed_by TEXT,
    decided_at BIGINT,
    decided_by TEXT,
    because TEXT NOT NULL,
    revision BIGINT NOT NULL
);
CREATE INDEX approvals_state ON approvals (state, id);

CREATE TABLE freezes (
    id BYTEA PRIMARY KEY NOT NULL,
    since BIGINT NOT NULL,
    frozen_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    automatic BOOLEAN NOT NULL,
    thawed_at BIGINT,
    thawed_by TEXT,
    thawed_because TEXT
);
CREATE INDEX freezes_since ON freezes (since);

-- A code from the safe opens this once, for one person and token, for so many devices, for a while.
CREATE TABLE break_glass (
    id BYTEA PRIMARY KEY NOT NULL,
    person TEXT NOT NULL,
    token BYTEA NOT NULL,
    opened_at BIGINT NOT NULL,
    until BIGINT NOT NULL,
    devices BIGINT NOT NULL,
    spent BIGINT NOT NULL,
    code_hash BYTEA NOT NULL UNIQUE,
    reason TEXT NOT NULL
);
CREATE INDEX break_glass_person ON break_glass (person, until);

CREATE TABLE safety_limits (
    name TEXT PRIMARY KEY NOT NULL,
    value BIGINT NOT NULL,
    set_by TEXT NOT NULL,
    at BIGINT NOT NULL
);

ALTER TABLE tokens ADD COLUMN may_approve_from BIGINT NOT NULL DEFAULT 0;
