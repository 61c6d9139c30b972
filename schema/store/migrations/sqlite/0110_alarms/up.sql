-- Alarms: what a person has to know of or to do, one row for each kind and subject while it lasts.
-- Forward-only: only a new table, so that the release before runs beside this one.
CREATE TABLE alarms (
    id BLOB PRIMARY KEY NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    severity TEXT NOT NULL,
    text TEXT NOT NULL,
    since BIGINT NOT NULL,
    last BIGINT NOT NULL,
    count BIGINT NOT NULL,
    acknowledged_by TEXT,
    acknowledged_at BIGINT,
    acknowledged_because TEXT,
    cleared_at BIGINT,
    cleared_because TEXT
);
CREATE INDEX alarms_kind ON alarms (kind, subject);
CREATE INDEX alarms_cleared ON alarms (cleared_at);
