//! What verbs that go on until they are told to stop share: being told, and being looked at.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context as _;
use signal_hook::consts::{SIGINT, SIGTERM};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long answers under way may take once everything else has ended.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// What is set by the first signal to stop.
pub(super) fn told_to_stop() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // The second time it ends the process as if nobody listened.
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))
            .context("cannot listen for signals")?;
        signal_hook::flag::register(signal, Arc::clone(&stop))
            .context("cannot listen for signals")?;
    }
    Ok(stop)
}

/// Being told to stop serving, or that nobody is left to tell.
pub(super) type Stopped = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// The task that serves metrics and health, and the way to end it.
pub(super) struct Observed {
    task: JoinHandle<io::Result<()>>,
    stop: oneshot::Sender<()>,
}

impl Observed {
    /// Listens before anything else is done, so that a start that hangs can be seen; nowhere if no
    /// address is given.
    pub(super) fn start<S>(
        runtime: &Runtime,
        address: &str,
        serve: impl FnOnce(TcpListener, Stopped) -> S,
    ) -> anyhow::Result<Option<Self>>
    where
        S: Future<Output = io::Result<()>> + Send + 'static,
    {
        if address.is_empty() {
            return Ok(None);
        }
        let listener = runtime.block_on(TcpListener::bind(address));
        let listener = listener.with_context(|| format!("cannot listen at `{address}`"))?;
        let address = listener.local_addr().context("cannot tell the address")?;
        tracing::info!(%address, "serving metrics and health");
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            // Whether told so or because nobody is left to tell: it ends.
            let _told = stopped.await;
        };
        let task = runtime.spawn(serve(listener, Box::pin(stopped)));
        Ok(Some(Self { task, stop }))
    }

    /// Ends it; whoever has been answered half by then is cut off after a moment.
    pub(super) fn stop(self, runtime: &Runtime) -> anyhow::Result<()> {
        drop(self.stop);
        match runtime.block_on(async { timeout(LAST_ANSWERS, self.task).await }) {
            Ok(ended) => Ok(ended??),
            Err(_elapsed) => Ok(()),
        }
    }
}
