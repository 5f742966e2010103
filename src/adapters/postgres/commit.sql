-- Writes what held reservations are found by: of those that are new, or of those that were changed. Called by the functions below.
CREATE FUNCTION {schema}.insert_holds(
    p_event text, v_out boolean[], p_are_new boolean,
    h_group bigint[], h_reservation uuid[], h_is_new boolean[], h_nth bigint[], h_until bigint[], h_pool text[],
    h_quantity bigint[], h_held_by text[]
) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    -- Whether an event limits its customers never changes.
    v_is_limited boolean := EXISTS (SELECT 1 FROM event WHERE event_id = p_event AND limit_per_customer IS NOT NULL);
BEGIN
    INSERT INTO hold (reservation_id, nth, event_id, held_until, pool_id, quantity, held_by)
        SELECT h_reservation[i], h_nth[i], p_event, h_until[i], h_pool[i], h_quantity[i],
            CASE WHEN v_is_limited THEN h_held_by[i] END
        FROM generate_subscripts(h_group, 1) AS i WHERE h_is_new[i] = p_are_new AND NOT v_out[h_group[i]];
END
$$;

-- Writes the rows of new reservations, with what they are found by, and of operations: those of the groups that are not left
-- out. Called by commit_groups() alone.
CREATE FUNCTION {schema}.insert_new(
    p_event text, v_out boolean[],
    r_group bigint[], r_version bigint[], r_at bigint[], r_id uuid[], r_customer text[], r_state text[], r_until bigint[],
    r_held_at bigint[], r_tickets text[], r_pools text[], r_quantities text[],
    h_group bigint[], h_reservation uuid[], h_is_new boolean[], h_nth bigint[], h_until bigint[], h_pool text[],
    h_quantity bigint[], h_held_by text[],
    o_group bigint[], o_at bigint[], o_id uuid[], o_fingerprint bytea[], o_kind text[], o_reservation uuid[],
    o_customer text[], o_until bigint[], o_changed bigint[]
) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    v_kept_from uuid;
BEGIN
    IF 0 = ANY (r_version) THEN
        INSERT INTO reservation (reservation_id, event_id, customer_id, state, held_until, held_at, version, decided_at, tickets,
                pools, quantities)
            SELECT r_id[i], p_event, r_customer[i], r_state[i], r_until[i], r_held_at[i], 1, r_at[i], r_tickets[i]::text[],
                r_pools[i]::text[], r_quantities[i]::bigint[]
            FROM generate_subscripts(r_group, 1) AS i WHERE r_version[i] = 0 AND NOT v_out[r_group[i]];
        PERFORM insert_holds(p_event, v_out, true, h_group, h_reservation, h_is_new, h_nth, h_until, h_pool, h_quantity,
            h_held_by);
    END IF;
    IF cardinality(o_group) > 0 THEN
        INSERT INTO operation (operation_id, event_id, fingerprint, kind, reservation_id, customer_id, held_until, changed,
                version, decided_at)
            SELECT o_id[i], p_event, o_fingerprint[i], o_kind[i], o_reservation[i], o_customer[i], o_until[i], o_changed[i], 1,
                o_at[i]
            FROM generate_subscripts(o_group, 1) AS i WHERE NOT v_out[o_group[i]];
        -- Read after the rows are in: the insertion has waited for any purge that was deleting one of these ids, and the horizon of
        -- that purge was committed with the deletion.
        v_kept_from := (SELECT first_id_at(s.operations_purged_before) FROM store AS s);
        IF EXISTS (SELECT 1 FROM generate_subscripts(o_group, 1) AS i
                WHERE o_id[i] < v_kept_from AND NOT v_out[o_group[i]]) THEN
            RAISE EXCEPTION 'an operation was purged meanwhile' USING ERRCODE = 'TR001';
        END IF;
    END IF;
EXCEPTION WHEN unique_violation THEN
    -- Cheaper than ON CONFLICT DO NOTHING, which looks into the index twice for each row.
    RAISE EXCEPTION 'lost the race for a reservation or an operation' USING ERRCODE = 'TR001';
END
$$;

-- Writes groups of records of one event, each whole or not at all, and answers with the numbers of the checks that failed: a
-- group with such a check is not written. Arrays of one letter and a name are the columns of one table's rows, of which `i` is
-- one. (The element of an array is found at once here, as functions keep their arrays taken apart; to unnest them side by side
-- costs more.) `p_feed` has for each group how many rows it appends to the change feed, in the order of which `nth` counts from 1.
--
-- Every commit of the event waits for the event's row lock: whatever is compared after that stays true until the end, and the
-- feed's order is the order of commits. The writes repeat the versions all the same.
--
-- Once an operation may have been purged it is not written any more: its group fails.
--
-- With `p_early` new reservations and operations are written before that, while others have the lock; they need no check, and a
-- check that fails undoes them: it is an error then. A pool with a shift is moved by it on top of what others have made of it,
-- if its places are enough.
CREATE FUNCTION {schema}.commit_groups(
    p_event text, p_feed bigint[], p_early boolean,
    -- The group of each check, and the checks: number, key, and the version that was read, 0 for absent.
    k_group bigint[],
    ke_no bigint[], ke_version bigint[],
    kt_no bigint[], kt_id text[], kt_version bigint[],
    kp_no bigint[], kp_id text[], kp_version bigint[], kp_held bigint[], kp_booked bigint[],
    ka_no bigint[], ka_id text[], ka_version bigint[],
    kr_no bigint[], kr_id uuid[], kr_version bigint[],
    ko_no bigint[], ko_id uuid[], ko_version bigint[],
    e_group bigint[], e_nth bigint[], e_version bigint[], e_at bigint[],
    e_state text[], e_opens bigint[], e_closes bigint[], e_limit bigint[],
    t_group bigint[], t_nth bigint[], t_version bigint[], t_at bigint[], t_id text[], t_area text[], t_row bigint[],
    t_number bigint[], t_state text[], t_reservation uuid[], t_until bigint[], t_reason text[],
    p_group bigint[], p_nth bigint[], p_version bigint[], p_at bigint[], p_id text[], p_capacity bigint[], p_held bigint[],
    p_booked bigint[], p_shift_held bigint[], p_shift_booked bigint[],
    a_group bigint[], a_nth bigint[], a_version bigint[], a_at bigint[], a_id text[], a_held bigint[], a_booked bigint[],
    r_group bigint[], r_nth bigint[], r_version bigint[], r_at bigint[], r_id uuid[], r_customer text[], r_state text[],
    r_until bigint[], r_held_at bigint[], r_tickets text[], r_pools text[], r_quantities text[],
    -- What those that are held are found by.
    h_group bigint[], h_reservation uuid[], h_is_new boolean[], h_nth bigint[], h_until bigint[], h_pool text[],
    h_quantity bigint[], h_held_by text[],
    o_group bigint[], o_at bigint[], o_id uuid[], o_fingerprint bytea[], o_kind text[], o_reservation uuid[],
    o_customer text[], o_until bigint[], o_changed bigint[]
) RETURNS bigint[]
LANGUAGE plpgsql
SET search_path = {schema}, pg_temp
-- Every row is found by its whole key. So the event is a column of the rows that are joined, or is compared in a way that no index
-- knows: as one value for all, it would look as if few rows had it, and all of the event's rows would be gone through.
{plans}
AS $$
DECLARE
    v_version  bigint;
    v_first    bigint;
    v_last     bigint;
    v_stale    bigint[] := '{}';
    -- By group: whether it is left out, and after which position of the feed its rows come.
    v_out      boolean[] := array_fill(false, ARRAY[cardinality(p_feed)]);
    v_after    bigint[];
    v_check    bigint;
    v_is_elsewhere boolean;
    v_kept_from uuid;
    v_expected bigint;
    v_inserted bigint;
    v_updated  bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'commit_groups() needs READ COMMITTED' USING ERRCODE = 'TR003';
    END IF;
    IF p_early THEN
        PERFORM insert_new(p_event, v_out, r_group, r_version, r_at, r_id, r_customer, r_state, r_until, r_held_at,
            r_tickets, r_pools, r_quantities,
            h_group, h_reservation, h_is_new, h_nth, h_until, h_pool, h_quantity, h_held_by,
            o_group, o_at, o_id, o_fingerprint, o_kind, o_reservation, o_customer, o_until, o_changed);
    END IF;
    SELECT version, change_sequence INTO v_version, v_first FROM event WHERE event_id = p_event FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        -- There is no row to lock: who comes without one waits for the others who do, and looks again.
        PERFORM pg_advisory_xact_lock(hashtextextended(current_schema() || '/' || p_event, 0));
        SELECT version, change_sequence INTO v_version, v_first FROM event WHERE event_id = p_event FOR NO KEY UPDATE;
    END IF;
    v_version := coalesce(v_version, 0);
    v_first := coalesce(v_first, 0);

    -- Checks.
    IF cardinality(ke_no) > 0 THEN
        SELECT v_stale || coalesce(array_agg(k.no), '{}') INTO v_stale
            FROM unnest(ke_no, ke_version) AS k (no, version) WHERE k.version <> v_version;
    END IF;
    IF cardinality(kt_no) > 0 THEN
        SELECT v_stale || coalesce(array_agg(k.no), '{}') INTO v_stale
            FROM unnest(kt_no, kt_id, kt_version, array_fill(p_event, ARRAY[cardinality(kt_no)]))
                AS k (no, id, version, event)
            LEFT JOIN ticket AS x ON x.event_id = k.event AND x.ticket_id = k.id
            WHERE coalesce(x.version, 0) <> k.version;
    END IF;
    IF cardinality(kp_no) > 0 THEN
        SELECT v_stale || coalesce(array_agg(k.no), '{}') INTO v_stale
            FROM unnest(kp_no, kp_id, kp_version, kp_held, kp_booked, array_fill(p_event, ARRAY[cardinality(kp_no)]))
                AS k (no, id, version, held, booked, event)
            LEFT JOIN pool AS x ON x.event_id = k.event AND x.pool_id = k.id
            WHERE coalesce(x.version, 0) <> k.version
                AND (x.held + k.held >= 0 AND x.booked + k.booked >= 0
                    AND x.held + k.held + x.booked + k.booked <= x.capacity) IS NOT TRUE;
    END IF;
    IF cardinality(ka_no) > 0 THEN
        SELECT v_stale || coalesce(array_agg(k.no), '{}') INTO v_stale
            FROM unnest(ka_no, ka_id, ka_version, array_fill(p_event, ARRAY[cardinality(ka_no)]))
                AS k (no, id, version, event)
            LEFT JOIN allowance AS x ON x.event_id = k.event AND x.customer_id = k.id
            WHERE coalesce(x.version, 0) <> k.version;
    END IF;
    IF p_early AND cardinality(v_stale) > 0 THEN
        RAISE EXCEPTION 'written too early' USING ERRCODE = 'TR001';
    END IF;
    FOREACH v_check IN ARRAY v_stale LOOP
        v_out[k_group[v_check]] := true;
    END LOOP;
    IF true = ALL (v_out) THEN
        -- Nothing is left to be written, and others wait.
        RETURN v_stale;
    END IF;
    -- Reservations are named across events: another event's are kept as they are until the end.
    IF cardinality(kr_no) > 0 THEN
        SELECT v_stale || coalesce(array_agg(k.no) FILTER (WHERE coalesce(x.version, 0) <> k.version), '{}'),
                coalesce(bool_or(x.event_id <> p_event), false)
            INTO v_stale, v_is_elsewhere
            FROM unnest(kr_no, kr_id, kr_version) AS k (no, id, version)
            LEFT JOIN reservation AS x ON x.reservation_id = k.id;
        IF v_is_elsewhere THEN
            PERFORM 1 FROM reservation AS x
                WHERE x.reservation_id = ANY (kr_id) AND x.event_id <> p_event ORDER BY x.reservation_id FOR SHARE;
            SELECT v_stale || coalesce(array_agg(k.no), '{}') INTO v_stale
                FROM unnest(kr_no, kr_id, kr_version) AS k (no, id, version)
                LEFT JOIN reservation AS x ON x.reservation_id = k.id
                WHERE coalesce(x.version, 0) <> k.version AND k.no <> ALL (v_stale);
        END IF;
    END IF;
    -- So are operations, which never change once they are there.
    IF cardinality(ko_no) > 0 THEN
        SELECT v_stale || coalesce(array_agg(k.no), '{}') INTO v_stale
            FROM unnest(ko_no, ko_id, ko_version) AS k (no, id, version)
            LEFT JOIN operation AS x ON x.operation_id = k.id
            WHERE coalesce(x.version, 0) <> k.version;
    END IF;
    -- Nor are they written once they may have been purged. (Those that are written early look by themselves.)
    IF cardinality(o_id) > 0 AND NOT p_early THEN
        v_kept_from := (SELECT first_id_at(s.operations_purged_before) FROM store AS s);
        SELECT v_stale || coalesce(array_agg(k.no), '{}') INTO v_stale
            FROM unnest(ko_no, ko_id) AS k (no, id)
            WHERE k.id < v_kept_from AND k.no <> ALL (v_stale)
                AND EXISTS (SELECT 1 FROM generate_subscripts(o_group, 1) AS i
                    WHERE o_id[i] = k.id AND o_group[i] = k_group[k.no]);
    END IF;
    IF p_early AND cardinality(v_stale) > 0 THEN
        RAISE EXCEPTION 'written too early' USING ERRCODE = 'TR001';
    END IF;
    FOREACH v_check IN ARRAY v_stale LOOP
        v_out[k_group[v_check]] := true;
    END LOOP;

    -- Where the rows of each group come in the feed.
    v_last := v_first;
    FOR v_group IN 1 .. cardinality(p_feed) LOOP
        v_after[v_group] := v_last;
        IF NOT v_out[v_group] THEN
            v_last := v_last + p_feed[v_group];
        END IF;
    END LOOP;

    -- Writes.
    IF cardinality(e_group) > 0 THEN
        INSERT INTO event (event_id, state, opens_at, closes_at, limit_per_customer, version, decided_at)
            SELECT p_event, e_state[i], e_opens[i], e_closes[i], e_limit[i], 1, e_at[i]
            FROM generate_subscripts(e_group, 1) AS i WHERE e_version[i] = 0 AND NOT v_out[e_group[i]]
            ON CONFLICT DO NOTHING;
        GET DIAGNOSTICS v_inserted = ROW_COUNT;
        UPDATE event AS x SET state = w.state, opens_at = w.opens, closes_at = w.closes, limit_per_customer = w.lim,
                version = w.version + 1, decided_at = w.at
            FROM unnest(e_group, e_version, e_at, e_state, e_opens, e_closes, e_limit)
                AS w (grp, version, at, state, opens, closes, lim)
            WHERE w.version > 0 AND NOT v_out[w.grp] AND x.event_id = p_event AND x.version = w.version;
        GET DIAGNOSTICS v_updated = ROW_COUNT;
        SELECT count(*) INTO v_expected FROM generate_subscripts(e_group, 1) AS i WHERE NOT v_out[e_group[i]];
        IF v_inserted + v_updated <> v_expected THEN
            RAISE EXCEPTION 'lost the race for the event' USING ERRCODE = 'TR001';
        END IF;
        INSERT INTO change (event_id, sequence, decided_at, version, kind, state, opens_at, closes_at, limit_per_customer)
            SELECT p_event, v_after[e_group[i]] + e_nth[i], e_at[i], e_version[i] + 1, 'event', e_state[i], e_opens[i],
                e_closes[i], e_limit[i]
            FROM generate_subscripts(e_group, 1) AS i WHERE NOT v_out[e_group[i]];
    END IF;

    IF cardinality(t_group) > 0 THEN
        v_inserted := 0;
        IF 0 = ANY (t_version) THEN
            INSERT INTO ticket (event_id, ticket_id, area_id, row_rank, place_number, state, reservation_id, held_until,
                    block_reason, version, decided_at)
                SELECT p_event, t_id[i], t_area[i], t_row[i], t_number[i], t_state[i], t_reservation[i], t_until[i],
                    t_reason[i], 1, t_at[i]
                FROM generate_subscripts(t_group, 1) AS i WHERE t_version[i] = 0 AND NOT v_out[t_group[i]]
                ON CONFLICT DO NOTHING;
            GET DIAGNOSTICS v_inserted = ROW_COUNT;
        END IF;
        -- The place is repeated in the condition: it never changes, and is not written again.
        UPDATE ticket AS x SET state = w.state, reservation_id = w.reservation, held_until = w.until,
                block_reason = w.reason, version = w.version + 1, decided_at = w.at
            FROM unnest(t_group, t_version, t_at, t_id, t_area, t_row, t_number, t_state, t_reservation, t_until, t_reason,
                    array_fill(p_event, ARRAY[cardinality(t_group)]))
                AS w (grp, version, at, id, area, rank, number, state, reservation, until, reason, event)
            WHERE w.version > 0 AND NOT v_out[w.grp] AND x.event_id = w.event AND x.ticket_id = w.id
                AND x.version = w.version AND x.area_id = w.area AND x.row_rank = w.rank AND x.place_number = w.number;
        GET DIAGNOSTICS v_updated = ROW_COUNT;
        SELECT count(*) INTO v_expected FROM generate_subscripts(t_group, 1) AS i WHERE NOT v_out[t_group[i]];
        IF v_inserted + v_updated <> v_expected THEN
            RAISE EXCEPTION 'a ticket is not as its check saw it' USING ERRCODE = 'TR002';
        END IF;
        INSERT INTO change (event_id, sequence, decided_at, version, kind, ticket_id, area_id, row_rank, place_number, state,
                reservation_id, held_until, block_reason)
            SELECT p_event, v_after[t_group[i]] + t_nth[i], t_at[i], t_version[i] + 1, 'ticket', t_id[i], t_area[i], t_row[i],
                t_number[i], t_state[i], t_reservation[i], t_until[i], t_reason[i]
            FROM generate_subscripts(t_group, 1) AS i WHERE NOT v_out[t_group[i]];
    END IF;

    IF cardinality(p_group) > 0 THEN
        v_inserted := 0;
        IF 0 = ANY (p_version) THEN
            INSERT INTO pool (event_id, pool_id, capacity, held, booked, version, decided_at)
                SELECT p_event, p_id[i], p_capacity[i], p_held[i], p_booked[i], 1, p_at[i]
                FROM generate_subscripts(p_group, 1) AS i WHERE p_version[i] = 0 AND NOT v_out[p_group[i]]
                ON CONFLICT DO NOTHING;
            GET DIAGNOSTICS v_inserted = ROW_COUNT;
        END IF;
        INSERT INTO change (event_id, sequence, decided_at, version, kind, pool_id, capacity, held, booked)
            SELECT p_event, v_after[p_group[i]] + p_nth[i], p_at[i], 1, 'pool', p_id[i], p_capacity[i], p_held[i],
                p_booked[i]
            FROM generate_subscripts(p_group, 1) AS i WHERE p_version[i] = 0 AND NOT v_out[p_group[i]];
        WITH written AS (
            UPDATE pool AS x SET
                    capacity = CASE WHEN w.shift_held IS NULL THEN w.capacity ELSE x.capacity END,
                    held = CASE WHEN w.shift_held IS NULL THEN w.held ELSE x.held + w.shift_held END,
                    booked = CASE WHEN w.shift_held IS NULL THEN w.booked ELSE x.booked + w.shift_booked END,
                    version = x.version + 1,
                    decided_at = CASE WHEN x.version = w.version THEN w.at ELSE greatest(x.decided_at, w.at) END
                FROM unnest(p_group, p_nth, p_version, p_at, p_id, p_capacity, p_held, p_booked, p_shift_held, p_shift_booked,
                        array_fill(p_event, ARRAY[cardinality(p_group)]))
                    AS w (grp, nth, version, at, id, capacity, held, booked, shift_held, shift_booked, event)
                WHERE w.version > 0 AND NOT v_out[w.grp] AND x.event_id = w.event AND x.pool_id = w.id
                    AND (x.version = w.version OR w.shift_held IS NOT NULL)
                RETURNING v_after[w.grp] + w.nth AS sequence, x.*)
            INSERT INTO change (event_id, sequence, decided_at, version, kind, pool_id, capacity, held, booked)
                SELECT p_event, x.sequence, x.decided_at, x.version, 'pool', x.pool_id, x.capacity, x.held, x.booked
                FROM written AS x;
        GET DIAGNOSTICS v_updated = ROW_COUNT;
        SELECT count(*) INTO v_expected FROM generate_subscripts(p_group, 1) AS i WHERE NOT v_out[p_group[i]];
        IF v_inserted + v_updated <> v_expected THEN
            RAISE EXCEPTION 'a pool is not as its check saw it' USING ERRCODE = 'TR002';
        END IF;
    END IF;

    IF cardinality(a_group) > 0 THEN
        v_inserted := 0;
        IF 0 = ANY (a_version) THEN
            INSERT INTO allowance (event_id, customer_id, held, booked, version, decided_at)
                SELECT p_event, a_id[i], a_held[i], a_booked[i], 1, a_at[i]
                FROM generate_subscripts(a_group, 1) AS i WHERE a_version[i] = 0 AND NOT v_out[a_group[i]]
                ON CONFLICT DO NOTHING;
            GET DIAGNOSTICS v_inserted = ROW_COUNT;
        END IF;
        UPDATE allowance AS x SET held = w.held, booked = w.booked, version = w.version + 1, decided_at = w.at
            FROM unnest(a_group, a_version, a_at, a_id, a_held, a_booked, array_fill(p_event, ARRAY[cardinality(a_group)]))
                AS w (grp, version, at, id, held, booked, event)
            WHERE w.version > 0 AND NOT v_out[w.grp] AND x.event_id = w.event AND x.customer_id = w.id
                AND x.version = w.version;
        GET DIAGNOSTICS v_updated = ROW_COUNT;
        SELECT count(*) INTO v_expected FROM generate_subscripts(a_group, 1) AS i WHERE NOT v_out[a_group[i]];
        IF v_inserted + v_updated <> v_expected THEN
            RAISE EXCEPTION 'an allowance is not as its check saw it' USING ERRCODE = 'TR002';
        END IF;
        INSERT INTO change (event_id, sequence, decided_at, version, kind, customer_id, held, booked)
            SELECT p_event, v_after[a_group[i]] + a_nth[i], a_at[i], a_version[i] + 1, 'allowance', a_id[i], a_held[i],
                a_booked[i]
            FROM generate_subscripts(a_group, 1) AS i WHERE NOT v_out[a_group[i]];
    END IF;

    IF NOT p_early THEN
        PERFORM insert_new(p_event, v_out, r_group, r_version, r_at, r_id, r_customer, r_state, r_until, r_held_at,
            r_tickets, r_pools, r_quantities,
            h_group, h_reservation, h_is_new, h_nth, h_until, h_pool, h_quantity, h_held_by,
            o_group, o_at, o_id, o_fingerprint, o_kind, o_reservation, o_customer, o_until, o_changed);
    END IF;

    IF cardinality(r_group) > 0 THEN
        UPDATE reservation AS x SET customer_id = r_customer[i], state = r_state[i], held_until = r_until[i],
                held_at = r_held_at[i], version = r_version[i] + 1, decided_at = r_at[i]
            FROM generate_subscripts(r_group, 1) AS i
            WHERE r_version[i] > 0 AND NOT v_out[r_group[i]] AND x.reservation_id = r_id[i] AND x.version = r_version[i]
                AND x.event_id IS NOT DISTINCT FROM p_event;
        GET DIAGNOSTICS v_updated = ROW_COUNT;
        SELECT count(*) INTO v_expected
            FROM generate_subscripts(r_group, 1) AS i WHERE r_version[i] > 0 AND NOT v_out[r_group[i]];
        IF v_updated <> v_expected THEN
            RAISE EXCEPTION 'a reservation is not as its check saw it' USING ERRCODE = 'TR002';
        END IF;
        IF v_updated > 0 THEN
            DELETE FROM hold AS x USING generate_subscripts(r_group, 1) AS i
                WHERE r_version[i] > 0 AND NOT v_out[r_group[i]] AND x.reservation_id = r_id[i];
            IF false = ANY (h_is_new) THEN
                PERFORM insert_holds(p_event, v_out, false, h_group, h_reservation, h_is_new, h_nth, h_until, h_pool, h_quantity,
                    h_held_by);
            END IF;
        END IF;
        INSERT INTO change (event_id, sequence, decided_at, version, kind, reservation_id, customer_id, state, held_until,
                held_at, tickets, pools, quantities)
            SELECT p_event, v_after[r_group[i]] + r_nth[i], r_at[i], r_version[i] + 1, 'reservation', r_id[i], r_customer[i],
                r_state[i], r_until[i], r_held_at[i], r_tickets[i]::text[], r_pools[i]::text[], r_quantities[i]::bigint[]
            FROM generate_subscripts(r_group, 1) AS i WHERE NOT v_out[r_group[i]];
    END IF;

    IF v_last > v_first THEN
        UPDATE event SET change_sequence = v_last WHERE event_id = p_event AND change_sequence = v_first;
        GET DIAGNOSTICS v_updated = ROW_COUNT;
        IF v_updated <> 1 THEN
            RAISE EXCEPTION 'the counter of the change feed was not where it was' USING ERRCODE = 'TR002';
        END IF;
    END IF;
    RETURN v_stale;
END
$$;
