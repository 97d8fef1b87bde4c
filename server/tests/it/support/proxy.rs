//! A way between a client and a server that breaks after so many bytes, so that a test can end the server in the very middle.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use super::process::PATIENCE;

/// A proxy at one address, whichever server it leads to.
pub(crate) struct Proxy {
    pub(crate) address: String,
    way: Arc<Way>,
}

struct Way {
    to: Mutex<String>,
    /// Bytes of answers that still come through.
    left: Mutex<usize>,
    broken: Condvar,
}

impl Proxy {
    /// Nothing comes through yet.
    pub(crate) fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let way = Arc::new(Way {
            to: Mutex::new(server.to_owned()),
            left: Mutex::new(0),
            broken: Condvar::new(),
        });
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::clone(&way);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let way = Arc::clone(&shared);
                thread::spawn(move || way.lead(client));
            }
        });
        Self { address, way }
    }

    /// Leads to another server from here on.
    pub(crate) fn lead_to(&self, server: &str) {
        server.clone_into(&mut self.way.to.lock().unwrap());
    }

    /// Lets so many bytes of answers through.
    pub(crate) fn open(&self, bytes: usize) {
        *self.way.left.lock().unwrap() = bytes;
    }

    /// Waits until they have come through and more want to.
    pub(crate) fn wait_until_broken(&self) {
        let left = self.way.left.lock().unwrap();
        let waited = self
            .way
            .broken
            .wait_timeout_while(left, PATIENCE, |left| *left > 0)
            .unwrap();
        assert!(!waited.1.timed_out(), "{} bytes are not used", waited.0);
    }
}

impl Way {
    fn lead(&self, mut client: TcpStream) {
        let to = self.to.lock().unwrap().clone();
        let Ok(mut server) = TcpStream::connect(to) else {
            return;
        };
        let (mut asks, mut asked) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut asks, &mut asked));
        let mut bytes = [0; 1_024];
        while let Ok(count @ 1..) = server.read(&mut bytes) {
            let may = self.take(count);
            if client.write_all(&bytes[..may]).is_err() || may < count {
                break;
            }
        }
        for end in [&client, &server] {
            let _ended = end.shutdown(Shutdown::Both);
        }
    }

    /// How many of so many bytes may pass.
    fn take(&self, count: usize) -> usize {
        let mut left = self.left.lock().unwrap();
        let may = count.min(*left);
        *left -= may;
        self.broken.notify_all();
        may
    }
}
