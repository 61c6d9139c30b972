-- The outbox: what people and other systems are told of, written in the transaction of the change that it tells of, and
-- each way in which it goes out. Forward-only: only new tables, so that the release before runs beside this one.

CREATE TABLE outbox (
    id BYTEA PRIMARY KEY NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    device BYTEA,
    dedupe TEXT NOT NULL UNIQUE,
    data TEXT NOT NULL,
    requester BYTEA,
    owner TEXT,
    security BOOLEAN NOT NULL,
    hold TEXT,
    at BIGINT NOT NULL,
    planned_at BIGINT,
    released_at BIGINT
);
CREATE INDEX outbox_unplanned ON outbox (at) WHERE planned_at IS NULL;
CREATE INDEX outbox_hold ON outbox (hold) WHERE hold IS NOT NULL;
CREATE INDEX outbox_device ON outbox (device) WHERE device IS NOT NULL;
CREATE INDEX outbox_at ON outbox (at);

CREATE TABLE deliveries (
    id BYTEA PRIMARY KEY NOT NULL,
    event BYTEA NOT NULL,
    channel TEXT NOT NULL,
    target TEXT NOT NULL,
    message_id TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    cause TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    next_at BIGINT,
    last_at BIGINT,
    finished_at BIGINT,
    revision BIGINT NOT NULL
);
-- An event goes to a target by a channel once.
CREATE UNIQUE INDEX deliveries_once ON deliveries (event, channel, target);
CREATE INDEX deliveries_due ON deliveries (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX deliveries_state ON deliveries (state, created_at);

-- Where people get mail: admins by their id, owners of devices by their name.
CREATE TABLE mail_addresses (
    subject TEXT PRIMARY KEY NOT NULL,
    address TEXT NOT NULL,
    second TEXT,
    at BIGINT NOT NULL,
    set_by TEXT NOT NULL
);
