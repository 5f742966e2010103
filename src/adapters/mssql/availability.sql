-- How much of an event is free: the tickets of each area by what has become of them, and each pool with how many places of it
-- expired holds still count in.
--
-- One statement is of one moment where the database has READ_COMMITTED_SNAPSHOT. Elsewhere no commit of the event ends while
-- its row is locked for reading, and where that lock is not taken, the first and the last row tell different numbers of commits,
-- as in load_records.
CREATE PROCEDURE {schema}.availability @event nvarchar(64), @is_alone bit
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    DECLARE @now bigint, @is_snapshot bit = 0;
    DECLARE @commits bigint = -1, @ended_commits bigint = -1;
    DECLARE @found TABLE (
        kind {word} NOT NULL, id {text} NOT NULL, tickets bigint NULL, available bigint NULL, held bigint NOT NULL,
        booked bigint NOT NULL, blocked bigint NULL, capacity bigint NULL, lapsed bigint NULL
    );
    -- Inside another transaction, or without its locks, it would not be what it is.
    IF @@TRANCOUNT <> 0 THROW 52003, N'availability is a transaction of its own', 1;
    SELECT @is_snapshot = d.is_read_committed_snapshot_on FROM sys.databases AS d WHERE d.database_id = DB_ID();

    BEGIN TRANSACTION;
    IF @is_alone = 1
        UPDATE {schema}.event SET commits = commits WHERE event_id = {event};
    IF @is_snapshot = 1
        SELECT @commits = e.commits FROM {schema}.event AS e WHERE e.event_id = {event};
    ELSE
        SELECT @commits = e.commits FROM {schema}.event AS e WITH (REPEATABLEREAD) WHERE e.event_id = {event};
    SET @now = {now};
    INSERT INTO @found (kind, id, tickets, available, held, booked, blocked, capacity, lapsed)
        SELECT N'area', x.area_id, COUNT_BIG(*),
            CAST(SUM(CASE WHEN x.state = N'available' OR x.held_until <= @now THEN CAST(1 AS bigint) ELSE 0 END) AS bigint),
            CAST(SUM(CASE WHEN x.held_until > @now THEN CAST(1 AS bigint) ELSE 0 END) AS bigint),
            CAST(SUM(CASE WHEN x.state = N'booked' THEN CAST(1 AS bigint) ELSE 0 END) AS bigint),
            CAST(SUM(CASE WHEN x.state = N'blocked' THEN CAST(1 AS bigint) ELSE 0 END) AS bigint), NULL, NULL
        FROM {schema}.ticket AS x WHERE x.event_id = {event} GROUP BY x.area_id
        UNION ALL
        SELECT N'pool', x.pool_id, NULL, NULL, x.held, x.booked, NULL, x.capacity,
            ISNULL((SELECT CAST(SUM(l.quantity) AS bigint) FROM {schema}.reservation_line AS l
                WHERE l.event_id = x.event_id AND l.pool_id = x.pool_id AND l.held_until IS NOT NULL AND l.held_until <= @now), 0)
        FROM {schema}.pool AS x WHERE x.event_id = {event};
    IF @is_snapshot = 1
        SET @ended_commits = @commits;
    ELSE
        SELECT @ended_commits = e.commits FROM {schema}.event AS e WHERE e.event_id = {event};
    COMMIT TRANSACTION;

    SELECT N'begin' AS kind, @now AS now, @commits AS commits;
    SELECT x.kind, CAST(x.id AS nvarchar(64)) AS id, x.tickets, x.available, x.held, x.booked, x.blocked, x.capacity, x.lapsed
        FROM @found AS x ORDER BY x.kind, x.id;
    SELECT N'end' AS kind, @ended_commits AS commits;
END
