//! The image of a start: looked up, pulled if the policy says so.

mod bundle;
mod credentials;
mod turns;

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Container, Pod};
use keelson_runtime::image::{Access, Error as ImageError, Image, PullOptions, normalize_reference};
use keelson_runtime::node::RootfsSource;

use super::message::Done;
use super::{Context, Worker};
use crate::container::spec::ImageFacts;
use crate::event::Kind;
use crate::pod::state::{ImagePhase, Now, Waiting};
use crate::spec::find;
pub use turns::Turns;

/// How long `ErrImagePull` with its cause stands before `ImagePullBackOff` takes its place: time for a watcher to see
/// it.
const SHOW_CAUSE: Duration = Duration::from_secs(2);

/// Why there is no image.
#[derive(Debug)]
pub struct ImageFailure {
    /// Waiting reason.
    pub reason: &'static str,
    /// Its message.
    pub message: String,
    /// Whether a pull failed, so that the next one backs off.
    pub pulled: bool,
}

/// What is to be reported while an image is resolved.
type Report = Arc<dyn Fn(Kind, &str, &str) + Send + Sync>;

impl Worker {
    pub(super) fn resolve_image(&self, name: &str) {
        let report = self.reporter();
        let found = self.pod.spec.as_ref().and_then(|spec| find(spec, name));
        let Some((role, container)) = found.map(|(role, c)| (role, c.into_owned())) else {
            return;
        };
        let (pod, context, name) = (self.pod.clone(), self.context.clone(), name.to_owned());
        let about = crate::event::pod_reference(&pod, Some((&role, &name)));
        let events = context.events.clone();
        let event: Report =
            Arc::new(move |kind, reason, message| events.record(about.clone(), kind, reason, message));
        tokio::spawn(async move {
            let result = Box::new(resolve(&context, &pod, &container, &event).await);
            report(Done::Image {
                container: name,
                result,
            });
        });
    }

    pub(super) fn image_done(&mut self, name: &str, result: Result<ImageFacts, ImageFailure>, now: Now) {
        let failure = match result {
            Ok(facts) => {
                self.images.insert(name.to_owned(), facts);
                let record = self.record(name);
                record.image = ImagePhase::Ready;
                record.retry_at = None;
                if record
                    .waiting
                    .as_ref()
                    .is_some_and(|w| w.reason.contains("Image"))
                {
                    record.waiting = None;
                }
                return;
            }
            Err(failure) => failure,
        };
        self.event(
            Some(name),
            Kind::Warning,
            "Failed",
            &format!("Error: {}", failure.reason),
        );
        let record = self.record(name);
        record.image = ImagePhase::Unresolved;
        let mut delay = Duration::from_secs(10);
        if failure.pulled {
            record.pull_backoff.advance(now.wall, now.wall);
            record.pull_failed_at = Some(now.wall);
            delay = record.pull_backoff.delay(now.wall).unwrap_or(delay);
        }
        record.retry_at = Some(now.mono + delay);
        record.waiting = Some(Waiting::new(failure.reason, failure.message));
        if failure.pulled {
            let report = self.reporter();
            let container = name.to_owned();
            tokio::spawn(async move {
                tokio::time::sleep(SHOW_CAUSE).await;
                report(Done::PullBackoff { container });
            });
        }
    }

    pub(super) fn pull_backoff(&mut self, name: &str) {
        let image = self
            .pod
            .spec
            .as_ref()
            .and_then(|spec| find(spec, name))
            .and_then(|(_, c)| c.image.clone())
            .unwrap_or_default();
        let record = self.record(name);
        let Some(waiting) = record.waiting.as_mut().filter(|w| w.reason == "ErrImagePull") else {
            return;
        };
        let message = format!("Back-off pulling image \"{image}\"");
        *waiting = Waiting::new(
            "ImagePullBackOff",
            format!("{message}: ErrImagePull: {}", waiting.message),
        );
        self.event(Some(name), Kind::Normal, "BackOff", &message);
        self.event(Some(name), Kind::Warning, "Failed", "Error: ImagePullBackOff");
    }
}

async fn resolve(
    context: &Arc<Context>,
    pod: &Pod,
    container: &Container,
    event: &Report,
) -> Result<ImageFacts, ImageFailure> {
    let image = container.image.clone().unwrap_or_default();
    if let Some(path) = image.strip_prefix(bundle::SCHEME) {
        let path = path.to_owned();
        return tokio::task::spawn_blocking(move || bundle::facts(&path))
            .await
            .map_err(|error| failure("ErrImagePull", error.to_string()))?
            .map_err(|message| failure("ErrImagePull", message));
    }
    let full = match normalize_reference(&image) {
        Ok(full) => full,
        Err(error) => {
            let message = format!(
                "Failed to apply default image tag \"{image}\": couldn't parse image name \"{image}\": {error}"
            );
            event(Kind::Warning, "InspectFailed", &message);
            return Err(failure("InvalidImageName", message));
        }
    };
    let policy = container.image_pull_policy.as_deref().unwrap_or("IfNotPresent");
    if policy != "Always" {
        let (store, reference) = (context.images.clone(), image.clone());
        let found = tokio::task::spawn_blocking(move || store.get(&reference))
            .await
            .map_err(|error| failure("ImageInspectError", error.to_string()))?
            .map_err(|error| failure("ImageInspectError", error.to_string()))?;
        if let Some(found) = found {
            let message = format!("Container image \"{image}\" already present on machine");
            event(Kind::Normal, "Pulled", &message);
            return Ok(facts(&found));
        }
        if policy == "Never" {
            let message = format!("Container image \"{image}\" is not present with pull policy of Never");
            event(Kind::Warning, "ErrImageNeverPull", &message);
            return Err(failure("ErrImageNeverPull", message));
        }
    }
    pull(context, pod, [&image, &full], policy, event).await
}

async fn pull(
    context: &Arc<Context>,
    pod: &Pod,
    [image, full]: [&str; 2],
    policy: &str,
    event: &Report,
) -> Result<ImageFacts, ImageFailure> {
    event(Kind::Normal, "Pulling", &format!("Pulling image \"{image}\""));
    let access = Access {
        credentials: credentials::find(context, pod, image).await,
        ..Access::default()
    };
    let options = PullOptions {
        access,
        platform: None,
    };
    let asked = Instant::now();
    let turn = context.pulls.take(full).await;
    let started = Instant::now();
    let (store, reference, always) = (context.images.clone(), image.to_owned(), policy == "Always");
    let result = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        // Another pod may have pulled it while this one waited.
        match store.get(&reference) {
            Ok(Some(found)) if !always => Ok(found),
            _ => store.pull(&reference, &options),
        }
    })
    .await;
    let problem = match result {
        Ok(Ok(found)) => {
            let [took, waited] = [started, asked].map(|since| since.elapsed().as_secs_f64());
            let message = format!(
                "Successfully pulled image \"{image}\" in {took:.3}s ({waited:.3}s including waiting). Image size: {} bytes.",
                found.size
            );
            event(Kind::Normal, "Pulled", &message);
            return Ok(facts(&found));
        }
        Ok(Err(ImageError::Pull { reason, .. })) => reason,
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    let message = format!("failed to pull image \"{image}\": {problem}");
    event(
        Kind::Warning,
        "Failed",
        &format!("Failed to pull image \"{image}\": {problem}"),
    );
    Err(ImageFailure {
        reason: "ErrImagePull",
        message,
        pulled: true,
    })
}

fn failure(reason: &'static str, message: String) -> ImageFailure {
    ImageFailure {
        reason,
        message,
        pulled: false,
    }
}

fn facts(image: &Image) -> ImageFacts {
    let config = image.config.config().clone().unwrap_or_default();
    ImageFacts {
        id: image.digests.first().cloned().unwrap_or_else(|| image.id.clone()),
        rootfs: RootfsSource::Layers(image.layers.clone()),
        entrypoint: config.entrypoint().clone().unwrap_or_default(),
        cmd: config.cmd().clone().unwrap_or_default(),
        env: config.env().clone().unwrap_or_default(),
        working_dir: config.working_dir().clone().unwrap_or_default(),
        user: config.user().clone().unwrap_or_default(),
        stop_signal: config.stop_signal().clone(),
    }
}
