//! What most would write: one transaction for each hold and one for each confirmation, which locks the pool's row and writes the
//! same rows as the repository.

#![allow(dead_code, reason = "each bench uses its own part")]

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use ticket_reservation::adapters::postgres::tokio_postgres::types::ToSql;
use ticket_reservation::adapters::postgres::tokio_postgres::{self, Client, NoTls, Statement};
use uuid::Uuid;

/// At once, as from as many processes.
pub(crate) const CONNECTIONS: u64 = 16;

const EVENT_AND_POOL: &str = "SET search_path = ticket_reservation;
    INSERT INTO event (event_id, state, version, decided_at) VALUES ('by hand', 'on_sale', 1, 1) ON CONFLICT DO NOTHING;
    INSERT INTO pool VALUES ('by hand', 'standing', 4000000000, 0, 0, 1, 1) ON CONFLICT DO NOTHING";

/// In order. `$1` is the reservation's id and `$2` the operation's, for those that have them.
const HOLD: [&str; 7] = [
    "SELECT held, version FROM pool WHERE event_id = 'by hand' AND pool_id = 'standing' FOR UPDATE",
    "UPDATE pool SET held = held + 1, version = version + 1 WHERE event_id = 'by hand' AND pool_id = 'standing'",
    "INSERT INTO reservation SELECT $1::uuid, 'by hand', $1::uuid::text, 'held', 4000000000000000, 1, 1, 1, NULL, '{standing}', '{1}'",
    "INSERT INTO hold SELECT $1::uuid, 1, 'by hand', 4000000000000000, 'standing', 1",
    "INSERT INTO operation SELECT $2::uuid, 'by hand', decode('00112233445566778899aabbccddeeff', 'hex'), 'hold', $1::uuid,
        $1::uuid::text, 1, 0, 1, 1",
    "UPDATE event SET change_sequence = change_sequence + 2 WHERE event_id = 'by hand'",
    "INSERT INTO change (event_id, sequence, decided_at, version, kind, pool_id, capacity, held, booked, reservation_id,
            customer_id, state, held_until, held_at, pools, quantities)
        SELECT 'by hand', e.change_sequence - 1, 1, 1, 'pool', 'standing', 4000000000, 1, 0, NULL::uuid, NULL, NULL,
            NULL::bigint, NULL::bigint, NULL::text[], NULL::bigint[] FROM event AS e WHERE e.event_id = 'by hand'
        UNION ALL SELECT 'by hand', e.change_sequence, 1, 1, 'reservation', NULL, NULL, NULL, NULL, $1::uuid, $1::uuid::text,
            'held', 4000000000000000, 1, '{standing}', '{1}' FROM event AS e WHERE e.event_id = 'by hand'",
];

/// As above.
const CONFIRM: [&str; 7] = [
    "SELECT held, booked, version FROM pool WHERE event_id = 'by hand' AND pool_id = 'standing' FOR UPDATE",
    "UPDATE pool SET held = held - 1, booked = booked + 1, version = version + 1
        WHERE event_id = 'by hand' AND pool_id = 'standing'",
    "UPDATE reservation SET state = 'booked', held_until = NULL, version = version + 1
        WHERE reservation_id = $1::uuid AND state = 'held'",
    "DELETE FROM hold WHERE reservation_id = $1::uuid",
    "INSERT INTO operation SELECT $2::uuid, 'by hand', decode('00112233445566778899aabbccddeeff', 'hex'), 'confirm', $1::uuid,
        $1::uuid::text, NULL, 0, 1, 1",
    "UPDATE event SET change_sequence = change_sequence + 2 WHERE event_id = 'by hand'",
    "INSERT INTO change (event_id, sequence, decided_at, version, kind, pool_id, capacity, held, booked, reservation_id,
            customer_id, state, held_at, pools, quantities)
        SELECT 'by hand', e.change_sequence - 1, 1, 1, 'pool', 'standing', 4000000000, 0, 1, NULL::uuid, NULL, NULL,
            NULL::bigint, NULL::text[], NULL::bigint[] FROM event AS e WHERE e.event_id = 'by hand'
        UNION ALL SELECT 'by hand', e.change_sequence, 1, 2, 'reservation', NULL, NULL, NULL, NULL, $1::uuid, $1::uuid::text,
            'booked', 1, '{standing}', '{1}' FROM event AS e WHERE e.event_id = 'by hand'",
];

/// A buyer's connection, with everything prepared.
pub(crate) struct Buyer {
    client: Client,
    hold: Vec<Statement>,
    confirm: Vec<Statement>,
}

impl Buyer {
    pub(crate) async fn new(url: &str) -> Self {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
        tokio::spawn(async move { drop(connection.await) });
        client.batch_execute(EVENT_AND_POOL).await.expect("a pool");
        let (hold, confirm) = (prepare(&client, HOLD).await, prepare(&client, CONFIRM).await);
        Self { client, hold, confirm }
    }

    pub(crate) async fn hold(&self) -> Uuid {
        let reservation = Uuid::from_u128(rand::random());
        self.transact(&self.hold, reservation).await;
        reservation
    }

    pub(crate) async fn confirm(&self, reservation: Uuid) {
        self.transact(&self.confirm, reservation).await;
    }

    async fn transact(&self, statements: &[Statement], reservation: Uuid) {
        let operation = Uuid::from_u128(rand::random());
        self.client.batch_execute("BEGIN").await.expect("an answer");
        for statement in statements {
            let ids: [&(dyn ToSql + Sync); 2] = [&reservation, &operation];
            self.client.execute(statement, &ids[..statement.params().len()]).await.expect("an answer");
        }
        self.client.batch_execute("COMMIT").await.expect("an answer");
    }
}

async fn prepare(client: &Client, texts: [&str; 7]) -> Vec<Statement> {
    let mut statements = Vec::new();
    for sql in texts {
        statements.push(client.prepare(sql).await.expect("a statement"));
    }
    statements
}

pub(crate) async fn buyers(url: &str) -> Vec<Buyer> {
    join_all((0..CONNECTIONS).map(|_| Buyer::new(url))).await
}

/// How long it takes until each of them has so many holds.
pub(crate) async fn holds(buyers: &[Buyer], each: u64) -> Duration {
    let started = Instant::now();
    join_all(buyers.iter().map(async |buyer| {
        for _ in 0..each {
            buyer.hold().await;
        }
    }))
    .await;
    started.elapsed()
}
