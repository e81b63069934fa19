//! Exec, attach and run: from the request to the running session.

use std::sync::Arc;

use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use keelson_runtime::node::{ContainerState, ExecSpec, NodeRuntime, Phase};
use keelson_streams::channels::Protocol;
use keelson_streams::spdy::Connection;
use keelson_streams::upgrade::{self, Upgrade};

use super::answer::{Answer, failure, full, refuse_spdy, switch, whole};
use super::query::{Query, Streams, command};
use super::route::Target;
use super::session::{self, Client, Kind, Process};
use super::{PodLookup, blocking};

/// Most output of `/run` that is kept.
const RUN_OUTPUT: usize = 1 << 20;

/// The running container that a request names, or the answer that it gets instead.
async fn find(target: &Target, pods: &Arc<dyn PodLookup>) -> Result<ContainerState, Answer> {
    let pod = find_pod(target, pods)?;
    let uid = pod.metadata.uid.unwrap_or_default();
    let name = target.container.clone();
    let (pods, wanted) = (pods.clone(), name.clone());
    let state = blocking(move || pods.container(&uid, &wanted, false))
        .await
        .map_err(|words| failure(500, &words))?;
    state
        .filter(|state| state.phase == Phase::Running)
        .ok_or_else(|| failure(500, &format!("container not found ({name:?})")))
}

/// The pod that a request names.
pub(super) fn find_pod(target: &Target, pods: &Arc<dyn PodLookup>) -> Result<Pod, Answer> {
    pods.pod(&target.namespace, &target.pod)
        .filter(|pod| target.uid.is_none() || target.uid == pod.metadata.uid)
        .ok_or_else(|| failure(404, "pod does not exist"))
}

/// `/exec`: a new process.
pub(super) async fn exec(
    request: Request<Incoming>,
    target: Target,
    query: &Query,
    pods: Arc<dyn PodLookup>,
    runtime: NodeRuntime,
) -> Answer {
    let streams = match Streams::parse(query) {
        Ok(streams) => streams,
        Err(words) => return failure(400, &words),
    };
    let args = command(query);
    if args.is_empty() {
        return failure(400, "you must specify a command to run");
    }
    let container = match find(&target, &pods).await {
        Ok(container) => container,
        Err(answer) => return answer,
    };
    let spec = exec_spec(args, streams);
    let kind = Kind::Exec {
        reads_on: streams.stdin && !streams.tty,
    };
    open(request, streams, kind, move || {
        runtime
            .exec(&container.spec.id, &spec)
            .map_err(|error| words("error executing command in container", &error))
    })
}

/// `/attach`: the container's own first process.
pub(super) async fn attach(
    request: Request<Incoming>,
    target: Target,
    query: &Query,
    pods: Arc<dyn PodLookup>,
    runtime: NodeRuntime,
) -> Answer {
    let streams = match Streams::parse(query) {
        Ok(streams) => streams,
        Err(words) => return failure(400, &words),
    };
    let container = match find(&target, &pods).await {
        Ok(container) => container,
        Err(answer) => return answer,
    };
    let spec = &container.spec;
    let kind = Kind::Attach {
        input_ends_it: streams.stdin && spec.stdin && (spec.tty || !spec.stdin_once),
    };
    open(request, streams, kind, move || {
        let mut attached = runtime
            .attach(&container.spec.id)
            .map_err(|error| words("error attaching to container", &error))?;
        // Only what was asked for: stdin that nobody writes to must not look closed, either.
        attached.stdin = attached.stdin.filter(|_| streams.stdin);
        attached.stdout = attached.stdout.filter(|_| streams.stdout);
        attached.stderr = attached.stderr.filter(|_| streams.stderr);
        Ok(attached)
    })
}

/// `/run`: a process without a client; the answer is its output.
pub(super) async fn run(
    target: Target,
    query: &Query,
    pods: Arc<dyn PodLookup>,
    runtime: NodeRuntime,
) -> Answer {
    let container = match find(&target, &pods).await {
        Ok(container) => container,
        Err(answer) => return answer,
    };
    let args = query
        .first("cmd")
        .unwrap_or_default()
        .split(' ')
        .map(str::to_owned)
        .collect();
    let streams = Streams {
        stdin: false,
        stdout: true,
        stderr: true,
        tty: false,
    };
    let spec = exec_spec(args, streams);
    let start = move || {
        runtime
            .exec(&container.spec.id, &spec)
            .map_err(|error| error.to_string())
    };
    let process = match launch(start).await {
        Ok(process) => process,
        Err(words) => return failure(500, &words),
    };
    match session::collect(process, RUN_OUTPUT).await {
        Ok((output, 0)) => whole(200, full(output)),
        Ok((output, code)) => {
            let words = format!(
                "command terminated with exit code {code}: {}",
                String::from_utf8_lossy(&output)
            );
            failure(500, &words)
        }
        Err(words) => failure(500, &words),
    }
}

fn exec_spec(args: Vec<String>, streams: Streams) -> ExecSpec {
    ExecSpec {
        args,
        tty: streams.tty,
        stdin: streams.stdin,
        stdout: streams.stdout,
        stderr: streams.stderr,
        ..ExecSpec::default()
    }
}

fn words(what: &str, error: &keelson_runtime::node::Error) -> String {
    format!("{what}: {error}")
}

/// Starts off the event loop. It cannot be given up: whoever has asked for it gets the process, also a client that is gone.
async fn launch(
    start: impl FnOnce() -> Result<keelson_runtime::node::Exec, String> + Send + 'static,
) -> Result<Process, String> {
    blocking(move || Process::new(start()?).map_err(|error| error.to_string())).await?
}

/// Answers the handshake and leaves the session to a task of its own.
fn open(
    request: Request<Incoming>,
    streams: Streams,
    kind: Kind,
    start: impl FnOnce() -> Result<keelson_runtime::node::Exec, String> + Send + 'static,
) -> Answer {
    match Upgrade::parse(request.headers()) {
        Err(words) => failure(400, words),
        Ok(Upgrade::WebSocket { key, protocols }) => {
            let Some((protocol, name)) = choose(&Protocol::KUBELET, &protocols) else {
                return failure(400, &format!("unknown subprotocols {protocols:?}"));
            };
            tokio::spawn(async move {
                match hyper::upgrade::on(request).await {
                    Ok(io) => {
                        let client = Client::websocket(TokioIo::new(io), protocol, streams).await;
                        session::run(client, kind, launch(start)).await;
                    }
                    Err(error) => tracing::debug!(%error, "upgrade failed"),
                }
            });
            switch(upgrade::accept_websocket(&key, name))
        }
        Ok(Upgrade::Spdy { protocols }) => {
            let known = session::SPDY_PROTOCOL;
            if !protocols.iter().any(|own| own == known) {
                return refuse_spdy(known);
            }
            tokio::spawn(async move {
                match hyper::upgrade::on(request).await {
                    Ok(io) => {
                        let connection = Connection::server(TokioIo::new(io));
                        if let Some((client, link)) = session::connect_spdy(connection, streams).await {
                            session::run(client, kind, launch(start)).await;
                            link.close().await;
                        }
                    }
                    Err(error) => tracing::debug!(%error, "upgrade failed"),
                }
            });
            switch(upgrade::accept_spdy(known))
        }
    }
}

/// The first protocol of the client's list that we know. A client without a list speaks the first of ours and gets no
/// name back.
pub(super) fn choose(known: &[Protocol], offered: &[String]) -> Option<(Protocol, Option<&'static str>)> {
    if offered.is_empty() {
        return known.first().map(|plain| (*plain, None));
    }
    let of = |name: &String| known.iter().find(|protocol| protocol.name == name);
    offered
        .iter()
        .find_map(of)
        .map(|protocol| (*protocol, Some(protocol.name)))
}
