//! `/stats/summary`, `/metrics/resource` and `/metrics`: usage of the node, its pods and containers.

use std::fmt::Write as _;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use keelson_runtime::node::{NodeRuntime, Phase, Stats};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::PodLookup;

/// Usage of one pod, with its containers.
struct PodUsage {
    namespace: String,
    name: String,
    uid: String,
    started: Option<String>,
    total: Stats,
    containers: Vec<(String, String, Stats)>,
}

/// Gathers usage; blocks for as long as reading some files per container takes. What has just ended is left out.
fn gather(pods: &dyn PodLookup, runtime: &NodeRuntime) -> Vec<PodUsage> {
    pods.pods()
        .iter()
        .filter_map(|pod| usage(pod, pods, runtime))
        .collect()
}

fn usage(pod: &Pod, pods: &dyn PodLookup, runtime: &NodeRuntime) -> Option<PodUsage> {
    let uid = pod.metadata.uid.clone()?;
    let total = runtime.sandbox_stats(&uid).ok()?;
    let names = pod
        .spec
        .iter()
        .flat_map(|spec| &spec.containers)
        .map(|container| container.name.as_str());
    let containers = names
        .filter_map(|name| {
            let state = pods
                .container(&uid, name, false)
                .filter(|state| state.phase == Phase::Running)?;
            let stats = runtime.container_stats(&state.spec.id).ok()?;
            let started = state
                .started_at
                .and_then(|time| OffsetDateTime::from(time).format(&Rfc3339).ok());
            Some((name.to_owned(), started.unwrap_or_default(), stats))
        })
        .collect();
    let started = pod
        .status
        .as_ref()?
        .start_time
        .as_ref()
        .and_then(|time| serde_json::to_value(time).ok());
    Some(PodUsage {
        namespace: pod.metadata.namespace.clone().unwrap_or_default(),
        name: pod.metadata.name.clone().unwrap_or_default(),
        uid,
        started: started.and_then(|time| time.as_str().map(str::to_owned)),
        total,
        containers,
    })
}

/// Usage of the whole machine, from /proc.
#[derive(Debug, Default, PartialEq, Eq)]
struct NodeUsage {
    cpu_ns: u64,
    memory_total: u64,
    memory_available: u64,
    memory_free: u64,
    /// Seconds since the epoch.
    booted: i64,
}

impl NodeUsage {
    fn read() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        Self::parse(&read("/proc/stat"), &read("/proc/meminfo"))
    }

    fn parse(stat: &str, meminfo: &str) -> Self {
        let field = |name: &str| {
            let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace()
                .next()?
                .parse::<u64>()
                .ok()
                .map(|kib| kib << 10)
        };
        let ticks: Vec<u64> = stat
            .lines()
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .skip(1)
            .take(8)
            .filter_map(|ticks| ticks.parse().ok())
            .collect();
        // All but idle and waiting for disks. A tick is 10 ms (USER_HZ) on every Linux.
        let busy = ticks.iter().sum::<u64>() - ticks.get(3).unwrap_or(&0) - ticks.get(4).unwrap_or(&0);
        Self {
            cpu_ns: busy * 10_000_000,
            memory_total: field("MemTotal:").unwrap_or(0),
            memory_available: field("MemAvailable:").unwrap_or(0),
            memory_free: field("MemFree:").unwrap_or(0),
            booted: stat
                .lines()
                .find_map(|line| line.strip_prefix("btime "))
                .and_then(|seconds| seconds.trim().parse().ok())
                .unwrap_or(0),
        }
    }

    fn working_set(&self) -> u64 {
        self.memory_total.saturating_sub(self.memory_available)
    }
}

fn now() -> String {
    OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default()
}

fn cpu(time: &str, nanoseconds: u64) -> Value {
    json!({"time": time, "usageCoreNanoSeconds": nanoseconds})
}

fn memory(time: &str, stats: &Stats) -> Value {
    json!({
        "time": time,
        "usageBytes": stats.memory_usage,
        "workingSetBytes": stats.memory_working_set,
        "rssBytes": stats.memory_rss,
    })
}

/// `/stats/summary` (k8s.io/kubelet/pkg/apis/stats/v1alpha1). Blocks.
pub(super) fn summary(node: &str, pods: &dyn PodLookup, runtime: &NodeRuntime) -> Value {
    let (time, machine) = (now(), NodeUsage::read());
    let booted = OffsetDateTime::from_unix_timestamp(machine.booted)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok());
    let pods: Vec<Value> = gather(pods, runtime)
        .iter()
        .map(|pod| {
            let containers: Vec<Value> = pod
                .containers
                .iter()
                .map(|(name, started, stats)| {
                    json!({
                        "name": name,
                        "startTime": started,
                        "cpu": cpu(&time, stats.cpu_usage_ns),
                        "memory": memory(&time, stats),
                    })
                })
                .collect();
            json!({
                "podRef": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
                "startTime": pod.started,
                "containers": containers,
                "cpu": cpu(&time, pod.total.cpu_usage_ns),
                "memory": memory(&time, &pod.total),
                "process_stats": {"process_count": pod.total.pids},
            })
        })
        .collect();
    json!({
        "node": {
            "nodeName": node,
            "startTime": booted,
            "cpu": cpu(&time, machine.cpu_ns),
            "memory": {
                "time": time,
                "availableBytes": machine.memory_available,
                "usageBytes": machine.memory_total - machine.memory_free,
                "workingSetBytes": machine.working_set(),
            },
        },
        "pods": pods,
    })
}

/// `/metrics/resource` in Prometheus' text format. Blocks.
pub(super) fn resource(pods: &dyn PodLookup, runtime: &NodeRuntime) -> String {
    let machine = NodeUsage::read();
    let usage = gather(pods, runtime);
    let seconds = |nanoseconds: u64| nanoseconds as f64 / 1e9;
    let mut text = Text::default();
    text.family(
        "node_cpu_usage_seconds_total",
        "counter",
        "Cumulative cpu time consumed by the node in core-seconds",
    );
    text.sample("node_cpu_usage_seconds_total", "", seconds(machine.cpu_ns));
    text.family(
        "node_memory_working_set_bytes",
        "gauge",
        "Current working set of the node in bytes",
    );
    text.sample("node_memory_working_set_bytes", "", machine.working_set() as f64);
    text.family(
        "container_cpu_usage_seconds_total",
        "counter",
        "Cumulative cpu time consumed by the container in core-seconds",
    );
    let containers = || {
        usage
            .iter()
            .flat_map(|pod| pod.containers.iter().map(move |container| (pod, container)))
    };
    let labels = |pod: &PodUsage, container: &str| {
        format!(
            "container=\"{container}\",namespace=\"{}\",pod=\"{}\"",
            pod.namespace, pod.name
        )
    };
    for (pod, (name, _, stats)) in containers() {
        text.sample(
            "container_cpu_usage_seconds_total",
            &labels(pod, name),
            seconds(stats.cpu_usage_ns),
        );
    }
    text.family(
        "container_memory_working_set_bytes",
        "gauge",
        "Current working set of the container in bytes",
    );
    for (pod, (name, _, stats)) in containers() {
        text.sample(
            "container_memory_working_set_bytes",
            &labels(pod, name),
            stats.memory_working_set as f64,
        );
    }
    let labels = |pod: &PodUsage| format!("namespace=\"{}\",pod=\"{}\"", pod.namespace, pod.name);
    text.family(
        "pod_cpu_usage_seconds_total",
        "counter",
        "Cumulative cpu time consumed by the pod in core-seconds",
    );
    for pod in &usage {
        text.sample(
            "pod_cpu_usage_seconds_total",
            &labels(pod),
            seconds(pod.total.cpu_usage_ns),
        );
    }
    text.family(
        "pod_memory_working_set_bytes",
        "gauge",
        "Current working set of the pod in bytes",
    );
    for pod in &usage {
        text.sample(
            "pod_memory_working_set_bytes",
            &labels(pod),
            pod.total.memory_working_set as f64,
        );
    }
    text.0
}

/// `/metrics`: the kubelet itself. Blocks.
pub(super) fn metrics(node: &str, pods: &Arc<dyn PodLookup>, runtime: &NodeRuntime) -> String {
    let running = runtime.containers().map_or(0, |all| {
        all.iter().filter(|one| one.phase == Phase::Running).count()
    });
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or(0);
    let mut text = Text::default();
    text.family(
        "kubelet_node_name",
        "gauge",
        "The node's name. The count is always 1.",
    );
    text.sample("kubelet_node_name", &format!("node=\"{node}\""), 1.0);
    text.family(
        "kubelet_running_pods",
        "gauge",
        "Number of pods that have a running pod sandbox",
    );
    text.sample("kubelet_running_pods", "", pods.pods().len() as f64);
    text.family(
        "kubelet_running_containers",
        "gauge",
        "Number of containers currently running",
    );
    text.sample(
        "kubelet_running_containers",
        "container_state=\"running\"",
        running as f64,
    );
    text.family(
        "process_resident_memory_bytes",
        "gauge",
        "Resident memory size in bytes.",
    );
    text.sample("process_resident_memory_bytes", "", (resident << 10) as f64);
    text.0
}

/// Prometheus' text format.
#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: f64) {
        let _ = match labels {
            "" => writeln!(self.0, "{name} {value}"),
            labels => writeln!(self.0, "{name}{{{labels}}} {value}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_proc() {
        let usage = NodeUsage::parse(
            "cpu  10 20 30 1000 2000 1 2 3 4 5\ncpu0 1\nbtime 1700000000\n",
            "MemTotal:       100 kB\nMemFree:  20 kB\nMemAvailable:   60 kB\n",
        );
        assert_eq!(usage.cpu_ns, 66 * 10_000_000);
        assert_eq!(
            (usage.memory_total, usage.working_set(), usage.booted),
            (102_400, 40_960, 1_700_000_000)
        );
        assert_eq!(NodeUsage::parse("", ""), NodeUsage::default());
    }
}
