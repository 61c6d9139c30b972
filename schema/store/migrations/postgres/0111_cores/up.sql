-- The register of cores on this database, active and standby: each writes its own row every few seconds.
-- Forward-only: only a new table, so that the release before runs beside this one.
CREATE TABLE cores (
    id BYTEA PRIMARY KEY NOT NULL,
    core TEXT NOT NULL,
    host TEXT NOT NULL,
    version TEXT NOT NULL,
    role TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    admin TEXT NOT NULL,
    problems BIGINT NOT NULL,
    error TEXT NOT NULL
);
