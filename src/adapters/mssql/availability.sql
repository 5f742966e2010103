-- How much of an event is free, at one moment, as load_records has it: the tickets of each area by what has become of them, and
-- each pool with how many places of it expired holds still count in.
CREATE PROCEDURE {schema}.availability @event nvarchar(64), @is_alone bit
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @now bigint = {now};
    DECLARE @commits bigint = -1;

    BEGIN TRANSACTION;
    IF @is_alone = 1
        UPDATE {schema}.event SET commits = commits WHERE event_id = {event};
    SELECT @commits = e.commits FROM {schema}.event AS e WITH (REPEATABLEREAD) WHERE e.event_id = {event};
    SELECT N'begin' AS kind, @now AS now, @commits AS commits;
    SELECT N'area' AS kind, CAST(a.area_id AS nvarchar(64)) AS area_id, a.tickets, a.available, a.held, a.booked, a.blocked
        FROM (
            SELECT x.area_id, COUNT_BIG(*) AS tickets,
                CAST(SUM(CASE WHEN x.state = N'available' OR x.held_until <= @now THEN CAST(1 AS bigint) ELSE 0 END) AS bigint) AS available,
                CAST(SUM(CASE WHEN x.held_until > @now THEN CAST(1 AS bigint) ELSE 0 END) AS bigint) AS held,
                CAST(SUM(CASE WHEN x.state = N'booked' THEN CAST(1 AS bigint) ELSE 0 END) AS bigint) AS booked,
                CAST(SUM(CASE WHEN x.state = N'blocked' THEN CAST(1 AS bigint) ELSE 0 END) AS bigint) AS blocked
            FROM {schema}.ticket AS x WHERE x.event_id = {event} GROUP BY x.area_id
        ) AS a
        ORDER BY a.area_id;
    SELECT N'pool' AS kind, CAST(x.pool_id AS nvarchar(64)) AS pool_id, x.capacity, x.held, x.booked,
            COALESCE((SELECT CAST(SUM(l.quantity) AS bigint) FROM {schema}.reservation_line AS l
                WHERE l.event_id = x.event_id AND l.pool_id = x.pool_id AND l.held_until IS NOT NULL AND l.held_until <= @now), 0) AS lapsed
        FROM {schema}.pool AS x WHERE x.event_id = {event} ORDER BY x.pool_id;
    SET @commits = -1;
    SELECT @commits = e.commits FROM {schema}.event AS e WHERE e.event_id = {event};
    SELECT N'end' AS kind, @commits AS commits;
    COMMIT TRANSACTION;
END
