-- The directory: its last good reading, who is who in it, what is still to be written there, and the admins that it let in.

CREATE TABLE directory_readings (
    id BIGINT PRIMARY KEY NOT NULL,
    pass BLOB NOT NULL,
    server TEXT NOT NULL,
    life TEXT NOT NULL,
    usn BIGINT NOT NULL,
    entries BIGINT NOT NULL,
    pieces BIGINT NOT NULL,
    good_at BIGINT NOT NULL,
    whole_at BIGINT NOT NULL
);

CREATE TABLE directory_pieces (
    pass BLOB NOT NULL,
    number BIGINT NOT NULL,
    octets BLOB NOT NULL,
    PRIMARY KEY (pass, number)
);

CREATE TABLE directory_bindings (
    enrolment BLOB PRIMARY KEY NOT NULL REFERENCES enrolments (id) ON DELETE CASCADE,
    computer TEXT,
    computer_dn TEXT,
    created BOOLEAN NOT NULL,
    person TEXT,
    person_dn TEXT,
    set_by TEXT NOT NULL,
    at BIGINT NOT NULL
);

CREATE TABLE directory_tasks (
    id BLOB PRIMARY KEY NOT NULL,
    act TEXT NOT NULL,
    enrolment BLOB NOT NULL REFERENCES enrolments (id) ON DELETE CASCADE,
    wipe BLOB,
    computer TEXT,
    computer_dn TEXT,
    state TEXT NOT NULL,
    tries BIGINT NOT NULL,
    due_at BIGINT,
    cause TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    done_at BIGINT
);
CREATE INDEX directory_tasks_due ON directory_tasks (due_at) WHERE due_at IS NOT NULL;
CREATE UNIQUE INDEX directory_tasks_wipe ON directory_tasks (wipe) WHERE wipe IS NOT NULL;
CREATE INDEX directory_tasks_enrolment ON directory_tasks (enrolment);

CREATE TABLE directory_admins (
    admin BLOB PRIMARY KEY NOT NULL REFERENCES admins (id) ON DELETE CASCADE,
    sid TEXT NOT NULL UNIQUE,
    roles TEXT NOT NULL,
    roles_since BIGINT NOT NULL,
    signed_in_at BIGINT NOT NULL
);
