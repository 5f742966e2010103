-- One bounded step of forgetting: operations whose ids were made before now less `p_retention`, and rows of the change feed that
-- were decided before that. It looks at no more than `p_events_max` events, by id after `p_after`, and then from the first one.
CREATE FUNCTION {schema}.purge_step(
    p_retention bigint, p_limit bigint, p_after text, p_events_max bigint,
    OUT operations bigint, OUT changes bigint, OUT done_with text
)
LANGUAGE plpgsql
SET search_path = {schema}, pg_temp
{plans}
AS $$
DECLARE
    -- Times end where the numbers do.
    v_cutoff   bigint := greatest(now_micros()::numeric - p_retention, -9223372036854775808)::bigint;
    v_kept_from uuid := first_id_at(v_cutoff);
    v_left     bigint := p_limit;
    v_event    text;
    v_through  bigint;
    v_rows     bigint;
BEGIN
    WITH old AS (
        SELECT o.operation_id FROM operation AS o WHERE o.operation_id < v_kept_from
        ORDER BY o.operation_id LIMIT p_limit FOR UPDATE SKIP LOCKED)
    DELETE FROM operation AS o USING old WHERE o.operation_id = old.operation_id;
    GET DIAGNOSTICS operations = ROW_COUNT;
    IF operations > 0 THEN
        UPDATE store SET operations_purged_before = greatest(coalesce(operations_purged_before, v_cutoff), v_cutoff);
    END IF;
    changes := 0;
    FOR v_event IN
        (SELECT e.event_id FROM event AS e WHERE e.event_id > p_after ORDER BY e.event_id LIMIT p_events_max)
        UNION ALL
        (SELECT e.event_id FROM event AS e WHERE e.event_id <= p_after ORDER BY e.event_id LIMIT p_events_max)
        LIMIT p_events_max
    LOOP
        EXIT WHEN v_left <= 0;
        -- Rows leave in order of their sequence only: a young one keeps those after it.
        SELECT max(x.sequence) INTO v_through
            FROM (SELECT c.sequence, bool_and(c.decided_at < v_cutoff) OVER (ORDER BY c.sequence) AS is_old
                FROM (SELECT sequence, decided_at FROM change WHERE event_id = v_event
                    ORDER BY sequence LIMIT v_left) AS c) AS x
            WHERE x.is_old;
        IF v_through IS NOT NULL THEN
            UPDATE event SET changes_purged_through = v_through
                WHERE event_id = v_event AND changes_purged_through < v_through;
            DELETE FROM change WHERE event_id = v_event AND sequence <= v_through;
            GET DIAGNOSTICS v_rows = ROW_COUNT;
            changes := changes + v_rows;
            v_left := v_left - v_rows;
        END IF;
        -- An event at which the limit is reached may have more, and is the first one of the next step.
        EXIT WHEN v_left <= 0;
        done_with := v_event;
    END LOOP;
END
$$;
