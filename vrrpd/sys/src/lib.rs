//! Linux: sockets, netlink, nftables, clocks, processes.
