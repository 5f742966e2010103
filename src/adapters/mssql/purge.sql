-- One bounded step of forgetting: operations whose ids were made before now less `@retention`, and rows of the change feed that
-- were decided before that. It looks at no more than `@events_max` events, by id after `@after`, and then from the first one.
CREATE PROCEDURE {schema}.purge_step @retention bigint, @limit bigint, @after nvarchar(64), @events_max bigint
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    DECLARE @cutoff bigint = {now} - @retention;
    -- The first 48 bits of a UUID of version 7 are its milliseconds (RFC 9562, section 5.7). Of the text of a `uniqueidentifier`, the
    -- first four bytes and the next two are kept the other way round.
    DECLARE @millis bigint = (CASE WHEN @cutoff < 0 THEN 0 ELSE @cutoff END + 999) / 1000, @hex nvarchar(12) = N'';
    DECLARE @kept_from binary(16);
    DECLARE @operations bigint, @changes bigint = 0, @left bigint = @limit;
    DECLARE @at bigint = 1, @done_with bigint = 0, @first bigint, @last bigint, @young bigint, @rows bigint;
    DECLARE @e TABLE (nth bigint NOT NULL PRIMARY KEY, id {text} NOT NULL);

    -- Inside another transaction, or without its locks, it would not be what it is.
    IF @@TRANCOUNT <> 0 THROW 52003, N'purge_step is a transaction of its own', 1;
    WHILE LEN(@hex) < 12
    BEGIN
        SET @hex = SUBSTRING(N'0123456789abcdef', CAST(@millis % 16 AS int) + 1, 1) + @hex;
        SET @millis = @millis / 16;
    END;
    SET @kept_from = CAST(CAST(
        SUBSTRING(@hex, 7, 2) + SUBSTRING(@hex, 5, 2) + SUBSTRING(@hex, 3, 2) + SUBSTRING(@hex, 1, 2) + N'-'
        + SUBSTRING(@hex, 11, 2) + SUBSTRING(@hex, 9, 2) + N'-0000-0000-000000000000' AS uniqueidentifier) AS binary(16));

    BEGIN TRANSACTION;
    DELETE TOP (@limit) FROM {schema}.operation WHERE operation_id < @kept_from;
    SET @operations = @@ROWCOUNT;
    IF @operations > 0
        UPDATE {schema}.store SET operations_purged_before = @cutoff, operations_kept_from = @kept_from
            WHERE operations_purged_before IS NULL OR operations_purged_before < @cutoff;
    COMMIT TRANSACTION;

    INSERT INTO @e (nth, id)
        SELECT TOP (@events_max) ROW_NUMBER() OVER (ORDER BY x.turn, x.event_id), x.event_id
        FROM (
            SELECT * FROM (
                SELECT TOP (@events_max) 1 AS turn, e.event_id FROM {schema}.event AS e
                WHERE e.event_id > {after} ORDER BY e.event_id) AS a
            UNION ALL
            SELECT * FROM (
                SELECT TOP (@events_max) 2 AS turn, e.event_id FROM {schema}.event AS e
                WHERE e.event_id <= {after} ORDER BY e.event_id) AS b
        ) AS x
        ORDER BY x.turn, x.event_id;

    WHILE @left > 0 AND EXISTS (SELECT 1 FROM @e WHERE nth = @at)
    BEGIN
        -- Rows leave in order of their sequence only: a young one keeps those after it.
        SELECT @first = MIN(c.sequence), @last = MAX(c.sequence),
                @young = MIN(CASE WHEN c.decided_at >= @cutoff THEN c.sequence END)
            FROM (
                SELECT TOP (@left) x.sequence, x.decided_at FROM {schema}.change AS x
                WHERE x.event_id = (SELECT e.id FROM @e AS e WHERE e.nth = @at) ORDER BY x.sequence
            ) AS c;
        SET @last = COALESCE(@young - 1, @last);
        IF @last >= @first
        BEGIN
            BEGIN TRANSACTION;
            UPDATE {schema}.event SET changes_purged_through = @last
                WHERE event_id = (SELECT e.id FROM @e AS e WHERE e.nth = @at) AND changes_purged_through < @last;
            DELETE FROM {schema}.change
                WHERE event_id = (SELECT e.id FROM @e AS e WHERE e.nth = @at) AND sequence <= @last;
            SET @rows = @@ROWCOUNT;
            COMMIT TRANSACTION;
            SET @changes = @changes + @rows;
            SET @left = @left - @rows;
        END;
        -- An event at which the limit is reached may have more, and is the first one of the next step.
        IF @left > 0 SET @done_with = @at;
        SET @at = @at + 1;
    END;
    SELECT N'end' AS kind, @operations AS operations, @changes AS changes,
        (SELECT CAST(e.id AS nvarchar(64)) FROM @e AS e WHERE e.nth = @done_with) AS done_with;
END
