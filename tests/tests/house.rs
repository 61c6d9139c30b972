//! The house rules that a compiler does not hold: who may import whom, what must never be reached, which
//! crates are banned, which licences are allowed (docs/ARCHITECTURE.md, "The rooms").
//!
//! Two oracles: `cargo metadata` for what a manifest says, `cargo tree` for what a package alone pulls in
//! (normal edges: what ends up in its binary or library, without tests and build scripts).

use std::{collections::BTreeSet, path::Path, process::Command};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// A room: its package, its direct imports among ours, and crates or packages of ours it must never reach.
struct Room {
    package: &'static str,
    may_import: &'static [&'static str],
    never_reaches: &'static [&'static str],
}

const SOCKETS: &[&str] =
    &["tokio", "mio", "socket2", "hyper", "actix", "actix-rt", "actix-web", "reqwest", "tokio-postgres"];
const DATABASES: &[&str] = &["diesel", "diesel-async", "libsqlite3-sys", "tokio-postgres", "redis"];
const HTTP: &[&str] = &["actix-web", "actix-http", "hyper", "reqwest", "axum"];

/// The table of the architecture. A package that is missing here fails `every_package_is_a_room`.
const ROOMS: &[Room] = &[
    Room { package: "postern-wire", may_import: &[], never_reaches: &["tokio", "mio", "socket2", "diesel"] },
    Room {
        package: "postern-store",
        may_import: &["postern-wire"],
        never_reaches: &["postern-actors", "postern-engine", "actix", "actix-web", "hyper", "reqwest"],
    },
    Room {
        package: "postern-api",
        may_import: &["postern-wire"],
        never_reaches: &["postern-store", "postern-engine", "postern-actors", "diesel", "tokio"],
    },
    Room {
        package: "postern-engine",
        may_import: &["postern-wire"],
        never_reaches: &["postern-store", "postern-actors", "tokio", "actix", "diesel", "rand"],
    },
    Room {
        package: "postern-actors",
        may_import: &["postern-engine", "postern-wire", "postern-store"],
        never_reaches: &["actix-web", "actix-http", "hyper", "reqwest", "postern-api"],
    },
    Room {
        package: "postern-adapters",
        may_import: &["postern-actors", "postern-wire"],
        never_reaches: &["postern-core", "actix-web"],
    },
    Room {
        package: "postern-core",
        may_import: &[
            "postern-actors",
            "postern-adapters",
            "postern-engine",
            "postern-store",
            "postern-api",
            "postern-wire",
        ],
        never_reaches: &["postern-gateway", "postern-device"],
    },
    Room {
        package: "postern-gateway",
        may_import: &["postern-wire"],
        never_reaches: &[
            "diesel",
            "diesel-async",
            "tokio-postgres",
            "libsqlite3-sys",
            "redis",
            "ldap3",
            "lettre",
            "postern-store",
            "postern-engine",
            "postern-actors",
        ],
    },
    Room {
        package: "postern-device",
        may_import: &["postern-wire"],
        never_reaches: &["postern-store", "postern-actors", "postern-engine"],
    },
    Room {
        package: "posternctl",
        may_import: &["postern-api", "postern-wire", "postern-engine"],
        never_reaches: &["postern-store", "postern-actors", "diesel"],
    },
    Room {
        package: "postern",
        may_import: &["postern-gateway", "postern-core", "postern-device"],
        never_reaches: &[],
    },
    Room {
        package: "postern-tests",
        may_import: &[
            "postern-wire",
            "postern-store",
            "postern-api",
            "postern-engine",
            "postern-actors",
            "postern-adapters",
            "postern-core",
            "postern-gateway",
            "postern-device",
            "posternctl",
        ],
        never_reaches: &[],
    },
];

/// Banned wherever they would come from: one TLS provider (aws-lc-rs), no C library to install.
const BANNED: &[&str] =
    &["ring", "openssl", "openssl-sys", "native-tls", "pq-sys", "libpq-sys", "aws-lc-fips-sys"];

/// Licences under which a dependency may be used in an Apache-2.0 OR MIT work, by SPDX id.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0", // data of the public root certificates
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

#[test]
fn every_package_is_a_room_and_every_room_a_package() {
    let metadata = metadata();
    let packages: BTreeSet<_> = metadata.workspace_packages().iter().map(|p| p.name.to_string()).collect();
    let rooms: BTreeSet<_> = ROOMS.iter().map(|room| room.package.to_owned()).collect();

    assert_eq!(packages, rooms);
}

#[test]
fn a_room_imports_only_what_the_architecture_lets_it() {
    let metadata = metadata();
    let ours: BTreeSet<_> = ROOMS.iter().map(|room| room.package).collect();

    let mut broken = Vec::new();
    for room in ROOMS {
        for dependency in &package(&metadata, room.package).dependencies {
            let name = dependency.name.as_str();
            let counts = dependency.kind == DependencyKind::Normal && ours.contains(name);
            if counts && !room.may_import.contains(&name) {
                broken.push(format!("{} imports {name}", room.package));
            }
        }
    }

    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn a_room_never_reaches_what_the_architecture_forbids_it() {
    let mut broken = Vec::new();
    for room in ROOMS.iter().filter(|room| !room.never_reaches.is_empty()) {
        let reached = reach(room.package);
        for forbidden in room.never_reaches {
            if reached.contains(*forbidden) {
                broken.push(format!("{} reaches {forbidden}", room.package));
            }
        }
    }

    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn wire_and_the_engine_reach_neither_sockets_nor_databases_nor_http() {
    for pure in ["postern-wire", "postern-engine"] {
        let reached = reach(pure);
        let found: Vec<_> =
            [SOCKETS, DATABASES, HTTP].concat().into_iter().filter(|name| reached.contains(*name)).collect();
        assert!(found.is_empty(), "{pure} reaches {found:?}");
    }
}

#[test]
fn the_actors_read_no_configuration_file() {
    let metadata = metadata();

    let imported = &package(&metadata, "postern-actors").dependencies;

    assert!(!imported.iter().any(|d| d.kind == DependencyKind::Normal && d.name == "toml"));
}

#[test]
fn no_banned_crate_is_built_anywhere() {
    // Not `cargo metadata`: it also resolves what a weak feature names and nobody turns on.
    for features in [&[][..], &["--features", "postern-core/smb"][..]] {
        let built = tree(&[&["--workspace", "-e", "all"], features].concat());

        let found: Vec<_> = BANNED.iter().filter(|banned| built.contains(**banned)).collect();

        assert!(found.is_empty(), "{features:?}: {found:?}");
    }
}

#[test]
fn every_dependency_has_a_licence_that_the_project_allows() {
    let metadata = metadata_with(&["--features", "postern-core/smb"]);

    let refused: Vec<_> = built(&metadata)
        .filter(|package| !package.license.as_deref().is_some_and(licence_is_allowed))
        .map(|package| format!("{} {}: {:?}", package.name, package.version, package.license))
        .collect();

    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn a_licence_expression_needs_every_and_and_any_or() {
    for (expression, allowed) in [
        ("MIT", true),
        ("MIT/Apache-2.0", true),
        ("GPL-3.0-only", false),
        ("GPL-2.0-only OR MIT", true),
        ("MIT AND GPL-2.0-only", false),
        ("(MIT OR GPL-2.0-only) AND Unicode-3.0", true),
        ("ISC AND (GPL-2.0-only OR (LGPL-3.0 AND MIT))", false),
        ("Apache-2.0 WITH LLVM-exception OR GPL-2.0-only", true),
    ] {
        assert_eq!(licence_is_allowed(expression), allowed, "{expression}");
    }
}

#[test]
fn every_crate_root_forbids_unsafe_code_and_every_package_takes_the_workspace_lints() {
    let metadata = metadata();

    let mut broken = Vec::new();
    for package in metadata.workspace_packages() {
        for target in package.targets.iter().filter(|t| t.is_lib() || t.is_bin()) {
            let text = read(target.src_path.as_std_path());
            if !text.contains("#![forbid(unsafe_code)]") {
                broken.push(format!("{} does not forbid unsafe code", target.src_path));
            }
        }
        let manifest = read(package.manifest_path.as_std_path());
        if !manifest.contains("[lints]\nworkspace = true") {
            broken.push(format!("{} does not take the workspace lints", package.manifest_path));
        }
    }

    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn versions_of_dependencies_stand_in_the_workspace_manifest_only() {
    let metadata = metadata();

    let mut broken = Vec::new();
    for package in metadata.workspace_packages() {
        for line in read(package.manifest_path.as_std_path()).lines() {
            let entry = line.split('#').next().unwrap_or_default();
            if entry.contains("version = \"") && !entry.starts_with("version") {
                broken.push(format!("{}: {line}", package.manifest_path));
            }
        }
    }

    assert!(broken.is_empty(), "{broken:#?}");
}

/// What cargo knows of the workspace, for this machine's platform (so that nothing of others is fetched).
fn metadata() -> Metadata {
    metadata_with(&[])
}

fn metadata_with(more: &[&str]) -> Metadata {
    let own = ["--filter-platform".to_owned(), host(), "--locked".to_owned()];
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .other_options(
            own.into_iter().chain(more.iter().map(|&option| option.to_owned())).collect::<Vec<_>>(),
        )
        .exec()
        .expect("cargo metadata")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace")
}

fn host() -> String {
    let version = run(Command::new("rustc").arg("-vV"));
    version.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host").to_owned()
}

fn package<'m>(metadata: &'m Metadata, name: &str) -> &'m Package {
    metadata
        .workspace_packages()
        .into_iter()
        .find(|package| package.name == name)
        .unwrap_or_else(|| panic!("the workspace has no package {name}"))
}

/// The packages that a build of the workspace, its tests and its build scripts could compile.
fn built(metadata: &Metadata) -> impl Iterator<Item = &Package> {
    let resolved = metadata.resolve.as_ref().expect("metadata was asked for dependencies");
    resolved.nodes.iter().map(|node| &metadata[&node.id])
}

/// The names of all packages in the normal dependency tree of one package, itself left out.
fn reach(package: &str) -> BTreeSet<String> {
    let mut names = tree(&["-p", package, "-e", "normal"]);
    names.remove(package);
    names
}

fn tree(which: &[&str]) -> BTreeSet<String> {
    let tree = run(Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--prefix", "none", "--format", "{p}"])
        .args(which)
        .current_dir(root()));
    tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo and rustc write UTF-8")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Whether an SPDX expression (or the old `A/B` form) can be met by allowed licences alone. `WITH exception`
/// only adds permissions.
fn licence_is_allowed(expression: &str) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let allowed = any_of(&mut rest);
    allowed && rest.is_empty()
}

fn any_of(words: &mut &[&str]) -> bool {
    let mut allowed = all_of(words);
    while take(words, "OR") {
        allowed |= all_of(words);
    }
    allowed
}

fn all_of(words: &mut &[&str]) -> bool {
    let mut allowed = one(words);
    while take(words, "AND") {
        allowed &= one(words);
    }
    allowed
}

fn one(words: &mut &[&str]) -> bool {
    if take(words, "(") {
        let allowed = any_of(words);
        return take(words, ")") && allowed;
    }
    let Some((id, rest)) = words.split_first() else { return false };
    *words = rest;
    if take(words, "WITH") {
        *words = words.get(1..).unwrap_or_default();
    }
    LICENCES.contains(id)
}

fn take(words: &mut &[&str], expected: &str) -> bool {
    match words.split_first() {
        Some((first, rest)) if *first == expected => {
            *words = rest;
            true
        }
        _ => false,
    }
}
