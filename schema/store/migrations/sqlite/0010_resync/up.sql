-- Until when one session of the device may prove itself over the default nonce, because a trigger with it was sent.
-- Forward-only: a column that may be empty, so that the release before runs beside this one.
ALTER TABLE enrolments ADD COLUMN resync_until BIGINT;
