-- The hold of wide changes of policy: when a device last lost something without anybody's consent, and who changed what policy is made of.
ALTER TABLE policy_devices ADD COLUMN lost_at BIGINT;
CREATE INDEX policy_devices_lost ON policy_devices (lost_at) WHERE lost_at IS NOT NULL;

-- Persons and tokens, each once, since the last time that all of it was in force.
CREATE TABLE policy_movers (
    id BLOB PRIMARY KEY NOT NULL,
    person TEXT NOT NULL,
    token BLOB,
    operation TEXT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX policy_movers_person ON policy_movers (person);
