//! What every test gets: the cluster and a kubectl in a fresh namespace.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use keelson_tests::{Cluster, Kubectl, eventually};
use libtest_mimic::{Failed, Trial};

/// Time for anything that involves starting pods on a busy two-core machine.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A test: its name (also its namespace) and what it does.
pub type Test = (&'static str, fn(&Context) -> Result<()>);

/// The cluster that all tests share.
pub struct Suite(Mutex<Option<Arc<Cluster>>>);

/// One test's view.
pub struct Context {
    /// The cluster.
    pub cluster: Arc<Cluster>,
    /// kubectl in the test's namespace.
    pub kubectl: Kubectl,
}

impl Suite {
    /// For listing tests only.
    pub fn unstarted() -> Self {
        Self(Mutex::new(None))
    }

    /// Starts the cluster.
    pub fn start() -> Result<Self> {
        Ok(Self(Mutex::new(Some(Arc::new(Cluster::start()?)))))
    }

    /// Takes the cluster down.
    pub fn stop(&self) {
        drop(self.0.lock().map(|mut cluster| cluster.take()));
    }

    /// The daemons' logs.
    pub fn logs(&self) -> String {
        self.cluster().map(|cluster| cluster.logs()).unwrap_or_default()
    }

    fn cluster(&self) -> Result<Arc<Cluster>> {
        let guard = self
            .0
            .lock()
            .ok()
            .context("a test panicked while it started the cluster")?;
        guard.clone().context("the cluster is not running")
    }

    /// Wraps a test: creates its namespace, runs it, deletes the namespace.
    pub fn trial(self: &Arc<Self>, (name, body): Test) -> Trial {
        let suite = Arc::clone(self);
        Trial::test(name, move || {
            let run = || -> Result<()> {
                let cluster = suite.cluster()?;
                let namespace = name.replace('_', "-");
                let kubectl = cluster.kubectl()?.namespace(&namespace);
                kubectl.ok(&["create", "namespace", &namespace])?;
                let context = Context { cluster, kubectl };
                let result = body(&context).map_err(|error| error.context(context.picture()));
                let deleted = context
                    .kubectl
                    .ok(&["delete", "namespace", &namespace, "--wait=false"]);
                result.and(deleted.map(drop))
            };
            run().map_err(|error| Failed::from(format!("{error:?}")))
        })
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
