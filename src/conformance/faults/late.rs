use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::{EventId, Snapshot};
use crate::ports::{Group, GroupOutcome, LoadRequest, Repository, StoreError};

/// When a commit whose answer was lost really happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Landing {
    /// Before the failure is reported.
    BeforeTheAnswer,
    /// After so many further loads have been answered, and before the answer of the last of them is seen.
    AfterLoads(usize),
    /// When [`LateCommit::land`] is called.
    OnDemand,
    /// Never.
    Never,
}

/// A repository that loses the answers of commits: they fail as `Unknown`, and happen some time, or not.
///
/// # Clone
///
/// A clone shares the plan and what is still on its way.
///
/// # Example
///
/// ```
#[doc = doc_on_sale!()]
/// use ticket_reservation::conformance::faults::{Landing, LateCommit};
///
/// let store = LateCommit::new(Arc::new(MemoryRepository::new()));
/// let service = BookingService::builder(Arc::new(store.clone()), runtime).build()?;
/// store.after_unknown(|| println!("an answer was lost"));
/// store.arm(Landing::BeforeTheAnswer);
/// // The service asks the store again, and finds the event created.
/// let receipt = service.create_event(&event, service.new_operation_id(), CreateEvent::default()).await?;
/// assert!(receipt.repeated);
/// assert!(store.land().await?.is_empty());
#[doc = doc_end!()]
/// ```
#[derive(Clone)]
pub struct LateCommit {
    inner: Arc<dyn Repository>,
    plan: Arc<Mutex<Plan>>,
}

#[derive(Default)]
struct Plan {
    /// The landings of the next commits, the very next one last.
    armed: Vec<Landing>,
    under_way: Vec<Statement>,
    after_unknown: Option<Arc<dyn Fn() + Send + Sync>>,
}

struct Statement {
    event: EventId,
    groups: Vec<Group>,
    landing: Landing,
}

impl LateCommit {
    /// Wraps a repository. Nothing goes wrong until [`LateCommit::arm`].
    pub fn new(inner: Arc<dyn Repository>) -> Self {
        Self { inner, plan: Arc::default() }
    }

    /// The answer of the next commit that is not armed yet gets lost.
    pub fn arm(&self, landing: Landing) {
        self.plan().armed.insert(0, landing);
    }

    /// Called each time an answer was lost, before the failure is reported.
    pub fn after_unknown(&self, call: impl Fn() + Send + Sync + 'static) {
        self.plan().after_unknown = Some(Arc::new(call));
    }

    /// Lets everything land that is still on its way, and says what the store made of it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the repository inside.
    ///
    /// # Cancellation
    ///
    /// What has not landed by then may never do so.
    pub async fn land(&self) -> Result<Vec<GroupOutcome>, StoreError> {
        let statements = std::mem::take(&mut self.plan().under_way);
        self.carry_out(statements).await
    }

    async fn carry_out(&self, statements: Vec<Statement>) -> Result<Vec<GroupOutcome>, StoreError> {
        let mut outcomes = Vec::new();
        for statement in statements.into_iter().filter(|statement| statement.landing != Landing::Never) {
            outcomes.extend(self.inner.commit(&statement.event, &statement.groups).await?);
        }
        Ok(outcomes)
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What lands now that one more load was answered.
    fn due(&self) -> Vec<Statement> {
        let mut plan = self.plan();
        let mut due = Vec::new();
        let mut still = Vec::new();
        for mut statement in std::mem::take(&mut plan.under_way) {
            match statement.landing {
                Landing::AfterLoads(0 | 1) => due.push(statement),
                Landing::AfterLoads(loads) => {
                    statement.landing = Landing::AfterLoads(loads - 1);
                    still.push(statement);
                }
                _ => still.push(statement),
            }
        }
        plan.under_way = still;
        due
    }
}

impl fmt::Debug for LateCommit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LateCommit").field("inner", &self.inner).finish_non_exhaustive()
    }
}

super::wrapper! {
    LateCommit {
        async fn load(&self, request: &LoadRequest) -> Result<Snapshot, StoreError> {
            let snapshot = self.inner.load(request).await?;
            self.carry_out(self.due()).await?;
            Ok(snapshot)
        }

        async fn commit(&self, event: &EventId, groups: &[Group]) -> Result<Vec<GroupOutcome>, StoreError> {
            let Some(landing) = self.plan().armed.pop() else {
                return self.inner.commit(event, groups).await;
            };
            if landing == Landing::BeforeTheAnswer {
                self.inner.commit(event, groups).await?;
            } else {
                let statement = Statement { event: event.clone(), groups: groups.to_vec(), landing };
                self.plan().under_way.push(statement);
            }
            let call = self.plan().after_unknown.clone();
            if let Some(call) = call {
                call();
            }
            Err(StoreError::unknown("the answer was lost"))
        }
    }
}
