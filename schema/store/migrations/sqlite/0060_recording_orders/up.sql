-- Whose next sessions are to be kept as transcripts, and how many more of them.
-- Forward-only: only a new table, so that the release before runs beside this one.

CREATE TABLE recording_orders (
    enrolment BLOB PRIMARY KEY NOT NULL REFERENCES enrolments (id) ON DELETE CASCADE,
    sessions BIGINT NOT NULL,
    asked_by TEXT NOT NULL,
    at BIGINT NOT NULL,
    until BIGINT NOT NULL
);
