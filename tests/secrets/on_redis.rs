//! Locks on Redis servers: private ones that let in nobody without a password, and those that are none.

use std::net::TcpListener;
use std::sync::Arc;

use ticket_reservation::adapters::redlock::{Redlock, RedlockBuilder};
use ticket_reservation::adapters::rslock::{RslockLock, rslock::LockManager};

use super::collector::Collector;
use super::locks::{LONG, call_all, key};
use super::redis_servers::{RedisServers, SilentServer};
use super::runtime::TestRuntime;
use super::secret::Secrets;
use super::told::Told;
use super::{AT_MOST, NOT_LONG, soon};

const RIGHT: &str = "redis-right-a83d50";
const WRONG: &str = "redis-wrong-06f4b9";
const LOST: &str = "redis-lost-d1e72c";

fn with(ports: &[u16], user_and_password: &str) -> Vec<String> {
    ports.iter().map(|port| format!("redis://{user_and_password}@127.0.0.1:{port}")).collect()
}

fn builder(said: &'static Collector, urls: &[String]) -> RedlockBuilder {
    Redlock::builder(TestRuntime::current()).nodes(urls.iter().cloned()).observer(Arc::new(Told(said)))
}

pub(crate) async fn say_everything(said: &'static Collector, secrets: &mut Secrets) {
    for (what, secret) in [("right", RIGHT), ("wrong", WRONG), ("of what is no address", LOST)] {
        secrets.plant(&format!("Redis's password, {what}"), secret);
    }
    let servers = RedisServers::start(3).expect("servers");
    for server in servers.iter() {
        let allow = format!(">{RIGHT}");
        server.command(&["ACL", "SETUSER", "box-office", "on", &allow, "~*", "&*", "+@all"]).expect("an answer");
        server.command(&["ACL", "SETUSER", "default", "off"]).expect("an answer");
    }
    let ports: Vec<u16> = servers.iter().map(|server| server.port()).collect();
    let (right, wrong) = (with(&ports, &format!("box-office:{RIGHT}")), with(&ports, &format!("box-office:{WRONG}")));
    let nameless: Vec<String> = servers.urls();

    assert!(redlock(said, secrets, builder(said, &right)).await, "the right password");
    assert!(redlock(said, secrets, builder(said, &nameless).credentials(Some("box-office"), RIGHT)).await);
    for refused in [
        builder(said, &wrong),
        builder(said, &with(&ports, &format!("{WRONG}:{RIGHT}"))),
        builder(said, &nameless).credentials(Some("box-office"), WRONG),
        builder(said, &nameless).credentials(None, WRONG),
        builder(said, &nameless),
    ] {
        assert!(!redlock(said, secrets, refused).await, "nobody is let in");
    }
    assert!(rslock(said, secrets, &right).await, "the right password");
    assert!(!rslock(said, secrets, &wrong).await, "nobody is let in");

    // Whoever holds something is told how its servers fail.
    let held = builder(said, &right).node_timeout(NOT_LONG).connect_timeout(NOT_LONG).build().expect("addresses");
    let leases = soon(held.try_acquire(&[key("kept")], LONG)).await.expect("it is free");
    said.debug("what is kept", &leases);
    servers.iter().for_each(|server| server.kill());
    assert!(!call_all(said, secrets, "servers that died", &held).await);
    assert!(!rslock(said, secrets, &right).await, "nobody is there");
    let silent: Vec<SilentServer> = (0..3).map(|_| SilentServer::start().expect("a port")).collect();
    let ports: Vec<u16> = silent.iter().map(SilentServer::port).collect();
    let mute = builder(said, &with(&ports, &format!("box-office:{RIGHT}")));
    assert!(!redlock(said, secrets, mute.node_timeout(NOT_LONG).connect_timeout(NOT_LONG)).await, "nobody answers");
    let nobody = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it").port());
    assert!(!redlock(said, secrets, builder(said, &with(&nobody, &format!(":{RIGHT}")))).await, "nobody is there");
    what_is_no_address(said);
}

/// Builds it and makes every call, and says whether it was granted something.
async fn redlock(said: &Collector, secrets: &mut Secrets, builder: RedlockBuilder) -> bool {
    said.debug("Redlock's builder", &builder);
    let lock = builder.build().expect("addresses");
    let attempt = soon(lock.try_acquire(&[key("attempt")], LONG)).await;
    said.answer("an attempt", &attempt);
    let granted = call_all(said, secrets, "Redlock", &lock).await;
    for node in soon(lock.check()).await {
        said.debug("a node", &node);
        node.findings.iter().for_each(|finding| said.debug("a finding", &finding.to_string()));
    }
    lock.shutdown(AT_MOST).await;
    granted
}

async fn rslock(said: &Collector, secrets: &mut Secrets, urls: &[String]) -> bool {
    let builder = RslockLock::builder(LockManager::new(urls.to_vec()), TestRuntime::current()).extensions(true);
    said.debug("rslock's builder", &builder);
    call_all(said, secrets, "rslock", &builder.build()).await
}

fn what_is_no_address(said: &'static Collector) {
    for url in [
        format!("http://box-office:{LOST}@127.0.0.1"),
        format!("redis://box-office:{LOST}@127.0.0.1:port"),
        format!("redis://box-office:{LOST}@127.0.0.1/name"),
        format!("redis://box-office:{LOST}@:6379"),
        format!("redis://box-office:{LOST}@"),
        format!("redis://box-office:start@{LOST}@127.0.0.1"),
        format!("redis://box-office:start/{LOST}@127.0.0.1"),
        format!("redis://box-office:6379/{LOST}@127.0.0.1"),
        format!("redis://box-office:{LOST}%zz@127.0.0.1"),
        format!("box-office:{LOST}@127.0.0.1"),
        format!("rediss://box-office:{LOST}@127.0.0.1/#insecure"),
        format!("redis+unix:///nowhere?user=box-office&pass={LOST}"),
        LOST.to_owned(),
    ] {
        for urls in [vec![url.clone()], vec![url.clone(), url.clone()]] {
            let builder = builder(said, &urls);
            said.debug("no address", &builder);
            said.answer("no address", &builder.build());
        }
    }
}
