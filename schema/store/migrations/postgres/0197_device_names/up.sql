-- Names of devices are compared without case, as a directory compares them.
-- Forward-only: an index, so that the release before runs beside this one.
CREATE INDEX enrolments_name_upper ON enrolments (upper(name));
