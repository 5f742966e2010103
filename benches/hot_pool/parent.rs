//! Starts the server and the workers, lets them sell, and looks at what they have done.

use std::error::Error;
use std::sync::Arc;

use ticket_reservation::adapters::postgres::PostgresRepository;
use ticket_reservation::adapters::tokio::TokioRuntime;
use ticket_reservation::booking::BookingService;
use ticket_reservation::domain::CreateEvent;

use crate::args::Args;
use crate::audit::is_kept;
use crate::orders::{event, pool};
use crate::postgres_server::{Durability, PostgresServer};
use crate::process::Workers;
use crate::rounds::Rounds;
use crate::verdict;

/// More than anybody buys.
const CAPACITY: u32 = 4_000_000_000;

/// Whether everything is as it must be.
pub(crate) fn run(args: &Args) -> Result<bool, Box<dyn Error>> {
    let server = PostgresServer::start(Durability::Durable)?;
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio.block_on(put_on_sale(&server.url()))?;
    let mut rounds = Rounds::new(Workers::start(&server.url())?, args.time());
    if args.measures() {
        rounds.calibrate()?;
        verdict::print_heading();
        for pair in rounds.round()? {
            verdict::print("warm-up", &pair);
        }
    }
    let mut pairs = Vec::new();
    for round in 1..=args.rounds() {
        for pair in rounds.round()? {
            verdict::print(&round.to_string(), &pair);
            pairs.push(pair);
        }
    }
    let is_met = verdict::judge(&pairs, args.measures());
    let is_kept = is_kept(&server, event().as_str(), rounds.acknowledged_by_service)?
        & is_kept(&server, "by hand", rounds.acknowledged_by_hand)?;
    Ok(is_met & is_kept)
}

async fn put_on_sale(url: &str) -> Result<(), Box<dyn Error>> {
    let runtime = Arc::new(TokioRuntime::current()?);
    let repository = PostgresRepository::builder(url, runtime.clone()).plain_on_loopback().build()?;
    repository.migrate().await?;
    let service = BookingService::builder(Arc::new(repository), runtime).build()?;
    let _created = service.create_event(&event(), service.new_operation_id(), CreateEvent::default()).await?;
    service.import(&event(), Vec::new(), vec![(pool(), CAPACITY)]).await?;
    Ok(())
}
