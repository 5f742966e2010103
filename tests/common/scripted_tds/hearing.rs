//! What a client says while its answer is under way.

use std::io;

use super::script::Wait;
use super::state::Shared;
use super::wire::Wire;

/// What came from the client during a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    Nothing,
    Attention,
    End,
}

/// Waits, unless the client ends the connection or the request. An attention that is to be ignored is.
pub(super) async fn heard_until(wire: &mut Wire, shared: &Shared, wait: &Wait) -> io::Result<Heard> {
    let heard = async {
        loop {
            if !wire.attention().await? {
                return Ok(Heard::End);
            }
            if shared.attention() {
                return Ok(Heard::Attention);
            }
        }
    };
    tokio::select! {
        () = wait.over() => Ok(Heard::Nothing),
        heard = heard => heard,
    }
}
