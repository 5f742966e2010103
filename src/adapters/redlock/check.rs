use std::fmt;
use std::sync::Arc;

use super::error::Refusal;

/// What a health check found out about one node.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeCheck {
    /// The node's name: its address, without any secret.
    pub node: Arc<str>,
    /// What is wrong with it. Nothing, if it is fit to hold locks.
    pub findings: Vec<Finding>,
}

/// What makes a node unfit to hold locks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// There is no connection to it.
    Unreachable(Arc<str>),
    /// It does not do what a lock needs.
    Refused(Refusal),
    /// It is a replica: its locks are not its own.
    Replica,
    /// When its memory is full it forgets keys, and with them locks: `maxmemory-policy` should be `noeviction`.
    Eviction {
        /// The policy that it has.
        policy: Arc<str>,
    },
    /// It is the same server as another node, under another name: it votes twice. Told by the `run_id` that `INFO` gives.
    SameServer {
        /// The other node's name.
        node: Arc<str>,
    },
    /// Its user may not run `INFO`, so that neither its role nor its policy is known, and every connection looks like a restart
    /// to a quarantine.
    InfoNotPermitted,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "cannot be reached ({why})"),
            Self::Refused(refusal) => write!(f, "refuses what a lock needs ({refusal})"),
            Self::Replica => f.write_str("is a replica"),
            Self::Eviction { policy } => write!(f, "forgets locks when its memory is full (maxmemory-policy {policy})"),
            Self::SameServer { node } => write!(f, "is the same server as {node}, and votes twice"),
            Self::InfoNotPermitted => f.write_str("does not let this user run INFO"),
        }
    }
}

/// Finds servers that are nodes twice, by the run ids of the nodes.
pub(super) fn find_same_servers(checks: &mut [NodeCheck], run_ids: &[Option<Arc<str>>]) {
    for (at, run_id) in run_ids.iter().enumerate().filter(|(_, run_id)| run_id.is_some()) {
        for other in (0..run_ids.len()).filter(|other| *other != at && run_ids[*other] == *run_id) {
            let node = Arc::clone(&checks[other].node);
            checks[at].findings.push(Finding::SameServer { node });
        }
    }
}
