//! What monitoring reads: metrics and health checks, under upstream's names.

use std::collections::BTreeSet;

use http::Method;
use serde_json::Value;

use crate::cluster::{Cluster, MAPS, config_map};

fn text(cluster: &Cluster, path: &str) -> (u16, String) {
    let (code, text) = cluster.raw(Method::GET, path, &[], b"");
    (code, String::from_utf8(text).unwrap())
}

/// The value of the series that begins so.
fn value(text: &str, series: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(series))?;
    rest.rsplit(' ').next()?.parse().ok()
}

#[test]
fn requests_are_counted_as_upstream_counts_them() {
    let cluster = Cluster::start();
    cluster.post(MAPS, &config_map("a", "1"));
    cluster.post(&format!("{MAPS}?dryRun=All"), &config_map("b", "1"));
    cluster.get(&format!("{MAPS}/a"));
    cluster.get(MAPS);
    let apply = [("content-type", "application/apply-patch+yaml")];
    let body = b"{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {x: y}}";
    cluster.request(Method::PATCH, &format!("{MAPS}/a?fieldManager=me"), &apply, body);
    cluster.get("/api/v1/endpoints");
    cluster.get("/livez");
    let (code, metrics) = text(&cluster, "/metrics");
    assert_eq!(code, 200);
    let maps = |name: &str, code: &str, dry_run: &str, scope: &str, verb: &str| {
        let series = format!(
            "{name}{{{code}component=\"apiserver\",{dry_run}group=\"\",resource=\"configmaps\",scope=\"{scope}\",\
             subresource=\"\",verb=\"{verb}\",version=\"v1\""
        );
        value(&metrics, &series).unwrap_or_else(|| panic!("{series} of {metrics}"))
    };
    let total = "apiserver_request_total";
    let (ok, made, wet) = ("code=\"200\",", "code=\"201\",", "dry_run=\"\",");
    assert!(maps(total, made, wet, "resource", "POST") >= 1.0);
    assert!(maps(total, made, "dry_run=\"All\",", "resource", "POST") >= 1.0);
    assert!(maps(total, ok, wet, "namespace", "LIST") >= 1.0);
    assert!(maps(total, ok, wet, "resource", "APPLY") >= 1.0);
    let gets = maps(total, ok, wet, "resource", "GET");
    let duration = "apiserver_request_duration_seconds";
    assert!(maps(&format!("{duration}_count"), "", wet, "resource", "GET") >= gets);
    assert!(maps(&format!("{duration}_sum"), "", wet, "resource", "GET") > 0.0);
    for (name, dry_run) in [
        (format!("{duration}_bucket"), wet),
        ("apiserver_request_sli_duration_seconds_bucket".to_owned(), ""),
        ("apiserver_response_sizes_bucket".to_owned(), ""),
    ] {
        maps(&name, "", dry_run, "resource", "GET");
    }
    // The controllers of this process watch through the same door.
    assert!(maps("apiserver_longrunning_requests", "", "", "cluster", "WATCH") >= 1.0);
    for series in [
        "apiserver_current_inflight_requests{request_kind=\"readOnly\"}",
        "apiserver_request_total{code=\"200\",component=\"\",dry_run=\"\",group=\"\",resource=\"\",scope=\"\",subresource=\"/livez\"",
        "apiserver_requested_deprecated_apis{group=\"\",removed_release=\"\",resource=\"endpoints\",subresource=\"\",version=\"v1\"}",
        "apiserver_watch_events_total{group=\"\",kind=\"ConfigMap\",version=\"v1\"}",
        "kubernetes_build_info{build_date=",
        "process_cpu_seconds_total",
        "process_start_time_seconds",
    ] {
        assert!(value(&metrics, series) > Some(0.0), "{series} of {metrics}");
    }
    assert!(metrics.contains("# TYPE apiserver_request_duration_seconds histogram\n"));
    // Prometheus refuses what comes twice.
    let mut seen = BTreeSet::new();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        assert!(seen.insert(series), "{series}");
    }
}

#[test]
fn checks_have_upstreams_names() {
    let cluster = Cluster::start();
    let hooks = "[+]poststarthook/generic-apiserver-start-informers ok\n\
                 [+]poststarthook/start-apiextensions-controllers ok\n\
                 [+]poststarthook/crd-informer-synced ok\n\
                 [+]poststarthook/start-system-namespaces-controller ok\n\
                 [+]poststarthook/rbac/bootstrap-roles ok\n\
                 [+]poststarthook/scheduling/bootstrap-system-priority-classes ok\n\
                 [+]poststarthook/bootstrap-controller ok\n\
                 [+]poststarthook/kube-apiserver-autoregistration ok\n\
                 [+]autoregister-completion ok\n";
    let ok = |text: &str| (200, text.to_owned());
    assert_eq!(
        text(&cluster, "/livez?verbose"),
        ok(&format!(
            "[+]ping ok\n[+]log ok\n[+]etcd ok\n{hooks}livez check passed\n"
        ))
    );
    assert_eq!(
        text(&cluster, "/readyz?verbose"),
        ok(&format!(
            "[+]ping ok\n[+]log ok\n[+]etcd ok\n[+]etcd-readiness ok\n[+]informer-sync ok\n{hooks}[+]bootstrap ok\n\
             [+]controllers ok\n[+]scheduler ok\n[+]shutdown ok\nreadyz check passed\n"
        ))
    );
    assert_eq!(text(&cluster, "/livez/etcd"), ok("ok"));
    assert_eq!(
        text(&cluster, "/healthz/poststarthook/rbac/bootstrap-roles"),
        ok("ok")
    );
    assert_eq!(text(&cluster, "/livez/etcd-readiness").0, 404);
    assert_eq!(
        text(&cluster, "/livez/etcd?verbose&exclude=etcd"),
        ok("[+]etcd ok\nlivez check passed\n"),
        "a check that is asked for by its name is made"
    );
    let query = "verbose&exclude=etcd&exclude=poststarthook/crd-informer-synced&exclude=x";
    let (code, excluding) = text(&cluster, &format!("/healthz?{query}"));
    assert_eq!(code, 200);
    for line in [
        "[+]etcd excluded: ok\n",
        "[+]poststarthook/crd-informer-synced excluded: ok\n",
        "warn: some health checks cannot be excluded: no matches for \"x\"\nhealthz check passed\n",
    ] {
        assert!(excluding.contains(line), "{excluding}");
    }
    let (code, found) = text(&cluster, "/metrics/slis");
    assert_eq!(code, 200);
    assert_eq!(
        value(&found, "kubernetes_healthcheck{name=\"etcd\",type=\"livez\"}"),
        Some(1.0)
    );
    let total = "kubernetes_healthchecks_total{name=\"etcd\",status=\"success\",type=\"livez\"}";
    assert_eq!(value(&found, total), Some(1.0), "{found}");
    assert_eq!(
        value(&found, "kubernetes_healthcheck{name=\"etcd\",type=\"healthz\"}"),
        None
    );
}

#[test]
fn who_watches_is_counted_as_long_as_the_watch_lasts() {
    let cluster = Cluster::start();
    let open = || {
        let series = "apiserver_longrunning_requests{component=\"apiserver\",group=\"\",resource=\"limitranges\",\
                      scope=\"namespace\",subresource=\"\",verb=\"WATCH\",version=\"v1\"}";
        value(&text(&cluster, "/metrics").1, series)
    };
    let ranges = "/api/v1/namespaces/default/limitranges";
    crate::cluster::runtime().block_on(async {
        let request = http::Request::get(format!("{ranges}?watch=1"))
            .body(Vec::new())
            .unwrap();
        let lines = cluster.client().await.request_stream(request).await.unwrap();
        let counted = std::thread::scope(|scope| scope.spawn(open).join().unwrap());
        assert_eq!(counted, Some(1.0));
        drop(lines);
    });
    cluster.eventually("the watch is over", |_| open() == Some(0.0));
    let (_, none) = cluster.get(ranges);
    assert_eq!(none["items"], Value::Array(Vec::new()));
}
