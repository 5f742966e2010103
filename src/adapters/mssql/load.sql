-- Reads records of one event and what deciding needs next. Keys come as JSON arrays; UUIDs are what has their bytes when it is
-- cast. Every row says what kind it is, and has the columns of its table.
--
-- All that is of the event was true at one moment: while its row is locked for reading, no commit of the event ends. Where that
-- lock is not taken, the first and the last row tell different numbers of commits, and the caller asks again, with `@is_alone`,
-- which keeps commits away by a write.
CREATE PROCEDURE {schema}.load_records
    @event nvarchar(64), @is_alone bit, @lapsed_max bigint, @tickets nvarchar(max), @pools nvarchar(max),
    @customers nvarchar(max), @reservations nvarchar(max), @operations nvarchar(max), @free_in nvarchar(max)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    DECLARE @now bigint, @purged_before bigint, @is_limited bit = 0, @round int = 1;
    DECLARE @commits bigint = -1, @ended_commits bigint = -1;
    DECLARE @t TABLE (id {text} NOT NULL PRIMARY KEY);
    DECLARE @p TABLE (id {text} NOT NULL PRIMARY KEY, round int NOT NULL);
    DECLARE @c TABLE (id {text} NOT NULL PRIMARY KEY, round int NOT NULL);
    DECLARE @r TABLE (id binary(16) NOT NULL PRIMARY KEY);
    DECLARE @o TABLE (id binary(16) NOT NULL PRIMARY KEY);
    DECLARE @f TABLE (id {text} NOT NULL PRIMARY KEY);
    -- Which expired holds count in what.
    DECLARE @l TABLE (
        round int NOT NULL, kind {word} NOT NULL, id {text} NOT NULL, reservation_id binary(16) NOT NULL,
        held_until bigint NOT NULL
    );
    -- What may be long is sent when nothing is locked any more: who reads slowly keeps nobody from buying.
    DECLARE @found_t TABLE (
        kind {word} NOT NULL, ticket_id {text} NOT NULL, area_id {text} NOT NULL, row_rank bigint NOT NULL,
        place_number bigint NOT NULL, state {word} NOT NULL, reservation_id binary(16) NULL, held_until bigint NULL,
        block_reason nvarchar(64) NULL, version bigint NOT NULL, decided_at bigint NOT NULL
    );
    DECLARE @found_r TABLE (
        reservation_id binary(16) NOT NULL, event_id {text} NOT NULL, customer_id {text} NOT NULL, state {word} NOT NULL,
        held_until bigint NULL, held_at bigint NOT NULL, version bigint NOT NULL, decided_at bigint NOT NULL
    );
    DECLARE @found_l TABLE (
        reservation_id binary(16) NOT NULL, line bigint NOT NULL, ticket_id {text} NULL, pool_id {text} NULL,
        quantity bigint NOT NULL, PRIMARY KEY (reservation_id, line)
    );
    DECLARE @found_o TABLE (
        operation_id binary(16) NOT NULL, event_id {text} NOT NULL, fingerprint binary(16) NOT NULL, kind {word} NOT NULL,
        reservation_id binary(16) NULL, customer_id nvarchar(64) NULL, held_until bigint NULL, changed bigint NOT NULL,
        version bigint NOT NULL, decided_at bigint NOT NULL
    );
    DECLARE @found_e TABLE (
        state {word} NOT NULL, opens_at bigint NULL, closes_at bigint NULL, limit_per_customer bigint NULL,
        version bigint NOT NULL, decided_at bigint NOT NULL
    );
    DECLARE @found_p TABLE (
        pool_id {text} NOT NULL, capacity bigint NOT NULL, held bigint NOT NULL, booked bigint NOT NULL,
        version bigint NOT NULL, decided_at bigint NOT NULL
    );
    DECLARE @found_a TABLE (
        customer_id {text} NOT NULL, held bigint NOT NULL, booked bigint NOT NULL, version bigint NOT NULL,
        decided_at bigint NOT NULL
    );
    -- Inside another transaction, or without its locks, it would not be what it is.
    IF @@TRANCOUNT <> 0 THROW 52003, N'load_records is a transaction of its own', 1;
    INSERT INTO @t (id) SELECT j.value FROM OPENJSON(@tickets) AS j;
    INSERT INTO @p (id, round) SELECT j.value, 1 FROM OPENJSON(@pools) AS j;
    INSERT INTO @c (id, round) SELECT j.value, 1 FROM OPENJSON(@customers) AS j;
    INSERT INTO @r (id) SELECT CAST(CAST(j.value AS uniqueidentifier) AS binary(16)) FROM OPENJSON(@reservations) AS j;
    INSERT INTO @o (id) SELECT CAST(CAST(j.value AS uniqueidentifier) AS binary(16)) FROM OPENJSON(@operations) AS j;
    INSERT INTO @f (id) SELECT j.value FROM OPENJSON(@free_in) AS j;

    BEGIN TRANSACTION;
    IF @is_alone = 1
        UPDATE {schema}.event SET commits = commits WHERE event_id = {event};
    SELECT @commits = e.commits, @is_limited = CASE WHEN e.limit_per_customer IS NULL THEN 0 ELSE 1 END
        FROM {schema}.event AS e WITH (REPEATABLEREAD) WHERE e.event_id = {event};
    SET @now = {now};
    INSERT INTO @found_e (state, opens_at, closes_at, limit_per_customer, version, decided_at)
        SELECT x.state, x.opens_at, x.closes_at, x.limit_per_customer, x.version, x.decided_at
        FROM {schema}.event AS x WHERE x.event_id = {event};

    IF EXISTS (SELECT 1 FROM @o)
    BEGIN
        INSERT INTO @found_o (operation_id, event_id, fingerprint, kind, reservation_id, customer_id, held_until, changed,
                version, decided_at)
            SELECT x.operation_id, x.event_id, x.fingerprint, x.kind, x.reservation_id, x.customer_id, x.held_until,
                x.changed, x.version, x.decided_at
            FROM @o AS w INNER JOIN {schema}.operation AS x ON x.operation_id = w.id {loops};
        INSERT INTO @r (id)
            SELECT DISTINCT x.reservation_id FROM @found_o AS x
            WHERE x.reservation_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM @r AS r WHERE r.id = x.reservation_id);
    END;

    -- With a reservation of this event: its tickets, its pools, and what its customer has taken.
    IF EXISTS (SELECT 1 FROM @r)
    BEGIN
        INSERT INTO @t (id)
            SELECT DISTINCT x.ticket_id FROM @r AS w INNER JOIN {schema}.reservation_line AS x ON x.reservation_id = w.id
            WHERE x.event_id = {event} AND x.ticket_id IS NOT NULL
                AND NOT EXISTS (SELECT 1 FROM @t AS t WHERE t.id = x.ticket_id) {loops};
        INSERT INTO @p (id, round)
            SELECT DISTINCT x.pool_id, 1 FROM @r AS w INNER JOIN {schema}.reservation_line AS x ON x.reservation_id = w.id
            WHERE x.event_id = {event} AND x.pool_id IS NOT NULL
                AND NOT EXISTS (SELECT 1 FROM @p AS p WHERE p.id = x.pool_id) {loops};
        IF @is_limited = 1
            INSERT INTO @c (id, round)
                SELECT DISTINCT x.customer_id, 1 FROM @r AS w INNER JOIN {schema}.reservation AS x ON x.reservation_id = w.id
                WHERE x.event_id = {event} AND NOT EXISTS (SELECT 1 FROM @c AS c WHERE c.id = x.customer_id) {loops};
    END;

    -- The expired holds that count in those, and what giving these back changes: its expired holds too, and there it ends.
    WHILE @round <= 2
    BEGIN
        INSERT INTO @l (round, kind, id, reservation_id, held_until)
            SELECT @round, N'lapsed in pool', w.id, h.reservation_id, h.held_until
            FROM @p AS w CROSS APPLY (
                SELECT TOP (@lapsed_max) x.reservation_id, x.held_until FROM {schema}.reservation_line AS x
                WHERE x.event_id = {event} AND x.pool_id = w.id AND x.held_until IS NOT NULL AND x.held_until <= @now
                ORDER BY x.held_until) AS h
            WHERE w.round = @round {loops};
        INSERT INTO @l (round, kind, id, reservation_id, held_until)
            SELECT @round, N'lapsed of customer', w.id, h.reservation_id, h.held_until
            FROM @c AS w CROSS APPLY (
                SELECT TOP (@lapsed_max) x.reservation_id, x.held_until FROM {schema}.reservation AS x
                WHERE x.event_id = {event} AND x.customer_id = w.id AND x.held_until IS NOT NULL AND x.held_until <= @now
                ORDER BY x.held_until) AS h
            WHERE w.round = @round {loops};
        INSERT INTO @r (id)
            SELECT DISTINCT l.reservation_id FROM @l AS l
            WHERE l.round = @round AND NOT EXISTS (SELECT 1 FROM @r AS r WHERE r.id = l.reservation_id);
        IF @round = 1 AND EXISTS (SELECT 1 FROM @l)
        BEGIN
            INSERT INTO @p (id, round)
                SELECT DISTINCT x.pool_id, 2 FROM @l AS w
                INNER JOIN {schema}.reservation_line AS x ON x.reservation_id = w.reservation_id
                WHERE x.event_id = {event} AND x.pool_id IS NOT NULL
                    AND NOT EXISTS (SELECT 1 FROM @p AS p WHERE p.id = x.pool_id) {loops};
            IF @is_limited = 1
                INSERT INTO @c (id, round)
                    SELECT DISTINCT x.customer_id, 2 FROM @l AS w
                    INNER JOIN {schema}.reservation AS x ON x.reservation_id = w.reservation_id
                    WHERE x.event_id = {event} AND NOT EXISTS (SELECT 1 FROM @c AS c WHERE c.id = x.customer_id) {loops};
        END;
        SET @round = @round + 1;
    END;

    INSERT INTO @found_p (pool_id, capacity, held, booked, version, decided_at)
        SELECT x.pool_id, x.capacity, x.held, x.booked, x.version, x.decided_at
        FROM @p AS w INNER JOIN {schema}.pool AS x ON x.event_id = {event} AND x.pool_id = w.id {loops};
    INSERT INTO @found_a (customer_id, held, booked, version, decided_at)
        SELECT x.customer_id, x.held, x.booked, x.version, x.decided_at
        FROM @c AS w INNER JOIN {schema}.allowance AS x ON x.event_id = {event} AND x.customer_id = w.id {loops};
    INSERT INTO @found_l (reservation_id, line, ticket_id, pool_id, quantity)
        SELECT x.reservation_id, x.line, x.ticket_id, x.pool_id, x.quantity
        FROM @r AS w INNER JOIN {schema}.reservation_line AS x ON x.reservation_id = w.id {loops};
    INSERT INTO @found_r (reservation_id, event_id, customer_id, state, held_until, held_at, version, decided_at)
        SELECT x.reservation_id, x.event_id, x.customer_id, x.state, x.held_until, x.held_at, x.version, x.decided_at
        FROM @r AS w INNER JOIN {schema}.reservation AS x ON x.reservation_id = w.id {loops};
    INSERT INTO @found_t (kind, ticket_id, area_id, row_rank, place_number, state, reservation_id, held_until, block_reason,
            version, decided_at)
        SELECT N'ticket', x.ticket_id, x.area_id, x.row_rank, x.place_number, x.state, x.reservation_id, x.held_until,
            x.block_reason, x.version, x.decided_at
        FROM @t AS w INNER JOIN {schema}.ticket AS x ON x.event_id = {event} AND x.ticket_id = w.id {loops};
    INSERT INTO @found_t (kind, ticket_id, area_id, row_rank, place_number, state, reservation_id, held_until, block_reason,
            version, decided_at)
        SELECT N'free', x.ticket_id, x.area_id, x.row_rank, x.place_number, x.state, x.reservation_id, x.held_until,
            x.block_reason, x.version, x.decided_at
        FROM @f AS w INNER JOIN {schema}.ticket AS x ON x.event_id = {event} AND x.area_id = w.id
        WHERE x.state = N'available' OR x.state = N'held' AND x.held_until <= @now {loops};
    SELECT @ended_commits = e.commits FROM {schema}.event AS e WHERE e.event_id = {event};
    -- After the operations: what is not found among them was never there, or before this time.
    SELECT @purged_before = s.operations_purged_before FROM {schema}.store AS s;
    COMMIT TRANSACTION;

    SELECT N'begin' AS kind, @now AS now, @commits AS commits;
    SELECT N'event' AS kind, {columns:event} FROM @found_e AS x;
    IF EXISTS (SELECT 1 FROM @found_o)
        SELECT N'operation' AS kind, {columns:operation} FROM @found_o AS x;
    IF EXISTS (SELECT 1 FROM @found_p)
        SELECT N'pool' AS kind, {columns:pool} FROM @found_p AS x;
    IF EXISTS (SELECT 1 FROM @found_a)
        SELECT N'allowance' AS kind, {columns:allowance} FROM @found_a AS x;
    IF EXISTS (SELECT 1 FROM @l)
        SELECT l.kind, CAST(l.id AS nvarchar(64)) AS id, l.reservation_id, l.held_until FROM @l AS l;
    IF EXISTS (SELECT 1 FROM @found_r)
    BEGIN
        SELECT N'line' AS kind, {columns:line} FROM @found_l AS x ORDER BY x.reservation_id, x.line;
        SELECT N'reservation' AS kind, {columns:reservation} FROM @found_r AS x;
    END;
    IF EXISTS (SELECT 1 FROM @found_t)
        SELECT x.kind, {columns:ticket} FROM @found_t AS x;
    SELECT N'end' AS kind, @ended_commits AS commits, @purged_before AS operations_purged_before;
END
