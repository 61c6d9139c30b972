-- SQLite prepares a statement anew at every binding while its table has an index with WHERE … IS NOT NULL: the value
-- bound might decide whether that index serves. Whole indexes cost little and keep every statement prepared. (The same
-- on PostgreSQL, which has no such trouble, so that the two schemas stay alike.)
DROP INDEX enrolments_owner;
CREATE INDEX enrolments_owner ON enrolments (owner);
DROP INDEX enrolments_hardware_id;
CREATE INDEX enrolments_hardware_id ON enrolments (hardware_id);
DROP INDEX enrolments_certificate_serial;
CREATE INDEX enrolments_certificate_serial ON enrolments (certificate_serial);
DROP INDEX commands_pending_deadline;
CREATE INDEX commands_pending_deadline ON commands_pending (deadline);
DROP INDEX refusals_enrolment;
CREATE INDEX refusals_enrolment ON refusals (enrolment);
