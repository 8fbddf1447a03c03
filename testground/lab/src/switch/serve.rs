//! The process: orders in, answers out, and frames between devices.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use tun_rs::SyncDevice;

use super::fabric::{Fabric, Nanos};
use super::orders::{Order, Port, Reply};
use super::taps;

/// Frames read from one port before the others have their turn (N8).
const BATCH: usize = 64;

/// The largest frame there is, an IP packet of 64 KiB, with its headers and its prefix.
const FRAME: usize = 65_536 + 64;

/// The longest order: rules for every pair of 250 nodes.
const MAX_ORDER: usize = 64 * 1024 * 1024;

/// Serves as a switch until the end of standard input, with the given seed (N7). It has to be called
/// on the only thread of a process that has the rights of the lab's namespaces.
///
/// # Errors
///
/// Where standard input or output break, or the kernel refuses to wait.
pub fn serve(seed: u64) -> io::Result<()> {
    let mut switch = Serving {
        fabric: Fabric::new(seed),
        devices: BTreeMap::new(),
        begun: Instant::now(),
        buffer: vec![0; FRAME],
    };
    let mut typed = Vec::new();
    loop {
        let (orders, ready) = switch.wait()?;
        let now = switch.now();
        let (fabric, devices) = (&mut switch.fabric, &switch.devices);
        fabric.handle_timeout(now, &mut |to, frame| write(devices, to, frame));
        for port in ready {
            switch.read(port);
        }
        switch.fabric.note_turn(switch.now().saturating_sub(now));
        if orders && !switch.take_orders(&mut typed)? {
            return Ok(());
        }
    }
}

struct Serving {
    fabric: Fabric,
    devices: BTreeMap<Port, SyncDevice>,
    begun: Instant,
    buffer: Vec<u8>,
}

impl Serving {
    fn now(&self) -> Nanos {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Waits for an order, a frame, or the time of the next one due: whether there is an
    /// order, and the ports that have frames.
    fn wait(&self) -> io::Result<(bool, Vec<Port>)> {
        let stdin = io::stdin();
        let mut fds = vec![PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        fds.extend(
            self.devices
                .values()
                .map(|device| PollFd::new(device.as_fd(), PollFlags::POLLIN)),
        );
        let timeout = self.fabric.poll_timeout().map(|due| {
            let wait = due.saturating_sub(self.now());
            TimeSpec::new(
                i64::try_from(wait / 1_000_000_000).unwrap_or(i64::MAX),
                (wait % 1_000_000_000) as i64,
            )
        });
        match ppoll(&mut fds, timeout, None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let is_ready = |fd: &PollFd<'_>| fd.any().unwrap_or(false);
        let ready = self
            .devices
            .keys()
            .zip(&fds[1..])
            .filter(|(_, fd)| is_ready(fd))
            .map(|(port, _)| *port)
            .collect();
        Ok((is_ready(&fds[0]), ready))
    }

    fn read(&mut self, port: Port) {
        for _ in 0..BATCH {
            let Some(device) = self.devices.get(&port) else {
                return;
            };
            let length = match nix::unistd::read(device, &mut self.buffer) {
                Ok(length) => length,
                Err(Errno::EAGAIN | Errno::EINTR) => return,
                // Its namespace is gone, and would be ready to say so for ever.
                Err(_) => {
                    self.devices.remove(&port);
                    self.fabric.remove(port);
                    return;
                }
            };
            let now = self.now();
            let devices = &self.devices;
            self.fabric
                .handle_frame(now, port, &self.buffer[..length], &mut |to, frame| {
                    write(devices, to, frame);
                });
        }
    }

    /// Obeys what is on standard input; `false` at its end.
    fn take_orders(&mut self, typed: &mut Vec<u8>) -> io::Result<bool> {
        let mut chunk = [0; 64 * 1024];
        let length = io::stdin().lock().read(&mut chunk)?;
        if length == 0 {
            return Ok(false);
        }
        typed.extend_from_slice(&chunk[..length]);
        if typed.len() > MAX_ORDER {
            return Err(io::Error::other("an order that does not end"));
        }
        while let Some(end) = typed.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = typed.drain(..=end).collect();
            let reply = match serde_json::from_slice(&line) {
                Ok(order) => self.obey(order),
                Err(error) => Reply::Failed(format!("no order: {error}")),
            };
            let mut answer = serde_json::to_vec(&reply)?;
            answer.push(b'\n');
            let mut out = io::stdout().lock();
            out.write_all(&answer)?;
            out.flush()?;
        }
        Ok(true)
    }

    fn obey(&mut self, order: Order) -> Reply {
        let known = match order {
            Order::Plug {
                port,
                pid,
                interface,
                mac,
            } => match taps::open(pid, &interface, mac) {
                Ok(device) => {
                    self.devices.insert(port, device);
                    self.fabric.add(port);
                    true
                }
                Err(error) => return Reply::Failed(format!("no TAP device {interface}: {error}")),
            },
            Order::Unplug { port } => {
                self.fabric.remove(port);
                self.devices.remove(&port).is_some()
            }
            Order::Connect { port, island } => self.fabric.connect(port, island),
            Order::Uplink { port, uplink } => match uplink.validate() {
                Ok(()) => self.fabric.set_uplink(port, uplink),
                Err(error) => return Reply::Failed(error.to_string()),
            },
            Order::Rules { rules } => {
                let bad = rules.iter().find_map(|rule| rule.shape.validate().err());
                if let Some(error) = bad {
                    return Reply::Failed(error.to_string());
                }
                self.fabric.set_rules(rules);
                true
            }
            Order::Stats => return Reply::Stats(self.fabric.stats),
        };
        if known {
            Reply::Done
        } else {
            Reply::Failed("no such port".to_owned())
        }
    }
}

/// An interface that is down takes nothing, as a cable without anybody at its end.
fn write(devices: &BTreeMap<Port, SyncDevice>, to: Port, frame: &[u8]) {
    if let Some(device) = devices.get(&to) {
        let _ = nix::unistd::write(device, frame);
    }
}
