-- Reads records of one event and what deciding needs next, all at one moment: a STABLE function sees what the statement that
-- calls it sees. Each kind of row has its own meaning for the columns, see rows.rs.
CREATE FUNCTION {schema}.load_records(
    p_event text, p_lapsed_max bigint, p_tickets text[], p_pools text[], p_customers text[], p_reservations uuid[],
    p_operations uuid[], p_free_in text[]
) RETURNS TABLE (
    kind text, version bigint, decided_at bigint, id text, uid uuid, t1 text, t2 text, t3 text, n1 bigint, n2 bigint,
    n3 bigint, u1 uuid, b1 bytea, tickets text[], pools text[], quantities bigint[]
)
LANGUAGE plpgsql STABLE
SET search_path = {schema}, pg_temp
-- As in commit_groups(): plans that are good for tables of any size.
{plans}
AS $$
#variable_conflict use_column
DECLARE
    v_now          bigint := now_micros();
    v_is_limited   boolean;
    v_tickets      text[] := p_tickets;
    v_pools        text[] := p_pools;
    v_customers    text[] := p_customers;
    v_reservations uuid[] := p_reservations;
    v_lapsed       uuid[];
    v_more_pools   text[];
    v_more_customers text[];
BEGIN
    RETURN QUERY SELECT 'store', 0::bigint, 0::bigint, NULL, NULL::uuid, NULL, NULL, NULL, v_now,
        s.operations_purged_before, NULL::bigint, NULL::uuid, NULL::bytea, NULL::text[], NULL::text[], NULL::bigint[]
        FROM store AS s;
    RETURN QUERY SELECT 'event', e.version, e.decided_at, e.event_id, NULL::uuid, e.state, NULL, NULL, e.opens_at,
        e.closes_at, e.limit_per_customer, NULL::uuid, NULL::bytea, NULL::text[], NULL::text[], NULL::bigint[]
        FROM event AS e WHERE e.event_id = p_event;
    SELECT e.limit_per_customer IS NOT NULL INTO v_is_limited FROM event AS e WHERE e.event_id = p_event;
    v_is_limited := coalesce(v_is_limited, false);

    IF cardinality(p_operations) > 0 THEN
        RETURN QUERY SELECT 'operation', o.version, o.decided_at, o.event_id, o.operation_id, o.kind, o.customer_id, NULL,
            o.held_until, o.changed, NULL::bigint, o.reservation_id, o.fingerprint, NULL::text[], NULL::text[],
            NULL::bigint[]
            FROM operation AS o WHERE o.operation_id = ANY (p_operations);
        IF FOUND THEN
            v_reservations := v_reservations || ARRAY(
                SELECT o.reservation_id FROM operation AS o
                WHERE o.operation_id = ANY (p_operations) AND o.reservation_id IS NOT NULL);
        END IF;
    END IF;

    -- With a reservation of this event: its tickets, its pools, and what its customer has taken.
    IF cardinality(v_reservations) > 0 THEN
        SELECT v_tickets || array_agg(DISTINCT l.ticket) FILTER (WHERE l.ticket IS NOT NULL),
                v_pools || array_agg(DISTINCT l.pool) FILTER (WHERE l.pool IS NOT NULL)
            INTO v_tickets, v_pools
            FROM reservation AS r CROSS JOIN LATERAL unnest(r.tickets, r.pools) AS l (ticket, pool)
            WHERE r.reservation_id = ANY (v_reservations) AND r.event_id IS NOT DISTINCT FROM p_event;
        IF v_is_limited THEN
            v_customers := v_customers || ARRAY(
                SELECT DISTINCT r.customer_id FROM reservation AS r
                WHERE r.reservation_id = ANY (v_reservations) AND r.event_id IS NOT DISTINCT FROM p_event);
        END IF;
    END IF;

    -- The expired holds that count in those, and what giving these back changes: its expired holds too, and there it ends.
    v_more_pools := v_pools;
    v_more_customers := v_customers;
    FOR v_round IN 1 .. 2 LOOP
        v_lapsed := '{}';
        IF cardinality(v_more_pools) > 0 THEN
            SELECT v_lapsed || coalesce(array_agg(x.reservation_id), '{}') INTO v_lapsed
                FROM (SELECT DISTINCT unnest(v_more_pools), p_event OFFSET 0) AS p (id, event)
                CROSS JOIN LATERAL (
                    SELECT h.reservation_id FROM hold AS h
                    WHERE h.event_id = p.event AND h.pool_id = p.id AND h.held_until <= v_now
                    ORDER BY h.held_until LIMIT p_lapsed_max) AS x;
        END IF;
        IF cardinality(v_more_customers) > 0 THEN
            SELECT v_lapsed || coalesce(array_agg(x.reservation_id), '{}') INTO v_lapsed
                FROM (SELECT DISTINCT unnest(v_more_customers), p_event OFFSET 0) AS c (id, event)
                CROSS JOIN LATERAL (
                    SELECT h.reservation_id FROM hold AS h
                    WHERE h.event_id = c.event AND h.held_by = c.id AND h.held_until <= v_now
                    ORDER BY h.held_until LIMIT p_lapsed_max) AS x;
        END IF;
        EXIT WHEN cardinality(v_lapsed) = 0;
        v_reservations := v_reservations || v_lapsed;
        EXIT WHEN v_round = 2;
        v_more_pools := ARRAY(
            SELECT DISTINCT p.id FROM reservation AS r CROSS JOIN LATERAL unnest(r.pools) AS p (id)
            WHERE r.reservation_id = ANY (v_lapsed) AND r.event_id IS NOT DISTINCT FROM p_event AND p.id <> ALL (v_pools));
        v_more_customers := '{}';
        IF v_is_limited THEN
            v_more_customers := ARRAY(
                SELECT DISTINCT r.customer_id FROM reservation AS r
                WHERE r.reservation_id = ANY (v_lapsed) AND r.event_id IS NOT DISTINCT FROM p_event
                    AND r.customer_id <> ALL (v_customers));
        END IF;
        v_pools := v_pools || v_more_pools;
        v_customers := v_customers || v_more_customers;
    END LOOP;

    -- Which expired holds count in what, the earliest deadline first.
    IF cardinality(v_pools) > 0 THEN
        RETURN QUERY SELECT 'pool', x.version, x.decided_at, x.pool_id, NULL::uuid, NULL, NULL, NULL, x.capacity, x.held,
            x.booked, NULL::uuid, NULL::bytea, NULL::text[], NULL::text[], NULL::bigint[]
            FROM unnest(v_pools, array_fill(p_event, ARRAY[cardinality(v_pools)])) AS w (id, event)
            JOIN pool AS x ON x.event_id = w.event AND x.pool_id = w.id;
        IF cardinality(v_reservations) > 0 THEN
            RETURN QUERY SELECT 'lapsed in pool', 0::bigint, 0::bigint, p.id, x.reservation_id, NULL, NULL, NULL,
                x.held_until, NULL::bigint, NULL::bigint, NULL::uuid, NULL::bytea, NULL::text[], NULL::text[],
                NULL::bigint[]
                FROM (SELECT DISTINCT unnest(v_pools), p_event OFFSET 0) AS p (id, event)
                CROSS JOIN LATERAL (
                    SELECT h.reservation_id, h.held_until FROM hold AS h
                    WHERE h.event_id = p.event AND h.pool_id = p.id AND h.held_until <= v_now
                    ORDER BY h.held_until LIMIT p_lapsed_max) AS x;
        END IF;
    END IF;
    IF cardinality(v_customers) > 0 THEN
        RETURN QUERY SELECT 'allowance', x.version, x.decided_at, x.customer_id, NULL::uuid, NULL, NULL, NULL, x.held,
            x.booked, NULL::bigint, NULL::uuid, NULL::bytea, NULL::text[], NULL::text[], NULL::bigint[]
            FROM unnest(v_customers, array_fill(p_event, ARRAY[cardinality(v_customers)])) AS w (id, event)
            JOIN allowance AS x ON x.event_id = w.event AND x.customer_id = w.id;
        IF cardinality(v_reservations) > 0 THEN
            RETURN QUERY SELECT 'lapsed of customer', 0::bigint, 0::bigint, c.id, x.reservation_id, NULL, NULL, NULL,
                x.held_until, NULL::bigint, NULL::bigint, NULL::uuid, NULL::bytea, NULL::text[], NULL::text[],
                NULL::bigint[]
                FROM (SELECT DISTINCT unnest(v_customers), p_event OFFSET 0) AS c (id, event)
                CROSS JOIN LATERAL (
                    SELECT h.reservation_id, h.held_until FROM hold AS h
                    WHERE h.event_id = c.event AND h.held_by = c.id AND h.held_until <= v_now
                    ORDER BY h.held_until LIMIT p_lapsed_max) AS x;
        END IF;
    END IF;
    IF cardinality(v_reservations) > 0 THEN
        RETURN QUERY SELECT 'reservation', r.version, r.decided_at, r.event_id, r.reservation_id, r.customer_id, r.state,
            NULL, r.held_until, r.held_at, NULL::bigint, NULL::uuid, NULL::bytea, r.tickets, r.pools, r.quantities
            FROM reservation AS r
            WHERE r.reservation_id = ANY (v_reservations);
    END IF;
    IF cardinality(v_tickets) > 0 THEN
        RETURN QUERY SELECT 'ticket', x.version, x.decided_at, x.ticket_id, NULL::uuid, x.area_id, x.state, x.block_reason,
            x.row_rank, x.place_number, x.held_until, x.reservation_id, NULL::bytea, NULL::text[], NULL::text[],
            NULL::bigint[]
            FROM unnest(v_tickets, array_fill(p_event, ARRAY[cardinality(v_tickets)])) AS w (id, event)
            JOIN ticket AS x ON x.event_id = w.event AND x.ticket_id = w.id;
    END IF;
    IF cardinality(p_free_in) > 0 THEN
        RETURN QUERY SELECT 'free', x.version, x.decided_at, x.ticket_id, NULL::uuid, x.area_id, x.state, x.block_reason,
            x.row_rank, x.place_number, x.held_until, x.reservation_id, NULL::bytea, NULL::text[], NULL::text[],
            NULL::bigint[]
            FROM unnest(p_free_in, array_fill(p_event, ARRAY[cardinality(p_free_in)])) AS w (id, event)
            JOIN ticket AS x ON x.event_id = w.event AND x.area_id = w.id
            WHERE (x.state = 'available' OR (x.state = 'held' AND x.held_until <= v_now));
    END IF;
END
$$;
