//! A proxy before one port of a broker, for the clients of one process: what they send passes, waits or is refused.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// What becomes of what passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Open,
    /// Connections stay, and nothing is heard on them: as on a network that drops packets. What was sent comes late.
    Silent,
    /// Connections break, and no new ones are made.
    Refused,
}

/// One way between a process and a broker.
#[derive(Debug)]
pub struct Link {
    /// Where clients connect to.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    broker: SocketAddr,
}

#[derive(Debug)]
struct State {
    way: Way,
    /// Both ends of each connection, so that they can be broken.
    connections: BTreeMap<u64, [TcpStream; 2]>,
    made: u64,
    is_over: bool,
}

impl Link {
    /// Listens at one address, and passes on to another.
    pub fn open(listen: SocketAddr, broker: SocketAddr) -> Self {
        let listener = TcpListener::bind(listen).unwrap_or_else(|error| panic!("{listen}: {error}"));
        let state = State { way: Way::Open, connections: BTreeMap::new(), made: 0, is_over: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), broker });
        let accepting = shared.clone();
        thread::spawn(move || accepting.accept(&listener));
        Self { address: listen, shared }
    }

    pub fn set(&self, way: Way) {
        let mut state = self.shared.lock();
        state.way = way;
        if way == Way::Refused {
            state.break_all();
        }
        drop(state);
        self.shared.changed.notify_all();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Who accepts stays at its port until somebody comes; the ports are the brokers', and those are gone by then.
        let mut state = self.shared.lock();
        state.is_over = true;
        state.break_all();
        drop(state);
        self.shared.changed.notify_all();
    }
}

impl State {
    fn break_all(&mut self) {
        for end in std::mem::take(&mut self.connections).into_values().flatten() {
            drop(end.shutdown(Shutdown::Both));
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits out a silence; whether it goes on after it.
    fn passes(&self) -> bool {
        let state = self.lock();
        let is_silent = |state: &mut State| state.way == Way::Silent && !state.is_over;
        let state = self.changed.wait_while(state, is_silent).unwrap_or_else(PoisonError::into_inner);
        state.way == Way::Open && !state.is_over
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming().flatten() {
            if self.lock().is_over {
                return;
            }
            let shared = self.clone();
            thread::spawn(move || shared.serve(client));
        }
    }

    fn serve(self: &Arc<Self>, client: TcpStream) {
        if !self.passes() {
            return;
        }
        let Ok(broker) = TcpStream::connect_timeout(&self.broker, Duration::from_secs(5)) else { return };
        let ends = [client, broker];
        for end in &ends {
            drop(end.set_nodelay(true));
        }
        let Some([client, broker]) = both(&ends) else { return };
        let number = {
            let mut state = self.lock();
            if state.way == Way::Refused || state.is_over {
                return;
            }
            state.made += 1;
            let number = state.made;
            state.connections.insert(number, ends);
            number
        };
        let Some([client_again, broker_again]) = both(&[&client, &broker]) else { return };
        let back = self.clone();
        let answers = thread::spawn(move || back.pump(broker_again, client_again));
        self.pump(client, broker);
        drop(answers.join());
        self.lock().connections.remove(&number);
    }

    /// Passes on what comes, until either end is closed.
    fn pump(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut bytes = vec![0; 65_536];
        while let Ok(count) = from.read(&mut bytes) {
            if count == 0 || !self.passes() || to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        for end in [from, to] {
            drop(end.shutdown(Shutdown::Both));
        }
    }
}

fn both<T: std::borrow::Borrow<TcpStream>>(ends: &[T; 2]) -> Option<[TcpStream; 2]> {
    Some([ends[0].borrow().try_clone().ok()?, ends[1].borrow().try_clone().ok()?])
}
