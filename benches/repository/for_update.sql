-- The transaction of for_update.rs for pgbench, on a database whose tables are made:
--
--   psql -c "SET search_path = ticket_reservation; INSERT INTO event (event_id, state, version, decided_at)
--            VALUES ('by hand', 'on_sale', 1, 1); INSERT INTO pool VALUES ('by hand', 'standing', 4000000000, 0, 0, 1, 1)"
--   PGOPTIONS='-c search_path=ticket_reservation' pgbench -n -M prepared -c 16 -j 2 -T 5 -f benches/repository/for_update.sql
\set customer random(1, 1000000000)
BEGIN;
SELECT held, version FROM pool WHERE event_id = 'by hand' AND pool_id = 'standing' FOR UPDATE;
UPDATE pool SET held = held + 1, version = version + 1 WHERE event_id = 'by hand' AND pool_id = 'standing';
INSERT INTO reservation VALUES (gen_random_uuid(), 'by hand', 'c' || :customer, 'held', 4000000000000000, 1, 1, 1,
    NULL, '{standing}', '{1}');
INSERT INTO hold VALUES (gen_random_uuid(), 1, 'by hand', 4000000000000000, 'standing', 1);
INSERT INTO operation VALUES (gen_random_uuid(), 'by hand', decode('00112233445566778899aabbccddeeff', 'hex'), 'hold',
    gen_random_uuid(), 'c' || :customer, 1, 0, 1, 1);
UPDATE event SET change_sequence = change_sequence + 2 WHERE event_id = 'by hand' RETURNING change_sequence AS last \gset
INSERT INTO change (event_id, sequence, decided_at, version, kind, pool_id, capacity, held, booked)
    VALUES ('by hand', :last - 1, 1, 1, 'pool', 'standing', 4000000000, 1, 0);
INSERT INTO change (event_id, sequence, decided_at, version, kind, reservation_id, customer_id, state, held_until, held_at,
        pools, quantities)
    VALUES ('by hand', :last, 1, 1, 'reservation', gen_random_uuid(), 'c' || :customer, 'held', 4000000000000000, 1,
        '{standing}', '{1}');
COMMIT;
