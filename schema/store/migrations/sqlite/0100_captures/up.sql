-- Gateways that came into other hands, the devices whose sessions they carried, and what was done for each.

ALTER TABLE enrolments ADD COLUMN next_credentials BLOB;

CREATE TABLE captures (
    gateway TEXT PRIMARY KEY NOT NULL,
    since BIGINT NOT NULL,
    declared_at BIGINT NOT NULL,
    declared_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    devices BIGINT NOT NULL,
    certificates BIGINT NOT NULL
);

CREATE TABLE capture_devices (
    gateway TEXT NOT NULL REFERENCES captures (gateway) ON DELETE CASCADE,
    enrolment BLOB NOT NULL,
    generation BIGINT NOT NULL,
    proof TEXT NOT NULL,
    sessions BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    rotation TEXT NOT NULL,
    rotation_because TEXT NOT NULL,
    rotation_operation BLOB,
    reading TEXT NOT NULL,
    reading_because TEXT NOT NULL,
    reading_operation BLOB,
    PRIMARY KEY (gateway, enrolment)
);
CREATE INDEX capture_devices_enrolment ON capture_devices (enrolment);
CREATE INDEX capture_devices_open ON capture_devices (gateway, enrolment)
    WHERE rotation IN ('wanted', 'ordered') OR reading IN ('wanted', 'ordered');
