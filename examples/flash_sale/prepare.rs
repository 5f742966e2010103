//! Before the sale: creates the event, imports its inventory, and tries out the lock.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ticket_reservation::booking::{BookingService, Contention};
use ticket_reservation::domain::CreateEvent;
use ticket_reservation::ports::{Repository, Runtime};
use tokio::runtime::Handle;

use crate::failure::Failure;
use crate::locks;
use crate::nodes::Urls;
use crate::runtime::TokioRuntime;
use crate::sale::Sale;

/// Puts the sale's hall on sale.
pub(crate) async fn prepare(
    sale: &Sale,
    dir: &Path,
    redis: &Urls,
    repository: Arc<dyn Repository>,
) -> Result<(), Failure> {
    let event = sale.event()?;
    let unusable = |error| Failure::usage(format!("the plan has an unusable id: {error}"));
    let refused = |error| Failure::caused("the inventory cannot be imported", &error);
    let tickets = sale.hall.tickets().map_err(unusable)?;
    let pools = sale.hall.pools().map_err(unusable)?;
    let runtime: Arc<dyn Runtime> = Arc::new(TokioRuntime::new(Handle::current()));
    locks::try_out(sale, dir, redis, &runtime).await?;
    let service = BookingService::builder(repository, runtime)
        .policies(sale.policies())
        .contention(Contention::Wait(Duration::from_secs(60)))
        .build()
        .map_err(|error| Failure::caused("the booking service", &error))?;
    let operation = service.new_operation_id();
    let _receipt = service.create_event(&event, operation, CreateEvent::default()).await.map_err(refused)?;
    service.import(&event, tickets, pools).await.map_err(refused)?;
    service.shutdown(Duration::from_secs(10)).await;
    Ok(())
}
