-- The DNS name that a device's certificate bears beside the enrolment, where it bears one.
-- Forward-only: only a new table, so that the release before runs beside this one.
CREATE TABLE certificate_names (
    enrolment BYTEA PRIMARY KEY NOT NULL REFERENCES enrolments (id) ON DELETE CASCADE,
    dns_name TEXT NOT NULL
);
CREATE INDEX certificate_names_dns_name ON certificate_names (dns_name);
