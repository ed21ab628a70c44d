//! `quorate serve`: the HTTP gateway, until it is told to stop.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::client::{self, Client};
use crate::config::Config;
use crate::gateway::access::Access;
use crate::gateway::desk::Desk;
use crate::gateway::http::{self, Gateway};

/// How often to look whether the log is read.
const LOOK: Duration = Duration::from_millis(10);
/// How long answers under way may take once it was told to stop; whoever waits is cut off then.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Where to serve.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Where to listen; port 0: any that is free
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
}

impl Serve {
    pub(super) fn call(self, config: &Config) -> anyhow::Result<()> {
        // While it starts, and the second time, a signal ends the process as if nobody listened.
        let abrupt = Arc::new(AtomicBool::new(true));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&abrupt))
                .context("cannot listen for signals")?;
        }
        let access = access(&config.gateway.tokens_file)?;
        let listen = self.listen.unwrap_or_else(|| config.gateway.listen.clone());
        let runtime = client::runtime()?;
        let listener = runtime.block_on(TcpListener::bind(&listen));
        let listener = listener.with_context(|| format!("cannot listen at `{listen}`"))?;
        let address = listener.local_addr().context("cannot tell the address")?;
        let desk = Desk::open(Client::open(config)?.into_handle())?;
        let serving = Serving::start(runtime, listener, Gateway { access, desk })?;
        let mut signals = Signals::new([SIGINT, SIGTERM]).context("cannot listen for signals")?;
        abrupt.store(false, Ordering::Relaxed);
        tracing::info!(%address, "serving the protocol over HTTP");
        super::answer(&format!("http://{address}"))?;
        let _signal = signals.forever().next();
        abrupt.store(true, Ordering::Relaxed);
        serving.stop()
    }
}

/// A gateway that serves, and the thread that reads the log for it.
pub(super) struct Serving {
    runtime: Runtime,
    served: JoinHandle<io::Result<()>>,
    stop: oneshot::Sender<()>,
    following: thread::JoinHandle<()>,
    ended: Arc<AtomicBool>,
    gateway: Arc<Gateway>,
}

impl Serving {
    /// Serves from now on.
    pub(super) fn start(
        runtime: Runtime,
        listener: TcpListener,
        gateway: Gateway,
    ) -> anyhow::Result<Self> {
        let gateway = Arc::new(gateway);
        let ended = Arc::new(AtomicBool::new(false));
        let following = {
            let (gateway, ended) = (Arc::clone(&gateway), Arc::clone(&ended));
            let named = thread::Builder::new().name("follow".to_owned());
            let follow = move || gateway.desk.follow(&ended);
            named.spawn(follow).context("cannot start a thread")?
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async {
            // Whether told so or because nobody is left to tell: it ends.
            let _told = stopped.await;
        };
        let served = runtime.spawn(http::serve(listener, Arc::clone(&gateway), stopped));
        Ok(Self {
            gateway,
            runtime,
            served,
            stop,
            following,
            ended,
        })
    }

    /// Waits until what lies on the log is read, but not for longer than that.
    pub(super) fn wait_until_read(&self, patience: Duration) {
        let until = Instant::now() + patience;
        while !self.gateway.desk.is_following() && Instant::now() < until {
            thread::sleep(LOOK);
        }
    }

    /// Ends it; whoever still waits for an answer is cut off after a moment.
    pub(super) fn stop(self) -> anyhow::Result<()> {
        let Self {
            runtime,
            served,
            stop,
            following,
            ended,
            gateway: _,
        } = self;
        drop(stop);
        let served = runtime.block_on(async { timeout(LAST_ANSWERS, served).await });
        ended.store(true, Ordering::Relaxed);
        let followed = following.join();
        runtime.shutdown_timeout(LAST_ANSWERS);
        followed.map_err(|_| io::Error::other("a thread has ended"))?;
        served.map_or(Ok(()), |ended| Ok(ended??))
    }
}

/// Who is let in: nobody, without a file.
fn access(file: &str) -> anyhow::Result<Access> {
    if file.is_empty() {
        let option = "gateway.tokens_file";
        tracing::warn!(option, "not set: nobody is let in");
        return Ok(Access::default());
    }
    let text = std::fs::read_to_string(Path::new(file));
    let text = text.with_context(|| format!("cannot read tokens `{file}`"))?;
    Access::from_toml(&text).with_context(|| format!("cannot use tokens `{file}`"))
}
