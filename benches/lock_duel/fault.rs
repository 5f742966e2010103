//! What happens to the first server.

use std::io;

use crate::args::Fault;
use crate::redis_servers::{RedisServers, SilentServer};

/// What is left of it, and must go on until the end.
#[derive(Debug)]
pub(crate) struct Struck {
    _silent: Option<SilentServer>,
}

/// Does it.
pub(crate) fn strike(fault: Fault, servers: &RedisServers) -> io::Result<Struck> {
    let first = &servers[0];
    let mut silent = None;
    match fault {
        Fault::None => {}
        Fault::FrozenNode => first.pause()?,
        Fault::DeadNode => first.kill(),
        Fault::SilentNode => {
            first.kill();
            silent = Some(SilentServer::on(first.port())?);
        }
        Fault::Restart => first.restart()?,
    }
    Ok(Struck { _silent: silent })
}
