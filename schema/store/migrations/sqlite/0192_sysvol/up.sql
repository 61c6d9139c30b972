-- SYSVOL: of each GPO the folder as it was last read well, sealed, in pieces.
-- Forward-only: only a new table, so that the release before runs beside this one.

CREATE TABLE sysvol_pieces (
    gpo TEXT NOT NULL,
    number BIGINT NOT NULL,
    pieces BIGINT NOT NULL,
    pass BLOB NOT NULL,
    at BIGINT NOT NULL,
    octets BLOB NOT NULL,
    PRIMARY KEY (gpo, number)
);
