//! What every test of a suite gets: the cluster that all share, and a kubectl in a fresh namespace.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::{Failed, Trial};

use crate::{Cluster, Kubectl, eventually};

/// Time for anything that involves starting pods on a busy two-core machine.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A test: its name (also its namespace) and what it does.
pub type Test = (&'static str, fn(&Context) -> Result<()>);

/// The cluster that all tests share.
#[derive(Debug, Default)]
pub struct Suite {
    cluster: Mutex<Option<Arc<Cluster>>>,
    flaky: Mutex<Vec<&'static str>>,
}

/// One test's view.
#[derive(Debug)]
pub struct Context {
    /// The cluster.
    pub cluster: Arc<Cluster>,
    /// kubectl in the test's namespace.
    pub kubectl: Kubectl,
}

impl Suite {
    /// For listing tests only.
    pub fn unstarted() -> Self {
        Self::default()
    }

    /// Starts the cluster.
    pub fn start() -> Result<Self> {
        let cluster = Mutex::new(Some(Arc::new(Cluster::start()?)));
        Ok(Self {
            cluster,
            ..Self::default()
        })
    }

    /// Takes the cluster down.
    pub fn stop(&self) {
        drop(self.cluster.lock().map(|mut cluster| cluster.take()));
    }

    /// The daemons' logs.
    pub fn logs(&self) -> String {
        self.cluster().map(|cluster| cluster.logs()).unwrap_or_default()
    }

    fn cluster(&self) -> Result<Arc<Cluster>> {
        let guard = self
            .cluster
            .lock()
            .ok()
            .context("a test panicked while it started the cluster")?;
        guard.clone().context("the cluster is not running")
    }

    /// Wraps a test. Where `KEELSON_TEST_RETRIES` is set, one that fails is tried once more and named at the end.
    pub fn trial(self: &Arc<Self>, (name, body): Test) -> Trial {
        let suite = Arc::clone(self);
        let again = std::env::var_os("KEELSON_TEST_RETRIES").is_some();
        Trial::test(name, move || {
            let first = suite.attempt(name, body);
            let result = match first {
                Err(error) if again => {
                    eprintln!("{name} failed; trying it once more: {error:?}");
                    let second = suite.attempt(&format!("{name}_again"), body);
                    if second.is_ok() {
                        suite.flaky.lock().map(|mut names| names.push(name)).ok();
                    }
                    second
                }
                result => result,
            };
            result.map_err(|error| Failed::from(format!("{error:?}")))
        })
    }

    /// Runs a test in a namespace of its own.
    fn attempt(&self, name: &str, body: fn(&Context) -> Result<()>) -> Result<()> {
        let cluster = self.cluster()?;
        let namespace = name.replace('_', "-");
        let kubectl = cluster.kubectl()?.namespace(&namespace);
        kubectl.ok(&["create", "namespace", &namespace])?;
        let context = Context { cluster, kubectl };
        // Pods need it, and it comes a moment after its namespace.
        context.until("serviceaccount/default", "{.metadata.name}", "default")?;
        let result = body(&context).map_err(|error| error.context(context.picture()));
        let deleted = context
            .kubectl
            .ok(&["delete", "namespace", &namespace, "--wait=false"]);
        result.and(deleted.map(drop))
    }

    /// Says which tests passed only at their second attempt.
    pub fn confess(&self) {
        if let Ok(names) = self.flaky.lock()
            && !names.is_empty()
        {
            eprintln!("FLAKY, passed at the second attempt only: {}", names.join(", "));
        }
    }
}

impl Context {
    /// Applies a manifest.
    pub fn apply(&self, manifest: &str) -> Result<String> {
        self.kubectl.ok_with_input(&["apply", "-f", "-"], manifest)
    }

    /// Waits until a pod is Ready.
    pub fn ready(&self, pod: &str) -> Result<()> {
        self.kubectl
            .ok(&[
                "wait",
                "--for=condition=Ready",
                "--timeout=60s",
                &format!("pod/{pod}"),
            ])
            .map(drop)
    }

    /// A pod that sleeps, Ready.
    pub fn shell(&self, name: &str) -> Result<()> {
        self.kubectl.ok(&[
            "run",
            name,
            "--image=busybox:1.36",
            "--restart=Never",
            "--",
            "sleep",
            "3600",
        ])?;
        self.ready(name)
    }

    /// Waits until a JSONPath of an object has a value.
    pub fn until(&self, object: &str, jsonpath: &str, wanted: &str) -> Result<()> {
        let template = format!("jsonpath={jsonpath}");
        eventually(PATIENCE, || {
            let value = self.kubectl.ok(&["get", object, "-o", &template])?;
            ensure!(
                value == wanted,
                "{object} {jsonpath} is {value:?}, not {wanted:?}"
            );
            Ok(())
        })
    }

    /// The cluster as it looks when a test fails.
    fn picture(&self) -> String {
        let of = |args: &[&str]| {
            self.kubectl
                .run(args)
                .map(|output| output.stdout)
                .unwrap_or_default()
        };
        format!(
            "{}\n{}",
            of(&["get", "all,endpointslices", "-o", "wide"]),
            of(&["get", "events"])
        )
    }
}

/// Fails unless the text contains every part.
pub fn contains(text: &str, parts: &[&str]) -> Result<()> {
    for part in parts {
        ensure!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
    Ok(())
}
