//! Who gets in.

use super::support::{Authority, Host, request};

const HEALTHZ: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";

#[tokio::test]
async fn masters_may_all_and_others_what_the_api_server_allows() {
    let host = Host::new().await;
    let ask = async |who: Option<(&Authority, &str, &str)>, headers: &str, path: &str| {
        let stream = host.connect_as(who).await.unwrap();
        let head = HEALTHZ.replace("/healthz", path);
        request(stream, &format!("{head}{headers}\r\n")).await.unwrap()
    };
    let master = Some((&host.authority, "admin", "system:masters"));
    assert_eq!(ask(master, "", "/healthz").await, (200, "ok".to_owned()));
    assert!(host.reviews.lock().unwrap().is_empty(), "masters need no review");
    assert_eq!(ask(None, "", "/healthz").await.0, 401);
    assert_eq!(
        ask(None, "Authorization: Bearer bad\r\n", "/healthz").await.0,
        401
    );
    assert_eq!(
        ask(None, "Authorization: Bearer good\r\n", "/healthz").await.0,
        200
    );
    let friend = Some((&host.authority, "friend", "some"));
    assert_eq!(ask(friend, "", "/pods").await.0, 200);
    // A stranger learns nothing of what there is, and every path is asked for.
    let stranger = Some((&host.authority, "stranger", "some"));
    for path in [
        "/healthz",
        "/pods",
        "/exec/default/pod/main",
        "/nothing",
        "/metrics",
        "/containerLogs/default/pod/main",
    ] {
        let (status, body) = ask(stranger, "", path).await;
        assert_eq!(status, 403, "{path}");
        assert!(
            body.starts_with("Forbidden (user=stranger, verb=get, resource=nodes"),
            "{body}"
        );
    }
    let reviews = host.reviews.lock().unwrap();
    let asked = &reviews.last().unwrap()["spec"]["resourceAttributes"];
    assert_eq!(
        (&asked["subresource"], &asked["name"], &asked["verb"]),
        (&"proxy".into(), &"node-1".into(), &"get".into())
    );
}

#[tokio::test]
async fn what_was_allowed_is_not_asked_again_and_what_was_refused_is() {
    let host = Host::new().await;
    let asked = || host.reviews.lock().unwrap().len();
    for _ in 0..3 {
        assert_eq!(host.get("/containerLogs/default/none/main").await.0, 404);
        assert_eq!(asked(), 1);
    }
    assert_eq!(host.get("/healthz").await.0, 200);
    assert_eq!(asked(), 2, "something else");
    for more in 1..=3 {
        let stream = host
            .connect_as(Some((&host.authority, "stranger", "some")))
            .await
            .unwrap();
        let answer = request(
            stream,
            &format!("{}\r\n", HEALTHZ.replace("/healthz", "/exec/a/b/c")),
        )
        .await;
        assert_eq!(answer.unwrap().0, 403);
        assert_eq!(asked(), 2 + more);
    }
}

#[tokio::test]
async fn certificates_of_others_are_refused() {
    let host = Host::new().await;
    let other = Authority::new();
    let answer = async {
        let stream = host.connect_as(Some((&other, "admin", "system:masters"))).await?;
        request(stream, &format!("{HEALTHZ}\r\n")).await
    };
    assert!(answer.await.is_err(), "TLS must fail");
    assert_eq!(host.get("/healthz").await.0, 200, "others are served");
}

#[tokio::test]
async fn stats_and_pods() {
    let host = Host::new().await;
    host.start("sleep 100", |_| {});
    let (status, body) = host.get("/stats/summary").await;
    assert_eq!(status, 200);
    let summary: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(summary["node"]["nodeName"], "node-1");
    assert!(summary["node"]["memory"]["workingSetBytes"].as_u64().unwrap() > 0);
    assert_eq!(summary["pods"][0]["containers"][0]["name"], "main");
    let (status, body) = host.get("/metrics/resource").await;
    assert!(
        status == 200 && body.contains("pod_memory_working_set_bytes{namespace=\"default\",pod=\"pod\"}"),
        "{body}"
    );
    assert!(
        host.get("/metrics")
            .await
            .1
            .contains("kubelet_running_containers{container_state=\"running\"} 1")
    );
    let pods: serde_json::Value = serde_json::from_str(&host.get("/pods").await.1).unwrap();
    assert_eq!(pods["items"][0]["metadata"]["name"], "pod");
    assert_eq!(host.get("/nothing").await.0, 404);
}

#[tokio::test]
async fn renewed_certificates_are_taken_at_once_and_broken_ones_not() {
    let host = Host::new().await;
    let path = host.directory.path().join("cert.pem");
    let certificate = std::fs::read(&path).unwrap();
    std::fs::write(&path, "broken").unwrap();
    assert_eq!(host.get("/healthz").await.0, 200);
    std::fs::write(&path, certificate).unwrap();
    // Clients of a new authority only.
    let other = Authority::new();
    std::fs::write(host.directory.path().join("ca.pem"), other.pem()).unwrap();
    let stream = host
        .connect_as(Some((&other, "admin", "system:masters")))
        .await
        .unwrap();
    assert_eq!(request(stream, &format!("{HEALTHZ}\r\n")).await.unwrap().0, 200);
}
