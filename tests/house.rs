//! The rules of the house that a compiler does not check: which way imports point, and what the crate weighs.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn rust_files(folder: &str) -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(ROOT).join(folder), &mut found);
    assert!(!found.is_empty(), "{folder} has no Rust files");
    found
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(ROOT).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn assert_names_none(folder: &str, forbidden: &[&str]) {
    for (path, text) in rust_files(folder) {
        for (number, line) in text.lines().enumerate() {
            let code = line.trim_start();
            if code.starts_with("//") {
                continue;
            }
            for word in forbidden {
                assert!(!code.contains(word), "{}:{} names {word}: {line}", path.display(), number + 1);
            }
        }
    }
}

const DRIVERS: [&str; 8] =
    ["rusqlite", "tokio::", "tokio_postgres", "tiberius", "redis", "rslock", "tracing::", "crate::adapters"];

#[test]
fn the_domain_knows_nothing_but_itself() {
    assert_names_none("src/domain", &DRIVERS);
    let others = ["crate::ports", "crate::booking", "crate::locking", "async ", "Instant::now", "SystemTime"];
    assert_names_none("src/domain", &others);
}

#[test]
fn the_ports_know_the_domain_alone() {
    assert_names_none("src/ports", &DRIVERS);
    assert_names_none("src/ports", &["crate::booking", "crate::locking"]);
}

#[test]
fn locking_and_booking_know_no_adapter_and_no_driver() {
    assert_names_none("src/locking", &DRIVERS);
    assert_names_none("src/locking", &["crate::booking"]);
    assert_names_none("src/booking", &DRIVERS);
}

#[test]
fn adapters_know_neither_the_service_nor_each_other() {
    assert_names_none("src/adapters", &["crate::booking", "crate::locking"]);
    let adapters: Vec<String> = adapters().collect();
    for adapter in &adapters {
        let others: Vec<String> =
            adapters.iter().filter(|other| *other != adapter).map(|other| format!("adapters::{other}")).collect();
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        assert_names_none(&format!("src/adapters/{adapter}"), &others);
    }
}

/// The folders of the adapters.
fn adapters() -> impl Iterator<Item = String> {
    let entries = fs::read_dir(Path::new(ROOT).join("src/adapters")).unwrap().map(Result::unwrap);
    let folders = entries.filter(|entry| entry.path().is_dir());
    folders.map(|folder| folder.file_name().into_string().unwrap())
}

/// What an adapter's driver is called in its code, and who may say so.
#[test]
fn a_driver_is_named_in_its_adapters_folder_alone() {
    let drivers = [
        ("rusqlite::", "src/adapters/sqlite"),
        ("tiberius::", "src/adapters/mssql"),
        ("tokio_postgres::", "src/adapters/postgres"),
        ("rslock::", "src/adapters/rslock"),
        // The engine is generic over its nodes.
        ("redis::", "src/adapters/redlock/redis_server"),
    ];
    for (path, text) in rust_files("src") {
        for (driver, home) in drivers {
            if path.starts_with(Path::new(ROOT).join(home)) {
                continue;
            }
            for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
                // A module may have its driver's name.
                let others = ["self::", "super::"].map(|module| format!("{module}{driver}"));
                let rest = others.iter().fold(line.to_owned(), |line, module| line.replace(module, ""));
                assert!(!rest.contains(driver), "{} names {driver}: {line}", path.display());
            }
        }
    }
}

#[test]
fn the_conformance_kit_knows_no_adapter_and_no_driver() {
    assert_names_none("src/conformance", &DRIVERS);
    assert_names_none("src/adapters", &["crate::conformance", "crate::mocks"]);
}

#[test]
fn without_features_there_is_no_tokio_in_the_tree() {
    let tree = cargo(&["tree", "--locked", "--no-default-features", "-e", "normal", "--prefix", "none"]);
    assert!(tree.contains("thiserror"), "cargo tree printed something else: {tree}");
    let heavy: Vec<&str> = tree
        .lines()
        .filter(|line| {
            ["tokio", "rusqlite", "serde", "tracing", "redis", "rslock", "rustls"].iter().any(|it| line.starts_with(it))
        })
        .collect();
    assert!(heavy.is_empty(), "{heavy:?}");
}

#[test]
fn no_dependency_declares_a_higher_rust_version_than_the_crate() {
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--locked", "--all-features", "--format-version", "1"])).unwrap();
    let packages: HashMap<&str, &Value> =
        metadata["packages"].as_array().unwrap().iter().map(|it| (it["id"].as_str().unwrap(), it)).collect();
    let nodes: HashMap<&str, &Value> =
        metadata["resolve"]["nodes"].as_array().unwrap().iter().map(|it| (it["id"].as_str().unwrap(), it)).collect();
    let root = metadata["resolve"]["root"].as_str().unwrap();
    let ours = version(&packages[root]["rust_version"]);
    assert!(ours > (1, 0), "the crate states no rust-version");

    let mut seen = HashSet::new();
    let mut todo = vec![root];
    while let Some(id) = todo.pop() {
        if !seen.insert(id) {
            continue;
        }
        assert!(
            version(&packages[id]["rust_version"]) <= ours,
            "{} declares rust-version {}",
            packages[id]["name"],
            packages[id]["rust_version"]
        );
        for dependency in nodes[id]["deps"].as_array().unwrap() {
            let kinds = dependency["dep_kinds"].as_array().unwrap();
            if kinds.iter().any(|kind| kind["kind"] != "dev") {
                todo.push(dependency["pkg"].as_str().unwrap());
            }
        }
    }
    assert!(seen.len() > 10, "only {} packages were looked at", seen.len());
}

fn version(text: &Value) -> (u32, u32) {
    let mut parts = text.as_str().unwrap_or("1.0").split('.').map(|part| part.parse::<u32>().unwrap());
    (parts.next().unwrap(), parts.next().unwrap())
}

#[test]
fn the_package_holds_only_what_its_users_need() {
    let files = cargo(&["package", "--locked", "--list", "--allow-dirty"]);
    for needed in ["Cargo.toml", "README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE", "src/lib.rs"] {
        assert!(files.lines().any(|file| file == needed), "{needed} is missing");
    }
    let sizes: u64 =
        files.lines().filter_map(|file| fs::metadata(Path::new(ROOT).join(file)).ok()).map(|it| it.len()).sum();
    assert!(sizes < 3_500_000, "the package has {sizes} bytes before compression");
    let is_ours = |file: &str| [".ci", "fuzz", "target", "tests"].iter().any(|folder| file.starts_with(folder));
    assert!(!files.lines().any(is_ours), "{files}");
}
