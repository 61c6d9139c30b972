-- Enrolment over the air: requests with their one-time passwords, each attempt, and where each enrolment's life stands.

CREATE TABLE enrolment_requests (
    id BYTEA PRIMARY KEY NOT NULL,
    code TEXT NOT NULL,
    psk BYTEA,
    state TEXT NOT NULL,
    name TEXT NOT NULL,
    owner TEXT,
    platform TEXT,
    email_domain TEXT,
    hardware_id TEXT,
    auth TEXT NOT NULL,
    dialect TEXT NOT NULL,
    member_of TEXT NOT NULL,
    renews BYTEA,
    reason TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    last_failure_at BIGINT,
    last_failure_source TEXT,
    finished_at BIGINT,
    finished_by TEXT,
    cause TEXT NOT NULL,
    enrolment BYTEA,
    generation BIGINT,
    csr_key BYTEA,
    result BYTEA,
    revision BIGINT NOT NULL
);
-- A code is never given out twice.
CREATE UNIQUE INDEX enrolment_requests_code ON enrolment_requests (code);
CREATE INDEX enrolment_requests_state ON enrolment_requests (state, expires_at);
CREATE INDEX enrolment_requests_owner ON enrolment_requests (owner, state);

CREATE TABLE enrolment_attempts (
    id BYTEA PRIMARY KEY NOT NULL,
    at BIGINT NOT NULL,
    request BYTEA,
    door TEXT NOT NULL,
    step TEXT NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    source TEXT NOT NULL,
    gateway TEXT NOT NULL,
    enrolment BYTEA,
    count BIGINT NOT NULL
);
CREATE INDEX enrolment_attempts_at ON enrolment_attempts (at);
CREATE INDEX enrolment_attempts_request ON enrolment_attempts (request, at);

CREATE TABLE lives (
    enrolment BYTEA PRIMARY KEY NOT NULL REFERENCES enrolments (id) ON DELETE CASCADE,
    generation BIGINT NOT NULL,
    door TEXT NOT NULL,
    request BYTEA,
    standing TEXT NOT NULL,
    standing_since BIGINT NOT NULL,
    twin BYTEA,
    leaving TEXT,
    leaving_because TEXT NOT NULL,
    leaving_by TEXT NOT NULL,
    leaving_operation BYTEA,
    leaving_at BIGINT,
    certificate_from BIGINT,
    renewal TEXT NOT NULL,
    renewal_operation BYTEA,
    renewal_at BIGINT,
    renewal_tries BIGINT NOT NULL,
    renewal_cause TEXT NOT NULL,
    next_serial TEXT,
    next_fingerprint BYTEA,
    next_from BIGINT,
    next_until BIGINT,
    revision BIGINT NOT NULL
);
CREATE INDEX lives_leaving ON lives (leaving);
CREATE INDEX lives_renewal ON lives (renewal);
CREATE INDEX lives_standing ON lives (standing);
-- Whose certificate is renewed next.
CREATE INDEX enrolments_certificate_not_after ON enrolments (certificate_not_after);
