-- Times are microseconds since the Unix epoch, UTC; to_timestamp(held_until / 1e6) shows one. `version` counts the commits that
-- changed a row, from 1; `decided_at` is the decision time of the last of them. Ids are compared byte by byte.
--
-- Do not write to the tables: every commit goes through commit_groups(), which takes the event's row lock first.

CREATE SCHEMA IF NOT EXISTS {schema};

-- One row. A program may use the schema if its own schema version is at least `compatible_with`.
CREATE TABLE {schema}.store (
    singleton                bigint NOT NULL PRIMARY KEY CHECK (singleton = 1),
    schema_version           bigint NOT NULL CHECK (schema_version >= 1),
    compatible_with          bigint NOT NULL CHECK (compatible_with BETWEEN 1 AND schema_version),
    operations_purged_before bigint
);
INSERT INTO {schema}.store VALUES (1, 1, 1, NULL);

-- The rows of `event`, `pool` and `allowance` are written again and again: room for that is left on their pages.
CREATE TABLE {schema}.event (
    event_id               text COLLATE "C" NOT NULL PRIMARY KEY,
    state                  text NOT NULL CHECK (state IN ('preparing', 'on_sale')),
    opens_at               bigint,
    closes_at              bigint,
    limit_per_customer     bigint CHECK (limit_per_customer BETWEEN 0 AND 4294967295),
    version                bigint NOT NULL CHECK (version >= 1),
    decided_at             bigint NOT NULL,
    -- The last position of the change feed, and the last purged one. Neither counts in `version`.
    change_sequence        bigint NOT NULL DEFAULT 0,
    changes_purged_through bigint NOT NULL DEFAULT 0 CHECK (changes_purged_through BETWEEN 0 AND change_sequence)
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE TABLE {schema}.ticket (
    event_id       text COLLATE "C" NOT NULL REFERENCES {schema}.event (event_id),
    ticket_id      text COLLATE "C" NOT NULL,
    area_id        text COLLATE "C" NOT NULL,
    row_rank       bigint NOT NULL CHECK (row_rank BETWEEN 0 AND 4294967295),
    place_number   bigint NOT NULL CHECK (place_number BETWEEN 0 AND 4294967295),
    state          text NOT NULL,
    reservation_id uuid,
    held_until     bigint,
    block_reason   text,
    version        bigint NOT NULL CHECK (version >= 1),
    decided_at     bigint NOT NULL,
    PRIMARY KEY (event_id, ticket_id),
    CONSTRAINT ticket_state_is_consistent CHECK (
        CASE state
            WHEN 'available' THEN reservation_id IS NULL AND held_until IS NULL AND block_reason IS NULL
            WHEN 'held' THEN reservation_id IS NOT NULL AND held_until IS NOT NULL AND block_reason IS NULL
            WHEN 'booked' THEN reservation_id IS NOT NULL AND held_until IS NULL AND block_reason IS NULL
            WHEN 'blocked' THEN reservation_id IS NULL AND held_until IS NULL AND block_reason IS NOT NULL
            ELSE FALSE
        END
    )
) WITH (fillfactor = 70);

-- Only columns that never change: selling a ticket does not touch it.
CREATE INDEX ticket_by_area ON {schema}.ticket (event_id, area_id, ticket_id);

CREATE TABLE {schema}.pool (
    event_id   text COLLATE "C" NOT NULL REFERENCES {schema}.event (event_id),
    pool_id    text COLLATE "C" NOT NULL,
    capacity   bigint NOT NULL CHECK (capacity BETWEEN 0 AND 4294967295),
    held       bigint NOT NULL CHECK (held >= 0),
    booked     bigint NOT NULL CHECK (booked >= 0),
    version    bigint NOT NULL CHECK (version >= 1),
    decided_at bigint NOT NULL,
    PRIMARY KEY (event_id, pool_id),
    CONSTRAINT pool_is_not_oversold CHECK (held + booked <= capacity)
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE TABLE {schema}.allowance (
    event_id    text COLLATE "C" NOT NULL,
    customer_id text COLLATE "C" NOT NULL,
    held        bigint NOT NULL CHECK (held BETWEEN 0 AND 4294967295),
    booked      bigint NOT NULL CHECK (booked BETWEEN 0 AND 4294967295),
    version     bigint NOT NULL CHECK (version >= 1),
    decided_at  bigint NOT NULL,
    PRIMARY KEY (event_id, customer_id)
) WITH (fillfactor = 70);

-- What a reservation consists of never changes: its tickets, its pools, and how many places of each pool.
CREATE TABLE {schema}.reservation (
    reservation_id uuid NOT NULL PRIMARY KEY,
    event_id       text COLLATE "C" NOT NULL,
    customer_id    text COLLATE "C" NOT NULL,
    state          text NOT NULL,
    held_until     bigint,
    held_at        bigint NOT NULL,
    version        bigint NOT NULL CHECK (version >= 1),
    decided_at     bigint NOT NULL,
    tickets        text[],
    pools          text[],
    quantities     bigint[],
    CONSTRAINT reservation_state_is_consistent CHECK (
        CASE state
            WHEN 'held' THEN held_until IS NOT NULL
            WHEN 'booked' THEN held_until IS NULL
            WHEN 'released' THEN held_until IS NULL
            WHEN 'cancelled' THEN held_until IS NULL
            WHEN 'expired' THEN held_until IS NULL
            ELSE FALSE
        END
    ),
    CONSTRAINT reservation_lines_are_consistent CHECK (
        (tickets IS NOT NULL OR pools IS NOT NULL) AND (pools IS NULL) = (quantities IS NULL)
        AND (pools IS NULL OR (cardinality(pools) = cardinality(quantities)
            AND 1 <= ALL (quantities) AND 4294967295 >= ALL (quantities)))
    )
) WITH (fillfactor = 60);

-- Only columns that do not change, but for a transfer: most changes of a reservation stay on its page and touch no index.
CREATE INDEX reservation_by_event ON {schema}.reservation (event_id, reservation_id);
CREATE INDEX reservation_by_customer ON {schema}.reservation (customer_id, event_id, reservation_id);

-- What a held reservation is found by once its deadline is over, as long as it is held: a row for each of its pools, or one
-- without a pool. The first one names the customer too, where the event counts what each customer has.
CREATE TABLE {schema}.hold (
    reservation_id uuid NOT NULL,
    nth            bigint NOT NULL CHECK (nth >= 1),
    event_id       text COLLATE "C" NOT NULL,
    held_until     bigint NOT NULL,
    pool_id        text COLLATE "C",
    quantity       bigint CHECK (quantity BETWEEN 1 AND 4294967295),
    held_by        text COLLATE "C",
    PRIMARY KEY (reservation_id, nth),
    CONSTRAINT hold_is_consistent CHECK (
        (pool_id IS NULL) = (quantity IS NULL) AND (nth = 1 OR (pool_id IS NOT NULL AND held_by IS NULL))
    )
) WITH (autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 1000);

CREATE INDEX hold_by_deadline ON {schema}.hold (held_until) WHERE nth = 1;
CREATE INDEX hold_by_pool ON {schema}.hold (event_id, pool_id, held_until) WHERE pool_id IS NOT NULL;
CREATE INDEX hold_by_customer ON {schema}.hold (event_id, held_by, held_until) WHERE held_by IS NOT NULL;

CREATE TABLE {schema}.operation (
    operation_id   uuid NOT NULL PRIMARY KEY,
    event_id       text COLLATE "C" NOT NULL,
    fingerprint    bytea NOT NULL CHECK (length(fingerprint) = 16),
    kind           text NOT NULL,
    reservation_id uuid,
    customer_id    text,
    held_until     bigint,
    changed        bigint NOT NULL CHECK (changed BETWEEN 0 AND 4294967295),
    version        bigint NOT NULL CHECK (version >= 1),
    decided_at     bigint NOT NULL
);

-- The change feed: every record as a commit left it. A reservation's lines are in three columns: its tickets, its pools, and
-- how many places of each pool.
CREATE TABLE {schema}.change (
    event_id           text COLLATE "C" NOT NULL,
    sequence           bigint NOT NULL CHECK (sequence >= 1),
    decided_at         bigint NOT NULL,
    version            bigint NOT NULL CHECK (version >= 1),
    kind               text NOT NULL CHECK (kind IN ('event', 'ticket', 'pool', 'allowance', 'reservation')),
    state              text,
    ticket_id          text,
    pool_id            text,
    customer_id        text,
    reservation_id     uuid,
    held_until         bigint,
    held_at            bigint,
    tickets            text[],
    pools              text[],
    quantities         bigint[],
    area_id            text,
    row_rank           bigint,
    place_number       bigint,
    block_reason       text,
    capacity           bigint,
    held               bigint,
    booked             bigint,
    opens_at           bigint,
    closes_at          bigint,
    limit_per_customer bigint,
    PRIMARY KEY (event_id, sequence)
);

-- The store's clock.
CREATE FUNCTION {schema}.now_micros() RETURNS bigint LANGUAGE sql VOLATILE PARALLEL SAFE
    AS $$ SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint $$;

-- Ids made before `p_time` sort before this one: the first 48 bits of a UUID of version 7 are its milliseconds (RFC 9562,
-- section 5.7).
CREATE FUNCTION {schema}.first_id_at(p_time bigint) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT (lpad(to_hex((greatest(p_time, 0) + 999) / 1000), 12, '0') || repeat('0', 20))::uuid $$;
