-- Times are microseconds since the Unix epoch, UTC; DATEADD(second, held_until / 1000000, '1970-01-01') shows one. `version`
-- counts the commits that changed a row, from 1; `decided_at` is the decision time of the last of them. Ids are compared byte by
-- byte; CONVERT(char(32), reservation_id, 2) shows a UUID.
--
-- Do not write to the tables: every commit goes through commit_groups, which takes the event's row lock first.

-- What indexes with a condition ask for, of who makes them and of who writes by the procedures below, which keep the first two.
SET ANSI_NULLS ON; SET QUOTED_IDENTIFIER ON; SET ANSI_PADDING ON; SET ANSI_WARNINGS ON; SET ARITHABORT ON;
SET CONCAT_NULL_YIELDS_NULL ON; SET NUMERIC_ROUNDABORT OFF; SET XACT_ABORT ON;
GO
IF SCHEMA_ID({name}) IS NULL EXEC(N'CREATE SCHEMA {schema_in_text}');
GO
-- One row. A program may use the schema if its own schema version is at least `compatible_with`.
CREATE TABLE {schema}.store (
    singleton                bigint NOT NULL PRIMARY KEY CHECK (singleton = 1),
    schema_version           bigint NOT NULL CHECK (schema_version >= 1),
    compatible_with          bigint NOT NULL CHECK (compatible_with >= 1),
    operations_purged_before bigint NULL,
    -- Every id made before `operations_purged_before` sorts before it.
    operations_kept_from     binary(16) NULL,
    CONSTRAINT store_horizon_is_consistent CHECK (
        (operations_purged_before IS NULL AND operations_kept_from IS NULL)
        OR (operations_purged_before IS NOT NULL AND operations_kept_from IS NOT NULL)),
    CONSTRAINT store_is_compatible_with_itself CHECK (compatible_with <= schema_version)
);
INSERT INTO {schema}.store (singleton, schema_version, compatible_with) VALUES (1, 1, 1);

CREATE TABLE {schema}.event (
    event_id               {text} NOT NULL PRIMARY KEY,
    state                  {word} NOT NULL CHECK (state IN (N'preparing', N'on_sale')),
    opens_at               bigint NULL,
    closes_at              bigint NULL,
    limit_per_customer     bigint NULL CHECK (limit_per_customer BETWEEN 0 AND 4294967295),
    version                bigint NOT NULL CHECK (version >= 1),
    decided_at             bigint NOT NULL,
    -- The last position of the change feed, and the last purged one. Neither counts in `version`.
    change_sequence        bigint NOT NULL,
    changes_purged_through bigint NOT NULL CHECK (changes_purged_through >= 0),
    -- How many commits there have been: who reads the same number before and after has read what was true at one moment.
    commits                bigint NOT NULL,
    CONSTRAINT event_feed_is_purged_from_its_start CHECK (changes_purged_through <= change_sequence)
);

CREATE TABLE {schema}.ticket (
    event_id       {text} NOT NULL,
    ticket_id      {text} NOT NULL,
    area_id        {text} NOT NULL,
    row_rank       bigint NOT NULL CHECK (row_rank BETWEEN 0 AND 4294967295),
    place_number   bigint NOT NULL CHECK (place_number BETWEEN 0 AND 4294967295),
    state          {word} NOT NULL,
    reservation_id binary(16) NULL,
    held_until     bigint NULL,
    block_reason   nvarchar(64) NULL,
    version        bigint NOT NULL CHECK (version >= 1),
    decided_at     bigint NOT NULL,
    PRIMARY KEY (event_id, ticket_id),
    CONSTRAINT ticket_state_is_consistent CHECK (
        state = N'available' AND reservation_id IS NULL AND held_until IS NULL AND block_reason IS NULL
        OR state = N'held' AND reservation_id IS NOT NULL AND held_until IS NOT NULL AND block_reason IS NULL
        OR state = N'booked' AND reservation_id IS NOT NULL AND held_until IS NULL AND block_reason IS NULL
        OR state = N'blocked' AND reservation_id IS NULL AND held_until IS NULL AND block_reason IS NOT NULL
    )
);

-- Only columns that never change: selling a ticket does not touch it.
CREATE INDEX ticket_by_area ON {schema}.ticket (event_id, area_id, ticket_id);

CREATE TABLE {schema}.pool (
    event_id   {text} NOT NULL,
    pool_id    {text} NOT NULL,
    capacity   bigint NOT NULL CHECK (capacity BETWEEN 0 AND 4294967295),
    held       bigint NOT NULL CHECK (held >= 0),
    booked     bigint NOT NULL CHECK (booked >= 0),
    version    bigint NOT NULL CHECK (version >= 1),
    decided_at bigint NOT NULL,
    PRIMARY KEY (event_id, pool_id),
    CONSTRAINT pool_is_not_oversold CHECK (held + booked <= capacity)
);

CREATE TABLE {schema}.allowance (
    event_id    {text} NOT NULL,
    customer_id {text} NOT NULL,
    held        bigint NOT NULL CHECK (held BETWEEN 0 AND 4294967295),
    booked      bigint NOT NULL CHECK (booked BETWEEN 0 AND 4294967295),
    version     bigint NOT NULL CHECK (version >= 1),
    decided_at  bigint NOT NULL,
    PRIMARY KEY (event_id, customer_id)
);

CREATE TABLE {schema}.reservation (
    reservation_id binary(16) NOT NULL PRIMARY KEY,
    event_id       {text} NOT NULL,
    customer_id    {text} NOT NULL,
    state          {word} NOT NULL,
    held_until     bigint NULL,
    held_at        bigint NOT NULL,
    version        bigint NOT NULL CHECK (version >= 1),
    decided_at     bigint NOT NULL,
    CONSTRAINT reservation_state_is_consistent CHECK (
        state = N'held' AND held_until IS NOT NULL
        OR state IN (N'booked', N'released', N'cancelled', N'expired') AND held_until IS NULL
    )
);

CREATE INDEX reservation_by_event ON {schema}.reservation (event_id, reservation_id);
CREATE INDEX reservation_by_customer ON {schema}.reservation (customer_id, event_id, reservation_id);
-- Of those that are held, whose entries go when they are not any more.
CREATE INDEX reservation_held_by_customer ON {schema}.reservation (event_id, customer_id, held_until)
    WHERE held_until IS NOT NULL;
CREATE INDEX reservation_by_deadline ON {schema}.reservation (held_until) INCLUDE (event_id) WHERE held_until IS NOT NULL;

-- What a reservation consists of, in order; never changes, except that the deadline of a hold is repeated in its pool lines for
-- as long as it counts in the pool.
CREATE TABLE {schema}.reservation_line (
    reservation_id binary(16) NOT NULL,
    line           bigint NOT NULL CHECK (line >= 1),
    event_id       {text} NOT NULL,
    ticket_id      {text} NULL,
    pool_id        {text} NULL,
    quantity       bigint NOT NULL CHECK (quantity BETWEEN 1 AND 4294967295),
    held_until     bigint NULL,
    PRIMARY KEY (reservation_id, line),
    CONSTRAINT line_is_ticket_or_pool CHECK (
        ticket_id IS NOT NULL AND pool_id IS NULL AND quantity = 1 AND held_until IS NULL
        OR ticket_id IS NULL AND pool_id IS NOT NULL
    )
);

CREATE INDEX reservation_line_held_in_pool ON {schema}.reservation_line (event_id, pool_id, held_until)
    INCLUDE (quantity) WHERE held_until IS NOT NULL;

CREATE TABLE {schema}.operation (
    operation_id   binary(16) NOT NULL PRIMARY KEY,
    event_id       {text} NOT NULL,
    fingerprint    binary(16) NOT NULL,
    kind           {word} NOT NULL,
    reservation_id binary(16) NULL,
    customer_id    nvarchar(64) NULL,
    held_until     bigint NULL,
    changed        bigint NOT NULL CHECK (changed BETWEEN 0 AND 4294967295),
    version        bigint NOT NULL CHECK (version >= 1),
    decided_at     bigint NOT NULL
);

-- The change feed: every record as a commit left it. A reservation's lines are in three columns, each a JSON array: its tickets,
-- its pools, and how many places of each pool.
CREATE TABLE {schema}.change (
    event_id           {text} NOT NULL,
    sequence           bigint NOT NULL CHECK (sequence >= 1),
    decided_at         bigint NOT NULL,
    version            bigint NOT NULL CHECK (version >= 1),
    kind               {word} NOT NULL CHECK (kind IN (N'event', N'ticket', N'pool', N'allowance', N'reservation')),
    state              {word} NULL,
    ticket_id          nvarchar(64) NULL,
    pool_id            nvarchar(64) NULL,
    customer_id        nvarchar(64) NULL,
    reservation_id     binary(16) NULL,
    held_until         bigint NULL,
    held_at            bigint NULL,
    tickets            nvarchar(max) NULL,
    pools              nvarchar(max) NULL,
    quantities         nvarchar(max) NULL,
    area_id            nvarchar(64) NULL,
    row_rank           bigint NULL,
    place_number       bigint NULL,
    block_reason       nvarchar(64) NULL,
    capacity           bigint NULL,
    held               bigint NULL,
    booked             bigint NULL,
    opens_at           bigint NULL,
    closes_at          bigint NULL,
    limit_per_customer bigint NULL,
    PRIMARY KEY (event_id, sequence)
);
