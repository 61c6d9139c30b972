-- Our CAs by role and generation, every certificate that they issued, and the CRLs of others that were imported.

-- bridge: this generation's key certified by the one before, for who does not know this one yet.
-- key_file: below the state folder; empty where the key is not ours. crl_stale: a revocation is not in the CRL yet.
CREATE TABLE authorities (
    role TEXT NOT NULL,
    generation BIGINT NOT NULL,
    state TEXT NOT NULL,
    name TEXT NOT NULL,
    issuer TEXT NOT NULL UNIQUE,
    chain BYTEA NOT NULL,
    bridge BYTEA,
    key_file TEXT NOT NULL,
    not_before BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    made_at BIGINT NOT NULL,
    made_by TEXT NOT NULL,
    retired_at BIGINT,
    crl_number BIGINT NOT NULL,
    crl BYTEA,
    crl_at BIGINT,
    crl_next BIGINT,
    crl_stale BOOLEAN NOT NULL,
    PRIMARY KEY (role, generation)
);

-- issuer: the hash of its name, as the blocked list has it. subject: postern:<what>:<id>.
CREATE TABLE certificates (
    issuer TEXT NOT NULL,
    serial TEXT NOT NULL,
    role TEXT NOT NULL,
    authority BIGINT NOT NULL,
    subject TEXT NOT NULL,
    subject_generation BIGINT NOT NULL,
    fingerprint BYTEA NOT NULL,
    not_before BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    issued_at BIGINT NOT NULL,
    revoked_at BIGINT,
    reason TEXT,
    replaced_by TEXT,
    PRIMARY KEY (issuer, serial)
);
CREATE INDEX certificates_serial ON certificates (serial);
CREATE INDEX certificates_subject ON certificates (subject, issued_at);
CREATE INDEX certificates_not_after ON certificates (not_after);
CREATE INDEX certificates_revoked ON certificates (issuer, revoked_at) WHERE revoked_at IS NOT NULL;

CREATE TABLE imported_crls (
    issuer TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    number TEXT NOT NULL,
    this_update BIGINT NOT NULL,
    next_update BIGINT,
    entries BIGINT NOT NULL,
    imported_at BIGINT NOT NULL,
    imported_by TEXT NOT NULL
);
CREATE TABLE imported_crl_entries (
    issuer TEXT NOT NULL,
    serial TEXT NOT NULL,
    reason TEXT NOT NULL,
    revoked_at BIGINT NOT NULL,
    PRIMARY KEY (issuer, serial)
);

-- The newest generation of the server CA that a device has confirmed to trust.
CREATE TABLE server_trust (
    enrolment BYTEA PRIMARY KEY NOT NULL,
    generation BIGINT NOT NULL,
    at BIGINT NOT NULL
);
