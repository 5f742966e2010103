//! How the sale was set up, and how to hold it again.

use super::Page;
use super::escape::Text;
use crate::args::{self, ContentionKind, LockKind, StoreKind, name};
use crate::display::grouped;
use crate::folder::quoted;
use crate::sale::Sale;

/// What was sold to whom, for the top of the page.
pub(super) fn in_a_sentence(sale: &Sale) -> String {
    let standing = match sale.hall.standing {
        0 => String::new(),
        places => format!(" and {} standing places", grouped(places.into())),
    };
    let processes = match sale.processes {
        1 => "one process sells".to_owned(),
        many => format!("{many} processes sell at once"),
    };
    format!(
        "{} seats{standing}, {} buyers, and {processes}",
        grouped(sale.hall.seats() as u64),
        grouped(sale.buyers.into())
    )
}

/// The settings, and the command.
pub(super) fn card(page: &Page<'_>) -> String {
    let sale = page.sale;
    let lock = match sale.lock {
        LockKind::None => "none".to_owned(),
        lock => format!("{}, {}", name(lock), name(sale.lock_policy)),
    };
    let contention = match sale.contention {
        ContentionKind::Wait => format!("wait up to {} ms", grouped(sale.wait_ms)),
        ContentionKind::Reject => "reject".to_owned(),
    };
    let kills = match sale.kill_at {
        Some(point) => format!("{}, {}", sale.kill_workers, name(point)),
        None => sale.kill_workers.to_string(),
    };
    let settings = [
        ("Demand", name(sale.demand)),
        ("Store", name(sale.store)),
        ("Lock", lock),
        ("Contention", contention),
        ("Combining", if sale.combining { "on" } else { "off" }.to_owned()),
        ("At once, per process", grouped(sale.concurrency.into())),
        ("Paying takes", format!("{} ms on average", grouped(sale.pay_ms))),
        ("Workers to kill", kills),
        ("Seed", sale.seed.to_string()),
    ];
    let items: String =
        settings.iter().map(|(name, value)| format!("<div><dt>{name}</dt><dd>{value}</dd></div>\n")).collect();
    let command: Vec<String> = command(sale).iter().map(|part| format!("<span>{}</span>", Text(part))).collect();
    format!(
        "<section class=\"card half\" aria-labelledby=\"settings\">\n<h2 id=\"settings\">Settings</h2>\n\
         <dl class=\"settings\">\n{items}</dl>\n\
         <p class=\"note\">The same buyers again; who of them comes first is up to the machine.</p>\n\
         <pre tabindex=\"0\" aria-label=\"The command that repeats the sale\"><code>{}</code></pre>\n</section>\n",
        command.join(" ")
    )
}

/// What one types to hold the sale again: what is not as by default, each part to be kept on one line. A store's address may
/// have a password in it.
fn command(sale: &Sale) -> Vec<String> {
    let mut features = vec!["sqlite".to_owned()];
    if matches!(sale.store, StoreKind::Postgres | StoreKind::Mssql) {
        features[0] = name(sale.store);
    }
    if sale.lock == LockKind::Sqlite && sale.store != StoreKind::Sqlite {
        features.push("sqlite".to_owned());
    }
    if sale.lock.is_on_redis() {
        features.push(name(sale.lock));
    }
    let features = features.join(",");
    let cargo = ["cargo run", "--release", &format!("--features {features}"), "--example flash_sale", "--"];
    let mut parts: Vec<String> = cargo.map(str::to_owned).to_vec();
    let Some(usual) = args::defaults() else { return parts };
    let mut add = |differs: bool, flag: &str, value: String| {
        if differs {
            parts.push(format!("--{flag} {value}"));
        }
    };
    add(sale.plan.is_some(), "plan", sale.plan.as_deref().map(quoted).unwrap_or_default());
    add(sale.hall.standing != usual.standing, "standing", sale.hall.standing.to_string());
    add(sale.processes != usual.processes, "processes", sale.processes.to_string());
    add(sale.buyers != usual.buyers, "buyers", sale.buyers.to_string());
    add(sale.concurrency != usual.concurrency, "concurrency", sale.concurrency.to_string());
    add(sale.demand != usual.demand, "demand", name(sale.demand));
    add(sale.store != usual.store, "store", name(sale.store));
    add(sale.store_url.is_some() || sale.store_named, "store-url", "URL".to_owned());
    add(sale.lock != sale.store.usual_lock(), "lock", name(sale.lock));
    (0..sale.redis_named).for_each(|_| add(true, "redis", "URL".to_owned()));
    add(sale.lock_policy != usual.lock_policy, "lock-policy", name(sale.lock_policy));
    add(sale.contention != usual.contention, "contention", name(sale.contention));
    add(sale.wait_ms != usual.wait_ms, "wait-ms", sale.wait_ms.to_string());
    add(sale.pay_ms != usual.pay_ms, "pay-ms", sale.pay_ms.to_string());
    add(sale.kill_workers != usual.kill_workers, "kill-workers", sale.kill_workers.to_string());
    add(sale.kill_at.is_some(), "kill-at", sale.kill_at.map(name).unwrap_or_default());
    add(true, "seed", sale.seed.to_string());
    if !sale.combining {
        parts.push("--no-combining".to_owned());
    }
    parts
}
