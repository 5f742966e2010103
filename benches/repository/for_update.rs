//! What most would write: one transaction for each hold, which locks the pool's row and writes the same rows as the repository.

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
const STATEMENTS: [&str; 7] = [
    "SELECT held, version FROM pool WHERE event_id = 'by hand' AND pool_id = 'standing' FOR UPDATE",
    "UPDATE pool SET held = held + 1, version = version + 1 WHERE event_id = 'by hand' AND pool_id = 'standing'",
    "INSERT INTO reservation SELECT $1::uuid, 'by hand', $1::uuid::text, 'held', 4000000000000000, 1, 1, 1",
    "INSERT INTO reservation_line SELECT $1::uuid, 1, 'by hand', NULL, 'standing', 1, 4000000000000000",
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

/// A buyer's connection, with everything prepared.
pub(crate) struct Buyer {
    client: Client,
    statements: Vec<Statement>,
}

impl Buyer {
    async fn new(url: &str) -> Self {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
        tokio::spawn(async move { drop(connection.await) });
        client.batch_execute(EVENT_AND_POOL).await.expect("a pool");
        let mut statements = Vec::new();
        for sql in STATEMENTS {
            statements.push(client.prepare(sql).await.expect("a statement"));
        }
        Self { client, statements }
    }

    async fn hold(&self) {
        let (reservation, operation) = (Uuid::from_u128(rand::random()), Uuid::from_u128(rand::random()));
        self.client.batch_execute("BEGIN").await.expect("an answer");
        for statement in &self.statements {
            let ids: [&(dyn ToSql + Sync); 2] = [&reservation, &operation];
            self.client.execute(statement, &ids[..statement.params().len()]).await.expect("an answer");
        }
        self.client.batch_execute("COMMIT").await.expect("an answer");
    }
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
