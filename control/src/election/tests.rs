//! The decisions, and two candidates on an API of a few lines.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

use super::*;

const DURATION: Duration = Duration::from_secs(15);

fn lease(holder: &str, renewed: &str) -> Value {
    json!({"metadata": {"name": "x"}, "spec": {
        "holderIdentity": holder, "leaseDurationSeconds": 15, "acquireTime": "t0", "renewTime": renewed, "leaseTransitions": 3,
    }})
}

#[test]
fn a_lease_is_taken_only_after_it_was_seen_unchanged_for_its_duration() {
    let start = Instant::now();
    let mut observed = Observed::default();
    let mut look = |lease: &Value, seconds: u64| {
        let now = start + Duration::from_secs(seconds);
        observed.see(Some(lease), now);
        record::next(Some(lease.clone()), &observed, "us", now, DURATION, "now")
    };
    assert_eq!(look(&lease("them", "t1"), 0), Step::Wait);
    assert_eq!(look(&lease("them", "t1"), 14), Step::Wait);
    assert_eq!(look(&lease("them", "t2"), 15), Step::Wait, "renewed");
    assert_eq!(look(&lease("them", "t2"), 29), Step::Wait);
    let Step::Replace(taken) = look(&lease("them", "t2"), 30) else {
        panic!("not taken")
    };
    let expected = json!({"holderIdentity": "us", "leaseDurationSeconds": 15, "acquireTime": "now", "renewTime": "now",
        "leaseTransitions": 4});
    assert_eq!(taken["spec"], expected);
}

#[test]
fn ours_is_renewed_and_one_without_a_holder_is_free() {
    let now = Instant::now();
    let mut observed = Observed::default();
    let next =
        |lease: Option<Value>, observed: &Observed| record::next(lease, observed, "us", now, DURATION, "now");
    observed.see(None, now);
    let Step::Create(made) = next(None, &observed) else {
        panic!("not made")
    };
    assert_eq!(made["spec"]["leaseTransitions"], 0);
    let ours = lease("us", "t1");
    observed.see(Some(&ours), now);
    let Step::Replace(renewed) = next(Some(ours.clone()), &observed) else {
        panic!("not renewed")
    };
    let mut expected = ours.clone();
    expected["spec"]["renewTime"] = "now".into();
    assert_eq!(renewed, expected);
    let free = record::released(ours, "us", "now").unwrap();
    assert_eq!(free["spec"]["holderIdentity"], "");
    assert!(record::released(free.clone(), "us", "now").is_none());
    observed.see(Some(&free), now);
    assert!(matches!(next(Some(free), &observed), Step::Replace(_)));
}

/// An API with one Lease, which can be cut off.
#[derive(Debug, Default)]
struct Server {
    lease: Mutex<Option<Value>>,
}

/// A client's way to it.
fn client(server: &Arc<Server>, cut: &Arc<AtomicBool>) -> Api {
    let (server, cut) = (Arc::clone(server), Arc::clone(cut));
    let service = tower::service_fn(move |request: Request<kube::client::Body>| {
        let (server, cut) = (Arc::clone(&server), Arc::clone(&cut));
        async move {
            if cut.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            let method = request.method().clone();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let mut lease = server.lease.lock().unwrap();
            let revision = |lease: &Value| lease["metadata"]["resourceVersion"].as_u64().unwrap_or(0);
            let (code, answer) = match (method, lease.clone()) {
                (Method::GET, None) => (404, Value::Null),
                (Method::GET, Some(lease)) => (200, lease),
                (Method::POST, Some(_)) => (409, Value::Null),
                (_, old) => {
                    let mut new: Value = serde_json::from_slice(&body).unwrap();
                    let found = old.as_ref().map_or(0, revision);
                    if old.is_some() && revision(&new) != found {
                        (409, Value::Null)
                    } else {
                        new["metadata"]["resourceVersion"] = (found + 1).into();
                        new["metadata"]["namespace"] = NAMESPACE.into();
                        *lease = Some(new.clone());
                        (200, new)
                    }
                }
            };
            let answer = Full::new(bytes::Bytes::from(answer.to_string()));
            Ok::<_, Infallible>(Response::builder().status(code).body(answer).unwrap())
        }
    });
    Api::new(kube::Client::new(service, "default"))
}

/// Who is at work, and whether there were ever two.
#[derive(Debug, Default)]
struct Stage {
    now: AtomicUsize,
    terms: AtomicUsize,
    two: AtomicBool,
}

/// Counts who is on the stage, also when the work is dropped.
struct On<'a>(&'a Stage);

impl<'a> On<'a> {
    fn enter(stage: &'a Stage) -> Self {
        stage.terms.fetch_add(1, Ordering::SeqCst);
        if stage.now.fetch_add(1, Ordering::SeqCst) > 0 {
            stage.two.store(true, Ordering::SeqCst);
        }
        Self(stage)
    }
}

impl Drop for On<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn there_is_one_leader_at_a_time_and_always_another_one() {
    let (server, stage) = (Arc::new(Server::default()), Arc::new(Stage::default()));
    let candidate = |identity: &str, cut: &Arc<AtomicBool>| Candidate {
        api: client(&server, cut),
        name: "x",
        identity: identity.to_owned(),
        timing: Timing {
            duration: Duration::from_secs(1),
            renew_deadline: Duration::from_millis(600),
            retry_period: Duration::from_millis(50),
        },
    };
    let start = |identity: &str, cut: &Arc<AtomicBool>| {
        let candidate = candidate(identity, cut);
        let (stage, (stop, stopped)) = (Arc::clone(&stage), tokio::sync::oneshot::channel::<()>());
        let task = tokio::spawn(async move {
            let work = |mut stop: tokio::sync::watch::Receiver<bool>| {
                let stage = &stage;
                async move {
                    let _on = On::enter(stage);
                    drop(stop.wait_for(|stop| *stop).await);
                }
            };
            candidate.run(work, async { drop(stopped.await) }).await;
        });
        (task, stop)
    };
    let holder = || {
        let lease = server.lease.lock().unwrap();
        lease
            .as_ref()
            .map(|lease| lease["spec"]["holderIdentity"].as_str().unwrap().to_owned())
            .unwrap_or_default()
    };
    let eventually = async |what: &str, is: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !is() {
            assert!(began.elapsed() < Duration::from_secs(10), "not yet: {what}");
            sleep(Duration::from_millis(10)).await;
        }
        began.elapsed()
    };
    let (cut, free) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (first, stop_first) = start("one", &cut);
    eventually("the first leads", &|| holder() == "one").await;
    let (second, stop_second) = start("two", &free);
    sleep(Duration::from_millis(300)).await;
    assert_eq!(
        (holder().as_str(), stage.terms.load(Ordering::SeqCst)),
        ("one", 1)
    );
    // Cut off, it stops before the other begins, though it cannot be told.
    cut.store(true, Ordering::SeqCst);
    eventually("the first has stopped", &|| stage.now.load(Ordering::SeqCst) == 0).await;
    assert_eq!(holder(), "one", "it stopped before anybody took the Lease");
    eventually("the second leads", &|| stage.now.load(Ordering::SeqCst) == 1).await;
    assert_eq!(holder(), "two");
    cut.store(false, Ordering::SeqCst);
    sleep(Duration::from_millis(300)).await;
    // An orderly end hands over at once.
    stop_second.send(()).unwrap();
    let took = eventually("the first leads again", &|| holder() == "one").await;
    assert!(took < Duration::from_millis(800), "{took:?}");
    second.await.unwrap();
    stop_first.send(()).unwrap();
    first.await.unwrap();
    assert_eq!(holder(), "");
    assert_eq!(stage.terms.load(Ordering::SeqCst), 3);
    assert!(!stage.two.load(Ordering::SeqCst), "two at once");
}
