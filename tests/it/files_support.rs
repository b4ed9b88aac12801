//! Trees, their manifests, and their way through a package.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use chupacabra::catalog::Record;
use chupacabra::config::context::Context;
use chupacabra::package::Package;
use chupacabra::package::pipe::pipe;
use chupacabra::package::seal;
use chupacabra::sources::files::{Config, Error, Files};
use chupacabra::sources::{Request, Restored, Summary};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::memory_store::MemoryStore;
use crate::support::package::{self as packages, Keys};
use crate::support::{run, shell};

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(name)
}

/// Makes the tree with everything in it, ACLs included.
pub fn torture(root: &Path, options: &[&str]) {
    run(Command::new("python3").arg(script("files_torture.py")).arg(root).args(options));
    let root = root.display();
    shell(&format!(
        "cd '{root}'; when=$(stat -c %y .)
         setfacl -m u:1234:rw,g:5678:r,m::rw attributes
         setfacl -d -m u:1234:rwx,g::r-x empty-dir; setfacl -m u:99:x empty-dir
         touch -d '2020-02-02 02:02:02.020202020' empty-dir; touch -d \"$when\" ."
    ));
}

/// What a tree is, in the words of an independent program.
pub fn manifest(root: &Path) -> String {
    let output = run(Command::new("python3").arg(script("files_manifest.py")).arg(root));
    String::from_utf8(output.stdout).unwrap()
}

/// Fails with the lines in which two manifests differ.
#[track_caller]
pub fn assert_same(expected: &str, actual: &str) {
    let difference = difference(expected, actual);
    assert!(difference.is_empty(), "the trees differ (- source, + copy):\n{}", difference.join("\n"));
}

/// The lines in which two manifests differ.
pub fn difference(expected: &str, actual: &str) -> Vec<String> {
    let old: std::collections::BTreeSet<_> = expected.lines().collect();
    let new: std::collections::BTreeSet<_> = actual.lines().collect();
    let gone = old.difference(&new).map(|line| format!("- {line}"));
    gone.chain(new.difference(&old).map(|line| format!("+ {line}"))).collect()
}

/// A files source of a tree with further settings.
pub fn source(root: &Path, settings: Value) -> Files {
    let mut config = json!({ "path": root });
    config.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let config: Config = serde_json::from_value(config).unwrap();
    let mut context = Context::default();
    let plan = config.plan(&mut context);
    Files::new(plan.unwrap_or_else(|| panic!("{:?}", context.into_problems())))
}

/// A tree in a package in a store.
pub struct Backup {
    pub keys: Keys,
    pub store: MemoryStore,
    pub record: Record,
    pub summary: Summary,
}

impl Backup {
    /// Backs a tree up with the settings given.
    pub async fn of(root: &Path, settings: Value) -> Result<Self, Error> {
        Self::from(&source(root, settings)).await
    }

    /// Backs a source up.
    pub async fn from(files: &Files) -> Result<Self, Error> {
        let keys = packages::keys();
        let key = packages::key("tree");
        let (package_writer, package_reader) = pipe(2);
        let (index_writer, index_reader) = pipe(2);
        let settings = packages::settings(&keys.recipient);
        let (outlet, sealing) = seal(&settings, &key.to_string(), package_writer, index_writer).unwrap();
        let package = tokio::spawn(packages::collect(package_reader));
        let index = tokio::spawn(packages::collect(index_reader));
        let dumped = files.dump(outlet, &CancellationToken::new()).await;
        let summary = match dumped {
            Ok(summary) => summary,
            Err(error) if !error.is_closed() => return Err(error),
            Err(error) => {
                let cause = tokio::task::spawn_blocking(move || sealing.finish()).await.unwrap();
                panic!("{error}: {cause:?}");
            }
        };
        let packed = tokio::task::spawn_blocking(move || sealing.finish()).await.unwrap().unwrap();
        let store = MemoryStore::default();
        packages::store(&store, &key, package.await.unwrap().0, index.await.unwrap().0);
        Ok(Self { record: packages::record(&key, &packed), keys, store, summary })
    }

    /// The package, to be opened.
    pub fn package(&self) -> Package {
        Package::new(Arc::new(self.store.clone()), self.record.clone(), self.keys.identities.clone())
    }

    /// Restores into a directory.
    pub async fn restore(&self, request: Request) -> Result<Restored, Error> {
        restore(&self.package(), request).await
    }

    /// Writes the package and its key as files, for stock tools.
    pub fn export(&self, dir: &Path) -> (PathBuf, PathBuf) {
        let (package, key) = (dir.join("package.tar.gz.age"), dir.join("key.txt"));
        let name = self.record.key.object(&chupacabra::catalog::key::Part::Package);
        std::fs::write(&package, self.store.get(&name)).unwrap();
        std::fs::write(&key, &self.keys.text).unwrap();
        (package, key)
    }
}

/// Restores a package into a directory.
pub async fn restore(package: &Package, request: Request) -> Result<Restored, Error> {
    let root = PathBuf::from("/nowhere");
    source(&root, json!({})).restore(package, &request, &CancellationToken::new()).await
}

/// A request that restores everything into a directory.
pub fn into(target: &Path) -> Request {
    Request { into: Some(target.to_str().unwrap().to_owned()), ..Request::default() }
}
