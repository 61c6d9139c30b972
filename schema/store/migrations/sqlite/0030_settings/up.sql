-- Settings by scope, the schedule of each device, recorded sessions, and operators' quirk profiles.
-- Forward-only: only new tables, and a column with a default, so that the release before runs beside this one.

-- One value that somebody set. subject is empty for the global scope, else the group's or the enrolment's id.
CREATE TABLE settings (
    scope TEXT NOT NULL,
    subject BLOB NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    set_by TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (scope, subject, name)
);

-- The revision of all values of one scope and subject: what If-Match names.
CREATE TABLE setting_revisions (
    scope TEXT NOT NULL,
    subject BLOB NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (scope, subject)
);

-- The settings epoch that an enrolment was last compared at: a session of an older one compares anew.
ALTER TABLE enrolments ADD COLUMN settings_epoch BIGINT NOT NULL DEFAULT 0;

-- The interval that a device is held to, and what the device was told of it.
CREATE TABLE schedules (
    enrolment BLOB PRIMARY KEY NOT NULL REFERENCES enrolments (id) ON DELETE CASCADE,
    generation BIGINT NOT NULL,
    interval_s BIGINT NOT NULL,
    jitter_s BIGINT NOT NULL,
    wanted_s BIGINT NOT NULL,
    wanted_jitter_s BIGINT NOT NULL,
    told TEXT NOT NULL,
    operation BLOB,
    status BIGINT,
    at BIGINT NOT NULL,
    acknowledged_at BIGINT
);

-- A recorded session: its sealed transcript. Bounded for each device, in all, and by age; see recordings.rs.
CREATE TABLE recordings (
    session BLOB PRIMARY KEY NOT NULL,
    enrolment BLOB NOT NULL REFERENCES enrolments (id) ON DELETE CASCADE,
    at BIGINT NOT NULL,
    octets BIGINT NOT NULL,
    messages BIGINT NOT NULL,
    content BLOB NOT NULL
);
CREATE INDEX recordings_enrolment ON recordings (enrolment, at);
CREATE INDEX recordings_at ON recordings (at);

-- Quirk profiles that operators added, in the engine's own form.
CREATE TABLE quirk_profiles (
    name TEXT PRIMARY KEY NOT NULL,
    document TEXT NOT NULL,
    set_by TEXT NOT NULL,
    at BIGINT NOT NULL,
    revision BIGINT NOT NULL
);
