-- Writes groups of records of one event, each whole or not at all, and answers with the numbers of the checks that failed: a
-- group with such a check is not written. After that comes a last row, without which nothing is known.
--
-- Rows come as JSON arrays of arrays, in the order of the columns below; UUIDs are what has their bytes when it is cast. `@feed`
-- has for each group how many rows it appends to the change feed, in the order of which `nth` counts from 1. No statement writes
-- more rows of a table than are of one `part`, so that their locks do not become one of the whole table.
--
-- The event's row is written first, and every commit of the event waits there: whatever is compared after that stays true until
-- the end, and the feed's order is the order of commits. The writes repeat the versions all the same. No lock hint matters.
-- A pool with a shift is moved by it on top of what others have made of it, if its places are enough.
CREATE PROCEDURE {schema}.commit_groups
    @event nvarchar(64), @parts int, @feed nvarchar(max), @checks nvarchar(max), @events nvarchar(max), @tickets nvarchar(max),
    @pools nvarchar(max), @allowances nvarchar(max), @reservations nvarchar(max), @lines nvarchar(max),
    @operations nvarchar(max)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    DECLARE @part int = 0, @found bigint, @rows bigint, @expected bigint, @locked int, @kept_from binary(16);
    DECLARE @version bigint = 0, @first bigint = 0, @last bigint = 0, @resource nvarchar(255);
    -- The groups: whether they are left out, and after which position of the feed their rows come.
    DECLARE @g TABLE (grp int NOT NULL PRIMARY KEY, appends bigint NOT NULL, is_out bit NOT NULL, after bigint NOT NULL);
    -- The checks: a record's kind, its key, and the version that was read, 0 for absent; of a pool that the group only counts in, by
    -- how much it moves the counters.
    DECLARE @k TABLE (
        no int NOT NULL PRIMARY KEY, grp int NOT NULL, kind {word} NOT NULL, id {text} NULL, uid binary(16) NULL,
        version bigint NOT NULL, by_held bigint NULL, by_booked bigint NULL
    );
    DECLARE @stale TABLE (no int NOT NULL PRIMARY KEY);
    DECLARE @e TABLE (
        part int NOT NULL, grp int NOT NULL, nth bigint NOT NULL, version bigint NOT NULL, at bigint NOT NULL,
        state {word} NOT NULL, opens_at bigint NULL, closes_at bigint NULL, limit_per_customer bigint NULL
    );
    DECLARE @t TABLE (
        part int NOT NULL, grp int NOT NULL, nth bigint NOT NULL, version bigint NOT NULL, at bigint NOT NULL,
        id {text} NOT NULL, area_id {text} NOT NULL, row_rank bigint NOT NULL, place_number bigint NOT NULL,
        state {word} NOT NULL, reservation_id binary(16) NULL, held_until bigint NULL, block_reason nvarchar(64) NULL,
        PRIMARY KEY (part, id)
    );
    DECLARE @p TABLE (
        part int NOT NULL, grp int NOT NULL, nth bigint NOT NULL, version bigint NOT NULL, at bigint NOT NULL,
        id {text} NOT NULL, capacity bigint NOT NULL, held bigint NOT NULL, booked bigint NOT NULL,
        -- By how much the group moves the counters, if it only counts.
        by_held bigint NULL, by_booked bigint NULL, PRIMARY KEY (part, id)
    );
    DECLARE @a TABLE (
        part int NOT NULL, grp int NOT NULL, nth bigint NOT NULL, version bigint NOT NULL, at bigint NOT NULL,
        id {text} NOT NULL, held bigint NOT NULL, booked bigint NOT NULL, PRIMARY KEY (part, id)
    );
    DECLARE @r TABLE (
        part int NOT NULL, grp int NOT NULL, nth bigint NOT NULL, version bigint NOT NULL, at bigint NOT NULL,
        id binary(16) NOT NULL, customer_id {text} NOT NULL, state {word} NOT NULL, held_until bigint NULL,
        held_at bigint NOT NULL, tickets nvarchar(max) NULL, pools nvarchar(max) NULL, quantities nvarchar(max) NULL,
        PRIMARY KEY (part, id)
    );
    -- The lines of those reservations.
    DECLARE @l TABLE (
        part int NOT NULL, grp int NOT NULL, reservation_id binary(16) NOT NULL, line bigint NOT NULL, ticket_id {text} NULL,
        pool_id {text} NULL, quantity bigint NOT NULL, held_until bigint NULL, is_new bit NOT NULL,
        PRIMARY KEY (part, reservation_id, line)
    );
    DECLARE @o TABLE (
        part int NOT NULL, grp int NOT NULL, at bigint NOT NULL, id binary(16) NOT NULL, fingerprint binary(16) NOT NULL,
        kind {word} NOT NULL, reservation_id binary(16) NULL, customer_id nvarchar(64) NULL, held_until bigint NULL,
        changed bigint NOT NULL, PRIMARY KEY (part, id)
    );

    -- Inside another transaction its end would be no commit.
    IF @@TRANCOUNT <> 0 THROW 52003, N'commit_groups is a transaction of its own', 1;
    -- All of it is read before anything is locked.
    INSERT INTO @g (grp, appends, is_out, after)
        SELECT CAST(j.[key] AS int), CAST(j.value AS bigint), 0, 0 FROM OPENJSON(@feed) AS j;
    INSERT INTO @k (no, grp, kind, id, uid, version, by_held, by_booked)
        SELECT j.no, j.grp, j.kind, j.id, CAST(j.uid AS binary(16)), j.version, j.by_held, j.by_booked
        FROM OPENJSON(@checks) WITH (
            no int '$[0]', grp int '$[1]', kind nvarchar(32) '$[2]', id nvarchar(64) '$[3]', uid uniqueidentifier '$[4]',
            version bigint '$[5]', by_held bigint '$[6]', by_booked bigint '$[7]') AS j;
    IF @events <> N'[]'
        INSERT INTO @e (part, grp, nth, version, at, state, opens_at, closes_at, limit_per_customer)
            SELECT j.part, j.grp, j.nth, j.version, j.at, j.state, j.opens_at, j.closes_at, j.limit_per_customer
            FROM OPENJSON(@events) WITH (
                part int '$[0]', grp int '$[1]', nth bigint '$[2]', version bigint '$[3]', at bigint '$[4]',
                state nvarchar(32) '$[5]', opens_at bigint '$[6]', closes_at bigint '$[7]',
                limit_per_customer bigint '$[8]') AS j;
    IF @tickets <> N'[]'
        INSERT INTO @t (part, grp, nth, version, at, id, area_id, row_rank, place_number, state, reservation_id, held_until,
                block_reason)
            SELECT j.part, j.grp, j.nth, j.version, j.at, j.id, j.area_id, j.row_rank, j.place_number, j.state,
                CAST(j.reservation_id AS binary(16)), j.held_until, j.block_reason
            FROM OPENJSON(@tickets) WITH (
                part int '$[0]', grp int '$[1]', nth bigint '$[2]', version bigint '$[3]', at bigint '$[4]',
                id nvarchar(64) '$[5]', area_id nvarchar(64) '$[6]', row_rank bigint '$[7]', place_number bigint '$[8]',
                state nvarchar(32) '$[9]', reservation_id uniqueidentifier '$[10]', held_until bigint '$[11]',
                block_reason nvarchar(64) '$[12]') AS j;
    IF @pools <> N'[]'
        INSERT INTO @p (part, grp, nth, version, at, id, capacity, held, booked, by_held, by_booked)
            SELECT j.part, j.grp, j.nth, j.version, j.at, j.id, j.capacity, j.held, j.booked, j.by_held, j.by_booked
            FROM OPENJSON(@pools) WITH (
                part int '$[0]', grp int '$[1]', nth bigint '$[2]', version bigint '$[3]', at bigint '$[4]',
                id nvarchar(64) '$[5]', capacity bigint '$[6]', held bigint '$[7]', booked bigint '$[8]',
                by_held bigint '$[9]', by_booked bigint '$[10]') AS j;
    IF @allowances <> N'[]'
        INSERT INTO @a (part, grp, nth, version, at, id, held, booked)
            SELECT j.part, j.grp, j.nth, j.version, j.at, j.id, j.held, j.booked
            FROM OPENJSON(@allowances) WITH (
                part int '$[0]', grp int '$[1]', nth bigint '$[2]', version bigint '$[3]', at bigint '$[4]',
                id nvarchar(64) '$[5]', held bigint '$[6]', booked bigint '$[7]') AS j;
    IF @reservations <> N'[]'
        INSERT INTO @r (part, grp, nth, version, at, id, customer_id, state, held_until, held_at, tickets, pools, quantities)
            SELECT j.part, j.grp, j.nth, j.version, j.at, CAST(j.id AS binary(16)), j.customer_id, j.state, j.held_until,
                j.held_at, j.tickets, j.pools, j.quantities
            FROM OPENJSON(@reservations) WITH (
                part int '$[0]', grp int '$[1]', nth bigint '$[2]', version bigint '$[3]', at bigint '$[4]',
                id uniqueidentifier '$[5]', customer_id nvarchar(64) '$[6]', state nvarchar(32) '$[7]', held_until bigint '$[8]',
                held_at bigint '$[9]', tickets nvarchar(max) '$[10]' AS JSON, pools nvarchar(max) '$[11]' AS JSON,
                quantities nvarchar(max) '$[12]' AS JSON) AS j;
    IF @lines <> N'[]'
        INSERT INTO @l (part, grp, reservation_id, line, ticket_id, pool_id, quantity, held_until, is_new)
            SELECT j.part, j.grp, CAST(j.reservation_id AS binary(16)), j.line, j.ticket_id, j.pool_id, j.quantity,
                j.held_until, j.is_new
            FROM OPENJSON(@lines) WITH (
                part int '$[0]', grp int '$[1]', reservation_id uniqueidentifier '$[2]', line bigint '$[3]',
                ticket_id nvarchar(64) '$[4]', pool_id nvarchar(64) '$[5]', quantity bigint '$[6]', held_until bigint '$[7]',
                is_new bit '$[8]') AS j;
    IF @operations <> N'[]'
        INSERT INTO @o (part, grp, at, id, fingerprint, kind, reservation_id, customer_id, held_until, changed)
            SELECT j.part, j.grp, j.at, CAST(j.id AS binary(16)), CAST(j.fingerprint AS binary(16)), j.kind,
                CAST(j.reservation_id AS binary(16)), j.customer_id, j.held_until, j.changed
            FROM OPENJSON(@operations) WITH (
                part int '$[0]', grp int '$[1]', at bigint '$[2]', id uniqueidentifier '$[3]', fingerprint uniqueidentifier '$[4]',
                kind nvarchar(32) '$[5]', reservation_id uniqueidentifier '$[6]', customer_id nvarchar(64) '$[7]',
                held_until bigint '$[8]', changed bigint '$[9]') AS j;

    BEGIN TRANSACTION;
    UPDATE {schema}.event SET commits = commits + 1 WHERE event_id = {event};
    SET @found = @@ROWCOUNT;
    IF @found = 0
    BEGIN
        -- There is no row to lock: who comes without one waits for the others who do, and looks again.
        SET @resource = {resource};
        EXEC @locked = sp_getapplock @Resource = @resource, @LockMode = 'Exclusive', @LockOwner = 'Transaction';
        IF @locked < 0 THROW 52004, N'the lock for a new event was not free in time', 1;
        UPDATE {schema}.event SET commits = commits + 1 WHERE event_id = {event};
        SET @found = @@ROWCOUNT;
    END;
    IF @found = 1
        SELECT @version = x.version, @first = x.change_sequence FROM {schema}.event AS x WHERE x.event_id = {event};

    -- Checks.
    INSERT INTO @stale (no) SELECT k.no FROM @k AS k WHERE k.kind = N'event' AND k.version <> @version;
    IF EXISTS (SELECT 1 FROM @k WHERE kind = N'ticket')
        INSERT INTO @stale (no)
            SELECT k.no FROM @k AS k LEFT JOIN {schema}.ticket AS x ON x.event_id = {event} AND x.ticket_id = k.id
            WHERE k.kind = N'ticket' AND COALESCE(x.version, 0) <> k.version {loops};
    IF EXISTS (SELECT 1 FROM @k WHERE kind = N'pool')
        INSERT INTO @stale (no)
            SELECT k.no FROM @k AS k LEFT JOIN {schema}.pool AS x ON x.event_id = {event} AND x.pool_id = k.id
            WHERE k.kind = N'pool' AND COALESCE(x.version, 0) <> k.version
                AND NOT (x.version IS NOT NULL AND k.by_held IS NOT NULL AND x.held + k.by_held >= 0
                    AND x.booked + k.by_booked >= 0 AND x.held + k.by_held + x.booked + k.by_booked <= x.capacity) {loops};
    IF EXISTS (SELECT 1 FROM @k WHERE kind = N'allowance')
        INSERT INTO @stale (no)
            SELECT k.no FROM @k AS k LEFT JOIN {schema}.allowance AS x ON x.event_id = {event} AND x.customer_id = k.id
            WHERE k.kind = N'allowance' AND COALESCE(x.version, 0) <> k.version {loops};
    IF EXISTS (SELECT 1 FROM @k WHERE kind = N'reservation')
    BEGIN
        -- Reservations are named across events: another event's are kept as they are until the end.
        UPDATE x SET version = x.version FROM @k AS k INNER JOIN {schema}.reservation AS x ON x.reservation_id = k.uid
            WHERE k.kind = N'reservation' AND x.event_id <> {event} {loops};
        INSERT INTO @stale (no)
            SELECT k.no FROM @k AS k LEFT JOIN {schema}.reservation AS x ON x.reservation_id = k.uid
            WHERE k.kind = N'reservation' AND COALESCE(x.version, 0) <> k.version {loops};
    END;
    IF EXISTS (SELECT 1 FROM @k WHERE kind = N'operation')
        INSERT INTO @stale (no)
            SELECT k.no FROM @k AS k LEFT JOIN {schema}.operation AS x ON x.operation_id = k.uid
            WHERE k.kind = N'operation' AND COALESCE(x.version, 0) <> k.version {loops};
    -- Once an operation may have been purged it is not written any more.
    SELECT @kept_from = s.operations_kept_from FROM {schema}.store AS s;
    IF EXISTS (SELECT 1 FROM @o AS w WHERE w.id < @kept_from)
        INSERT INTO @stale (no)
            SELECT k.no FROM @k AS k INNER JOIN @o AS w ON w.grp = k.grp AND w.id = k.uid
            WHERE k.kind = N'operation' AND k.uid < @kept_from
                AND NOT EXISTS (SELECT 1 FROM @stale AS s WHERE s.no = k.no);
    IF EXISTS (SELECT 1 FROM @stale)
    BEGIN
        UPDATE @g SET is_out = 1 WHERE grp IN (SELECT k.grp FROM @k AS k INNER JOIN @stale AS s ON s.no = k.no);
        IF NOT EXISTS (SELECT 1 FROM @g WHERE is_out = 0)
        BEGIN
            -- Nothing is left to be written, and others wait.
            ROLLBACK TRANSACTION;
            SELECT N'stale' AS kind, s.no FROM @stale AS s;
            SELECT N'end' AS kind;
            RETURN;
        END;
        DELETE FROM @e WHERE grp IN (SELECT g.grp FROM @g AS g WHERE g.is_out = 1);
        DELETE FROM @t WHERE grp IN (SELECT g.grp FROM @g AS g WHERE g.is_out = 1);
        DELETE FROM @p WHERE grp IN (SELECT g.grp FROM @g AS g WHERE g.is_out = 1);
        DELETE FROM @a WHERE grp IN (SELECT g.grp FROM @g AS g WHERE g.is_out = 1);
        DELETE FROM @r WHERE grp IN (SELECT g.grp FROM @g AS g WHERE g.is_out = 1);
        DELETE FROM @l WHERE grp IN (SELECT g.grp FROM @g AS g WHERE g.is_out = 1);
        DELETE FROM @o WHERE grp IN (SELECT g.grp FROM @g AS g WHERE g.is_out = 1);
    END;

    -- Pools in which others have counted meanwhile: it is counted on.
    IF EXISTS (SELECT 1 FROM @p AS w WHERE w.by_held IS NOT NULL)
        UPDATE w SET capacity = x.capacity, held = x.held + w.by_held, booked = x.booked + w.by_booked, version = x.version,
                at = CASE WHEN x.decided_at > w.at THEN x.decided_at ELSE w.at END
            FROM @p AS w INNER JOIN {schema}.pool AS x ON x.event_id = {event} AND x.pool_id = w.id
            WHERE w.by_held IS NOT NULL AND x.version <> w.version {loops};

    -- Positions of the feed.
    SELECT @last = @first + COALESCE(SUM(g.appends), 0) FROM @g AS g WHERE g.is_out = 0;
    UPDATE g SET after = @first + h.before FROM @g AS g INNER JOIN (
        SELECT x.grp, SUM(x.appends) OVER (ORDER BY x.grp ROWS UNBOUNDED PRECEDING) - x.appends AS before
        FROM @g AS x WHERE x.is_out = 0
    ) AS h ON h.grp = g.grp;

    -- The event, before what refers to it.
    IF EXISTS (SELECT 1 FROM @e)
    BEGIN
        INSERT INTO {schema}.event (event_id, state, opens_at, closes_at, limit_per_customer, version, decided_at,
                change_sequence, changes_purged_through, commits)
            SELECT {event}, w.state, w.opens_at, w.closes_at, w.limit_per_customer, 1, w.at, 0, 0, 1
            FROM @e AS w WHERE w.version = 0;
        SET @rows = @@ROWCOUNT;
        UPDATE x SET state = w.state, opens_at = w.opens_at, closes_at = w.closes_at,
                limit_per_customer = w.limit_per_customer, version = w.version + 1, decided_at = w.at
            FROM @e AS w INNER JOIN {schema}.event AS x ON x.event_id = {event} AND x.version = w.version
            WHERE w.version > 0;
        SET @rows = @rows + @@ROWCOUNT;
        SELECT @expected = COUNT_BIG(*) FROM @e;
        IF @rows <> @expected THROW 52002, N'an event is not as its check saw it', 1;
        INSERT INTO {schema}.change (event_id, sequence, decided_at, version, kind, state, opens_at, closes_at,
                limit_per_customer)
            SELECT {event}, g.after + w.nth, w.at, w.version + 1, N'event', w.state, w.opens_at, w.closes_at,
                w.limit_per_customer
            FROM @e AS w INNER JOIN @g AS g ON g.grp = w.grp;
    END;

    WHILE @part < @parts
    BEGIN
        IF EXISTS (SELECT 1 FROM @t WHERE part = @part)
        BEGIN
            INSERT INTO {schema}.ticket (event_id, ticket_id, area_id, row_rank, place_number, state, reservation_id,
                    held_until, block_reason, version, decided_at)
                SELECT {event}, w.id, w.area_id, w.row_rank, w.place_number, w.state, w.reservation_id, w.held_until,
                    w.block_reason, 1, w.at
                FROM @t AS w WHERE w.part = @part AND w.version = 0;
            SET @rows = @@ROWCOUNT;
            -- The place is repeated in the condition: it never changes, and is not written again.
            UPDATE x SET state = w.state, reservation_id = w.reservation_id, held_until = w.held_until,
                    block_reason = w.block_reason, version = w.version + 1, decided_at = w.at
                FROM @t AS w INNER JOIN {schema}.ticket AS x ON x.event_id = {event} AND x.ticket_id = w.id
                    AND x.version = w.version AND x.area_id = w.area_id AND x.row_rank = w.row_rank
                    AND x.place_number = w.place_number
                WHERE w.part = @part AND w.version > 0 {loops};
            SET @rows = @rows + @@ROWCOUNT;
            SELECT @expected = COUNT_BIG(*) FROM @t WHERE part = @part;
            IF @rows <> @expected THROW 52002, N'a ticket is not as its check saw it', 1;
            INSERT INTO {schema}.change (event_id, sequence, decided_at, version, kind, ticket_id, area_id, row_rank,
                    place_number, state, reservation_id, held_until, block_reason)
                SELECT {event}, g.after + w.nth, w.at, w.version + 1, N'ticket', w.id, w.area_id, w.row_rank, w.place_number,
                    w.state, w.reservation_id, w.held_until, w.block_reason
                FROM @t AS w INNER JOIN @g AS g ON g.grp = w.grp WHERE w.part = @part;
        END;

        IF EXISTS (SELECT 1 FROM @p WHERE part = @part)
        BEGIN
            INSERT INTO {schema}.pool (event_id, pool_id, capacity, held, booked, version, decided_at)
                SELECT {event}, w.id, w.capacity, w.held, w.booked, 1, w.at
                FROM @p AS w WHERE w.part = @part AND w.version = 0;
            SET @rows = @@ROWCOUNT;
            UPDATE x SET capacity = w.capacity, held = w.held, booked = w.booked, version = w.version + 1, decided_at = w.at
                FROM @p AS w INNER JOIN {schema}.pool AS x ON x.event_id = {event} AND x.pool_id = w.id
                    AND x.version = w.version
                WHERE w.part = @part AND w.version > 0 {loops};
            SET @rows = @rows + @@ROWCOUNT;
            SELECT @expected = COUNT_BIG(*) FROM @p WHERE part = @part;
            IF @rows <> @expected THROW 52002, N'a pool is not as its check saw it', 1;
            INSERT INTO {schema}.change (event_id, sequence, decided_at, version, kind, pool_id, capacity, held, booked)
                SELECT {event}, g.after + w.nth, w.at, w.version + 1, N'pool', w.id, w.capacity, w.held, w.booked
                FROM @p AS w INNER JOIN @g AS g ON g.grp = w.grp WHERE w.part = @part;
        END;

        IF EXISTS (SELECT 1 FROM @a WHERE part = @part)
        BEGIN
            INSERT INTO {schema}.allowance (event_id, customer_id, held, booked, version, decided_at)
                SELECT {event}, w.id, w.held, w.booked, 1, w.at FROM @a AS w WHERE w.part = @part AND w.version = 0;
            SET @rows = @@ROWCOUNT;
            UPDATE x SET held = w.held, booked = w.booked, version = w.version + 1, decided_at = w.at
                FROM @a AS w INNER JOIN {schema}.allowance AS x ON x.event_id = {event} AND x.customer_id = w.id
                    AND x.version = w.version
                WHERE w.part = @part AND w.version > 0 {loops};
            SET @rows = @rows + @@ROWCOUNT;
            SELECT @expected = COUNT_BIG(*) FROM @a WHERE part = @part;
            IF @rows <> @expected THROW 52002, N'an allowance is not as its check saw it', 1;
            INSERT INTO {schema}.change (event_id, sequence, decided_at, version, kind, customer_id, held, booked)
                SELECT {event}, g.after + w.nth, w.at, w.version + 1, N'allowance', w.id, w.held, w.booked
                FROM @a AS w INNER JOIN @g AS g ON g.grp = w.grp WHERE w.part = @part;
        END;

        IF EXISTS (SELECT 1 FROM @r WHERE part = @part)
        BEGIN
            INSERT INTO {schema}.reservation (reservation_id, event_id, customer_id, state, held_until, held_at, version,
                    decided_at)
                SELECT w.id, {event}, w.customer_id, w.state, w.held_until, w.held_at, 1, w.at
                FROM @r AS w WHERE w.part = @part AND w.version = 0;
            SET @rows = @@ROWCOUNT;
            UPDATE x SET customer_id = w.customer_id, state = w.state, held_until = w.held_until, held_at = w.held_at,
                    version = w.version + 1, decided_at = w.at
                FROM @r AS w INNER JOIN {schema}.reservation AS x ON x.reservation_id = w.id AND x.version = w.version
                    AND x.event_id = {event}
                WHERE w.part = @part AND w.version > 0 {loops};
            SET @rows = @rows + @@ROWCOUNT;
            SELECT @expected = COUNT_BIG(*) FROM @r WHERE part = @part;
            IF @rows <> @expected THROW 52002, N'a reservation is not as its check saw it', 1;
            INSERT INTO {schema}.change (event_id, sequence, decided_at, version, kind, reservation_id, customer_id, state,
                    held_until, held_at, tickets, pools, quantities)
                SELECT {event}, g.after + w.nth, w.at, w.version + 1, N'reservation', w.id, w.customer_id, w.state,
                    w.held_until, w.held_at, w.tickets, w.pools, w.quantities
                FROM @r AS w INNER JOIN @g AS g ON g.grp = w.grp WHERE w.part = @part;
        END;

        IF EXISTS (SELECT 1 FROM @l WHERE part = @part)
        BEGIN
            INSERT INTO {schema}.reservation_line (reservation_id, line, event_id, ticket_id, pool_id, quantity, held_until)
                SELECT w.reservation_id, w.line, {event}, w.ticket_id, w.pool_id, w.quantity, w.held_until
                FROM @l AS w WHERE w.part = @part AND w.is_new = 1;
            UPDATE x SET held_until = w.held_until
                FROM @l AS w INNER JOIN {schema}.reservation_line AS x ON x.reservation_id = w.reservation_id
                    AND x.line = w.line
                WHERE w.part = @part AND w.is_new = 0 AND (x.held_until IS NOT NULL OR w.held_until IS NOT NULL) {loops};
        END;

        IF EXISTS (SELECT 1 FROM @o WHERE part = @part)
        BEGIN
            INSERT INTO {schema}.operation (operation_id, event_id, fingerprint, kind, reservation_id, customer_id, held_until,
                    changed, version, decided_at)
                SELECT w.id, {event}, w.fingerprint, w.kind, w.reservation_id, w.customer_id, w.held_until, w.changed, 1, w.at
                FROM @o AS w WHERE w.part = @part;
            -- Read after the rows are in: the insertion has waited for any purge that was deleting one of these ids, and the
            -- horizon of that purge was committed with the deletion.
            SELECT @kept_from = s.operations_kept_from FROM {schema}.store AS s;
            IF EXISTS (SELECT 1 FROM @o AS w WHERE w.part = @part AND w.id < @kept_from)
                THROW 52001, N'an operation was purged meanwhile', 1;
        END;
        SET @part = @part + 1;
    END;

    IF @last > @first
    BEGIN
        UPDATE {schema}.event SET change_sequence = @last WHERE event_id = {event} AND change_sequence = @first;
        SET @rows = @@ROWCOUNT;
        IF @rows <> 1 THROW 52002, N'the counter of the change feed was not where it was', 1;
    END;
    -- What follows the commit must not be able to fail.
    SELECT N'stale' AS kind, s.no FROM @stale AS s;
    COMMIT TRANSACTION;
    SELECT N'end' AS kind;
END
