-- Policy documents: each with its versions, which never change, and the groups that it is assigned to.
-- Forward-only: only new tables, so that the release before runs beside this one.

CREATE TABLE policy_documents (
    name TEXT PRIMARY KEY NOT NULL,
    version BIGINT NOT NULL,
    removed BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);

-- An empty document is a removal.
CREATE TABLE policy_versions (
    name TEXT NOT NULL REFERENCES policy_documents (name) ON DELETE CASCADE,
    version BIGINT NOT NULL,
    hash BLOB NOT NULL,
    document TEXT NOT NULL,
    of_version BIGINT,
    reason TEXT NOT NULL,
    set_by TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (name, version)
);

CREATE TABLE policy_assignments (
    name TEXT NOT NULL REFERENCES policy_documents (name) ON DELETE CASCADE,
    group_id BLOB NOT NULL,
    place BIGINT NOT NULL,
    enforced BOOLEAN NOT NULL,
    PRIMARY KEY (name, group_id)
);
CREATE INDEX policy_assignments_group ON policy_assignments (group_id);
