-- Wipes and every step of their lives. Forward-only: only new tables, so that the release before runs beside this one.
CREATE TABLE wipes (
    id BLOB PRIMARY KEY NOT NULL,
    enrolment BLOB NOT NULL,
    generation BIGINT NOT NULL,
    device_id TEXT NOT NULL,
    route BLOB NOT NULL,
    state TEXT NOT NULL,
    kind TEXT NOT NULL,
    way TEXT NOT NULL,
    asked_for TEXT NOT NULL,
    reason TEXT NOT NULL,
    lost BOOLEAN NOT NULL,
    requested_by TEXT NOT NULL,
    requester BLOB,
    requested_at BIGINT NOT NULL,
    settings TEXT NOT NULL,
    approval BLOB,
    armed_at BIGINT,
    expires_at BIGINT,
    next_at BIGINT,
    operation BLOB,
    command BLOB,
    tries BIGINT NOT NULL,
    accepted_at BIGINT,
    finished_at BIGINT,
    status BIGINT,
    evidence TEXT,
    proof TEXT,
    cause TEXT NOT NULL,
    perimeter TEXT,
    disarm_by TEXT,
    mark BLOB NOT NULL,
    revision BIGINT NOT NULL
);
-- One outstanding wipe a device: whoever asks twice is refused here, whatever went wrong above.
CREATE UNIQUE INDEX wipes_outstanding ON wipes (enrolment)
    WHERE state IN ('requested', 'awaiting-approval', 'pending', 'sent', 'accepted', 'retrying', 'armed');
CREATE INDEX wipes_enrolment ON wipes (enrolment, id);
CREATE INDEX wipes_state ON wipes (state, id);
CREATE INDEX wipes_next_at ON wipes (next_at);
CREATE INDEX wipes_operation ON wipes (operation);
CREATE INDEX wipes_approval ON wipes (approval);

-- Each step with what proves it: the exchange's hash, and the row of the audit log that was written with it.
CREATE TABLE wipe_steps (
    wipe BLOB NOT NULL,
    revision BIGINT NOT NULL,
    state TEXT NOT NULL,
    event TEXT NOT NULL,
    cause TEXT NOT NULL,
    actor TEXT NOT NULL,
    status BIGINT,
    session BLOB,
    exchange BLOB,
    audit BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (wipe, revision)
);
