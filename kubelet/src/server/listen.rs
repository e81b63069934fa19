//! Connections and requests.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use keelson_runtime::node::NodeRuntime;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use super::answer::{Answer, failure, full, json, whole};
use super::auth::{Denied, Gate, Identity};
use super::query::Query;
use super::route::{NoRoute, Route};
use super::tls::Tls;
use super::{Context, PodLookup, Server, ServerConfig, blocking, logs, portforward, stats, streams};
use crate::Error;

/// Waits for a client that is slow with its TLS handshake or its headers.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections at once; further ones wait in the kernel's queue.
const CONNECTIONS: usize = 1024;
/// Waits before accepting again when the process is out of descriptors.
const BREATH: Duration = Duration::from_millis(100);

/// Binds and serves in background tasks. `client` answers SubjectAccessReviews for callers that are not the API
/// server itself.
pub async fn serve(
    config: ServerConfig,
    runtime: NodeRuntime,
    pods: Arc<dyn PodLookup>,
    client: kube::Client,
) -> Result<Server, Error> {
    let tls = Tls::new(&config.tls_cert, &config.tls_key, &config.client_ca)?;
    let failed = |source| Error::Io {
        what: format!("listening on {}", config.listen),
        source,
    };
    let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let context = Arc::new(Context {
        gate: Gate::new(client, config.node_name.clone()),
        node: config.node_name,
        runtime,
        pods,
    });
    tokio::spawn(accept(listener, tls, context));
    Ok(Server { address })
}

async fn accept(listener: TcpListener, tls: Tls, context: Arc<Context>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let Ok(slot) = slots.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (tls, context) = (tls.acceptor(), context.clone());
                tokio::spawn(async move {
                    if let Err(error) = connection(stream, &tls, context).await {
                        tracing::debug!(%peer, %error, "connection ends");
                    }
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

/// Asks a silent client whether it is there, twice a minute.
fn keep_alive(stream: &TcpStream) -> nix::Result<()> {
    setsockopt(stream, sockopt::TcpKeepIdle, &30)?;
    setsockopt(stream, sockopt::TcpKeepInterval, &30)?;
    setsockopt(stream, sockopt::KeepAlive, &true)
}

async fn connection(stream: TcpStream, tls: &TlsAcceptor, context: Arc<Context>) -> Result<(), String> {
    // Keystrokes and their echo.
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    // One that is gone without a word must not hold a session for ever.
    keep_alive(&stream).map_err(|error| error.to_string())?;
    let stream = tokio::time::timeout(PATIENCE, tls.accept(stream))
        .await
        .map_err(|_| "no TLS handshake".to_owned())?
        .map_err(|error| error.to_string())?;
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let identity = Arc::new(certificate.and_then(|certificate| Identity::from_certificate(certificate)));
    let service = service_fn(move |request| {
        let (context, identity) = (context.clone(), identity.clone());
        async move { Ok::<_, Infallible>(answer(request, identity.as_ref().as_ref(), &context).await) }
    });
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(64 << 10)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await
        .map_err(|error| error.to_string())
}

async fn answer(request: Request<Incoming>, identity: Option<&Identity>, context: &Context) -> Answer {
    let route = Route::parse(request.method(), request.uri().path());
    // Strangers do not learn which paths there are.
    let checked = route.as_ref().unwrap_or(&Route::Healthz);
    match context
        .gate
        .check(identity, request.headers(), request.method(), checked)
        .await
    {
        Ok(()) => {}
        Err(Denied::Unauthorized) => return failure(401, "Unauthorized"),
        Err(Denied::Forbidden(words)) => return failure(403, &words),
        Err(Denied::Failed(words)) => return failure(500, &words),
    }
    let route = match route {
        Ok(route) => route,
        Err(NoRoute::NotFound) => return failure(404, "404 page not found\n"),
        Err(NoRoute::MethodNotAllowed) => return failure(405, "405: Method Not Allowed"),
    };
    let query = match Query::parse(request.uri().query()) {
        Ok(query) => query,
        Err(words) => return failure(400, &words),
    };
    let (pods, runtime) = (context.pods.clone(), context.runtime.clone());
    match route {
        Route::Healthz => whole(200, full("ok")),
        Route::Pods => json(&serde_json::json!({
            "kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": pods.pods(),
        })),
        Route::Logs(target) => logs::serve(target, &query, pods, runtime).await,
        Route::Exec(target) => streams::exec(request, target, &query, pods, runtime).await,
        Route::Attach(target) => streams::attach(request, target, &query, pods, runtime).await,
        Route::Run(target) => streams::run(target, &query, pods, runtime).await,
        Route::PortForward(target) => portforward::serve(request, target, &query, pods, runtime).await,
        Route::StatsSummary => {
            let node = context.node.clone();
            gathered(blocking(move || json(&stats::summary(&node, &*pods, &runtime))).await)
        }
        Route::ResourceMetrics => {
            gathered(blocking(move || whole(200, full(stats::resource(&*pods, &runtime)))).await)
        }
        Route::Metrics => {
            let node = context.node.clone();
            gathered(blocking(move || whole(200, full(stats::metrics(&node, &pods, &runtime)))).await)
        }
    }
}

fn gathered(answer: Result<Answer, String>) -> Answer {
    answer.unwrap_or_else(|words| failure(500, &words))
}
