-- Gateways that join at run time, and what becomes of each version of their settings.

ALTER TABLE gateways ADD COLUMN origin TEXT NOT NULL DEFAULT 'configuration';
ALTER TABLE gateways ADD COLUMN names TEXT NOT NULL DEFAULT '';
ALTER TABLE gateways ADD COLUMN settings_newest BIGINT NOT NULL DEFAULT 0;
ALTER TABLE gateways ADD COLUMN settings_good BIGINT NOT NULL DEFAULT 0;
ALTER TABLE gateways ADD COLUMN ended_at BIGINT;
ALTER TABLE gateways ADD COLUMN ended_because TEXT;
UPDATE gateways SET settings_newest = settings_wanted, settings_good = settings_in_force;

ALTER TABLE gateway_settings ADD COLUMN own TEXT NOT NULL DEFAULT '{}';
ALTER TABLE gateway_settings ADD COLUMN defaults BIGINT NOT NULL DEFAULT 0;
ALTER TABLE gateway_settings ADD COLUMN reason TEXT;
ALTER TABLE gateway_settings ADD COLUMN state TEXT NOT NULL DEFAULT 'wanted';
ALTER TABLE gateway_settings ADD COLUMN pushed_at BIGINT;
ALTER TABLE gateway_settings ADD COLUMN answered_at BIGINT;
ALTER TABLE gateway_settings ADD COLUMN good_at BIGINT;
ALTER TABLE gateway_settings ADD COLUMN answer TEXT;
UPDATE gateway_settings SET own = document;

-- What is set for all gateways; a new version is rolled out, one gateway first.
CREATE TABLE gateway_defaults (
    version BIGINT PRIMARY KEY NOT NULL,
    document TEXT NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT,
    at BIGINT NOT NULL,
    state TEXT NOT NULL,
    ended_at BIGINT,
    because TEXT
);
CREATE TABLE gateway_rollout (
    defaults BIGINT NOT NULL,
    gateway TEXT NOT NULL,
    position BIGINT NOT NULL,
    state TEXT NOT NULL,
    version BIGINT NOT NULL,
    because TEXT,
    at BIGINT NOT NULL,
    PRIMARY KEY (defaults, gateway)
);

-- One-time secrets of gateways that are to join; the secret is sealed, and gone once it was used.
CREATE TABLE gateway_joins (
    gateway TEXT PRIMARY KEY NOT NULL,
    id BYTEA NOT NULL,
    secret BYTEA,
    state TEXT NOT NULL,
    key_hash TEXT,
    failures BIGINT NOT NULL,
    last_error TEXT,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at BIGINT
);

-- What gateways asked to be signed, and what they got.
CREATE TABLE gateway_certificates (
    gateway TEXT NOT NULL,
    role TEXT NOT NULL,
    key_hash TEXT NOT NULL,
    request TEXT NOT NULL,
    asked_at BIGINT NOT NULL,
    chain TEXT,
    serial TEXT,
    issuer TEXT,
    not_after BIGINT,
    issued_at BIGINT,
    revoked_at BIGINT,
    PRIMARY KEY (gateway, role, key_hash)
);
