-- Times are microseconds since the Unix epoch, UTC. Ids of reservations and operations are the 16 bytes of a UUID.
-- `version` counts the commits that changed a row, from 1; `decided_at` is the decision time of the last of them.

-- One row. A program may use the file if its own schema version is at least `compatible_with`.
CREATE TABLE store (
    singleton                INTEGER PRIMARY KEY CHECK (singleton = 1),
    schema_version           INTEGER NOT NULL CHECK (schema_version >= 1),
    compatible_with          INTEGER NOT NULL CHECK (compatible_with BETWEEN 1 AND schema_version),
    -- Random: tells this file from every other one at the same path.
    file_id                  BLOB    NOT NULL CHECK (length(file_id) = 16),
    operations_purged_before INTEGER
) STRICT;
INSERT INTO store VALUES (1, 1, 1, randomblob(16), NULL);

CREATE TABLE event (
    event_id               TEXT    NOT NULL PRIMARY KEY,
    state                  TEXT    NOT NULL CHECK (state IN ('preparing', 'on_sale')),
    opens_at               INTEGER,
    closes_at              INTEGER,
    limit_per_customer     INTEGER CHECK (limit_per_customer BETWEEN 0 AND 4294967295),
    version                INTEGER NOT NULL CHECK (version >= 1),
    decided_at             INTEGER NOT NULL,
    -- The last position of the change feed, and the last purged one. Neither counts in `version`.
    change_sequence        INTEGER NOT NULL DEFAULT 0,
    changes_purged_through INTEGER NOT NULL DEFAULT 0 CHECK (changes_purged_through BETWEEN 0 AND change_sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE ticket (
    event_id       TEXT    NOT NULL REFERENCES event (event_id),
    ticket_id      TEXT    NOT NULL,
    area_id        TEXT    NOT NULL,
    row_rank       INTEGER NOT NULL CHECK (row_rank BETWEEN 0 AND 4294967295),
    place_number   INTEGER NOT NULL CHECK (place_number BETWEEN 0 AND 4294967295),
    state          TEXT    NOT NULL,
    reservation_id BLOB,
    held_until     INTEGER,
    block_reason   TEXT,
    version        INTEGER NOT NULL CHECK (version >= 1),
    decided_at     INTEGER NOT NULL,
    PRIMARY KEY (event_id, ticket_id),
    CONSTRAINT ticket_state_is_consistent CHECK (
        CASE state
            WHEN 'available' THEN reservation_id IS NULL AND held_until IS NULL AND block_reason IS NULL
            WHEN 'held' THEN length(reservation_id) = 16 AND held_until IS NOT NULL AND block_reason IS NULL
            WHEN 'booked' THEN length(reservation_id) = 16 AND held_until IS NULL AND block_reason IS NULL
            WHEN 'blocked' THEN reservation_id IS NULL AND held_until IS NULL AND block_reason IS NOT NULL
            ELSE FALSE
        END IS TRUE
    )
) STRICT, WITHOUT ROWID;

-- Only columns that never change: selling a ticket does not touch them.
CREATE INDEX ticket_by_place ON ticket (event_id, area_id, row_rank, place_number);
CREATE INDEX ticket_by_area ON ticket (event_id, area_id, ticket_id);

CREATE TABLE pool (
    event_id   TEXT    NOT NULL REFERENCES event (event_id),
    pool_id    TEXT    NOT NULL,
    capacity   INTEGER NOT NULL CHECK (capacity BETWEEN 0 AND 4294967295),
    held       INTEGER NOT NULL CHECK (held >= 0),
    booked     INTEGER NOT NULL CHECK (booked >= 0),
    version    INTEGER NOT NULL CHECK (version >= 1),
    decided_at INTEGER NOT NULL,
    PRIMARY KEY (event_id, pool_id),
    CONSTRAINT pool_is_not_oversold CHECK (held + booked <= capacity)
) STRICT, WITHOUT ROWID;

CREATE TABLE allowance (
    event_id    TEXT    NOT NULL REFERENCES event (event_id),
    customer_id TEXT    NOT NULL,
    held        INTEGER NOT NULL CHECK (held BETWEEN 0 AND 4294967295),
    booked      INTEGER NOT NULL CHECK (booked BETWEEN 0 AND 4294967295),
    version     INTEGER NOT NULL CHECK (version >= 1),
    decided_at  INTEGER NOT NULL,
    PRIMARY KEY (event_id, customer_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE reservation (
    reservation_id BLOB    NOT NULL PRIMARY KEY CHECK (length(reservation_id) = 16),
    event_id       TEXT    NOT NULL REFERENCES event (event_id),
    customer_id    TEXT    NOT NULL,
    state          TEXT    NOT NULL,
    held_until     INTEGER,
    held_at        INTEGER NOT NULL,
    version        INTEGER NOT NULL CHECK (version >= 1),
    decided_at     INTEGER NOT NULL,
    -- Not IN: for more than two values, SQLite builds a table of them for every row.
    CONSTRAINT reservation_state_is_consistent CHECK (
        CASE state
            WHEN 'held' THEN held_until IS NOT NULL
            WHEN 'booked' THEN held_until IS NULL
            WHEN 'released' THEN held_until IS NULL
            WHEN 'cancelled' THEN held_until IS NULL
            WHEN 'expired' THEN held_until IS NULL
            ELSE FALSE
        END
    )
) STRICT, WITHOUT ROWID;

CREATE INDEX reservation_by_event ON reservation (event_id, reservation_id);
CREATE INDEX reservation_by_customer ON reservation (customer_id, event_id, held_until, reservation_id);
CREATE INDEX reservation_by_deadline ON reservation (held_until) WHERE held_until IS NOT NULL;

-- What a reservation consists of, in order; never changes, except that the deadline of a hold is repeated in its pool
-- lines for as long as it counts in the pool.
CREATE TABLE reservation_line (
    reservation_id BLOB    NOT NULL REFERENCES reservation (reservation_id),
    line           INTEGER NOT NULL CHECK (line >= 1),
    event_id       TEXT    NOT NULL,
    ticket_id      TEXT,
    pool_id        TEXT,
    quantity       INTEGER NOT NULL CHECK (quantity BETWEEN 1 AND 4294967295),
    held_until     INTEGER,
    PRIMARY KEY (reservation_id, line),
    CONSTRAINT line_is_ticket_or_pool CHECK (
        (ticket_id IS NULL) <> (pool_id IS NULL) AND (ticket_id IS NULL OR (quantity = 1 AND held_until IS NULL))
    )
) STRICT, WITHOUT ROWID;

CREATE INDEX reservation_line_held_in_pool ON reservation_line (event_id, pool_id, held_until)
    WHERE held_until IS NOT NULL;

CREATE TABLE operation (
    operation_id   BLOB    NOT NULL PRIMARY KEY CHECK (length(operation_id) = 16),
    event_id       TEXT    NOT NULL,
    fingerprint    BLOB    NOT NULL CHECK (length(fingerprint) = 16),
    kind           TEXT    NOT NULL,
    reservation_id BLOB    CHECK (length(reservation_id) = 16),
    customer_id    TEXT,
    held_until     INTEGER,
    changed        INTEGER NOT NULL CHECK (changed BETWEEN 0 AND 4294967295),
    version        INTEGER NOT NULL CHECK (version >= 1),
    decided_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The change feed: every record as a commit left it. `lines` is {"tickets":[id, ...],"pools":{id:quantity, ...}}.
CREATE TABLE change (
    event_id           TEXT    NOT NULL,
    sequence           INTEGER NOT NULL CHECK (sequence >= 1),
    decided_at         INTEGER NOT NULL,
    version            INTEGER NOT NULL CHECK (version >= 1),
    kind               TEXT    NOT NULL CHECK (
        kind = 'reservation' OR kind = 'ticket' OR kind = 'pool' OR kind = 'allowance' OR kind = 'event'
    ),
    state              TEXT,
    ticket_id          TEXT,
    pool_id            TEXT,
    customer_id        TEXT,
    reservation_id     BLOB,
    held_until         INTEGER,
    held_at            INTEGER,
    lines              TEXT,
    area_id            TEXT,
    row_rank           INTEGER,
    place_number       INTEGER,
    block_reason       TEXT,
    capacity           INTEGER,
    held               INTEGER,
    booked             INTEGER,
    opens_at           INTEGER,
    closes_at          INTEGER,
    limit_per_customer INTEGER,
    PRIMARY KEY (event_id, sequence)
) STRICT, WITHOUT ROWID;
