//! TAP devices in other processes' network namespaces.

use std::fs::File;
use std::io;

use nix::sched::{CloneFlags, setns};
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

/// Makes the TAP device `interface` in the network namespace of process `pid`. It vanishes
/// with the value that is returned.
///
/// The calling thread is in that namespace for a moment; it must be the only thread.
pub(super) fn open(pid: u32, interface: &str, mac: [u8; 6]) -> io::Result<SyncDevice> {
    let home = File::open("/proc/self/ns/net")?;
    let there = File::open(format!("/proc/{pid}/ns/net"))?;
    setns(there, CloneFlags::CLONE_NEWNET)?;
    let device = DeviceBuilder::new()
        .name(interface)
        .layer(Layer::L2)
        .mac_addr(mac)
        .packet_information(false)
        // Frames as large as the kernel makes them, each with a prefix (N11).
        .offload(true)
        // The lab gives addresses first, and brings it up itself.
        .enable(false)
        .build_sync();
    setns(home, CloneFlags::CLONE_NEWNET)?;
    let device = device?;
    device.set_nonblocking(true)?;
    Ok(device)
}
