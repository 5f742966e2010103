//! The thread that owns a connection.
//!
//! SQLite blocks, and a connection is used by one thread at a time: each connection has a thread of its own, which
//! carries calls out in the order of their arrival. At most [`CALLS_MAX`] of them wait in front of it; one more is
//! refused at once. A call whose caller has gone keeps its place until its turn, and is left out then.

use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, TrySendError};

use futures_channel::oneshot;
use rusqlite::Connection;

use super::error::{Fault, SqliteError};

/// Most calls that wait at once for one thread of a repository or lock, besides the one that it carries out. One more
/// fails at once, the repository's as transient: so many wait only when the file stays busy or the disk is slow.
pub const CALLS_MAX: usize = 1_024;

/// What a thread serves.
pub(super) trait Session: Send + 'static {
    /// The connection with its prepared statements.
    type Ready<'c>;

    /// Opens the file, at the start and again after a failure.
    fn open(&self) -> Result<Connection, SqliteError>;

    /// Prepares the statements.
    fn prepare<'c>(&self, connection: &'c Connection) -> rusqlite::Result<Self::Ready<'c>>;

    /// Does what can wait until a call is answered.
    fn tidy_up(ready: &mut Self::Ready<'_>);
}

/// Ends when the thread has closed the file.
#[derive(Debug)]
pub(super) struct Closed(oneshot::Receiver<()>);

impl Closed {
    pub(super) async fn wait(self) {
        // The thread never sends anything: it drops its end last.
        let _ = self.0.await;
    }
}

/// What comes after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Next,
    Reopen,
}

type Call<S> = Box<dyn for<'s, 'c> FnOnce(Result<&'s mut <S as Session>::Ready<'c>, Fault>) -> After + Send + 'static>;

/// The caller's side. When the last clone is dropped, the thread finishes what waits, closes the file and ends.
pub(super) struct Thread<S: Session> {
    calls: mpsc::SyncSender<Call<S>>,
    session: PhantomData<fn(S)>,
}

impl<S: Session> Thread<S> {
    /// Opens the file on the calling thread, so that the caller learns what is wrong with it, and hands it over.
    pub(super) fn start(name: &str, session: S) -> Result<(Self, Closed), SqliteError> {
        let connection = session.open()?;
        // Tables that lack something are found now, and not by the first call.
        drop(session.prepare(&connection).map_err(|error| SqliteError::Schema(error.into()))?);
        let (calls, waiting) = mpsc::sync_channel(CALLS_MAX);
        let (closing, closed) = oneshot::channel();
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                serve(&session, connection, &waiting);
                drop(closing);
            })
            .map_err(SqliteError::Thread)?;
        Ok((Self { calls, session: PhantomData }, Closed(closed)))
    }

    /// Carries `work` out on the thread, unless too many calls are waiting. When the returned future is dropped early,
    /// `work` still runs if it had begun, and is left out otherwise.
    pub(super) async fn call<T, F>(&self, work: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: for<'s, 'c> FnOnce(&'s mut S::Ready<'c>) -> Result<T, Fault> + Send + 'static,
    {
        let (to_caller, answer) = oneshot::channel();
        self.send(move |ready| {
            if to_caller.is_canceled() {
                return After::Next;
            }
            let result = ready.and_then(work);
            let after = match &result {
                Err(fault) if fault.breaks_connection() => After::Reopen,
                _ => After::Next,
            };
            // Nobody to tell: the caller has gone, which is its right.
            drop(to_caller.send(result));
            after
        })?;
        answer.await.unwrap_or(Err(Fault::GivenUp))
    }

    /// Carries `work` out on the thread some time, for nobody to wait for. It is left out if too many calls are
    /// waiting.
    pub(super) fn post<F>(&self, work: F)
    where
        F: for<'s, 'c> FnOnce(&'s mut S::Ready<'c>) -> Result<(), Fault> + Send + 'static,
    {
        drop(self.send(move |ready| match ready.and_then(work) {
            Err(fault) if fault.breaks_connection() => After::Reopen,
            _ => After::Next,
        }));
    }

    fn send<F>(&self, call: F) -> Result<(), Fault>
    where
        F: for<'s, 'c> FnOnce(Result<&'s mut S::Ready<'c>, Fault>) -> After + Send + 'static,
    {
        match self.calls.try_send(Box::new(call)) {
            Err(TrySendError::Full(_)) => Err(Fault::TooManyCalls),
            // A thread that has ended drops the call, and with it the caller's end of the answer.
            Ok(()) | Err(TrySendError::Disconnected(_)) => Ok(()),
        }
    }
}

impl<S: Session> Clone for Thread<S> {
    fn clone(&self) -> Self {
        Self { calls: self.calls.clone(), session: PhantomData }
    }
}

impl<S: Session> fmt::Debug for Thread<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Thread")
    }
}

/// Serves calls until nobody can make one. After a failure that breaks the connection, the next call opens a new one.
fn serve<S: Session>(session: &S, first: Connection, waiting: &mpsc::Receiver<Call<S>>) {
    let mut opened = Some(first);
    while let Ok(call) = waiting.recv() {
        let connection = match opened.take().map_or_else(|| session.open(), Ok) {
            Ok(connection) => connection,
            Err(error) => {
                refuse(call, Fault::Reopen(error));
                continue;
            }
        };
        match session.prepare(&connection) {
            Ok(mut ready) => serve_connection::<S>(&mut ready, call, waiting),
            Err(error) => refuse(call, Fault::Sqlite(error)),
        }
    }
}

/// Serves calls until nobody can make one, or the connection is broken.
fn serve_connection<S: Session>(ready: &mut S::Ready<'_>, first: Call<S>, waiting: &mpsc::Receiver<Call<S>>) {
    let mut next = Some(first);
    while let Some(call) = next {
        // A bug must not turn into callers that wait for ever. What it left behind is closed with the connection.
        let served = catch_unwind(AssertUnwindSafe(|| {
            let after = call(Ok(ready));
            if after == After::Next {
                S::tidy_up(ready);
            }
            after
        }));
        match served {
            Ok(After::Next) => next = waiting.recv().ok(),
            Ok(After::Reopen) | Err(_) => return,
        }
    }
}

/// Answers a call that cannot be carried out.
fn refuse<S: Session>(call: Call<S>, fault: Fault) {
    drop(catch_unwind(AssertUnwindSafe(|| call(Err(fault)))));
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt as _;

    use super::*;

    /// A connection in memory that counts how often it was opened.
    struct Memory(&'static AtomicUsize);

    impl Session for Memory {
        type Ready<'c> = &'c Connection;

        fn open(&self) -> Result<Connection, SqliteError> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Connection::open_in_memory().map_err(|error| SqliteError::Sqlite(error.into()))
        }

        fn prepare<'c>(&self, connection: &'c Connection) -> rusqlite::Result<&'c Connection> {
            Ok(connection)
        }

        fn tidy_up(_: &mut &Connection) {}
    }

    fn start(opened: &'static AtomicUsize) -> (Thread<Memory>, Closed) {
        Thread::start("test", Memory(opened)).unwrap()
    }

    #[tokio::test]
    async fn a_call_that_panics_is_given_up_and_the_next_one_has_a_fresh_connection() {
        static OPENED: AtomicUsize = AtomicUsize::new(0);
        let (thread, _closed) = start(&OPENED);
        thread.call(|connection| Ok(connection.execute_batch("BEGIN; CREATE TABLE t (x);")?)).await.unwrap();
        let given_up = thread.call(|_| -> Result<(), Fault> { panic!("planted") }).await;
        assert!(matches!(given_up, Err(Fault::GivenUp)));
        assert!(thread.call(|connection| Ok(connection.is_autocommit())).await.unwrap());
        assert_eq!(OPENED.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_fault_that_breaks_the_connection_opens_a_new_one() {
        static OPENED: AtomicUsize = AtomicUsize::new(0);
        let (thread, _closed) = start(&OPENED);
        let io_error =
            rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC), None);
        let fault = thread.call(|_| -> Result<(), Fault> { Err(Fault::Commit(io_error)) }).await.unwrap_err();
        assert_eq!(fault.of_write().kind(), crate::ports::StoreErrorKind::Unknown);
        thread.call(|_| Ok(())).await.unwrap();
        assert_eq!(OPENED.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_call_whose_caller_has_gone_before_its_turn_is_left_out() {
        static OPENED: AtomicUsize = AtomicUsize::new(0);
        static RAN: AtomicUsize = AtomicUsize::new(0);
        let (thread, _closed) = start(&OPENED);
        let (go, wait) = mpsc::channel::<()>();
        let first = thread.call(move |_| {
            let _ = wait.recv();
            Ok(())
        });
        let mut first = Box::pin(first);
        assert!(first.as_mut().now_or_never().is_none());
        let second = thread.call(|_| {
            RAN.fetch_add(1, Ordering::SeqCst);
            Ok(())
        });
        assert!(Box::pin(second).as_mut().now_or_never().is_none());
        go.send(()).unwrap();
        first.await.unwrap();
        thread.call(|_| Ok(())).await.unwrap();
        assert_eq!(RAN.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn a_call_is_refused_at_once_while_as_many_wait_as_may_and_served_again_later() {
        static OPENED: AtomicUsize = AtomicUsize::new(0);
        static RAN: AtomicUsize = AtomicUsize::new(0);
        let (thread, _closed) = start(&OPENED);
        let (has_begun, begun) = mpsc::channel::<()>();
        let (go, wait) = mpsc::channel::<()>();
        let mut first = Box::pin(thread.call(move |_| {
            drop(has_begun);
            let _ = wait.recv();
            Ok(())
        }));
        assert!(first.as_mut().now_or_never().is_none());
        let _ = begun.recv();
        let count = |_: &mut &Connection| {
            RAN.fetch_add(1, Ordering::SeqCst);
            Ok(())
        };
        let mut waiting: Vec<_> = (0..CALLS_MAX).map(|_| Box::pin(thread.call(count))).collect();
        assert!(waiting.iter_mut().all(|call| call.as_mut().now_or_never().is_none()));
        let refused = Box::pin(thread.call(count)).as_mut().now_or_never();
        let Some(Err(fault @ Fault::TooManyCalls)) = refused else { panic!("{refused:?}") };
        assert_eq!(fault.of_write().kind(), crate::ports::StoreErrorKind::Transient);
        thread.post(count);
        go.send(()).unwrap();
        first.await.unwrap();
        for call in waiting {
            call.await.unwrap();
        }
        thread.call(|_| Ok(())).await.unwrap();
        assert_eq!(RAN.load(Ordering::SeqCst), CALLS_MAX);
    }

    #[tokio::test]
    async fn the_thread_ends_when_the_last_handle_is_dropped() {
        static OPENED: AtomicUsize = AtomicUsize::new(0);
        let (thread, closed) = start(&OPENED);
        let other = thread.clone();
        drop(thread);
        other.call(|_| Ok(())).await.unwrap();
        drop(other);
        closed.wait().await;
    }
}
