//! A proxy in front of a broker that knows Kafka's frames: it holds one end of a transaction back,
//! as a network may, and lets it arrive when the next transaction has begun.
//!
//! It can also keep a coordinator, which reaches its own partitions as anybody does, from ending a
//! transaction in them, or have it believe that it did.
//!
//! The client's connection is closed when its frame is held, so that it asks again on another; the
//! broker's stays, so that the frame can still arrive.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use super::markers::Markers;

const PRODUCE: i16 = 0;
const ADD_PARTITIONS: i16 = 24;
const END: i16 = 26;
const MARKERS: i16 = 27;

/// How far it has come with the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Everything passes.
    Passing,
    /// The next end of a transaction is held.
    Holding,
    /// It is held, and its client asks again.
    Held,
    /// Its client was answered, and has begun another transaction.
    Begun,
    /// A record of that one is on its way.
    Written,
    /// The held frame has been handed over; no other end passes.
    Arrived,
}

/// Which part of an end gets lost.
#[derive(Clone, Copy, Debug)]
enum Loses {
    /// All of it.
    Whole,
    /// What of it is for a topic of this name.
    In(&'static str),
}

#[derive(Debug)]
struct State {
    stage: Stage,
    /// The transactional id's bytes, as they begin the body of what ends one.
    whose: Vec<u8>,
    /// Whether the coordinator's ends of transactions are kept from the partitions, and how many
    /// were.
    keeps_markers: bool,
    kept: usize,
    /// Whether the next end of a transaction gets lost, and where.
    loses: Option<Loses>,
    /// Whether every end of a transaction gets lost, and nobody is told.
    is_deaf: bool,
    /// Whether nobody is let through, since an end was lost.
    is_down: bool,
    /// Those who are.
    clients: Vec<TcpStream>,
}

/// The proxy.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Proxy {
    /// One at this address, in front of that one.
    pub(crate) fn between(listener: TcpListener, broker: String) -> Self {
        let state = State {
            stage: Stage::Passing,
            whose: Vec::new(),
            keeps_markers: false,
            kept: 0,
            loses: None,
            is_deaf: false,
            is_down: false,
            clients: Vec::new(),
        };
        let proxy = Self {
            state: Arc::new((Mutex::new(state), Condvar::new())),
        };
        let accepting = proxy.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(upstream) = TcpStream::connect(&broker) else {
                    continue;
                };
                if accepting.lets_in(&client) {
                    accepting.join(client, upstream);
                }
            }
        });
        proxy
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap()
    }

    fn reach(&self, stage: Stage) {
        self.state().stage = stage;
        self.state.1.notify_all();
    }

    /// Holds the next end of a transaction, or lets everything pass again.
    pub(crate) fn hold(&self, hold: bool) {
        self.reach(if hold { Stage::Holding } else { Stage::Passing });
    }

    /// Keeps the ends of transactions from the partitions they are for, or lets them pass again.
    pub(crate) fn keep_markers(&self, keep: bool) {
        self.state().keeps_markers = keep;
    }

    /// How many ends of transactions were kept from their partitions so far, tries again included.
    pub(crate) fn kept(&self) -> usize {
        self.state().kept
    }

    /// Has the coordinator believe that it ended its next transaction, which it did not. In that moment
    /// nobody is let through any more: the broker is lost.
    pub(crate) fn lose_markers(&self) {
        self.state().loses = Some(Loses::Whole);
    }

    /// The same of the next transaction that has written to a topic: it ends everywhere else.
    pub(crate) fn lose_markers_in(&self, topic: &'static str) {
        self.state().loses = Some(Loses::In(topic));
    }

    /// Has the coordinator believe that it ended any transaction, and lets everybody go on.
    pub(crate) fn be_deaf(&self, deaf: bool) {
        self.state().is_deaf = deaf;
    }

    /// Whether that has come to pass.
    pub(crate) fn is_down(&self) -> bool {
        self.state().is_down
    }

    /// Lets everybody through again.
    pub(crate) fn come_back(&self) {
        self.state().is_down = false;
    }

    fn lets_in(&self, client: &TcpStream) -> bool {
        let mut state = self.state();
        if !state.is_down {
            state.clients.push(client.try_clone().unwrap());
        }
        !state.is_down
    }

    /// How far it has come.
    pub(crate) fn stage(&self) -> Stage {
        self.state().stage
    }

    fn join(&self, client: TcpStream, upstream: TcpStream) {
        let (mut from, mut to) = (upstream.try_clone().unwrap(), client.try_clone().unwrap());
        thread::spawn(move || {
            // Either side may be gone at any time; then so is the other.
            let _ended = std::io::copy(&mut from, &mut to);
            let _closed = to.shutdown(Shutdown::Both);
        });
        let proxy = self.clone();
        thread::spawn(move || {
            let _ended = proxy.pass(client, upstream);
        });
    }

    fn pass(&self, mut client: TcpStream, mut upstream: TcpStream) -> std::io::Result<()> {
        loop {
            let mut frame = vec![0; 4];
            if client.read_exact(&mut frame).is_err() {
                return upstream.shutdown(Shutdown::Both);
            }
            let length = u32::from_be_bytes(frame[..4].try_into().unwrap());
            frame.resize(4 + usize::try_from(length).unwrap(), 0);
            client.read_exact(&mut frame[4..])?;
            let key = i16::from_be_bytes([frame[4], frame[5]]);
            if key == END && self.is_to_be_held(&frame) {
                client.shutdown(Shutdown::Both)?;
                return self.deliver_late(&frame, upstream);
            }
            if key == END && self.stage() == Stage::Arrived {
                return client.shutdown(Shutdown::Both);
            }
            if key == MARKERS && self.keeps() {
                client.shutdown(Shutdown::Both)?;
                return upstream.shutdown(Shutdown::Both);
            }
            if key == MARKERS {
                let said = Markers::of(&frame);
                if let Some(which) = self.loses(&said) {
                    let upstream_at = upstream.peer_addr()?;
                    self.lose(said, which, client, upstream_at)?;
                    return upstream.shutdown(Shutdown::Both);
                }
                if self.state().is_deaf {
                    client.write_all(&said.answer())?;
                    continue;
                }
            }
            self.note(key, &frame);
            upstream.write_all(&frame)?;
        }
    }

    fn keeps(&self) -> bool {
        let mut state = self.state();
        state.kept += usize::from(state.keeps_markers);
        state.keeps_markers
    }

    /// Whether an end gets lost now, and what of it; nobody else is let through, so that no other
    /// does.
    fn loses(&self, said: &Markers<'_>) -> Option<Loses> {
        let mut state = self.state();
        if matches!(state.loses, Some(Loses::In(topic)) if !said.concern(topic)) {
            return None;
        }
        state.is_down |= state.loses.is_some();
        state.loses.take()
    }

    /// Hangs up on everybody, then tells the coordinator that all is done.
    fn lose(
        &self,
        said: Markers<'_>,
        which: Loses,
        mut coordinator: TcpStream,
        broker: SocketAddr,
    ) -> std::io::Result<()> {
        let own = coordinator.peer_addr()?;
        for client in std::mem::take(&mut self.state().clients) {
            if client.peer_addr().is_ok_and(|address| address != own) {
                // It may be gone.
                let _closed = client.shutdown(Shutdown::Both);
            }
        }
        let answer = said.answer();
        if let Loses::In(topic) = which {
            tell(broker, &said.without(topic).frame())?;
        }
        // ORDER: the coordinator hears it when what was on its way has come: where it held the transaction
        // for done, another of the same producer could begin.
        thread::sleep(Duration::from_millis(200));
        coordinator.write_all(&answer)?;
        // It hangs up when it has heard.
        coordinator.shutdown(Shutdown::Write)
    }

    fn is_to_be_held(&self, frame: &[u8]) -> bool {
        let mut state = self.state();
        let held = state.stage == Stage::Holding;
        if held {
            state.stage = Stage::Held;
            state.whose = whose(frame);
        }
        held
    }

    /// Takes note of the held one's client going on to its next transaction.
    fn note(&self, key: i16, frame: &[u8]) {
        let state = self.state();
        let begins = (Stage::Held, ADD_PARTITIONS);
        let writes = (Stage::Begun, PRODUCE);
        let at = (state.stage, key);
        if (at == begins || at == writes) && names(frame, &state.whose) {
            drop(state);
            self.reach(if at == begins {
                Stage::Begun
            } else {
                Stage::Written
            });
        }
    }

    /// Waits until the next transaction has begun, and has had the time for some of its records.
    fn deliver_late(&self, frame: &[u8], mut upstream: TcpStream) -> std::io::Result<()> {
        let state = self.state();
        let waiting = |state: &mut State| state.stage < Stage::Written;
        drop(self.state.1.wait_while(state, waiting).unwrap());
        // On a connection of its own the record may be behind; it is what the network does.
        thread::sleep(Duration::from_millis(30));
        upstream.write_all(frame)?;
        self.reach(Stage::Arrived);
        // Its answer comes back into a connection that nobody reads.
        thread::park();
        Ok(())
    }
}

/// Hands a frame over on a connection of its own, and waits for the answer.
fn tell(broker: SocketAddr, frame: &[u8]) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(broker)?;
    stream.write_all(frame)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
    stream.read_exact(&mut answer)
}

/// The transactional id a frame that ends a transaction begins with, after its header.
fn whose(frame: &[u8]) -> Vec<u8> {
    let length = |at: usize| usize::from(u16::from_be_bytes([frame[at], frame[at + 1]]));
    let body = 14 + length(12);
    frame[body + 2..body + 2 + length(body)].to_vec()
}

/// Whether a frame names a transactional id where it begins.
fn names(frame: &[u8], id: &[u8]) -> bool {
    let head = &frame[..frame.len().min(256)];
    head.windows(id.len()).any(|part| part == id)
}
