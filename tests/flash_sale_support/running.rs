//! A sale that goes on while a test does something to it.

use std::process::{Child, Command, Stdio};

use super::Run;

/// Killed when a test ends, if it has not ended by then.
pub(crate) struct Running(Option<Child>);

impl Running {
    pub(crate) fn start(mut sale: Command) -> Self {
        let child = sale.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        Self(Some(child.expect("it runs")))
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.0.as_ref().expect("a sale").id()
    }

    pub(crate) fn is_over(&mut self) -> bool {
        self.0.as_mut().expect("a sale").try_wait().expect("its state").is_some()
    }

    /// What it has said, when it has ended.
    pub(crate) fn wait(mut self) -> Run {
        Run::from(self.0.take().expect("a sale").wait_with_output().expect("it ends"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            child.kill().expect("SIGKILL");
            child.wait().expect("its end");
        }
    }
}
