-- Notifications: package 0 to a device until a session answers it, what became of each, and where devices are reached.

CREATE TABLE push_addresses (
    enrolment BYTEA PRIMARY KEY NOT NULL,
    address TEXT,
    bearer TEXT,
    at BIGINT NOT NULL
);

CREATE TABLE notifications (
    id BYTEA PRIMARY KEY NOT NULL,
    enrolment BYTEA NOT NULL,
    session_id BIGINT NOT NULL,
    state TEXT NOT NULL,
    asked_by TEXT,
    forced TEXT,
    urgent BOOLEAN NOT NULL,
    resync BOOLEAN NOT NULL,
    bearer TEXT,
    attempts BIGINT NOT NULL,
    handed BIGINT NOT NULL,
    cause TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    next_at BIGINT,
    last_at BIGINT,
    expires_at BIGINT NOT NULL,
    finished_at BIGINT,
    session BYTEA,
    revision BIGINT NOT NULL
);
-- A device has one open job at most.
CREATE UNIQUE INDEX notifications_open ON notifications (enrolment) WHERE finished_at IS NULL;
CREATE INDEX notifications_due ON notifications (next_at) WHERE finished_at IS NULL;
CREATE INDEX notifications_enrolment ON notifications (enrolment, created_at);
CREATE INDEX notifications_finished ON notifications (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE notification_steps (
    notification BYTEA NOT NULL,
    position BIGINT NOT NULL,
    enrolment BYTEA NOT NULL,
    state TEXT NOT NULL,
    bearer TEXT,
    reference TEXT,
    cause TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (notification, position)
);
-- A bearer's report names the push by the bearer's reference.
CREATE INDEX notification_steps_reference ON notification_steps (bearer, reference) WHERE reference IS NOT NULL;
CREATE INDEX notification_steps_enrolment ON notification_steps (enrolment, at);
