//! Talking to etcd: one connection at a time, to another server when it fails.
//!
//! The difference that matters is whether a request that failed may have been carried out. One that was never sent is
//! tried on the next server, and so is one that only reads; of any other the caller learns [`Failure::Unknown`].

use std::path::PathBuf;
use std::time::Duration;

use http::uri::PathAndQuery;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep, timeout_at};
use tonic::client::Grpc;
use tonic::metadata::MetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Streaming};
use tonic_prost::ProstCodec;

use super::Servers;
use super::proto::{
    CompactionRequest, CompactionResponse, LeaseGrantRequest, LeaseGrantResponse, RangeRequest,
    RangeResponse, TxnRequest, TxnResponse, WatchCreateRequest, WatchRequest, WatchResponse,
};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(2);
/// How long a request may take, on all servers together. etcd itself gives up after seven seconds.
const REQUEST: Duration = Duration::from_secs(10);
/// How long one of several servers may take to answer a [glance](Client::glance) before another one is asked.
const HUNG: Duration = Duration::from_secs(3);
/// Between tries of a request that no server took.
const PAUSE: Duration = Duration::from_millis(100);
/// How often a silent connection is asked whether it lives. etcd does not allow it more often than every 5 seconds.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// What etcd says when it has not begun with a request.
const NOT_BEGUN: [&str; 2] = ["etcdserver: no leader", "etcdserver: too many requests"];

/// Why a request failed.
#[derive(Debug, Clone)]
pub enum Failure {
    /// No server took it.
    NotSent(String),
    /// A server said no.
    Refused(Code, String),
    /// It may have been carried out.
    Unknown(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotSent(why) | Self::Refused(_, why) | Self::Unknown(why) => f.write_str(why),
        }
    }
}

/// The client.
#[derive(Debug)]
pub struct Client {
    endpoints: Vec<Endpoint>,
    state: Mutex<State>,
    /// The last connection that was given up.
    lost: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    /// Which endpoint comes next, or is in use.
    at: usize,
    channel: Option<Channel>,
    /// Counts connections, so that one is given up once only.
    generation: u64,
}

/// Whether a request may be carried out twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeat {
    Yes,
    /// And it is answered at once by a server that is well.
    Soon,
    No,
}

impl Client {
    /// Reads certificates; connects later.
    pub fn new(servers: &Servers) -> Result<Self, String> {
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
        };
        let mut tls = ClientTlsConfig::new();
        if let Some(path) = &servers.ca_file {
            tls = tls.ca_certificate(Certificate::from_pem(read(path)?));
        }
        match (&servers.cert_file, &servers.key_file) {
            (Some(certificate), Some(key)) => {
                tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
            }
            (None, None) => {}
            _ => return Err("a certificate for etcd needs its key, and a key its certificate".to_owned()),
        }
        if servers.urls.is_empty() {
            return Err("no etcd server is named".to_owned());
        }
        let endpoints = servers.urls.iter().map(|url| {
            let wrong = |error: tonic::transport::Error| {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                format!(
                    "etcd server {url:?}: {}",
                    source.unwrap_or_else(|| error.to_string())
                )
            };
            let endpoint = Endpoint::from_shared(url.clone())
                .map_err(wrong)?
                .connect_timeout(CONNECT)
                .tcp_nodelay(true)
                .http2_keep_alive_interval(KEEP_ALIVE)
                .keep_alive_timeout(KEEP_ALIVE / 2)
                .initial_stream_window_size(1 << 20)
                .initial_connection_window_size(4 << 20);
            match endpoint.uri().scheme_str() {
                Some("https") => endpoint.tls_config(tls.clone()).map_err(wrong),
                Some("http") => Ok(endpoint),
                _ => Err(format!(
                    "etcd server {url:?}: a URL with http or https is expected"
                )),
            }
        });
        Ok(Self {
            endpoints: endpoints.collect::<Result<_, _>>()?,
            state: Mutex::default(),
            lost: watch::Sender::new(0),
        })
    }

    /// The connection, made if there is none: each server is tried once.
    async fn channel(&self) -> Result<(u64, Channel), String> {
        let mut state = self.state.lock().await;
        if let Some(channel) = &state.channel {
            return Ok((state.generation, channel.clone()));
        }
        let mut reasons = Vec::new();
        for step in 0..self.endpoints.len() {
            let at = (state.at + step) % self.endpoints.len();
            let endpoint = &self.endpoints[at];
            match endpoint.connect().await {
                Ok(channel) => {
                    state.at = at;
                    state.generation += 1;
                    state.channel = Some(channel.clone());
                    tracing::debug!(server = %endpoint.uri(), "connected to etcd");
                    return Ok((state.generation, channel));
                }
                Err(error) => reasons.push(format!("{}: {}", endpoint.uri(), chain(&error))),
            }
        }
        Err(reasons.join("; "))
    }

    /// Gives up a connection that does not work; the next request goes to another server.
    pub async fn give_up(&self, generation: u64) {
        let mut state = self.state.lock().await;
        if state.generation == generation && state.channel.take().is_some() {
            state.at = (state.at + 1) % self.endpoints.len();
            self.lost.send_replace(generation);
        }
    }

    /// Resolves when a connection has been given up: what still waits for it waits in vain.
    pub async fn lost(&self, generation: u64) {
        let mut lost = self.lost.subscribe();
        // The sender is in this client.
        drop(lost.wait_for(|lost| *lost >= generation).await);
    }

    /// Reads keys. Without a revision the answer is linearizable.
    pub async fn range(&self, request: RangeRequest) -> Result<RangeResponse, Failure> {
        self.call("/etcdserverpb.KV/Range", request, Repeat::Yes).await
    }

    /// Reads a key or two, as [`Self::range`]: a server that does not answer soon hangs.
    pub async fn glance(&self, request: RangeRequest) -> Result<RangeResponse, Failure> {
        self.call("/etcdserverpb.KV/Range", request, Repeat::Soon).await
    }

    /// Runs a transaction.
    pub async fn txn(&self, request: TxnRequest) -> Result<TxnResponse, Failure> {
        self.call("/etcdserverpb.KV/Txn", request, Repeat::No).await
    }

    /// Forgets what was before a revision.
    pub async fn compact(&self, revision: i64) -> Result<CompactionResponse, Failure> {
        let request = CompactionRequest { revision };
        self.call("/etcdserverpb.KV/Compact", request, Repeat::No).await
    }

    /// Makes a lease of so many seconds, at least.
    pub async fn grant(&self, ttl: i64) -> Result<LeaseGrantResponse, Failure> {
        let request = LeaseGrantRequest { ttl };
        // One that was made and is not known of expires by itself.
        self.call("/etcdserverpb.Lease/LeaseGrant", request, Repeat::Yes)
            .await
    }

    /// Begins a watch; also tells which connection it is on.
    pub async fn watch(
        &self,
        create: WatchCreateRequest,
    ) -> Result<(u64, Streaming<WatchResponse>), Failure> {
        let (generation, channel) = self.channel().await.map_err(Failure::NotSent)?;
        let first = WatchRequest { create: Some(create) };
        // The request stream stays open for as long as the watch is wanted.
        let requests = futures::StreamExt::chain(
            futures::stream::once(std::future::ready(first)),
            futures::stream::pending(),
        );
        let path = PathAndQuery::from_static("/etcdserverpb.Watch/Watch");
        let mut grpc = Grpc::new(channel).max_decoding_message_size(usize::MAX);
        let begin = async {
            grpc.ready()
                .await
                .map_err(|error| Failure::NotSent(chain(&error)))?;
            let codec = ProstCodec::<WatchRequest, WatchResponse>::new();
            grpc.streaming(with_leader(Request::new(requests)), path, codec)
                .await
                .map_err(|status| Failure::Unknown(status.message().to_owned()))
        };
        match timeout_at(Instant::now() + REQUEST, begin).await {
            Ok(Ok(response)) => Ok((generation, response.into_inner())),
            Ok(Err(error)) => {
                self.give_up(generation).await;
                Err(error)
            }
            Err(_) => {
                self.give_up(generation).await;
                Err(Failure::Unknown("no answer".to_owned()))
            }
        }
    }

    async fn call<Q, A>(&self, path: &'static str, request: Q, repeat: Repeat) -> Result<A, Failure>
    where
        Q: prost::Message + Clone + 'static,
        A: prost::Message + Default + 'static,
    {
        let deadline = Instant::now() + REQUEST;
        loop {
            let failure = match self.channel().await {
                Err(why) => Failure::NotSent(why),
                Ok((generation, channel)) => {
                    let attempt = attempt(channel, path, request.clone());
                    let patience = if repeat == Repeat::Soon && self.endpoints.len() > 1 {
                        deadline.min(Instant::now() + HUNG)
                    } else {
                        deadline
                    };
                    let failure = match timeout_at(patience, attempt).await {
                        Ok(Ok(answer)) => return Ok(answer),
                        Ok(Err(failure)) => failure,
                        Err(_) => Failure::Unknown("no answer in time".to_owned()),
                    };
                    if !matches!(failure, Failure::Refused(..)) {
                        self.give_up(generation).await;
                    }
                    failure
                }
            };
            let again = match failure {
                Failure::NotSent(_) => true,
                Failure::Refused(..) => false,
                Failure::Unknown(_) => repeat != Repeat::No,
            };
            if !again || Instant::now() + PAUSE >= deadline {
                return Err(failure);
            }
            // Waits for a server to come back or a leader to be elected, of which nothing tells us.
            sleep(PAUSE).await;
        }
    }
}

/// One request on one connection.
async fn attempt<Q, A>(channel: Channel, path: &'static str, request: Q) -> Result<A, Failure>
where
    Q: prost::Message + 'static,
    A: prost::Message + Default + 'static,
{
    let mut grpc = Grpc::new(channel)
        .max_decoding_message_size(usize::MAX)
        .max_encoding_message_size(usize::MAX);
    grpc.ready()
        .await
        .map_err(|error| Failure::NotSent(chain(&error)))?;
    let codec = ProstCodec::<Q, A>::new();
    match grpc
        .unary(
            with_leader(Request::new(request)),
            PathAndQuery::from_static(path),
            codec,
        )
        .await
    {
        Ok(response) => Ok(response.into_inner()),
        Err(status) => Err(classify(&status)),
    }
}

/// A server without a leader, which is one that is cut off from the others, is to say so instead of letting us wait.
fn with_leader<T>(mut request: Request<T>) -> Request<T> {
    request
        .metadata_mut()
        .insert("hasleader", MetadataValue::from_static("true"));
    request
}

fn classify(status: &tonic::Status) -> Failure {
    let message = format!("{} ({:?})", status.message(), status.code());
    if NOT_BEGUN.iter().any(|text| status.message().starts_with(text)) || was_not_sent(status) {
        return Failure::NotSent(message);
    }
    match status.code() {
        // What the transport reports, or a server that is stopping or without a leader.
        Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled | Code::DeadlineExceeded => {
            Failure::Unknown(message)
        }
        code => Failure::Refused(code, status.message().to_owned()),
    }
}

/// Whether the connection failed before the request was on it.
fn was_not_sent(status: &tonic::Status) -> bool {
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        if error
            .downcast_ref::<hyper::Error>()
            .is_some_and(hyper::Error::is_canceled)
        {
            return true;
        }
        source = error.source();
    }
    false
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
