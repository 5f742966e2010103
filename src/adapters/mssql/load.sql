-- Reads records of one event and what deciding needs next. Keys come as JSON arrays; UUIDs are what has their bytes when it is cast. Every row says
-- what kind it is, and has the columns of its table.
--
-- All of it was true at one moment: while the event's row is locked for reading, no commit of the event ends. Where that lock
-- is not taken, the first and the last row tell different numbers of commits, and the caller asks again, with `@is_alone`, which
-- keeps commits away by a write.
CREATE PROCEDURE {schema}.load_records
    @event nvarchar(64), @is_alone bit, @lapsed_max bigint, @tickets nvarchar(max), @pools nvarchar(max),
    @customers nvarchar(max), @reservations nvarchar(max), @operations nvarchar(max), @free_in nvarchar(max)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @now bigint = {now};
    DECLARE @commits bigint = -1;
    DECLARE @is_limited bit = 0;
    DECLARE @round int = 1;
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
    SELECT N'begin' AS kind, @now AS now, @commits AS commits;
    SELECT N'event' AS kind, {columns:event} FROM {schema}.event AS x WHERE x.event_id = {event};

    IF EXISTS (SELECT 1 FROM @o)
    BEGIN
        SELECT N'operation' AS kind, {columns:operation}
            FROM @o AS w INNER JOIN {schema}.operation AS x ON x.operation_id = w.id {loops};
        INSERT INTO @r (id)
            SELECT DISTINCT x.reservation_id FROM @o AS w INNER JOIN {schema}.operation AS x ON x.operation_id = w.id
            WHERE x.reservation_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM @r AS r WHERE r.id = x.reservation_id) {loops};
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

    IF EXISTS (SELECT 1 FROM @p)
        SELECT N'pool' AS kind, {columns:pool}
            FROM @p AS w INNER JOIN {schema}.pool AS x ON x.event_id = {event} AND x.pool_id = w.id {loops};
    IF EXISTS (SELECT 1 FROM @c)
        SELECT N'allowance' AS kind, {columns:allowance}
            FROM @c AS w INNER JOIN {schema}.allowance AS x ON x.event_id = {event} AND x.customer_id = w.id {loops};
    IF EXISTS (SELECT 1 FROM @l)
        SELECT l.kind, CAST(l.id AS nvarchar(64)) AS id, l.reservation_id, l.held_until FROM @l AS l;
    IF EXISTS (SELECT 1 FROM @r)
    BEGIN
        SELECT N'line' AS kind, {columns:line}
            FROM @r AS w INNER JOIN {schema}.reservation_line AS x ON x.reservation_id = w.id
            ORDER BY x.reservation_id, x.line {loops};
        SELECT N'reservation' AS kind, {columns:reservation}
            FROM @r AS w INNER JOIN {schema}.reservation AS x ON x.reservation_id = w.id {loops};
    END;
    IF EXISTS (SELECT 1 FROM @t)
        SELECT N'ticket' AS kind, {columns:ticket}
            FROM @t AS w INNER JOIN {schema}.ticket AS x ON x.event_id = {event} AND x.ticket_id = w.id {loops};
    IF EXISTS (SELECT 1 FROM @f)
        SELECT N'free' AS kind, {columns:ticket}
            FROM @f AS w INNER JOIN {schema}.ticket AS x ON x.event_id = {event} AND x.area_id = w.id
            WHERE x.state = N'available' OR x.state = N'held' AND x.held_until <= @now {loops};

    SET @commits = -1;
    SELECT @commits = e.commits FROM {schema}.event AS e WHERE e.event_id = {event};
    -- After the operations: what is not found among them was never there, or before this time.
    SELECT N'end' AS kind, @commits AS commits, s.operations_purged_before FROM {schema}.store AS s;
    COMMIT TRANSACTION;
END
